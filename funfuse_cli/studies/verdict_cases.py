"""The pairs on which the verdict of a registration is measured, those of the thresholds and others."""

from functools import partial
from pathlib import Path
from typing import Callable, Dict, Tuple

import numpy as np

from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.preprocessing import clean

from ..reading.reader import read_volume
from ..workflow.demo_data import T1, fetch
from .odd_inputs import heads
from .registration_cases import Pair, displacement, patient, scanner_fdg, simulated

POSE = ((6.0, -4.0, 9.0), (8.0, -12.0, 10.0))
BODY = {
    "body": True,
    "mm": 5.0,
    "size": (400.0, 260.0, 900.0),
    "center": (0.0, -10.0, -350.0),
    "counts": 60.0,
}


def pose(degrees, shift) -> np.ndarray:
    """4×4: turned by angles about R, A, S, and shifted."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_matrix(degrees), shift
    return matrix


def made(mri: dict, pet: dict, motion: np.ndarray) -> Pair:
    """A made-up head in both scanners, that of the PET at ``motion``."""
    points = heads.brain_points(10.0)
    return Pair(heads.mri(**mri), heads.pet(pose=motion, **pet), np.linalg.inv(motion), points)


def glands(factor: float) -> Dict[str, float]:
    """An uptake whose glands hold that many times the uptake of gray matter."""
    return {**heads.FDG, "gray": 0.2, "white": 0.06, "nuclei": 0.22, "soft": 0.1, "glands": 0.2 * factor}


def body(seed: int) -> Pair:
    """Crown to thighs with a full bladder, in a random placement; the MRI as everywhere."""
    return made({}, {**BODY, "seed": seed}, displacement(seed, np.zeros(3)))


def _tracer(data: Path, name: str) -> Pair:
    """A group's mean uptake of a tracer on the ICBM152 T1, moved by its header."""
    volume = clean(read_volume(data.parent / "tracers" / f"{name}.nii.gz"))[0]
    points = heads.brain_points(10.0) + (0.0, -18.0, 8.0)
    motion = displacement(len(name), points.mean(axis=0))
    moved = volume.__class__(volume.array, motion @ volume.ijk_to_ras, volume.name)
    return Pair(read_volume(fetch(T1)), moved, np.linalg.inv(motion), points)


def _made(mri: dict, pet: dict, _data: Path) -> Pair:
    return made(mri, pet, pose(*POSE))


# By name: how to make the pair from the data folder, and whether it is held out.
PAIRS: Dict[str, Tuple[Callable[[Path], Pair], bool]] = {
    "FDG, as scanned": (lambda data: scanner_fdg(data, "FDG", 0), False),
    "SPECT 09": (lambda data: patient(data, "09", 2), False),
    "SPECT 10": (lambda data: patient(data, "10", 2), False),
    "SPECT 18": (lambda data: patient(data, "18", 2), False),
    "SPECT 25": (lambda data: patient(data, "25", 2), False),
    "FDG, simulated": (lambda data: simulated(data, "FDG", 5), False),
    "dopamine transporter": (partial(_tracer, name="DAT_DATSPECT"), False),
    "serotonin 1A": (partial(_tracer, name="5HT1a_WAY_HC36"), False),
    "made up: FDG, T1": (partial(_made, {}, {}), False),
    "made up: amyloid, T2": (partial(_made, {"values": heads.T2}, {"values": heads.AMYLOID}), False),
    "made up: glands × 50": (partial(_made, {}, {"values": glands(50), "counts": 400.0}), False),
    "made up: 9 cm of the head": (
        partial(_made, {}, {"size": (230.0, 255.0, 90.0), "center": (0, 0, 15)}),
        False,
    ),
    "SPECT 36": (lambda data: patient(data, "36", 2), True),
    "kappa opioid": (partial(_tracer, name="KappaOp_LY2795050_hc10_ShokriKojori"), True),
    "mu opioid": (partial(_tracer, name="MU_carfentanil_hc39_turtonen"), True),
    "NMDA": (partial(_tracer, name="NMDA_ge179_29hc_galovic2021"), True),
    "GABA A": (partial(_tracer, name="GABAa_FLUMAZENIL_c11"), True),
    "made up: surface coil": (partial(_made, {"coil": ((20, -40, 10), 45.0)}, {}), True),
    "made up: dopamine, FLAIR": (partial(_made, {"values": heads.FLAIR}, {"values": heads.DOPAMINE}), True),
    "made up: body": (partial(_made, {}, {**BODY}), True),
    "made up: glands × 20": (partial(_made, {"stripped": True}, {"values": glands(20)}), True),
}
