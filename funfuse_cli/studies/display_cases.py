"""Heads of the study of displays, the places in them where lesions are put, and the noise of their PET."""

from functools import partial
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Tuple

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import erf

from FunFuseSlicer.Logic.fusion.pipeline import prepare
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean

from ..reading.reader import read_volume
from .registration_cases import PSF_FWHM_MM, simulated

# Change of uptake, and diameter in millimeters.
LESIONS = [(change, size) for change in (-0.1, -0.2, -0.3, 0.2) for size in (4.0, 8.0, 12.0)]
CORTICAL, DEEP = "cortical", "deep"
# Millimeters from the edge of the brain.
DEPTHS = {CORTICAL: (5.0, 12.0), DEEP: (25.0, np.inf)}
# Mean uptake around a place, at least, and millimeters from one place to the next.
LEAST_UPTAKE, APART_MM = 0.3, 14.0
# Standard deviation of the noise where uptake is 1; it grows with the root of uptake.
NOISE = 0.06
# Full width at half maximum of the scanners.
FWHM_MM = {"FDG": 6.0, "SPECT": 10.0, "simulated": PSF_FWHM_MM}

# Pixels of a side: of what is fused about a place, and of what the observer sees of it.
PATCH, SEEN = 96, 64


class Head(NamedTuple):
    """A pair as a run prepares it, slices axial.

    :param mri: (slices, rows, columns) in [0, 1]; ``pet`` likewise, ``brain`` bool.
    :param spacing: of slices, rows and columns in millimeters.
    """

    group: str
    name: str
    mri: np.ndarray
    pet: np.ndarray
    brain: np.ndarray
    spacing: Tuple[float, float, float]

    @property
    def fwhm(self) -> float:
        """The resolution of its PET in millimeters."""
        return FWHM_MM[self.group]


class Place(NamedTuple):
    """Where a lesion may be: (slice, row, column)."""

    kind: str
    index: Tuple[int, int, int]


def heads(volumes: Path) -> Iterator[Callable[[], Head]]:
    """What reads the patients, and FDG that is simulated on the ICBM152 T1."""
    pairs = [("FDG", path, path.with_name("FDG.nii.gz")) for path in volumes.glob("patient_fdg/T1.nii.gz")]
    for path in sorted(volumes.glob("patients_spect/*_T2.nii.gz")):
        pairs.append(("SPECT", path, path.with_name(path.name.replace("_T2.", "_SPECT."))))
    for group, mri, pet in pairs:
        yield partial(_patient, group, mri, pet)
    yield lambda: _head("simulated", "ICBM152", *simulated(volumes, "", 0)[:2])


def _patient(group: str, mri: Path, pet: Path) -> Head:
    return _head(group, pet.name[:-7], read_volume(mri), read_volume(pet))


def _head(group: str, name: str, mri: Volume, pet: Volume) -> Head:
    mri, pet = clean(mri, mri=True)[0], clean(pet)[0]
    if not pet.same_grid(mri):
        pet = resample(pet, mri)
    pair = prepare(mri, pet)
    brain = pair.brain if pair.brain is not None else mri.array > 0
    arrays = (to_axial(array, pair.order) for array in (pair.mri.volume(), pair.pet.volume(), brain))
    # The axes of arrays are k, j, i.
    return Head(group, name, *arrays, tuple(float(mri.spacing[2 - axis]) for axis in pair.order[0]))


def places(head: Head, count: int, rng: np.random.Generator) -> List[Place]:
    """Up to so many places of each kind, drawn at random, apart from each other."""
    depth = distance_transform_edt(head.brain, sampling=head.spacing)
    around = gaussian_filter(head.pet, [4.0 / step for step in head.spacing])
    free = np.zeros_like(head.brain)
    half = PATCH // 2
    free[:, half:-half, half:-half] = True
    found: List[Place] = []
    for kind, (least, most) in DEPTHS.items():
        at = np.argwhere(free & (depth >= least) & (depth <= most) & (around >= LEAST_UPTAKE))
        for place in found:
            at = _far_from(place, at, head)
        for _ in range(count):
            if not len(at):
                break
            found.append(Place(kind, tuple(int(n) for n in at[rng.integers(len(at))])))
            at = _far_from(found[-1], at, head)
    return found


def _far_from(place: Place, at: np.ndarray, head: Head) -> np.ndarray:
    return at[np.linalg.norm((at - place.index) * head.spacing, axis=1) >= APART_MM]


def patch(array: np.ndarray, place: Place) -> np.ndarray:
    """A slice about a place, (PATCH, PATCH)."""
    k, row, column = place.index
    half = PATCH // 2
    return array[k, row - half : row + half, column - half : column + half]


def lesion(diameter: float, fwhm: float, spacing: Tuple[float, float, float]) -> np.ndarray:
    """A ball of 1 as a scanner sees it, in the plane through its center, (PATCH, PATCH).

    :param diameter: in millimeters, like ``fwhm``, the width of a Gaussian.
    """
    rows, columns = ((np.arange(PATCH) - PATCH // 2) * step for step in spacing[1:])
    r = np.maximum(np.hypot(*np.meshgrid(rows, columns, indexing="ij")), 1e-6)
    radius, sigma = diameter / 2, fwhm / np.sqrt(8 * np.log(2))
    near, far = (radius - r) / (np.sqrt(2) * sigma), (radius + r) / (np.sqrt(2) * sigma)
    rim = sigma / (r * np.sqrt(2 * np.pi)) * (np.exp(-(near**2)) - np.exp(-(far**2)))
    return (erf(near) + erf(far)) / 2 - rim


def images(
    head: Head, place: Place, realizations: int, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """The MRI about a place, and the PET without and with each lesion, in noise.

    :return: (PATCH, PATCH) and (realizations, 1 + lesions, PATCH, PATCH), both in [0, 1], float32.
    """
    pet = patch(head.pet, place)
    balls = {size: lesion(size, head.fwhm, head.spacing) for _, size in LESIONS}
    uptake = np.stack([pet, *(pet * (1 + change * balls[size]) for change, size in LESIONS)])
    width = [head.fwhm / np.sqrt(8 * np.log(2)) / step for step in head.spacing[1:]]
    white = rng.standard_normal((realizations, *pet.shape))
    noise = gaussian_filter(white, [0.0, *width], mode="wrap")
    noise *= NOISE / noise.std()
    noisy = uptake + np.sqrt(uptake) * noise[:, None]
    return patch(head.mri, place).astype(np.float32), np.clip(noisy, 0, 1).astype(np.float32)
