"""Rough alignments from which registration may start, and the choice among them."""

from typing import List, Sequence, Tuple

import numpy as np
import SimpleITK as sitk

from .plausibility import rotation_matrix
from .preparation import WorkingImage, indices_to_ras, mask_center
from .similarity import Similarity

TURN_DEGREES = 15.0
UPRIGHT = np.zeros((1, 3))
TILTS = np.vstack([UPRIGHT, TURN_DEGREES * np.eye(3), -TURN_DEGREES * np.eye(3)])
# From the crown down, about the height of a brain: below come face and neck, which differ in extent.
BRAIN_HEIGHT_MM = 130.0
# A field of view longer than this holds more than a head; where to look in it, and how densely.
LONG_MM = 320.0
WINDOW_MM, WINDOW_STEP_MM = 160.0, 25.0


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


def longest_mm(working: WorkingImage) -> float:
    """The longest edge of a field of view in millimeters."""
    return working.spacing * max(working.image.GetSize())


def is_long(working: WorkingImage) -> bool:
    """Whether a field of view holds more than a head."""
    return longest_mm(working) > LONG_MM


def along_the_body(working: WorkingImage) -> List[np.ndarray]:
    """Where in a field of view longer than a head the brain may be: centers of what lies between two planes.

    :return: RAS millimeters, from one end to the other; empty for a field of view of usual length.
    """
    image = working.image
    if not is_long(working):
        return []
    size = working.spacing * np.asarray(image.GetSize())
    axis = int(size.argmax())
    array = sitk.GetArrayViewFromImage(image)
    # What is bright must not decide: a thigh and a bladder count as much as a brain.
    kji = np.argwhere(array > 0.25 * array[sitk.GetArrayViewFromImage(working.mask) > 0].mean())
    ijk = kji[:, ::-1].astype(float)
    along = ijk[:, axis] * working.spacing
    found = []
    for middle in np.arange(WINDOW_MM / 2.0, size[axis] - WINDOW_MM / 4.0, WINDOW_STEP_MM):
        near = np.abs(along - middle) < WINDOW_MM / 2.0
        if near.any():
            center = ijk[near].mean(axis=0)
            center[axis] = middle / working.spacing
            found.append(indices_to_ras(image, center[None])[0])
    return found


def candidates(fixed: WorkingImage, moving: WorkingImage) -> List[np.ndarray]:
    """Rigid 4×4 matrices (RAS, moving to fixed), the identity first.

    Every way to bring centers together, each upright and with turns about all combinations of axes.
    """
    steps = (0.0, -TURN_DEGREES, TURN_DEGREES)
    turns = [rotation_matrix([r, a, s]) for r in steps for a in steps for s in steps]
    pairs = list(zip(centers(fixed), centers(moving)))
    pairs.append((fixed.center, fixed.center))  # as the headers say
    pairs += [(fixed.center, source) for source in along_the_body(moving)]
    return [np.eye(4)] + [_about(target, source, turn) for target, source in pairs for turn in turns]


def turned_over(
    places: Sequence[Tuple[np.ndarray, np.ndarray]], flip: np.ndarray, tilts: np.ndarray
) -> List[np.ndarray]:
    """4×4 matrices (RAS, moving to fixed) that mirror or turn over the moving head.

    :param places: points of the fixed and of the moving head that should coincide.
    :param flip: 3×3, what it does to R, A, S.
    :param tilts: (n, 3) degrees about R, A, S, by which the head is turned after that.
    """
    turns = [rotation_matrix(degrees) @ flip for degrees in tilts]
    return [_about(target, source, turn) for target, source in places for turn in turns]


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
