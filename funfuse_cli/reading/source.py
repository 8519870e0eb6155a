"""What every format gives: frames on one grid, and what there is to say about them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.units import Units

# A frame, or the first and the last of several, 0-based.
FrameChoice = Union[None, int, Tuple[int, int]]


class Damaged(Exception):
    """A file that has less, or something else, than its header says."""


@dataclass
class Source:
    """An image as a file holds it.

    :param frames: each (k, j, i), made when it is asked for; one for a still image.
    :param ijk_to_ras: 4×4, voxel index to RAS millimeters.
    :param notes: what was corrected, doubted or left out: "its …", to follow the name of the volume.
    :param seconds: how long each frame took; None where that is not known.
    :param counts: the values are counts, which a longer frame has more of.
    :param frame_of_reference: a DICOM UID; equal coordinates are the same place within one only.
    :param modality: of DICOM, such as "MR" or "PT".
    :param units: what the values are, of a PET; ``tracer`` the name of its preset, "" where nothing tells it.
    :param files: of a DICOM series, those that were read.
    """

    frames: Sequence[np.ndarray]
    ijk_to_ras: np.ndarray
    notes: List[str] = field(default_factory=list)
    seconds: Optional[Sequence[float]] = None
    counts: bool = False
    frame_of_reference: Optional[str] = None
    modality: Optional[str] = None
    units: Units = field(default_factory=Units)
    files: Sequence[Path] = ()
    tracer: str = ""


def one_image(source: Source, path, choice: FrameChoice) -> np.ndarray:
    """The chosen frame, or the mean of the chosen frames or of all; adds to the notes how they count.

    :return: (k, j, i); as it is stored where the image has one frame, else float32.
    :raises InputError: there is no such frame.
    """
    count = len(source.frames)
    first, last = choice if isinstance(choice, tuple) else (choice, choice)
    if first is None:
        first, last = 0, count - 1
    if not 0 <= first <= last < count:
        wanted = f"is no frame {first}" if first == last else f"are no frames {first} to {last}"
        if count == 1:
            raise InputError(f"{path} has one frame only; there {wanted}. Leave --frame out.")
        raise InputError(f'"{path}" has frames 0 to {count - 1}; there {wanted}.')
    if first == last:
        return source.frames[first] if count == 1 else source.frames[first].astype(np.float32)
    chosen = range(first, last + 1)
    seconds = None
    if source.seconds is not None and not source.counts:
        seconds = [float(source.seconds[n]) for n in chosen]
    which = f"its {count} frames" if len(chosen) == count else f"frames {first} to {last} of its {count}"
    source.notes.append(f"the mean of {which} is taken, {_how_they_count(source, seconds)}.")
    return mean(source.frames, chosen, seconds)


def _how_they_count(source: Source, seconds: Optional[Sequence[float]]) -> str:
    if source.counts:
        return "alike, for they hold counts"
    if seconds is None:
        return (
            "and they count alike, for their lengths are not given: short early frames of a dynamic PET "
            "weigh as much as long late ones (--frame A-B takes frames A to B alone)"
        )
    if max(seconds) - min(seconds) < 0.01 * max(seconds):
        return f"each {seconds[0]:g} s long"
    return f"weighted by their lengths of {min(seconds):g} to {max(seconds):g} s"


def mean(frames: Sequence[np.ndarray], chosen: Sequence[int], seconds: Optional[Sequence[float]] = None):
    """The mean of frames; NaN and infinite voxels do not spoil that of the others.

    :param seconds: weights of the chosen frames; None for equal ones.
    :return: (k, j, i), float32.
    """
    total = weights = np.zeros(0)
    # Frame by frame: a dynamic scan can be most of what the memory holds.
    for place, n in enumerate(chosen):
        weight = 1.0 if seconds is None else float(seconds[place])
        with np.errstate(over="ignore"):
            values = np.asarray(frames[n]).astype(np.float32)
        if not place:
            total, weights = np.zeros(values.shape), np.zeros(values.shape)
        finite = np.isfinite(values)
        total += weight * np.where(finite, values, 0)
        weights += weight * finite
    return (total / np.where(weights, weights, 1)).astype(np.float32)


def usable_lengths(values, count: int) -> Optional[List[float]]:
    """Lengths of frames as positive numbers; None unless all are."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    good = len(numbers) == count and all(math.isfinite(number) and number > 0 for number in numbers)
    return numbers if good else None


def gray_of_color(array: np.ndarray, path) -> np.ndarray:
    """The one channel of a color image, (…, channels), whose channels are equal.

    :raises InputError: they are not.
    """
    channels = array.shape[-1]
    colors = array[..., :3] if channels >= 3 else array[..., :1]
    if channels in (2, 3, 4) and np.array_equal(colors, np.broadcast_to(colors[..., :1], colors.shape)):
        return np.ascontiguousarray(array[..., 0])
    if channels in (3, 4) and array.dtype.itemsize == 1:
        raise InputError(
            f"{path} is a color image ({channels} values a pixel): give an image with one value a "
            'pixel. "funfuse.py uptake" turns a pseudo-colored PET back into uptake.'
        )
    raise InputError(
        f"{path} has {channels} values a voxel: give an image with one. If they are frames of a dynamic "
        "scan, save them as a volume sequence of Slicer (.seq.nrrd) or as 4-D NIfTI."
    )
