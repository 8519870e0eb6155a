"""The pairs on which the study of the registration measures; for more: a function, and a line at the end.

All matrices are 4×4 in RAS millimeters, moving (PET) to fixed (MRI).
"""

from dataclasses import replace
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.registration import STAGES
from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, Volume, resample, volume_to_sitk

from ..reading.reader import read_volume
from ..workflow.demo_data import GRAY, T1, WHITE, fetch

TURN_DEGREES, SHIFT_MM = 20.0, 40.0
# The simulated scanner: FDG uptake of gray to white matter, resolution, counts, voxels.
UPTAKE_GRAY, UPTAKE_WHITE, COUNTS_IN_GRAY, PSF_FWHM_MM = 4.0, 1.0, 100.0, 6.0
VOXEL_MM, SLICE_MM = 2.06, 2.43
SCANNER_VOXELS, SCANNER_SPACING = np.array([128, 128, 80]), np.array([VOXEL_MM, VOXEL_MM, SLICE_MM])


class Pair(NamedTuple):
    """What is registered, the right matrix where it is known, and where on the MRI errors are averaged."""

    mri: Volume
    pet: Volume
    nominal: Optional[np.ndarray] = None
    points: Optional[np.ndarray] = None  # (n, 3)
    stages: Tuple[str, ...] = STAGES


def displacement(seed: int, center: np.ndarray) -> np.ndarray:
    """A rigid motion about ``center``, three angles and three shifts evenly drawn; none at all for seed 0."""
    matrix = np.eye(4)
    if seed:
        rng = np.random.default_rng(seed)
        matrix[:3, :3] = rotation_matrix(rng.uniform(-TURN_DEGREES, TURN_DEGREES, 3))
        matrix[:3, 3] = center + rng.uniform(-SHIFT_MM, SHIFT_MM, 3) - matrix[:3, :3] @ center
    return matrix


def mean_distance(first: np.ndarray, second: np.ndarray, points: np.ndarray) -> float:
    """How far apart two matrices put the same tissue, in millimeters; ``second`` puts it on the points."""
    difference = first @ np.linalg.inv(second)
    return float(np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3] - points, axis=1).mean())


# --- Pairs: functions of the folder of volumes, the case and the seed -------------------------------------


def simulated(data: Path, case: str, seed: int) -> Pair:
    """The ICBM152 T1, and FDG simulated from its tissue maps in a scanner where the head lies otherwise.

    The bed is centered on the head to some millimeters. Sampling and noise differ with the seed, too.
    """
    grid = read_volume(fetch(GRAY))
    gray, white = (v.array.astype(np.float32) for v in (grid, read_volume(fetch(WHITE))))
    unit, rng = float(gray.max()), np.random.default_rng(1000 + seed)
    brain = _points(grid.with_array((gray + white) / unit), 0.5)
    center = brain.mean(axis=0)
    motion = displacement(seed, center)
    uptake = volume_to_sitk(grid.with_array((UPTAKE_GRAY * gray + UPTAKE_WHITE * white) / unit))
    blurred = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(uptake, PSF_FWHM_MM / 2.3548))
    place = np.diag([*(SCANNER_SPACING * [-1, -1, 1]), 1.0])
    middle = motion[:3, :3] @ center + motion[:3, 3] + rng.uniform(-5.0, 5.0, 3)
    place[:3, 3] = middle - place[:3, :3] @ ((SCANNER_VOXELS - 1) / 2.0)
    scanner = Volume(np.zeros(SCANNER_VOXELS[::-1], np.float32), place, "simulated FDG")
    seen = resample(grid.with_array(blurred), scanner, motion).array * (COUNTS_IN_GRAY / UPTAKE_GRAY)
    counts = rng.poisson(np.maximum(seen, 0.0)).astype(np.float32)
    return Pair(read_volume(fetch(T1)), scanner.with_array(counts), np.linalg.inv(motion), brain)


def patient(data: Path, case: str, seed: int) -> Pair:
    """A patient's T1 and FDG, or T2 and SPECT, the uptake moved by its header from the nominal alignment."""
    mri, pet = data / "patient_fdg" / "T1.nii.gz", data / "patient_fdg" / "FDG.nii.gz"
    if case != "FDG":
        mri, pet = (data / "patients_spect" / f"spect_case{case}_{kind}.nii.gz" for kind in ("T2", "SPECT"))
        seed = seed and 100 * int(case) + seed
    uptake = read_volume(pet)
    points = _points(uptake)
    motion = displacement(seed, points.mean(axis=0))
    moved = replace(uptake, ijk_to_ras=motion @ uptake.ijk_to_ras)
    return Pair(read_volume(mri), moved, np.linalg.inv(motion), points)


