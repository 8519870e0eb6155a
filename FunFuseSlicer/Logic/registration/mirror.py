"""The plane between the halves of a head: its MRI is registered to its own mirror image."""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volumes.geometry import Volume
from .interface import RegistrationOptions
from .pair import COARSE_MM, FINEST_MM, MIDDLE_MM
from .preparation import coarsen, prepare_mri
from .simpleitk_engine import improve_rigid

STAGE = "Finding the mirror plane"
# A rigid move may stop on its way: from the nearest reflection it goes on, until this is all it turns.
_TRIES, _SETTLED_DEGREES = 3, 0.3


@dataclass(frozen=True)
class MirrorPlane:
    """All points x with ``normal @ x == offset``, in RAS millimeters.

    :param normal: of length 1, towards the patient's right or nearly so.
    """

    normal: np.ndarray
    offset: float

    @property
    def matrix(self) -> np.ndarray:
        """4×4 in RAS: a point to its mirror image."""
        result = np.eye(4)
        result[:3, :3] -= 2.0 * np.outer(self.normal, self.normal)
        result[:3, 3] = 2.0 * self.offset * self.normal
        return result

    def facts(self) -> str:
        """Such as "normal (R, A, S) 0.999 -0.035 0.017, 1.2 mm from the origin"."""
        normal = " ".join(f"{component:.4f}" for component in self.normal)
        return f"normal (R, A, S) {normal}, {self.offset:.2f} mm from the origin"


def find_mirror_plane(mri: Volume, monitor: Optional[Monitor] = None) -> MirrorPlane:
    """The plane about which a head is most like its mirror image.

    The mirror image about a sagittal plane through the middle of the head is moved rigidly onto the head, by
    mutual information, coarse to fine; the reflection that is nearest to both moves together has the plane.

    :param mri: cleaned, see :func:`..volumes.preprocessing.clean`; the head is turned by less than 30°.
    :raises InputError: there is no head in it that could be compared with its mirror image.
    """
    monitor = monitor or Monitor()
    monitor.report(STAGE, 0.0)
    fine = prepare_mri(mri, FINEST_MM)
    images = [coarsen(fine, COARSE_MM), coarsen(fine, MIDDLE_MM), fine]
    plane = MirrorPlane(np.array([1.0, 0.0, 0.0]), float(fine.center[0]))
    for step in range(len(images) * _TRIES):
        image, before = images[step // _TRIES], plane.normal

        def report(part: float, step: int = step) -> None:
            monitor.report(STAGE, (step + part) / (len(images) * _TRIES))

        try:
            moved = improve_rigid(image, image, plane.matrix, RegistrationOptions(), report)
        except RuntimeError as error:
            raise InputError(
                f'"{mri.name}" cannot be compared with its mirror image: too little of the head is in it.'
            ) from error
        plane = _nearest(moved)
        if image is fine and before @ plane.normal > np.cos(np.radians(_SETTLED_DEGREES)):
            break
    monitor.report(STAGE, 1.0)
    return plane


def _nearest(matrix: np.ndarray) -> MirrorPlane:
    """Of a reflection with a small rigid move after it: the normal is what it turns around most."""
    symmetric = 0.5 * (matrix[:3, :3] + matrix[:3, :3].T)
    values, vectors = np.linalg.eigh(symmetric)
    normal = vectors[:, int(np.argmin(values))]
    normal = normal * np.sign(normal[0] or 1.0)
    return MirrorPlane(normal, float(normal @ matrix[:3, 3]) / 2.0)
