"""PySide6's classes made to behave like PythonQt's, which Slicer's Python modules are written for.

All is generated from Qt's meta-objects, for every class derived from QObject:

- a property is an attribute: `label.text = "x"`, `label.text`, `timer.singleShot = True`; the methods
  `setText` and `isChecked` stay. Reached through the class, the name is still Qt's method:
  `QTimer.singleShot(0, f)`. Values are converted as PythonQt converts them: any object becomes text
  where text is wanted; whole and floating point numbers and bool stand for each other; NumPy's scalars
  do not.
- `name` is another name of `objectName`; a dynamic property, and a child by its name, can be read as
  attributes.
- setting an attribute that does not exist raises AttributeError. Python subclasses may have any attribute.
- `sender.connect("clicked(bool)", f)`, `sender.disconnect("clicked(bool)", f)`, also with receiver and
  slot as text; `sender.clicked.connect(f)`. The connection keeps `f` alive, passes as many arguments as
  `f` takes, and prints the exception of `f` instead of raising it. MRML classes may stand in a signature:
  "currentNodeChanged(vtkMRMLNode*)".
- `button.clicked()` emits the signal.

One difference is wanted: a signal that does not exist raises ValueError here; PythonQt only prints a line.

Facts: PythonQtInstanceWrapper.cpp, PythonQtSignalReceiver.cpp, PythonQtConversion.cpp of PythonQt, branch
"patched-10" of github.com/commontk/PythonQt.
"""

import inspect
import re
import sys
import traceback
import types

import shiboken6
from PySide6 import QtCore

# Exceptions of connected functions, oldest first; see `headless.qt_events`.
slot_errors = []

_connections = {}
_qt_classes = set()
_own_classes = set()
_property_names = set()


# --- Properties ---


class QtProperty:
    """A property of a C++ class as an attribute of its instances.

    :param prop: the QMetaProperty.
    :param method: the attribute of the class that has the same name, or None.
    """

    def __init__(self, prop, method):
        self.prop = prop
        self.method = method
        self._static = isinstance(method, staticmethod)

    def __get__(self, obj, owner=None):
        if obj is None:
            return self if self.method is None else self.method.__get__(None, owner)
        _check_alive(obj, self.prop.name())
        if self.method is not None and type(obj) not in _qt_classes and not self._static:
            # An instance of a Python class: Qt would ask Python for an override of sizeHint() and the
            # like, which is this attribute again.
            return self.method.__get__(obj, owner)()
        value = self.prop.read(obj)
        return tuple(value) if isinstance(value, list) else value

    def __set__(self, obj, value):
        _check_alive(obj, self.prop.name())
        prop = self.prop
        if not prop.isWritable():
            raise AttributeError(f"property {prop.name()!r} of {type(obj).__name__} cannot be set")
        converted = convert(value, prop.typeName())
        if converted is None or not prop.write(obj, converted):
            raise AttributeError(
                f"property {prop.name()!r} of type {prop.typeName()} does not take "
                f"a {type(value).__name__} ({value!r})"
            )


def convert(value, type_name):
    """Return a Python value as PythonQt would convert it to a Qt type, or None if it would not.

    :param type_name: name of the type in C++, such as "QString" or "double".
    """
    if type_name == "QString":
        return value.decode() if isinstance(value, bytes) else str(value)
    conversion = {"bool": bool, "int": int, "uint": int, "double": float, "float": float}.get(type_name)
    if conversion is None:
        return value
    return conversion(value) if isinstance(value, (bool, int, float)) else None


def _check_alive(obj, name):
    if not shiboken6.isValid(obj):
        raise ValueError(f"{name!r} of a {type(obj).__name__} that is deleted")


def _object_name(obj):
    return obj.objectName


def _set_object_name(obj, name):
    obj.objectName = name


# --- Signals ---


class BoundSignal:
    """A signal of one object: `connect`, `disconnect` and `emit`.

    :param sender: the object.
    :param signatures: what the signal's overloads are called, the default first.
    """

    def __init__(self, sender, signal, signatures):
        self._sender = sender
        self._signal = signal
        self._signatures = signatures

    def connect(self, receiver):
        """Call the function whenever the signal is emitted; return True."""
        return connect(self._sender, self._signatures[0], receiver)

    def disconnect(self, receiver=None):
        """Stop calling the function, or all functions; return whether there was one."""
        return disconnect(self._sender, self._signatures[0], receiver)

    def emit(self, *args):
        """Emit the signal; of several overloads one that takes the arguments."""
        fitting = [s for s in self._signatures if _fit(args, _parameter_types(s))]
        if not fitting:
            # Fewer arguments than the signal has: those with a default.
            self._signal.__get__(self._sender, type(self._sender)).emit(*args)
            return
        # True is a PyObject, too, but better a bool.
        signature = min(fitting, key=lambda s: "PyObject" in s)
        _qobject_emit(self._sender, "2" + signature, *args)

    __call__ = emit

    def __repr__(self):
        return f"<signal {self._signatures[0]} of {self._sender!r}>"


