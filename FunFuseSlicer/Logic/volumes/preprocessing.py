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
# The brightest 0.5 % of the head, or of the brain (vessels, a hot spot's tip), saturate ...
ROBUST_PERCENTILE = 99.5
# ... and in the brain all that exceeds these percentiles so many times: a lesion may take 7 ml, which is that
# 0.5 %, and 20 times the uptake of the rest. Average maps of 15 tracers stay below: their largest ratios are
# 2.2 and 3.8.
LIMITS = ((98.0, 2.5), (95.0, 4.5))
# To sort so many values takes no time.
SORTED_AT_ONCE = 10_000


# An MRI lies around zero when this much of its brightest voxels, or more, is what its darkest lack to 0: the
# noise and the ringing of usual images stay below.
AROUND_ZERO = 0.1
# A volume that is positive in less of the brain than this does not show it.
LEAST_SHARE = 0.1
# Voxels of exactly one value are background when they are this share of all, or more.
BACKGROUND_SHARE = 0.1


@dataclass(frozen=True)
class Replaced:
    """What :func:`clean` changed about the voxels of a volume.

    :param nan: how many became 0, like ``infinite`` and ``negative``.
    :param raised: what was added to all voxels but those of the background, which became 0.
    """

    nan: int
    infinite: int
    negative: int
    raised: float = 0.0

    def sentence(self, name: str) -> Optional[str]:
        """What was changed, for the log; None when nothing was."""
        sentences = []
        if self.raised:
            sentences.append(
                f"its contrast lies around zero: {self.raised:.4g} was added, so that its darkest part is 0."
            )
        if self.counts():
            sentences.append(f"{self.counts()} voxels set to 0.")
        return f'"{name}": {" ".join(sentences)}' if sentences else None

    def counts(self) -> str:
        """Such as "3 NaN, 1 negative"; "" when nothing was replaced."""
        counts = [("NaN", self.nan), ("infinite", self.infinite), ("negative", self.negative)]
        return ", ".join(f"{count} {what}" for what, count in counts if count)


def clean(volume: Volume, mri: bool = False) -> Tuple[Volume, Replaced]:
    """NaN, infinite and negative voxels become 0, and are counted.

    :param mri: it shows anatomy, whose darkest values may be negative, as in an MP2RAGE, a phase-sensitive
        inversion recovery or a standardized image: such a volume is raised first. Of a PET, 0 is no uptake.
    :return: the volume as float32 and what was changed.
    :raises InputError: the volume is empty, has no contrast or no place in space.
    :raises DeviceError: there is not enough memory.
    """
    with enough_memory(f'"{volume.name}"'):
        return _clean(volume, mri)


def _clean(volume: Volume, mri: bool) -> Tuple[Volume, Replaced]:
    if volume.array.size == 0:
        raise InputError(f'"{volume.name}" has no voxels: choose another volume.')
    check_axes(volume)
    with np.errstate(over="ignore"):  # 1e300 becomes infinite, and is counted as that
        array = np.array(volume.array, dtype=np.float32)
    nan, infinite = np.isnan(array), np.isinf(array)
    array[nan | infinite] = 0
    raised = _raise(array) if mri else 0.0
    negative = array < 0
    array[negative] = 0
    counts = Replaced(int(nan.sum()), int(infinite.sum()), 0 if raised else int(negative.sum()), raised)
    if array.min() == array.max():
        what = "is zero everywhere" if array.max() == 0 else "has the same value everywhere"
        if counts.counts():
            what += f" once its {counts.counts()} voxels are set to 0"
        raise InputError(f'"{volume.name}" {what}: it has no contrast to fuse. Choose another volume.')
    return volume.with_array(array), counts


def _raise(array: np.ndarray) -> float:
    """Lift an image whose contrast lies around zero, in place, so that dark stays dark and visible.

    :return: what was added, 0 when the image is none of that kind.
    """
    sample = sampled(array)
    background = background_of(sample)
    tissue = sample if background is None else sample[sample != background]
    low, darkest, bright = np.percentile(tissue, (0.5, 1, 99)) if tissue.size else (0.0, 0.0, 0.0)
    if not darkest < -AROUND_ZERO * abs(bright):
        return 0.0
    outside = array == background if background is not None and background > low else None
    raised = -float(low if background is None or background > low else background)
    array += np.float32(raised)
    if outside is not None:
        array[outside] = 0
    return raised


def sampled(array: np.ndarray) -> np.ndarray:
    """About a million finite voxels of a (k, j, i) array, flat: enough for percentiles."""
    step = max(1, int(np.ceil((array.size / 1e6) ** (1 / 3))))
    part = array[tuple(slice(None, None, step if n > step else 1) for n in array.shape)].ravel()
    return part[np.isfinite(part)]


