"""The pairs and displacements on which the study of the registration measures.

All matrices are 4×4 in RAS millimeters, moving (PET) to fixed (MRI).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, Volume, resample, volume_to_sitk

from ..workflow.demo_data import T1, DemoImage, fetch
from ..workflow.files import read_volume

TURN_DEGREES, SHIFT_MM = 20.0, 40.0

GRAY, WHITE = (
    DemoImage(
        f"tissue map: ICBM152 2009a {tissue} matter, 1 mm (McConnell Brain Imaging Centre, MNI)",
        T1.license,
        T1.requirement,
        f"nilearn/datasets/data/mni_icbm152_{short}_tal_nlin_sym_09a_converted.nii.gz",
        sha256,
    )
    for tissue, short, sha256 in (
        ("gray", "gm", "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed"),
        ("white", "wm", "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db"),
    )
)

# The simulated scanner: FDG uptake of gray to white matter, resolution, counts, voxels.
UPTAKE_GRAY, UPTAKE_WHITE = 4.0, 1.0
PSF_FWHM_MM = 6.0
COUNTS_IN_GRAY = 100.0
SCANNER_VOXELS = (128, 128, 80)
SCANNER_SPACING = (2.06, 2.06, 2.43)

SPECT_CASES = ("09", "10", "18", "25", "36")


@dataclass(frozen=True)
class Pair:
    """An MRI and a PET that has been moved, with what is known about the answer.

    :param nominal: the matrix that is right by construction or by the data's author.
    :param points: (n, 3) RAS millimeters on the MRI, where errors are averaged: the brain.
    :param displacement: what moved the PET away from its first position.
    """

    mri: Volume
    pet: Volume
    nominal: np.ndarray
    points: np.ndarray
    displacement: np.ndarray


def displacement(seed: int, center: np.ndarray) -> np.ndarray:
    """A rigid motion about ``center``: three angles within ±20°, three shifts within ±40 mm.

    Seed 0 is no motion at all.
    """
    matrix = np.eye(4)
    if seed == 0:
        return matrix
    rng = np.random.default_rng(seed)
    matrix[:3, :3] = rotation_matrix(rng.uniform(-TURN_DEGREES, TURN_DEGREES, 3))
    matrix[:3, 3] = center + rng.uniform(-SHIFT_MM, SHIFT_MM, 3) - matrix[:3, :3] @ center
    return matrix


def mean_distance(first: np.ndarray, second: np.ndarray, points: np.ndarray) -> float:
    """Mean distance in millimeters between where two moving-to-fixed matrices put the same tissue.

    :param points: (n, 3) on the fixed image; ``second`` says where they come from.
    """
    difference = first @ np.linalg.inv(second)
    moved = points @ difference[:3, :3].T + difference[:3, 3]
    return float(np.linalg.norm(moved - points, axis=1).mean())


def simulated(data: Path, seed: int) -> Pair:
    """The ICBM152 T1, and FDG simulated from its tissue maps in a scanner where the head lies otherwise.

    The scanner's bed is centered on the head to a few millimeters; where the bed stands is in the
    header only. Sampling and noise differ with the seed.
    """
    mri = read_volume(fetch(T1))
    gray, white = read_volume(fetch(GRAY)), read_volume(fetch(WHITE))
    tissue = gray.array.astype(np.float32), white.array.astype(np.float32)
    unit = max(float(tissue[0].max()), 1e-9)
    uptake = gray.with_array((UPTAKE_GRAY * tissue[0] + UPTAKE_WHITE * tissue[1]) / unit, "simulated FDG")
    brain = _points(gray.with_array((tissue[0] + tissue[1]) / unit), 0.5)
    center = brain.mean(axis=0)
    motion = displacement(seed, center)
    rng = np.random.default_rng(1000 + seed)
    return Pair(mri, _scan(uptake, motion, center, rng), np.linalg.inv(motion), brain, motion)


def patient_fdg(data: Path, seed: int) -> Pair:
    """The patient's T1 and FDG, the FDG moved by its header from the nominal alignment."""
    folder = data / "volumes" / "patient_fdg"
    return _by_header(read_volume(folder / "T1.nii.gz"), read_volume(folder / "FDG.nii.gz"), seed)


