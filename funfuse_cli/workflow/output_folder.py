"""Writes results so that a folder never holds half of them, and can tell later that they are whole."""

import errno
import hashlib
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from FunFuseSlicer.Logic.errors import InputError, OutputError
from FunFuseSlicer.Logic.scene.export import move_all, temporary_folder

# Written last: where it is, all files are there, and they are those that it lists.
REPORT = "report.json"

# What a full or broken disk says, without naming a file.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def check_writable(folder) -> Path:
    """Make the folder and prove that a file can be written in it; to be called before any work.

    :raises OutputError: it cannot; names the folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: results cannot be written there ({error.strerror}). Choose another --out."
        ) from error
    return folder


# Roles of output nodes that become files of the same name: volumes, or pictures of a single slice.
VOLUME_ROLES = ("pet_registered", "fused", "mri_part", "pet_part", "colored")
PICTURE_ROLES = VOLUME_ROLES[1:]

# What demo and fuse have ever written.
RESULTS = (
    REPORT,
    "preview.png",
    "scene.mrb",
    "pet_to_mri.tfm",
    *(f"{name}.nrrd" for name in VOLUME_ROLES),
    *(f"{name}.png" for name in PICTURE_ROLES),
)


@contextmanager
def all_or_nothing(folder, owned: Sequence[str] = RESULTS) -> Iterator[Path]:
    """A temporary folder whose files move into ``folder`` when the block ends well.

    After an error ``folder`` is as it was; one that did not exist is gone again. When the process is killed,
    whenever, ``folder`` holds either the report of before with its files or the new one with its files, or
    no report.

    :param owned: files of an earlier run, which go when this one does not write them again; others stay.
    :raises OutputError: the folder cannot be written; also for a full disk.
    """
    # os.path.exists, because a name too long for the disk makes Path's raise.
    made = [path for path in (Path(folder), *Path(folder).parents) if not os.path.exists(path)]
    folder = check_writable(folder)
    work = None
    try:
        with temporary_folder(folder) as work:
            yield work
            move_all(work, folder, owned, REPORT)
    except OSError as error:
        if not _is_ours(error, folder):
            raise
        raise OutputError(
            f"{folder}: the results could not be written ({error.strerror or error}). Choose another --out."
        ) from error
    finally:
        for path in made:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()


def _is_ours(error: OSError, folder: Path) -> bool:
    """Whether an error is of writing into ``folder``, not of reading something else."""
    if error.errno in _DISK_ERRORS or error.filename is None:
        return True
    return folder.resolve() in Path(str(error.filename)).resolve().parents


def list_files(folder) -> Dict[str, dict]:
    """What ``report.json`` says of the files beside it: name -> ``{"sha256": ..., "bytes": ...}``."""
    paths = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.name != REPORT)
    return {path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in paths}


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
        if not file.is_file() or file.stat().st_size != facts["bytes"] or _sha256(file) != facts["sha256"]:
            differing.append(name)
    return differing


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()
