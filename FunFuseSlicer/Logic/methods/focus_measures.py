"""How much goes on around each pixel of an image or a band: the activity measures of the multi-scale methods.

Neighborhoods are of 3x3 pixels; beyond its borders an image continues as its mirror image.
"""

import numpy as np
from scipy import ndimage

# 2^(2r - d) of the city-block distance d from the center, radius r = 1; the sum is 1.
WEIGHTS = np.array([1.0, 2.0, 1.0]) / 4


def weighted_energy(image: np.ndarray) -> np.ndarray:
    """Weighted local energy (WLE): weighted mean of squares. Yin et al. 2019, section III-B.

    :param image: (rows, columns), any size.
    :return: same size, in the image's units squared.
    """
    return _weighted(np.square(image))


def weighted_laplacian(image: np.ndarray) -> np.ndarray:
    """Weighted mean of the eight-neighborhood modified Laplacian (WSEML). Yin et al. 2019, section III-B.

    :param image: (rows, columns), any size.
    :return: same size, in the image's units.
    """
    straight = _bend(image, 0, 1) + _bend(image, 1, 0)
    diagonal = _bend(image, 1, 1) + _bend(image, 1, -1)
    return _weighted(straight + diagonal / np.sqrt(2))


def sum_modified_laplacian(image: np.ndarray) -> np.ndarray:
    """Sum over the neighborhood of the magnitudes of the second differences along rows and columns.

    W. Huang, Z. Jing: Evaluation of focus measures in multi-focus image fusion. Pattern Recognition Letters
    28(4), 2007, with a step of one pixel and no threshold.

    :param image: (rows, columns), any size.
    :return: same size, in the image's units.
    """
    return 9 * local_mean(_bend(image, 0, 1) + _bend(image, 1, 0))


def modified_spatial_frequency(image: np.ndarray) -> np.ndarray:
    """Root of the squared row, column and diagonal frequencies of the neighborhood. Das and Kundu 2012.

    Each is a root mean square of first differences; the diagonal frequency adds those of both diagonals.

    :param image: (rows, columns), any size.
    :return: same size, in the image's units.
    """
    padded = np.pad(image, 1, mode="symmetric")
    center = padded[1:-1, 1:-1]
    along_row = local_mean(np.square(center - padded[1:-1, :-2]))
    along_column = local_mean(np.square(center - padded[:-2, 1:-1]))
    falling = local_mean(np.square(center - padded[:-2, :-2]))
    rising = local_mean(np.square(padded[:-2, 1:-1] - padded[1:-1, :-2]))
    return np.sqrt(along_row + along_column + np.square(np.sqrt(falling) + np.sqrt(rising)))


def local_mean(image: np.ndarray) -> np.ndarray:
    """Mean of the neighborhood, (rows, columns)."""
    return _filtered(image, np.full(3, 1 / 3))


def _bend(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """|2 center - one neighbor - the one opposite|."""
    rows, columns = image.shape
    padded = np.pad(image, 1, mode="symmetric")
    before = padded[1 - down : rows + 1 - down, 1 - right : columns + 1 - right]
    after = padded[1 + down : rows + 1 + down, 1 + right : columns + 1 + right]
    return np.abs(2 * image - before - after)


def _weighted(image: np.ndarray) -> np.ndarray:
    return _filtered(image, WEIGHTS)


def _filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    # Not a running sum, which would leave rounding errors of bright pixels behind in dark ones.
    return ndimage.correlate1d(
        ndimage.correlate1d(image, kernel, 0, mode="reflect"), kernel, 1, mode="reflect"
    )
