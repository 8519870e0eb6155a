"""The run: register where needed, fuse and color; and all that starts one."""

import logging
from typing import Optional

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..errors import FunFuseError
from ..scene.attributes import matrix_of
from .enabling import enable
from .run_state import RunState
from .section import Section
from .time_left import in_words
from .work_section import reason_of


class RunSection(Section):
    """The button Apply, which is Cancel while something runs, the rigid result, and automatic runs.

    :param work, inputs, tracer, registration, fusion, live: sections.
    :param settle: called with the monitor before a run: ends what is temporary.
    :param show_result: called with the :class:`scene.run.Run` after it.
    """

    # Milliseconds until an automatic run starts.
    AUTO = 400

    def __init__(self, ui, session, work, inputs, tracer, registration, fusion, live, settle, show_result):
        super().__init__(ui, session)
        self._work, self._inputs, self._registration, self._fusion = work, inputs, registration, fusion
        self._tracer = tracer
        self._live, self._settle, self._show_result = live, settle, show_result
        self._auto_wanted = False
        self.auto_timer = self.timer(self.auto_run, self.AUTO)
        ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        ui.rigidButton.connect("clicked(bool)", self.onRigidButton)

    def update(self) -> None:
        """What can be started or stopped."""
        state, button = self.session.run.state, self.ui.applyButton
        button.text = _("Apply") if state is RunState.IDLE else _("Cancel")
        reason = self._inputs.reason_not_to_run() if state is RunState.IDLE else None
        enable(button, _("Stopping …") if state is RunState.CANCELLING else reason)
        self.ui.rigidButton.setVisible(self._rigid_matrix() is not None)

    def advice(self) -> str:
        """Where the head became larger or smaller, which no head of one patient does."""
        if self._rigid_matrix() is None:
            return ""
        return _("The size of the head was changed; the rigid result is offered under Registration.")

    def _rigid_matrix(self) -> Optional[np.ndarray]:
        fused = self.session.nodes.get("fused")
        return None if fused is None else matrix_of(fused, "RigidMatrix")

    def onApplyButton(self, _checked=False):
        """Start a run, or stop the one that runs."""
        if self.session.run.state is RunState.IDLE:
            self._run(show=True)
        else:
            self._work.cancel()

    def onRigidButton(self, _checked=False):
        """Fuse again with the rigid result of the registration, which the last run set aside."""
        matrix = self._rigid_matrix()
        if matrix is not None and self.session.run.state is RunState.IDLE:
            self._run(show=True, matrix=matrix)

    def _run(self, show: bool, matrix: Optional[np.ndarray] = None):
        """Begin one; with ``matrix``, 4×4 in RAS, PET to MRI, it does not register."""
        # At once: they could be removed, and others chosen instead, while the window answers.
        mri, pet, mask = self.session.choices.mri, self.session.choices.pet, self.session.choices.mask

        def job(monitor) -> str:
            self._settle(monitor)
            result = self.session.logic.process(
                mri,
                pet,
                self._fusion.options(),
                self._registration.options(),
                mask,
                monitor,
                show,
                self._registration.matrix_to_reuse() if matrix is None else matrix,
                self._tracer.region(),
                self.session.choices.unit.value,
            )
            if self.session.choices is None:
                return ""
            self._show_result(result)
            done = _("Done in {time}.").format(time=in_words(result.seconds))
            if (self.session.choices.mri, self.session.choices.pet) != (mri, pet):
                # By a script: here nothing can be chosen meanwhile.
                other = _('"{name}" is of the volumes that were chosen before.')
                return " ".join([done, other.format(name=result.nodes.fused.GetName())])
            return " ".join([done, *result.warnings()])

        self._work.do(job, _failure)

    # Runs that nobody presses Apply for

    def use_results(self) -> None:
        """Watch the inputs of these."""
        event, chosen = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self.session.choices
        self.removeObservers(self._on_input_modified)
        for node in {chosen.mri, chosen.pet} - {None}:
            self.addObserver(node, event, self._on_input_modified)

    def _on_input_modified(self, caller=None, _event=None):
        chosen = self.session.choices
        if not chosen.autoUpdate or not self.session.nodes:
            return
        # The transform stays for another PET, not for another MRI.
        same_place = caller is chosen.pet and not chosen.registerAgain
        if not same_place or not self._live.follow(another_pet=True):
            self.auto_timer.start()

    def follow_fuser(self) -> None:
        """Another method, model or λ was chosen."""
        if self.session.ready and not self._live.follow() and self.session.choices.autoUpdate:
            self.auto_timer.start()

    def auto_run(self) -> None:
        """Run if nothing else does, else afterwards."""
        session = self.session
        if not session.run.free:
            self._auto_wanted = session.run.state is not RunState.IDLE
        elif session.choices is not None and session.nodes and self._inputs.reason_not_to_run() is None:
            self._run(show=False)

    def catch_up(self) -> None:
        """The work is done that was in the way of an automatic run."""
        if self._auto_wanted:
            self._auto_wanted = False
            self.auto_timer.start()


def _failure(error: Exception) -> str:
    if isinstance(error, FunFuseError):
        return str(error)
    logging.exception("FunFuse failed")
    return _("The run failed: {reason}").format(reason=reason_of(error))
