"""Work that takes long: its progress, its end, and the sentence that says what is going on."""

import logging
import traceback
from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from ..errors import Cancelled, FunFuseError
from ..monitor import Monitor
from .run_state import RunState
from .section import Section
from .session import Seen
from .time_left import TimeLeft, in_words


class WorkSection(Section):
    """One job at a time. The panel stays alive through the reports of its monitor.

    :param catch_up: called after a job, with what had been chosen at its start: does what was put off.
    """

    def __init__(self, ui, session, catch_up: Callable[[Seen], None]):
        super().__init__(ui, session)
        self.monitor, self._catch_up, self._time_left = None, catch_up, TimeLeft()
        ui.progressBar.setVisible(False)

    def do(self, job: Callable[[Monitor], str], failure: Callable[[Exception], str]) -> None:
        """Do something that can be cancelled; only the panel where nothing runs may, others say so.

        :param job: does it; returns what to say afterwards.
        :param failure: what to say after an error.
        """
        session = self.session
        if not session.run.free:
            return
        self.monitor = Monitor(self.on_progress)
        session.outcome = session.progress = ""
        session.run.start()
        scenes_closed = session.scenes_closed
        before, said = session.seen, _("Cancelled: the scene is as it was.")
        try:
            # Before anything that takes long.
            self.monitor.report("Preparing", None)
            said = job(self.monitor)
        except Cancelled:
            logging.info("FunFuse: cancelled")
        except Exception as error:
            if session.scenes_closed == scenes_closed:
                said = failure(error)
                _tell(said, error)
        finally:
            self.monitor = None
            if session.scenes_closed != scenes_closed:
                said = _("Stopped, because the scene was closed.")
            session.outcome = said
            session.run.finish()
        if session.choices is not None:
            self._catch_up(before)

    def cancel(self) -> None:
        """Ask the job to stop; nothing happens when there is none."""
        if self.monitor is not None:
            self.monitor.cancel()
            self.session.run.cancel()

    def on_progress(self, stage: str, fraction: Optional[float]) -> None:
        """A report of the job."""
        if self.session.choices is None:
            return
        left = self._time_left.update(stage, fraction)
        bar = self.ui.progressBar
        bar.maximum = 0 if fraction is None else 100
        bar.value = 0 if fraction is None else round(100 * fraction)
        if self.session.run.state is RunState.RUNNING:
            text = _("{stage} …").format(stage=_(stage))
            if left is not None:
                text += " " + _("about {time} left").format(time=in_words(left))
            self.session.progress = text
            self.session.show_status([])
        slicer.app.processEvents()

    def advice(self) -> str:
        """Whose turn it is."""
        if self.session.run.busy_elsewhere:
            return _("Another FunFuse panel is at work: wait until it is done.")
        return ""

    def update(self) -> None:
        """Meanwhile nothing else can be chosen."""
        state = self.session.run.state
        self.ui.progressBar.setVisible(state is not RunState.IDLE)
        for name in ("inputs", "tracer", "registration", "fusion", "display"):
            getattr(self.ui, f"{name}CollapsibleButton").enabled = state is RunState.IDLE


def reason_of(error: Exception) -> str:
    """What there is to say of any error."""
    return str(error) or type(error).__name__


def _tell(sentence: str, error: Exception) -> None:
    """An error, with the technical cause, where there is one, behind the button for details."""
    details = {}
    if error.__cause__ is not None or not isinstance(error, FunFuseError):
        details["detailedText"] = traceback.format_exc()
    slicer.util.errorDisplay(sentence, windowTitle=_("FunFuse"), **details)
