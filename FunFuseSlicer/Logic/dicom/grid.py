"""A volume's grid as DICOM tells it: planes, one after the other along their normal."""

from dataclasses import dataclass
from typing import Any, List, Optional

import numpy as np

from ..errors import InputError
from ..volumes.geometry import RAS_TO_LPS, Volume
from .elements import item, number, numbers
from .series import Plane, Series


@dataclass(frozen=True)
class Grid:
    """Planes of pixels in patient space, LPS millimeters.

    :param order: the index k of each plane in the volume's array; planes follow along rows × columns.
    :param corners: (planes, 3), the centers of their first pixels.
    :param axes: (3, 2), unit vectors along a row and along a column.
    :param spacing: between columns, and between rows.
    :param step: from one plane to the next, along the normal.
    :param size: pixels of a row, and rows.
    """

    order: List[int]
    corners: np.ndarray
    axes: np.ndarray
    spacing: np.ndarray
    step: float
    size: tuple

    def ends(self, n: int) -> np.ndarray:
        """(3, 4), the centers of the corner pixels of a plane."""
        columns, rows = (self.size[0] - 1) * self.spacing[0], (self.size[1] - 1) * self.spacing[1]
        return self.corners[n][:, None] + self.axes @ np.array([[0, columns, 0, columns], [0, 0, rows, rows]])

    def mri_planes(self, n: int, mri: Series) -> List[Plane]:
        """The images of the MRI that a plane was made of."""
        return mri.at(self.ends(n), self.step / 2)

    def pet_planes(self, n: int, pet: Optional[Series], mri_to_pet: np.ndarray) -> List[Plane]:
        """Those of the PET.

        :param mri_to_pet: 4×4, LPS.
        """
        if pet is None:
            return []
        place = mri_to_pet[:3, :3] @ self.ends(n) + mri_to_pet[:3, 3:]
        return pet.at(place, self.step / 2 + pet.distance)


def grid_of(volume: Volume) -> Grid:
    """The planes of a volume, those of one index k.

    :raises InputError: rows and columns that are not at right angles, which DICOM cannot tell.
    """
    lps = RAS_TO_LPS @ np.asarray(volume.ijk_to_ras, float)
    spacing = np.linalg.norm(lps[:3, :2], axis=0)
    axes = lps[:3, :2] / spacing
    if abs(float(axes[:, 0] @ axes[:, 1])) > 1e-4:
        raise InputError(
            f'"{volume.name}" has rows and columns that are not at right angles, which DICOM cannot tell: '
            "resample it, or use the MRI as it was acquired."
        )
    normal = np.cross(axes[:, 0], axes[:, 1])
    along = float(normal @ lps[:3, 2])
    count = volume.array.shape[0]
    order = list(range(count)) if along >= 0 else list(range(count))[::-1]
    corners = lps[:3, 3] + np.array(order, float)[:, None] * lps[:3, 2]
    return Grid(order, corners, axes, spacing, abs(along), volume.dimensions[:2])


def letters(direction: np.ndarray) -> str:
    """Where an axis points, such as "L" or "PH" (PS3.3 C.7.6.1.1.1), the closest direction first.

    :param direction: a unit vector, LPS.
    """
    # Sideways by less than 15 degrees is not told.
    told = [axis for axis in np.argsort(-np.abs(direction)) if abs(direction[axis]) > 0.26]
    return "".join("LR PA HF".split()[axis][int(direction[axis] < 0)] for axis in told)


def place(dataset: Any, grid: Grid, n: int) -> None:
    """Image Plane module of one plane (PS3.3 C.7.6.2)."""
    dataset.ImagePositionPatient = numbers(grid.corners[n])
    dataset.ImageOrientationPatient = numbers(grid.axes.T)
    dataset.PixelSpacing = numbers(grid.spacing[::-1])
    dataset.SliceThickness = dataset.SpacingBetweenSlices = number(grid.step)
    dataset.SliceLocation = number(grid.corners[n] @ np.cross(*grid.axes.T))


def measures(grid: Grid) -> Any:
    """The functional groups that all frames share (PS3.3 C.7.6.16.2)."""
    spacing = {"SliceThickness": number(grid.step), "SpacingBetweenSlices": number(grid.step)}
    return item(
        PixelMeasuresSequence=[item(PixelSpacing=numbers(grid.spacing[::-1]), **spacing)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=numbers(grid.axes.T))],
    )


def position(grid: Grid, n: int) -> Any:
    """The functional group that tells where a frame lies."""
    return item(PlanePositionSequence=[item(ImagePositionPatient=numbers(grid.corners[n]))])


def pixels(dataset: Any, grid: Grid, bits: int, signed: bool = False, color: bool = False) -> None:
    """Image Pixel module but for the pixels (PS3.3 C.7.6.3)."""
    dataset.Columns, dataset.Rows = grid.size
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(signed)
