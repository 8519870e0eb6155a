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

import abc
import enum
import logging
import types
import typing
import weakref

from .parameter_gui import Decimals, GuiConnector, SingleStep, createGuiConnector, parameterNodeGuiConnector
from .unavailable import NotAvailableHeadless, NotInModuleHeadless

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


# --- Annotations ---


class Default:
    """Default value of a parameter; a generator, if given, is called for every use."""

    def __init__(self, value=None, *, generator=None):
        self._value = value
        self._generator = generator

    @property
    def value(self):
        """The default value."""
        return self._generator() if self._generator else self._value

    def __eq__(self, other):
        if not isinstance(other, Default):
            return False
        return (self._value, self._generator) == (other._value, other._generator)

    def __repr__(self):
        return f"Default(value={self._value!r}, generator={self._generator!r})"


class Validator(abc.ABC):
    """Base of the checks that run before a value is stored."""

    @abc.abstractmethod
    def validate(self, value):
        """Raise an exception, normally a ValueError, if the value is not acceptable."""


class NotNone(Validator):
    """Refuses None with a ValueError."""

    def validate(self, value):
        """Raise ValueError for None."""
        if value is None:
            raise ValueError("a value is needed, not None")


class _IsNone(Validator):
    def validate(self, value):
        if value is not None:
            raise ValueError(f"only None is possible, not {value!r}")


class IsInstance(Validator):
    """Refuses values of another type with a TypeError; None passes."""

    def __init__(self, classtype):
        self.classtype = classtype

    def validate(self, value):
        """Raise TypeError unless the value is None or an instance of the type."""
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"the type must be {self.classtype}, not {type(value)} ({value!r})")


class WithinRange(Validator):
    """Refuses values outside a range, ends included, with a ValueError."""

    def __init__(self, minimum, maximum):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value):
        """Raise ValueError unless minimum <= value <= maximum, also for NaN."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value!r} is outside of {self.minimum} to {self.maximum}")


class Minimum(Validator):
    """Refuses values below a minimum with a ValueError."""

    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        """Raise ValueError if value < minimum."""
        if value < self.minimum:
            raise ValueError(f"{value!r} is below {self.minimum}")


class Maximum(Validator):
    """Refuses values above a maximum with a ValueError."""

    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        """Raise ValueError if value > maximum."""
        if value > self.maximum:
            raise ValueError(f"{value!r} is above {self.maximum}")


class Choice(Validator):
    """Refuses values that are not among the choices with a ValueError."""

    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        """Raise ValueError unless the value is one of the choices."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class Exclude(Validator):
    """Refuses the values listed with a ValueError."""

    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value):
        """Raise ValueError if the value is excluded."""
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is excluded")


# --- How a value of each type is kept in the node ---


class _Text:
    """A value kept as the text of one parameter. `accepts` tells which Python types it can store."""

    def __init__(self, accepts, default, to_text, from_text, validators):
        self.accepts = accepts
        self.default = default
        self.validators = validators
        self._to_text = to_text
        self._from_text = from_text

    def is_in(self, node, name):
        return node.HasParameter(name)

    def write(self, node, name, value):
        node.SetParameter(name, self._to_text(value))

    def read(self, node, name):
        return self._from_text(node.GetParameter(name))

    def remove(self, node, name):
        node.UnsetParameter(name)


