"""qMRMLWidget and what is built on it, and the number widgets of MRML.

Facts: Libs/MRML/Widgets/qMRMLWidget.h and Base/QTGUI/qSlicerWidget.h of Slicer.
"""

from PySide6 import QtWidgets
from PySide6.QtCore import Signal

from .double_slider import ctkDoubleSpinBox, ctkSliderWidget
from .pythonqt import adapt_own


@adapt_own
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows a scene and tells others of it: `mrmlSceneChanged(vtkMRMLScene*)`."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        """Return the scene, None at first."""
        return self._scene

    def setMRMLScene(self, scene):
        """Set the scene; the signal comes only when it is another one."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@adapt_own
class qSlicerWidget(qMRMLWidget):
    """The application's widget that knows a scene; in Slicer not derived from qMRMLWidget, but like it."""


@adapt_own
class qMRMLSliderWidget(ctkSliderWidget):
    """ctkSliderWidget without units of measurement."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, _scene):
        """Accept the scene, in which Slicer looks up units."""


@adapt_own
class qMRMLSpinBox(ctkDoubleSpinBox):
    """ctkDoubleSpinBox without units of measurement."""

    def setMRMLScene(self, _scene):
        """Accept the scene, in which Slicer looks up units."""
