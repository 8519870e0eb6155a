"""Starting Qt on first use, and what the Python modules `qt`, `ctk` and `slicer` get from it.

Nothing here imports PySide6 before a widget is wanted: the command line works without Qt's system libraries.
"""

import atexit
import importlib.util
import logging
import os
import pathlib
import sys
import types

from ..unavailable import NotAvailableHeadless, NotInModuleHeadless
from . import names
from .settings import QSettings

# What slicer.util needs in functions that work without Qt: see `_without_qt`.
_FLAGS = dict(NoButton=0, Ok=0x400, Yes=0x4000, No=0x10000, Retry=0x80000, Close=0x200000, Cancel=0x400000)
_ICONS = dict(NoIcon=0, Information=1, Warning=2, Critical=3, Question=4)

_started = {}


def is_started():
    """Return whether Qt runs."""
    return "application" in _started


def start():
    """Start Qt if it does not run yet, and return the QApplication.

    :raises ImportError: if PySide6 is not installed, or lacks a library of the system.
    """
    if is_started():
        return _started["application"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    if "PySide6" not in sys.modules:
        # PythonQt's enumerations are whole numbers; PySide6 reads this when it is imported.
        sys.pyside6_option_python_enum = 0x2
    from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

    QtCore.qInstallMessageHandler(_log_message)
    # At the end of the process Qt outlives Python's logging.
    atexit.register(QtCore.qInstallMessageHandler, None)
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
    application.setQuitOnLastWindowClosed(False)
    application.setStyle("Fusion")
    _set_light_palette(application, QtGui)
    _set_font(application, QtGui)
    from . import dialogs, pythonqt

    _keep_single_shot(QtCore, pythonqt)
    pythonqt.adapt_qt([QtCore, QtGui, QtWidgets])
    dialogs.never_wait()
    _started["modules"] = (QtWidgets, QtGui, QtCore, QtUiTools)
    _started["application"] = application
    return application


def _log_message(_kind, _context, message):
    """Log what Qt has to say, but for what it says of every window of this platform."""
    if "propagateSizeHints" not in message:
        logging.getLogger("qt").warning(message)


def _set_light_palette(application, QtGui):
    """A clean light look that does not depend on the machine."""
    role = QtGui.QPalette.ColorRole
    palette = QtGui.QPalette(QtGui.QColor(239, 239, 239))
    for name, color in {
        "Base": (255, 255, 255),
        "AlternateBase": (247, 247, 247),
        "Highlight": (48, 140, 198),
        "HighlightedText": (255, 255, 255),
        "ToolTipBase": (255, 255, 220),
    }.items():
        palette.setColor(getattr(role, name), QtGui.QColor(*color))
    application.setPalette(palette)


def _set_font(application, QtGui):
    """Load a font: Qt's offscreen platform has none of its own. Matplotlib brings DejaVu Sans along."""
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None:
        return
    folder = pathlib.Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf"
    families = []
    for file in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono"):
        number = QtGui.QFontDatabase.addApplicationFont(str(folder / f"{file}.ttf"))
        families += QtGui.QFontDatabase.applicationFontFamilies(number)
    if families:
        application.setFont(QtGui.QFont(families[0], 9))


def _keep_single_shot(QtCore, pythonqt):
    """Let the functions of `QTimer.singleShot(ms, f)` fail as slots do: printed and noted, not raised."""
    original = QtCore.QTimer.singleShot

    def singleShot(milliseconds, *receiver):
        """Call a function, or a receiver's slot given as text, after some time."""
        timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
        timer.setSingleShot(True)
        pythonqt.connect(timer, "timeout()", *receiver)
        timer.timeout.connect(timer.deleteLater)
        timer.start(int(milliseconds))

    singleShot.__wrapped__ = original
    QtCore.QTimer.singleShot = staticmethod(singleShot)


def _qt_attribute(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'qt' has no attribute {name!r}")
    try:
        start()
    except ImportError as error:
        return _without_qt(name, error)
    if name == "QUiLoader":
        from .ui_files import QUiLoader  # which needs PySide6

        return QUiLoader
    for module in _started["modules"]:
        if hasattr(module, name):
            return getattr(module, name)
    raise NotInModuleHeadless(f"qt.{name}")


def _without_qt(name, reason):
    """Return the few names that mean something without Qt: what slicer.util refers to but does not use."""
    if name == "QMessageBox":
        return type("QMessageBox", (), {**_FLAGS, **_ICONS, "__init__": _refuse})
    if name == "Qt":
        return type("Qt", (), dict(ArrowCursor=0, WaitCursor=3))
    if name == "QApplication":
        nothing = staticmethod(lambda *_: None)
        return type("QApplication", (), dict(setOverrideCursor=nothing, restoreOverrideCursor=nothing))
    raise NotInModuleHeadless(f"qt.{name} (PySide6 cannot be imported: {reason}); it") from reason


def _refuse(self, *_args, **_kwargs):
    raise NotAvailableHeadless(f"qt.{type(self).__name__}()")


def _widget(name):
    start()
    return names.widget_class(name)


def _ctk_attribute(name):
    if name.startswith("__"):
        raise AttributeError(f"module 'ctk' has no attribute {name!r}")
    if name not in names.CTK:
        raise NotInModuleHeadless(f"ctk.{name}")
    return _widget(name)


def _slicer_attribute(name):
    if name not in names.SLICER:
        raise AttributeError(f"module 'slicer' has no attribute {name!r}")
    return _widget(name)


def make_qt_module():
    """Return the Python module `qt`; Qt starts when a name of it is asked for, but for QSettings."""
    module = types.ModuleType("qt", "Qt as PythonQt presents it.")
    module.QSettings = QSettings
    module.__getattr__ = _qt_attribute
    return module


def make_ctk_module():
    """Return the Python module `ctk`."""
    module = types.ModuleType("ctk", "Widgets of CTK, made for tests.")
    module.__getattr__ = _ctk_attribute
    return module


def add_to_slicer(slicer):
    """Give the package `slicer` its widget classes."""
    slicer.__getattr__ = _slicer_attribute
