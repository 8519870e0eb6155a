"""Work beside the event loop: what it gives, says, raises, and that the loop goes on."""

import gc
import threading
import time

import pytest

from FunFuseSlicer.Logic.errors import Cancelled, InputError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.scene.beside import Task, beside


def test_the_result_and_all_reports_come_out(slicer):
    main, seen, where = threading.current_thread(), [], []

    def work(told):
        where.append(threading.current_thread())
        for step in range(5):
            told.report(f"Step {step}", step / 5)
        return "result"

    def on_progress(stage, fraction):
        assert threading.current_thread() is main
        seen.append((stage, fraction))

    assert beside(work, Monitor(on_progress), "Waiting") == "result"
    assert where[0] is not main
    assert [report for report in seen if report[0] != "Waiting"][-1] == ("Step 4", 0.8)
    assert {f"Step {step}" for step in range(5)} <= {stage for stage, _ in seen}


def test_silent_work_leaves_the_loop_alive(slicer, qt_started):
    from funfuse_cli.headless.boot import boot
    from FunFuseSlicer.Logic.tick_counter import TickCounter

    boot()
    with TickCounter() as counter:
        before = counter.ticks
        beside(lambda _: time.sleep(0.5), Monitor(lambda *_: slicer.app.processEvents()), "Waiting")
        assert counter.ticks > before + 2


def test_errors_come_out(slicer):
    def fail(_told):
        raise InputError("Do this.")

    with pytest.raises(InputError, match="Do this"):
        beside(fail, Monitor(), "Waiting")


def test_a_cancel_ends_the_work_first(slicer):
    over = []

    def work(told):
        try:
            while True:
                told.report("Working", None)
                time.sleep(0.001)
        finally:
            over.append(True)

    monitor = Monitor(lambda stage, _: monitor.cancel() if stage == "Working" else None)
    with pytest.raises(Cancelled):
        beside(work, monitor, "Waiting")
    assert over


def test_garbage_waits_for_the_work(slicer):
    """In another thread it would take widgets with it."""
    assert gc.isenabled()
    inner = Task(lambda: beside(lambda _: gc.isenabled(), Monitor(), "Waiting"))
    assert beside(lambda _: gc.isenabled(), Monitor(), "Waiting") is False
    assert drive(inner.turns()) is False
    assert gc.isenabled()
    gc.disable()
    try:
        beside(lambda _: None, Monitor(), "Waiting")
        assert not gc.isenabled(), "as it was"
    finally:
        gc.enable()


def drive(steps):
    """What steps return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_turns_go_by_until_the_work_has_ended(slicer):
    end = threading.Event()
    steps = Task(lambda: end.wait(10)).turns()
    assert [next(steps) for _ in range(3)] == [0.0] * 3
    end.set()
    assert drive(steps) is True

    def fail():
        raise InputError("Do this.")

    with pytest.raises(InputError, match="Do this"):
        drive(Task(fail).turns())


def test_what_was_at_work_in_a_gap_is_named(slicer, qt_started):
    import numpy as np

    from FunFuseSlicer.Logic.tick_counter import TickCounter
    from FunFuseSlicer.Logic.volumes.preprocessing import robust_scale

    voxels = np.random.default_rng(0).random(30_000)
    with TickCounter(least=0.05) as counter:
        slicer.app.processEvents()
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            robust_scale(voxels)
    (gap,) = counter.longest(1)
    assert (
        gap.seconds > 0.3
        and 0.0 < gap.work < gap.seconds + 0.05
        and gap.where.startswith("volumes/preprocessing.py:")
    )
    assert "volumes/preprocessing.py:" in counter.report()
    with TickCounter(least=0.05) as counter:
        slicer.app.processEvents()
        time.sleep(0.4)
    (gap,) = counter.longest(1)
    assert gap.work < 0.5 * gap.seconds, "it waited"
