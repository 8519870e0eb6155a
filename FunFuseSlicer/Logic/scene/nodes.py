"""Between MRML nodes and arrays: reads the inputs, and puts results into the scene.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from ..color.colorize import jet_table
from ..errors import InputError
from ..fusion.fuser import NETWORK
from ..volumes.geometry import Volume

# Every node that FunFuse makes says with this attribute what it is.
ATTRIBUTE = "FunFuse.{}"
ROLE_ATTRIBUTE = ATTRIBUTE.format("Role")
MRI_REFERENCE, PET_REFERENCE, TRANSFORM_REFERENCE = "FunFuse.MRI", "FunFuse.PET", "FunFuse.Transform"

JET_NAME = "Jet"

# Of the intensity shown brightest: below, a volume in color is transparent.
LEAST_SHOWN = 0.02

# role -> how the node is called, from the names of the inputs
OUTPUT_NAMES = {
    "transform": "{pet} to {mri}",
    "pet_registered": "{pet} registered to {mri}",
    "fused": "{mri} + {pet} fused",
    "mri_part": "{mri} + {pet} MRI part",
    "pet_part": "{mri} + {pet} PET part",
    "colored": "{mri} + {pet} colored",
}

# All but the transform, which a pair that was registered already does not have.
VOLUME_ROLES = tuple(role for role in OUTPUT_NAMES if role != "transform")
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
    return Volume(slicer.util.arrayFromVolume(node), ijk_to_world(node), name)


def ijk_to_world(node) -> np.ndarray:
    """4×4, voxel index (i, j, k) of a volume node to world RAS, with its linear parent transforms."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    parent = node.GetParentTransformNode()
    if parent is not None:
        to_world = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(to_world)
        vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def add_volume_node(volume: Volume):
    """A new scalar volume node in the scene, with its display node."""
    import slicer

    return slicer.util.addVolumeFromArray(
        volume.array, np.asarray(volume.ijk_to_ras), volume.name, "vtkMRMLScalarVolumeNode"
    )


def color_table(name: str) -> np.ndarray:
    """The colors of a color map, (256, 3) in [0, 1]; the scene is not changed.

    :param name: a color node of the scene, ignoring case, or "Jet", the authors' map.
    :raises InputError: there is none; the message lists some that there are.
    """
    import slicer

    node = _find_color_node(name)
    if node is not None:
        return _table_of(node)
    if name.lower() == JET_NAME.lower():
        return jet_table()
    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLColorNode")}
    known = [JET_NAME] + sorted(name for name in names if name.startswith(("PET-", "Inferno")))
    raise InputError(f'There is no color map "{name}": choose {", ".join(known)} or another of Slicer\'s.')


def _find_color_node(name: str):
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLColorNode"):
        if node.GetName() and node.GetName().lower() == name.lower() and node.GetNumberOfColors() > 1:
            return node
    return None


def _add_jet_node():
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", JET_NAME)
    node.SetTypeToUser()
    node.SetHideFromEditors(False)
    table = jet_table()
    node.SetNumberOfColors(len(table))
    for index, (red, green, blue) in enumerate(table):
        node.SetColor(index, str(index), red, green, blue, 1.0)
    node.SetAttribute("Category", "FunFuse")
    return node


def _table_of(node) -> np.ndarray:
    """The colors of a color node (tables and procedural ones alike) as (256, 3) in [0, 1]."""
    table = node.GetLookupTable() or node.GetScalarsToColors()
    low, high = table.GetRange()
    color = [0.0, 0.0, 0.0]
    rows = []
    for value in np.linspace(low, high, 256):
        table.GetColor(value, color)
        rows.append(list(color))
    return np.array(rows)


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
    return {role: node for role, node in found.items() if role in (*roles, "transform")}


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


def attribute(node, name: str) -> str:
    """A fact that a run wrote into an output node; "" when it is not there."""
    return node.GetAttribute(ATTRIBUTE.format(name)) or ""


def write_attributes(node, facts: Dict[str, str]) -> None:
    """All facts of a run, by name; what an earlier run wrote and this one does not have goes."""
    wanted = {ATTRIBUTE.format(name): value for name, value in facts.items()}
    for name in node.GetAttributeNames():
        if name.startswith(ATTRIBUTE.format("")) and name not in wanted:
            node.RemoveAttribute(name)
    for name, value in wanted.items():
        node.SetAttribute(name, value)


