"""One training pair."""

from dataclasses import dataclass

import numpy as np

# A slice with less than this share of non-zero pixels teaches nothing.
MINIMUM_FILLED = 0.02


@dataclass(frozen=True)
class Pair:
    """Two registered images of one slice: (rows, columns), uint8, uint16 or float32 in [0, 1].

    :param name: of the pictures it was read from, without what tells MRI and PET apart; empty for a slice of
        volumes.
    """

    patient: str
    mri: np.ndarray
    pet: np.ndarray
    name: str = ""
