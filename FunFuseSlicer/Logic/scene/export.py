"""Writes the results of a pair into a folder, and puts whole sets of files in the place of older ones."""

import errno
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from ..errors import OutputError

# Temporary folders beside the results; OLD, in them, holds what the new files replace.
TEMPORARY, OLD = ".funfuse-", "replaced"

# Seconds after which a temporary folder can only be what a killed process left behind.
ABANDONED = 24 * 3600


def export_outputs(nodes: Dict[str, object], folder, tables: Sequence[object] = ()) -> List[Path]:
    """Write the volumes as NRRD, the transform as ITK text and tables as CSV, named after the nodes.

    All files appear at once, or, after an error, none, and files of the same names are as they were.

    :param nodes: by role, see :func:`.outputs.find_outputs`.
    :return: the files.
    :raises OutputError: the folder or a file cannot be written.
    """
    import slicer

    from .evaluation import export_csv

    folder = Path(folder)
    roles = {node: role for role, node in nodes.items()}
    names = _file_names([*nodes.values(), *tables], roles)
    without_storage = [node for node in nodes.values() if node.GetStorageNode() is None]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as work:
            for node in nodes.values():
                _save(node, work / names[node], folder / names[node])
            for table in tables:
                export_csv(table, work / names[table])
            move_all(work, folder)
    except (OSError, OutputError) as error:
        for node in without_storage:
            if node.GetStorageNode() is not None:
                slicer.mrmlScene.RemoveNode(node.GetStorageNode())
        raise OutputError(f"{folder} cannot be written ({error}): choose another folder.") from error
    for node in nodes.values():
        node.GetStorageNode().SetFileName(str(folder / names[node]))
    return [folder / name for name in names.values()]


def _save(node, path: Path, target: Path) -> None:
    """Write one node; it still belongs to the file of before, or to none.

    :raises OSError: it cannot be written.
    """
    import slicer

    storage = node.GetStorageNode()
    before = "" if storage is None else storage.GetFileName() or ""
    try:
        if not slicer.util.saveNode(node, str(path), {"useCompression": 1}) or not path.exists():
            raise OSError(f"Slicer could not write {target.name}")
    except RuntimeError as error:
        raise OSError(f"Slicer could not write {target.name}: {error}") from error
    finally:
        if node.GetStorageNode() is not None:
            node.GetStorageNode().SetFileName(before)


def _file_names(nodes: Sequence[object], roles: Dict[object, str]) -> Dict[object, str]:
    """The nodes' names without what file systems refuse; no two alike, even where case is ignored."""
    found, taken = {}, set()
    for node in nodes:
        role = roles.get(node)
        ending = {None: ".csv", "transform": ".tfm"}.get(role, ".nrrd")
        stem = re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", node.GetName()).strip(". ") or role or "table"
        name, number = stem + ending, 2
        while name.lower() in taken:
            name, number = f"{stem} {number}{ending}", number + 1
        taken.add(name.lower())
        found[node] = name
    return found


# --- All or nothing -----------------------------------------------------------------------------------


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """A new folder in ``folder``, gone afterwards, but for what :func:`move_all` could not put back.

    What killed processes left more than a day ago goes as well.
    """
    for left in folder.glob(f"{TEMPORARY}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=str(folder)))
    try:
        yield work
    finally:
        if not (work / OLD).exists():
            shutil.rmtree(work, ignore_errors=True)


def move_all(work: Path, folder: Path, owned: Sequence[str] = (), last: str = "") -> None:
    """Move the files of ``work``, a folder in ``folder``, there; after an error all is as it was.

    What is replaced is set aside first, and comes back after an error.

    :param owned: names of files that go when there are no new ones.
    :param last: the name of the file that vouches for the others: the old one goes first and the new one
        comes last, so that whenever the process is killed, the others are those it speaks of, or there is
        none.
    :raises OSError: a file cannot be moved.
    """
    new = sorted((path.name for path in work.iterdir()), key=lambda name: (name == last, name))
    going = sorted({*owned, *new}, key=lambda name: (name != last, name))
    going = [name for name in going if os.path.lexists(folder / name)]
    for name in going:
        if (folder / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a folder of that name", str(folder / name))
    old = work / OLD
    old.mkdir()
    moves = [(folder / name, old / name) for name in going]
    moves += [(work / name, folder / name) for name in new]
    done = []
    try:
        for source, target in moves:
            os.replace(source, target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            os.replace(target, source)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)
