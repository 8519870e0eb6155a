"""`slicer.parameterNodeWrapper`: typed access to a parameter node; for widgets see `headless.parameter_gui`.

A class with annotations becomes a wrapper around a vtkMRMLScriptedModuleNode. Values live in the node
only, under the names and in the text formats that Slicer uses, so that Slicer understands a scene that
was saved here and the other way round:

- int, float: `str(value)` in the parameter of the attribute's name;
- bool: "True" or "False"; str: as it is; enum: the member's name;
- MRML node: a node reference of the attribute's name, and an empty parameter that marks it as set;
- Optional and Union: the same, with ".0", ".1", ... added to the name for the chosen alternative;
  None is stored as "True" under its own number.

Source of the behavior: Base/Python/slicer/parameterNodeWrapper of Slicer, and
https://slicer.readthedocs.io/en/latest/developer_guide/parameter_nodes.html. Other types (lists, dicts,
parameter packs, paths, colors, Any) raise a NotImplementedError.
"""

import logging
import typing
import weakref

from .parameter_annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
    split,
    split_validators,
)
from .parameter_gui import GuiConnector, createGuiConnector, parameterNodeGuiConnector
from .parameter_storage import storage_for, validate
from .unavailable import NotInModuleHeadless

__all__ = [
    "parameterNodeWrapper",
    "isParameterNodeWrapper",
    "SlicerParameterNamePropertyName",
    "Default",
    "Validator",
    "NotNone",
    "IsInstance",
    "WithinRange",
    "Minimum",
    "Maximum",
    "Choice",
    "Exclude",
    "Decimals",
    "SingleStep",
    "GuiConnector",
    "createGuiConnector",
    "parameterNodeGuiConnector",
    "findChildWidgetForParameter",
]

SlicerParameterNamePropertyName = "SlicerParameterName"


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'slicer.parameterNodeWrapper' has no attribute {name!r}")
    raise NotInModuleHeadless(f"slicer.parameterNodeWrapper.{name}")


class _Parameter:
    """One annotated attribute of the wrapper class; the same for all instances."""

    def __init__(self, owner, name, annotated):
        self.basename = name
        self.unalteredType = annotated
        type_, annotations = split(annotated)
        validators, annotations = split_validators(annotations)
        self.storage = storage_for(type_, validators)
        if hasattr(owner, name):
            self.default = Default(getattr(owner, name))
        else:
            defaults = [item for item in annotations if isinstance(item, Default)]
            if len(defaults) > 1:
                raise ValueError(f"{name} has more than one default")
            annotations = [item for item in annotations if not isinstance(item, Default)]
            self.default = defaults[0] if defaults else Default(self.storage.default)
        if annotations:
            logging.warning("Unused annotations: %s", annotations)


class _Value:
    """One parameter's value in one node, read once and again whenever the node changes."""

    def __init__(self, parameter, node, prefix):
        self.parameter = parameter
        self._node = node
        self._name = f"{prefix or ''}{parameter.basename}"
        self._writing = False
        if not parameter.storage.is_in(node, self._name):
            self._store(parameter.default.value)
        self._value = self._fetch()
        # The node must not keep this object alive, so the callback holds a weak reference.
        this = weakref.ref(self)

        def on_modified(*_):
            value = this()
            if value is not None and not value._writing:
                value._value = value._fetch()

        self._tag = node.AddObserver("ModifiedEvent", on_modified)

    def __del__(self):
        if hasattr(self, "_tag"):
            self._node.RemoveObserver(self._tag)

    def _store(self, value):
        validate(self.parameter.storage, value)
        self.parameter.storage.write(self._node, self._name, value)

    def _fetch(self):
        if not self.parameter.storage.is_in(self._node, self._name):
            self._store(self.parameter.default.value)
        return self.parameter.storage.read(self._node, self._name)

    def read(self):
        return self._value

    def write(self, value):
        self._writing = True
        # Observers run at EndModify: by then the new value must be readable.
        modifying = self._node.StartModify()
        try:
            self._store(value)
            self._value = self._fetch()
        finally:
            self._node.EndModify(modifying)
            self._writing = False


def _property(name):
    return property(
        lambda self: self._values[name].read(),
        lambda self, value: self._values[name].write(value),
    )


