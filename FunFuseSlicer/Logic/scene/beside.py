"""Long computations beside the event loop, so that the window answers meanwhile.

NumPy, SciPy and SimpleITK compute without Python's lock, so a thread of its own is enough. What touches the
scene stays in the main thread.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

import gc
import queue
import threading
from typing import Callable, Generator, Generic, Optional, TypeVar

from ..monitor import Monitor

Result = TypeVar("Result")

# Between two looks at the event loop, seconds.
TURN = 0.01


# Tasks at work, and whether garbage was collected before the first of them.
_at_work, _collected, _lock = 0, False, threading.Lock()


def _begin_work() -> None:
    """Garbage waits: collected in another thread than Qt's, widgets and timers would end the program."""
    global _at_work, _collected
    with _lock:
        if not _at_work:
            _collected = gc.isenabled()
            gc.disable()
        _at_work += 1


def _end_work() -> None:
    global _at_work
    with _lock:
        _at_work -= 1
        if not _at_work and _collected:
            gc.enable()


class Task(Generic[Result]):
    """Work on arrays in a thread of its own; begins at once.

    :param work: touches nothing of Slicer.
    """

    def __init__(self, work: Callable[[], Result]):
        self._work, self._outcome = work, {}
        _begin_work()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, after waiting so long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Of work that has ended; raises what it raised."""
        if "error" in self._outcome:
            raise self._outcome["error"]
        return self._outcome["result"]

    def turns(self) -> Generator[float, None, Result]:
        """Steps for an event loop until the work has ended; yields 0, and returns its result."""
        while not self.done(TURN):
            yield 0.0
        return self.result()

    def _run(self) -> None:
        try:
            self._outcome["result"] = self._work()
        except BaseException as error:  # raised again in the main thread
            self._outcome["error"] = error
        finally:
            _end_work()


def beside(work: Callable[[Monitor], Result], monitor: Monitor, stage: str) -> Result:
    """Do work on arrays in a thread; meanwhile its reports, and the event loop, go on here.

    :param work: touches nothing of Slicer; told by the monitor that it is given when to stop.
    :param stage: what is reported while the work reports nothing itself.
    :raises Cancelled: the monitor says so; the work has ended by then.
    """
    reports: queue.SimpleQueue = queue.SimpleQueue()
    relay = Monitor(lambda *report: reports.put(report))
    task = Task(lambda: work(relay))
    last: tuple = (stage, None)
    try:
        while not task.done() or not reports.empty():
            last = _next(reports) or last
            monitor.report(*last)
    except BaseException:
        relay.cancel()
        _wait_for(task)
        raise
    return task.result()


def _next(reports) -> Optional[tuple]:
    try:
        return reports.get(timeout=TURN)
    except queue.Empty:
        return None


def _wait_for(task: Task) -> None:
    """Until it has ended; the window answers."""
    import slicer

    while not task.done(TURN):
        slicer.app.processEvents()
