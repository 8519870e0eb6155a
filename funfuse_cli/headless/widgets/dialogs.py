"""Nothing may wait for a user, since there is none.

Message boxes, and the functions that ask for a file, a text or a color, raise `NotAvailableHeadless`
instead of waiting for ever, unless a test has given the answer with `answers`. Any other dialog really runs
`exec_`, because a timer may close it, as `slicer.util.delayDisplay` does; when nothing has closed it after
`PATIENCE_SECONDS` it is rejected, with an error.
"""

import contextlib

from PySide6 import QtCore, QtWidgets

from ..unavailable import NotAvailableHeadless

PATIENCE_SECONDS = 10

_given = []

_ASKING = {
    QtWidgets.QMessageBox: ("about", "aboutQt", "critical", "information", "question", "warning"),
    QtWidgets.QInputDialog: ("getDouble", "getInt", "getItem", "getMultiLineText", "getText"),
    QtWidgets.QFileDialog: (
        "getExistingDirectory",
        "getExistingDirectoryUrl",
        "getOpenFileName",
        "getOpenFileNames",
        "getOpenFileUrl",
        "getOpenFileUrls",
        "getSaveFileName",
        "getSaveFileUrl",
    ),
    QtWidgets.QColorDialog: ("getColor",),
    QtWidgets.QFontDialog: ("getFont",),
}


@contextlib.contextmanager
def answers(*values):
    """Give the answers to the dialogs that the code under test will open, in their order.

    An answer is what Qt's function or `exec_` would return, such as `qt.QMessageBox.Yes` or a path.

    :raises AssertionError: at the end, if not all were asked for.
    """
    _given.extend(values)
    try:
        yield
        if _given:
            raise AssertionError(f"no dialog asked for {_given}")
    finally:
        _given.clear()


def _answer(name):
    def answer(*_args, **_kwargs):
        if not _given:
            raise NotAvailableHeadless(f"{name} would wait for a user, and there is none; it")
        return _given.pop(0)

    return answer


def _execute(original):
    def execute(self):
        """Run the dialog until something closes it."""
        late = []

        def give_up():
            late.append(True)
            self.reject()

        timer = QtCore.QTimer()
        timer.singleShot = True
        timer.timeout.connect(give_up)
        timer.start(1000 * PATIENCE_SECONDS)
        result = original(self)
        timer.stop()
        if late:
            raise NotAvailableHeadless(f"{type(self).__name__} {self.windowTitle!r} waited for a user; it")
        return result

    return execute


def never_wait():
    """Put it in place; to be called once, after `pythonqt.adapt_qt`."""
    execute = _execute(QtWidgets.QDialog.exec)
    QtWidgets.QDialog.exec = QtWidgets.QDialog.exec_ = execute
    for cls, names in _ASKING.items():
        for name in names:
            setattr(cls, name, staticmethod(_answer(f"{cls.__name__}.{name}")))
        cls.exec = cls.exec_ = _answer(f"{cls.__name__}.exec_")
    QtWidgets.QMenu.exec = QtWidgets.QMenu.exec_ = _answer("QMenu.exec_")
