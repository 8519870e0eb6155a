"""Long computations beside the event loop, so that the window answers meanwhile.

NumPy, SciPy and SimpleITK compute without Python's lock, so a thread of its own is enough. What touches the
scene stays in the main thread.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

import queue
import threading
import time
from typing import Callable, Optional, TypeVar

from ..errors import Cancelled
from ..monitor import Monitor

Result = TypeVar("Result")

# Between two looks at the event loop, seconds.
TURN = 0.01


def beside(work: Callable[[Monitor], Result], monitor: Monitor, stage: str) -> Result:
    """Do work on arrays in a thread; meanwhile its reports, and the event loop, go on here.

    :param work: touches nothing of Slicer; told by the monitor that it is given when to stop.
    :param stage: what is reported while the work reports nothing itself.
    :raises Cancelled: the monitor says so; the work has ended by then.
    """
    reports: queue.SimpleQueue = queue.SimpleQueue()
    relay = Monitor(lambda *report: reports.put(report))
    outcome = {}

    def run() -> None:
        try:
            outcome["result"] = work(relay)
        except BaseException as error:  # raised again below, in the main thread
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    last: tuple = (stage, None)
    try:
        while thread.is_alive() or not reports.empty():
            last = _next(reports) or last
            monitor.report(*last)
    except BaseException:
        relay.cancel()
        _wait_for(thread)
        raise
    error: Optional[BaseException] = outcome.get("error")
    if isinstance(error, Cancelled):
        monitor.check()
    if error is not None:
        raise error
    return outcome["result"]


def _next(reports) -> Optional[tuple]:
    try:
        return reports.get(timeout=TURN)
    except queue.Empty:
        return None


def _wait_for(thread) -> None:
    """Until it has ended; the window answers."""
    import slicer

    while thread.is_alive():
        slicer.app.processEvents()
        time.sleep(TURN)
