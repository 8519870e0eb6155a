"""The panel of the module, without the names that Slicer looks for; those are in FunFuseSlicer.py."""

import sys
from typing import Set

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from ..scene.run import Run
from .alignment_section import AlignmentSection
from .blend_section import BlendSection
from .difference_section import DifferenceSection
from .display_section import DisplaySection
from .fusion_section import FusionSection
from .input_section import InputSection
from .live_section import LiveSection
from .registration_section import RegistrationSection
from .result_section import ResultSection
from .run_section import RunSection
from .session import Seen, Session
from .tracer_section import TracerSection
from .values_section import ValuesSection
from .work_section import WorkSection


class Panel(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Wires the sections, and tells them what happens: to the panel, to the scene, to the choices."""

    # The module's logic class.
    logicClass = None

    def __init__(self, parent=None):
        VTKObservationMixin.__init__(self)
        self.logic = self.session = self._guiTag = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    # Life of the panel

    def setup(self):
        """Build the panel; called once, before it is first shown."""
        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/FunFuseSlicer.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = self.logicClass()
        self._makeSections(self.ui)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._useParameterNode)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        # Before the selectors, which would choose a neighbor of the node that goes.
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeGoes, priority=100.0)
        self._useParameterNode()

    def _makeSections(self, ui):
        self.session = session = Session(self.logic, ui.statusLabel, self._update, self._onOtherPanel)
        self.inputs = InputSection(ui, session)
        self.registration = RegistrationSection(ui, session)
        self.fusion = FusionSection(ui, session)
        self.tracer = TracerSection(ui, session)
        self.live = LiveSection(ui, session, self.fusion.options, self._paintLive)
        self.work = WorkSection(ui, session, self._catchUp)
        self.alignment = AlignmentSection(ui, session, self.work)
        self.display = DisplaySection(ui, session, self._followResults)
        self.difference = DifferenceSection(ui, session, self.work, self._catchUpLive, self.alignment.end)
        self.blend = BlendSection(ui, session, self._uncover)
        chosen = [self.inputs, self.tracer, self.registration, self.fusion]
        self.runs = RunSection(ui, session, self.work, *chosen, self.live, self._settle, self._showResult)
        self.results = ResultSection(ui, session, self.work, self._catchUpLive, self.parent)
        self.values = ValuesSection(ui, session, self.work, self._catchUpLive)
        shown = [self.live, self.alignment, self.display, self.blend]
        self.sections = [*chosen, *shown, self.work, self.runs, self.results]
        self.sections += [self.values, self.difference]

    def cleanup(self):
        """The panel goes away, for good or to be loaded again: stop all that runs, show the results."""
        self._stop()
        self.exit()
        self.removeObservers()
        for section in self.sections:
            section.close()

    def enter(self):
        """The user opened the module."""
        if self.session.choices is None:
            self._useParameterNode()
        else:
            self.inputs.guess()
        for section in self.sections:
            section.enter()

    def exit(self):
        """The user went to another module: what is temporary ends, what runs goes on."""
        for section in self.sections:
            section.leave()

    def onReload(self):
        """Developer mode: load the library anew, too, not only this file."""
        for name in [name for name in sys.modules if name.startswith("FunFuseSlicer.")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onApplyButton(self, _checked=False):
        """Start a run, or stop the one that runs."""
        self.runs.onApplyButton()

    def _update(self):
        """Each section decides what can be pressed there, and says why not; by :func:`.enabling.enable`."""
        if self.session.choices is not None:
            for section in self.sections:
                section.update()
            self.session.show_status([section.advice() for section in self.sections])

    # The scene

    def _onSceneStartClose(self, _caller=None, _event=None):
        self._stop()
        self.session.scenes_closed += 1
        self.session.outcome = ""

    def _onSceneEndImport(self, _caller=None, _event=None):
        self.results.add_series_again()
        self._useParameterNode()

    def _onNodesChanged(self, _caller=None, _event=None):
        if self.session.choices is not None and not slicer.mrmlScene.IsBatchProcessing():
            if self.session.nodes and not self.session.results_are_there():
                self.session.outcome = ""
                self._usePair()
                self._update()
            # A layout alone brings dozens of nodes.
            self.inputs.guess_soon()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeGoes(self, _caller, _event, node):
        if self.session.choices is not None and not slicer.mrmlScene.IsClosing():
            self.inputs.forget(node)
            self.difference.forget(node)

    def _stop(self, _caller=None, _event=None):
        """The scene closes, or the panel: end what runs and what is temporary."""
        self.work.cancel()
        self._settle()
        for section in self.sections:
            section.stop()
        self._disconnectParameters()

    def _uncover(self):
        """The views have the overlay again, not what was laid over it for a while."""
        self.alignment.end()
        self.difference.hide()

    def _settle(self, monitor=None):
        """End what covers the results, and bring the colors up to date."""
        self.alignment.end()
        self.live.end()
        self.display.finish_painting(monitor)

    # The parameter node, which holds all choices

    def _useParameterNode(self, _caller=None, _event=None):
        """Connect the panel to the scene's parameter node, and fill in what can be guessed."""
        self._disconnectParameters()
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return
        chosen = self.session.choices = self.logic.getParameterNode()
        self.inputs.guess()
        self.registration.use_available_engine()
        # connectGui would do, but in Slicer 5.8 it returns no tag, and cannot be undone.
        widgets = [(widget.property("SlicerParameterName"), widget) for widget in vars(self.ui).values()]
        self._guiTag = chosen.connectParametersToGui({name: widget for name, widget in widgets if name})
        self.addObserver(chosen.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self.session.seen = None
        self.fusion.forget_method()
        self.tracer.forget()
        self._onParametersModified()
        self.display.follow_layout()

    def _disconnectParameters(self):
        if self.session.choices is not None:
            self.session.choices.disconnectGui(self._guiTag)
            self.removeObservers(self._onParametersModified)
            self.session.choices = None
            self.runs.removeObservers()

    def _onParametersModified(self, _caller=None, _event=None):
        """Something was chosen: do what follows from it."""
        if self.session.choices is None:
            return
        self.tracer.follow()
        self.fusion.follow_method()
        changed = self.session.look_again()
        if changed & {"pair", "fuser"} or not changed:
            # Of other choices than the present ones, such as another registration.
            self.session.outcome = ""
        if "pair" in changed:
            self._usePair()
        else:
            self._follow(changed)
        if changed & {"legend", "pair"}:
            self.display.show_legend()
        if not changed or changed - {"look", "blend"}:
            # A slider that is dragged decides nothing about what can be pressed.
            self._update()

    def _follow(self, changed: Set[str]):
        """Another blend or look, or another method, model or λ, for the same pair."""
        if "blend" in changed:
            self.blend.show()
        if "look" in changed:
            self.display.paint_shown()
        if "fuser" in changed:
            self.runs.follow_fuser()

    # The results, and the runs that make them

    def _usePair(self):
        """Other inputs were chosen, or their results changed: work on the results of this pair."""
        self._settle()
        self.session.use_results()
        for section in self.sections:
            section.use_results()

    def _followResults(self):
        """Results were computed anew: another method may have made them, with other nodes."""
        session = self.session
        if session.choices is not None and session.run.free and session.results_are_there():
            if session.find_results() != session.nodes:
                self._usePair()
            self._update()

    def _onOtherPanel(self):
        """Another panel, which works on the same choices, began or ended a run."""
        if self.session.choices is not None:
            self._usePair()
            self._update()

    def _showResult(self, result: Run):
        self.session.choices.registerAgain = False
        self._usePair()
        # Other inputs may have been chosen meanwhile, by a script.
        if self.session.nodes.get("colored") is result.nodes.colored:
            self.display.show_result(result)
            self.blend.show()

    def _paintLive(self):
        """The live fusion is done: new voxels, old colors, on a scale of their own."""
        self.display.show_legend()
        if not self.display.paint_shown():
            self.display.settle_timer.start()

    def _catchUpLive(self, monitor=None):
        """Results as they are chosen, for whoever reads them."""
        self.live.finish(monitor)
        self.display.finish_painting(monitor)

    def _catchUp(self, before: Seen):
        """Do what was put off while something ran."""
        self._follow(self.session.seen.changes(before))
        self.live.catch_up()
        self.runs.catch_up()
