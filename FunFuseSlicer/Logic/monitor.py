"""One object through which long work reports its progress and learns that it should stop."""

import threading
from typing import Callable, Optional

from .errors import Cancelled

ProgressCallback = Callable[[str, Optional[float]], None]


class Monitor:
    """Carries progress outwards and a cancel request inwards; safe to use across threads.

    :param on_progress: called as ``on_progress(stage, fraction)`` with a short stage name for the
        user, such as "Registering", and the fraction of that stage done, in [0, 1], or None where that
        cannot be known. It is called often, so that an application can handle its events meanwhile.
    """

    def __init__(self, on_progress: Optional[ProgressCallback] = None):
        self._on_progress = on_progress
        self._cancel = threading.Event()

    def report(self, stage: str, fraction: Optional[float]) -> None:
        """Tell how far a stage is, then stop here if that was asked for.

        :raises Cancelled: :meth:`cancel` was called.
        """
        if self._on_progress is not None:
            self._on_progress(stage, None if fraction is None else min(1.0, max(0.0, fraction)))
        self.check()

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancel.is_set()

    def check(self) -> None:
        """:raises Cancelled: :meth:`cancel` was called."""
        if self.cancelled:
            raise Cancelled()
