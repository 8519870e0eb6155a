"""Connections between parameters and widgets, for `slicer.parameterNodeWrapper`.

A connector reads and writes one kind of widget as one kind of value. Which kinds go together, and what is set
on the widget, is what all of Slicer 5.8 to 5.12 have in common:

| value | widget | set on the widget |
|---|---|---|
| bool | QCheckBox, ctkCheckBox; QPushButton | a push button becomes checkable |
| int | QSlider, QSpinBox | range, SingleStep; QSlider needs both ends |
| float | QDoubleSpinBox, ctkDoubleSpinBox, qMRMLSpinBox, ctkDoubleSlider | range, Decimals, SingleStep |
| float | ctkSliderWidget, qMRMLSliderWidget | the same; both ends are needed |
| int, float, str, bool with Choice | QComboBox, ctkComboBox | one item a choice |
| Enum | QComboBox, ctkComboBox | one item a member: its name, or what its method label() returns |
| str | QLineEdit, QLabel (written only), QTextEdit | |
| node, Optional or Union of nodes | qMRMLNodeComboBox | nodeTypes |

Classes are compared exactly, so a qMRMLColorTableComboBox or a ctkCollapsibleButton has no connector. A range
is that of WithinRange, or of Minimum and Maximum. Slicer from 5.10 on also connects int with the widgets of
float; here that is refused, because 5.8 does.

Source of the behavior: Base/Python/slicer/parameterNodeWrapper/guiConnectors.py of Slicer.
"""

import abc
import enum
import logging
import typing

from .parameter_annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange, split

__all__ = ["GuiConnector", "createGuiConnector", "parameterNodeGuiConnector"]

_registered = []


class GuiConnector(abc.ABC):
    """Base of the connectors; own ones are registered with `parameterNodeGuiConnector`."""

    @staticmethod
    @abc.abstractmethod
    def canRepresent(widget, datatype):
        """Return whether this connector is for such a widget and (possibly annotated) type."""

    @staticmethod
    @abc.abstractmethod
    def create(widget, datatype):
        """Return a connector for the widget and type."""

    def __init__(self):
        super().__init__()
        self._callback = None

    def onChanged(self, callback):
        """Call a function whenever the widget changes; None ends that."""
        self._callback = callback
        if callback is None:
            self._disconnect()
        else:
            self._connect()

    def changed(self):
        """Tell that the widget has changed."""
        if self._callback:
            self._callback()

    @abc.abstractmethod
    def _connect(self):
        """Connect the widget's signal with `changed`."""

    @abc.abstractmethod
    def _disconnect(self):
        """Undo `_connect`."""

    @abc.abstractmethod
    def widget(self):
        """Return the widget."""

    @abc.abstractmethod
    def read(self):
        """Return the widget's value."""

    @abc.abstractmethod
    def write(self, value):
        """Show a value in the widget."""


def parameterNodeGuiConnector(classtype=None):
    """Register a connector class; used as a decorator.

    :raises TypeError: if it is not derived from `GuiConnector`.
    """

    def register(cls):
        if not issubclass(cls, GuiConnector):
            raise TypeError(f"{cls} is no GuiConnector")
        _registered.append(cls)
        return cls

    return register if classtype is None else register(classtype)


def createGuiConnector(widget, datatype):
    """Return a connector for a widget and a (possibly annotated) type.

    :raises RuntimeError: if they do not go together.
    """
    for connector in _registered:
        if connector.canRepresent(widget, datatype):
            return connector.create(widget, datatype)
    raise RuntimeError(f"no way to show a {datatype} in a {type(widget).__name__}")


def _first(annotations, kind):
    return next((item for item in annotations if isinstance(item, kind)), None)


def _range(annotations):
    """Return both ends of the range, None where it has none."""
    within = _first(annotations, WithinRange)
    if within is not None:
        return within.minimum, within.maximum
    low, high = _first(annotations, Minimum), _first(annotations, Maximum)
    return low and low.minimum, high and high.maximum


def _is_a(widget, *names):
    """Return whether the class of the widget is exactly one of those."""
    import ctk
    import qt
    import slicer

    modules = {"Q": qt, "c": ctk, "q": slicer}
    return any(type(widget) is getattr(modules[name[0]], name) for name in names)


class _SignalConnector(GuiConnector):
    """Connects the signal that the class names; the value is the property that it names."""

    signal = None
    value = None

    def __init__(self, widget, datatype):
        super().__init__()
        self._widget = widget

    @classmethod
    def create(cls, widget, datatype):
        return cls(widget, datatype)

    def _connect(self):
        getattr(self._widget, self.signal).connect(self.changed)

    def _disconnect(self):
        getattr(self._widget, self.signal).disconnect(self.changed)

    def widget(self):
        return self._widget

    def read(self):
        return getattr(self._widget, self.value)

    def write(self, value):
        setattr(self._widget, self.value, value)


@parameterNodeGuiConnector
class _CheckBox(_SignalConnector):
    signal, value = "stateChanged", "checked"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is bool and _is_a(widget, "QCheckBox", "ctkCheckBox")


