"""The gradients of the paper's equation (5), for its own way of coloring and for comparison.

∇F_I1[n, m] = Σ_ij ∂F[i, j] / ∂I1[n, m] sums the columns of the Jacobian: it says how much the whole
fused image would change with one input pixel. It is a local gain and does not add up to the image;
the parts of the two-lane network do (see :mod:`two_lane`).
"""

from typing import Tuple

import torch
from torch import Tensor


def input_gradients(network, mri: Tensor, pet: Tensor) -> Tuple[Tensor, Tensor]:
    """Equation (5) for each slice of a batch.

    :param network: anything with ``fuse(mri, pet)``.
    :param mri: (N, 1, H, W); ``pet`` likewise.
    :return: ∇F_I1 and ∇F_I2, each (N, 1, H, W).
    """
    with torch.enable_grad():
        mri, pet = mri.detach().requires_grad_(), pet.detach().requires_grad_()
        by_mri, by_pet = torch.autograd.grad(network.fuse(mri, pet).sum(), (mri, pet))
    return by_mri, by_pet
