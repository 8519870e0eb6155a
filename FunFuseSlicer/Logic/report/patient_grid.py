"""The part of a volume that shows the head, on isotropic voxels along the axes of the patient."""

from itertools import product
from typing import Optional

import numpy as np

from ..volumes.geometry import Volume, resample
from ..volumes.preprocessing import HEAD_FRACTION, robust_scale

# Voxels along the longest side: enough for a millimeter in most heads, and for a page that can be mailed.
LONGEST = 192
# A slice of an image belongs to the head when at least this share of it is bright; noise is less.
LEAST_SHARE = 0.003
# Uptake above this part of its scale belongs to a head, too.
LEAST_UPTAKE = 0.3
MARGIN_MM = 4.0
# So many voxels tell where a head is.
_ENOUGH = 4_000_000


def head_box(mri: Volume, pet: np.ndarray, pet_scale: float) -> np.ndarray:
    """Where an MRI or a PET shows a head: a box to crop by, all of the MRI where it shows none.

    :param mri: not negative and finite; ``pet`` likewise, on its grid.
    :param pet_scale: see :class:`.contents.Contents`.
    :return: (2, 3), the lowest and the highest edge of voxels along i, j, k.
    """
    step = max(1, int(np.ceil((mri.array.size / _ENOUGH) ** (1 / 3))))
    part = tuple(slice(None, None, step if count > 2 * step else 1) for count in mri.array.shape)
    image = mri.array[part]
    there = image > HEAD_FRACTION * (robust_scale(image) if image.any() else 1.0)
    there |= (pet[part] > LEAST_UPTAKE * pet_scale) & (image > 0)
    box = np.array([[-0.5] * 3, [count - 0.5 for count in mri.dimensions]])
    for axis, count in enumerate(mri.array.shape):
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(there.mean(axis=others) >= LEAST_SHARE) * (part[axis].step or 1)
        if used.size:
            margin = MARGIN_MM / mri.spacing[2 - axis] + 0.5
            last = used[-1] + (part[axis].step or 1) - 1
            box[:, 2 - axis] = max(-0.5, used[0] - margin), min(count - 0.5, last + margin)
    return box


def patient_grid(mri: Volume, box: Optional[np.ndarray] = None, longest: int = LONGEST) -> Volume:
    """An empty volume around a box: slices from feet to head, rows from front to back, columns from the
    patient's right to left, as radiologists look at them.

    :param box: see :func:`head_box`; None for all of the MRI.
    :param longest: voxels along the longest side, at most.
    :return: float32 zeros; its ``ijk_to_ras`` is ``spacing * diag(-1, -1, 1)`` and an origin.
    """
    if box is None:
        box = np.array([[-0.5] * 3, [count - 0.5 for count in mri.dimensions]])
    corners = np.array([(*corner, 1.0) for corner in product(*box.T)])
    points = (mri.ijk_to_ras @ corners.T)[:3]
    start, end = points.min(axis=1), points.max(axis=1)
    spacing = max(float(mri.spacing.min()), float((end - start).max()) / longest)
    count = np.maximum(1, np.ceil((end - start) / spacing - 1e-6)).astype(int)
    matrix = np.diag([-spacing, -spacing, spacing, 1.0])
    matrix[:3, 3] = (start + end) / 2.0 + (count - 1) / 2.0 * spacing * np.array([1.0, 1.0, -1.0])
    return Volume(np.zeros(count[::-1], np.float32), matrix, "head")


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
