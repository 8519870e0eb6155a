"""Writes the results of a pair into a folder that the user chose."""

import gzip
import re
import shutil
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from ..dicom.write import FILES as DICOM_FILES
from ..errors import InputError, OutputError
from ..monitor import Monitor
from ..output_folder import Claim, all_or_nothing
from ..report.contents import ready
from ..report.page import page
from . import slice_pictures
from .beside import beside
from .dicom_export import export_dicom, series_of_node
from .inputs import check_present
from .report import contents_of, facts_of
from .tables import export_csv

DICOM_FOLDER = "dicom"


# Formats of volumes, and the ending that tells.
ENDINGS = {"nrrd": ".nrrd", "nifti": ".nii.gz"}
# As Slicer compresses.
GZIP_LEVEL = 6


def export_outputs(
    nodes: Dict[str, object],
    folder,
    tables: Sequence[object] = (),
    volumes: str = "nrrd",
    monitor: Optional[Monitor] = None,
) -> List[Path]:
    """Write the volumes, the transform as ITK text and tables as CSV, named after the nodes.

    All files appear at once, or, after an error, none. Only files of an earlier export are replaced.

    :param nodes: by role, see :func:`.outputs.find_outputs`.
    :param volumes: a format of :data:`ENDINGS`.
    :return: the files.
    :raises OutputError: the folder or a file cannot be written, or a file of that name is the user's.
    :raises InputError: a node was removed meanwhile.
    :raises Cancelled: the monitor was asked to stop.
    """
    import slicer

    folder, monitor = Path(folder), monitor or Monitor()
    roles = {node: role for role, node in nodes.items()}
    names = _file_names([*nodes.values(), *tables], roles, ENDINGS[volumes])
    without_storage = [node for node in nodes.values() if node.GetStorageNode() is None]
    pages = {}
    if "colored" in nodes:
        # Named after what it shows first.
        name = re.sub(r"(\.nii)?\.\w+$", ".html", names[nodes["colored"]])
        contents, facts = contents_of(nodes), facts_of(nodes)
        pages[name] = beside(lambda _: page(ready(contents), facts), monitor, "Making the page")
    try:
        with all_or_nothing(folder, Claim([*names.values(), *pages])) as work:
            for number, node in enumerate(nodes.values()):
                monitor.report("Writing", number / len(nodes))
                check_present([node])
                _save(node, work / names[node], folder / names[node])
                beside(lambda _, path=work / names[node]: _compress(path), monitor, "Writing")
            for table in tables:
                export_csv(table, work / names[table])
            for name, text in pages.items():
                (work / name).write_text(text, encoding="utf-8")
    except BaseException as error:
        for node in without_storage:
            if node.GetStorageNode() is not None:
                slicer.mrmlScene.RemoveNode(node.GetStorageNode())
        if isinstance(error, OSError):
            raise OutputError(f"{folder} cannot be written ({error}). Choose another folder.") from error
        raise
    for node in nodes.values():
        node.GetStorageNode().SetFileName(str(folder / names[node]))
    return [folder / name for name in (*pages, *names.values())]


def export_dicom_of_nodes(
    mri_node, pet_node, nodes: Dict[str, object], folder, monitor: Optional[Monitor] = None
) -> List[Path]:
    """Write the results as DICOM into the study that Slicer loaded the MRI from, in a folder "dicom".

    All files appear at once, or, after an error, none.

    :return: the files.
    :raises InputError: see :func:`.dicom_export.export_dicom` and :func:`.dicom_export.series_of_node`.
    :raises OutputError: as :func:`export_outputs`.
    """
    mri, pet = series_of_node(mri_node), series_of_node(pet_node)
    if mri is None:
        raise InputError(
            f'"{mri_node.GetName()}" did not come from DICOM: load its series with the module DICOM.'
        )

    def write(work: Path) -> None:
        export_dicom(mri_node, pet_node, nodes, mri, pet, work / DICOM_FOLDER, monitor)

    return _all_or_nothing(folder, [f"{DICOM_FOLDER}/{name}" for name in DICOM_FILES], write)


def export_slices(folder, sheets: bool, monitor: Optional[Monitor] = None) -> List[Path]:
    """Write pictures of all slices of the views on screen, see :mod:`.slice_pictures`, in a folder "slices".

    :param sheets: all slices of a view on one picture.
    :return: the files.
    :raises InputError: no view shows a volume.
    :raises OutputError: as :func:`export_outputs`.
    """
    names = slice_pictures.file_names(slice_pictures.shown_views(), sheets)

    def write(work: Path) -> None:
        slice_pictures.write_slices(work, names, sheets, monitor or Monitor())

    return _all_or_nothing(folder, [name for files in names.values() for name in files], write)


def _all_or_nothing(folder, names: Sequence[str], write: Callable[[Path], None]) -> List[Path]:
    """What ``write`` writes into a folder that it is given, in ``folder``; its files."""
    folder = Path(folder)
    try:
        with all_or_nothing(folder, Claim(names)) as work:
            write(work)
            written = sorted(path.relative_to(work) for path in work.rglob("*") if path.is_file())
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error}). Choose another folder.") from error
    return [folder / name for name in written]


def _save(node, path: Path, target: Path) -> None:
    """Write one node, a volume for :func:`_compress`; it still belongs to the file of before, or to none.

    :raises OSError: it cannot be written.
    """
    import slicer

    path, storage = _plain(path), node.GetStorageNode()
    before = "" if storage is None else storage.GetFileName() or ""
    try:
        if not slicer.util.saveNode(node, str(path), {"useCompression": 0}) or not path.exists():
            raise OSError(f"Slicer could not write {target.name}")
    except RuntimeError as error:
        raise OSError(f"Slicer could not write {target.name}: {error}") from error
    finally:
        if node.GetStorageNode() is not None:
            node.GetStorageNode().SetFileName(before)
            node.GetStorageNode().SetUseCompression(1)


def _plain(path: Path) -> Path:
    """What Slicer writes of a file before it is compressed."""
    return path.with_suffix("") if path.suffix == ".gz" else path


def _compress(path: Path) -> None:
    """Compress a volume that Slicer wrote plainly: Slicer takes a second, and nothing answers."""
    if not path.name.endswith(tuple(ENDINGS.values())):
        return
    plain, part = _plain(path), path.with_name(f"{path.name}-part")
    with open(plain, "rb") as source, open(part, "wb") as target:
        if path.suffix == ".nrrd":
            # The header ends with an empty line, and tells how the voxels after it are written.
            for line in source:
                target.write(line.replace(b"encoding: raw", b"encoding: gzip"))
                if line == b"\n":
                    break
        with gzip.GzipFile("", "wb", GZIP_LEVEL, target, 0) as voxels:
            shutil.copyfileobj(source, voxels, 1 << 20)
    plain.unlink()
    part.replace(path)


def _file_names(nodes: Sequence[object], roles: Dict[object, str], volumes: str) -> Dict[object, str]:
    """The nodes' names without what file systems refuse; no two alike, even where case is ignored."""
    found, taken = {}, set()
    for node in nodes:
        role = roles.get(node)
        ending = {None: ".csv", "transform": ".tfm"}.get(role, volumes)
        stem = re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", node.GetName()).strip(". ") or role or "table"
        name, number = stem + ending, 2
        while name.lower() in taken:
            name, number = f"{stem} {number}{ending}", number + 1
        taken.add(name.lower())
        found[node] = name
    return found
