"""Finds and reads training pairs, and splits them by patient, never by slice."""

import hashlib
from pathlib import Path
from typing import Iterable, List, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.preprocessing import full_range

from ..reading.reader import is_flat, read_volume
from .pair import MINIMUM_FILLED, Pair
from .volumes import read_slices, volume_paths

MRI_NAMES = ("mri",)
FUNCTION_NAMES = ("pet", "spect", "fdg")
# Folders named so are views of one patient, who is the folder above: splitting them would leak.
ORIENTATIONS = ("axial", "coronal", "sagittal")
PICTURES = (".png", ".tif", ".tiff", ".bmp")


def read_pairs(folders: Iterable) -> List[Pair]:
    """All pairs below some folders.

    Three layouts are understood: sibling folders ``mri`` and ``pet`` (or ``spect``) with equally named
    pictures, whose parent is the patient; pictures ``X_mri.png``, ``X_pet.png``, each a patient; and
    volumes on one grid, see :func:`volumes.volume_paths`.

    :raises InputError: a folder holds no pair, or the images of a pair differ in size or place.
    """
    pairs = []
    for folder in folders:
        folder = Path(folder)
        found = [pair for paths in _pair_paths(folder) for pair in _read(*paths)]
        found += [pair for paths in volume_paths(folder) for pair in read_slices(*paths)]
        if not found:
            raise InputError(f"{folder} holds no MRI-PET pairs: see the README for how to lay them out.")
        pairs += found
    return pairs


def split_by_patient(pairs: List[Pair], held_out: Iterable[str]) -> Tuple[List[Pair], List[Pair]]:
    """(training pairs, held-out pairs).

    :raises InputError: a held-out patient is not there, or nobody is left to train on.
    """
    held_out = set(held_out)
    missing = held_out - {pair.patient for pair in pairs}
    if missing:
        raise InputError(f"There is no patient {', '.join(sorted(missing))} to hold out.")
    training = [pair for pair in pairs if pair.patient not in held_out]
    if not training:
        raise InputError("All patients are held out: nobody is left to train on.")
    return training, [pair for pair in pairs if pair.patient in held_out]


def choose_held_out(pairs: List[Pair], share: float, seed: int) -> List[str]:
    """A share of the patients, at least one, drawn by a seed.

    :raises InputError: the share is not between 0 and 1, or would leave nobody to train on.
    """
    if not 0 < share < 1:
        raise InputError(f"The share of patients to hold out must lie between 0 and 1, not {share}.")
    patients = sorted({pair.patient for pair in pairs})
    count = max(1, round(share * len(patients)))
    if count >= len(patients):
        raise InputError(
            f"Holding out {count} of {len(patients)} patients leaves nobody to train on: give data of more "
            "patients, or a smaller share."
        )
    return sorted(np.random.default_rng(seed).choice(patients, count, replace=False).tolist())


def fingerprint(pairs: Iterable[Pair]) -> str:
    """Tells one set of pairs from another: of whom they are, and all their pixels, in order."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(f"{pair.patient} {pair.mri.shape} {pair.mri.dtype} {pair.pet.dtype} ".encode())
        digest.update(np.ascontiguousarray(pair.mri))
        digest.update(np.ascontiguousarray(pair.pet))
    return digest.hexdigest()[:16]


def _pair_paths(folder: Path):
    for mri_folder in sorted(path for path in folder.rglob("*") if path.is_dir() and path.name in MRI_NAMES):
        series = mri_folder.parent
        patient = series.parent.name if series.name in ORIENTATIONS else series.name
        for mri in sorted(mri_folder.iterdir()):
            for name in FUNCTION_NAMES:
                pet = series / name / mri.name
                if mri.suffix.lower() in PICTURES and pet.is_file():
                    yield patient, mri, pet
    for mri in sorted(folder.rglob("*_mri.*")):
        pet = mri.with_name(mri.name.replace("_mri.", "_pet."))
        if mri.suffix.lower() in PICTURES and pet.is_file():
            yield mri.name.split("_mri.")[0], mri, pet


def _read(patient: str, mri_path: Path, pet_path: Path) -> List[Pair]:
    """No pair for slices that are nearly empty."""
    pictures = [read_volume(path) for path in (mri_path, pet_path)]
    mri, pet = (picture.array[0] for picture in pictures)
    if mri.shape != pet.shape or not all(is_flat(picture) for picture in pictures):
        raise InputError(f"{mri_path} and {pet_path} must be gray pictures of one size.")
    if ((mri > 0) & (pet > 0)).mean() < MINIMUM_FILLED:
        return []
    return [Pair(patient, mri, pet, mri_path.stem.removesuffix("_mri"))]


def to_unit(array: np.ndarray) -> np.ndarray:
    """To float32 in [0, 1] by the range of the type: 8 bits / 255."""
    return array.astype(np.float32) / np.float32(full_range(array.dtype))
