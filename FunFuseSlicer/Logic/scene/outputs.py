"""The nodes of a fused pair: found, made or updated, and placed beside the MRI.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from ..fusion.fuser import NETWORK
from ..registration import DOUBTFUL
from ..volumes.geometry import Volume, resample
from ..volumes.units import scaled
from .attributes import (
    MRI_REFERENCE,
    PET_REFERENCE,
    ROLE_ATTRIBUTE,
    TRANSFORM_REFERENCE,
    attribute,
    facts_of_node,
    number_of,
    write_attributes,
)
from .color_maps import use_color_map
from .inputs import set_unit, unit_of
from .rollback import taken_back_after_an_error

# role -> how the node is called, from the names of the inputs
OUTPUT_NAMES = {
    "transform": "{pet} to {mri}",
    "pet_registered": "{pet} registered to {mri}",
    "fused": "{mri} + {pet} fused",
    "mri_part": "{mri} + {pet} MRI part",
    "pet_part": "{mri} + {pet} PET part",
    "colored": "{mri} + {pet} colored",
    "difference": "{mri} + {pet} difference",
}

# How the names of results end whose registration is doubtful.
DOUBTED = " (registration doubtful)"

# What a whole result may lack: a pair that was registered already has no transform, and what is compared with
# the other side or another study is made when it is asked for, and goes with the result.
OPTIONAL_ROLES = ("transform", "difference")
VOLUME_ROLES = tuple(role for role in OUTPUT_NAMES if role not in OPTIONAL_ROLES)

# What only the network makes.
PART_ROLES = ("mri_part", "pet_part")


@dataclass
class OutputNodes:
    """The nodes of one fused pair.

    The parts are None for methods that give the fused image alone, the transform when there was no
    registration.
    """

    pet_registered: object
    fused: object
    colored: object
    mri_part: Optional[object] = None
    pet_part: Optional[object] = None
    transform: Optional[object] = None


def find_outputs(mri_node, pet_node) -> Dict[str, object]:
    """The nodes an earlier run made of this pair, by role."""
    import slicer

    found = {}
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        role = node.GetAttribute(ROLE_ATTRIBUTE)
        if (
            role in OUTPUT_NAMES
            and node.GetNodeReferenceID(MRI_REFERENCE) == mri_node.GetID()
            and node.GetNodeReferenceID(PET_REFERENCE) == pet_node.GetID()
        ):
            found[role] = node
    return found


def find_results(mri_node, pet_node) -> Dict[str, object]:
    """The nodes of a whole result of this pair, by role; empty when there is none, or a node is missing."""
    found = find_outputs(mri_node, pet_node)
    # Scenes saved before there were other methods do not name one.
    network = "fused" in found and attribute(found["fused"], "Method") in ("", NETWORK)
    roles = [role for role in VOLUME_ROLES if network or role not in PART_ROLES]
    if not all(role in found for role in roles):
        return {}
    return {role: node for role, node in found.items() if role in (*roles, *OPTIONAL_ROLES)}


def in_shown_unit(pet: Volume, fused_node) -> Volume:
    """A PET as it is stored, in the unit of its results: SUV, or SUVR by the reference region of the run."""
    factor, unit = number_of(fused_node, "PETFactor") or 1.0, attribute(fused_node, "PETUnit") or pet.unit
    return replace(pet, unit=unit) if factor == 1.0 else scaled(pet, factor, unit)


def remove_volume(node) -> None:
    """Remove a volume together with its display and storage nodes, which Slicer would leave behind."""
    import slicer

    scene = slicer.mrmlScene
    belongings = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    belongings += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    scene.RemoveNode(node)
    for belonging in belongings:
        if belonging is not None and scene.IsNodePresent(belonging):
            scene.RemoveNode(belonging)


def push_outputs(
    mri_node,
    pet_node,
    images: Dict[str, object],
    matrix: Optional[np.ndarray],
    display: Dict[str, Tuple[float, float]],
    provenance: Dict[str, str],
    colormap: str,
    show: Optional[Callable[[OutputNodes], None]] = None,
    pet_colormap: Optional[str] = None,
    unit: Optional[str] = None,
) -> OutputNodes:
    """Put one fused pair into the scene; a rerun updates the nodes of the run before.

    After an error, whichever, the scene is as it was: half a set of results would look like a whole one.

    :param images: by role, see :func:`images_of`, on the grid of the MRI node. Nodes of the run before in
        other roles are removed.
    :param matrix: 4×4 in RAS, PET to MRI; None when the pair was registered already.
    :param display: by role, the intensities shown black and white.
    :param provenance: attributes that every node gets.
    :param colormap: of the colored volume, in which the PET part is shown, too.
    :param show: called with the nodes when all are there; belongs to what is taken back after an error.
    :param pet_colormap: of the registered PET; None for the same.
    :param unit: of the registered PET's voxels; None for that of the PET.
    """
    import slicer

    old = find_outputs(mri_node, pet_node)
    with taken_back_after_an_error(old.values()):
        nodes = _push(old, mri_node, pet_node, images, matrix, display, provenance, unit)
        use_color_maps(vars(nodes), colormap, pet_colormap)
        if show is not None:
            show(nodes)
    # Last, since they, and what is under the transform, could not be put back.
    for role in [role for role in old if getattr(nodes, role, None) is None]:
        if role == "transform":
            slicer.mrmlScene.RemoveNode(old[role])
        else:
            remove_volume(old[role])
    return nodes


def images_of(arrays: Dict[str, np.ndarray]) -> Dict[str, object]:
    """Copies of arrays by role, (k, j, i) or (k, j, i, 3) uint8, as vtkImageData: no part of a scene yet."""
    return {role: image_of(array) for role, array in arrays.items()}


def _push(old, mri_node, pet_node, images, matrix, display, provenance, unit) -> OutputNodes:
    nodes = {}
    for role, image in images.items():
        color = image.GetNumberOfScalarComponents() > 1
        kind = "vtkMRMLVectorVolumeNode" if color else "vtkMRMLScalarVolumeNode"
        node = nodes[role] = old.get(role) or _new_node(kind, role, mri_node, pet_node)
        fill(node, image, mri_node)
        _describe(node, role, mri_node, pet_node, provenance)
        if color:
            display_as_color(node)
        else:
            display_as_gray(node, *display[role])
    nodes["pet_registered"].SetVoxelValueQuantity(pet_node.GetVoxelValueQuantity())
    nodes["pet_registered"].SetVoxelValueUnits(pet_node.GetVoxelValueUnits())
    if unit is not None and unit != unit_of(pet_node):
        nodes["pet_registered"].SetVoxelValueQuantity(None)
        set_unit(nodes["pet_registered"], unit)
    nodes["transform"] = _push_transform(old.get("transform"), matrix, mri_node, pet_node, provenance)
    transform_id = None if nodes["transform"] is None else nodes["transform"].GetID()
    for role in images:
        nodes[role].SetNodeReferenceID(TRANSFORM_REFERENCE, transform_id)
    place_beside(mri_node, [nodes[role] for role in images])
    return OutputNodes(**nodes)


def push_volume(role: str, image, mri_node, pet_node, outputs: Mapping[str, object], facts: Dict[str, str]):
    """One more scalar volume of a whole result, made or updated.

    :param image: see :func:`image_of`.
    :param outputs: nodes by role; what they say of themselves holds for it, too.
    :param facts: attributes that it alone gets.
    :return: the vtkMRMLScalarVolumeNode.
    """
    node = outputs.get(role) or _new_node("vtkMRMLScalarVolumeNode", role, mri_node, pet_node)
    fill(node, image, mri_node)
    _describe(node, role, mri_node, pet_node, {**facts_of_node(outputs["fused"]), **facts})
    node.SetNodeReferenceID(TRANSFORM_REFERENCE, outputs["fused"].GetNodeReferenceID(TRANSFORM_REFERENCE))
    place_beside(mri_node, [node])
    return node


def _new_node(kind: str, role: str, mri_node, pet_node):
    import slicer

    name = OUTPUT_NAMES[role].format(mri=mri_node.GetName(), pet=pet_node.GetName())
    return slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))


def fill(node, image, mri_node) -> None:
    """Voxels and place: the MRI's own grid, under the MRI's own parent transform.

    :param image: see :func:`image_of`. A new object: the voxels of before stay as they are, with whoever has
        them still.
    """
    import vtk

    matrix = vtk.vtkMatrix4x4()
    mri_node.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(mri_node.GetTransformNodeID())
    # Before the voxels: Slicer would look for levels in them, which takes as long as all the rest.
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.SetAndObserveImageData(image)


def image_of(array: np.ndarray):
    """A copy of (k, j, i) or (k, j, i, components) as vtkImageData."""
    import vtk
    from vtk.util.numpy_support import get_vtk_array_type

    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[2::-1])
    image.AllocateScalars(get_vtk_array_type(array.dtype), array.shape[3] if array.ndim == 4 else 1)
    voxels_of(image)[:] = array
    return image


def voxels_of(image) -> np.ndarray:
    """The voxels of vtkImageData themselves, (k, j, i) or (k, j, i, components)."""
    from vtk.util.numpy_support import vtk_to_numpy

    shape, components = image.GetDimensions()[::-1], image.GetNumberOfScalarComponents()
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(shape if components == 1 else (*shape, components))


def _describe(node, role: str, mri_node, pet_node, provenance: Dict[str, str]) -> None:
    write_attributes(node, {**provenance, "Role": role})
    plain = node.GetName()[: -len(DOUBTED)] if node.GetName().endswith(DOUBTED) else node.GetName()
    node.SetName(plain + DOUBTED if provenance.get("Judgement") == DOUBTFUL else plain)
    node.SetNodeReferenceID(MRI_REFERENCE, mri_node.GetID())
    node.SetNodeReferenceID(PET_REFERENCE, pet_node.GetID())


def on_grid(pet: Volume, mri: Volume, matrix: Optional[np.ndarray]) -> Volume:
    """The PET on the MRI's grid; voxels are copied, not interpolated, when they coincide.

    :param matrix: 4×4 in RAS, PET to MRI; None when the pair was registered already.
    """
    if matrix is None and pet.same_grid(mri):
        return pet
    return resample(pet, mri, matrix)


def display_as_gray(node, black: float, white: float) -> None:
    """Gray levels between two intensities."""
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(black, white)


def display_as_color(node) -> None:
    """uint8 RGB shown as it is; black is transparent, so that the MRI's surroundings stay black.

    The threshold acts on the mean of red, green and blue (vtkMRMLVectorVolumeDisplayNode).
    """
    node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(255.0, 127.5)
    display.SetAutoThreshold(0)
    display.SetThreshold(1.0, 255.0)
    display.SetApplyThreshold(1)


def use_color_maps(nodes: Dict[str, object], colormap: str, pet_colormap: Optional[str]) -> None:
    """The scalar results in their color maps: the PET in its own, its part in that of the colored volume.

    :param nodes: results by role.
    :param pet_colormap: None for the same.
    """
    use_color_map([nodes["pet_registered"]], pet_colormap or colormap)
    if nodes.get("pet_part") is not None:
        use_color_map([nodes["pet_part"]], colormap)


def _push_transform(node, matrix, mri_node, pet_node, provenance):
    """The PET-to-MRI transform as a node of its own; the PET itself is not moved."""
    import slicer

    if matrix is None:
        return None
    node = node or _new_node("vtkMRMLLinearTransformNode", "transform", mri_node, pet_node)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, dtype=float)))
    _describe(node, "transform", mri_node, pet_node, provenance)
    return node


def place_beside(mri_node, nodes: List[object]) -> None:
    """In the MRI's study in the subject hierarchy, if it has one."""
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(mri_node))
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.SetItemParent(item, parent)
