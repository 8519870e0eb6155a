"""`slicer.app`: the application object, as of a Slicer started with --testing and without a main window.

Names and behavior are those of qSlicerCoreApplication and qSlicerApplication
(Base/QTCore/qSlicerCoreApplication.h, Base/QTGUI/qSlicerApplication.h).
"""

import importlib.metadata
import os

from . import event_hooks
from .io_manager import IOManager
from .unavailable import NotAvailableHeadless
from .widgets import start
from .widgets.settings import QSettings


class LoadedModule:
    """What `slicer.modules.<name>` gives: the module's name, and its logic or its path."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotAvailableHeadless(f"slicer.modules.{self.name.lower()}.{name}")


class CppModule(LoadedModule):
    """A module of Slicer's own, written in C++."""

    def __init__(self, name, logic):
        super().__init__(name)
        self._logic = logic

    def logic(self):
        """Return the module's logic."""
        return self._logic


class ScriptedModule(LoadedModule):
    """A module written in Python; `path` is its file. It has no logic object of its own here."""

    def __init__(self, name, path):
        super().__init__(name)
        self.path = os.fspath(path)
        self._representation = None

    def widgetRepresentation(self):
        """Return the module's widget, made on first use: set up, with the scene, not entered."""
        import shiboken6

        if self._representation is None or not shiboken6.isValid(self._representation):
            self._representation = self.createNewWidgetRepresentation()
        return self._representation

    def createNewWidgetRepresentation(self):
        """Return one more widget of the module, set up and with the scene."""
        import slicer

        widget = slicer.qSlicerScriptedLoadableModuleWidget(self.name)
        widget.setup()
        # Only then, as in Slicer: a panel must bear to have no scene.
        widget.setMRMLScene(slicer.mrmlScene)
        return widget

    def forget_widget(self, widget):
        """Make a new widget next time, if it is this one. Not part of Slicer."""
        if self._representation is widget:
            self._representation = None


class _ModuleFactoryManager:
    """Answers which modules are loaded."""

    def __init__(self, modules):
        self._modules = modules

    def loadedModuleNames(self):
        """Return the names of the loaded modules, such as "Volumes"."""
        return tuple(self._modules)


class _ModuleManager:
    """Finds loaded modules by name."""

    def __init__(self):
        self.modules = {}
        self.about_to_be_unloaded = []

    def connect(self, signal, callback):
        """Call a function with the module's name before a module is unloaded."""
        self._check(signal)
        self.about_to_be_unloaded.append(callback)
        return True

    def disconnect(self, signal, callback):
        """Undo `connect`; return whether there was something to undo."""
        self._check(signal)
        if callback not in self.about_to_be_unloaded:
            return False
        self.about_to_be_unloaded.remove(callback)
        return True

    def _check(self, signal):
        if signal != "moduleAboutToBeUnloaded(QString)":
            raise NotAvailableHeadless(f'slicer.app.moduleManager().connect("{signal}")')

    def module(self, name):
        """Return the module of that exact name, or None."""
        return self.modules.get(name)

    def factoryManager(self):
        """Return the object that lists module names."""
        return _ModuleFactoryManager(self.modules)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotAvailableHeadless(f"slicer.app.moduleManager().{name}")


class Application:
    """The parts of `slicer.app` that exist; any other name raises `NotAvailableHeadless`.

    :param scene: the MRML scene.
    :param application_logic: the vtkSlicerApplicationLogic.
    :param temporary_folder: folder for temporary files.
    """

    applicationName = "Slicer"

    def __init__(self, scene, application_logic, temporary_folder):
        numbers = importlib.metadata.version("slicer-core").split(".")
        # The package adds its own fourth number to Slicer's version.
        self.applicationVersion = ".".join(numbers[:3])
        self.majorVersion, self.minorVersion = int(numbers[0]), int(numbers[1])
        self.documentationBaseUrl = f"https://slicer.readthedocs.io/en/v{numbers[0]}.{numbers[1]}"
        self.temporaryPath = temporary_folder
        self.defaultScenePath = temporary_folder
        self._scene = scene
        self._application_logic = application_logic
        self._module_manager = _ModuleManager()
        self._io_manager = IOManager()
        self._layout_manager = None

    def mrmlScene(self):
        """Return the MRML scene, the same as `slicer.mrmlScene`."""
        return self._scene

    def applicationLogic(self):
        """Return the vtkSlicerApplicationLogic, with the slice logics of all slice views."""
        return self._application_logic

    def layoutManager(self):
        """Return None, as Slicer does when it has no main window; see `headless.main_window`."""
        return self._layout_manager

    def set_layout_manager(self, layout_manager):
        """Set what `layoutManager` returns. Not part of Slicer."""
        self._layout_manager = layout_manager

    def topLevelWidgets(self):
        """Return Qt's windows. There is no main window among them, unless a test has made one."""
        return list(start.start().topLevelWidgets()) if start.is_started() else []

    def coreIOManager(self):
        """Return the object behind `slicer.util.loadVolume`, `saveNode`, `saveScene` and so on."""
        return self._io_manager

    def moduleManager(self):
        """Return the object behind `slicer.util.getModule` and `slicer.util.moduleNames`."""
        return self._module_manager

    def moduleLogic(self, name):
        """Return the C++ logic of a module such as "Volumes", or None if there is no such module."""
        module = self._module_manager.module(name)
        return module.logic() if module is not None else None

    def userSettings(self):
        """Return the settings object, kept in memory."""
        return QSettings()

    settings = userSettings

    def testingEnabled(self):
        """Return True: there is nobody to answer a dialog, so `slicer.util` logs and goes on."""
        return True

    def translate(self, _context, text):
        """Return the text, as with no translation loaded."""
        return text

    def moduleDocumentationUrl(self, name):
        """Return the address of a module's page in Slicer's user guide."""
        return f"{self.documentationBaseUrl}/user_guide/modules/{name.lower()}.html"

    def processEvents(self):
        """Let Qt do what is due, if it runs, and what reports back later, such as command line modules."""
        event_hooks.call_hooks()
        if start.is_started():
            start.start().processEvents()

    def pauseRender(self):
        """Do nothing: there is no window to render."""

    def resumeRender(self):
        """Do nothing: there is no window to render."""

    def setOverrideCursor(self, cursor):
        """Change the cursor, which nobody sees, if Qt runs."""
        if start.is_started():
            start.start().setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        """Undo `setOverrideCursor`."""
        if start.is_started():
            start.start().restoreOverrideCursor()

    def restart(self):
        """Refuse.

        :raises NotAvailableHeadless: always.
        """
        raise NotAvailableHeadless("slicer.app.restart()")

    def connect(self, signal, _callback):
        """Accept "startupCompleted()" only: start-up is over, so as in Slicer it never fires again.

        :raises NotAvailableHeadless: for any other signal.
        """
        if signal != "startupCompleted()":
            raise NotAvailableHeadless(f'slicer.app.connect("{signal}")')

    def add_module(self, module):
        """Make a module known under `slicer.modules` and to the module manager. Not part of Slicer.

        :param module: the `LoadedModule`.
        """
        import slicer

        self._module_manager.modules[module.name] = module
        # Slicer uses lower case names there: slicer.modules.subjecthierarchy.
        setattr(slicer.modules, module.name.lower(), module)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotAvailableHeadless(f"slicer.app.{name}")
