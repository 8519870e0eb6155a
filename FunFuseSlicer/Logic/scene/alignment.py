"""Check alignment in the slice views: edges over the PET, a checkerboard, or flicker.

What is shown is a temporary volume on the MRI's grid, or the layers themselves. Everything goes back
to where it was with :meth:`AlignmentView.close`.
"""

from typing import Callable, Optional

import numpy as np

from ..monitor import Monitor
from ..registration import alignment_pictures as alignment
from ..volumes import preprocessing
from ..volumes.geometry import resample
from . import views
from .attributes import ROLE_ATTRIBUTE
from .beside import beside
from .inputs import volume_from_node
from .outputs import fill, remove_volume

NAME = "FunFuse alignment check (temporary)"
ROLE = "alignment_check"


class AlignmentView:
    """One check of one pair; the layers of all slice views are remembered from the start.

    :param mri_node: scalar volume; everything lies on its grid.
    :param pet_node: scalar volume where it is believed to lie: registered, or under a transform.
    :param monitor: progress and cancel of what takes a while.
    """

    def __init__(self, mri_node, pet_node, monitor: Optional[Monitor] = None):
        self._monitor = monitor or Monitor()
        self._mri, self._pet = mri_node, pet_node
        self._before = views.all_layers()
        self._node = None

    def show_edges(self) -> None:
        """The edges of the MRI over the gray PET; call it again after the PET was moved.

        :raises InputError: a volume that cannot be used.
        """

        def edges(mri, pet, spacing):
            return alignment.edges_over(alignment.edge_map(mri, spacing), pet)

        self._show(self._picture(edges))

    def show_checkerboard(self, tile_mm: float = alignment.TILE_MM) -> None:
        """The gray MRI and the PET in colors in alternating cubes; likewise.

        :raises InputError: a volume or a size that cannot be used.
        """

        def board(mri, pet, spacing):
            color = alignment.tinted(pet, alignment.hot_table())
            return alignment.checkerboard(alignment.gray_color(mri), color, spacing, tile_mm)

        self._show(self._picture(board))

    def show_flicker(self, show_pet: bool) -> None:
        """MRI behind, PET in front, one of them to be seen: let a timer alternate ``show_pet``."""
        opacity = 1.0 if show_pet else 0.0
        for logic in views.slice_logics():
            before = self._remember(logic)
            views.set_layers(
                logic,
                views.Layers(
                    self._mri.GetID(), self._pet.GetID(), None, opacity, before.label_opacity, compositing=0
                ),
            )
        self._remove_node()

    def close(self) -> None:
        """Give all views their layers back, but for volumes that are gone, and remove what was made."""
        views.restore_layers(self._before)
        self._remove_node()

    def _picture(self, draw: Callable[..., np.ndarray]) -> np.ndarray:
        """RGB of both volumes in [0, 1] on the grid of the MRI, and its spacing along i, j, k."""
        volumes = volume_from_node(self._mri), volume_from_node(self._pet)
        return beside(lambda _: draw(*self._arrays(*volumes)), self._monitor, "Comparing")

    @staticmethod
    def _arrays(mri, pet):
        mri, _ = preprocessing.clean(mri, mri=True)
        pet, _ = preprocessing.clean(pet)
        on_grid = pet.array if pet.same_grid(mri) else resample(pet, mri).array
        remedy = "register them, or check the choice of volumes."
        preprocessing.check_overlap(on_grid, mri, pet.name, remedy)
        return preprocessing.normalize(mri.array), preprocessing.normalize(on_grid), mri.spacing

    def _show(self, color: np.ndarray) -> None:
        """Put an RGB array, (k, j, i, 3) uint8, into all views."""
        import slicer

        node = self._node
        if node is None or node.GetScene() is None:
            node = slicer.vtkMRMLVectorVolumeNode()
            node.SetName(slicer.mrmlScene.GenerateUniqueName(NAME))
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node.SetAttribute(ROLE_ATTRIBUTE, ROLE)
            self._node = slicer.mrmlScene.AddNode(node)
        fill(node, color, self._mri)
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.AutoWindowLevelOff()
        display.SetWindowLevel(255.0, 127.5)
        for logic in views.slice_logics():
            self._remember(logic)
            layers = views.layers_of(logic)
            views.set_layers(logic, layers._replace(background=node.GetID(), foreground=None, label=None))

    def _remember(self, logic) -> views.Layers:
        """The layers of before; a view that was opened meanwhile gets its own back, too."""
        return self._before.setdefault(logic.GetSliceNode().GetID(), views.layers_of(logic))

    def _remove_node(self) -> None:
        node, self._node = self._node, None
        if node is not None and node.GetScene() is not None:
            remove_volume(node)
