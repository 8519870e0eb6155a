"""Weighted means, variances and covariances in sliding windows that lie inside the image."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Moments(NamedTuple):
    """Of two images, each (rows - n + 1, columns - n + 1) for windows of n × n pixels."""

    mean_x: np.ndarray
    mean_y: np.ndarray
    variance_x: np.ndarray
    variance_y: np.ndarray
    covariance: np.ndarray


def gaussian_taps(length: int, sigma: float) -> np.ndarray:
    """One axis of a square Gaussian window whose weights sum to 1."""
    offset = np.arange(length) - (length - 1) / 2
    taps = np.exp(-(offset**2) / (2 * sigma**2))
    return taps / taps.sum()


def slide(image: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Weighted sum of every whole window; the weights are the outer product of ``taps`` with itself.

    :param image: (..., rows, columns), rows and columns at least n = len(taps).
    :return: (..., rows - n + 1, columns - n + 1).
    """
    before = len(taps) // 2
    for axis in (-2, -1):
        count = image.shape[axis] - len(taps) + 1
        inside = [slice(None)] * image.ndim
        inside[axis] = slice(before, before + count)
        # The border rule does not matter: what it touches is cut off.
        image = ndimage.correlate1d(image, taps, axis=axis, mode="constant")[tuple(inside)]
    return image


def moments(x: np.ndarray, y: np.ndarray, taps: np.ndarray) -> Moments:
    """Of the population: E[xy] - E[x] E[y]. Rounding can leave a variance slightly below zero."""
    mean_x, mean_y, xx, yy, xy = (slide(image, taps) for image in (x, y, x * x, y * y, x * y))
    return Moments(mean_x, mean_y, xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y)
