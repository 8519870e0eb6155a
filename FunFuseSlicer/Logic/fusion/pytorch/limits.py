"""Keeps a fused image between black and the brightest that its sources show near by.

A network that strengthens contrast overshoots beside bright edges and inside bright areas. The limits move
with the inputs, limit(a x) = a limit(x) for a >= 0, so the network stays positively homogeneous; and since
they are no brighter than the inputs are, inputs in [0, 1] give a fused image in [0, 1].
"""

from typing import Tuple

import torch
from torch import Tensor
from torch.nn import functional

# As far as the network itself reaches (a test compares): what may have made a pixel bright may keep it so.
REACH = 11


def limit(fused: Tensor, mri: Tensor, pet: Tensor) -> Tensor:
    """The fused image within its limits; all (N, 1, H, W), the sources not negative."""
    return torch.minimum(fused.clamp_min(0), _brightest_near(mri, pet))


def limit_parts(
    mri_part: Tensor, pet_part: Tensor, mri: Tensor, pet: Tensor
) -> Tuple[Tensor, Tensor, Tensor]:
    """The same where the fused image is the sum of two parts.

    What has to go, goes from each part in proportion to its size, so that the parts still add up.

    :return: fused image, MRI part, PET part, each (N, 1, H, W).
    """
    fused = mri_part + pet_part
    limited = limit(fused, mri, pet)
    size = mri_part.abs() + pet_part.abs()
    # Where both parts are 0 there is nothing to limit.
    change = (limited - fused) / size.clamp_min(torch.finfo(size.dtype).tiny)
    mri_part, pet_part = mri_part + change * mri_part.abs(), pet_part + change * pet_part.abs()
    return mri_part + pet_part, mri_part, pet_part


def _brightest_near(mri: Tensor, pet: Tensor) -> Tensor:
    """The largest value of either source within :data:`REACH` rows and columns."""
    brightest = functional.pad(torch.maximum(mri, pet), (REACH, REACH, REACH, REACH))
    for axis in (2, 3):
        # Of two windows a larger one: a few passes instead of one for each row of the window.
        width = 1
        while width < 2 * REACH + 1:
            step = min(width, 2 * REACH + 1 - width)
            size = brightest.shape[axis] - step
            brightest = torch.maximum(brightest.narrow(axis, 0, size), brightest.narrow(axis, step, size))
            width += step
    return brightest
