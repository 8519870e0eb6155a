"""How long a stage will still take, from how far it is."""

import time
from typing import Callable, Optional

# Too early a guess is worse than none.
LEAST_SECONDS, LEAST_FRACTION = 1.0, 0.05


class TimeLeft:
    """Follows the reports of a :class:`Monitor`.

    :param clock: seconds, rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._stage, self._began = None, 0.0

    def update(self, stage: str, fraction: Optional[float]) -> Optional[float]:
        """Seconds left in this stage; None while that cannot be told.

        :param fraction: done, in [0, 1]; None where the stage does not know.
        """
        now = self._clock()
        if stage != self._stage:
            self._stage, self._began = stage, now
        elapsed = now - self._began
        if fraction is None or fraction < LEAST_FRACTION or elapsed < LEAST_SECONDS:
            return None
        return elapsed * (1.0 - fraction) / fraction


def in_words(seconds: float) -> str:
    """A duration as one says it: "2 s", "1 min 20 s", "12 min"."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{max(seconds, 1)} s"
    minutes, rest = divmod(seconds, 60)
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {rest // 10 * 10} s" if rest >= 10 else f"{minutes} min"
