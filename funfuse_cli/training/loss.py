"""The loss of the paper, equations (2) to (4), with its misprints corrected.

Equation (3) prints products in the denominators of luminance and contrast and a sum in that of
structure; the SSIM of Wang et al. (2004), which it cites, has sums and a product, and so has this.
Equation (4) prints norms; the authors' program, and this, take mean squares.
"""

from functools import lru_cache
from typing import Tuple

import torch
from torch import Tensor

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03


@lru_cache(maxsize=32)
def _blur_matrix(size: int, window: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(size - window + 1, size) banded matrix: valid correlation with a Gaussian."""
    taps = torch.arange(window, dtype=torch.float64) - window // 2
    taps = torch.exp(-(taps**2) / (2 * sigma**2))
    taps = taps / taps.sum()
    matrix = torch.zeros(size - window + 1, size, dtype=torch.float64)
    for row in range(size - window + 1):
        matrix[row, row : row + window] = taps
    return matrix.to(dtype=dtype, device=device)


def blur(x: Tensor, window: int = WINDOW, sigma: float = SIGMA) -> Tensor:
    """Valid correlation of every channel of (…, H, W) with a Gaussian of odd size ``window``.

    Two banded products: ten times faster on a CPU than conv2d, equal to 2e-7.
    """
    rows = _blur_matrix(x.shape[-2], window, sigma, x.dtype, x.device)
    columns = _blur_matrix(x.shape[-1], window, sigma, x.dtype, x.device)
    return rows @ x @ columns.T


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of Wang et al. (2004), one number per sample.

    :param a: (N, 1, H, W), H and W at least 11, data range 1.
    :param b: same shape.
    :return: (N,), mean over the valid windows.
    """
    return structure_maps(a, b)[0].mean(dim=(1, 2, 3))


def structure_maps(a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
    """SSIM of every window, and the variance of ``a`` in it; each (N, 1, H-10, W-10)."""
    # One batch of five blurs: each is a small matrix product, so calls cost as much as work.
    mean_a, mean_b, aa, bb, ab = blur(torch.stack([a, b, a * a, b * b, a * b]))
    variance_a, variance_b = aa - mean_a**2, bb - mean_b**2
    covariance = ab - mean_a * mean_b
    c1, c2 = K1**2, K2**2
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    denominator = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return numerator / denominator, variance_a.clamp_min(0)


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference, one number per sample: (N, 1, H, W) -> (N,)."""
    return ((a - b) ** 2).mean(dim=(1, 2, 3))


def fusion_terms(fused: Tensor, mri: Tensor, pet: Tensor) -> Tuple[Tensor, Tensor]:
    """The two halves of equation (4): L_SSIM and L_l2, each (N,).

    L_SSIM = (1-SSIM(I1,F)) + (1-SSIM(I2,F)); L_l2 = MSE(F,I1) + MSE(F,I2).

    :param fused: (N, 1, H, W); ``mri`` and ``pet`` likewise, all on the range [0, 1].
    """
    structure = 2.0 - ssim(mri, fused) - ssim(pet, fused)
    intensity = mean_square(fused, mri) + mean_square(fused, pet)
    return structure, intensity


def fusion_loss(fused: Tensor, mri: Tensor, pet: Tensor, lam) -> Tensor:
    """Equation (4): λ L_SSIM + (1-λ) L_l2, see :func:`fusion_terms`.

    :param lam: λ in [0, 1], a number or (N,).
    :return: (N,).
    """
    structure, intensity = fusion_terms(fused, mri, pet)
    return lam * structure + (1 - lam) * intensity
