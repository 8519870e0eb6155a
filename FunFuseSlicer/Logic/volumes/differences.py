"""Left–right asymmetry of a PET, and the difference of two studies: what stands out, in percent or as z.

Arrays are (k, j, i) on one grid. The asymmetry index is the usual one, the difference of both sides by their
mean. An interictal SPECT is subtracted from an ictal one, both scaled to the mean of the brain, and shown
from two standard deviations on, as in SISCOM (T. J. O'Brien et al., Neurology 50, 445-454, 1998).
"""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

import numpy as np
from scipy import ndimage

from ..errors import InputError

PERCENT, Z, SUBTRACTION = KINDS = ("asymmetry-percent", "asymmetry-z", "subtraction")
# Shown from here on, by kind; the colors end at so many times of it.
THRESHOLDS = {PERCENT: 15.0, Z: 2.0, SUBTRACTION: 2.0}
UNITS = {PERCENT: "%", Z: "z", SUBTRACTION: "z"}
ENDS = 3.0
# Where both sides have less than this part of the brain's mean there is liquor.
LEAST_UPTAKE = 0.5
_FWHM_OF_SIGMA = 2.3548
# Of a normal distribution: standard deviations by median absolute deviations.
_SIGMA_OF_MAD = 1.4826


@dataclass(frozen=True)
class DifferenceOptions:
    """What the user can choose.

    :param kind: of :data:`KINDS`.
    :param smooth_mm: full width at half maximum of the Gaussian that smooths the images before, millimeters;
        0 for none.
    :param threshold: shown where the value is at least this far from 0; None for that of the kind.
    :raises InputError: a value that cannot be.
    """

    kind: str = PERCENT
    smooth_mm: float = 10.0
    threshold: Optional[float] = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f'Unknown comparison "{self.kind}": choose one of {", ".join(KINDS)}.')
        if not 0.0 <= self.smooth_mm <= 40.0:
            raise InputError(f"The smoothing must lie between 0 and 40 mm, not {self.smooth_mm:g}.")
        if not 0.0 < self.shown_from < np.inf:
            raise InputError(f"The threshold must be a number above 0, not {self.threshold}.")

    @property
    def shown_from(self) -> float:
        """The threshold in use."""
        return THRESHOLDS[self.kind] if self.threshold is None else self.threshold

    @property
    def ends(self) -> Tuple[float, float]:
        """The values at the ends of the colors."""
        return -ENDS * self.shown_from, ENDS * self.shown_from

    @property
    def unit(self) -> str:
        """ "%" or "z"."""
        return UNITS[self.kind]


def smoothed(array: np.ndarray, spacing: np.ndarray, fwhm_mm: float) -> np.ndarray:
    """A Gaussian blur of what there is; float32.

    Voxels of 0, as beside a field of view, do not count: they stay 0 and dim no neighbor.

    :param array: not negative.
    :param spacing: of voxels along i, j, k, millimeters.
    """
    array = np.asarray(array, dtype=np.float32)
    if not fwhm_mm:
        return array
    sigma = fwhm_mm / _FWHM_OF_SIGMA / np.asarray(spacing, dtype=float)[::-1]
    there = (array > 0).astype(np.float32)
    sums, weights = (ndimage.gaussian_filter(image, sigma, mode="nearest") for image in (array, there))
    return np.divide(sums, weights, out=np.zeros_like(array), where=there > 0)


def asymmetry(uptake: np.ndarray, mirrored: np.ndarray, inside: np.ndarray, kind: str) -> np.ndarray:
    """How much more, or less, there is than on the other side; float32, 0 outside.

    :param uptake: not negative; ``mirrored`` is its mirror image about the plane between the halves.
    :param inside: bool, where the brain and its mirror image are.
    :param kind: "asymmetry-percent", in percent of both sides' mean, or "asymmetry-z", the same in robust
        standard deviations from its median in the brain.
    """
    total = uptake + mirrored
    counts = inside & (np.maximum(uptake, mirrored) > LEAST_UPTAKE * _mean(uptake, inside))
    percent = np.zeros(uptake.shape, np.float32)
    np.divide(200.0 * (uptake - mirrored), total, out=percent, where=counts)
    if kind == PERCENT or not counts.any():
        return percent
    values = percent[counts]
    middle = np.median(values)
    spread = _SIGMA_OF_MAD * float(np.median(np.abs(values - middle)))
    return _scaled(percent, counts, float(middle), spread)


def subtraction(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What a study has more, or less, than another one of the same patient, as z; float32, 0 outside.

    Both are divided by their mean in the brain; the difference is counted in its standard deviations in the
    brain, from its mean.

    :param first: such as the ictal SPECT; ``second`` the interictal one.
    :param inside: bool, the brain.
    """
    difference = first / _mean(first, inside) - second / _mean(second, inside)
    values = difference[inside]
    return _scaled(difference, inside, float(values.mean()), float(values.std()))


def _mean(array: np.ndarray, inside: np.ndarray) -> float:
    """:raises InputError: there is no uptake in the brain."""
    mean = float(array[inside].mean()) if inside.any() else 0.0
    if mean <= 0.0:
        raise InputError("There is no uptake in the brain that could be compared: check the registration.")
    return mean


def _scaled(array: np.ndarray, inside: np.ndarray, middle: float, spread: float) -> np.ndarray:
    result = np.zeros(array.shape, np.float32)
    if spread > 0.0:
        result[inside] = (array[inside] - middle) / spread
    return result


def summary(difference: np.ndarray, options: DifferenceOptions, voxel_ml: float) -> Dict[str, float]:
    """How much of it is shown, in milliliters, and the largest values."""
    return {
        "increased_ml": float((difference >= options.shown_from).sum() * voxel_ml),
        "decreased_ml": float((difference <= -options.shown_from).sum() * voxel_ml),
        "highest": float(difference.max()),
        "lowest": float(difference.min()),
    }
