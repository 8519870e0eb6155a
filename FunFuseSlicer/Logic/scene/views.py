"""Slice views: which there are, what they show, and the four panes side by side.

Everything goes through the nodes and the slice logics, so that it works without a main window.
"""

from typing import Dict, List, NamedTuple, Optional

# Any number that no other layout uses.
FOUR_PANES = 48151
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
    node = logic.GetSliceCompositeNode()
    modifying = node.StartModify()
    node.SetBackgroundVolumeID(layers.background)
    node.SetForegroundVolumeID(layers.foreground)
    node.SetLabelVolumeID(layers.label)
    node.SetForegroundOpacity(layers.foreground_opacity)
    node.SetLabelOpacity(layers.label_opacity)
    node.SetCompositing(layers.compositing)
    node.EndModify(modifying)


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
    """Switch to the four panes, linked; returns the layout to go back to, None when they were open."""
    layout = _layout_node()
    if layout is None:
        return None
    before = layout.GetViewArrangement()
    if before == FOUR_PANES:
        return None
    if not layout.IsLayoutDescription(FOUR_PANES):
        layout.AddLayoutDescription(FOUR_PANES, _description())
    layout.SetViewArrangement(FOUR_PANES)
    for logic in slice_logics():
        if _pane_of(logic) is not None:
            composite = logic.GetSliceCompositeNode()
            composite.SetLinkedControl(True)
            composite.SetHotLinkedControl(True)
    return before


def close_four_panes(layout_before: Optional[int]) -> None:
    """Back to the layout of before, or to Slicer's four-up view."""
    import slicer

    layout = _layout_node()
    if layout is not None and layout.GetViewArrangement() == FOUR_PANES:
        known = layout_before not in (None, FOUR_PANES)
        layout.SetViewArrangement(layout_before if known else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def four_panes_are_open() -> bool:
    """Whether the four panes are the present layout."""
    layout = _layout_node()
    return layout is not None and layout.GetViewArrangement() == FOUR_PANES


def _show(logic, background, foreground) -> None:
    before = layers_of(logic)
    front = foreground.GetID() if foreground is not None else None
    set_layers(
        logic, before._replace(background=background.GetID(), foreground=front, foreground_opacity=1.0)
    )
    if before.background != background.GetID():
        logic.FitSliceToAll()
        logic.SnapSliceOffsetToIJK()


def _pane_of(logic) -> Optional[str]:
    tag = logic.GetSliceNode().GetLayoutName()
    return tag if tag in PANES else None


def _layout_node():
    import slicer

    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def _description() -> str:
    panes = [_PANE.format(tag=tag, label=_LABELS[tag], color=_COLORS[tag]) for tag in PANES]
    rows = [
        f'<item><layout type="horizontal">{"".join(row)}</layout></item>' for row in (panes[:2], panes[2:])
    ]
    return f'<layout type="vertical">{"".join(rows)}</layout>'
