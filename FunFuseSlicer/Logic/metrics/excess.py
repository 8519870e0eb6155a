"""How much of a fused image is brighter than both of its sources: what is in neither."""

import numpy as np

from .images import WHITE, as_gray

# As a fraction of white: what a viewer may notice.
NOTICED = 0.02


def excess(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Share of the head, where MRI or PET are above 0, that is brighter than both by more than 2 % of white.

    Amplified contrast raises EN, SD, SF, SCD, VIF and Q_VIFF, and shows here. The plain average and the
    maximum have 0.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: 0 to 1; 0 for an empty head.
    :raises InputError: the images do not fit together.
    """
    a, b, f = as_gray("The excess", 1, mri=mri, pet=pet, fused=fused)
    head = (a > 0) | (b > 0)
    return float((f - np.maximum(a, b) > NOTICED * WHITE)[head].mean()) if head.any() else 0.0
