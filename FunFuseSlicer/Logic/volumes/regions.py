"""Regions, and the mean of a PET over one: SUVR is relative to it, and some guides set the scale by it."""

from dataclasses import dataclass, field, replace
from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from ..errors import InputError
from .geometry import Volume, resample

# Steps of a ball along its diameter: beside them a PET's voxels are large.
STEPS = 48


@dataclass(frozen=True)
class Regions:
    """A part of space that somebody chose, or several that do not overlap.

    :param labels: whole numbers on any grid, 0 outside of all regions. Its name is that of a single region.
    :param names: by label; a label without one is called by its number.
    :param in_pet_space: they were drawn on the PET, before any registration; else they lie on the MRI.
    """

    labels: Volume
    names: Mapping[int, str] = field(default_factory=dict)
    in_pet_space: bool = False

    @property
    def name(self) -> str:
        """What the user calls a single one."""
        return self.labels.name

    def on_pet(self, pet: Volume, matrix: Optional[np.ndarray]) -> np.ndarray:
        """The label of the region in which the center of each voxel of the PET lies, (k, j, i).

        :param matrix: 4×4 in RAS, PET to MRI; None where they lie on each other.
        """
        to_pet = None if self.in_pet_space or matrix is None else np.linalg.inv(matrix)
        return resample(self.labels, pet, to_pet, nearest=True).array

    def on_mri(self, mri: Volume, matrix: Optional[np.ndarray]) -> np.ndarray:
        """Likewise of the MRI."""
        return resample(self.labels, mri, matrix if self.in_pet_space else None, nearest=True).array


@dataclass(frozen=True)
class Reference:
    """What was measured in a region.

    :param mean: of the PET as it is stored, in ``unit``.
    :param voxels: of the PET whose centers lie in it; ``milliliters`` their volume.
    """

    name: str
    mean: float
    unit: str
    voxels: int
    milliliters: float

    def facts(self) -> Dict[str, object]:
        """For provenance."""
        return {
            "name": self.name,
            "mean": self.mean,
            "unit": self.unit or "unknown",
            "voxels": self.voxels,
            "milliliters": round(self.milliliters, 3),
        }


def labeled(labels: Volume, label: Optional[int], name: str) -> Volume:
    """The mask of one label, or of all that is not 0.

    :raises InputError: the label is nowhere, or 0, outside of all regions; names those that there are.
    """
    inside = labels.array > 0 if label is None else labels.array == label
    if label == 0 or label is not None and not inside.any():
        there = [f"{value:g}" for value in np.unique(labels.array)[:12] if value]
        raise InputError(
            f'"{labels.name}" has no region of label {label}: choose one of {", ".join(there) or "none"}.'
        )
    return replace(labels, array=inside.astype(np.uint8), name=name)


def lie_on_pet(labels: Volume, mri: Volume, pet: Volume) -> bool:
    """Whether a label map was drawn on the PET, by its grid."""
    return labels.same_grid(pet) and not labels.same_grid(mri)


def ellipsoid(box_to_ras: np.ndarray, size: Tuple[float, float, float], name: str) -> Volume:
    """The mask of what fits into a box: a ball, if its sides are equal.

    :param box_to_ras: 4×4, from millimeters along the sides, 0 at the center, to RAS.
    :param size: lengths of the sides, millimeters.
    """
    along = (np.arange(STEPS) + 0.5) / STEPS - 0.5
    k, j, i = np.meshgrid(along, along, along, indexing="ij")
    steps = np.diag([*(np.asarray(size, float) / STEPS), 1.0])
    steps[:3, 3] = np.asarray(size, float) * along[0]
    inside = i**2 + j**2 + k**2 <= 0.25
    return Volume(inside.astype(np.uint8), box_to_ras @ steps, name)


def measure(pet: Volume, region: Regions, matrix: Optional[np.ndarray]) -> Reference:
    """The mean over the voxels of the PET, on its own grid, whose centers lie in a region.

    :param pet: as it was acquired, not resampled; voxels that are no numbers do not count.
    :param matrix: see :meth:`Regions.on_pet`.
    :raises InputError: no voxel of the PET lies in the region, or their mean is not above 0.
    """
    if not (region.labels.array > 0).any():
        raise InputError(f'The reference region "{region.name}" is empty: draw it, or choose another one.')
    values = pet.array[region.on_pet(pet, matrix) > 0].astype(float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise InputError(
            f'The reference region "{region.name}" holds no voxel of "{pet.name}": it lies outside, or '
            "is smaller than its voxels. Was it drawn on the MRI or on the PET? Choose another."
        )
    mean = float(values.mean())
    if not mean > 0:
        raise InputError(
            f'The mean of "{pet.name}" over the reference region "{region.name}" is {mean:g}: a reference '
            "needs uptake. Choose another region."
        )
    return Reference(region.name, mean, pet.unit, values.size, values.size * pet.voxel_mm3 / 1000.0)


def range_at(mean: float, percent: float) -> Tuple[float, float]:
    """The ends of the scale on which the mean of a reference region is at so many percent."""
    return 0.0, 100.0 * mean / percent
