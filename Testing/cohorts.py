"""Tiny cohorts of phantoms for tests."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from Testing.conftest import head_phantom

SIZE, SPACING = (16, 32, 28), (6.0, 6.0, 8.0)


def moved(volume: Volume, degrees=(0, 0, 0), shift=(0, 0, 0)) -> Volume:
    """The volume, elsewhere by its header."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation_matrix(degrees), shift
    return replace(volume, ijk_to_ras=matrix @ volume.ijk_to_ras)


def write(volume: Volume, path: Path) -> Path:
    """As NIfTI or whatever the ending says, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume_to_sitk(volume), str(path))
    return path


def add_image(root: Path, name: str, pet: Volume, side_car=None) -> Path:
    """A PET into a BIDS data set, by its name without the suffix: "sub-1_ses-2_trc-FDG"."""
    sub, *rest = name.split("_")
    session = [part for part in rest if part.startswith("ses-")]
    path = write(pet, root.joinpath(sub, *session, "pet", f"{name}_pet.nii.gz"))
    facts = {"Units": "Bq/mL", "TracerName": "FDG", **(side_car or {})}
    path.with_name(f"{name}_pet.json").write_text(json.dumps(facts), encoding="utf-8")
    return path


def add_anatomy(root: Path, name: str, mri: Volume, suffix="T1w") -> Path:
    """An MRI into a BIDS data set."""
    sub, *rest = name.split("_")
    session = [part for part in rest if part.startswith("ses-")]
    return write(mri, root.joinpath(sub, *session, "anat", f"{name}_{suffix}.nii.gz"))


def describe(root: Path) -> Path:
    """What makes a folder a BIDS data set."""
    root.mkdir(parents=True, exist_ok=True)
    facts = {"Name": "Phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(facts), encoding="utf-8")
    return root


def head(seed: int, size=SIZE, spacing=SPACING):
    """MRI and PET of a head of its own."""
    return head_phantom(size, spacing, seed)


def data_set(root: Path, number: int = 2) -> Path:
    """Participants 01 and so on with a PET that is displaced a little; the first has two sessions."""
    describe(root)
    for seed in range(1, number + 1):
        mri, pet = head(seed)
        sub = f"sub-{seed:02d}"
        here = f"{sub}_ses-1" if seed == 1 else sub
        there = f"{sub}_ses-2" if seed == 1 else sub
        add_anatomy(root, here, mri)
        add_image(root, f"{there}_trc-FDG", moved(pet, (0, 0, 2 * seed), (3, -2, 4)))
    return root
