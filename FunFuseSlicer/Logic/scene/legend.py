"""The color legends: what the colors of the colored volume and of the registered PET stand for.

Slicer draws a volume's legend in the views where the volume is a layer. The colored volume is RGB and has no
scale of its own: a second display node, which shows nothing, carries the scale for its legend. So the legend
is in every view of the colored volume, whatever else lies there.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict

from ..color.sources import scale_of
from . import views
from .attributes import ROLE_ATTRIBUTE, number_of, place_on_scale
from .color_maps import color_node_of, ordered_node
from .inputs import unit_of
from .live_colors import Look

SCALE_ROLE = "legend_scale"


def show_legends(
    nodes: Dict[str, object],
    look: Look,
    pet_name: str,
    visible: bool,
) -> None:
    """Show or hide them; they are made when they are first shown.

    :param nodes: results by role, see :func:`.outputs.find_results`.
    :param look: of the colored volume.
    """
    import slicer

    logic = slicer.modules.colors.logic()
    pet_display = nodes["pet_registered"].GetDisplayNode()
    place = place_on_scale(nodes["colored"], look.reference_at)
    titles = {pet_display: _with_unit(pet_name, nodes["pet_registered"], place)}
    scale = _scale_display(nodes["colored"], make=visible)
    if scale is not None:
        titles[scale], ends = _title_and_ends(nodes, look, pet_name, place)
        colors = ordered_node() if look.mode == "ordered" else color_node_of(look.colormap)
        with slicer.util.NodeModify(scale):
            scale.SetAndObserveColorNodeID(colors.GetID())
            scale.SetWindowLevelMinMax(*ends)
    for display, title in titles.items():
        put_legend(display, title, visible, make=visible)
    if "difference" in nodes:
        legend = logic.GetColorLegendDisplayNode(nodes["difference"].GetDisplayNode())
        if legend is not None:
            legend.SetVisibility(visible)
    part_legends(nodes)
    views.announce_layers()


def put_legend(display, title: str, visible: bool, make: bool) -> None:
    """The legend of a display node, shown or hidden.

    :param make: whether one is made where there is none.
    """
    import slicer

    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(display)
    if legend is None and make:
        legend = logic.AddDefaultColorLegendDisplayNode(display)
    if legend is not None:
        with slicer.util.NodeModify(legend):
            legend.SetTitleText(title)
            legend.SetVisibility(visible)
        # Its scale may be another one, which Slicer does not notice.
        legend.Modified()


def part_legends(nodes: Dict[str, object]) -> None:
    """Where a view shows the registered PET and the colored volume at once: a legend at either side.

    Else both have one place.
    """
    import slicer

    both = {nodes[role].GetID() for role in ("pet_registered", "colored")}
    apart = any(both <= set(views.layers_of(logic)[:2]) for logic in views.slice_logics())
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes["pet_registered"].GetDisplayNode())
    if legend is not None:
        x, y = legend.GetPosition()
        if apart == (x > 0.5):
            legend.SetPosition(1.0 - x, y)


def _title_and_ends(nodes, look: Look, pet_name: str, place: str):
    """What the legend of the colored volume says, and the values at the ends of the color map."""
    import slicer
    from slicer.i18n import tr as _

    colored, mode, uptake_range = nodes["colored"], look.mode, look.uptake_range
    if uptake_range is not None and mode != "gradient":
        title = _with_unit(pet_name, nodes["pet_registered"], place)
        if mode == "contribution":
            title = _("{pet}, by its part").format(pet=title)
        return title, uptake_range
    if mode == "contribution" and "pet_part" in nodes:
        scale = number_of(colored, "PETPartScale") or scale_of(slicer.util.arrayFromVolume(nodes["pet_part"]))
        return _("{pet}, part in %").format(pet=pet_name), (0.0, 100.0 * scale)
    if mode in ("uptake", "ordered"):
        pet = nodes["pet_registered"]
        scale = number_of(colored, "PETScale") or scale_of(slicer.util.arrayFromVolume(pet))
        return _with_unit(pet_name, pet), (0.0, scale)
    return _("{pet}, sensitivity in %").format(pet=pet_name), (0.0, 100.0)


def _with_unit(name: str, node, place: str = "") -> str:
    told = ", ".join(filter(None, [unit_of(node), place]))
    return f"{name} ({told})" if told else name


def _scale_display(colored, make: bool):
    """The display node of the scale; None when there is none and none shall be made."""
    import slicer

    for index in range(colored.GetNumberOfDisplayNodes()):
        display = colored.GetNthDisplayNode(index)
        if display is not None and display.GetAttribute(ROLE_ATTRIBUTE) == SCALE_ROLE:
            return display
    if not make:
        return None
    display = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeDisplayNode", f"{colored.GetName()} legend scale"
    )
    display.SetAttribute(ROLE_ATTRIBUTE, SCALE_ROLE)
    display.AutoWindowLevelOff()
    display.SetAutoThreshold(0)
    colored.AddAndObserveDisplayNodeID(display.GetID())
    return display