class _NodeReference:
    """A MRML node or None, kept as a node reference."""

    default = None

    def __init__(self, node_class):
        import slicer

        # As in Slicer, any node class is a candidate; the validator then picks the right one.
        self.accepts = lambda type_: issubclass(type_, slicer.vtkMRMLNode)
        self.validators = [IsInstance(node_class)]

    def is_in(self, node, name):
        return node.HasParameter(name)

    def write(self, node, name, value):
        # A reference to nothing leaves no trace: the empty parameter tells None from never set.
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class _Alternatives:
    """A value of one of several types, kept by the storage of the first one that takes it."""

    validators = ()
    accepts = staticmethod(lambda type_: False)

    def __init__(self, storages):
        self._storages = storages
        optional = len(storages) == 2 and storages[1].accepts(type(None))
        self.default = None if optional else storages[0].default

    def is_in(self, node, name):
        return any(storage.is_in(node, f"{name}.{i}") for i, storage in enumerate(self._storages))

    def write(self, node, name, value):
        index = self._index_for(value)
        modifying = node.StartModify()
        try:
            self.remove(node, name)
            self._storages[index].write(node, f"{name}.{index}", value)
        finally:
            node.EndModify(modifying)

    def read(self, node, name):
        for index, storage in enumerate(self._storages):
            if storage.is_in(node, f"{name}.{index}"):
                return storage.read(node, f"{name}.{index}")
        raise KeyError(f"the parameter node has no value for {name}")

    def remove(self, node, name):
        for index, storage in enumerate(self._storages):
            storage.remove(node, f"{name}.{index}")

    def _index_for(self, value):
        refusal = None
        for index, storage in enumerate(self._storages):
            if storage.accepts(type(value)):
                try:
                    _validate(storage, value)
                except Exception as error:
                    refusal = error
                else:
                    return index
        raise refusal or TypeError(f"no alternative takes a {type(value)} ({value!r})")


def _validate(storage, value):
    for validator in storage.validators:
        validator.validate(value)


def _number(type_):
    # A float parameter takes an int too; an int parameter takes no float.
    checks = [NotNone(), IsInstance((int, float) if type_ is float else int)]
    # Alternatives are told apart by exact type, and int and float count as the same kind there.
    return _Text(lambda t: t in (int, float), 0, str, type_, checks)


def _enumeration(type_):
    def member(name):
        try:
            return type_[name]
        except KeyError:
            raise ValueError(f"{name!r} is no member of {type_}") from None

    if len(type_) == 0:
        raise ValueError(f"{type_} has no member to be the default")
    first = next(iter(type_))
    return _Text(lambda t: issubclass(t, enum.Enum), first, lambda v: v.name, member, [IsInstance(type_)])


def _storage_for(type_, validators):
    """Return the storage for a type without annotations; the given checks run after the type's own."""
    import slicer

    if type_ in (int, float):
        storage = _number(type_)
    elif type_ is str:
        storage = _Text(lambda t: t is str, "", str, str, [NotNone(), IsInstance(str)])
    elif type_ is bool:
        checks = [NotNone(), IsInstance(bool)]
        storage = _Text(lambda t: t is bool, False, str, lambda text: text == "True", checks)
    elif type_ is type(None):
        storage = _Text(lambda t: t is type(None), None, lambda _: "True", lambda _: None, [_IsNone()])
    elif isinstance(type_, type) and issubclass(type_, enum.Enum):
        storage = _enumeration(type_)
    elif isinstance(type_, type) and issubclass(type_, slicer.vtkMRMLNode):
        storage = _NodeReference(type_)
    elif typing.get_origin(type_) is typing.Union or isinstance(type_, types.UnionType):
        storage = _Alternatives([_annotated_storage(arm) for arm in typing.get_args(type_)])
    else:
        raise NotAvailableHeadless(f"a parameter of type {type_}")
    storage.validators = [*storage.validators, *validators]
    return storage


def _split(annotated):
    """Return the bare type and the list of its annotations."""
    if typing.get_origin(annotated) is typing.Annotated:
        type_, *annotations = typing.get_args(annotated)
        return type_, annotations
    return annotated, []


def _annotated_storage(annotated):
    type_, annotations = _split(annotated)
    validators, others = _split_validators(annotations)
    if others:
        logging.warning("Unused annotations: %s", others)
    return _storage_for(type_, validators)


def _split_validators(annotations):
    validators = [item for item in annotations if isinstance(item, Validator)]
    return validators, [item for item in annotations if not isinstance(item, Validator)]


# --- The wrapper ---


class _Parameter:
    """One annotated attribute of the wrapper class; the same for all instances."""

    def __init__(self, owner, name, annotated):
        self.basename = name
        self.unalteredType = annotated
        type_, annotations = _split(annotated)
        validators, annotations = _split_validators(annotations)
        self.storage = _storage_for(type_, validators)
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
        _validate(self.parameter.storage, value)
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
