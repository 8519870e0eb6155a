"""An MRI and a PET, cleaned once for all that look at them: engine, check of the header, judge."""

from functools import cached_property
from typing import Dict, Tuple

import numpy as np

from ..volumes.geometry import Volume
from .evidence import Evidence, Witness
from .preparation import WorkingImage, coarsen, prepare_mri, prepare_pet
from .similarity import Similarity

COARSE_MM, MIDDLE_MM, FINEST_MM = 8.0, 4.0, 2.0
JUDGE_MM = 3.0


class ImagePair:
    """Both volumes as working images, each made when it is first asked for.

    :param fixed: the MRI, :param moving: the PET; both checked.
    """

    def __init__(self, fixed: Volume, moving: Volume):
        self.fixed, self.moving = fixed, moving
        self._made: Dict[float, Tuple[WorkingImage, WorkingImage]] = {}
        self._evidence: Dict[bytes, Evidence] = {}

    def at(self, spacing: float) -> Tuple[WorkingImage, WorkingImage]:
        """The MRI and the PET on voxels of so many millimeters, ``FINEST_MM`` or more.

        :raises InputError: no head stands out.
        """
        if spacing not in self._made:
            if spacing > FINEST_MM:
                fixed, moving = (coarsen(image, spacing) for image in self.at(FINEST_MM))
            else:
                fixed, moving = prepare_mri(self.fixed, spacing), prepare_pet(self.moving, spacing)
            self._made[spacing] = fixed, moving
        return self._made[spacing]

    @cached_property
    def similarity(self) -> Similarity:
        """Compares places."""
        return Similarity(*self.at(JUDGE_MM))

    def evidence(self, matrix: np.ndarray) -> Evidence:
        """What speaks for and against a place: a 4×4 matrix in RAS, moving to fixed, invertible."""
        key = matrix.tobytes()
        if key not in self._evidence:
            self._evidence[key] = self._witness.evidence(matrix)
        return self._evidence[key]

    @cached_property
    def _witness(self) -> Witness:
        return Witness(self.at(JUDGE_MM)[0], self.at(MIDDLE_MM)[1])