def patient_spect(data: Path, seed: int, case: str) -> Pair:
    """A patient's T2 and SPECT, the SPECT moved by its header from the nominal alignment."""
    folder = data / "volumes" / "patients_spect"
    mri = read_volume(folder / f"spect_case{case}_T2.nii.gz")
    return _by_header(mri, read_volume(folder / f"spect_case{case}_SPECT.nii.gz"), 100 * int(case) + seed)


def scanner_fdg(data: Path, seed: int = 0) -> Pair:
    """The patient's T1 and the FDG on a scanner's grid, with noise, moved by a known transform."""
    folder = data / "volumes" / "patient_fdg"
    nominal = read_transform(folder / "FDG_displaced_to_T1.tfm")
    pet = read_volume(folder / "FDG_displaced.nii.gz")
    points = _points(pet, 0.4 * np.percentile(pet.array, 99.9))
    points = points @ nominal[:3, :3].T + nominal[:3, 3]
    return Pair(read_volume(folder / "T1.nii.gz"), pet, nominal, points, np.linalg.inv(nominal))


def template(data: Path) -> Tuple[Volume, Volume]:
    """The ICBM152 T1 and an FDG template of another size."""
    return read_volume(fetch(T1)), read_volume(data / "volumes" / "templates" / "CN_FDG.nii.gz")


def read_transform(path: Path) -> np.ndarray:
    """An ITK transform file that maps moving to fixed points in LPS, as a matrix in RAS."""
    transform = sitk.ReadTransform(str(path))
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - matrix[:3, 3]
    return RAS_TO_LPS @ matrix @ RAS_TO_LPS


def turned_over(pair: Pair, flip: Tuple[int, int, int]) -> Pair:
    """The pair with the PET mirrored or turned about the middle of its volume, by its header.

    :param flip: ±1 along R, A, S.
    """
    pet = pair.pet
    middle = (pet.ijk_to_ras @ np.append((np.array(pet.dimensions) - 1.0) / 2.0, 1.0))[:3]
    matrix = np.diag([*map(float, flip), 1.0])
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    moved = replace(pet, ijk_to_ras=matrix @ pet.ijk_to_ras)
    motion = matrix @ pair.displacement
    return replace(pair, pet=moved, displacement=motion, nominal=np.linalg.inv(motion))


def cases() -> Dict[str, Callable[[Path, int], Pair]]:
    """The families of pairs, each a function of the data folder and the seed."""
    found: Dict[str, Callable[[Path, int], Pair]] = {"simulated": simulated, "fdg": patient_fdg}
    for case in SPECT_CASES:
        found[f"spect{case}"] = lambda data, seed, case=case: patient_spect(data, seed, case)
    return found


def _by_header(mri: Volume, pet: Volume, seed: int) -> Pair:
    points = _points(pet, 0.4 * np.percentile(pet.array, 99.9))
    motion = displacement(seed if seed % 100 else 0, points.mean(axis=0))
    moved = replace(pet, ijk_to_ras=motion @ pet.ijk_to_ras)
    return Pair(mri, moved, np.linalg.inv(motion), points, motion)


def _points(volume: Volume, threshold: float) -> np.ndarray:
    """At most some thousand RAS points of the voxels above a threshold."""
    indices = np.argwhere(np.asarray(volume.array) > threshold)[:, ::-1]
    indices = indices[:: max(1, len(indices) // 5000)].astype(float)
    return indices @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]


def _scan(uptake: Volume, motion: np.ndarray, center: np.ndarray, rng) -> Volume:
    """What a scanner sees of a head moved by ``motion``: blurred, sampled, counted."""
    image = volume_to_sitk(uptake)
    sigma = PSF_FWHM_MM / 2.3548
    blurred = uptake.with_array(sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image, sigma)))
    spacing = np.array(SCANNER_SPACING)
    grid = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    middle = motion[:3, :3] @ center + motion[:3, 3] + rng.uniform(-5.0, 5.0, 3)
    grid[:3, 3] = middle - grid[:3, :3] @ ((np.array(SCANNER_VOXELS) - 1) / 2.0)
    scanner = Volume(np.zeros(SCANNER_VOXELS[::-1], np.float32), grid, uptake.name)
    expected = resample(blurred, scanner, motion).array * (COUNTS_IN_GRAY / UPTAKE_GRAY)
    counts = rng.poisson(np.maximum(expected, 0.0)).astype(np.float32)
    return scanner.with_array(counts)