def matrix_of(node, name: str) -> Optional[np.ndarray]:
    """A 4×4 matrix that a run wrote into an output node by :func:`matrix_text`; None when there is none."""
    numbers = attribute(node, name).split()
    return np.array(numbers, dtype=float).reshape(4, 4) if len(numbers) == 16 else None


def matrix_text(matrix: Optional[np.ndarray]) -> str:
    """A matrix as an attribute: 16 numbers, row by row; "" for none."""
    return "" if matrix is None else " ".join(f"{x:.17g}" for x in np.ravel(matrix))


def push_outputs(
    mri_node,
    pet_node,
    arrays: Dict[str, np.ndarray],
    matrix: Optional[np.ndarray],
    display: Dict[str, Tuple[float, float]],
    provenance: Dict[str, str],
    colormap: str,
    show: Optional[Callable[[OutputNodes], None]] = None,
) -> OutputNodes:
    """Put one fused pair into the scene; a rerun updates the nodes of the run before.

    After an error, whichever, the scene is as it was: half a set of results would look like a whole one.

    :param arrays: by role, (k, j, i) or (k, j, i, 3) uint8, on the grid of the MRI node. Nodes of the run
        before in other roles are removed.
    :param matrix: 4×4 in RAS, PET to MRI; None when the pair was registered already.
    :param display: by role, the intensities shown black and white.
    :param provenance: attributes that every node gets.
    :param colormap: the PET part is shown in these colors, so that their legend explains the overlay.
    :param show: called with the nodes when all are there; belongs to what is taken back after an error.
    """
    import slicer

    old = find_outputs(mri_node, pet_node)
    with taken_back_after_an_error(old.values()):
        nodes = _push(old, mri_node, pet_node, arrays, matrix, display, provenance, colormap)
        if show is not None:
            show(nodes)
    # Last, since they, and what is under the transform, could not be put back.
    for role in [role for role in old if getattr(nodes, role) is None]:
        if role == "transform":
            slicer.mrmlScene.RemoveNode(old[role])
        else:
            remove_volume(old[role])
    return nodes


@contextmanager
def taken_back_after_an_error(outputs) -> Iterator[None]:
    """A block that may add nodes, and change these outputs, their display and what the views show.

    Voxels may be replaced, as :func:`fill` does, but not be written into. Nothing may be removed.
    """
    import slicer

    scene, outputs = slicer.mrmlScene, list(outputs)
    before = set(_ids())
    displays = [node.GetDisplayNode() for node in outputs if node.IsA("vtkMRMLDisplayableNode")]
    views = [
        node
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode")
        for node in slicer.util.getNodesByClass(kind)
    ]
    # Displays before volumes: getting its voxels back, a volume connects its displays to them. Volumes from
    # the last to the first: each goes before the one that followed it in the subject hierarchy.
    nodes = [*displays, *reversed(outputs), *views]
    memories = [_Memory(node) for node in nodes if node is not None]
    try:
        yield
    except BaseException:
        for memory in memories:
            memory.give_back()
        for node_id in [node_id for node_id in _ids() if node_id not in before]:
            scene.RemoveNode(scene.GetNodeByID(node_id))
        raise


class _Memory:
    """What a node holds and refers to, and where it is in the subject hierarchy.

    Voxels are not copied, only their object is kept: :func:`fill` gives a node a new one.
    """

    def __init__(self, node):
        import slicer

        self._node, self._deep = node, not node.IsA("vtkMRMLVolumeNode")
        self._content = slicer.mrmlScene.CreateNodeByClass(node.GetClassName())
        self._content.UnRegister(None)
        self._content.CopyContent(node, self._deep)
        self._references = _references(node)
        self._hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        self._item = self._hierarchy.GetItemByDataNode(node) if self._hierarchy is not None else 0
        if self._item:
            self._parent = self._hierarchy.GetItemParent(self._item)
            place = self._hierarchy.GetItemPositionUnderParent(self._item) + 1
            last = place == self._hierarchy.GetNumberOfItemChildren(self._parent)
            self._next = 0 if last else self._hierarchy.GetItemByPositionUnderParent(self._parent, place)

    def give_back(self) -> None:
        """Make the node what it was."""
        node = self._node
        modifying = node.StartModify()
        if node.IsA("vtkMRMLScalarVolumeDisplayNode"):
            # In Slicer 5.8 copying adds to those that there are.
            node.ResetWindowLevelPresets()
        node.CopyContent(self._content, self._deep)
        for role, now in _references(node).items():
            then = self._references.get(role, [])
            for index in reversed(range(len(then), len(now))):
                node.RemoveNthNodeReferenceID(role, index)
        for role, then in self._references.items():
            for index, node_id in enumerate(then):
                if node.GetNthNodeReferenceID(role, index) != node_id:
                    node.SetNthNodeReferenceID(role, index, node_id)
        node.EndModify(modifying)
        if self._item and self._hierarchy.GetItemParent(self._item) != self._parent:
            self._hierarchy.SetItemParent(self._item, self._parent)
            self._hierarchy.MoveItem(self._item, self._next)


