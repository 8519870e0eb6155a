"""Check alignment in the slice views: edges over the PET, a checkerboard, or flicker.

What is shown is a temporary volume on the MRI's grid, or the layers themselves. Everything goes back
to where it was with :meth:`AlignmentView.close`.
"""

from typing import Callable, List, Optional, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..registration import alignment_pictures as alignment
from ..volumes import preprocessing
from ..volumes.geometry import Volume, resample
from ..volumes.slabs import Index, slabs
from . import views
from .attributes import ROLE_ATTRIBUTE
from .beside import beside
from .inputs import volume_from_node
from .outputs import fill, image_of, remove_volume, voxels_of

STAGE = "Comparing"
NAME = "FunFuse alignment check (temporary)"
ROLE = "alignment_check"

# RGB of a part, (k, j, i, 3) uint8.
Paint = Callable[[alignment.Block], np.ndarray]


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

        def edges(mri: Volume, pet: Volume) -> Paint:
            found = alignment.Edges(mri.array, mri.spacing)
            return lambda block: alignment.edges_over(found.within(block), pet.array[block])

        self._show(edges)

    def show_checkerboard(self, tile_mm: float = alignment.TILE_MM) -> None:
        """The gray MRI and the PET in colors in alternating cubes; likewise.

        :raises InputError: a volume or a size that cannot be used.
        """

        def board(mri: Volume, pet: Volume) -> Paint:
            def paint(block: alignment.Block) -> np.ndarray:
                gray = alignment.gray_color(mri.array[block])
                color = alignment.tinted(pet.array[block], alignment.hot_table())
                start = [part.start for part in block]
                return alignment.checkerboard(gray, color, mri.spacing, tile_mm, start)

            return paint

        self._show(board)

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

    def _show(self, draw: Callable[[Volume, Volume], Paint]) -> None:
        """Put a picture into all views: what they show first, then the rest.

        After a cancel, or another error, the views have their layers back.

        :param draw: given both volumes in [0, 1] on the grid of the MRI.
        """
        try:
            self._draw(draw)
        except BaseException:
            self.close()
            raise

    def _draw(self, draw: Callable[[Volume, Volume], Paint]) -> None:
        import slicer

        volumes, monitor = (volume_from_node(self._mri), volume_from_node(self._pet)), self._monitor
        shape = volumes[0].array.shape

        def begin(_monitor: Monitor):
            return draw(*_in_unit(*volumes)), image_of(np.zeros((*shape, 3), np.uint8))

        paint, image = beside(begin, monitor, STAGE)
        picture = voxels_of(image)
        first = self._shown_blocks(shape)
        beside(lambda told: _paint(picture, paint, first, told), monitor, STAGE)
        node = self._node_with(image)
        if first:
            self._lay_over(node)
        beside(lambda told: _paint(picture, paint, _blocks(shape), told), monitor, STAGE)
        if node.GetScene() is None:
            raise InputError("The picture of the alignment was removed from the scene meanwhile.")
        slicer.util.arrayFromVolumeModified(node)
        self._lay_over(node)

    def _shown_blocks(self, shape) -> List[alignment.Block]:
        """What the views on screen will show; nothing where they are not along the MRI's voxels."""
        blocks = []
        for logic in views.slice_logics():
            if logic.GetSliceNode().IsMappedInLayout():
                where = views.shown_voxels_of(logic, self._mri)
                if not all(isinstance(part, slice) for part in where):
                    return []
                blocks.append(_with_ends(where, shape))
        return blocks

    def _node_with(self, image):
        """The node of the picture, which is temporary."""
        import slicer

        node = self._node
        if node is None or node.GetScene() is None:
            node = slicer.vtkMRMLVectorVolumeNode()
            node.SetName(slicer.mrmlScene.GenerateUniqueName(NAME))
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node.SetAttribute(ROLE_ATTRIBUTE, ROLE)
            self._node = slicer.mrmlScene.AddNode(node)
        fill(node, image, self._mri)
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetWindowLevel(255.0, 127.5)
        return node

    def _lay_over(self, node) -> None:
        """In all views, also those that were opened meanwhile."""
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


def _in_unit(mri: Volume, pet: Volume) -> Tuple[Volume, Volume]:
    """Both in [0, 1], on the grid of the MRI."""
    mri, _ = preprocessing.clean(mri, mri=True)
    pet, _ = preprocessing.clean(pet)
    on_grid = pet.array if pet.same_grid(mri) else resample(pet, mri).array
    remedy = "register them, or check the choice of volumes."
    preprocessing.check_overlap(on_grid, mri, pet.name, remedy)
    # Of a sample, which differs from the scale of a run by less than one sees.
    first, second = (
        mri.with_array(preprocessing.to_unit(array, 0.0, preprocessing.robust_scale(_sample(array))))
        for array in (mri.array, on_grid)
    )
    return first, second


def _sample(array: np.ndarray) -> np.ndarray:
    some = preprocessing.sampled(array)
    return some if some.any() else array


def _blocks(shape) -> List[alignment.Block]:
    """All of a volume, slab by slab."""
    return [_with_ends(where, shape) for where in slabs(shape)]


def _with_ends(where: Index, shape) -> alignment.Block:
    every = [*where, *[slice(None)] * (3 - len(where))]
    first, second, third = (slice(*part.indices(n)[:2]) for part, n in zip(every, shape))
    return first, second, third


def _paint(picture: np.ndarray, paint: Paint, blocks: List[alignment.Block], monitor: Monitor) -> None:
    for done, block in enumerate(blocks):
        monitor.report(STAGE, done / len(blocks))
        if picture[block].size:
            picture[block] = paint(block)
