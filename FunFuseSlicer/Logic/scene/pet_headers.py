"""What the DICOM files say that Slicer loaded a volume from: the unit of its values, and its tracer.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Any, List

from ..dicom.series import quiet
from ..errors import InputError
from ..volumes.dicom_units import units_of_headers
from ..volumes.tracers import tracer_of_header
from ..volumes.units import KINDS, Units
from .attributes import attribute
from .inputs import unit_of

# What Slicer writes into a volume that its DICOM module loaded (DICOMScalarVolumePlugin).
INSTANCES = "DICOM.instanceUIDs"


def came_from_dicom(node) -> bool:
    """Whether Slicer loaded a volume from DICOM."""
    return node is not None and bool(node.GetAttribute(INSTANCES))


def files_of_node(node) -> List[str]:
    """The files that Slicer loaded a volume from; none for a volume that came from elsewhere.

    :raises InputError: they are not in Slicer's DICOM database any more.
    """
    import slicer

    if not came_from_dicom(node):
        return []
    database = getattr(slicer, "dicomDatabase", None)  # none in a Slicer without the module DICOM
    uids = node.GetAttribute(INSTANCES).split()
    files = [database is not None and database.fileForInstance(uid) for uid in uids]
    if not all(files):
        raise InputError(
            f'The DICOM files of "{node.GetName()}" are not in Slicer\'s DICOM database any more: import '
            "them again in the module DICOM."
        )
    return sorted(set(files))


def units_of_files(files: List[str], unit: str) -> Units:
    """The units of a PET, and the way to SUV.

    :param files: see :func:`files_of_node`; reading them takes a moment, and needs nothing of Slicer.
    :param unit: what the node itself says, see :func:`.inputs.unit_of`: it counts, since who loaded the PET
        may have turned its values into it.
    """
    if unit or not files:
        return Units(unit, {unit: 1.0} if unit in KINDS else {})
    headers = [_header(file) for file in files]
    return units_of_headers(headers) if _is_pet(headers[0]) else Units()


def units_of_node(node) -> Units:
    """Likewise of a volume node; unknown units where its files have gone."""
    return units_of_files(known_files(node), unit_of(node))


def tracer_of_node(node) -> str:
    """The name of a preset; "" where neither the node nor its files tell one."""
    files = known_files(node)[:1]
    return attribute(node, "Tracer") or (tracer_of_header(_header(files[0])) if files else "")


def known_files(node) -> List[str]:
    """As :func:`files_of_node`, but none where they have gone."""
    try:
        return files_of_node(node)
    except InputError:
        return []


def _is_pet(header: Any) -> bool:
    return str(header.get("Modality") or "") in ("PT", "NM")


def _header(file: str) -> Any:
    import pydicom

    with quiet():
        try:
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
        except OSError:
            return pydicom.Dataset()
