"""Volume nodes as arrays in patient space, and back.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Iterable

import numpy as np

from ..errors import InputError
from ..volumes.dicom_units import UCUM
from ..volumes.geometry import Volume
from .attributes import ATTRIBUTE, attribute


def check_present(nodes: Iterable[object]) -> None:
    """After work beside the event loop, in which the user can remove what it is for.

    :raises InputError: a node is no longer in the scene.
    """
    import slicer

    if not all(slicer.mrmlScene.IsNodePresent(node) for node in nodes):
        raise InputError("The volumes were removed from the scene meanwhile.")


def volume_from_node(node) -> Volume:
    """A scalar volume node as a :class:`Volume` in world (RAS) coordinates.

    Linear parent transforms are honored: the registration and the overlap are those the user sees.

    :raises InputError: no voxels, a color image, or a non-linear parent transform.
    """
    import slicer

    if node is None:
        raise InputError("Choose an MRI and a PET volume first.")
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f'"{name}" has no voxels: choose another volume.')
    components = image.GetNumberOfScalarComponents()
    if components > 1:
        raise InputError(
            f'"{name}" has {components} values a voxel (a color image?): choose a volume with one value '
            "a voxel. A color PET must be converted to uptake first."
        )
    parent = node.GetParentTransformNode()
    # Asked first: a matrix of a non-linear one is refused with messages in the application's log.
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise InputError(f'"{name}" is under a non-linear transform: harden that transform first.')
    return Volume(
        slicer.util.arrayFromVolume(node), ijk_to_world(node), name, unit_of(node), attribute(node, "Tracer")
    )


def unit_of(node) -> str:
    """The unit of a volume node's voxels, as an extension that loads PET sets it; "" where none did."""
    entry = node.GetVoxelValueUnits()
    code = "" if entry is None else entry.GetCodeValue() or ""
    return UCUM.get(code, code)


def ijk_to_world(node) -> np.ndarray:
    """4×4, voxel index (i, j, k) of a volume node to world RAS, with its linear parent transforms."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return to_world(node) @ slicer.util.arrayFromVTKMatrix(matrix)


def to_world(node) -> np.ndarray:
    """4×4 in RAS, of the linear transforms that a node is under."""
    import slicer
    import vtk

    parent, matrix = node.GetParentTransformNode(), vtk.vtkMatrix4x4()
    if parent is not None:
        parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def add_volume_node(volume: Volume):
    """A new scalar volume node in the scene, with its display node."""
    import slicer

    node = slicer.util.addVolumeFromArray(
        volume.array, np.asarray(volume.ijk_to_ras), volume.name, "vtkMRMLScalarVolumeNode"
    )
    if volume.unit:
        set_unit(node, volume.unit)
    if volume.tracer:
        node.SetAttribute(ATTRIBUTE.format("Tracer"), volume.tracer)
    return node


def set_unit(node, unit: str) -> None:
    """Let a volume node say the unit of its voxels."""
    import slicer

    code = next((code for code, name in UCUM.items() if name == unit), unit)
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(code, "UCUM", unit)
    node.SetVoxelValueUnits(entry)
