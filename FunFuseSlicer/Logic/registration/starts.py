"""Rough alignments from which registration may start, and the choice among them."""

from typing import List

import numpy as np
import SimpleITK as sitk

from .plausibility import rotation_matrix
from .preparation import WorkingImage, indices_to_ras, mask_center
from .similarity import Similarity

TURN_DEGREES = 15.0
# From the crown down, about the height of a brain: below come face and neck, which differ in extent.
BRAIN_HEIGHT_MM = 130.0


def centers(working: WorkingImage) -> List[np.ndarray]:
    """Points of a head that should coincide with their like in the other image.

    In this order: center of intensity, center of the head mask, of its upper part, and of the field
    of view; RAS millimeters.
    """
    image, mask = working.image, sitk.GetArrayViewFromImage(working.mask).astype(bool)
    weight = sitk.GetArrayViewFromImage(image) * mask
    kji = np.argwhere(mask)
    ras = indices_to_ras(image, kji[:, ::-1].astype(float))
    intensity = (ras * weight[mask][:, None]).sum(axis=0) / max(float(weight.sum()), 1e-9)
    crown = ras[:, 2].max()
    upper = ras[ras[:, 2] > crown - BRAIN_HEIGHT_MM].mean(axis=0)
    middle = indices_to_ras(image, (np.asarray(image.GetSize(), dtype=float) - 1)[None] / 2.0)[0]
    return [intensity, mask_center(working.mask), upper, middle]


def candidates(fixed: WorkingImage, moving: WorkingImage) -> List[np.ndarray]:
    """Rigid 4×4 matrices (RAS, moving to fixed), the identity first.

    Every way to bring centers together, each upright and with turns about all combinations of axes.
    """
    steps = (0.0, -TURN_DEGREES, TURN_DEGREES)
    turns = [rotation_matrix([r, a, s]) for r in steps for a in steps for s in steps]
    pairs = list(zip(centers(fixed), centers(moving)))
    pairs.append((fixed.center, fixed.center))  # as the headers say
    return [np.eye(4)] + [_about(target, source, turn) for target, source in pairs for turn in turns]


def turned_over(fixed: WorkingImage, moving: WorkingImage, flip: np.ndarray) -> List[np.ndarray]:
    """4×4 matrices (RAS, moving to fixed) that mirror or turn over the moving head, a few of each kind.

    :param flip: 3×3, diagonal, of ±1 along R, A, S.
    """
    steps = np.vstack([np.zeros(3), TURN_DEGREES * np.eye(3), -TURN_DEGREES * np.eye(3)])
    turns = [rotation_matrix(degrees) @ flip for degrees in steps]
    pairs = list(zip(centers(fixed), centers(moving)))
    return [_about(target, source, turn) for target, source in pairs for turn in turns]


def _about(target: np.ndarray, source: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The matrix that turns about ``source`` and puts it on ``target``."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = target - turn @ source
    return matrix


def best_starts(
    starts: List[np.ndarray], similarity: Similarity, center: np.ndarray, count: int, apart_mm: float
) -> List[np.ndarray]:
    """The ``count`` best by similarity that differ by more than ``apart_mm`` around the center."""
    values = [similarity(matrix) for matrix in starts]
    probes = np.vstack([center + 70.0 * offset for offset in np.vstack([np.eye(3), -np.eye(3)])])
    chosen: List[np.ndarray] = []
    for index in np.argsort(values, kind="stable")[::-1]:
        matrix = starts[index]
        if all(displacement(matrix, other, probes) > apart_mm for other in chosen):
            chosen.append(matrix)
        if len(chosen) == count:
            break
    return chosen


def displacement(first: np.ndarray, second: np.ndarray, fixed_points: np.ndarray) -> float:
    """Mean distance in millimeters between where two transforms fetch the same fixed points from."""
    homogeneous = np.hstack([fixed_points, np.ones((len(fixed_points), 1))])
    difference = homogeneous @ (np.linalg.inv(first) - np.linalg.inv(second)).T
    return float(np.linalg.norm(difference[:, :3], axis=1).mean())
