"""How much of each source a fused image consists of, once details are blurred away."""

from typing import Tuple

import numpy as np
from scipy import ndimage

from .images import as_gray

# Pixels. Beyond the size of the details that fusion methods select from either source.
BLUR = 4.0
# Differences smaller than this, relative to the largest value, are taken for none.
ROUNDING = 1e-12


def pet_weight(
    mri: np.ndarray, pet: np.ndarray, fused: np.ndarray, intercept: bool = True
) -> Tuple[float, float]:
    """Regression of the blurred fused image on the blurred sources: F ≈ b_M · MRI + b_P · PET + constant.

    Tells what the five metrics hide: an unfused copy of the MRI scores above fused images on Q_IE, Q_G and
    Q_FMI, and has b_P = 0. The plain average has b_M = b_P = 1/2. More is not better: a copy of the PET
    has b_P = 1. Read it beside the metrics.

    :param mri: (rows, columns), any gray scale.
    :param pet: same size and scale, as is ``fused``.
    :param intercept: allow for a constant, so that a veil over the fused image counts for neither source.
    :return: (b_M, b_P), by least squares over the head, the pixels where MRI or PET are above 0. Of a
        source that the regression cannot tell from the other, or from a constant, the smallest weights
        that fit; 0 for an empty head.
    :raises InputError: the images do not fit together.
    """
    images = as_gray("The PET's weight", 1, mri=mri, pet=pet, fused=fused)
    head = (images[0] > 0) | (images[1] > 0)
    if not head.any():
        return 0.0, 0.0
    blurred = [ndimage.gaussian_filter(image, BLUR, mode="nearest")[head] for image in images]
    columns = np.stack(blurred, axis=1)
    rounding = ROUNDING * np.abs(columns).max()
    if intercept:
        columns = columns - columns.mean(axis=0)
    # A blurred constant is constant but for rounding, which must not look like a pattern to be fitted.
    columns[np.abs(columns) <= rounding] = 0
    weights = np.linalg.lstsq(columns[:, :2], columns[:, 2], rcond=ROUNDING)[0]
    return float(weights[0]), float(weights[1])
