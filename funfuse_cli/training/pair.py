"""One training pair, and how each of its images is read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError

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


def read_image(path: Path) -> sitk.Image:
    """:raises InputError: the file is no image, or damaged."""
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as an image: remove or replace it.") from error
