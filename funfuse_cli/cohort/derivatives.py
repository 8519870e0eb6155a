"""What is written of each image, in the names of BIDS derivatives that users of PETPrep and fMRIPrep know.

Brain Imaging Data Structure 1.10, "BIDS Derivatives", "Preprocessed, coregistered and/or resampled volumes";
transforms are those of BEP 014.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Dict, Optional

from FunFuseSlicer.Logic.errors import OutputError
from FunFuseSlicer.Logic.output_folder import part_of, sha256_of
from FunFuseSlicer.Logic.version import VERSION

from .participants import Image

DESCRIPTION, IGNORE = "dataset_description.json", ".bidsignore"
LOGS, FIGURES = "logs", "figures"
OURS = {
    "Name": "FunFuseSlicer",
    "Version": VERSION,
    "CodeURL": "https://github.com/FunFuseSlicer/SlicerFunFuse",
}
BIDS_VERSION = "1.10.0"
# How side cars name the data set of the images.
RAW = "bids:raw:"
# What no name of BIDS is for.
IGNORED = (LOGS, FIGURES, "report.json", "*.html", "group.csv", "funfuse-files.json", "*_xfm.txt")

# Volumes of a run: their description in a name, and in words.
VOLUMES = {
    "pet_registered": ("preproc", "The PET on the grid of the MRI"),
    "fused": ("fused", "The fused image, 0 to 1 as a rule"),
    "mri_part": ("mripart", "What the MRI contributed to the fused image; both parts add up to it"),
    "pet_part": ("petpart", "What the PET contributed to the fused image; both parts add up to it"),
    "colored": ("colored", "The fused image in color, RGB"),
    "difference": ("asymmetry", "What the PET has more, or less, than on the other side; in percent or as z"),
}


def alignment_name(name: str) -> str:
    """Of the picture of an image by which the eye judges the registration, among the figures."""
    return f"{name}_desc-coreg_pet.png"


def page_name(name: str) -> str:
    """Of the page about an image."""
    return f"{name}_report.html"


def write_images(image: Image, made: Path, folder: Path, units: str, facts: dict) -> None:
    """Bring the files of a run, ``made`` by ``fuse``, into the folder of a participant, under their names.

    :param units: of the PET, "" where they are not known.
    :param facts: what the side cars say besides: sources, how it was made.
    """
    place = folder.joinpath(*([f"ses-{image.session}"] if image.session else []), "pet")
    place.mkdir(parents=True, exist_ok=True)
    for role, (label, words) in VOLUMES.items():
        if not (made / f"{role}.nii.gz").is_file():
            continue
        target = place / f"{image.name}_space-{image.anatomy}_desc-{label}_pet.nii.gz"
        shutil.move(made / f"{role}.nii.gz", target)
        own = {"Description": words, "Units": (role == "pet_registered" and units) or "arbitrary"}
        own["SkullStripped"] = False
        write_json(
            target.with_name(target.name.replace(".nii.gz", ".json")),
            {**own, **facts, "SHA256": sha256_of(target)},
        )
    if (made / "pet_to_mri.tfm").is_file():
        shutil.move(made / "pet_to_mri.tfm", place / image.transform_name)
    for name, target in (
        ("preview.png", folder / FIGURES / f"{image.name}_desc-fused_pet.png"),
        ("difference.png", folder / FIGURES / f"{image.name}_desc-asymmetry_pet.png"),
        ("report.html", folder / page_name(image.name)),
    ):
        if (made / name).is_file():
            target.parent.mkdir(exist_ok=True)
            shutil.move(made / name, target)


def write_json(path: Path, facts: dict) -> None:
    """Readable, and always the same for the same facts."""
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def describe(output: Path, data_set: Optional[Path]) -> None:
    """Write what makes a folder a data set of derivatives, where it is not there yet.

    Several processes may do so at a time.

    :param data_set: the BIDS data set that it derives from, or None.
    :raises OutputError: there is another data set.
    """
    facts: Dict[str, object] = {
        "Name": "MRI-PET fusion by FunFuseSlicer",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "as the source data",
        "GeneratedBy": [OURS],
    }
    if data_set is not None:
        facts["DatasetLinks"] = {"raw": Path(os.path.relpath(data_set, output)).as_posix()}
    path = output / DESCRIPTION
    if path.is_file() and not _is_ours(path):
        raise OutputError(f"{output} holds another data set: choose another folder for the results.")
    _write(path, json.dumps(facts, indent=2) + "\n")
    if not (output / IGNORE).exists():
        _write(output / IGNORE, "\n".join(IGNORED) + "\n")


def _is_ours(path: Path) -> bool:
    try:
        makers = json.loads(path.read_text(encoding="utf-8"))["GeneratedBy"]
        return any(maker["Name"] == OURS["Name"] for maker in makers)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write(path: Path, text: str) -> None:
    """Wholly or not at all; not where it says so already."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        part = part_of(path).with_suffix(f".{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path} cannot be written ({reason}). Choose another folder.") from error
