"""Runs what fuses over a volume, axial slice by axial slice.

On a CPU several slices are under way at once, each in one thread: that keeps the cores busier than several
threads at one slice. A GPU gets several slices at a time. The black margin around the head is left out.
"""

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generator, Iterator, List, Optional, Protocol, Sequence, Tuple, TypeVar

import numpy as np

from ..errors import DeviceError
from ..monitor import Monitor
from ..volumes.geometry import out_of_memory

STAGE = "Fusing"
Result = TypeVar("Result")

# On so many slices the fused image is computed a second time, without parts, if there is another way than by
# adding them: so that the completeness reported is a measurement and not a definition.
CHECKED_SLICES = 3

# Windows begin at multiples of it, as what halves images four times sees the same pixels together then.
STEP = 16

# How often an event loop gets its turn while slices are under way, in seconds.
TURN = 0.05


class Runner:
    """Fuses slices: what the engine runs. Images are (slices, rows, columns), float32, sources in [0, 1].

    A base for others: it is on the CPU, sees whole slices, and needs nothing before or after.
    """

    # Whether it tells what came from which image, and whether these parts add up by design.
    parts, parts_add_up = False, False
    # Whether it gives the gradients of the paper's equation (5), too, after the parts.
    gradients = False
    # Black rows and columns that it wants to see around the head; None where it wants whole slices.
    margin: Optional[int] = None
    # Whether a slice takes no longer than an event loop may wait.
    quick = False
    # As the user knows it.
    device = "cpu"

    def fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool) -> Sequence[np.ndarray]:
        """Fused images, then the parts of MRI and PET if asked for, then both gradients if it has them."""
        raise NotImplementedError

    def alone(self, mri: np.ndarray, pet: np.ndarray) -> Optional[np.ndarray]:
        """The fused images, on another way than with parts; None if there is no other."""
        return None

    def fuse_pair(self, mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        """The fused image of one pair, (rows, columns)."""
        return self.fuse(mri[None], pet[None], False)[0][0]

    def at_once(self, pixels: int) -> int:
        """How many slices of so many pixels to fuse in one call."""
        return 1

    def begin(self) -> None:
        """In each thread, before its first slice."""

    def end(self) -> None:
        """When all threads are done."""

    def smaller(self) -> Optional[Tuple["Runner", str]]:
        """What to go on with when the memory does not suffice for one slice, and a note for the user."""
        return None


@dataclass(frozen=True)
class FusedSlices:
    """What came of a stack of slices; arrays are (slices, rows, columns), float32.

    :param mri_part: None when it was not asked for; ``pet_part`` likewise.
    :param mri_gradient: ∇F_I1 of the paper's equation (5), zero where both inputs are; None unless the
        runner has it. ``pet_gradient`` likewise.
    :param slices: how many were run; the others were empty in both inputs and stay 0.
    :param device: where the last slice was run.
    :param completeness: largest |C1 + C2 - F| on some slices; None without parts, or when they do not add up
        by design.
    :param notes: sentences for the user: what had to be done otherwise than asked for.
    """

    fused: np.ndarray
    mri_part: Optional[np.ndarray]
    pet_part: Optional[np.ndarray]
    mri_gradient: Optional[np.ndarray]
    pet_gradient: Optional[np.ndarray]
    slices: int
    seconds: float
    device: str
    completeness: Optional[float]
    notes: Tuple[str, ...] = ()


class Slices(Protocol):
    """An array (slices, rows, columns), or whatever else gives a slice when indexed by its number."""

    @property
    def shape(self) -> Tuple[int, ...]:
        """(slices, rows, columns)."""

    def __getitem__(self, index: int, /) -> np.ndarray:
        """One slice, (rows, columns)."""


def fuse_slices(
    runner: Runner, mri: Slices, pet: Slices, monitor: Optional[Monitor] = None, **how
) -> FusedSlices:
    """Fuse a stack of slices; see :func:`fuse_slices_steps`, which this drives to the end.

    :param how: the further options of :func:`fuse_slices_steps`.
    :raises Cancelled: through the monitor, between slices.
    """
    return to_the_end(fuse_slices_steps(runner, mri, pet, **how), monitor)


def fuse_slices_steps(
    runner: Runner,
    mri: Slices,
    pet: Slices,
    workers: Optional[int] = None,
    parts: Optional[bool] = None,
    outputs: Optional[Sequence[np.ndarray]] = None,
) -> Generator[float, None, FusedSlices]:
    """Fuse a stack of slices while an event loop runs between the steps.

    :param mri: in [0, 1], arrays with any strides; ``pet`` likewise.
    :param workers: on a CPU, slices under way at once; None for as many as this process may use processors.
    :param parts: False for the fused image alone; None for what the runner gives.
    :param outputs: arrays of zeros to fill instead of new ones, (slices, rows, columns), any strides: fused,
        MRI part, PET part, and both gradients, as far as they are made.
    :return: yields the fraction done, in [0, 1]; returns a :class:`FusedSlices`.
    :raises DeviceError: there is not enough memory for a single slice.
    """
    start = time.perf_counter()
    parts = runner.parts if parts is None else parts
    if outputs is None:
        outputs = [np.zeros(mri.shape, np.float32) for _ in range(1 + 2 * parts + 2 * runner.gradients)]
    yield 0.0
    job = _Job(runner, mri, pet, outputs, parts)
    for way in _ways(job, workers or processors()):
        try:
            yield from way
            break
        except Exception as failure:
            if not is_out_of_memory(failure):
                raise
    else:
        raise DeviceError("There is not enough memory to fuse one slice: close other programs or volumes.")
    fused, *others = outputs
    found, asked = iter(others), (parts, parts, runner.gradients, runner.gradients)
    mri_part, pet_part, mri_gradient, pet_gradient = (next(found) if wanted else None for wanted in asked)
    return FusedSlices(
        fused,
        mri_part,
        pet_part,
        mri_gradient,
        pet_gradient,
        slices=job.filled,
        seconds=time.perf_counter() - start,
        device=job.runner.device,
        completeness=job.error if parts and runner.parts_add_up else None,
        notes=tuple(job.notes),
    )


def to_the_end(steps: Generator[float, None, Result], monitor: Optional[Monitor]) -> Result:
    """What these steps return; the monitor is told of each.

    :raises Cancelled: through the monitor.
    """
    monitor = monitor or Monitor()
    try:
        while True:
            try:
                monitor.report(STAGE, next(steps))
            except StopIteration as end:
                return end.value
    finally:
        # Also after a cancel: slices under way are waited for, the others are not begun.
        steps.close()


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether NumPy, ITK or PyTorch, on any device, failed for want of memory."""
    return out_of_memory(error) or isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


class _Job:
    """The slices of one call, how far they are, and what was found on the way."""

    def __init__(self, runner: Runner, mri: Slices, pet: Slices, outputs, parts: bool):
        self.runner, self.mri, self.pet, self.outputs, self.parts = runner, mri, pet, outputs, parts
        self.total, self.filled, self.error = mri.shape[0], 0, 0.0
        self.notes: List[str] = []
        self._lock = threading.Lock()
        there = np.zeros(mri.shape[1:], bool)
        self.waiting = []
        for index in range(self.total):
            here = _there(mri, index) | _there(pet, index)
            if here.any():
                self.waiting.append(index)
                there |= here
        # One for all slices: what is near its border must not change from slice to slice.
        self.window = window_of(there, runner.margin)
        some = self.waiting[len(self.waiting) // 6 :: max(1, len(self.waiting) // CHECKED_SLICES)]
        self._checked = set(some[:CHECKED_SLICES]) if parts and runner.parts_add_up else set()

    @property
    def fraction(self) -> float:
        return 1.0 - len(self.waiting) / self.total if self.total else 1.0

    def run(self, indices: Sequence[int]) -> None:
        """Fuse these slices, and put the results in their place."""
        mri, pet = (
            np.stack([np.asarray(stack[index][self.window], np.float32) for index in indices])
            for stack in (self.mri, self.pet)
        )
        results = self.runner.fuse(mri, pet, self.parts)
        error = 0.0
        if not self._checked.isdisjoint(indices):
            alone = self.runner.alone(mri, pet)
            error = float(np.abs(results[1] + results[2] - (results[0] if alone is None else alone)).max())
        for output, result in zip(self.outputs, results):
            for index, image in zip(indices, result):
                output[index][self.window] = image
        with self._lock:
            self.waiting = [index for index in self.waiting if index not in indices]
            self.filled += len(indices)
            self.error = max(self.error, error)


def _there(stack: Slices, index: int) -> np.ndarray:
    """Where a slice is not black."""
    return stack.there(index) if hasattr(stack, "there") else stack[index] != 0


def window_of(there: np.ndarray, margin: Optional[int]) -> Tuple[slice, slice]:
    """The rows and columns where something is, and so many more.

    :param there: (rows, columns) of bool.
    :param margin: None for all rows and columns.
    """
    if margin is None or not there.any():
        return slice(None), slice(None)
    ends = [np.flatnonzero(there.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    rows, columns = (
        slice(max(0, (int(first) - margin) // STEP * STEP), int(last) + 1 + margin) for first, last in ends
    )
    return rows, columns


def _ways(job: _Job, workers: int) -> Iterator[Generator[float, None, None]]:
    """Ways to run what is left, each for less memory than the one before."""
    pixels = job.mri.shape[1] * job.mri.shape[2]
    while True:
        count = job.runner.at_once(pixels)
        if job.runner.device == "cpu":
            for threads in sorted({workers, 1}, reverse=True):
                yield _in_threads(job, threads, 1)
        else:
            while count >= 1:
                yield _in_threads(job, 1, count)
                count //= 2
        smaller = job.runner.smaller()
        if smaller is None:
            return
        job.runner, note = smaller
        job.notes.append(note)


def _in_threads(job: _Job, threads: int, at_once: int) -> Generator[float, None, None]:
    """So many slices a call, so many calls under way."""
    waiting = list(job.waiting)
    batches = [waiting[first : first + at_once] for first in range(0, len(waiting), at_once)]
    if job.runner.quick and min(threads, len(batches)) == 1:
        for batch in batches:
            job.run(batch)
            yield job.fraction
        return
    pool = ThreadPoolExecutor(threads, initializer=job.runner.begin)
    finished: SimpleQueue[Future] = SimpleQueue()
    for batch in batches:
        pool.submit(job.run, batch).add_done_callback(finished.put)
    pending = len(batches)
    try:
        while pending:
            try:
                finished.get(timeout=TURN).result()
                pending -= 1
            except Empty:
                pass
            yield job.fraction
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        job.runner.end()
