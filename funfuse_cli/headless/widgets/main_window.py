"""The main window, with nothing in it: only what `slicer.util` asks of it."""

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import adapt_own


@adapt_own
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """Selects modules by name; "" stands for none."""

    moduleSelected = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._selected = ""

    def selectModule(self, name):
        """Leave the selected module's panel, and enter the other's.

        :raises RuntimeError: if there is no such module.
        """
        import slicer

        if name == self._selected:
            return
        if name:
            slicer.util.getModule(name)
        self._panel("exit")
        self._selected = name
        self._panel("enter")
        self.moduleSelected.emit(name)

    def _panel(self, what):
        import slicer

        module = slicer.app.moduleManager().module(self._selected)
        if isinstance(module, slicer.qSlicerScriptedLoadableModule):
            panel = module.widgetRepresentation()
            if panel.isEntered() == (what == "exit"):
                getattr(panel, what)()

    selectedModule = Property(str, lambda self: self._selected)


@adapt_own
class qSlicerMainWindow(QtWidgets.QMainWindow):
    """A window of the name that `slicer.util.mainWindow` looks for."""

    def __init__(self):
        super().__init__()
        self.name = "qSlicerMainWindow"
        self._selector = qSlicerModuleSelectorToolBar(self)

    def moduleSelector(self):
        """Return the toolbar that selects modules."""
        return self._selector
