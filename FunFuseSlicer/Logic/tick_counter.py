"""How long a window does not answer: gaps between the ticks of a timer, and what was at work meanwhile.

Runs wherever there is the module qt: in Slicer, and in the stand-in for it.
"""

import os
import sys
import threading
import time
from typing import List, NamedTuple, Tuple


class Gap(NamedTuple):
    """A time without a tick, and the innermost line of this library that was at work longest in it.

    :param seconds: by the clock; ``work`` of them the thread of the window computed. The rest it waited: for
        another thread, or, on a busy computer, for other programs.
    """

    seconds: float
    work: float
    where: str


class TickCounter:
    """A context: a timer ticks in the event loop, a thread looks at the main thread's stack when it does not.

    :param interval: seconds between two ticks.
    :param least: shorter gaps are not kept, seconds.
    """

    def __init__(self, interval: float = 0.01, least: float = 0.1):
        self._interval, self._least = interval, least
        self._gaps: List[Gap] = []
        self._places: List[str] = []
        self.ticks = 0

    def __enter__(self) -> "TickCounter":
        import qt

        self._main, self._over = threading.get_ident(), threading.Event()
        self._last, self._worked = time.monotonic(), time.thread_time()
        self._timer = qt.QTimer()
        self._timer.setInterval(int(1000 * self._interval))
        self._timer.connect("timeout()", self._tick)
        self._timer.start()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *exception) -> None:
        self._tick()
        self._over.set()
        self._sampler.join()
        self._timer.stop()
        self._timer.disconnect("timeout()", self._tick)

    def longest(self, count: int = 3) -> List[Gap]:
        """The longest gaps, the longest first."""
        return sorted(self._gaps, key=lambda gap: -gap.seconds)[:count]

    def report(self, count: int = 3) -> str:
        """The same as lines of text."""
        lines = [f"{gap.seconds:6.2f} s, {gap.work:.2f} at work  {gap.where}" for gap in self.longest(count)]
        return "\n".join(lines) or f"no gap over {self._least} s"

    def _tick(self) -> None:
        now, work = time.monotonic(), time.thread_time()
        if now - self._last > self._least:
            places = self._places or ["?"]
            self._gaps.append(Gap(now - self._last, work - self._worked, max(places, key=places.count)))
        self._last, self._worked, self._places = now, work, []
        self.ticks += 1

    def _sample(self) -> None:
        while not self._over.wait(0.02):
            if time.monotonic() - self._last > 0.05:
                self._places.append(_place(_stack(self._main)))


def _stack(thread: int) -> List[Tuple[str, int, str]]:
    """(file, line, function) of each frame of a thread, the innermost first.

    Quick, and without the frames themselves: who holds one keeps its variables alive, and a painter of Qt
    that another thread drops later ends the program.
    """
    frame, found = sys._current_frames().get(thread), []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return found


def _place(stack: List[Tuple[str, int, str]]) -> str:
    """The innermost line of this library, and the innermost function of all."""
    library = os.path.dirname(os.path.abspath(__file__))
    ours = [line for line in stack if line[0].startswith(library) and line[0] != __file__]
    text = stack[0][2] if stack else "?"
    if ours:
        name, number, function = ours[0]
        text = f"{os.path.relpath(name, library)}:{number} {function} > {text}"
    return text
