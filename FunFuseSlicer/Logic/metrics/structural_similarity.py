"""SSIM as a map.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to
structural similarity. IEEE Transactions on Image Processing 13(4), 2004.
"""

import numpy as np

from .images import WHITE
from .windows import Moments, gaussian_taps, moments

WINDOW = 11
TAPS = gaussian_taps(WINDOW, 1.5)
C1, C2 = (0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2


def ssim_map(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(rows, columns) in gray levels, at least 11 × 11 -> (rows - 10, columns - 10), in [-1, 1]."""
    return ssim_of(moments(x, y, TAPS))


def ssim_of(local: Moments) -> np.ndarray:
    """SSIM from what is known of each window."""
    top = (2 * local.mean_x * local.mean_y + C1) * (2 * local.covariance + C2)
    bottom = (local.mean_x**2 + local.mean_y**2 + C1) * (local.variance_x + local.variance_y + C2)
    return top / bottom
