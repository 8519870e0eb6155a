"""Writes the results of a pair into a folder that the user chose."""

import re
from pathlib import Path
from typing import Dict, List, Sequence

from ..errors import OutputError
from ..output_folder import Claim, all_or_nothing
from ..report.page import page
from .report import contents_of, facts_of


def export_outputs(nodes: Dict[str, object], folder, tables: Sequence[object] = ()) -> List[Path]:
    """Write the volumes as NRRD, the transform as ITK text and tables as CSV, named after the nodes.

    All files appear at once, or, after an error, none. Only files of an earlier export are replaced.

    :param nodes: by role, see :func:`.outputs.find_outputs`.
    :return: the files.
    :raises OutputError: the folder or a file cannot be written, or a file of that name is the user's.
    """
    import slicer

    from .evaluation import export_csv

    folder = Path(folder)
    roles = {node: role for role, node in nodes.items()}
    names = _file_names([*nodes.values(), *tables], roles)
    without_storage = [node for node in nodes.values() if node.GetStorageNode() is None]
    pages = {}
    if "colored" in nodes:
        # Named after what it shows first.
        name = re.sub(r"(\.nii)?\.\w+$", ".html", names[nodes["colored"]])
        pages[name] = page(contents_of(nodes), facts_of(nodes))
    try:
        with all_or_nothing(folder, Claim([*names.values(), *pages])) as work:
            for node in nodes.values():
                _save(node, work / names[node], folder / names[node])
            for table in tables:
                export_csv(table, work / names[table])
            for name, text in pages.items():
                (work / name).write_text(text, encoding="utf-8")
    except (OSError, OutputError) as error:
        for node in without_storage:
            if node.GetStorageNode() is not None:
                slicer.mrmlScene.RemoveNode(node.GetStorageNode())
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{folder} cannot be written ({error}). Choose another folder.") from error
    for node in nodes.values():
        node.GetStorageNode().SetFileName(str(folder / names[node]))
    return [folder / name for name in (*pages, *names.values())]


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
