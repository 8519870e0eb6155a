"""Q_VIFF: visual information fidelity for fusion.

Y. Han, Y. Cai, Y. Cao, X. Xu: A new image fusion performance metric based on visual information fidelity.
Information Fusion 14(2), 2013.
"""

from typing import NamedTuple

import numpy as np

from .images import WHITE, as_gray
from .windows import gaussian_taps, moments, slide

# Of the four scales, fine to coarse. The second has no weight in the authors' program.
WEIGHTS = np.array([1.0, 0.0, 0.15, 1.0]) / 2.15
WINDOWS = (17, 9, 5, 3)
# Variance of the eye's own noise.
NOISE = 0.005 * WHITE**2
# Below this a variance is none.
NONE = 1e-10
# Keeps the ratio of two sums defined when the sources are flat.
GUARD = 1e-7
# The smallest image that leaves one window at the coarsest scale.
SMALLEST = 41


class Fidelity(NamedTuple):
    """Of one source, per window: information in the fused image and in the source, and the gain."""

    kept: np.ndarray
    there: np.ndarray
    gain: np.ndarray


def q_viff(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """How much of what an eye could see in the sources it can see in the fused image.

    Each window counts only for the source that comes through with less contrast, as in the authors'
    program, so a copy of one source does badly. Rewards contrast without limit: stretching the gray levels
    of the fused image raises the value, even above 1. Blind to brightness; inverted structure is lost.

    :param mri: (rows, columns), at least 41 × 41, gray levels 0 to 255.
    :param pet: same size, as is ``fused``.
    :return: 0 and more; two flat sources, in which there is nothing to see, give 1.
    :raises InputError: the images do not fit together.
    """
    images = np.stack(as_gray("Q_VIFF", SMALLEST, mri=mri, pet=pet, fused=fused))
    result = 0.0
    for scale, (weight, window) in enumerate(zip(WEIGHTS, WINDOWS)):
        taps = gaussian_taps(window, window / 5)
        if scale > 0:
            images = slide(images, taps)[:, ::2, ::2]
        if weight == 0:
            continue
        a, b = (fidelity(source, images[2], taps, NOISE) for source in images[:2])
        first = a.gain < b.gain  # and the PET where they are equal
        kept, there = np.where(first, a.kept, b.kept), np.where(first, a.there, b.there)
        result += weight * np.sum(kept + GUARD) / np.sum(there + GUARD)
    return float(result)


def fidelity(source: np.ndarray, fused: np.ndarray, taps: np.ndarray, noise: float) -> Fidelity:
    """fused = gain · source + distortion, in every window.

    :param noise: variance of the eye's own noise.
    """
    local = moments(source, fused, taps)
    variance, fused_variance = np.clip(local.variance_x, 0, None), np.clip(local.variance_y, 0, None)
    gain = local.covariance / (variance + NONE)
    distortion = fused_variance - gain * local.covariance
    # The order of these rules matters.
    flat = variance < NONE
    gain[flat], variance[flat] = 0, 0
    distortion[flat] = fused_variance[flat]
    flat = fused_variance < NONE
    gain[flat], distortion[flat] = 0, 0
    inverted = gain < 0
    distortion[inverted] = fused_variance[inverted]
    gain[inverted] = 0
    distortion = np.maximum(distortion, NONE)
    kept = np.log10(1 + gain**2 * variance / (distortion + noise))
    return Fidelity(kept, np.log10(1 + variance / noise), gain)
