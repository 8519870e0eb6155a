"""The part of a volume that shows the head, on isotropic voxels along the axes of the patient."""

from itertools import product

import numpy as np

from ..volumes.geometry import Volume, resample
from ..volumes.preprocessing import HEAD_FRACTION, robust_scale

# Voxels along the longest side: enough for a millimeter in most heads, and for a page that can be mailed.
LONGEST = 192
# A slice of an image belongs to the head when at least this share of it is bright; noise is less.
LEAST_SHARE = 0.003
MARGIN_MM = 4.0


def patient_grid(mri: Volume, inside: np.ndarray, longest: int = LONGEST) -> Volume:
    """An empty volume around a region: slices from feet to head, rows from front to back, columns from the
    patient's right to left, as radiologists look at them.

    :param inside: (k, j, i) bool on the MRI's grid; all of the MRI where it holds nothing.
    :param longest: voxels along the longest side, at most.
    :return: float32 zeros; its ``ijk_to_ras`` is ``spacing * diag(-1, -1, 1)`` and an origin.
    """
    low, high = _box(inside)
    corners = np.array([(*corner, 1.0) for corner in product(*zip(low, high))])
    points = (mri.ijk_to_ras @ corners.T)[:3]
    start, end = points.min(axis=1), points.max(axis=1)
    spacing = max(float(mri.spacing.min()), float((end - start).max()) / longest)
    count = np.maximum(1, np.ceil((end - start) / spacing - 1e-6)).astype(int)
    middle = (start + end) / 2.0
    first = middle - (count - 1) / 2.0 * spacing * np.array([-1.0, -1.0, 1.0])
    matrix = np.diag([-spacing, -spacing, spacing, 1.0])
    matrix[:3, 3] = first
    return Volume(np.zeros(count[::-1], np.float32), matrix, "head")


def head_of(mri: Volume, uptake: np.ndarray) -> np.ndarray:
    """Where an MRI shows a head, and a PET uptake, (k, j, i) bool: to crop by, not to measure.

    :param mri: not negative and finite; ``uptake`` in [0, 1] on its grid.
    """
    there = (mri.array > HEAD_FRACTION * robust_scale(mri.array)) | (uptake > 0.3) & (mri.array > 0)
    margins = np.ceil(MARGIN_MM / mri.spacing[::-1]).astype(int)
    inside = np.ones(mri.array.shape, bool)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(there.mean(axis=others) >= LEAST_SHARE)
        if used.size:
            keep = np.zeros(there.shape[axis], bool)
            keep[max(0, used[0] - margins[axis]) : used[-1] + 1 + margins[axis]] = True
            inside &= keep.reshape([-1 if other == axis else 1 for other in range(3)])
    return inside


def on_patient_grid(array: np.ndarray, mri: Volume, grid: Volume) -> np.ndarray:
    """An array on the MRI's grid, linearly interpolated; float32, as ``grid.array``.

    Interpolation needs two slices: a volume of one is as thick as its voxels.
    """
    volume = mri.with_array(array)
    for axis, count in enumerate(volume.array.shape):
        if count == 1:
            matrix = volume.ijk_to_ras.copy()
            # Twice the same voxel, at its two ends.
            matrix[:3, 3] -= 0.5 * matrix[:3, 2 - axis]
            volume = Volume(np.repeat(volume.array, 2, axis=axis), matrix, volume.name)
    return resample(volume, grid).array


def _box(inside: np.ndarray):
    """The edges of the box of what is inside, as indices i, j, k."""
    low, high = [], []
    for axis in (2, 1, 0):
        used = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (used[0], used[-1]) if used.size else (0, inside.shape[axis] - 1)
        low.append(first - 0.5)
        high.append(last + 0.5)
    return low, high
