"""Choosing between two images or bands pixel by pixel."""

import numpy as np


def more_active(
    first: np.ndarray, second: np.ndarray, activity_first: np.ndarray, activity_second: np.ndarray
) -> np.ndarray:
    """Where both are equally active, their mean.

    All of one size, which the result has too.
    """
    chosen = np.where(activity_first > activity_second, first, second)
    return np.where(activity_first == activity_second, (first + second) / 2, chosen)
