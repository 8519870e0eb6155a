"""Writes results so that a folder never holds half of them."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

from FunFuseSlicer.Logic.errors import OutputError


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
    "report.json",
    "preview.png",
    "scene.mrb",
    "pet_to_mri.tfm",
    *(f"{name}.nrrd" for name in VOLUME_ROLES),
    *(f"{name}.png" for name in PICTURE_ROLES),
)


@contextmanager
def all_or_nothing(folder, owned: Sequence[str] = RESULTS) -> Iterator[Path]:
    """A temporary folder whose files move into ``folder`` when the block ends well.

    After an error ``folder`` is as it was; one that did not exist is gone again.

    :param owned: files of an earlier run, which go when this one does not write them again; others stay.
    :raises OutputError: the folder cannot be written; also for a full disk.
    """
    made = [path for path in (Path(folder), *Path(folder).parents) if not path.exists()]
    folder = check_writable(folder)
    work = None
    try:
        work = Path(tempfile.mkdtemp(prefix=".funfuse-", dir=str(folder)))
        yield work
        # The old report goes first and the new one comes last: where there is one, all belongs to it.
        for name in owned:
            if name == "report.json" or not (work / name).exists():
                (folder / name).unlink(missing_ok=True)
        for path in sorted(work.iterdir(), key=lambda path: (path.name == "report.json", path.name)):
            path.replace(folder / path.name)
    except OSError as error:
        raise OutputError(
            f"{folder}: the results could not be written ({error.strerror or error})."
        ) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        for path in made:
            if not any(path.iterdir()):
                path.rmdir()
