"""The few names of the `qt` module that mean something without a screen.

`slicer.util` refers to them in functions that otherwise work: settings, log-only message displays
and the wait cursor. Every other name of `qt`, widgets first of all, raises a NotImplementedError.
"""

from Headless.unavailable import NotAvailableHeadless, partial_module


class QSettings:
    """Settings kept in memory, shared by all instances, empty at start.

    Keys are text such as "Developer/DeveloperMode". Unlike Qt's, they are not written to a file.
    """

    _values = {}

    def value(self, key, default=None):
        """Return the value stored under the key, or the default."""
        return self._values.get(key, default)

    def setValue(self, key, value):
        """Store a value under the key."""
        self._values[key] = value

    def contains(self, key):
        """Return whether the key has a value."""
        return key in self._values

    def remove(self, key):
        """Forget the key, and the keys below it when it is a group, as Qt does."""
        for known in [k for k in self._values if k == key or k.startswith(key + "/")]:
            del self._values[known]

    def allKeys(self):
        """Return the keys that have a value, sorted."""
        return sorted(self._values)


class QMessageBox:
    """Flag values of Qt's message box (https://doc.qt.io/qt-6/qmessagebox.html); it cannot be shown."""

    NoIcon, Information, Warning, Critical, Question = range(5)
    NoButton = 0x0
    Ok = 0x400
    Yes = 0x4000
    No = 0x10000
    Retry = 0x80000
    Close = 0x200000
    Cancel = 0x400000

    def __init__(self, *args, **kwargs):
        raise NotAvailableHeadless("qt.QMessageBox()")


class Qt:
    """The cursor shapes that `slicer.util` names (https://doc.qt.io/qt-6/qt.html#CursorShape-enum)."""

    ArrowCursor = 0
    WaitCursor = 3


class QApplication:
    """The wait cursor calls: there is no cursor to change."""

    @staticmethod
    def setOverrideCursor(_cursor):
        """Do nothing."""

    @staticmethod
    def restoreOverrideCursor():
        """Do nothing."""


def make_qt_module():
    """Return the stand-in for the Python module `qt`."""
    contents = {cls.__name__: cls for cls in (QSettings, QMessageBox, Qt, QApplication)}
    return partial_module("qt", contents, __doc__)
