"""How a value of each type is kept in a parameter node: see `parameter_node_wrapper`."""

import enum
import logging
import types
import typing

from .parameter_annotations import IsInstance, IsNone, NotNone, split, split_validators
from .unavailable import NotAvailableHeadless


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
                    validate(storage, value)
                except Exception as error:
                    refusal = error
                else:
                    return index
        raise refusal or TypeError(f"no alternative takes a {type(value)} ({value!r})")


def validate(storage, value):
    """Run the checks of a storage on a value; they raise what they refuse it with."""
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


def storage_for(type_, validators):
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
        storage = _Text(lambda t: t is type(None), None, lambda _: "True", lambda _: None, [IsNone()])
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


def _annotated_storage(annotated):
    type_, annotations = split(annotated)
    validators, others = split_validators(annotations)
    if others:
        logging.warning("Unused annotations: %s", others)
    return storage_for(type_, validators)
