"""Places in a head that are worth a look: by them a picture shows what is special about a PET."""

from typing import Dict, Optional, Sequence, Tuple

import numpy as np
from scipy import ndimage, optimize

CENTER, HOTTEST, ASYMMETRY = "center", "hottest", "asymmetry"
# What is large enough to count, not one voxel: full width at half maximum.
SMOOTHING_MM = 6.0
# Scalp, muscles and nose take up tracer, too: how deep in the head the brain begins, about.
DEPTH_MM = 12.0
# What is compared with its mirror image: where both have more than this part of the highest uptake.
LEAST_UPTAKE = 0.25
# Of both sides' mean; where less differs there is nothing to show.
LEAST_ASYMMETRY = 0.15
# Next to the plane between the halves a small error of that plane makes large differences.
MIDLINE_MM = 15.0
# Voxels that are enough for places, and for the plane between the halves.
_FINE_MM, _COARSE_MM = 2.0, 4.0

Index = Tuple[int, int, int]


def places(
    mri: np.ndarray, uptake: np.ndarray, spacing: float, brain: Optional[np.ndarray] = None
) -> Dict[str, Index]:
    """Where to look, by name, as voxels (i, j, k); a place that there is not is left out.

    :param mri: (k, j, i) on a grid as of :func:`.patient_grid.patient_grid`, columns from right to left; not
        negative. ``uptake`` likewise.
    :param spacing: millimeters between voxels.
    :param brain: (k, j, i) bool; None for what lies deep in the head.
    """
    step = max(1, int(round(_FINE_MM / spacing)))
    part = (slice(None, None, step),) * 3
    mri, uptake, spacing = mri[part], uptake[part], spacing * step
    inside = _deep(mri, spacing) if brain is None else brain[part]
    smooth = ndimage.gaussian_filter(uptake, SMOOTHING_MM / 2.355 / spacing)
    whole = inside & _off_the_ends(mri.shape, spacing)
    inside = next(region for region in (whole, inside, mri > 0, np.ones(mri.shape, bool)) if region.any())
    found = {
        CENTER: ndimage.center_of_mass(np.where(inside, uptake + 1e-6, 0.0)),
        HOTTEST: np.unravel_index(int(np.argmax(np.where(inside, smooth, -1.0))), mri.shape),
    }
    different = _most_asymmetric(mri, smooth, inside, spacing)
    if different is not None:
        found[ASYMMETRY] = different
    return {name: _index(point, step) for name, point in found.items()}


def _index(point: Sequence[float], step: int) -> Index:
    """From (k, j, i) to (i, j, k), and to the voxels of before."""
    k, j, i = (step * int(round(float(n))) for n in point)
    return i, j, k


def _deep(mri: np.ndarray, spacing: float) -> np.ndarray:
    """What lies inside the head by a centimeter; in a brain without its skull, that too."""
    head = mri > 0.1 * np.percentile(mri[mri > 0], 99) if (mri > 0).any() else mri > 0
    head = np.stack([ndimage.binary_fill_holes(plane) for plane in head])
    # Beyond the image the head goes on.
    depth = ndimage.distance_transform_edt(np.pad(head, 1, mode="edge"))
    return depth[1:-1, 1:-1, 1:-1] * spacing > DEPTH_MM


def _off_the_ends(shape: Sequence[int], spacing: float) -> np.ndarray:
    """All but the first and the last slices, where half of what would be smoothed is missing."""
    k = np.arange(shape[0])
    margin = SMOOTHING_MM / spacing
    return ((k >= margin) & (k <= shape[0] - 1 - margin))[:, None, None] & np.ones(shape, bool)


def _most_asymmetric(
    mri: np.ndarray, smooth: np.ndarray, inside: np.ndarray, spacing: float
) -> Optional[Tuple[int, ...]]:
    """Where left and right differ the most, (k, j, i); None where they do not, or cannot be told apart."""
    step = max(1, int(round(_COARSE_MM / spacing)))
    if min(mri.shape) < 8 * step:
        return None
    part = (slice(None, None, step),) * 3
    head, there, uptake = (np.ascontiguousarray(array[part]) for array in (mri, inside, smooth))
    mirror = _mirror(ndimage.gaussian_filter(head.astype(np.float32), 1.0))
    other = _mirrored(uptake, mirror)
    aside = _distance(uptake.shape, mirror) * spacing * step > MIDLINE_MM
    both = aside & there & (_mirrored(there.astype(np.float32), mirror) > 0.5)
    if not both.any():
        return None
    mean = 0.5 * (uptake + other)
    # At the edge of the brain one side may be beside it.
    counts = both & (np.minimum(uptake, other) > LEAST_UPTAKE * np.percentile(uptake[both], 99.5))
    difference = np.where(counts, np.abs(uptake - other), 0.0)
    place = np.unravel_index(int(np.argmax(difference)), difference.shape)
    return tuple(step * n for n in place) if difference[place] > LEAST_ASYMMETRY * mean[place] else None


def _mirror(mri: np.ndarray) -> np.ndarray:
    """The turn about S and about A (radians), and the shift (voxels), that make a head most symmetric."""
    start = np.array([0.0, 0.0, ndimage.center_of_mass(mri)[2] - (mri.shape[2] - 1) / 2.0])
    steps = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.5]])
    return optimize.minimize(
        lambda mirror: -_symmetry(mri, mirror),
        start,
        method="Nelder-Mead",
        options={"initial_simplex": start + steps, "xatol": 0.01, "fatol": 1e-4, "maxfev": 120},
    ).x


def _symmetry(mri: np.ndarray, mirror: np.ndarray) -> float:
    """Correlation of a head with its mirror image; 0 where one of them is even."""
    images = np.stack([mri.ravel(), _mirrored(mri, mirror).ravel()]) - mri.mean()
    norms = np.sqrt((images**2).sum(axis=1)).prod()
    return float(images[0] @ images[1] / norms) if norms > 0 else 0.0


def _mirrored(array: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """An image (k, j, i) in the mirror."""
    normal, point = _plane(array.shape, mirror)
    matrix = np.eye(3) - 2.0 * np.outer(normal, normal)
    return ndimage.affine_transform(array, matrix, point - matrix @ point, order=1)


def _distance(shape: Sequence[int], mirror: np.ndarray) -> np.ndarray:
    """Of every voxel from the mirror, in voxels."""
    normal, point = _plane(shape, mirror)
    return np.abs(np.tensordot(normal, np.indices(shape) - point[:, None, None, None], 1))


def _plane(shape: Sequence[int], mirror: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The normal of the mirror, which is the axis i, turned by yaw and roll, and a point on it; (k, j, i)."""
    yaw, roll, shift = mirror
    normal = np.array([np.sin(roll), np.sin(yaw) * np.cos(roll), np.cos(yaw) * np.cos(roll)])
    return normal, (np.array(shape) - 1) / 2.0 + np.array([0.0, 0.0, shift])
