"""What a transform does, in numbers and in words, and whether a head could have changed like that."""

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

SCALE_RANGE = (0.8, 1.25)
MAXIMUM_SHEAR = 0.15
# What errors of voxel size and of the optimizer can make of two images of one head.
SAME_PATIENT_SCALE = 0.05
SAME_PATIENT_SHEAR = 0.03


@dataclass(frozen=True)
class Decomposition:
    """A 4×4 matrix taken apart: first scale and shear, then rotation about ``center``, then shift.

    :param rotation: degrees about the R, A and S axes; the matrices multiply as S · A · R.
    :param translation: millimeters along R, A, S by which the center moves.
    :param scale: factors along the R, A and S axes of the moving volume; one is negative for a mirror.
    :param shear: RA, RS and AS entries of the unit upper triangular matrix.
    :param center: RAS millimeters in the moving space.
    """

    rotation: Tuple[float, float, float]
    translation: Tuple[float, float, float]
    scale: Tuple[float, float, float]
    shear: Tuple[float, float, float]
    center: Tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def angle(self) -> float:
        """The whole rotation as one angle in degrees, in [0, 180]."""
        cosine = (np.trace(rotation_matrix(self.rotation)) - 1.0) / 2.0
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def rotation_matrix(degrees: Sequence[float]) -> np.ndarray:
    """3×3 rotation by angles about R, then A, then S."""
    (cr, ca, cs), (sr, sa, ss) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_r = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_a = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]])
    about_s = np.array([[cs, -ss, 0], [ss, cs, 0], [0, 0, 1]])
    return about_s @ about_a @ about_r


def rotation_angles(rotation: np.ndarray) -> np.ndarray:
    """Inverse of :func:`rotation_matrix`, in degrees, the middle angle within ±90."""
    middle = np.arcsin(np.clip(-rotation[2, 0], -1.0, 1.0))
    if abs(rotation[2, 0]) > 1.0 - 1e-12:
        # Gimbal lock: only the sum or difference of the other two is defined.
        first, last = 0.0, np.arctan2(-rotation[0, 1], rotation[1, 1])
    else:
        first = np.arctan2(rotation[2, 1], rotation[2, 2])
        last = np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.degrees([first, middle, last])


def decompose(matrix: np.ndarray, center: Sequence[float] = (0.0, 0.0, 0.0)) -> Decomposition:
    """Take an invertible 4×4 affine matrix apart; :func:`compose` puts it together.

    :raises ValueError: the matrix is singular or not 4×4.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError("an invertible 4x4 matrix is needed")
    rotation, triangle = np.linalg.qr(matrix[:3, :3])
    signs = np.where(np.diag(triangle) < 0, -1.0, 1.0)
    rotation, triangle = rotation * signs, triangle * signs[:, None]
    if np.linalg.det(rotation) < 0:
        rotation[:, 2] *= -1
        triangle[2] *= -1
    scale = np.diag(triangle)
    shear = triangle / scale[:, None]
    middle = np.asarray(center, dtype=float)
    translation = matrix[:3, :3] @ middle + matrix[:3, 3] - middle
    return Decomposition(
        _three(rotation_angles(rotation)),
        _three(translation),
        _three(scale),
        _three(shear[np.triu_indices(3, 1)]),
        _three(middle),
    )


def _three(values: np.ndarray) -> Tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def compose(parts: Decomposition) -> np.ndarray:
    """The 4×4 matrix of a decomposition."""
    shear = np.eye(3)
    shear[0, 1], shear[0, 2], shear[1, 2] = parts.shear
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(parts.rotation) @ np.diag(parts.scale) @ shear
    center = np.asarray(parts.center)
    matrix[:3, 3] = center + np.asarray(parts.translation) - matrix[:3, :3] @ center
    return matrix


def stretches(matrix: np.ndarray) -> np.ndarray:
    """The three principal scale factors, largest first: by how much any line can grow or shrink."""
    return np.linalg.svd(np.asarray(matrix, dtype=float)[:3, :3], compute_uv=False)


def objections(matrix: np.ndarray) -> Tuple[str, ...]:
    """Why a transform cannot be right, whatever the images show; empty when it can."""
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        return ("the transform is not a finite 4×4 matrix",)
    if np.linalg.det(matrix[:3, :3]) <= 1e-9:
        return ("the transform mirrors or flattens the head",)
    found = []
    largest, _, smallest = stretches(matrix)
    if largest > SCALE_RANGE[1]:
        found.append(f"the transform enlarges the head to {100 * largest:.0f} %")
    if smallest < SCALE_RANGE[0]:
        found.append(f"the transform shrinks the head to {100 * smallest:.0f} %")
    if max(abs(s) for s in decompose(matrix).shear) > MAXIMUM_SHEAR:
        found.append("the transform skews the head")
    return tuple(found)


def fits_one_patient(matrix: np.ndarray) -> bool:
    """Whether scale and shear are small enough for two images of the same head."""
    parts = decompose(matrix)
    return (
        float(np.abs(stretches(matrix) - 1.0).max()) <= SAME_PATIENT_SCALE
        and max(abs(s) for s in parts.shear) <= SAME_PATIENT_SHEAR
    )


def describe(matrix: np.ndarray, center: Sequence[float]) -> str:
    """One sentence for the user about what the transform does to the PET."""
    parts = decompose(matrix, center)
    shift = float(np.linalg.norm(parts.translation))
    text = (
        f"Turned by {parts.angle:.1f}° ({_triple(parts.rotation, '.1f')}° about R, A, S) and "
        f"shifted by {shift:.1f} mm ({_triple(parts.translation, '.1f')} mm along R, A, S) "
        "at the center of the head"
    )
    if np.allclose(stretches(matrix), 1.0, rtol=0, atol=5e-4):
        return text + "; size unchanged."
    return (
        f"{text}; scaled by {_triple(parts.scale, '.3f', sign='')} along R, A, S, "
        f"sheared by up to {max(abs(s) for s in parts.shear):.3f}."
    )


def _triple(values: Sequence[float], pattern: str, sign: str = "+") -> str:
    # Adding zero turns a rounded −0.0 into 0.0.
    return ", ".join(format(round(value, 6) + 0.0, sign + pattern) for value in values)
