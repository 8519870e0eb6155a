"""Mutual information of two images over a domain that stays the same for all compared transforms.

The metric inside an optimizer counts only the samples that happen to overlap, so its values for two
transforms are not comparable. Here every candidate is judged on the same points of the fixed image.
"""

from copy import copy
from typing import Optional, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .preparation import WorkingImage, dilate, indices_to_ras, ras_to_indices

BINS = 32
# Enough background to show the edge of a skull-stripped brain, not so much that it rules the metric.
HEAD_MARGIN_MM = 8.0
_SEED = 1


def mutual_information(a: np.ndarray, b: np.ndarray, bins: int = BINS) -> float:
    """Mutual information in nats of paired samples in [0, 1]; 0 for fewer than two samples.

    Each sample is shared between the two bins nearest to it, so that the value varies smoothly.
    """
    if a.size < 2:
        return 0.0
    return information_of(joint_histogram(a, b, bins)[0])


def joint_histogram(
    a: np.ndarray, b: np.ndarray, bins: int, group: Optional[np.ndarray] = None, groups: int = 1
) -> np.ndarray:
    """(groups, bins, bins) weights of paired samples in [0, 1]; ``group`` says to which each belongs."""
    size = bins * bins
    joint = np.zeros(groups * size)
    low_a, part_a = _bin(a, bins)
    low_b, part_b = _bin(b, bins)
    first = low_a * bins + low_b if group is None else group * size + low_a * bins + low_b
    for step_a, weight_a in ((0, 1.0 - part_a), (1, part_a)):
        for step_b, weight_b in ((0, 1.0 - part_b), (1, part_b)):
            index = first + step_a * bins + step_b
            joint += np.bincount(index, weights=weight_a * weight_b, minlength=groups * size)
    return joint.reshape(groups, bins, bins)


def information_of(joint: np.ndarray) -> float:
    """Mutual information in nats of a joint histogram; 0 for an empty one."""
    total = joint.sum()
    if not total > 0:
        return 0.0
    joint = joint / total
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    some = joint > 0
    return max(0.0, float(np.sum(joint[some] * np.log(joint[some] / expected[some]))))


def _bin(values: np.ndarray, bins: int) -> Tuple[np.ndarray, np.ndarray]:
    position = np.clip(values, 0.0, 1.0) * (bins - 1)
    low = np.minimum(position.astype(np.intp), bins - 2)
    return low, position - low


class Similarity:
    """Judges transforms of a moving image by all voxels of the fixed head and a margin around it.

    The samples lie at random places within the voxels, the same ones each time: samples on the voxels
    themselves would favor transforms that put voxel upon voxel, where nothing is interpolated.
    """

    def __init__(self, fixed: WorkingImage, moving: WorkingImage):
        domain = sitk.GetArrayFromImage(dilate(fixed.mask, HEAD_MARGIN_MM)).astype(bool)
        ijk = np.argwhere(domain)[:, ::-1].astype(float)
        ijk += np.random.default_rng(_SEED).uniform(-0.5, 0.5, ijk.shape)
        self._points = indices_to_ras(fixed.image, ijk)
        array = sitk.GetArrayViewFromImage(fixed.image)
        self._fixed = ndimage.map_coordinates(array, ijk.T[::-1], order=1, mode="nearest").astype(float)
        self._take(moving)

    def _take(self, moving: WorkingImage) -> None:
        self._moving_image = moving.image
        self._moving = sitk.GetArrayFromImage(moving.image)
        corners = ras_to_indices(moving.image, np.vstack([np.zeros(3), np.eye(3)]))
        self._ras_to_moving = np.eye(4)
        self._ras_to_moving[:3, :3] = (corners[1:] - corners[0]).T
        self._ras_to_moving[:3, 3] = corners[0]

    def among(self, moving: WorkingImage) -> "Similarity":
        """The same judge of another moving image."""
        other = copy(self)
        other._take(moving)
        return other

    def __call__(self, matrix: np.ndarray, inside: Optional[np.ndarray] = None) -> float:
        """Mutual information, positive, more is better.

        :param matrix: 4×4 RAS, moving to fixed.
        :param inside: judge by these samples only, as from :meth:`inside`; else by all, where those
            outside of the moving field of view count as background.
        """
        points, fixed = self._points, self._fixed
        if inside is not None:
            points, fixed = points[inside], fixed[inside]
        indices = self._indices(matrix, points)
        values = ndimage.map_coordinates(self._moving, indices.T[::-1], order=1, mode="constant", cval=0.0)
        return mutual_information(fixed, values)

    def inside(self, matrix: np.ndarray) -> np.ndarray:
        """Which samples lie in the moving field of view, as a mask over the samples."""
        indices = self._indices(matrix, self._points)
        limit = np.asarray(self._moving_image.GetSize()) - 1
        return np.all((indices >= 0) & (indices <= limit), axis=1)

    def _indices(self, matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(n, 3) fixed RAS points to voxels of the moving image, in one multiplication."""
        whole = self._ras_to_moving @ np.linalg.inv(matrix)
        return points @ whole[:3, :3].T + whole[:3, 3]
