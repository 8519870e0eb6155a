"""Slice views: which there are, what they show, and the four panes side by side.

Everything goes through the nodes and the slice logics, so that it works without a main window.
"""

from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from ..volumes.slabs import Index, shown_voxels
from .attributes import ATTRIBUTE
from .inputs import ijk_to_world

# Any number that no other layout uses.
FOUR_PANES = 48151
# Slicer links all views of one group, also hidden ones: the panes are a group of their own.
PANE_GROUP = 48151
PANES = ("FunFuseMRI", "FunFusePET", "FunFuseFused", "FunFuseColored")

_PANE = (
    '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
    '<property name="orientation" action="default">Axial</property>'
    '<property name="viewlabel" action="default">{label}</property>'
    '<property name="viewcolor" action="default">{color}</property></view></item>'
)
_LABELS = {"FunFuseMRI": "MRI", "FunFusePET": "PET", "FunFuseFused": "F", "FunFuseColored": "C"}
_COLORS = {
    "FunFuseMRI": "#8AA4B8",
    "FunFusePET": "#D9823B",
    "FunFuseFused": "#9A9A9A",
    "FunFuseColored": "#5E9C5B",
}


# A slice node that this module has given its axes and ruler.
ANNOTATED = ATTRIBUTE.format("Annotated")

# Between the plain PET (0) and the MRI (1) lies the colored volume as it is shown without a blend.
PLAIN_PET, COLORED, PLAIN_MRI = 0.0, 0.5, 1.0
# Of a view that is blended: the opacity that the user had chosen, so that a loaded scene finds back.
OPACITY_BEFORE = ATTRIBUTE.format("OpacityBeforeBlend")


class Place(NamedTuple):
    """Where a slice view is: its plane as 16 numbers, row by row, its pan, and how high a part it shows."""

    slice_to_ras: List[float]
    origin: List[float]
    field_height_mm: float


class Layers(NamedTuple):
    """What one slice view shows; IDs of volume nodes, or None."""

    background: Optional[str]
    foreground: Optional[str]
    label: Optional[str]
    foreground_opacity: float
    label_opacity: float
    compositing: int


def slice_logics() -> List[object]:
    """The logic of every slice view there is, also of hidden ones; none without a main window."""
    import slicer

    logics = slicer.app.applicationLogic().GetSliceLogics()
    if logics is None:
        return []
    return [logics.GetItemAsObject(index) for index in range(logics.GetNumberOfItems())]


def shown_logics(*volumes) -> List[object]:
    """The logics of the views on screen that show one of these volumes as a layer."""
    ids = {node.GetID() for node in volumes if node is not None}
    return [
        logic
        for logic in slice_logics()
        if logic.GetSliceNode().IsMappedInLayout() and ids & set(layers_of(logic)[:3])
    ]


def shown_voxels_of(logic, volume) -> Index:
    """The voxels of a volume that a view shows or would show, see :func:`..volumes.slabs.shown_voxels`."""
    import slicer

    slice_to_ras = slicer.util.arrayFromVTKMatrix(logic.GetSliceNode().GetSliceToRAS())
    normal, point = np.cross(slice_to_ras[:3, 0], slice_to_ras[:3, 1]), slice_to_ras[:3, 3]
    # A plane is a row vector: it moves with the inverse of what points move with.
    plane = np.array([*normal, -normal @ point]) @ ijk_to_world(volume)
    return shown_voxels(volume.GetImageData().GetDimensions()[::-1], plane)


def layers_of(logic) -> Layers:
    """What a view shows now."""
    node = logic.GetSliceCompositeNode()
    return Layers(
        node.GetBackgroundVolumeID(),
        node.GetForegroundVolumeID(),
        node.GetLabelVolumeID(),
        node.GetForegroundOpacity(),
        node.GetLabelOpacity(),
        node.GetCompositing(),
    )


def set_layers(logic, layers: Layers) -> None:
    """Show these layers."""
    import slicer

    node = logic.GetSliceCompositeNode()
    with _announced(node):
        with slicer.util.NodeModify(node):
            node.SetBackgroundVolumeID(layers.background)
            node.SetForegroundVolumeID(layers.foreground)
            node.SetLabelVolumeID(layers.label)
            node.SetForegroundOpacity(layers.foreground_opacity)
            node.SetLabelOpacity(layers.label_opacity)
            node.SetCompositing(layers.compositing)


def announce_layers() -> None:
    """Let color legends come where their volume is a layer, and go elsewhere, in views of any age."""
    for logic in slice_logics():
        node = logic.GetSliceCompositeNode()
        with _announced(node):
            node.Modified()


