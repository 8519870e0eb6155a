"""What training minimizes: a function of the fused image, its two sources and λ.

An objective is any ``objective(fused, mri, pet, lam) -> Terms``; images (N, 1, H, W) in [0, 1], λ a
number or (N,). To try another one, write it here and add it to :func:`make_objective`.
"""

from typing import Callable, NamedTuple, Tuple

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .loss import fusion_terms

OBJECTIVES = ("faithful", "detail")

# Side of the squares whose means stand for an image's low frequencies: about a PET's resolution.
LOW_PASS = 8


class Terms(NamedTuple):
    """What is minimized, and the two halves of the paper's loss for the log; each (N,)."""

    loss: Tensor
    structure: Tensor
    intensity: Tensor


Objective = Callable[[Tensor, Tensor, Tensor, Tensor], Terms]


def faithful(fused: Tensor, mri: Tensor, pet: Tensor, lam) -> Terms:
    """The paper's loss, equation (4)."""
    structure, intensity = fusion_terms(fused, mri, pet)
    return Terms(lam * structure + (1 - lam) * intensity, structure, intensity)


def detail(weight: float, low_weight: float = 0.0, pet_share: float = 0.5, scales: int = 2) -> Objective:
    """The paper's loss plus λ (``weight`` · detail + ``low_weight`` · low frequencies).

    Both terms count in proportion to λ, so that λ = 0 stays what it is in the paper: the average.
    SSIM to two images at once is content with half of each edge; :func:`gradient_loss` asks for the
    stronger one whole. That favors the sharper image: :func:`low_frequency_loss` gives the PET back
    its share of the broad brightness.

    :param scales: 1 for the full resolution only, 2 to add half the resolution, and so on.
    """

    def objective(fused: Tensor, mri: Tensor, pet: Tensor, lam) -> Terms:
        terms = faithful(fused, mri, pet, lam)
        extra = weight * gradient_loss(fused, mri, pet, scales)
        if low_weight:
            extra = extra + low_weight * low_frequency_loss(fused, mri, pet, pet_share)
        return terms._replace(loss=terms.loss + lam * extra)

    return objective


def make_objective(
    name: str = "faithful", detail_weight: float = 2.0, low_weight: float = 0.0, pet_share: float = 0.5
) -> Objective:
    """The objective of that name.

    :raises InputError: there is none, a weight is negative, or the share is outside [0, 1].
    """
    if name not in OBJECTIVES:
        raise InputError(f'There is no objective "{name}": choose one of {", ".join(OBJECTIVES)}.')
    if min(detail_weight, low_weight) < 0 or not 0 <= pet_share <= 1:
        raise InputError("Weights of the objective must not be negative, and the PET's share lies in [0, 1].")
    return faithful if name == "faithful" else detail(detail_weight, low_weight, pet_share)


def gradient_loss(fused: Tensor, mri: Tensor, pet: Tensor, scales: int = 2) -> Tensor:
    """Mean |∇F - ∇S| per sample, S at each pixel the source with the larger gradient.

    As vectors: an edge counts as kept only with its direction and sign. Images of ``scales``
    resolutions, each half the one before, count alike.

    :return: (N,).
    """
    total = torch.zeros(fused.shape[0], dtype=fused.dtype, device=fused.device)
    for scale in range(scales):
        if scale:
            fused, mri, pet = (functional.avg_pool2d(image, 2) for image in (fused, mri, pet))
        (mri_x, mri_y), (pet_x, pet_y) = _gradient(mri), _gradient(pet)
        of_mri = mri_x**2 + mri_y**2 >= pet_x**2 + pet_y**2
        x, y = _gradient(fused)
        missed = (x - torch.where(of_mri, mri_x, pet_x)).abs() + (y - torch.where(of_mri, mri_y, pet_y)).abs()
        total = total + missed.mean(dim=(1, 2, 3))
    return total / scales


def low_frequency_loss(fused: Tensor, mri: Tensor, pet: Tensor, pet_share: float = 0.5) -> Tensor:
    """Mean |low frequencies of F - ((1 - share) MRI + share PET)| per sample, (N,).

    Low frequencies are means over squares of 8 × 8 pixels.
    """
    wanted = (1 - pet_share) * mri + pet_share * pet
    return functional.avg_pool2d(fused - wanted, LOW_PASS).abs().mean(dim=(1, 2, 3))


def _gradient(image: Tensor) -> Tuple[Tensor, Tensor]:
    """Differences to the right and downward, each (N, 1, H-1, W-1)."""
    corner = image[..., :-1, :-1]
    return image[..., :-1, 1:] - corner, image[..., 1:, :-1] - corner
