"""Check alignment in the slice views: edges over the PET, a checkerboard, or flicker.

What is shown is a temporary volume on the MRI's grid, or the layers themselves. Everything goes back
to where it was with :meth:`AlignmentView.close`.
"""

from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np

from . import alignment, preprocessing
from .scene import volume_from_node
from .volume import resample

NAME = "FunFuse alignment check (temporary)"
ROLE_ATTRIBUTE, ROLE = "FunFuse.Role", "alignment_check"


@dataclass(frozen=True)
class _Layers:
    """What one slice view shows."""

    background: Optional[str]
    foreground: Optional[str]
    label: Optional[str]
    foreground_opacity: float
    label_opacity: float
    compositing: int


class AlignmentView:
    """One check of one pair; the layers of all slice views are remembered from the start.

    :param mri_node: scalar volume; everything lies on its grid.
    :param pet_node: scalar volume where it is believed to lie: registered, or under a transform.
    """

    def __init__(self, mri_node, pet_node):
        self._mri, self._pet = mri_node, pet_node
        self._before: Dict[str, _Layers] = {
            composite.GetID(): _layers(composite) for composite in _composites()
        }
        self._node = None

    def show_edges(self) -> None:
        """The edges of the MRI over the gray PET; call it again after the PET was moved.

        :raises InputError: a volume that cannot be used.
        """
        mri, pet, spacing = self._arrays()
        self._show(alignment.edges_over(alignment.edge_map(mri, spacing), pet))

    def show_checkerboard(self, tile_mm: float = alignment.TILE_MM) -> None:
        """The gray MRI and the PET in colors in alternating cubes; likewise.

        :raises InputError: a volume or a size that cannot be used.
        """
        mri, pet, spacing = self._arrays()
        color = alignment.tinted(pet, alignment.hot_table())
        self._show(alignment.checkerboard(alignment.gray_color(mri), color, spacing, tile_mm))

    def show_flicker(self, show_pet: bool) -> None:
        """MRI behind, PET in front, one of them to be seen: let a timer alternate ``show_pet``."""
        for composite in _composites():
            self._remember(composite)
            composite.SetBackgroundVolumeID(self._mri.GetID())
            composite.SetForegroundVolumeID(self._pet.GetID())
            composite.SetLabelVolumeID(None)
            composite.SetCompositing(0)
            composite.SetForegroundOpacity(1.0 if show_pet else 0.0)
        self._remove_node()

    def close(self) -> None:
        """Give all views their layers back, but for volumes that are gone, and remove what was made."""
        import slicer

        for composite in _composites():
            before = self._before.get(composite.GetID())
            if before is None:
                continue
            ids = [
                node_id if node_id and slicer.mrmlScene.GetNodeByID(node_id) is not None else None
                for node_id in (before.background, before.foreground, before.label)
            ]
            composite.SetBackgroundVolumeID(ids[0])
            composite.SetForegroundVolumeID(ids[1])
            composite.SetLabelVolumeID(ids[2])
            composite.SetForegroundOpacity(before.foreground_opacity)
            composite.SetLabelOpacity(before.label_opacity)
            composite.SetCompositing(before.compositing)
        self._remove_node()

    def _arrays(self):
        """Both volumes in [0, 1] on the grid of the MRI, and its spacing along i, j, k."""
        mri, _ = preprocessing.clean(volume_from_node(self._mri))
        pet, _ = preprocessing.clean(volume_from_node(self._pet))
        on_grid = pet.array if pet.same_grid(mri) else resample(pet, mri).array
        remedy = "register them, or check the choice of volumes."
        preprocessing.check_overlap(on_grid, mri, pet.name, remedy)
        return preprocessing.normalize(mri.array), preprocessing.normalize(on_grid), mri.spacing

    def _show(self, color: np.ndarray) -> None:
        """Put an RGB array, (k, j, i, 3) uint8, into all views."""
        import slicer
        import vtk

        node = self._node
        if node is None or node.GetScene() is None:
            node = slicer.vtkMRMLVectorVolumeNode()
            node.SetName(slicer.mrmlScene.GenerateUniqueName(NAME))
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node.SetAttribute(ROLE_ATTRIBUTE, ROLE)
            self._node = slicer.mrmlScene.AddNode(node)
        matrix = vtk.vtkMatrix4x4()
        self._mri.GetIJKToRASMatrix(matrix)
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveTransformNodeID(self._mri.GetTransformNodeID())
        slicer.util.updateVolumeFromArray(node, color)
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.AutoWindowLevelOff()
        display.SetWindowLevel(255.0, 127.5)
        for composite in _composites():
            self._remember(composite)
            composite.SetBackgroundVolumeID(node.GetID())
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)

    def _remember(self, composite) -> None:
        """A view that was opened meanwhile gets its own layers back, too."""
        self._before.setdefault(composite.GetID(), _layers(composite))

    def _remove_node(self) -> None:
        import slicer

        node, self._node = self._node, None
        if node is None or node.GetScene() is None:
            return
        # The volume first: a view that shows a volume without display node makes it a new one.
        displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
        slicer.mrmlScene.RemoveNode(node)
        for display in displays:
            if display is not None:
                slicer.mrmlScene.RemoveNode(display)


def _composites():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _layers(composite) -> _Layers:
    return _Layers(
        composite.GetBackgroundVolumeID(),
        composite.GetForegroundVolumeID(),
        composite.GetLabelVolumeID(),
        composite.GetForegroundOpacity(),
        composite.GetLabelOpacity(),
        composite.GetCompositing(),
    )