def background_of(sample: np.ndarray) -> Optional[float]:
    """The value that many voxels have exactly, as outside of a head; None when there is none."""
    values, counts = np.unique(sample, return_counts=True)
    if not counts.size or counts.max() < BACKGROUND_SHARE * sample.size:
        return None
    return float(values[counts.argmax()])


def robust_scale(array: np.ndarray, brain: Optional[np.ndarray] = None) -> float:
    """The intensity that becomes 1: a high percentile of the voxels of the brain, else of the head.

    Scale equivariant: ``robust_scale(a * x) == a * robust_scale(x)`` for a > 0.

    :param array: finite, with positive voxels.
    :param brain: bool of the same shape, see :mod:`brain`: what is bright outside of it does not count. None
        where it is not known; so it is where there is nothing in it.
    """
    if brain is not None:
        inside = array[brain]
        inside = inside[inside > 0]
        if inside.size > LEAST_SHARE * np.count_nonzero(brain):
            at = np.percentile(inside, [ROBUST_PERCENTILE, *(percentile for percentile, _ in LIMITS)])
            return float(min(at[0], *(times * value for value, (_, times) in zip(at[1:], LIMITS))))
    near_maximum = _percentile_above(array, 0.0, NEAR_MAXIMUM_PERCENTILE)
    return _percentile_above(array, HEAD_FRACTION * near_maximum, ROBUST_PERCENTILE)


def _percentile_above(array: np.ndarray, low: float, percentile: float) -> float:
    """``np.percentile`` of the values above ``low``; of a high one only the largest values are sorted."""
    count = int(np.count_nonzero(array > low))
    rank = percentile / 100 * (count - 1)
    needed = count - int(rank)
    step = int(np.ceil((array.size / SORTED_AT_ONCE) ** (1 / max(1, sum(size > 1 for size in array.shape)))))
    sample = array[(slice(None, None, step),) * array.ndim]
    share = 2 * needed / array.size
    if step > 1 and share < 0.1:
        # Above this are about twice as many as needed, as far as the sample tells.
        bound = float(np.quantile(sample, 1 - share))
        largest = array[array >= bound]
        if bound > low and largest.size >= needed:
            below, above = np.partition(largest, (-needed, min(-1, 1 - needed)))[
                [-needed, min(-1, 1 - needed)]
            ]
            return float(below + (above - below) * np.float32(rank - int(rank)))
    return float(np.percentile(array[array > low], percentile))


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


def unit_range(
    array: np.ndarray, method: str = "robust", full_range: float = 1.0, brain: Optional[np.ndarray] = None
) -> Tuple[float, float]:
    """The intensities that :func:`normalize` maps to 0 and to 1.

    :param brain: for "robust", see :func:`robust_scale`.
    :raises InputError: an unknown method.
    """
    if method == "robust":
        return 0.0, robust_scale(array, brain)
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


def fills_range(array: np.ndarray) -> bool:
    """Whether a picture's gray levels are those of its type: 8 bits, or 16 of which the upper half is used.

    Of 16 bits also where they are 8 bits, stretched.
    """
    if array.dtype == np.uint8:
        return True
    stretched = array.dtype == np.uint16 and not ((array % 257).any() and (array % 256).any())
    return array.dtype == np.uint16 and bool(stretched or array.max() >= 1 << 15)


def check_overlap(pet_on_grid: np.ndarray, mri: Volume, pet_name: str, remedy: str) -> None:
    """:raises InputError: no voxel of the PET lies on the MRI's grid."""
    if not np.any(pet_on_grid > 0):
        raise InputError(f'"{pet_name}" and "{mri.name}" do not overlap in space: {remedy}')


def check_mask(mask_on_grid: np.ndarray, mask: Volume, mri: Volume) -> None:
    """:raises InputError: nothing of the MRI is inside the mask, for the reason that it names.

    :param mask_on_grid: the mask on the grid of the MRI, (k, j, i).
    """
    inside = mask_on_grid > 0
    if inside.any() and mri.array[inside].any():
        return
    if not (mask.array > 0).any():
        what = "has no voxel above 0"
    elif not inside.any():
        what = f'and "{mri.name}" do not overlap in space'
    else:
        what = f'lies only where "{mri.name}" is zero'
    raise InputError(f'The mask "{mask.name}" {what}: choose another mask, or none.')


def replaced_sentences(items: List[Tuple[str, Replaced]]) -> List[str]:
    """The log lines for several volumes."""
    return [sentence for name, replaced in items for sentence in [replaced.sentence(name)] if sentence]
