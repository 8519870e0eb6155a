"""A small scripted module, written like Slicer's template: what the tests of the widgets open."""

from enum import Enum
from typing import Annotated, Optional

import qt
import slicer
import vtk
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *  # noqa: F403
from slicer.util import VTKObservationMixin


class Mode(Enum):
    """Labels with letters beyond ASCII."""

    GRAY = "gray"
    COLOR = "Größe Ω"

    def label(self):
        """What the combo box shows."""
        return self.value


@parameterNodeWrapper
class ExampleParameters:
    """One parameter of each kind."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    outputVolume: Optional[slicer.vtkMRMLScalarVolumeNode]
    omega: Annotated[float, WithinRange(0.0, 1.0)] = 0.6
    count: Annotated[int, WithinRange(1, 9)] = 3
    device: Annotated[str, Choice(["auto", "cpu"])] = "auto"
    mode: Mode = Mode.COLOR
    legend: bool = True
    title: str = "λ"


class ExamplePanel(ScriptedLoadableModule):  # noqa: F405
    """What Slicer's module list shows."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        parent.title = "Example panel"
        parent.categories = ["Examples"]


class ExamplePanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.tag = None
        self.calls = []

    def setup(self):
        """Load the panel, and connect it."""
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        panel = slicer.util.loadUI(self.resourcePath("UI/ExamplePanel.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = ExamplePanelLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.connectParameters()

    def connectParameters(self):
        """Connect the scene's parameter node."""
        self.disconnectParameters()
        self.parameters = ExampleParameters(self.logic.getParameterNode())
        self.tag = self.parameters.connectGui(self.ui)
        self.addObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def disconnectParameters(self):
        """Let go of the parameter node."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self.tag)
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.update)
            self.parameters = None

    def enter(self):
        """Called when the panel is shown."""
        self.calls.append("enter")
        if self.parameters is None:
            self.connectParameters()

    def exit(self):
        """Called when another panel is shown."""
        self.calls.append("exit")
        self.disconnectParameters()

    def cleanup(self):
        """Called before the panel is deleted."""
        self.calls.append("cleanup")
        self.disconnectParameters()
        self.removeObservers()

    def onSceneStartClose(self, caller, event):
        """Called before the scene is emptied."""
        self.disconnectParameters()

    def onSceneEndClose(self, caller, event):
        """Called after the scene was emptied."""
        if self.parent.isEntered():
            self.connectParameters()

    def update(self, caller=None, event=None):
        """Say why the button is disabled."""
        ready = self.parameters is not None and self.parameters.inputVolume is not None
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = "Apply." if ready else "Choose an input volume."

    def onApply(self):
        """Start what takes a while."""
        with slicer.util.tryWithErrorDisplay("The example failed."):
            if self.parameters.count == 9:
                raise ArithmeticError("nine")
        self.ui.progressBar.value = 10
        qt.QTimer.singleShot(0, self.onDone)

    def onDone(self):
        """End it."""
        self.ui.progressBar.value = 100


class ExamplePanelLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    """Nothing but the parameter node."""


class ExamplePanelTest(ScriptedLoadableModuleTest):  # noqa: F405
    """The self test works on the panel, as a user does."""

    def test_panel(self):
        """Choose a volume."""
        slicer.mrmlScene.Clear()
        widget = slicer.util.getModuleWidget("ExamplePanel")
        widget.connectParameters()
        self.assertFalse(widget.ui.applyButton.enabled)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Head")
        self.assertIs(widget.parameters.inputVolume, node)
        self.assertTrue(widget.ui.applyButton.enabled)
        self.delayDisplay("The panel follows the scene")
