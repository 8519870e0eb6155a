"""Another λ or model before it is applied: when its preview is shown, and in which views."""

import slicer
import vtk
from slicer.i18n import tr as _

from ..scene import views
from ..scene.attributes import attribute
from ..scene.lambda_preview import LambdaPreview
from . import torch_setup
from .section import Section


class PreviewSection(Section):
    """Fuses the planes of the views one after the other, so that the slider stays free."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self.volumes = LambdaPreview()
        # The views that wait for their turn.
        self.waiting, self._network = [], None
        self._timer = self.timer(self.step, 0)

    @property
    def active(self) -> bool:
        """Whether views show a preview."""
        return self.volumes.active

    def use_results(self) -> None:
        """Ends a preview of others."""
        self.volumes.use(self.session.choices.mri, self.session.nodes)

    def follow_fuser(self) -> None:
        """Another method, model or λ was chosen."""
        if not self.session.ready:
            return
        self._network = None
        # A preview is of the network, and colored as the network's results.
        network = self.session.uses_network and "pet_part" in self.session.nodes
        if not network or self._is_up_to_date():
            self.end()
        elif torch_setup.torch_problem() is None:
            self._begin()

    def follow_look(self) -> None:
        """Other colors were chosen."""
        if self.active:
            self._begin()

    def _is_up_to_date(self) -> bool:
        """Whether the results are those of the network, with the chosen model and λ."""
        session, chosen = self.session, self.session.choices
        model, lam = (attribute(session.nodes["fused"], name) for name in ("Model", "Lambda"))
        return (
            session.method_of_results == chosen.method
            and model == chosen.model.value
            and abs(float(lam or -1) - chosen.lam) < 1e-6
        )

    def _begin(self):
        self.waiting = self.volumes.views()
        self._timer.start()

    def step(self) -> None:
        """Show it in the view whose turn it is."""
        if not self.waiting or not self.session.ready:
            return
        logic, chosen = self.waiting.pop(0), self.session.choices
        with slicer.util.tryWithErrorDisplay(_("The preview failed.")):
            if self._network is None:
                from ..fusion.models import load_model

                self._network = load_model(chosen.model.value).at_lambda(chosen.lam)
            self.volumes.show(logic, self._network, self.session.seen.look)
            chosen.previewing = True
            slice_node = logic.GetSliceNode()
            if not self.hasObserver(slice_node, vtk.vtkCommand.ModifiedEvent, self._on_slice_moved):
                self.addObserver(slice_node, vtk.vtkCommand.ModifiedEvent, self._on_slice_moved)
        if self.waiting:
            self._timer.start()
        self.session.refresh()

    def _on_slice_moved(self, caller, _event=None):
        """The user scrolls through a preview."""
        for logic in self.volumes.views():
            if logic.GetSliceNode() is caller and logic not in self.waiting:
                self.waiting.append(logic)
                self._timer.start()

    def end(self) -> None:
        """Show the results again."""
        self.waiting = []
        self.removeObservers(self._on_slice_moved)
        if self.active:
            self.volumes.end()
            if self.session.choices is not None:
                self.session.choices.previewing = False

    def end_saved(self) -> None:
        """A scene was loaded whose views showed a preview when it was saved: it is not in the file."""
        if self.session.nodes and self.session.choices.previewing:
            self.session.choices.previewing = False
            views.show_overlay(self.session.choices.mri, self.session.nodes["colored"])
