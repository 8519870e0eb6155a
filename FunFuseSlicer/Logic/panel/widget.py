"""The panel of the module, without the names that Slicer looks for; those are in FunFuseSlicer.py."""

import logging
import sys
import time
import traceback
from typing import Optional

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from ..color.colorize import NEED_PARTS
from ..errors import Cancelled, FunFuseError, InputError
from ..fusion.fuser import NETWORK, method_labels, method_problem
from ..monitor import Monitor
from ..registration import RegistrationOptions, available_engines
from ..scene import views
from ..scene.attributes import ATTRIBUTE, attribute, matrix_of
from ..scene.color_maps import use_color_map
from ..scene.export import export_outputs
from ..scene.lambda_preview import LambdaPreview
from ..scene.legend import show_legend
from ..scene.live_colors import LiveColors, Look
from ..scene.outputs import find_results
from ..scene.rollback import taken_back_after_an_error
from .alignment_check import AlignmentCheck
from .choices import AlignmentView, Device, Mode, Registration
from .combo_items import enable_item
from .inputs import guess, looks_swapped, problem
from .method_selector import MethodSelector
from .run_state import RunState, RunStateMachine
from .time_left import TimeLeft, in_words
from .torch_setup import install_torch, torch_problem

# Widgets that are not always enabled; their tool tips then say why.
CONDITIONAL = (
    "applyButton",
    "exportButton",
    "evaluateButton",
    "copyButton",
    "transformsButton",
    "alignmentComboBox",
    "registerAgainCheckBox",
    "advancedCollapsibleButton",
    "iterationsSpinBox",
    "modelComboBox",
    "lambdaSlider",
    "deviceComboBox",
    "balanceSlider",
)

# In the panel; the tables have all of them. b_P is the weight of the PET in the fused image.
METRICS_SHOWN = ("Q_IE", "Q_G", "Q_FMI", "Q_SSIM", "Q_VIFF", "b_P")


