"""What a fusion method is to the rest: a name, a source, and a function of two images."""

from typing import Callable, NamedTuple

import numpy as np

from ..errors import InputError


class Method(NamedTuple):
    """A fusion method that needs no training. Calling it checks the images, fuses and clips.

    :param name: for tables and options.
    :param citation: where it was published; empty for what needs no source.
    :param fuse: (rows, columns) float64 MRI and PET in [0, 1] -> the fused image, same size.
    """

    name: str
    citation: str
    fuse: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        """Fuse two images.

        :param mri: (rows, columns) in [0, 1], any floating type.
        :param pet: same size.
        :return: float64 in [0, 1], same size.
        :raises InputError: the images are empty, not two-dimensional, not of one size, or leave [0, 1].
        """
        mri, pet = np.asarray(mri, dtype=np.float64), np.asarray(pet, dtype=np.float64)
        if mri.ndim != 2 or mri.shape != pet.shape or mri.size == 0:
            raise InputError(
                f"{self.name}: expected two images of one size, got {mri.shape} and {pet.shape}."
            )
        for name, image in (("MRI", mri), ("PET", pet)):
            # NaN fails both comparisons.
            if not (image.min() >= 0 and image.max() <= 1):
                raise InputError(f"{self.name}: the {name} image leaves the range from 0 to 1.")
        return np.clip(self.fuse(mri, pet), 0, 1)