class _Wrapper:
    """The methods that a wrapped class gets."""

    def __init__(self, parameterNode, prefix=None):
        """Wrap a parameter node; parameters that it lacks get their defaults.

        :param parameterNode: the vtkMRMLScriptedModuleNode.
        :param prefix: text put before every parameter name.
        """
        self.parameterNode = parameterNode
        self._guis, self._next_gui_tag, self._updating_gui = {}, 0, False
        self._values = {
            name: _Value(parameter, parameterNode, prefix) for name, parameter in self.allParameters.items()
        }

    def default(self, paramName):
        """Return the `Default` of a parameter."""
        return self._parameter(paramName).default

    def isCached(self, paramName):
        """Return whether the value is cached: True for all types supported here."""
        self._parameter(paramName)
        return True

    def getValue(self, paramName):
        """Return the value of a parameter given by name."""
        self._parameter(paramName)
        return self._values[paramName].read()

    def setValue(self, paramName, value):
        """Set the value of a parameter given by name."""
        self._parameter(paramName)
        self._values[paramName].write(value)

    def connectGui(self, gui):
        """Connect all widgets that have the dynamic property "SlicerParameterName".

        :param gui: a widget, whose descendants are searched, or an object with widgets as attributes, as
            `slicer.util.childWidgetVariables` returns.
        :return: a tag for `disconnectGui`. Slicer 5.8 returns None.
        :raises ValueError: if a widget names a parameter that does not exist.
        :raises RuntimeError: if a widget cannot show its parameter.
        """
        import qt

        is_widget = getattr(gui, "isWidgetType", lambda: False)()
        widgets = gui.findChildren(qt.QWidget) if is_widget else vars(gui).values()
        names = [(widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets]
        return self.connectParametersToGui({name: widget for name, widget in names if name})

    def connectParametersToGui(self, mapping):
        """Connect parameters with widgets, both ways; the widgets take over the parameters' values.

        :param mapping: dict from parameter names to widgets or connectors.
        :return: a tag for `disconnectGui`.
        :raises ValueError: if there is no parameter of a name.
        :raises RuntimeError: if a widget cannot show its parameter.
        """
        for name in mapping:
            self._parameter(name)
        connectors = {
            name: gui if isinstance(gui, GuiConnector) else createGuiConnector(gui, self.dataType(name))
            for name, gui in mapping.items()
        }
        tag, self._next_gui_tag = self._next_gui_tag, self._next_gui_tag + 1
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._gui_to_parameter(name, connector))
        observer = self.AddObserver("ModifiedEvent", lambda *_: self._parameters_to_gui())
        self._guis[tag] = (connectors, observer)
        return tag

    def disconnectGui(self, guiTag):
        """Undo `connectGui` or `connectParametersToGui`; an unknown tag does nothing."""
        connectors, observer = self._guis.pop(guiTag, ({}, None))
        for connector in connectors.values():
            connector.onChanged(None)
        if observer is not None:
            self.RemoveObserver(observer)

    def _gui_to_parameter(self, name, connector):
        def changed():
            # Observers learn of the change after it, once.
            modifying = self.StartModify()
            try:
                if not self._updating_gui:
                    self.setValue(name, connector.read())
            finally:
                self.EndModify(modifying)

        return changed

    def _parameters_to_gui(self):
        if self._updating_gui:
            return
        self._updating_gui = True
        try:
            for connectors, _ in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updating_gui = False

    def StartModify(self):
        """Hold back the node's modified events; return the state for `EndModify`."""
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        """Let the node's modified events pass again."""
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        """Observe the node; return the observer's tag."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        """Stop observing the node."""
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        """Tell the node's observers that it changed."""
        return self.parameterNode.Modified()

    @classmethod
    def _parameter(cls, name):
        if name not in cls.allParameters:
            raise ValueError(f"no parameter {name!r}; there are {', '.join(cls.allParameters)}")
        return cls.allParameters[name]


def _data_type_method(cls):
    def dataType(paramName):
        """Return the annotated type of a parameter."""
        return cls._parameter(paramName).unalteredType

    return staticmethod(dataType)


def _wrap(cls):
    parameters = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        try:
            parameters[name] = _Parameter(cls, name, annotated)
        except NotImplementedError:
            raise
        except Exception as error:
            raise Exception(f"no way to store parameter {name} of {cls}") from error
    for name in parameters:
        setattr(cls, name, _property(name))
    extra = {
        "allParameters": parameters,
        "_is_parameter_node_wrapper": True,
        "dataType": _data_type_method(cls),
    }
    methods = {name: item for name, item in vars(_Wrapper).items() if not name.startswith("__")}
    for name, item in {**methods, **extra}.items():
        if hasattr(cls, name):
            raise ValueError(f"{name!r} is a name that the parameter node wrapper needs itself")
        setattr(cls, name, item)
    cls.__init__ = _Wrapper.__init__
    return cls


def findChildWidgetForParameter(widget, parameter):
    """Return the descendant of a widget that shows a parameter, or None."""
    import qt

    for child in widget.findChildren(qt.QWidget):
        if child.property(SlicerParameterNamePropertyName) == parameter:
            return child
    return None


def isParameterNodeWrapper(classOrObj):
    """Return whether a class, or the class of an object, was made by `parameterNodeWrapper`."""
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)


def parameterNodeWrapper(classtype=None):
    """Turn a class with annotated attributes into a parameter node wrapper; used as a decorator.

    The class is then made with a parameter node, and its attributes read and write the node.

    :raises NotAvailableHeadless: for a type of attribute that is not supported here.
    :raises ValueError: if an attribute or method has a name that the wrapper needs.
    """
    return _wrap if classtype is None else _wrap(classtype)
