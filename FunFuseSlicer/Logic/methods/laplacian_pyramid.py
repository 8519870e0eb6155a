"""Fusion in a Laplacian pyramid: the stronger detail of each scale, the mean of what is left.

P. J. Burt, E. H. Adelson: The Laplacian pyramid as a compact image code. IEEE Transactions on
Communications 31(4), 1983. Choosing the stronger coefficient: P. J. Burt, R. J. Kolczynski: Enhanced image
capture through fusion. International Conference on Computer Vision, 1993.

Methods that fuse the bands by other rules take the pyramid from here.
"""

from typing import List, Tuple

import numpy as np
from scipy import ndimage

from .interface import Method

LEVELS = 4
# Burt and Adelson's generating kernel with a = 3/8: the binomial one.
KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def laplacian_pyramid(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
    """Where both details are equally strong the MRI's is taken.

    :param mri: (rows, columns), any size.
    :param pet: same size.
    :return: same size; can leave the range of the sources slightly.
    """
    details_mri, rest_mri = decomposed(mri, LEVELS)
    details_pet, rest_pet = decomposed(pet, LEVELS)
    details = [np.where(np.abs(a) >= np.abs(b), a, b) for a, b in zip(details_mri, details_pet)]
    return composed(details, (rest_mri + rest_pet) / 2)


def decomposed(image: np.ndarray, levels: int) -> Tuple[List[np.ndarray], np.ndarray]:
    """The Laplacian pyramid.

    :param image: (rows, columns), any size.
    :return: details from fine to coarse, one a level, and the low-pass image that remains; sizes are halved
        from level to level, odd ones rounded up.
    """
    details = []
    for _ in range(levels):
        smaller = halved(image)
        details.append(image - _expanded(smaller, image.shape))
        image = smaller
    return details, image


def composed(details: List[np.ndarray], rest: np.ndarray) -> np.ndarray:
    """The inverse of :func:`decomposed`."""
    for detail in reversed(details):
        rest = _expanded(rest, detail.shape) + detail
    return rest


def halved(image: np.ndarray) -> np.ndarray:
    """The next level of the Gaussian pyramid: smoothed, then every second row and column from the first."""
    return _smoothed(image)[::2, ::2]


def _expanded(image: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """Between the pixels of an image that was halved from ``shape``."""
    spread = np.zeros(shape)
    spread[::2, ::2] = image
    # Along an axis half of the kernel's weight meets zeros, unless there is but one pixel.
    return _smoothed(spread) * 2 ** sum(size > 1 for size in shape)


def _smoothed(image: np.ndarray) -> np.ndarray:
    # Reflected about the border pixel, so that filled pixels stay on even places beyond the border.
    return ndimage.correlate1d(ndimage.correlate1d(image, KERNEL, 0, mode="mirror"), KERNEL, 1, mode="mirror")


LAPLACIAN_PYRAMID = Method(
    "laplacian_pyramid",
    "Laplacian pyramid",
    "P. J. Burt, E. H. Adelson: The Laplacian pyramid as a compact image code. IEEE Transactions on "
    "Communications 31(4), 1983",
    laplacian_pyramid,
    # Of two details of one size and opposite signs it takes the MRI's.
    symmetric=False,
)