@contextmanager
def _announced(node) -> Iterator[None]:
    """A change of layers as when a user makes it: Slicer's legends look at no other one.

    See vtkMRMLColorLegendDisplayableManager::ProcessMRMLNodesEvents. Linked views do not follow: that takes a
    node that is "interacting", too.
    """
    flags = node.GetInteractionFlags()
    node.SetInteractionFlags(node.BackgroundVolumeFlag | node.ForegroundVolumeFlag | node.LabelVolumeFlag)
    try:
        yield
    finally:
        node.SetInteractionFlags(flags)


def all_layers() -> Dict[str, Layers]:
    """What every view shows, by the ID of its slice node, for :func:`restore_layers`."""
    return {logic.GetSliceNode().GetID(): layers_of(logic) for logic in slice_logics()}


def restore_layers(saved: Dict[str, Layers]) -> None:
    """Show in every view that still exists what it showed then, but for volumes that are gone."""
    import slicer

    for logic in slice_logics():
        layers = saved.get(logic.GetSliceNode().GetID())
        if layers is None:
            continue
        ids = [
            node_id if node_id and slicer.mrmlScene.GetNodeByID(node_id) else None for node_id in layers[:3]
        ]
        set_layers(logic, Layers(*ids, *layers[3:]))


def show_overlay(mri, colored) -> None:
    """The colored volume over the MRI, in all views but the four panes.

    Views are fitted when the MRI is new in them; afterwards the user's zoom is kept.
    """
    for logic in slice_logics():
        if _pane_of(logic) is None:
            _show(logic, mri, colored)


def replace_overlay(before, after, opacity: float) -> None:
    """Two layers in the place of two others, in all views that show these, but for the panes.

    :param before: volume nodes, (background, foreground); ``after`` likewise.
    :param opacity: what the user's opacity is multiplied by.
    """
    ids = [tuple(node.GetID() for node in layers) for layers in (before, after)]
    for logic in slice_logics():
        layers = layers_of(logic)
        if _pane_of(logic) is None and layers[:2] == ids[0]:
            opaque = min(1.0, layers.foreground_opacity * opacity)
            behind, front = ids[1]
            set_layers(logic, layers._replace(background=behind, foreground=front, foreground_opacity=opaque))


def blend_overlay(mri, pet, colored, position: float) -> None:
    """In all views that show the overlay, but for the panes: from the plain PET over it to the MRI.

    Between them the colored volume lies over the one or the other, as opaque as the position is near to the
    middle. Zoom, slice and label layer stay as they are.

    :param pet: registered, so that the views stay in their place.
    :param position: in [0, 1], see :data:`PLAIN_PET`.
    """
    ids = _BlendIDs(mri.GetID(), pet.GetID(), colored.GetID())
    for logic in slice_logics():
        if _pane_of(logic) is None:
            _blend(logic, ids, position)


class _BlendIDs(NamedTuple):
    mri: str
    pet: str
    colored: str


def _blend(logic, ids: _BlendIDs, position: float) -> None:
    node, before = logic.GetSliceCompositeNode(), layers_of(logic)
    kept = node.GetAttribute(OPACITY_BEFORE)
    ours = [(ids.mri, ids.colored)]
    if kept is not None:
        ours += [(ids.pet, ids.colored), (ids.pet, None), (ids.mri, None)]
    if (before.background, before.foreground) not in ours:
        return
    opacity = before.foreground_opacity if kept is None else float(kept)
    node.SetAttribute(OPACITY_BEFORE, None if position == COLORED else repr(opacity))
    share = 1.0 - abs(position - COLORED) / COLORED
    # At the ends the other volume is no layer: so its legend goes.
    layers = before._replace(
        background=ids.pet if position < COLORED else ids.mri,
        foreground=ids.colored if share > 0.0 else None,
        foreground_opacity=opacity * (share or 1.0),
    )
    if layers != before:
        set_layers(logic, layers)


def show_in_panes(mri, pet, fused, colored) -> None:
    """MRI, PET, fused and colored each in its pane; any of them may be None."""
    volumes = dict(zip(PANES, (mri, pet, fused, colored)))
    for logic in slice_logics():
        pane = _pane_of(logic)
        if pane is not None and volumes[pane] is not None:
            # The MRI stays below the colored volume, where black is transparent.
            below = mri if pane == "FunFuseColored" else volumes[pane]
            _show(logic, below, colored if pane == "FunFuseColored" else None)


