"""Runs a network over a volume, axial slice by axial slice.

On a CPU several slices are under way at once, each with one thread: that keeps the cores busier than
several threads at one slice. What is black around the head is left out; a network without biases gives
exactly black there. On a GPU slices go in batches.
"""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generator, List, Optional, Protocol, Sequence, Tuple

import numpy as np
import torch

from ..errors import DeviceError
from ..monitor import Monitor
from .device import batch_size, bfloat16_runs_fast, device_in_words, is_out_of_memory
from .network import TwoLaneNetwork
from .sensitivity import input_gradients
from .strips import MARGIN, StripNetwork

STAGE = "Fusing"

# On so many slices the fused image is computed a second time, by the ordinary one-lane forward pass,
# so that the completeness reported is a measurement and not a definition.
CHECKED_SLICES = 3
# In larger slices the plain pass would take more memory than all else together.
CHECKED_PIXELS = 512 * 512

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# How far an image in bfloat16 may be from that in float32, of the range 1.
TOLERANCE = 0.01

# How often an event loop gets its turn while slices are under way, in seconds.
TURN = 0.05


@dataclass(frozen=True)
class FusedSlices:
    """What the network made of a stack of slices; arrays are (slices, rows, columns), float32.

    :param mri_part: None when it was not asked for; ``pet_part`` likewise.
    :param mri_gradient: ∇F_I1 of the paper's equation (5), zero where both inputs are; None unless
        asked for. ``pet_gradient`` likewise.
    :param slices: how many were run; the others were empty in both inputs and stay 0.
    :param device: where the last slice was run, as PyTorch names it.
    :param completeness: largest |C1 + C2 - F|; None without parts, or when the network's parts do not add
        up by design. In bfloat16, F is what the parts add up to.
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
    network,
    mri: Slices,
    pet: Slices,
    device: torch.device,
    gradients: bool = False,
    monitor: Optional[Monitor] = None,
    **how,
) -> FusedSlices:
    """Fuse a stack of slices; see :func:`fuse_slices_steps`, which this drives to the end.

    :param how: the further options of :func:`fuse_slices_steps`.
    :raises Cancelled: through the monitor, between slices.
    """
    monitor = monitor or Monitor()
    steps = fuse_slices_steps(network, mri, pet, device, gradients, **how)
    try:
        while True:
            try:
                monitor.report(STAGE, next(steps))
            except StopIteration as end:
                return end.value
    finally:
        # Also after a cancel: slices under way are waited for, the others are not begun.
        steps.close()


def fuse_slices_steps(
    network,
    mri: Slices,
    pet: Slices,
    device: torch.device,
    gradients: bool = False,
    workers: Optional[int] = None,
    precision: str = "float32",
    parts: bool = True,
    outputs: Optional[Sequence[np.ndarray]] = None,
) -> Generator[float, None, FusedSlices]:
    """Fuse a stack of slices while an event loop runs between the steps.

    :param network: see :class:`network.TwoLaneNetwork`; for one λ (``at_lambda``). One that gives the fused
        image alone, without ``parts``, needs no more than ``fuse``, as :class:`fuser.MethodNetwork`.
    :param mri: in [0, 1], arrays with any strides; ``pet`` likewise.
    :param gradients: compute equation (5) as well.
    :param workers: on a CPU, slices under way at once; None for as many as PyTorch would take threads.
    :param precision: "float32", or "bfloat16" where the processor has it and the image stays within 0.01;
        else float32 is used and a note says so.
    :param parts: False for the fused image alone.
    :param outputs: arrays of zeros to fill instead of new ones, (slices, rows, columns), any strides: fused,
        MRI part, PET part, and both gradients, as far as they are asked for.
    :return: yields the fraction done, in [0, 1]; returns a :class:`FusedSlices`.
    :raises DeviceError: there is not enough memory for a single slice.
    """
    start = time.perf_counter()
    kinds = 1 + 2 * parts + 2 * gradients
    if outputs is None:
        outputs = [np.zeros(mri.shape, np.float32) for _ in range(kinds)]
    yield 0.0
    job = _Job(network.to(device=device).eval(), mri, pet, outputs, gradients, parts)
    job.choose_checked()
    if precision != "float32":
        job.lower_precision(device, precision)
    if device.type != "cpu":
        device = yield from _in_batches(job, device)
    if device.type == "cpu":
        yield from _in_workers(job, workers or torch.get_num_threads())
    fused, *others = outputs
    found, asked = iter(others), (parts, parts, gradients, gradients)
    mri_part, pet_part, mri_gradient, pet_gradient = (next(found) if wanted else None for wanted in asked)
    return FusedSlices(
        fused,
        mri_part,
        pet_part,
        mri_gradient,
        pet_gradient,
        slices=job.filled,
        seconds=time.perf_counter() - start,
        device=str(device),
        completeness=job.error if parts and network.parts_add_up else None,
        notes=tuple(job.notes),
    )


class _Job:
    """The slices of one call, how far they are, and what was found on the way."""

    def __init__(self, network, mri, pet, outputs, gradients: bool, parts: bool):
        self.network, self.mri, self.pet, self.outputs = network, mri, pet, outputs
        self.gradients, self.parts = gradients, parts
        self.waiting = list(range(mri.shape[0]))
        self.checked: set = set()
        self.dtype = torch.float32
        self.filled, self.error = 0, 0.0
        self.notes: List[str] = []
        self.lock = threading.Lock()

    @property
    def fraction(self) -> float:
        total = self.mri.shape[0]
        return 1.0 if not total else 1.0 - len(self.waiting) / total

    def choose_checked(self) -> None:
        """Slices spread over those that are not empty."""
        filled = [index for index in self.waiting if self.mri[index].any() or self.pet[index].any()]
        self.checked = set(filled[len(filled) // 6 :: max(1, len(filled) // CHECKED_SLICES)][:CHECKED_SLICES])

    def checks(self, index: int) -> bool:
        """Whether the parts of this slice are compared with the fused image alone."""
        return (
            index in self.checked
            and self.parts
            and self.network.parts_add_up
            # In bfloat16 the fused image is what the parts add up to.
            and self.dtype == torch.float32
        )

    def lower_precision(self, device: torch.device, precision: str) -> None:
        """Compute in that precision, if the processor is fast at it and it shows on no checked slice."""
        dtype = PRECISIONS[precision]
        if not isinstance(self.network, TwoLaneNetwork) or not bfloat16_runs_fast(device):
            self.notes.append(f"{precision} would not be faster here: float32 was used.")
            return
        lower = TwoLaneNetwork().eval()
        lower.load_state_dict(self.network.state_dict())
        lower.to(device=device, dtype=dtype)
        for index in self.checked:
            images = [_to_tensor(stack[index][None], device) for stack in (self.mri, self.pet)]
            with torch.inference_mode():
                exact = self.network.fuse(*images)
                error = (lower.fuse(*(image.to(dtype) for image in images)) - exact).abs().max()
            if not float(error) <= TOLERANCE:
                self.notes.append(
                    f"{precision} would change the image by {float(error):.3f}: float32 was used."
                )
                return
        self.network, self.dtype = lower, dtype

    def finish(self, index: int, window, results: Sequence[np.ndarray], error: float) -> None:
        """Put the results of one slice in their place."""
        place = (index, *window)
        for output, result in zip(self.outputs, results):
            output[place] = result
        with self.lock:
            self.waiting.remove(index)
            self.filled += 1
            self.error = max(self.error, error)

    def skip(self, index: int) -> None:
        with self.lock:
            self.waiting.remove(index)


def _in_workers(job: _Job, workers: int) -> Generator[float, None, None]:
    """Slices on the CPU, so many at once, with one thread each; with one worker if memory is short."""
    threads = torch.get_num_threads()
    for count in sorted({workers, 1}, reverse=True):
        pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        runners = threading.local()

        def run(index: int, runners=runners) -> None:
            if not hasattr(runners, "run"):
                runners.run = _cpu_runner(job)
            _fuse_one(job, index, runners.run)

        pending = {pool.submit(run, index) for index in list(job.waiting)}
        try:
            while pending:
                done, pending = wait(pending, TURN, FIRST_COMPLETED)
                for future in done:
                    future.result()
                yield job.fraction
            return
        except (RuntimeError, MemoryError) as failure:
            if not is_out_of_memory(failure):
                raise
            if count == 1:
                raise DeviceError(
                    "There is not enough memory to fuse one slice: close other programs or volumes."
                ) from failure
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            # The workers' setting became the one of threads that are started from now on.
            torch.set_num_threads(threads)


def _cpu_runner(job: _Job):
    """A function (mri, pet, with parts) -> results of one slice, for one thread."""
    if isinstance(job.network, TwoLaneNetwork):
        return StripNetwork(job.network, job.dtype)

    def plain(mri: np.ndarray, pet: np.ndarray, parts: bool) -> List[np.ndarray]:
        return _plain(job, _on_cpu(mri, pet), parts, 0)

    return plain


def _fuse_one(job: _Job, index: int, run) -> None:
    mri, pet = job.mri[index], job.pet[index]
    window = _window(job.network, mri, pet)
    if window is None:
        job.skip(index)
        return
    mri, pet = (np.ascontiguousarray(image[window], dtype=np.float32) for image in (mri, pet))
    results = run(mri, pet, job.parts)
    if job.gradients:
        results = [*results, *(gradient[0] for gradient in _gradients(job, _on_cpu(mri, pet)))]
    error = 0.0
    if job.checks(index):
        error = float(np.abs(results[1] + results[2] - _one_lane(job, index, window, run)).max())
    job.finish(index, window, results, error)


def _one_lane(job: _Job, index: int, window, run) -> np.ndarray:
    """The fused image of a slice in the window, computed without parts."""
    mri, pet = job.mri[index], job.pet[index]
    if mri.size > CHECKED_PIXELS:
        return run(np.ascontiguousarray(mri[window]), np.ascontiguousarray(pet[window]), False)[0]
    # By the plain pass, and of the whole slice: this measures what strips and leaving out black cost, too.
    with torch.inference_mode():
        fused = job.network.fuse(*_on_cpu(mri, pet))
    return fused[0, 0].numpy()[window]


def _window(network, mri: np.ndarray, pet: np.ndarray):
    """The rows and columns outside which the result is exactly black; None when all of it is."""
    there = (mri != 0) | (pet != 0)
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    if not isinstance(network, TwoLaneNetwork):
        # Biases make black gray; other methods work on the whole slice.
        return slice(None), slice(None)
    return tuple(slice(max(0, ends[0] - MARGIN), ends[-1] + 1 + MARGIN) for ends in (rows, columns))


def _in_batches(job: _Job, device: torch.device) -> Generator[float, None, torch.device]:
    """Slices on a GPU, as many at once as its memory allows; returns "cpu" when it allows not even one."""
    job.network.to(memory_format=torch.channels_last)
    size = batch_size(device, job.mri.shape[1] * job.mri.shape[2])
    while job.waiting:
        batch, job_error = [], 0.0
        for index in list(job.waiting):
            if job.mri[index].any() or job.pet[index].any():
                batch.append(index)
                if len(batch) == size:
                    break
            else:
                job.skip(index)
        try:
            if batch:
                results, job_error = _run_batch(job, batch, device)
        except Exception as failure:
            if not is_out_of_memory(failure):
                raise
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if size == 1:
                job.notes.append(
                    f"The memory of the {device_in_words(device)} did not suffice: the CPU was used."
                )
                job.network, job.dtype = job.network.to(device="cpu", dtype=torch.float32), torch.float32
                return torch.device("cpu")
            size = max(1, size // 2)
            continue
        whole = (slice(None), slice(None))
        for position, index in enumerate(batch):
            job.finish(index, whole, [result[position] for result in results], job_error)
        yield job.fraction
    return device


def _run_batch(job: _Job, batch: List[int], device: torch.device):
    """The results of some slices, (slices, rows, columns) each, and the largest |C1 + C2 - F|."""
    images = [_to_tensor(np.stack([stack[index] for index in batch]), device) for stack in (job.mri, job.pet)]
    results, error = _plain(job, images, job.parts), 0.0
    if job.gradients:
        results += _gradients(job, images)
    if any(job.checks(index) for index in batch):
        with torch.inference_mode():
            fused = job.network.fuse(*images)[:, 0].cpu().numpy()
        error = float(np.abs(results[1] + results[2] - fused).max())
    return results, error


def _plain(job: _Job, images, parts: bool, which=slice(None)) -> List[np.ndarray]:
    """Fused image and parts, or the fused image alone, by the plain forward pass."""
    with torch.no_grad():
        images = [image.to(job.dtype) for image in images]
        results = list(job.network(*images)) if parts else [job.network.fuse(*images)]
        results = [result[:, 0].float().cpu().numpy()[which] for result in results]
    if parts and job.network.parts_add_up:
        results[0] = results[1] + results[2]
    return results


def _gradients(job: _Job, images) -> List[np.ndarray]:
    """Equation (5) in float32, zero where both inputs are."""
    covered = (images[0] > 0) | (images[1] > 0)
    images = [image.to(job.dtype) for image in images]
    return [
        (gradient * covered)[:, 0].float().cpu().numpy() for gradient in input_gradients(job.network, *images)
    ]


def _on_cpu(mri: np.ndarray, pet: np.ndarray) -> List[torch.Tensor]:
    """Two images (rows, columns) as the network wants them, (1, 1, rows, columns)."""
    return [_to_tensor(image[None], torch.device("cpu")) for image in (mri, pet)]


def _to_tensor(slices: np.ndarray, device: torch.device) -> torch.Tensor:
    """(N, rows, columns) -> (N, 1, rows, columns) on the device."""
    tensor = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32)).unsqueeze(1)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
