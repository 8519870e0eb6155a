"""What a fusion method is to the rest: a name, a source, options, and a function of two images."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Callable, Mapping, Optional, Tuple

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Method:
    """A fusion method to compare the network with. Calling it checks the images, fuses and clips.

    :param name: for options and file names.
    :param label: for tables and the panel.
    :param citation: where it was published; empty for what needs no source.
    :param fuse: (rows, columns) float64 MRI and PET in [0, 1] -> the fused image, same size; the options
        as keywords.
    :param options: keyword -> default value, the one of the publication where it names one.
    :param symmetric: whether swapping the inputs gives the same image.
    :param needs: name of an importable package that Slicer does not bring -> that of the package to install.
    """

    name: str
    label: str
    citation: str
    fuse: Callable[..., np.ndarray]
    options: Mapping[str, float] = field(default_factory=dict)
    symmetric: bool = True
    needs: Tuple[Tuple[str, str], ...] = ()

    def problem(self) -> Optional[str]:
        """Why it cannot be used here, as a sentence with the remedy; None where it can."""
        lacking = ", ".join(package for module, package in self.needs if find_spec(module) is None)
        if not lacking:
            return None
        return f"{self.label} needs the Python package {lacking}: install it, or choose another method."

    def __call__(self, mri: np.ndarray, pet: np.ndarray, **options: float) -> np.ndarray:
        """Fuse two images.

        :param mri: (rows, columns) in [0, 1], any floating type.
        :param pet: same size.
        :param options: other values than the defaults.
        :return: float64 in [0, 1], same size.
        :raises InputError: the images are empty, not two-dimensional, not of one size, or leave [0, 1]; an
            unknown option; a package is missing.
        """
        unknown = ", ".join(sorted(set(options) - set(self.options)))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise InputError(f"{self.label} has no option {unknown}: there are {known}.")
        problem = self.problem()
        if problem is not None:
            raise InputError(problem)
        mri, pet = np.asarray(mri, dtype=np.float64), np.asarray(pet, dtype=np.float64)
        if mri.ndim != 2 or mri.shape != pet.shape or mri.size == 0:
            raise InputError(
                f"{self.label}: expected two images of one size, got {mri.shape} and {pet.shape}."
            )
        for name, image in (("MRI", mri), ("PET", pet)):
            # NaN fails both comparisons.
            if not (image.min() >= 0 and image.max() <= 1):
                raise InputError(f"{self.label}: the {name} image leaves the range from 0 to 1.")
        return np.clip(self.fuse(mri, pet, **{**self.options, **options}), 0, 1)
