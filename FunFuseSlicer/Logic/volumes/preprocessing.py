"""From voxels as scanners write them to the images in [0, 1] that the network expects."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from ..errors import InputError
from .geometry import Volume, check_axes, enough_memory

NORMALIZATIONS = ("robust", "minmax", "none")

# A voxel belongs to the head when it exceeds this fraction of the near-maximum ...
HEAD_FRACTION = 0.1
# ... which is this percentile of the positive voxels: one hot voxel must not set the scale.
NEAR_MAXIMUM_PERCENTILE = 99.9
# The brightest 0.5 % of the head (fat, vessels, a hot spot's tip) saturate.
ROBUST_PERCENTILE = 99.5


@dataclass(frozen=True)
class Replaced:
    """How many voxels of a volume could not be used as they were and became 0."""

    nan: int
    infinite: int
    negative: int

    def sentence(self, name: str) -> Optional[str]:
        """What was replaced, for the log; None when nothing was."""
        return f'"{name}": {self.counts()} voxels set to 0.' if self.counts() else None

    def counts(self) -> str:
        """Such as "3 NaN, 1 negative"; "" when nothing was replaced."""
        counts = [("NaN", self.nan), ("infinite", self.infinite), ("negative", self.negative)]
        return ", ".join(f"{count} {what}" for what, count in counts if count)


def clean(volume: Volume) -> Tuple[Volume, Replaced]:
    """NaN, infinite and negative voxels become 0, and are counted.

    :return: the volume as float32 and the counts.
    :raises InputError: the volume is empty, has no contrast or no place in space.
    :raises DeviceError: there is not enough memory.
    """
    with enough_memory(f'"{volume.name}"'):
        return _clean(volume)


def _clean(volume: Volume) -> Tuple[Volume, Replaced]:
    if volume.array.size == 0:
        raise InputError(f'"{volume.name}" has no voxels: choose another volume.')
    check_axes(volume)
    with np.errstate(over="ignore"):  # 1e300 becomes infinite, and is counted as that
        array = np.array(volume.array, dtype=np.float32)
    nan, infinite = np.isnan(array), np.isinf(array)
    array[nan | infinite] = 0
    negative = array < 0
    array[negative] = 0
    counts = Replaced(int(nan.sum()), int(infinite.sum()), int(negative.sum()))
    if array.min() == array.max():
        what = "is zero everywhere" if array.max() == 0 else "has the same value everywhere"
        if counts.counts():
            what += f" once its {counts.counts()} voxels are set to 0"
        raise InputError(f'"{volume.name}" {what}: it has no contrast to fuse. Choose another volume.')
    return volume.with_array(array), counts


def robust_scale(array: np.ndarray) -> float:
    """The intensity that becomes 1: a high percentile of the voxels of the head.

    Scale equivariant: ``robust_scale(a * x) == a * robust_scale(x)`` for a > 0.

    :param array: non-negative, finite, not all zero.
    """
    positive = array[array > 0]
    near_maximum = float(np.percentile(positive, NEAR_MAXIMUM_PERCENTILE))
    head = positive[positive > HEAD_FRACTION * near_maximum]
    return float(np.percentile(head, ROBUST_PERCENTILE))


def normalize(array: np.ndarray, method: str = "robust", full_range: float = 1.0) -> np.ndarray:
    """Intensities to [0, 1] with one scale for the whole volume; 0 stays 0.

    One scale per slice would make coronal and sagittal views flicker.

    :param array: non-negative and finite, any shape, see :func:`clean`.
    :param method: "robust" divides by :func:`robust_scale` and clips; "minmax" maps the smallest
        value to 0 and the largest to 1; "none" divides by ``full_range`` and clips.
    :param full_range: the largest value the original type can hold, see :func:`full_range`.
    :return: float32, same shape.
    :raises InputError: an unknown method.
    """
    return to_unit(array, *unit_range(array, method, full_range))


def to_unit(array: np.ndarray, low: float, high: float) -> np.ndarray:
    """``low`` to 0, ``high`` to 1, clipped; float32, same shape."""
    if low:
        array = array - np.float32(low)
    return np.clip(array / np.float32(high - low), 0.0, 1.0).astype(np.float32, copy=False)


def unit_range(array: np.ndarray, method: str = "robust", full_range: float = 1.0) -> Tuple[float, float]:
    """The intensities that :func:`normalize` maps to 0 and to 1.

    :raises InputError: an unknown method.
    """
    if method == "robust":
        return 0.0, robust_scale(array)
    if method == "minmax":
        low, high = float(array.min()), float(array.max())
        # Even all over the grid, as the inside of a large phantom can be: all of it is the largest value.
        return (low, high) if low < high else (0.0, high)
    if method == "none":
        return 0.0, full_range
    raise InputError(f'Unknown normalization "{method}": choose one of {", ".join(NORMALIZATIONS)}.')


def full_range(dtype: np.dtype) -> float:
    """What "none" divides by: 255 for 8-bit images, 65535 for 16-bit, 1 for floats."""
    dtype = np.dtype(dtype)
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def mean_over_frames(array: np.ndarray, name: str, frame: Optional[int] = None) -> np.ndarray:
    """One 3-D image of a dynamic scan: the mean of its frames, or the chosen frame.

    :param array: (frames, k, j, i); NaN and infinite voxels do not spoil the mean of the others.
    :param frame: 0-based; None for the mean.
    :return: (k, j, i), float32.
    :raises InputError: there is no such frame.
    """
    if frame is not None:
        if not 0 <= frame < array.shape[0]:
            raise InputError(f'"{name}" has frames 0 to {array.shape[0] - 1}; there is no frame {frame}.')
        return array[frame].astype(np.float32)
    # Frame by frame: a dynamic scan can be most of what the memory holds.
    total, count = np.zeros(array.shape[1:]), np.zeros(array.shape[1:], np.int32)
    for values in array:
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        finite = np.isfinite(values)
        total += np.where(finite, values, 0)
        count += finite
    return (total / np.maximum(count, 1)).astype(np.float32)


def check_overlap(pet_on_grid: np.ndarray, mri: Volume, pet_name: str, remedy: str) -> None:
    """:raises InputError: no voxel of the PET lies on the MRI's grid."""
    if not np.any(pet_on_grid > 0):
        raise InputError(f'"{pet_name}" and "{mri.name}" do not overlap in space: {remedy}')


def replaced_sentences(items: List[Tuple[str, Replaced]]) -> List[str]:
    """The log lines for several volumes."""
    return [sentence for name, replaced in items for sentence in [replaced.sentence(name)] if sentence]
