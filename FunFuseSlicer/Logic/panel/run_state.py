"""The states of a run, which drive the Apply button and the progress bar."""

import enum
import weakref
from typing import Callable, Optional


class RunState(enum.Enum):
    """Nothing runs, something runs, or it was asked to stop and has not stopped yet."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


class RunStateMachine:
    """Who may run now. Only one panel of an application runs at a time.

    :param on_change: called without arguments after every change of the state.
    :param on_other: likewise, when the state of another panel changed: what may be done here depends on it.
    """

    _running: Optional["RunStateMachine"] = None
    _all = weakref.WeakSet()

    def __init__(
        self, on_change: Callable[[], None] = lambda: None, on_other: Callable[[], None] = lambda: None
    ):
        self._state, self._on_change, self._on_other = RunState.IDLE, on_change, on_other
        RunStateMachine._all.add(self)

    @property
    def state(self) -> RunState:
        """The present state."""
        return self._state

    @property
    def busy_elsewhere(self) -> bool:
        """Whether another panel runs."""
        return RunStateMachine._running not in (None, self)

    @property
    def free(self) -> bool:
        """Whether nothing runs, here and elsewhere."""
        return RunStateMachine._running is None

    def start(self) -> None:
        """From idle to running.

        :raises RuntimeError: something runs already.
        """
        if not self.free:
            raise RuntimeError("A run was started while another one was not finished.")
        RunStateMachine._running = self
        self._set(RunState.RUNNING)

    def cancel(self) -> None:
        """Ask a run to stop; nothing happens when none runs or it was asked already."""
        if self._state is RunState.RUNNING:
            self._set(RunState.CANCELLING)

    def finish(self) -> None:
        """Back to idle, however the run ended.

        :raises RuntimeError: nothing runs.
        """
        if self._state is RunState.IDLE:
            raise RuntimeError("A run was finished that was not started.")
        RunStateMachine._running = None
        self._set(RunState.IDLE)

    def _set(self, state: RunState) -> None:
        self._state = state
        self._on_change()
        for other in [machine for machine in RunStateMachine._all if machine is not self]:
            other._on_other()