class SignalAttribute:
    """A signal as an attribute of the instances of a class."""

    def __init__(self, signal, signatures):
        self.signal = signal
        self.signatures = signatures

    def __get__(self, obj, owner=None):
        if obj is None:
            return self.signal
        _check_alive(obj, self.signatures[0])
        return BoundSignal(obj, self.signal, self.signatures)

    def __set__(self, obj, value):
        raise AttributeError(f"signal {self.signatures[0]} of {type(obj).__name__} cannot be overwritten")


def _parameter_types(signature):
    inside = signature[signature.index("(") + 1 : -1]
    return inside.split(",") if inside else []


def _fit(values, type_names):
    kinds = {"bool": bool, "int": int, "double": (int, float), "QString": str}
    pairs = zip(values, type_names, strict=False)
    return len(values) == len(type_names) and all(isinstance(v, kinds.get(t, object)) for v, t in pairs)


def signature_of(sender, signal):
    """Return the signature of a signal as the sender's meta-object spells it.

    :param signal: such as "clicked(bool)" or "currentNodeChanged(vtkMRMLNode*)".
    :raises ValueError: if the sender has no such signal.
    """
    text = signal[1:] if signal[:1].isdigit() else signal
    meta = sender.metaObject()
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(text).data()).decode()
    for candidate in (normalized, re.sub(r"vtk\w+\*", "PyObject", normalized)):
        if meta.indexOfSignal(candidate) >= 0:
            return candidate
    name = text.partition("(")[0]
    known = sorted({s for s in _signals(meta, 0) if s.partition("(")[0] == name})
    hint = f"there is {', '.join(known)}" if known else f"nor any other signal {name}"
    raise ValueError(f"{meta.className()} has no signal {signal}; {hint}")


def _signals(meta, start):
    """Return the signatures of a meta-object's signals from a method number on."""
    methods = [meta.method(index) for index in range(start, meta.methodCount())]
    return [
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal
    ]


def connect(sender, signal, receiver, slot=None, *_):
    """Connect a signal, given by its signature, with a function, or with an object's slot given as text.

    :return: True.
    :raises ValueError: if there is no such signal.
    :raises TypeError: if the receiver cannot be called.
    """
    signature = signature_of(sender, signal)
    if slot is not None:
        receiver = slot_function(receiver, slot)
    if not callable(receiver):
        raise TypeError(f"{signal} can be connected to something callable, not to {receiver!r}")

    def deliver(*args):
        try:
            receiver(*args[: _number_of_arguments(receiver)])
        except Exception as error:
            slot_errors.append(error)
            print(traceback.format_exc(), file=sys.stderr, end="")

    _qobject_connect(sender, "2" + signature, deliver)
    key = shiboken6.getCppPointer(sender)[0]
    if key not in _connections:
        _connections[key] = []
        # Another object may get the same address later: the list must not outlive this one.
        _qobject_connect(sender, "2destroyed(QObject*)", lambda *_: _connections.pop(key, None))
    _connections[key].append((signature, receiver, deliver))
    return True


def disconnect(sender, signal, receiver=None, slot=None):
    """Undo `connect`; without a receiver all functions that were connected.

    :return: whether there was something to disconnect.
    :raises ValueError: if there is no such signal.
    """
    signature = signature_of(sender, signal)
    if slot is not None:
        receiver = slot_function(receiver, slot)
    kept, removed = [], []
    key = shiboken6.getCppPointer(sender)[0]
    for entry in _connections.get(key, []):
        same = entry[0] == signature and (receiver is None or entry[1] == receiver)
        # As in PythonQt one call undoes one connection.
        (removed if same and (receiver is None or not removed) else kept).append(entry)
    for _, _, deliver in removed:
        _qobject_disconnect(sender, "2" + signature, deliver)
    if removed:
        _connections[key] = kept
    return bool(removed)


def slot_function(receiver, slot):
    """Return the bound method behind a slot such as "setMRMLScene(vtkMRMLScene*)".

    :raises ValueError: if the receiver has no such method or signal.
    """
    name = slot[1:].partition("(")[0] if slot[:1].isdigit() else slot.partition("(")[0]
    method = getattr(receiver, name, None)
    if not callable(method):
        raise ValueError(f"{type(receiver).__name__} has no slot {slot}")
    return _Slot(method, len(_parameter_types(slot)))


class _Slot:
    """A slot given as text: takes as many arguments as its text says; equal when it is the same one."""

    def __init__(self, method, count):
        self.method, self.count = method, count

    def __call__(self, *args):
        return self.method(*args[: self.count])

    def __eq__(self, other):
        return isinstance(other, _Slot) and (self.method, self.count) == (other.method, other.count)

    __hash__ = None


