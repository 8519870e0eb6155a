"""Another λ or model, or a PET that changes: at once, without Apply, where that takes about a second."""

import logging
import time
from typing import Optional

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, FunFuseError
from ..fusion.fuser import IN_NUMPY, NETWORK
from ..monitor import Monitor
from ..scene.attributes import attribute
from ..scene.live_fusion import LiveFusion
from .choices import LIVE_MODELS, Mode
from .section import Section
from .work_section import reason_of


class LiveSection(Section):
    """Fuses the whole volume again while the panel stays alive; the last wish counts.

    :param options: called without arguments: what is chosen, as FusionOptions.
    :param paint: called when the results are new.
    """

    def __init__(self, ui, session, options, paint):
        super().__init__(ui, session)
        self._fusion, self._options, self._paint = LiveFusion(), options, paint
        self._steps, self._failed = None, ""
        self._timer = self.timer(self.step, 0)

    @property
    def active(self) -> bool:
        """Whether the results are about to change."""
        return self._steps is not None

    def possible(self) -> bool:
        """Whether the results can follow the choices: not those of other methods, or that take too long."""
        session, chosen = self.session, self.session.choices
        return (
            session.ready
            and session.uses_network
            and session.method_of_results == NETWORK
            and chosen.model in LIVE_MODELS
            and chosen.device.value in IN_NUMPY
            and chosen.mode is not Mode.GRADIENT
        )

    def use_results(self) -> None:
        """Works on these from now on; what is kept of the inputs is theirs."""
        self.end()
        chosen, event = self.session.choices, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        self._fusion.use(chosen.mri, chosen.pet, chosen.mask, self.session.nodes)
        self.removeObservers(self._on_input_modified)
        for node in {chosen.mri, chosen.pet, chosen.mask} - {None}:
            self.addObserver(node, event, self._on_input_modified)

    def _on_input_modified(self, caller, _event=None):
        if caller is self.session.choices.pet:
            self._fusion.forget_pet()
        else:
            self._fusion.forget()

    def update(self) -> None:
        """Go on with what had to wait until a job was done."""
        if self._steps is not None and self.session.ready:
            self._timer.start()

    def follow(self, another_pet: bool = False) -> bool:
        """Something else was chosen, or the PET changed: begin, if possible.

        :return: whether it was.
        """
        self.end()
        if not self.possible():
            return False
        if another_pet:
            self._fusion.forget_pet()
        self._steps = self._fusion.steps(self._options())
        self._timer.start()
        return True

    def catch_up(self) -> None:
        """The job is done, or was cancelled, for which the results did not follow."""
        if not self.active and self.possible() and self._behind():
            self.follow()

    def _behind(self) -> bool:
        """Whether model or λ of the results are not those that are chosen."""
        fused, chosen = self.session.nodes["fused"], self.session.choices
        now = attribute(fused, "Model"), float(attribute(fused, "Lambda") or -1)
        return now[0] != chosen.model.value or abs(now[1] - chosen.lam) >= 1e-6

    def step(self) -> None:
        """As much as fits between two frames of the screen."""
        if self._steps is None or not self.session.ready:
            return
        end = time.monotonic() + 0.03
        try:
            while time.monotonic() < end:
                if next(self._steps, None) is None:
                    self._steps = None
                    self._paint()
                    self.session.refresh()
                    return
        except Exception as error:
            self._steps, self._failed = None, reason_of(error)
            if not isinstance(error, FunFuseError):
                logging.exception("FunFuse: the results could not follow")
            self.session.refresh()
            return
        self._timer.start()

    def finish(self, monitor: Optional[Monitor] = None) -> None:
        """Do what is left to do, also while something else runs; told to the monitor."""
        monitor, steps = monitor or Monitor(), self._steps
        if steps is None:
            return
        try:
            for fraction in steps:
                monitor.report("Fusing", fraction)
        except Cancelled:
            raise  # to go on later
        except Exception:
            self._steps = None
            raise
        if self._steps is steps:
            self._steps = None
            self._paint()

    def end(self) -> None:
        """Leave the results as they are."""
        self._failed = ""
        if self._steps is not None:
            self._steps.close()
            self._steps = None

    def stop(self) -> None:
        """Nothing fires any more."""
        self.end()
        super().stop()

    def advice(self) -> str:
        """What the user has to do for a choice that the results do not follow."""
        session, chosen = self.session, self.session.choices
        if not session.nodes or chosen.method != session.method_of_results:
            return ""
        if self._failed or self.possible() or not session.uses_network:
            return self._failed
        if not self._behind():
            return ""
        return _("Press Apply for {model}, λ = {lam}.").format(
            model=chosen.model.value, lam=f"{chosen.lam:g}"
        )