def _references(node) -> Dict[str, List[str]]:
    """The IDs of referenced nodes by role."""
    roles = [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]
    return {
        role: [node.GetNthNodeReferenceID(role, n) for n in range(node.GetNumberOfNodeReferences(role))]
        for role in roles
    }


def _push(old, mri_node, pet_node, arrays, matrix, display, provenance, colormap) -> OutputNodes:
    nodes = {}
    for role, array in arrays.items():
        color = array.ndim == 4
        kind = "vtkMRMLVectorVolumeNode" if color else "vtkMRMLScalarVolumeNode"
        node = nodes[role] = old.get(role) or _new_node(kind, role, mri_node, pet_node)
        fill(node, array, mri_node)
        _describe(node, role, mri_node, pet_node, provenance)
        if color:
            display_as_color(node)
        else:
            display_as_gray(node, *display[role])
    use_color_map([nodes[role] for role in ("pet_registered", "pet_part") if role in nodes], colormap)
    nodes["transform"] = _push_transform(old.get("transform"), matrix, mri_node, pet_node, provenance)
    transform_id = None if nodes["transform"] is None else nodes["transform"].GetID()
    for role in arrays:
        nodes[role].SetNodeReferenceID(TRANSFORM_REFERENCE, transform_id)
    place_beside(mri_node, [nodes[role] for role in arrays])
    return OutputNodes(**nodes)


def use_color_map(volumes: List[object], colormap: str) -> None:
    """Show scalar volumes in a color map, so that their legend explains the colored volume."""
    color_node = _find_color_node(colormap) or _add_jet_node()
    for node in volumes:
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(color_node.GetID())
        # Nothing is not the lowest color: what is nearly 0 stays black.
        display.SetAutoThreshold(0)
        display.SetThreshold(LEAST_SHOWN * display.GetWindowLevelMax(), np.finfo(np.float32).max)
        display.SetApplyThreshold(1)


def _ids() -> List[str]:
    import slicer

    scene = slicer.mrmlScene
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def _new_node(kind: str, role: str, mri_node, pet_node):
    import slicer

    name = OUTPUT_NAMES[role].format(mri=mri_node.GetName(), pet=pet_node.GetName())
    return slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))


def fill(node, array: np.ndarray, mri_node) -> None:
    """Voxels and place: the MRI's own grid, under the MRI's own parent transform.

    The voxels are a new object: those of before stay as they are, with whoever has them still.
    """
    import vtk

    matrix = vtk.vtkMatrix4x4()
    mri_node.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(mri_node.GetTransformNodeID())
    node.SetAndObserveImageData(_image(array))
    node.CreateDefaultDisplayNodes()


def _image(array: np.ndarray):
    """A copy of (k, j, i) or (k, j, i, components) as vtkImageData."""
    import vtk
    from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[2::-1])
    image.AllocateScalars(get_vtk_array_type(array.dtype), array.shape[3] if array.ndim == 4 else 1)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(array.shape)[:] = array
    return image


def _describe(node, role: str, mri_node, pet_node, provenance: Dict[str, str]) -> None:
    write_attributes(node, {**provenance, "Role": role})
    node.SetNodeReferenceID(MRI_REFERENCE, mri_node.GetID())
    node.SetNodeReferenceID(PET_REFERENCE, pet_node.GetID())


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
