"""What the parts of a fused image, the MRI's and the PET's, must keep to."""

from typing import Optional

import numpy as np

from .images import WHITE, as_gray

# Where the PET shows less than this fraction of white there is no uptake whose order matters.
LEAST_UPTAKE = 0.05


def completeness(mri_part: np.ndarray, pet_part: np.ndarray, fused: np.ndarray) -> float:
    """Largest |C1 + C2 - F|, in the unit of the images: 0 when the parts explain the fused image.

    Says nothing about whether the division is fair.

    :param mri_part: C1, (rows, columns).
    :param pet_part: C2, same size, as is ``fused``, F as it was before any clipping or rounding.
    :raises InputError: the images do not fit together.
    """
    first, second, whole = as_gray("Completeness", 1, mri_part=mri_part, pet_part=pet_part, fused=fused)
    return float(np.abs(first + second - whole).max())


def rank_correlation(pet: np.ndarray, image: np.ndarray, mask: Optional[np.ndarray] = None) -> float:
    """Spearman's correlation of an image, usually the PET's part, with the PET.

    Rewards an image that keeps the order of uptake: where it is brighter, the PET is. Blind to scale and
    to any growing curve.

    :param pet: (rows, columns), gray levels 0 to 255.
    :param image: same size, any scale.
    :param mask: same size, the brain; only pixels in it count, and of these those with a PET above 5 %.
        None: the whole image.
    :return: -1 to 1; NaN when fewer than two pixels count or one image is constant there.
    :raises InputError: the images do not fit together.
    """
    pet, image = as_gray("The rank correlation", 1, pet=pet, image=image)
    counts = pet > LEAST_UPTAKE * WHITE
    if mask is not None:
        counts &= as_gray("The rank correlation", 1, pet=pet, mask=mask)[1] != 0
    ranks_pet, ranks_image = _ranks(pet[counts]), _ranks(image[counts])
    scale = np.sqrt((ranks_pet @ ranks_pet) * (ranks_image @ ranks_image))
    return float(ranks_pet @ ranks_image / scale) if scale > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """Around their mean; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return ranks[which] - (values.size + 1) / 2
