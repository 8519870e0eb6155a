"""The volumes that are fused: synthetic heads of any size, and a real pair."""

from pathlib import Path
from typing import Tuple

import numpy as np

from FunFuseSlicer.Logic.volumes.geometry import Volume, axial_order, resample, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..reading.reader import read_volume


def synthetic(shape: Tuple[int, int, int]) -> Tuple[Volume, Volume]:
    """An ellipsoid that fills half of the box, on black: (mri, pet), float32.

    Made plane by plane, so that little more memory is used than the volumes need.

    :param shape: voxels along k, j, i.
    """
    z, y, x = (np.linspace(-1.02, 1.02, n, dtype=np.float32) for n in shape)
    y, x = y[:, None], x[None, :]
    mri, pet = (np.zeros(shape, np.float32) for _ in range(2))
    for k, height in enumerate(z):
        inside = height**2 + y**2 + x**2 < 1
        waves = np.sin(25 * x + 9 * height) * np.sin(31 * y)
        mri[k] = np.where(inside, 500 + 300 * waves, 0)
        pet[k] = np.where(inside, 4000 - 2500 * np.cos(6 * x) * np.cos(7 * y + 3 * height), 0)
    return Volume(mri, name="synthetic T1"), Volume(pet, name="synthetic FDG")


def real(data: Path) -> Tuple[Volume, Volume]:
    """T1 and FDG of one patient on the T1's grid, cleaned; they lie on each other already."""
    folder = data / "volumes" / "patient_fdg"
    mri, pet = (clean(read_volume(str(folder / f"{name}.nii.gz")))[0] for name in ("T1", "FDG"))
    return mri, resample(pet, mri)


def axial_images(mri: Volume, pet: Volume) -> Tuple[np.ndarray, np.ndarray]:
    """The axial slices (slices, rows, columns) in [0, 1], as the network gets them."""
    order = axial_order(mri.ijk_to_ras)
    return tuple(to_axial(normalize(volume.array), order) for volume in (mri, pet))
