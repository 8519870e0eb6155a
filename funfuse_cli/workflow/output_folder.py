"""What the commands write, and how a folder of results tells later that it is whole."""

import argparse
import json
from pathlib import Path
from typing import Iterable, List

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import REPORT, Claim, checksums, sha256_of, write_list

# Roles of output nodes that become files of the same name: volumes, or pictures of a single slice.
VOLUME_ROLES = ("pet_registered", "fused", "mri_part", "pet_part", "colored")
PICTURE_ROLES = VOLUME_ROLES[1:]

# What demo and fuse may write of a pair of volumes, and of one of pictures.
VOLUMES = (REPORT, "preview.png", "scene.mrb", "pet_to_mri.tfm", *(f"{name}.nrrd" for name in VOLUME_ROLES))
PICTURES = (REPORT, *(f"{name}.png" for name in PICTURE_ROLES))

# What can be left out, and which files (without their ending) that is.
OUTPUTS = {
    "registered": ("pet_registered", "pet_to_mri"),
    "fused": ("fused",),
    "parts": ("mri_part", "pet_part"),
    "colored": ("colored",),
    "preview": ("preview",),
    "scene": ("scene",),
}


def add_overwrite(parser) -> None:
    """The option of every command that writes."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of these names that no earlier run wrote, too; never the inputs",
    )


def claim(writes: Iterable[str], options: argparse.Namespace, *inputs, where: str = "--out") -> Claim:
    """What a command is going to do in its folder.

    :param inputs: paths; None is none.
    """
    return Claim(list(writes), [path for path in inputs if path is not None], options.overwrite, where)


def write_report(folder: Path, facts: dict) -> dict:
    """Write ``report.json`` with the list of the files beside it; returns all that it says."""
    report = {**facts, "files": checksums(folder)}
    write_list(Path(folder) / REPORT, report)
    return report


def verify(folder) -> List[str]:
    """Compare the files of a folder with the list in its ``report.json``.

    :return: the names of files that are missing or are not those that were written; empty when all is well.
    :raises InputError: there is no report, or one without a list.
    """
    path = Path(folder) / REPORT
    try:
        listed = dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is missing, or lists no files: run the command again.") from error
    differing = []
    for name, facts in listed.items():
        file = Path(folder) / name
        if not file.is_file() or file.stat().st_size != facts["bytes"] or sha256_of(file) != facts["sha256"]:
            differing.append(name)
    return differing