def _number_of_arguments(receiver):
    """Return how many arguments PythonQt passes at most, None for all; defaults count, self does not."""
    function = receiver.__func__ if inspect.ismethod(receiver) else receiver
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - inspect.ismethod(receiver)


# --- Attributes that are no properties ---


def _get_attribute(obj, name):
    """Find dynamic properties, and children by name."""
    if not name.startswith("__") and shiboken6.isValid(obj):
        value = obj.property(name)
        if value is not None:
            return value
        for child in obj.children():
            if child.objectName == name:
                return child
    raise AttributeError(f"{type(obj).__name__} has no attribute named {name!r}")


def _set_attribute(self, name, value):
    cls = type(self)
    strict = cls in _qt_classes or (cls in _own_classes and not name.startswith("_"))
    attribute = inspect.getattr_static(cls, name, None)
    if isinstance(attribute, QtCore.Property):
        _write_own_property(self, name, attribute, value)
        return
    if strict and not hasattr(type(attribute), "__set__"):
        if self.property(name) is None:
            raise AttributeError(
                f"{cls.__name__} has no attribute named {name!r}, and objects of C++ get no new ones"
            )
        self.setProperty(name, value)
        return
    _plain_setattr(self, name, value)


def _write_own_property(obj, name, attribute, value):
    # Not through Qt, which would print an exception and go on.
    meta = obj.metaObject()
    type_name = meta.property(meta.indexOfProperty(name)).typeName()
    converted = convert(value, type_name)
    if attribute.fset is None or converted is None:
        raise AttributeError(f"property {name!r} of type {type_name} does not take {value!r}")
    attribute.fset(obj, converted)


def _get_any_attribute(obj, name):
    # PySide6 resolves these two itself, because they are static functions, too: a method cannot replace them.
    if name == "connect":
        return types.MethodType(connect, obj)
    if name == "disconnect":
        return types.MethodType(disconnect, obj)
    return _plain_getattribute(obj, name)


def _delete(obj):
    """Delete the object at once."""
    shiboken6.delete(obj)


def _class_name(obj):
    return obj.metaObject().className()


def _find(original):
    def find(self, kind=QtCore.QObject, *args):
        """Find children by class, which may be a name, and by object name."""
        if not isinstance(kind, str):
            return original(self, kind, *args)
        children = [c for c in self.findChildren(QtCore.QObject, *args) if c.inherits(kind)]
        if original is _find_children:
            return children
        return children[0] if children else None

    return find


# --- Putting it in place ---

_qobject_connect = QtCore.QObject.connect
_qobject_disconnect = QtCore.QObject.disconnect
_qobject_emit = QtCore.QObject.emit
_find_children = QtCore.QObject.findChildren
_plain_getattribute = QtCore.QObject.__getattribute__
# The one below all of Qt's: Python lets no other be called once those of the subclasses are replaced.
_plain_setattr = shiboken6.Object.__setattr__


def adapt_qt(modules):
    """Adapt every class derived from QObject of some PySide6 modules; to be called once."""
    found = [getattr(module, name) for module in modules for name in dir(module)]
    classes = {cls for cls in found if isinstance(cls, type) and issubclass(cls, QtCore.QObject)}
    _qt_classes.update(classes)
    # Base classes first: theirs are the properties that a subclass may hide.
    for cls in sorted(classes, key=lambda cls: len(cls.__mro__)):
        _adapt(cls)
        cls.__setattr__ = _set_attribute
    base = QtCore.QObject
    base.__getattribute__ = _get_any_attribute
    base.__getattr__ = _get_attribute
    base.connect, base.disconnect = connect, disconnect
    base.className = _class_name
    base.delete = _delete
    base.name = property(_object_name, _set_object_name)
    base.findChildren, base.findChild = _find(_find_children), _find(base.findChild)


def adapt_own(cls):
    """Adapt a Python class that stands for one of C++; used as a decorator."""
    _own_classes.add(cls)
    _adapt(cls)
    return cls


def _adapt(cls):
    meta = cls.staticMetaObject
    if cls in _qt_classes:
        own = range(meta.propertyOffset(), meta.propertyCount())
        # Inherited ones, too: a class that overrides sizeHint() would hide the attribute of QWidget. What
        # a class written in Python defines stays: that is a descriptor already, or an override for Qt.
        hidden = [meta.indexOfProperty(name) for name in _property_names.intersection(cls.__dict__)]
        for index in {*own, *hidden} - {-1}:
            prop = meta.property(index)
            _property_names.add(prop.name())
            setattr(cls, prop.name(), QtProperty(prop, cls.__dict__.get(prop.name())))
    signatures = {}
    for signature in _signals(meta, meta.methodOffset()):
        signatures.setdefault(signature.partition("(")[0], []).append(signature)
    for name, overloads in signatures.items():
        if isinstance(cls.__dict__.get(name), QtCore.Signal):
            # Qt lists the form with all arguments before those that leave some out.
            setattr(cls, name, SignalAttribute(cls.__dict__[name], overloads))
