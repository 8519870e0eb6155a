"""What the commands write, and how a folder of results tells later that it is whole."""

import argparse
import json
from pathlib import Path, PurePosixPath
from typing import Iterable, List

from FunFuseSlicer.Logic.dicom.write import FILES as DICOM_FILES
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import REPORT, Claim, checksums, sha256_of, write_list
from FunFuseSlicer.Logic.scene.export import DICOM_FOLDER, ENDINGS

from .progress import count

# Roles of output nodes that become files of the same name: volumes, or pictures of a single slice.
VOLUME_ROLES = ("pet_registered", "fused", "mri_part", "pet_part", "colored")
PICTURE_ROLES = VOLUME_ROLES[1:]

# What demo and fuse may write of a pair of volumes, and of one of pictures.
VOLUMES = (
    REPORT,
    "report.html",
    "preview.png",
    "scene.mrb",
    "pet_to_mri.tfm",
    *(f"{name}.nrrd" for name in VOLUME_ROLES),
    "difference.nrrd",
    "difference.png",
)
PICTURES = (REPORT, *(f"{name}.png" for name in PICTURE_ROLES))

# What --dicom adds, in a folder of its own.
DICOM = tuple(f"{DICOM_FOLDER}/{name}" for name in DICOM_FILES)

# What can be left out, and which files (without their ending) that is.
OUTPUTS = {
    "registered": ("pet_registered", "pet_to_mri"),
    "fused": ("fused",),
    "parts": ("mri_part", "pet_part"),
    "colored": ("colored",),
    "difference": ("difference",),
    "page": ("report",),
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


def in_format(writes: Iterable[str], volumes: str) -> List[str]:
    """The names of files with the ending that a format of :data:`ENDINGS` gives volumes."""
    return [name[: -len(".nrrd")] + ENDINGS[volumes] if name.endswith(".nrrd") else name for name in writes]


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


def contents(report: dict, folder: Path) -> List[str]:
    """What a run wrote: a line for each file with its size, and one for all numbered files of a folder.

    :param report: see :func:`write_report`; ``folder`` is where it is now.
    """
    sizes = {REPORT: [(Path(folder) / REPORT).stat().st_size]}
    for name, facts in report["files"].items():
        path = PurePosixPath(name)
        group = f"{path.parent}/" if path.stem.isdigit() else name
        sizes.setdefault(group, []).append(facts["bytes"])
    width = max(map(len, sizes))
    lines = [f"{name:{width}}  {megabytes(sum(parts))}" for name, parts in sizes.items()]
    return [
        f"{line}, {count(len(parts), 'file')}" if name.endswith("/") else line
        for line, (name, parts) in zip(lines, sizes.items())
    ]


def megabytes(size: int) -> str:
    """A number of bytes for people, such as " 12.3 MB"."""
    return f"{size / 1e6:6.1f} MB" if size >= 1e5 else f"{size / 1e3:6.1f} kB"


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
