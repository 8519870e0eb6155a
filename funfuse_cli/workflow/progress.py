"""What the terminal shows: progress bars, one for each stage, and numbers with their nouns."""

import sys
from typing import Optional

from tqdm import tqdm

from FunFuseSlicer.Logic.monitor import Monitor


class ProgressBars:
    """A context that turns the reports of a :class:`Monitor` into bars on standard error."""

    def __init__(self):
        self.monitor = Monitor(self._on_progress)
        self._stage, self._bar = None, None

    def __enter__(self) -> Monitor:
        return self.monitor

    def __exit__(self, *exception):
        self._close()

    def _on_progress(self, stage: str, fraction: Optional[float]) -> None:
        if stage != self._stage:
            self._close()
            self._stage = stage
            # A file or a CI log gets a line now and then instead of a moving bar.
            interval = 0.1 if sys.stderr.isatty() else 10.0
            self._bar = tqdm(
                total=100,
                desc=f"{stage:<12}",
                mininterval=interval,
                bar_format="{desc}{percentage:3.0f}% |{bar:30}| {elapsed} (left {remaining})",
            )
        # Of unknown length: the clock goes on, the bar stands still.
        self._bar.update(0.0 if fraction is None else 100.0 * fraction - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def count(amount: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{amount} {what}" + ("" if amount == 1 else "s")