class Panel(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Turns choices into runs and looks, and says what is going on.

    All choices live in the parameter node. Its changes are told apart in :meth:`_onParametersModified`;
    what may be pressed, and why not, is decided in :meth:`_updatePanel` alone.
    """

    # The module's logic class.
    logicClass = None

    # Milliseconds: until the whole volume is painted after the last touch of a slider, until an automatic
    # run starts, between the images of the flicker, and until a new volume is looked at.
    SETTLE, AUTO, FLICKER, GUESS = 250, 400, 600, 200

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameters = self._guiTag = self._monitor = None
        self._nodes, self._network, self._painting = {}, None, None
        self._previews, self._autoWanted, self._layoutBefore = [], False, None
        self._look = self._seen = self._method = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    # Life of the panel

    def setup(self):
        """Build the panel; called once, before it is first shown."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/FunFuseSlicer.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = self.logicClass()
        self.run = RunStateMachine(self._updatePanel, self._onOtherPanel)
        self.live, self.preview, self.timeLeft = LiveColors(), LambdaPreview(), TimeLeft()
        self.alignment, self.methods = AlignmentCheck(), MethodSelector(self.ui.methodComboBox)
        self.ui.alignmentComboBox.addItems([choice.label() for choice in AlignmentView])
        self.ui.progressBar.setVisible(False)
        self._tips = {name: getattr(self.ui, name).toolTip for name in CONDITIONAL}

        self._timers = []
        self._settleTimer = self._timer(self._paintAll, self.SETTLE)
        self._stepTimer = self._timer(self._paintStep, 0)
        self._previewTimer = self._timer(self._previewStep, 0)
        self._autoTimer = self._timer(self._autoRun, self.AUTO)
        self._flickerTimer = self._timer(self._flicker, self.FLICKER)
        self._guessTimer = self._timer(self._guessInputs, self.GUESS)
        self._resultsTimer = self._timer(self._followResults, 0)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.swapButton.connect("clicked(bool)", self.onSwapButton)
        self.ui.rigidButton.connect("clicked(bool)", self.onRigidButton)
        self.ui.installTorchButton.connect("clicked(bool)", self.onInstallTorchButton)
        self.ui.fourPanesButton.connect("toggled(bool)", self.onFourPanesButton)
        self.ui.methodComboBox.connect("currentIndexChanged(int)", self.onMethodChanged)
        self.ui.alignmentComboBox.connect("currentIndexChanged(int)", self.onAlignmentChanged)
        self.ui.evaluateButton.connect("clicked(bool)", self.onEvaluateButton)
        self.ui.copyButton.connect("clicked(bool)", self.onCopyButton)
        self.ui.exportButton.connect("clicked(bool)", self.onExportButton)
        self.ui.transformsButton.connect("clicked(bool)", self.onTransformsButton)

        mrmlScene = slicer.mrmlScene
        self.addObserver(mrmlScene, mrmlScene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(mrmlScene, mrmlScene.EndCloseEvent, self._onSceneEndClose)
        self.addObserver(mrmlScene, mrmlScene.EndImportEvent, self._onSceneEndImport)
        self.addObserver(mrmlScene, mrmlScene.NodeAddedEvent, self._onNodesChanged)
        self.addObserver(mrmlScene, mrmlScene.NodeRemovedEvent, self._onNodesChanged)
        self._useParameterNode()

    def cleanup(self):
        """The panel goes away, for good or to be loaded again: stop all that runs, show the results."""
        self._stop()
        self.removeObservers()
        self._disconnectParameters()
        for timer, action in self._timers:
            # Else it would keep the panel, which keeps it, forever.
            timer.disconnect("timeout()", action)
        self._timers = []

    def enter(self):
        """The user opened the module."""
        if self._parameters is None:
            self._useParameterNode()
        else:
            self._guessInputs()

    def exit(self):
        """The user went to another module: what is temporary ends, what runs goes on."""
        self.ui.alignmentComboBox.currentIndex = 0
        self._endPreview()

    def onReload(self):
        """Developer mode: load the library anew, too, not only this file."""
        for name in [name for name in sys.modules if name.startswith("FunFuseSlicer.")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def _onSceneStartClose(self, _caller=None, _event=None):
        self._stop()
        self._disconnectParameters()

    def _onSceneEndClose(self, _caller=None, _event=None):
        self._useParameterNode()

    def _onSceneEndImport(self, _caller=None, _event=None):
        self._useParameterNode()
        if self._nodes and self._parameters.previewing:
            self._parameters.previewing = False
            views.show_overlay(self._parameters.mri, self._nodes["colored"])

    def _onNodesChanged(self, _caller=None, _event=None):
        if self._parameters is not None and not slicer.mrmlScene.IsBatchProcessing():
            if self._nodes and not self._resultsAreThere():
                self._usePair()
            # Voxels and headers of a volume that is being loaded come after the node.
            self._guessTimer.start()
            self._updatePanel()

    def _stop(self):
        """End what runs and what is temporary."""
        if self._monitor is not None:
            self._monitor.cancel()
            self.run.cancel()
        self.ui.alignmentComboBox.currentIndex = 0
        self._endPreview()
        self._finishPainting()
        for timer, _action in self._timers:
            timer.stop()

    def _timer(self, action, milliseconds: int):
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", action)
        self._timers.append((timer, action))
        return timer

    # The parameter node

    def _useParameterNode(self):
        """Connect the panel to the scene's parameter node, and fill in what can be guessed."""
        self._disconnectParameters()
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return
        self._parameters = self.logic.getParameterNode()
        self._guessInputs()
        if self._parameters.registration is Registration.BRAINS and "BRAINS" not in available_engines():
            self._parameters.registration = Registration.SIMPLEITK
        # connectGui would do, but in Slicer 5.8 it returns no tag, and cannot be undone.
        self._guiTag = self._parameters.connectParametersToGui(self._widgetsByParameter())
        self.addObserver(
            self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified
        )
        self._seen = self._method = None
        self._onParametersModified()
        # The layout is part of the scene.
        self.ui.fourPanesButton.checked = views.four_panes_are_open()

    def _guessInputs(self):
        """Fill the selectors that are empty."""
        if self._parameters is None or not self.run.free:
            return
        chosen, found = self._parameters, guess(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
        if chosen.mri is None and found.mri is not chosen.pet:
            chosen.mri = found.mri
        if chosen.pet is None and found.pet is not chosen.mri:
            chosen.pet = found.pet

    def _widgetsByParameter(self) -> dict:
        """The widgets that stand for a parameter, as the form says."""
        pairs = [(widget.property("SlicerParameterName"), widget) for widget in vars(self.ui).values()]
        return {name: widget for name, widget in pairs if name}

    def _disconnectParameters(self):
        if self._parameters is None:
            return
        node = self._parameters.parameterNode
        self._parameters.disconnectGui(self._guiTag)
        if self.hasObserver(node, vtk.vtkCommand.ModifiedEvent, self._onParametersModified):
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._parameters = self._guiTag = None
        self._watchInputs(None, None)

    def _onParametersModified(self, _caller=None, _event=None):
        """Something was chosen: do what follows from it."""
        if self._parameters is None:
            return
        self._followMethod()
        chosen = self._parameters
        seen = {
            "pair": (chosen.mri, chosen.pet),
            "look": Look(chosen.omega, chosen.balance, chosen.mode.value, chosen.colormap),
            "fuser": (chosen.method, chosen.model.value, round(chosen.lam, 6))
            if self._usesNetwork()
            else (chosen.method,),
            "legend": chosen.legend,
        }
        before, self._seen = self._seen or {}, seen
        changed = {name for name, value in seen.items() if before.get(name) != value}
        self._look = seen["look"]
        if "pair" in changed:
            self._usePair()
        elif "look" in changed:
            self._paintShown()
        if "fuser" in changed and "pair" not in changed:
            self._showOtherFuser()
        if changed & {"legend", "pair"}:
            self._showLegend()
        if changed != {"look"}:
            # A slider of the look, which is dragged, decides nothing about what can be pressed.
            self._updatePanel()

    def _usesNetwork(self) -> bool:
        return self._parameters.method == NETWORK

    def _followMethod(self):
        """Colors that only the network gives make way for the uptake, and come back with the network."""
        if slicer.mrmlScene.IsImporting():
            return
        chosen, before = self._parameters, self._method
        # First: what is changed here comes back here.
        self._method = chosen.method
        self.methods.show(chosen.method)
        if self._usesNetwork():
            if before not in (None, NETWORK):
                chosen.mode = chosen.modeOfNetwork
        elif before == NETWORK or chosen.mode.value in NEED_PARTS:
            chosen.modeOfNetwork = chosen.mode
            chosen.mode = Mode.UPTAKE

    def _usePair(self):
        """Other inputs were chosen, or their results changed: work on the results of this pair."""
        self.ui.alignmentComboBox.currentIndex = 0
        self._endPreview()
        self._finishPainting()
        mri, pet = self._parameters.mri, self._parameters.pet
        self._watchInputs(mri, pet)
        self.removeObservers(self._onResultsModified)
        self._nodes = find_results(mri, pet) if mri is not None and pet is not None else {}
        self.live.use(self._nodes)
        self.preview.use(mri, self._nodes)
        self.alignment.use(mri, self._nodes.get("pet_registered"))
        if self._nodes:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            self.addObserver(self._nodes["fused"], event, self._onResultsModified)

    def _onResultsModified(self, _caller=None, _event=None):
        """Results were computed anew, perhaps by a script: forget the voxels of before."""
        self._painting = None
        self.live.use(self._nodes)
        self._resultsTimer.start()

    def _followResults(self):
        """Another method may have made them, with other nodes."""
        chosen = self._parameters
        if chosen is None or not self.run.free or not self._resultsAreThere():
            return
        if find_results(chosen.mri, chosen.pet) != self._nodes:
            self._usePair()
        self._updatePanel()

    def _resultsAreThere(self) -> bool:
        return bool(self._nodes) and all(slicer.mrmlScene.IsNodePresent(n) for n in self._nodes.values())

    def _watchInputs(self, mri, pet):
        event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        self.removeObservers(self._onImageModified)
        for node in {mri, pet} - {None}:
            self.addObserver(node, event, self._onImageModified)

    def _onImageModified(self, _caller=None, _event=None):
        if self._parameters.autoUpdate and self._nodes:
            self._autoTimer.start()

    # The look: live, without the network

    def _paintShown(self):
        """Color the shown slices now, and the whole volume when the slider rests."""
        if not self._nodes or not self.run.free:
            return
        self._painting = None
        try:
            self.live.paint_shown(self._look)
        except FunFuseError as error:
            self._say(str(error))
            return
        if self.preview.active:
            self._wantPreviews()
        self._settleTimer.start()

    def _paintAll(self):
        if self._nodes:
            shown = [self._nodes[role] for role in ("pet_registered", "pet_part") if role in self._nodes]
            use_color_map(shown, self._look.colormap)
            self._painting = self.live.paint_all(self._look)
            self._stepTimer.start()

    def _paintStep(self):
        if self._painting is None:
            return
        # As many small steps as fit between two frames of the screen.
        end = time.monotonic() + 0.015
        while time.monotonic() < end:
            if next(self._painting, None) is None:
                self._painting = None
                return
        self._stepTimer.start()

    def _finishPainting(self):
        """Bring the colored volume up to date at once, if it still is there."""
        if not self._resultsAreThere():
            self._settleTimer.stop()
            self._painting = None
        if self._settleTimer.active:
            self._settleTimer.stop()
            self._paintAll()
        for _fraction in self._painting or ():
            pass
        self._painting = None

    def _showLegend(self):
        if self._nodes:
            pet = self._nodes["pet_registered"]
            show_legend(pet, self._parameters.legend, self._parameters.pet.GetName())

    # Another λ, model or method: a preview, or a run

    def _showOtherFuser(self):
        if not self._nodes or not self.run.free:
            return
        self._network = None
        if self._parameters.autoUpdate:
            self._autoTimer.start()
        # A preview is of the network, and colored as the network's results.
        if self._isUpToDate() or not self._usesNetwork() or "pet_part" not in self._nodes:
            self._endPreview()
        elif torch_problem() is None:
            self._wantPreviews()

    def _isUpToDate(self) -> bool:
        """Whether the results are those of the chosen method, model and λ."""
        if self._methodOfResults() != self._parameters.method:
            return False
        if not self._usesNetwork():
            return True
        model, lam = (attribute(self._nodes["fused"], name) for name in ("Model", "Lambda"))
        return model == self._parameters.model.value and abs(float(lam or -1) - self._parameters.lam) < 1e-6

    def _methodOfResults(self) -> str:
        return attribute(self._nodes["fused"], "Method") or NETWORK

    def _wantPreviews(self):
        self._previews = self.preview.views()
        self._previewTimer.start()

    def _previewStep(self):
        """Fuse the plane of one view; the others follow, so that the slider stays free."""
        if not self._previews or not self._nodes or not self.run.free:
            return
        logic = self._previews.pop(0)
        with slicer.util.tryWithErrorDisplay(_("The preview failed.")):
            if self._network is None:
                from ..fusion.models import load_model

                model = load_model(self._parameters.model.value)
                self._network = model.at_lambda(self._parameters.lam)
            self.preview.show(logic, self._network, self._look)
            self._parameters.previewing = True
            sliceNode = logic.GetSliceNode()
            if not self.hasObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceMoved):
                self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceMoved)
        if self._previews:
            self._previewTimer.start()
        self._updatePanel()

    def _onSliceMoved(self, caller, _event=None):
        """The user scrolls through a preview."""
        for logic in self.preview.views():
            if logic.GetSliceNode() is caller and logic not in self._previews:
                self._previews.append(logic)
                self._previewTimer.start()

    def _endPreview(self):
        self._previews = []
        self.removeObservers(self._onSliceMoved)
        if self.preview.active:
            self.preview.end()
            if self._parameters is not None:
                self._parameters.previewing = False

    def _autoRun(self):
        if not self.run.free:
            self._autoWanted = True
        elif self._parameters is not None and self._nodes and self._reasonNotToRun() is None:
            self._run(show=False)

    # A run

    def onApplyButton(self, _checked=False):
        """Start a run, or stop the one that runs."""
        if self.run.state is RunState.IDLE:
            self._run(show=True)
        else:
            self.run.cancel()
            self._monitor.cancel()

    def _begin(self) -> bool:
        """Start what can be cancelled; only the panel where nothing runs may, others say so."""
        if not self.run.free:
            self._say(_("Another FunFuse panel is at work: wait until it is done."))
            return False
        self._monitor, self._autoWanted = Monitor(self._onProgress), False
        self.run.start()
        return True

    def _end(self, said: str):
        """The end of it, however it went."""
        self._monitor = None
        self._say(said)
        self.run.finish()

    def _tell(self, sentence: str, error: Exception):
        """An error, with the technical cause, where there is one, behind the button for details."""
        details = {}
        if error.__cause__ is not None or not isinstance(error, FunFuseError):
            details["detailedText"] = traceback.format_exc()
        slicer.util.errorDisplay(sentence, windowTitle=_("FunFuse"), **details)

    def _onOtherPanel(self):
        """Another panel, which works on the same choices, started or ended a run."""
        if self._parameters is not None:
            self._usePair()
            self._updatePanel()

    def _run(self, show: bool, matrix: Optional[np.ndarray] = None):
        """Register where needed, fuse and color. The panel stays alive through the monitor's reports.

        :param matrix: 4×4 in RAS, PET to MRI, to use instead of registering.
        """
        if not self._begin():
            return
        chosen, before = self._parameters, self._seen
        said = _("Cancelled: the scene is as it was.")
        try:
            self.ui.alignmentComboBox.currentIndex = 0
            self._endPreview()
            self._finishPainting()
            matrix = self._matrixToReuse() if matrix is None else matrix
            result = self.logic.process(
                chosen.mri,
                chosen.pet,
                self._fusionOptions(),
                self._registrationOptions(),
                chosen.mask,
                self._monitor,
                show,
                matrix,
            )
            said = self._useResult(result)
        except Cancelled:
            logging.info("FunFuse: cancelled")
        except FunFuseError as error:
            said = str(error)
            self._tell(said, error)
        except Exception as error:
            said = _("The run failed: {reason}").format(reason=str(error) or type(error).__name__)
            logging.exception("FunFuse failed")
            self._tell(said, error)
        finally:
            self._end(said)
        self._catchUp(before)

    def _catchUp(self, before: dict):
        """Do what was put off while a run was under way.

        :param before: what was chosen at its start, see :meth:`_onParametersModified`.
        """
        if self._parameters is None:
            return
        if self._seen["look"] != before["look"]:
            self._paintShown()
        if self._seen["fuser"] != before["fuser"]:
            self._showOtherFuser()
        if self._autoWanted:
            self._autoTimer.start()

    def _onProgress(self, stage: str, fraction: Optional[float]):
        if self._parameters is None:
            return
        left = self.timeLeft.update(stage, fraction)
        bar = self.ui.progressBar
        bar.maximum = 0 if fraction is None else 100
        bar.value = 0 if fraction is None else round(100 * fraction)
        if self.run.state is RunState.RUNNING:
            text = _("{stage} …").format(stage=_(stage))
            self._say(
                text if left is None else f"{text} {_('about {time} left').format(time=in_words(left))}"
            )
        slicer.app.processEvents()

    def _useResult(self, result) -> str:
        """Show a run's results in the panel; returns what to say."""
        if self._parameters is None:
            return ""
        self._parameters.registerAgain = False
        self._usePair()
        self.live.keep_gradients(result.nodes.colored, result.fusion.gradients)
        self._showLegend()
        if self.ui.fourPanesButton.checked:
            self._fillPanes()
        # While nobody does anything.
        self._painting = self.live.get_ready(self._look)
        self._stepTimer.start()
        return " ".join([_("Done in {time}.").format(time=in_words(result.seconds)), *result.notes])

    def _fusionOptions(self):
        from ..fusion.pipeline import FusionOptions

        chosen = self._parameters
        return FusionOptions(
            lam=chosen.lam,
            omega=chosen.omega,
            balance=chosen.balance,
            mode=chosen.mode.value,
            colormap=chosen.colormap,
            device=chosen.device.value,
            model=chosen.model.value,
            method=chosen.method,
        )

    def _registrationOptions(self) -> Optional[RegistrationOptions]:
        chosen = self._parameters
        if chosen.registration is Registration.ALIGNED:
            return None
        return RegistrationOptions(
            engine=chosen.registration.value,
            stages=("rigid",) if chosen.rigidOnly else ("rigid", "scale", "affine"),
            sampling_fraction=chosen.sampling,
            masks="automatic" if chosen.headMasks else "none",
            iterations=chosen.iterations,
            far_apart=chosen.farApart,
        )

    def _matrixToReuse(self):
        """The transform of an earlier run, perhaps corrected by hand; None to register."""
        chosen, transform = self._parameters, self._nodes.get("transform")
        if transform is None or chosen.registerAgain or chosen.registration is Registration.ALIGNED:
            return None
        matrix = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToParent(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)

    # Other buttons

    def onSwapButton(self, _checked=False):
        """Exchange MRI and PET."""
        node = self._parameters.parameterNode
        modifying = node.StartModify()
        self._parameters.mri, self._parameters.pet = self._parameters.pet, self._parameters.mri
        node.EndModify(modifying)

    def onRigidButton(self, _checked=False):
        """Fuse again with the rigid result of the registration, which the last run set aside."""
        matrix = matrix_of(self._nodes["fused"], "RigidMatrix")
        if matrix is not None and self.run.state is RunState.IDLE:
            self._run(show=True, matrix=matrix)

    def onInstallTorchButton(self, _checked=False):
        """Let the PyTorch extension install PyTorch."""
        with slicer.util.tryWithErrorDisplay(_("PyTorch was not installed.")):
            if install_torch():
                self._say(_("PyTorch is installed."))
            self._updatePanel()

    def onFourPanesButton(self, checked):
        """MRI, PET, fused and colored side by side, or one overlay."""
        if checked:
            self._layoutBefore = views.open_four_panes() or self._layoutBefore
            self._fillPanes()
        else:
            views.close_four_panes(self._layoutBefore)

    def _fillPanes(self):
        chosen, nodes = self._parameters, self._nodes
        pet = nodes.get("pet_registered", chosen.pet)
        views.show_in_panes(chosen.mri, pet, nodes.get("fused"), nodes.get("colored"))

    def onMethodChanged(self, _index):
        """Another fusion method was chosen."""
        if self._parameters is not None:
            self._parameters.method = self.methods.name

    def onAlignmentChanged(self, index):
        """Show or end one of the views that tell whether PET and MRI lie on each other."""
        view = list(AlignmentView)[max(index, 0)]
        self._flickerTimer.stop()
        self._endPreview()
        with slicer.util.tryWithErrorDisplay(_("The alignment cannot be shown.")):
            self.alignment.show(view)
            if view is AlignmentView.FLICKER:
                self._flickerTimer.start()

    def _flicker(self):
        if self.alignment.active:
            self.alignment.flicker()
            self._flickerTimer.start()

    def onEvaluateButton(self, _checked=False):
        """Fill the table and the chart of the metrics."""
        from ..scene import evaluation as evaluation_nodes

        if not self._begin():
            return
        before, said = self._seen, _("Cancelled: the scene is as it was.")
        try:
            self._finishPainting()
            mri, nodes = self._parameters.mri, self._nodes
            rows = evaluation_nodes.evaluate_nodes(mri, nodes, monitor=self._monitor)
            for node in (mri, *nodes.values()):
                if not slicer.mrmlScene.IsNodePresent(node):
                    raise InputError(_("The volumes were removed from the scene meanwhile."))
            with taken_back_after_an_error(self._evaluation()):
                made = evaluation_nodes.push_evaluation(mri, nodes, rows)
            means = evaluation_nodes.means(rows)
            shown = [f"{name} {means[name]:.3f}" for name in METRICS_SHOWN if name in means]
            nodes["fused"].SetAttribute(ATTRIBUTE.format("Metrics"), ", ".join(shown))
            evaluation_nodes.show_evaluation(made.chart, made.summary)
            said = _('The metrics are in the tables "{summary}" and "{slices}".').format(
                summary=made.summary.GetName(), slices=made.slices.GetName()
            )
        except Cancelled:
            logging.info("FunFuse: cancelled")
        except Exception as error:
            said = _("The evaluation failed: {reason}").format(reason=str(error) or type(error).__name__)
            self._tell(said, error)
        finally:
            self._end(said)
        self._catchUp(before)

    def _tables(self) -> list:
        """The tables of Evaluate, if it was pressed since the last run: the means, and the slices."""
        if not self._nodes or not attribute(self._nodes["fused"], "Metrics"):
            return []
        from ..scene.evaluation import find_evaluation

        found = find_evaluation(self._nodes["fused"])
        return [] if found is None else [found.summary, found.slices]

    def _evaluation(self) -> list:
        """All nodes of an earlier evaluation of these results."""
        from ..scene.evaluation import find_evaluation

        found = find_evaluation(self._nodes["fused"])
        return [] if found is None else [found.summary, found.slices, found.chart, *found.series.values()]

    def onCopyButton(self, _checked=False):
        """Put the metrics on the clipboard, means first."""
        from ..scene.evaluation import as_text

        qt.QApplication.clipboard().setText("\n".join(as_text(table) for table in self._tables()))
        self._say(_("The metrics are on the clipboard."))

    def onExportButton(self, _checked=False):
        """Write the results into a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(self.parent, _("Folder for the results"))
        if folder:
            with slicer.util.tryWithErrorDisplay(_("The results were not written."), waitCursor=True):
                self._finishPainting()
                files = export_outputs(self._nodes, folder, self._tables())
                self._say(_("{count} files written to {folder}.").format(count=len(files), folder=folder))

    def onTransformsButton(self, _checked=False):
        """Open the PET's transform in the module Transforms."""
        slicer.app.openNodeModule(self._nodes["transform"])

    # What the panel shows

    def _say(self, text: str):
        # A run may outlive its panel by a moment, when the module is loaded again meanwhile.
        if self._parameters is not None:
            self.ui.statusLabel.text = text

    def _reasonNotToRun(self) -> Optional[str]:
        chosen = self._parameters
        if self.run.busy_elsewhere:
            return _("Another FunFuse panel is at work: wait until it is done.")
        reason = problem(chosen.mri, chosen.pet, chosen.mask) or torch_problem()
        return reason or method_problem(chosen.method)

    def _updatePanel(self):
        """The one place that decides what can be pressed, and that says why not."""
        if self._parameters is None:
            return
        chosen, ui, idle = self._parameters, self.ui, self.run.state is RunState.IDLE
        reason = self._reasonNotToRun()
        swapped = looks_swapped(chosen.mri, chosen.pet)
        ui.noticeFrame.setVisible(bool(idle and (reason or swapped)))
        ui.noticeLabel.text = " ".join(text for text in (reason, swapped) if text)
        ui.swapButton.setVisible(bool(swapped))
        ui.installTorchButton.setVisible(torch_problem() is not None)

        ui.applyButton.text = _("Apply") if idle else _("Cancel")
        stopping = self.run.state is RunState.CANCELLING
        self._enable("applyButton", _("Stopping …") if stopping else reason if idle else None)
        if stopping:
            self._say(_("Stopping …"))
        ui.progressBar.setVisible(not idle)
        for name in ("inputs", "registration", "fusion", "display"):
            getattr(ui, f"{name}CollapsibleButton").enabled = idle

        working = None if self.run.free else _("Wait until the run is done, or cancel it.")
        missing = working or (
            None if self._nodes else _("There are no results of this pair yet: press Apply.")
        )
        for name in ("exportButton", "evaluateButton", "alignmentComboBox"):
            self._enable(name, missing)
        measured = None if self._tables() else _("Press Evaluate first.")
        self._enable("copyButton", missing or measured)
        registered = None if "transform" in self._nodes else _("The PET was not registered here.")
        self._enable("transformsButton", missing or registered)
        registers = None if chosen.registration is not Registration.ALIGNED else _("Nothing is registered.")
        self._enable("registerAgainCheckBox", registers or missing or registered)
        self._enable("advancedCollapsibleButton", registers)
        self._updateMethod()
        brains = chosen.registration is Registration.BRAINS
        self._enable("iterationsSpinBox", None if brains else _("Only BRAINS takes a number of iterations."))
        self._describeResults()

    def _updateMethod(self):
        """What only the network has, and which methods can be used."""
        self.methods.update()
        alone = fixed = None
        if not self._usesNetwork():
            label = _labelOf(self._parameters.method)
            alone = _("Only FunFuse tells what came from each image; {method} does not.").format(method=label)
            fixed = _("Only for FunFuse: {method} has no model or λ to choose, and runs on the CPU.").format(
                method=label
            )
        for name in ("modelComboBox", "lambdaSlider", "deviceComboBox"):
            self._enable(name, fixed)
        self._enable("balanceSlider", alone)
        for index, mode in enumerate(Mode):
            enable_item(self.ui.modeComboBox, index, alone if mode.value in NEED_PARTS else None)

    def _enable(self, name: str, reason: Optional[str]):
        """Enabled, or disabled with the reason in its tool tip."""
        widget = getattr(self.ui, name)
        widget.enabled = not reason
        widget.toolTip = reason or self._tips[name]

    def _usedDevice(self, node) -> str:
        device = attribute(node, "UsedDevice")
        if device == "cpu":
            automatic = attribute(node, "Device") == Device.AUTOMATIC.value
            return _("CPU (there is no GPU that PyTorch can use)") if automatic else _("CPU")
        return _("GPU ({name})").format(name=device)

    def _describeResults(self):
        fused = self._nodes.get("fused")
        self.ui.rigidButton.setVisible(fused is not None and matrix_of(fused, "RigidMatrix") is not None)
        if fused is None:
            self.ui.resultLabel.text = _("No results yet.")
            self.ui.registrationLabel.text = _("Not registered yet.")
            return
        self.ui.deviceLabel.text = _("In use: {device}").format(device=self._usedDevice(fused))
        self.ui.registrationLabel.text = attribute(fused, "RegistrationSummary")
        self.ui.registrationLabel.toolTip = attribute(fused, "RegistrationDetails")
        method = self._methodOfResults()
        if method == NETWORK:
            text = _('"{name}": model {model}, λ = {lam}.').format(
                name=fused.GetName(),
                model=attribute(fused, "Model"),
                lam=attribute(fused, "Lambda"),
            )
        else:
            text = _('"{name}": {method}.').format(name=fused.GetName(), method=_labelOf(method))
        chosen = self._parameters.method
        if method != chosen and method_problem(chosen) is None:
            text += " " + _("Press Apply for {method}.").format(method=_labelOf(chosen))
        metrics = attribute(fused, "Metrics")
        if metrics:
            text += " " + _(
                "Mean over the slices: {metrics}. (An unfused MRI scores high on some of them, too.)"
            ).format(metrics=metrics)
        if self.preview.active:
            text += " " + _("The views preview λ = {lam}: press Apply for the whole volume.").format(
                lam=f"{self._parameters.lam:g}"
            )
        self.ui.resultLabel.text = text


def _labelOf(method: str) -> str:
    """What people read for a method; the name itself of one that is not known."""
    return method_labels().get(method, method)
