"""What the terminal shows: progress bars, one for each stage, and numbers with their nouns."""

import os
import sys
import time
from typing import Optional

from tqdm import tqdm

from FunFuseSlicer.Logic.monitor import Monitor

from .. import terminal

# Where there is no terminal, a line now and then says how far it is.
SECONDS_BETWEEN_LINES = 30.0
WIDEST_BAR = 80


def bar(total: int, what: str, unit: str = "", done: int = 0):
    """A moving bar on a terminal, lines in a file or a log: an object with update, set_note and close.

    :param unit: what is counted; "" shows the share that is done.
    """
    return (_Moving if sys.stderr.isatty() else _Lines)(total, what, unit, done)


class _Moving:
    def __init__(self, total: int, what: str, unit: str, done: int):
        counted = " {n_fmt}/{total_fmt}" if unit else ""
        columns = min(WIDEST_BAR, terminal.width())
        left = " {elapsed}<{remaining}" if columns < 60 else " {elapsed} (left {remaining})"
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=f"{what:<12}",
            mininterval=0.1,
            ncols=columns,
            bar_format="{desc} {percentage:3.0f}% |{bar}|" + counted + left + "{postfix}",
        )

    def update(self, amount: float = 1) -> None:
        """So much more is done."""
        self._bar.update(amount)

    def set_note(self, text: str) -> None:
        """What stands at the end."""
        self._bar.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class _Lines:
    def __init__(self, total: int, what: str, unit: str, done: int):
        self._total, self._what, self._unit, self._done = total, what, unit, done
        self._note, self._said = "", time.monotonic()
        self._began, self._before = self._said, done

    def update(self, amount: float = 1) -> None:
        self._done += amount
        quiet = os.environ.get("TQDM_DISABLE")  # as --quiet says, and tqdm does
        if not quiet and time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._say()

    def set_note(self, text: str) -> None:
        self._note = text

    def close(self) -> None:
        pass

    def _say(self) -> None:
        self._said = time.monotonic()
        how_far = f"{100 * self._done / max(self._total, 1):.0f}%"
        if self._unit:
            how_far += f", {self._done:.0f}/{self._total} {self._unit}s"
        if self._done > self._before:
            each = (self._said - self._began) / (self._done - self._before)
            how_far += f", {each * (self._total - self._done) / 60:.0f} min left"
        print(
            f"{self._what} {how_far}" + (f", {self._note}" if self._note else ""), file=sys.stderr, flush=True
        )


class ProgressBars:
    """A context that turns the reports of a :class:`Monitor` into bars on standard error."""

    def __init__(self):
        self.monitor = Monitor(self._on_progress)
        self._stage, self._bar, self._done = None, None, 0.0

    def __enter__(self) -> Monitor:
        return self.monitor

    def __exit__(self, *exception):
        self._close()

    def _on_progress(self, stage: str, fraction: Optional[float]) -> None:
        if stage != self._stage:
            self._close()
            self._stage, self._done = stage, 0.0
            self._bar = bar(100, stage)
        # Of unknown length: the clock goes on, the bar stands still.
        step = 0.0 if fraction is None else 100.0 * fraction - self._done
        self._done += step
        self._bar.update(step)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def count(amount: int, what: str) -> str:
    """ "1 image", "2 images"."""
    return f"{amount} {what}" + ("" if amount == 1 else "s")