@parameterNodeGuiConnector
class _PushButton(_SignalConnector):
    signal, value = "toggled", "checked"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is bool and _is_a(widget, "QPushButton")

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        if not widget.checkable:
            logging.warning("Making the push button %s checkable, to show a bool", widget.name)
            widget.checkable = True


@parameterNodeGuiConnector
class _WholeNumber(_SignalConnector):
    signal, value = "valueChanged", "value"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is int and _is_a(widget, "QSlider", "QSpinBox")

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        annotations = split(datatype)[1]
        step = _first(annotations, SingleStep)
        if step is not None:
            widget.singleStep = step.value
        low, high = _range(annotations)
        if _is_a(widget, "QSlider") and (low is None or high is None):
            raise RuntimeError("a QSlider cannot show an int without both ends of its range")
        widget.setRange(-(2**31) if low is None else low, 2**31 - 1 if high is None else high)


@parameterNodeGuiConnector
class _FloatingPoint(_SignalConnector):
    signal, value = "valueChanged", "value"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is float and _is_a(
            widget,
            "QDoubleSpinBox",
            "ctkSliderWidget",
            "qMRMLSliderWidget",
            "ctkDoubleSlider",
            "ctkDoubleSpinBox",
            "qMRMLSpinBox",
        )

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        annotations = split(datatype)[1]
        decimals, step = _first(annotations, Decimals), _first(annotations, SingleStep)
        if decimals is not None and not _is_a(widget, "ctkDoubleSlider"):
            widget.decimals = decimals.value
        if step is not None:
            widget.singleStep = step.value
        low, high = _range(annotations)
        if _is_a(widget, "ctkSliderWidget", "qMRMLSliderWidget") and (low is None or high is None):
            raise RuntimeError("a ctkSliderWidget cannot show a float without both ends of its range")
        widget.minimum = float("-inf") if low is None else low
        widget.maximum = float("inf") if high is None else high


class _Items(_SignalConnector):
    """A combo box with one item for each of `self._values`."""

    signal, value = "currentIndexChanged", "currentIndex"

    def _fill(self, labels, values):
        self._values = values
        self._widget.clear()
        for label in labels:
            self._widget.addItem(label)

    def read(self):
        return self._values[self._widget.currentIndex]

    def write(self, value):
        if value not in self._values:
            raise ValueError(f"{value!r} is none of {self._values}")
        self._widget.currentIndex = self._values.index(value)


@parameterNodeGuiConnector
class _Choices(_Items):
    @staticmethod
    def canRepresent(widget, datatype):
        bare = split(datatype)[0]
        return bare in (int, float, str, bool) and _is_a(widget, "QComboBox", "ctkComboBox")

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        choice = _first(split(datatype)[1], Choice)
        if choice is None:
            raise RuntimeError("a combo box cannot show a value without the annotation Choice")
        self._fill(map(str, choice.choices), list(choice.choices))


@parameterNodeGuiConnector
class _Members(_Items):
    @staticmethod
    def canRepresent(widget, datatype):
        bare = split(datatype)[0]
        is_enum = isinstance(bare, type) and issubclass(bare, enum.Enum)
        return is_enum and _is_a(widget, "QComboBox", "ctkComboBox")

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        bare = split(datatype)[0]
        label = getattr(bare, "label", lambda member: member.name)
        selected = list(bare)[widget.currentIndex]
        self._fill(map(label, bare), list(bare))
        self.write(selected)


@parameterNodeGuiConnector
class _Line(_SignalConnector):
    signal, value = "textChanged", "text"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is str and _is_a(widget, "QLineEdit")

    def write(self, value):
        # Writing moves the cursor to the end, also when the text came from there.
        if value != self._widget.text:
            self._widget.text = value


@parameterNodeGuiConnector
class _Label(_SignalConnector):
    value = "text"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is str and _is_a(widget, "QLabel")

    def _connect(self):
        """A label does not tell that its text has changed."""

    _disconnect = _connect


@parameterNodeGuiConnector
class _Text(_SignalConnector):
    signal, value = "textChanged", "plainText"

    @staticmethod
    def canRepresent(widget, datatype):
        return split(datatype)[0] is str and _is_a(widget, "QTextEdit")


@parameterNodeGuiConnector
class _Node(_SignalConnector):
    signal = "currentNodeChanged"

    @staticmethod
    def canRepresent(widget, datatype):
        return _is_a(widget, "qMRMLNodeComboBox") and bool(_node_classes(datatype))

    def __init__(self, widget, datatype):
        super().__init__(widget, datatype)
        widget.nodeTypes = [cls().GetClassName() for cls in _node_classes(datatype)]

    def read(self):
        return self._widget.currentNode()

    def write(self, value):
        self._widget.setCurrentNode(value)


def _node_classes(datatype):
    """Return the node classes of a type, empty if it is not made of node classes and None only."""
    import slicer

    bare = split(datatype)[0]
    arms = [split(arm)[0] for arm in typing.get_args(bare)] if typing.get_origin(bare) else [bare]
    classes = [arm for arm in arms if arm is not type(None)]
    if all(isinstance(cls, type) and issubclass(cls, slicer.vtkMRMLNode) for cls in classes):
        return classes
    return []
