"""The terms of the training's loss, equation (4) of the paper, on arrays and without PyTorch."""

from typing import Dict

import numpy as np

from .images import WHITE, as_gray
from .structural_similarity import WINDOW, ssim_map


def loss_terms(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray, lam: float = 0.8) -> Dict[str, float]:
    """Likeness of the fused image to both sources at once, as the network's training measures it.

    Rewards the compromise: no image is like both sources, so the best value of a pair is not 0. Gray
    levels are divided by 255 first, as training's images run from 0 to 1.

    :param mri: (rows, columns), at least 11 × 11, gray levels 0 to 255.
    :param pet: same size, as is ``fused``.
    :param lam: λ in [0, 1], structure (1) against intensity (0).
    :return: ``SSIM_MRI`` and ``SSIM_PET``, each -1 to 1, higher is better; ``MSE_MRI`` and ``MSE_PET``
        and ``loss`` = λ (2 - both SSIM) + (1 - λ) (both MSE), lower is better.
    :raises InputError: the images do not fit together.
    """
    a, b, f = as_gray("The loss", WINDOW, mri=mri, pet=pet, fused=fused)
    terms = {
        "SSIM_MRI": float(ssim_map(a, f).mean()),
        "SSIM_PET": float(ssim_map(b, f).mean()),
        "MSE_MRI": float(np.mean((f - a) ** 2) / WHITE**2),
        "MSE_PET": float(np.mean((f - b) ** 2) / WHITE**2),
    }
    structure = 2 - terms["SSIM_MRI"] - terms["SSIM_PET"]
    terms["loss"] = lam * structure + (1 - lam) * (terms["MSE_MRI"] + terms["MSE_PET"])
    return terms
