"""The inputs: guessed where nothing is chosen, checked before a run, exchanged when they lie wrong."""

from typing import Optional

import slicer
from slicer.i18n import tr as _

from ..fusion.fuser import method_problem
from ..scene.attributes import attribute, name_of
from . import torch_setup
from .choices import Unit
from .inputs import guess, looks_swapped, problem
from .run_state import RunState
from .section import Section


class InputSection(Section):
    """The selectors, and the notice on top: what is in the way of a run, with buttons that mend it."""

    # Milliseconds: voxels and headers of a volume that is being loaded come after the node.
    GUESS = 200

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._guess_timer = self.timer(self._look_again, self.GUESS)
        ui.swapButton.connect("clicked(bool)", self.onSwapButton)
        ui.installTorchButton.connect("clicked(bool)", self.onInstallTorchButton)

    def guess(self) -> None:
        """Fill the selectors that are empty."""
        chosen = self.session.choices
        if chosen is None or not self.session.run.free:
            return
        found = guess(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
        if chosen.mri is None and found.mri is not chosen.pet:
            chosen.mri = found.mri
        if chosen.pet is None and found.pet is not chosen.mri:
            chosen.pet = found.pet

    def forget(self, node) -> None:
        """A node leaves the scene: where it was chosen, nothing is."""
        chosen = self.session.choices
        for name in ("mri", "pet", "mask", "reference", "regions", "otherStudy"):
            if getattr(chosen, name) is node:
                setattr(chosen, name, None)

    def _look_again(self):
        self.guess()
        self.session.refresh()

    def guess_soon(self) -> None:
        """The scene has other nodes."""
        self._guess_timer.start()

    def reason_not_to_run(self) -> Optional[str]:
        """What is in the way of a run, as a sentence; None when nothing is."""
        chosen = self.session.choices
        if self.session.run.busy_elsewhere:
            return _("Another FunFuse panel is at work: wait until it is done.")
        reason = problem(chosen.mri, chosen.pet, chosen.mask) or self._torch_problem()
        if not reason and chosen.unit is Unit.SUVR and chosen.reference is None:
            return _("SUVR is relative to a reference region: choose one, or another unit.")
        return reason or method_problem(chosen.method)

    def _torch_problem(self) -> Optional[str]:
        return torch_setup.torch_problem() if torch_setup.needs_torch(self.session.choices) else None

    def update(self) -> None:
        """The notice and its buttons."""
        ui, chosen = self.ui, self.session.choices
        reason, swapped = self.reason_not_to_run(), looks_swapped(chosen.mri, chosen.pet)
        idle = self.session.run.state is RunState.IDLE
        ui.noticeFrame.setVisible(bool(idle and (reason or swapped)))
        ui.noticeLabel.text = " ".join(text for text in (reason, swapped) if text)
        ui.swapButton.setVisible(bool(swapped))
        ui.installTorchButton.setVisible(self._torch_problem() is not None)

    def advice(self) -> str:
        """Another mask than that of the results was chosen."""
        mask, fused = self.session.choices.mask, self.session.nodes.get("fused")
        if fused is None or attribute(fused, "MaskName") == name_of(mask):
            return ""
        return _("Press Apply for results without mask.") if mask is None else _("Press Apply for the mask.")

    def onSwapButton(self, _checked=False):
        """Exchange MRI and PET."""
        chosen = self.session.choices
        with slicer.util.NodeModify(chosen.parameterNode):
            chosen.mri, chosen.pet = chosen.pet, chosen.mri

    def onInstallTorchButton(self, _checked=False):
        """Let the PyTorch extension install PyTorch."""
        with slicer.util.tryWithErrorDisplay(_("PyTorch was not installed.")):
            if torch_setup.install_torch():
                self.session.say(_("PyTorch is installed."))
            self.session.refresh()
