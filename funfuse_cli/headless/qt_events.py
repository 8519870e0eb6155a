"""What a test of a panel needs from Qt's event loop: letting time pass, dragging a slider, seeing errors.

Exceptions of functions that Qt calls (connected to signals, or by a timer) do not reach the code that caused
them, as in Slicer: they are printed, and collected here.
"""

import contextlib
import time

from . import event_hooks
from .widgets import start


def process(until=None, seconds=10.0):
    """Let Qt run, and timers fire, until a condition holds; by default until nothing is due at once.

    :param until: function without arguments.
    :param seconds: how long to wait for the condition.
    :raises TimeoutError: if the condition does not hold by then.
    """
    application = start.start()
    end = time.monotonic() + seconds
    _deliver(application)
    while until is not None and not until():
        if time.monotonic() > end:
            raise TimeoutError(f"{getattr(until, '__name__', until)!r} does not hold after {seconds} s")
        # Timers of Qt need time to pass, and another thread may have to run.
        time.sleep(0.002)
        _deliver(application)


def _deliver(application):
    from PySide6 import QtCore

    event_hooks.call_hooks()
    application.processEvents()
    # What deleteLater() put off; outside of a running event loop Qt does not come to it itself.
    application.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
    application.processEvents()


def drag(slider, values, release=True):
    """Move a slider as the mouse does: press, move to each value, release.

    :param slider: a ctkSliderWidget, ctkDoubleSlider or QSlider, or one derived from them.
    :param values: the values on the way; each becomes the nearest that the slider's step allows.
    :param release: False keeps it pressed; go on with `drag(slider, [])` to release it.
    """
    from PySide6 import QtWidgets

    from .widgets.double_slider import ctkDoubleSlider, ctkSliderWidget

    double = slider.findChild(ctkDoubleSlider, "Slider") if isinstance(slider, ctkSliderWidget) else slider
    inner = double.findChild(QtWidgets.QSlider) if isinstance(double, ctkDoubleSlider) else double
    inner.setSliderDown(True)
    for value in values:
        double.sliderPosition = value
        process()
    if release:
        inner.setSliderDown(False)
        process()


@contextlib.contextmanager
def collect_slot_errors():
    """Give the list of exceptions of functions that Qt calls meanwhile; for tests that expect some."""
    from .widgets import pythonqt

    before = list(pythonqt.slot_errors)
    pythonqt.slot_errors.clear()
    try:
        yield (collected := [])
    finally:
        collected.extend(pythonqt.slot_errors)
        pythonqt.slot_errors[:] = before


@contextlib.contextmanager
def raise_slot_errors():
    """Raise, at the end, the first exception of a function that Qt has called meanwhile.

    An exception of the block itself goes first.
    """
    with collect_slot_errors() as errors:
        yield
    if errors:
        raise errors[0]


def answers(*values):
    """Give the answers to dialogs that will be opened, in their order; see `headless.widgets.dialogs`."""
    start.start()
    from .widgets import dialogs

    return dialogs.answers(*values)
