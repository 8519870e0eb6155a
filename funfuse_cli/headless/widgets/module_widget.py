"""qSlicerScriptedLoadableModuleWidget: the widget that Slicer's module panel shows for a scripted module.

Facts: Base/QTGUI/qSlicerScriptedLoadableModuleWidget.cxx and qSlicerAbstractModule.cxx of Slicer.
"""

import sys

from PySide6 import QtWidgets

from .mrml_widgets import qSlicerWidget
from .pythonqt import adapt_own


@adapt_own
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """Holds the Python object `<Name>Widget` of a module, and passes setup, enter and exit on to it.

    :param module_name: name of the module, whose file is imported already.
    """

    def __init__(self, module_name, parent=None):
        super().__init__(parent)
        self._module_name = module_name
        self._self, self._entered = None, False
        QtWidgets.QVBoxLayout(self)
        self._make_self()

    def _make_self(self):
        import slicer

        class_name = f"{self._module_name}Widget"
        widget_class = getattr(sys.modules[self._module_name], class_name)
        self._self = widget_class(self)
        setattr(slicer.modules, class_name, self._self)

    def self(self):
        """Return the Python object."""
        return self._self

    def setup(self):
        """Let the Python object make its widgets."""
        import slicer

        self.name = f"{self._module_name}ModuleWidget"
        description = getattr(slicer.modules, f"{self._module_name}Instance").parent
        self.windowTitle = description.title
        if description.icon is not None:
            self.windowIcon = description.icon
        self._self.setup()

    def enter(self):
        """Tell the Python object that its panel is shown."""
        self._entered = True
        self._call("enter")

    def exit(self):
        """Tell the Python object that its panel is not shown any more."""
        self._entered = False
        self._call("exit")

    def isEntered(self):
        """Return whether the panel is shown."""
        return self._entered

    def reload(self):
        """Make the Python object anew from the module's class as it is now; `slicer.util` calls it."""
        self._make_self()
        self.setup()

    def setEditedNode(self, node, role="", context=""):
        """Ask the Python object to show a node; return whether it does."""
        edit = getattr(self._self, "setEditedNode", None)
        return bool(edit(node, role, context)) if edit is not None else False

    def _call(self, name):
        method = getattr(self._self, name, None)
        if method is not None:
            method()