def open_four_panes() -> Optional[int]:
    """Switch to the four panes; returns the layout to go back to, None when they were open."""
    layout = layout_node()
    if layout is None:
        return None
    before = layout.GetViewArrangement()
    if before == FOUR_PANES:
        return None
    if not layout.IsLayoutDescription(FOUR_PANES):
        layout.AddLayoutDescription(FOUR_PANES, _description())
    layout.SetViewArrangement(FOUR_PANES)
    for logic in _pane_logics():
        logic.GetSliceNode().SetViewGroup(PANE_GROUP)
    return before


def link_four_panes() -> None:
    """From now on they move together; before, each can be brought to its place."""
    for logic in _pane_logics():
        composite = logic.GetSliceCompositeNode()
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)


def place_shown() -> Optional[Place]:
    """Where the user is in an axial view of the layout, else in its first view; None for the panes."""
    shown = [
        logic
        for logic in slice_logics()
        if logic.GetSliceNode().IsMappedInLayout()
        and _pane_of(logic) is None
        and layers_of(logic).background is not None
    ]
    axial = [logic for logic in shown if logic.GetSliceNode().GetOrientation() == "Axial"]
    if not shown:
        return None
    node = (axial or shown)[0].GetSliceNode()
    matrix = [node.GetSliceToRAS().GetElement(row, column) for row in range(4) for column in range(4)]
    return Place(matrix, list(node.GetXYZOrigin()), node.GetFieldOfView()[1])


def go_to(place: Optional[Place]) -> None:
    """Bring the panes to a place; nothing happens for None."""
    import slicer

    for logic in _pane_logics() if place is not None else ():
        node = logic.GetSliceNode()
        width, height, _ = node.GetDimensions()
        with slicer.util.NodeModify(node):
            node.GetSliceToRAS().DeepCopy(place.slice_to_ras)
            node.SetXYZOrigin(*place.origin)
            # Of another shape than that view: Slicer, too, keeps the height when a view is resized.
            high = place.field_height_mm
            node.SetFieldOfView(high * width / max(height, 1), high, node.GetFieldOfView()[2])
            node.UpdateMatrices()


def close_four_panes(layout_before: Optional[int]) -> None:
    """Back to the layout of before, or to Slicer's four-up view."""
    import slicer

    layout = layout_node()
    if layout is not None and layout.GetViewArrangement() == FOUR_PANES:
        known = layout_before not in (None, FOUR_PANES)
        layout.SetViewArrangement(layout_before if known else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def four_panes_are_open() -> bool:
    """Whether the four panes are the present layout."""
    layout = layout_node()
    return layout is not None and layout.GetViewArrangement() == FOUR_PANES


def _show(logic, background, foreground) -> None:
    before = layers_of(logic)
    front = foreground.GetID() if foreground is not None else None
    set_layers(
        logic, before._replace(background=background.GetID(), foreground=front, foreground_opacity=1.0)
    )
    blended = logic.GetSliceCompositeNode().GetAttribute(OPACITY_BEFORE) is not None
    if before.background != background.GetID() and not blended:
        logic.FitSliceToAll()
        logic.SnapSliceOffsetToIJK()
    _annotate(logic.GetSliceNode())


def _annotate(slice_node) -> None:
    """Slicer's own axes and ruler, once: where the user has switched on others, or these off, that stays."""
    if slice_node.GetAttribute(ANNOTATED) is not None:
        return
    slice_node.SetAttribute(ANNOTATED, "1")
    if slice_node.GetOrientationMarkerType() == slice_node.OrientationMarkerTypeNone:
        slice_node.SetOrientationMarkerType(slice_node.OrientationMarkerTypeAxes)
    if slice_node.GetRulerType() == slice_node.RulerTypeNone:
        slice_node.SetRulerType(slice_node.RulerTypeThin)


def _pane_of(logic) -> Optional[str]:
    tag = logic.GetSliceNode().GetLayoutName()
    return tag if tag in PANES else None


def _pane_logics() -> List[object]:
    return [logic for logic in slice_logics() if _pane_of(logic) is not None]


def layout_node():
    """The scene's layout; None without a main window."""
    import slicer

    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def _description() -> str:
    panes = [_PANE.format(tag=tag, label=_LABELS[tag], color=_COLORS[tag]) for tag in PANES]
    rows = [
        f'<item><layout type="horizontal">{"".join(row)}</layout></item>' for row in (panes[:2], panes[2:])
    ]
    return f'<layout type="vertical">{"".join(rows)}</layout>'
