"""The colors of what stands out on one side, or in one of two studies, over a gray image."""

import numpy as np

from ..volumes.differences import ENDS, DifferenceOptions
from .colorize import LEVELS


def difference_table() -> np.ndarray:
    """The colors between the ends: (256, 3) in [0, 1], each of full value.

    Less is blue, then cyan; more is red, then yellow. White, which leaves images gray, is what is not shown.
    """
    place = np.linspace(-ENDS, ENDS, LEVELS)
    far = np.clip((np.abs(place) - 1.0) / (ENDS - 1.0), 0.0, 1.0)
    one, none = np.ones(LEVELS), np.zeros(LEVELS)
    more, less = np.stack([one, far, none], axis=1), np.stack([none, 0.25 + 0.75 * far, one], axis=1)
    table = np.where(place[:, None] > 0, more, less)
    table[np.abs(place) < 1.0] = 1.0
    return table


def colored(
    value: np.ndarray, difference: np.ndarray, options: DifferenceOptions, omega: float
) -> np.ndarray:
    """A gray image with the colors of what stands out; uint8 RGB.

    :param value: brightness in [0, 1], such as the fused image; ``difference`` on its grid.
    :param omega: Ω in [0, 1], how strongly color shows.
    """
    low, high = options.ends
    index = np.rint((np.clip(difference, low, high) - low) / (high - low) * (LEVELS - 1)).astype(np.uint8)
    chroma = difference_table()[index]
    chroma[np.abs(difference) < options.shown_from] = 1.0
    gray = np.clip(value, 0.0, 1.0)[..., None]
    return np.rint(255.0 * gray * ((1.0 - omega) + omega * chroma)).astype(np.uint8)
