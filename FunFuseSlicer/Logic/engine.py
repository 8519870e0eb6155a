"""Runs a network over a volume, axial slice by axial slice."""

import time
from dataclasses import dataclass
from typing import Generator, List, Optional, Tuple

import numpy as np
import torch

from .device import device_in_words, is_out_of_memory
from .errors import DeviceError
from .monitor import Monitor
from .sensitivity import input_gradients

STAGE = "Fusing"

# Slices of one call: enough to keep two cores busy, few enough to cancel at once.
BATCH = 2

# On so many slices the fused image is computed a second time, by the ordinary one-lane forward pass,
# so that the completeness reported is a measurement and not a definition.
CHECKED_SLICES = 3


@dataclass(frozen=True)
class FusedSlices:
    """What the network made of a stack of slices; arrays are (slices, rows, columns), float32.

    :param mri_gradient: ∇F_I1 of the paper's equation (5), zero where both inputs are; None unless
        asked for. ``pet_gradient`` likewise.
    :param slices: how many were run; the others were empty in both inputs and stay 0.
    :param device: where the last slice was run, as PyTorch names it.
    :param completeness: largest |C1 + C2 - F|; None when the network's parts do not add up by design.
    :param notes: sentences for the user: what had to be done for want of memory.
    """

    fused: np.ndarray
    mri_part: np.ndarray
    pet_part: np.ndarray
    mri_gradient: Optional[np.ndarray]
    pet_gradient: Optional[np.ndarray]
    slices: int
    seconds: float
    device: str
    completeness: Optional[float]
    notes: Tuple[str, ...] = ()


def fuse_slices(
    network,
    mri: np.ndarray,
    pet: np.ndarray,
    device: torch.device,
    gradients: bool = False,
    monitor: Optional[Monitor] = None,
) -> FusedSlices:
    """Fuse a stack of slices; see :func:`fuse_slices_steps`, which this drives to the end.

    :raises Cancelled: through the monitor, between slices.
    """
    monitor = monitor or Monitor()
    steps = fuse_slices_steps(network, mri, pet, device, gradients)
    while True:
        try:
            monitor.report(STAGE, next(steps))
        except StopIteration as end:
            return end.value


def fuse_slices_steps(
    network, mri: np.ndarray, pet: np.ndarray, device: torch.device, gradients: bool = False
) -> Generator[float, None, FusedSlices]:
    """Fuse a stack of slices a few at a time, so that an event loop can run between the steps.

    :param network: see :class:`network.TwoLaneNetwork`; for one λ (``at_lambda``).
    :param mri: (slices, rows, columns) in [0, 1], any strides; ``pet`` likewise.
    :param gradients: compute equation (5) as well.
    :return: yields the fraction done, in [0, 1]; returns a :class:`FusedSlices`.
    """
    start = time.perf_counter()
    # Channels-last convolutions are the faster ones on CPUs and CUDA alike.
    network = network.to(device=device, memory_format=torch.channels_last).eval()
    outputs = [np.zeros(mri.shape, np.float32) for _ in range(5 if gradients else 3)]
    filled = [index for index in range(mri.shape[0]) if mri[index].any() or pet[index].any()]
    checked = set(filled[len(filled) // 6 :: max(1, len(filled) // CHECKED_SLICES)][:CHECKED_SLICES])
    error, size, notes, done = 0.0, BATCH, [], 0
    yield 0.0
    while done < len(filled):
        batch = filled[done : done + size]
        try:
            results, worst = _run(network, mri[batch], pet[batch], device, gradients, checked & set(batch))
        except Exception as failure:
            if not is_out_of_memory(failure):
                raise
            size, device = _with_less_memory(size, device, notes)
            network = network.to(device=device)
            continue
        for output, result in zip(outputs, results):
            output[batch] = result
        error, done = max(error, worst), done + len(batch)
        yield done / len(filled)
    fused, mri_part, pet_part = outputs[:3]
    mri_gradient, pet_gradient = outputs[3:] if gradients else (None, None)
    return FusedSlices(
        fused,
        mri_part,
        pet_part,
        mri_gradient,
        pet_gradient,
        slices=len(filled),
        seconds=time.perf_counter() - start,
        device=str(device),
        completeness=error if network.parts_add_up else None,
        notes=tuple(notes),
    )


def _run(network, mri: np.ndarray, pet: np.ndarray, device, gradients: bool, check: set):
    """The results of a few slices, (slices, rows, columns) each, and the largest |C1 + C2 - F|."""
    images = [_to_tensor(stack, device) for stack in (mri, pet)]
    error = 0.0
    with torch.no_grad():
        results = list(network(*images))
        if network.parts_add_up:
            error = _completeness(network, images, results, check)
    if gradients:
        covered = (images[0] > 0) | (images[1] > 0)
        results += [gradient * covered for gradient in input_gradients(network, *images)]
    return [result[:, 0].cpu().numpy() for result in results], error


def _with_less_memory(size: int, device: torch.device, notes: List[str]):
    """The next thing to try: single slices, then the CPU.

    :raises DeviceError: nothing is left to try.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if size > 1:
        return 1, device
    if device.type == "cpu":
        raise DeviceError("There is not enough memory to fuse one slice: close other programs or volumes.")
    notes.append(f"The memory of the {device_in_words(device)} did not suffice: the CPU was used.")
    return BATCH, torch.device("cpu")


def _to_tensor(slices: np.ndarray, device: torch.device) -> torch.Tensor:
    """(N, rows, columns) -> (N, 1, rows, columns) on the device."""
    return torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32)).unsqueeze(1).to(device)


def _completeness(network, images, results, check: set) -> float:
    """Largest |C1 + C2 - F|, with F from the one-lane forward pass where a slice is to be checked."""
    fused, mri_part, pet_part = results
    if check:
        fused = network.fuse(*images)
    return float((mri_part + pet_part - fused).abs().max())
