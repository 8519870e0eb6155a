"""A small phantom of a head, and what can be odd about its voxels and its place."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk

from ...reading.reader import read_volume

SIZE, SPACING = (16, 36, 30), (5.0, 5.0, 8.0)


@dataclass(frozen=True)
class Pair:
    """What is to be fused; a mask is optional."""

    mri: Volume
    pet: Volume
    mask: Optional[Volume] = None


def phantom(size=SIZE, spacing=SPACING) -> Pair:
    """An ellipsoid head with cortex, white matter, ventricle and a hot spot on one side; LPS axes.

    :param size: voxels along k, j, i.
    :param spacing: millimeters along i, j, k.
    """
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, max(n, 2))[:n] for n in size], indexing="ij")
    k = np.zeros_like(k) if size[0] == 1 else k
    radius = np.sqrt((i / 0.8) ** 2 + (j / 0.9) ** 2 + (k / 0.85) ** 2)
    cortex, white = (radius < 1) & (radius > 0.75), radius <= 0.75
    ventricle = (i - 0.1) ** 2 + (0.6 * j) ** 2 + k**2 < 0.04
    hot = (i - 0.4) ** 2 + (j - 0.2) ** 2 + (k - 0.1) ** 2 < 0.03
    mri = (120.0 * cortex + 200.0 * white) * np.where(j < 0, 1.0, 0.85)
    pet = 4000.0 * cortex + 1000.0 * white
    mri[ventricle], pet[ventricle], pet[hot] = 30, 200, 9000
    noise = np.random.default_rng(0).normal(0, 3, mri.shape)
    mri = np.where(radius < 1, np.clip(mri + noise, 1, None), 0)
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = [s * (n - 1) / 2 for s, n in zip(spacing, reversed(size))] * np.array([1, 1, -1])
    return Pair(*(Volume(a.astype(np.float32), matrix, n) for a, n in ((mri, "T1"), (pet, "FDG"))))


def write_pair(folder: Path, pair: Pair) -> Dict[str, Path]:
    """The files of a pair, ``T1.nrrd`` and so on, by option."""
    volumes = {role: volume for role, volume in vars(pair).items() if volume is not None}
    for volume in volumes.values():
        sitk.WriteImage(volume_to_sitk(volume), str(folder / f"{volume.name}.nrrd"))
    return {role: folder / f"{volume.name}.nrrd" for role, volume in volumes.items()}


def with_pet(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Pair]:
    """The phantom with changed voxels of the PET."""

    def build() -> Pair:
        pair = phantom()
        return replace(pair, pet=pair.pet.with_array(change(pair.pet.array.copy())))

    return build


def some_voxels(array: np.ndarray, *values) -> np.ndarray:
    """Some voxels in the middle with other values."""
    array[array.shape[0] // 2, array.shape[1] // 2, 4 : 4 + len(values)] = values
    return array


def moved(both: bool = True, **entries: float) -> Callable[[], Pair]:
    """The phantom elsewhere or on other axes, or only its PET: see :func:`affine`."""

    def build() -> Pair:
        pair, matrix = phantom(), affine(**entries)
        mri, pet = (replace(v, ijk_to_ras=matrix @ v.ijk_to_ras) for v in (pair.mri, pair.pet))
        return Pair(mri if both else pair.mri, pet)

    return build


def affine(shift=(0.0, 0.0, 0.0), shear: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """4×4: a shift in RAS millimeters, R growing with S by ``shear``, or a turn about R by degrees."""
    matrix, (c, s) = np.eye(4), (np.cos(np.radians(tilt)), np.sin(np.radians(tilt)))
    matrix[1:3, 1:3] = [[c, -s], [s, c]]
    matrix[:3, 3], matrix[0, 2] = shift, shear
    return matrix


def flat_axes() -> Pair:
    """Two voxel axes of the PET have one direction."""
    pair = phantom()
    return replace(pair, pet=replace(pair.pet, ijk_to_ras=pair.pet.ijk_to_ras[:, [0, 1, 1, 3]]))


def reoriented(volume: Volume, permutation, flips) -> Volume:
    """The same anatomy stored with other axes: ``permutation`` of i, j, k, then ``flips``."""
    array = np.transpose(volume.array, [2 - permutation[2 - axis] for axis in range(3)])
    matrix = volume.ijk_to_ras[:, [*permutation, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, 2 - axis)
            matrix[:, 3] = matrix[:, 3] + matrix[:, axis] * (array.shape[2 - axis] - 1)
            matrix[:, axis] = -matrix[:, axis]
    return Volume(np.ascontiguousarray(array), matrix, volume.name)


def stored(order: Tuple[int, int, int], flips: Tuple[bool, bool, bool]) -> Callable[[], Pair]:
    """The MRI of the phantom with its i, j, k axes in another order and direction; the PET as it is."""
    return lambda: replace(phantom(), mri=reoriented(phantom().mri, order, flips))


def masked(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Pair]:
    """A mask on a grid of its own, 12 mm voxels, a function of the distance from the center in mm."""

    def build() -> Pair:
        grid = phantom((12, 16, 14), (12.0, 12.0, 12.0)).mri
        kji = np.meshgrid(*[12.0 * (np.arange(n) - (n - 1) / 2) for n in grid.array.shape], indexing="ij")
        mask = values(np.sqrt(sum(x**2 for x in kji))).astype(np.uint8)
        return replace(phantom(), mask=grid.with_array(mask, "mask"))

    return build


def one_voxel() -> Pair:
    """A PET of one voxel."""
    return replace(phantom(), pet=phantom((1, 1, 1)).pet.with_array(np.ones((1, 1, 1), np.float32)))


def large_even() -> Pair:
    """An MRI that lies wholly inside an even part of a larger PET."""
    large = phantom((8, 8, 8), (100.0, 100.0, 100.0)).pet
    even = np.full(large.array.shape, 5, np.float32)
    even[0] = 0
    return Pair(phantom().mri, large.with_array(even))


def around_zero() -> Pair:
    """An MRI with negative values for what is dark, as of an MP2RAGE without its noise."""
    pair = phantom()
    return replace(pair, mri=pair.mri.with_array(np.where(pair.mri.array > 0, 3 * pair.mri.array - 300, 0)))


def salt_and_pepper() -> Pair:
    """An MRI in noise, as of an MP2RAGE as it comes."""
    pair = phantom()
    noise = np.random.default_rng(0).uniform(0, 220, pair.mri.array.shape)
    return replace(pair, mri=pair.mri.with_array(np.where(pair.mri.array > 0, pair.mri.array, noise)))


def slices() -> Pair:
    """One slice of each."""
    return phantom((1, *SIZE[1:]))


def wide() -> Pair:
    """1024 × 1024, two slices of which one is empty, the head in the middle fifth."""
    pair = phantom((1, 200, 200), (1.0, 1.0, 5.0))
    border = ((0, 1), (412, 412), (412, 412))
    return Pair(*(volume.with_array(np.pad(volume.array, border)) for volume in (pair.mri, pair.pet)))


def inside(*parts_and_folder) -> Dict[str, Path]:
    """The files of the phantom in a folder within another one, and the results beside them."""
    *parts, folder = parts_and_folder
    inner = folder.joinpath(*parts)
    inner.mkdir(parents=True)
    return {**write_pair(inner, phantom()), "out": inner / "results"}


def coarse(path: Path) -> Volume:
    """The MRI of a file: a quarter of its rows and columns, an eighth of its slices, if there are as many."""
    image = read_volume(path)
    steps = [n if size >= 4 * n else 1 for n, size in zip((8, 4, 4), image.array.shape)]
    matrix = image.ijk_to_ras.copy()
    matrix[:3, :3] = matrix[:3, :3] * steps[::-1]
    array = image.array[:: steps[0], :: steps[1], :: steps[2]]
    return Volume(np.ascontiguousarray(array, dtype=np.float32), matrix, "T1")
