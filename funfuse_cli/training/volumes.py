"""Training pairs from registered 3-D volumes: the axial slices of each patient's MRI and PET."""

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import axial_order, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..reading.reader import is_flat, read_volume
from .pair import MINIMUM_FILLED, Pair

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
MRI_NAMES = ("mri", "mr", "t1", "t1w", "t2", "t2w", "flair")
FUNCTION_NAMES = ("pet", "fdg", "spect")

# A voxel darker than this share of the head's scale may be a scanner's noise around the head.
BACKGROUND = 0.05


def volume_paths(folder: Path) -> List[Tuple[str, Path, Path]]:
    """(patient, MRI, PET or SPECT) of all pairs of volumes below a folder.

    ``anna/T1.nii.gz`` with ``anna/FDG.nrrd`` is the patient "anna", and ``07_T2.nii.gz`` with
    ``07_SPECT.nii.gz`` in one folder is the patient "07"; case does not matter. Whoever has two MRIs
    has two pairs, and stays one patient.
    """
    found: Dict[Tuple[Path, str], Dict[str, List[Path]]] = {}
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
        if ending is None:
            continue
        patient, _, role = path.name[: -len(ending)].rpartition("_")
        for kind, names in (("mri", MRI_NAMES), ("function", FUNCTION_NAMES)):
            if role.lower() in names:
                group = found.setdefault((path.parent, patient), {"mri": [], "function": []})
                group[kind].append(path)
    return [
        (patient or parent.resolve().name, mri, function)
        for (parent, patient), group in found.items()
        for mri in group["mri"]
        for function in group["function"]
    ]


def read_slices(patient: str, mri_path: Path, function_path: Path) -> List[Pair]:
    """The axial slices of a registered pair, each volume on a robust scale of its own.

    Slices go from feet to head, rows from front to back, columns from right to left, whatever the
    acquisition. Slices that are nearly empty are left out. 16 bits hold them at half the memory of
    floats.

    :raises InputError: a file is no 3-D image, has no contrast, or the grids differ.
    """
    volumes = [replace(read_volume(path), name=str(path)) for path in (mri_path, function_path)]
    for volume in volumes:
        if is_flat(volume):
            raise InputError(f"{volume.name} must be a 3-D image with one value a voxel.")
    if not volumes[0].same_grid(volumes[1]):
        raise InputError(
            f"{mri_path} and {function_path} have different grids: register them first (the command fuse "
            "writes pet_registered.nrrd)."
        )
    mri, function = (
        to_axial(normalize(clean(volume, mri=volume is volumes[0])[0].array), axial_order(volume.ijk_to_ras))
        for volume in volumes
    )
    filled = ((mri > BACKGROUND) & (function > BACKGROUND)).mean(axis=(1, 2)) >= MINIMUM_FILLED
    return [Pair(patient, _to_16_bits(mri[k]), _to_16_bits(function[k])) for k in np.flatnonzero(filled)]


def _to_16_bits(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.rint(image * np.float32(65535)).astype(np.uint16))
