"""Writes the results of a pair into a folder."""

import os
import re
from pathlib import Path
from typing import Dict, List, Sequence

from .errors import OutputError
from .evaluation_nodes import export_csv


def export_outputs(nodes: Dict[str, object], folder, tables: Sequence[object] = ()) -> List[Path]:
    """Write the volumes as NRRD, the transform as ITK text and tables as CSV, named after the nodes.

    Every file is written under a temporary name first: a file that is there is whole.

    :param nodes: by role, see :func:`scene.find_outputs`.
    :return: the files.
    :raises OutputError: the folder or a file cannot be written.
    """
    import slicer

    folder, files = Path(folder), []
    for role, node in nodes.items():
        ending = ".tfm" if role == "transform" else ".nrrd"
        path = folder / (_file_name(node) + ending)
        part = path.with_name(f".part-{os.getpid()}-{role}{ending}")
        storage = node.GetStorageNode()
        before = storage.GetFileName() if storage is not None else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not slicer.util.saveNode(node, str(part), {"useCompression": 1}):
                raise OSError("Slicer could not write it")
            os.replace(part, path)
            before = str(path)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{path} cannot be written ({error}): choose another folder.") from error
        finally:
            if part.exists():
                part.unlink()
            # Saving has noted the temporary name.
            if node.GetStorageNode() is not None:
                node.GetStorageNode().SetFileName(before)
        files.append(path)
    for table in tables:
        path = folder / f"{_file_name(table)}.csv"
        export_csv(table, path)
        files.append(path)
    return files


def _file_name(node) -> str:
    """The node's name without what file systems refuse."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", node.GetName())
