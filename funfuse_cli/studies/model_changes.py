"""Controlled changes of a registered pair: what another scanner, tracer, patient or registration does to it.

Every change is a function of MRI and PET, (rows, columns) float32 in [0, 1] -> the same. Background, where
both are 0, stays exactly 0 unless the change moves the PET over it.
"""

from typing import Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np
from scipy import ndimage

Pair = Tuple[np.ndarray, np.ndarray]

NOISE, BLUR, LESION_RADIUS = 0.02, 1.0, 5.0
HOT, COLD = 0.6, -0.8


class Change(NamedTuple):
    """A change with what tables say about it.

    :param lesion: whether it puts a blob into the PET, whose contrast can be followed.
    """

    text: str
    apply: Callable[[np.ndarray, np.ndarray], Pair]
    lesion: bool = False


def _scaled(mri_factor: float, pet_factor: float):
    return lambda mri, pet: (mri * np.float32(mri_factor), pet * np.float32(pet_factor))


def _gamma(mri_power: float, pet_power: float):
    return lambda mri, pet: (mri ** np.float32(mri_power), pet ** np.float32(pet_power))


def _noisy(mri: np.ndarray, pet: np.ndarray) -> Pair:
    # The same noise at every call: a change is a function.
    rng = np.random.default_rng(0)
    return tuple(
        np.where(image > 0, np.clip(image + rng.normal(0, NOISE, image.shape), 0, 1), 0).astype(np.float32)
        for image in (mri, pet)
    )


def _blurred(image: np.ndarray) -> np.ndarray:
    return np.where(image > 0, ndimage.gaussian_filter(image, BLUR), 0).astype(np.float32)


def _shifted(pixels: int):
    def shift(mri: np.ndarray, pet: np.ndarray) -> Pair:
        moved = np.zeros_like(pet)
        moved[:, pixels:] = pet[:, :-pixels]
        return mri, moved

    return shift


def _inverted(mri: np.ndarray, pet: np.ndarray) -> Pair:
    """Bright tissue dark and dark tissue bright, as between T1 and T2; the darkest tissue becomes 1."""
    head = mri > 0
    top = float(mri[head].max()) if head.any() else 0.0
    return np.where(head, top - mri + np.float32(1 / 255), 0).clip(0, 1).astype(np.float32), pet


def blob(pet: np.ndarray) -> np.ndarray:
    """A smooth blob, 1 at its center, half way between the middle of the uptake and its right edge."""
    rows, columns = np.nonzero(pet > 0)
    if not len(rows):
        return np.zeros(pet.shape, np.float32)
    row, column = rows.mean(), (columns.mean() + columns.max()) / 2
    away = (np.arange(pet.shape[0])[:, None] - row) ** 2 + (np.arange(pet.shape[1])[None] - column) ** 2
    return np.exp(-away / (2 * LESION_RADIUS**2)).astype(np.float32)


def _hot(mri: np.ndarray, pet: np.ndarray) -> Pair:
    return mri, np.where(pet > 0, np.clip(pet + np.float32(HOT) * blob(pet), 0, 1), 0).astype(np.float32)


def _cold(mri: np.ndarray, pet: np.ndarray) -> Pair:
    return mri, (pet * (1 + np.float32(COLD) * blob(pet))).astype(np.float32)


CHANGES: Dict[str, Change] = {
    "none": Change("as it is", lambda mri, pet: (mri, pet)),
    "pet-half": Change("PET × 0.5", _scaled(1, 0.5)),
    "mri-half": Change("MRI × 0.5", _scaled(0.5, 1)),
    "mri-gamma-0.7": Change("MRI, gamma 0.7", _gamma(0.7, 1)),
    "mri-gamma-1.4": Change("MRI, gamma 1.4", _gamma(1.4, 1)),
    "pet-gamma-0.7": Change("PET, gamma 0.7", _gamma(1, 0.7)),
    "pet-gamma-1.4": Change("PET, gamma 1.4", _gamma(1, 1.4)),
    "noise": Change(f"noise in both, σ {NOISE:g}, inside the head", _noisy),
    "mri-blur": Change(f"MRI blurred, σ {BLUR:g} pixel", lambda mri, pet: (_blurred(mri), pet)),
    "pet-blur": Change(f"PET blurred, σ {BLUR:g} pixel", lambda mri, pet: (mri, _blurred(pet))),
    "shift-1": Change("PET shifted by 1 pixel", _shifted(1)),
    "shift-2": Change("PET shifted by 2 pixels", _shifted(2)),
    "lesion-hot": Change(f"hot lesion in the PET, {HOT:+g}", _hot, lesion=True),
    "lesion-cold": Change(f"cold lesion in the PET, × {1 + COLD:.1f}", _cold, lesion=True),
    "mri-inverted": Change("MRI contrast inverted inside the head", _inverted),
}


def contrast_kept(before: np.ndarray, after: np.ndarray, pet_before, pet_after) -> Optional[float]:
    """The share of a change of the PET that arrives in an image: regression of one difference on the other.

    :param before: fused image or part without the change; ``after`` with it; likewise for the PET.
    :return: 0.5 for the plain average; None where the PET did not change.
    """
    asked, got = pet_after - pet_before, after - before
    power = float((asked * asked).sum())
    return float((asked * got).sum()) / power if power > 0 else None