def turned_over(data: Path, case: str, seed: int) -> Pair:
    """A displaced pair whose PET is mirrored or turned about the middle of its volume, by its header."""
    who, flip = case.split(", ")
    pair = patient(data, who.split()[-1], seed)
    middle = (pair.pet.ijk_to_ras @ np.append((np.array(pair.pet.dimensions) - 1.0) / 2.0, 1.0))[:3]
    matrix = np.diag([-1.0 if axis in FLIPS[flip] else 1.0 for axis in "RAS1"])
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    pet = replace(pair.pet, ijk_to_ras=matrix @ pair.pet.ijk_to_ras)
    return pair._replace(pet=pet, nominal=pair.nominal @ np.linalg.inv(matrix))


def scanner_fdg(data: Path, case: str, seed: int) -> Pair:
    """The patient's T1 and the FDG on a scanner's grid, with noise, moved by a known transform."""
    folder, nominal = data / "patient_fdg", np.eye(4)
    transform = sitk.ReadTransform(str(folder / "FDG_displaced_to_T1.tfm"))
    *units, origin = (np.array(transform.TransformPoint(p)) for p in np.eye(4, 3).tolist())
    nominal[:3] = np.column_stack([*(unit - origin for unit in units), origin])
    nominal = RAS_TO_LPS @ nominal @ RAS_TO_LPS
    pet = read_volume(folder / "FDG_displaced.nii.gz")
    points = _points(pet) @ nominal[:3, :3].T + nominal[:3, 3]
    return Pair(read_volume(folder / "T1.nii.gz"), pet, nominal, points)


def undisplaced(data: Path, case: str, seed: int = 0) -> Pair:
    """The ICBM152 T1 and an FDG template of another size, the case being the last stage; or an unfit PET."""
    if case in STAGES:
        pet, stages = data / "templates" / "CN_FDG.nii.gz", STAGES[: 1 + STAGES.index(case)]
        return Pair(read_volume(fetch(T1)), read_volume(pet), stages=stages)
    mri, pet = data / "patient_fdg" / "T1.nii.gz", data / "awkward" / f"{case}.nii.gz"
    return Pair(read_volume(mri), read_volume(pet))


def _points(volume: Volume, threshold: Optional[float] = None) -> np.ndarray:
    """At most some thousand RAS points of the voxels above a threshold; without it, of clear uptake."""
    threshold = 0.4 * np.percentile(volume.array, 99.9) if threshold is None else threshold
    indices = np.argwhere(np.asarray(volume.array) > threshold)[:, ::-1]
    indices = indices[:: max(1, len(indices) // 5000)].astype(float)
    return indices @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3]


# Which axes a lying header turns over.
FLIPS = {"mirrored": "R", "upside down": "S", "backwards": "A", "half a turn": "AS"}
SPECT = ("09", "10", "18", "25", "36")
PATIENTS = ("FDG", *(f"SPECT {case}" for case in SPECT))
# Family: its function, cases, the seed (None: 0 and as many displacements as asked for, shared among the
# cases), and whether BRAINS does it, too.
FAMILIES = {
    "FDG as scanned": (scanner_fdg, ("FDG",), 0, True),
    "template": (undisplaced, ("rigid", "affine"), 0, False),
    "unfit": (undisplaced, ("fdg_no_overlap", "all_zero"), 0, False),
    "known truth": (simulated, ("FDG",), None, True),
    "FDG": (patient, ("FDG",), None, True),
    "SPECT": (patient, SPECT, None, False),
    "header": (turned_over, [f"{who}, {flip}" for who in PATIENTS for flip in FLIPS], 1, False),
}


def plan(count: int, engines: Tuple[str, ...]) -> Iterator[Tuple[str, str, int, str]]:
    """Family, case, seed and engine of every registration, with so many displacements of each kind."""
    for family, (_, cases, seed, compared) in FAMILIES.items():
        for case in cases:
            for engine in engines if compared else engines[:1]:
                for number in range(1 - -count // len(cases)) if seed is None else (seed,):
                    yield family, case, number, engine
