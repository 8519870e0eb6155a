"""``funfuse pictures``: the pictures of the panel and of the views, made by the module itself.

The panel is the real one, pressed as a user presses it; the views are rendered by Slicer's slice logic.
"""

import argparse
from pathlib import Path
from typing import Callable, List

import numpy as np
from PIL import Image, ImageDraw

from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.output_folder import all_or_nothing

from ..headless.boot import boot
from ..headless.rendering import compose, font, render_slice
from ..paths import input_path, output_path
from ..reading.reader import read_volume
from ..workflow.marks import marked
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.preview import PLANES, with_legend

PICTURES = ("panel-before", "panel", "four-panes", "window", "overlay", "alignment")
PANEL_WIDTH, TILE, MARGIN, DARK = 440, 400, 8, 24


def main(arguments: List[str]) -> int:
    """Open the panel on a pair, press Apply, and write the pictures."""
    options = parser().parse_args(arguments)
    planned = claim([f"{name}.png" for name in PICTURES], options, options.mri, options.pet)
    with all_or_nothing(options.out, planned) as folder:
        _make(options, folder)
    print(f"{', '.join(PICTURES)} (.png) are in {options.out}")
    return 0


def _make(options, folder: Path) -> None:
    """:raises FunFuseError: the panel cannot fuse the pair."""
    slicer = boot()
    from FunFuseSlicer.Logic.panel.choices import AlignmentView
    from FunFuseSlicer.Logic.report.contents import ready
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node
    from FunFuseSlicer.Logic.scene.report import contents_of

    from ..extension import open_panel
    from ..headless.module import close_widget
    from ..headless.screenshots import grab

    mri, pet = (add_volume_node(read_volume(path)) for path in (options.mri, options.pet))
    mri.SetName(options.names[0])
    pet.SetName(options.names[1])
    widget = open_panel()
    panel = widget.self()
    grab(widget, folder / "panel-before.png", width=PANEL_WIDTH)
    print("applying ...", flush=True)
    panel.onApplyButton()
    if "colored" not in panel.session.nodes:
        raise FunFuseError(panel.ui.statusLabel.text)
    view = _view(mri)
    panel.ui.fourPanesButton.checked = True
    grab(widget, folder / "panel.png", width=PANEL_WIDTH)
    contents = ready(contents_of(panel.session.nodes))
    panes = with_legend(compose(_panes(view)), contents)
    Image.fromarray(panes).save(folder / "four-panes.png")
    Image.fromarray(_beside(folder / "panel.png", panes)).save(folder / "window.png")
    panel.ui.fourPanesButton.checked = False
    colored = panel.session.nodes["colored"]
    tiles = [view(plane, mri, colored) for plane in PLANES]
    Image.fromarray(with_legend(compose([tiles]), contents)).save(folder / "overlay.png")
    checks = []
    for check in (AlignmentView.CHECKERBOARD, AlignmentView.EDGES):
        panel.ui.alignmentComboBox.currentIndex = list(AlignmentView).index(check)
        shown = slicer.util.getFirstNodeByName("FunFuse alignment check")
        checks.append([view(plane, shown) for plane in PLANES])
    panel.ui.alignmentComboBox.currentIndex = 0
    labels = ["Checkerboard", "Edges"]
    Image.fromarray(compose(checks, row_labels=labels)).save(folder / "alignment.png")
    close_widget(widget)
    slicer.mrmlScene.Clear(False)


def _view(mri) -> Callable[..., np.ndarray]:
    """Draws a plane of one volume or two through the middle of the head, all planes in one scale."""
    place, box = _center_of_head(mri), np.zeros(6)
    mri.GetRASBounds(box)
    field_of_view = float((box[1::2] - box[::2]).max())

    def draw(plane: str, background, foreground=None) -> np.ndarray:
        size, extent = (TILE, TILE), (field_of_view, field_of_view)
        tile = render_slice(background, foreground, 1.0, plane, place, size, extent)
        return marked(tile, plane, place, TILE / field_of_view)

    return draw


def _panes(view: Callable[..., np.ndarray]) -> List[List[np.ndarray]]:
    """What the four panes show, two by two."""
    import slicer

    from FunFuseSlicer.Logic.scene import views

    shown = {logic.GetSliceNode().GetLayoutName(): views.layers_of(logic) for logic in views.slice_logics()}
    tiles = []
    for name in views.PANES:
        layers = [slicer.mrmlScene.GetNodeByID(node_id) if node_id else None for node_id in shown[name][:2]]
        tiles.append(_annotated(view("Axial", *layers), layers))
    return [tiles[:2], tiles[2:]]


def _annotated(tile: np.ndarray, layers) -> np.ndarray:
    """The names of the layers in the corner, as Slicer writes them."""
    picture = Image.fromarray(tile)
    lines = [f"{layer}: {node.GetName()}" for layer, node in zip("BF", layers) if node is not None]
    text = "\n".join(reversed(lines))
    draw = ImageDraw.Draw(picture)
    draw.multiline_text((6, TILE - 6), text, fill=(200, 200, 200), font=font(12), anchor="ld")
    return np.asarray(picture)


def _beside(panel_path: Path, views: np.ndarray) -> np.ndarray:
    """The panel at the left and the views at the right, top aligned, as in Slicer's window."""
    panel = np.asarray(Image.open(panel_path).convert("RGB"))
    height = max(len(panel), len(views)) + 2 * MARGIN
    width = panel.shape[1] + views.shape[1] + 3 * MARGIN
    sheet = np.full((height, width, 3), DARK, np.uint8)
    sheet[MARGIN : MARGIN + len(panel), MARGIN : MARGIN + panel.shape[1]] = panel
    left = panel.shape[1] + 2 * MARGIN
    top = (height - len(views)) // 2
    sheet[top : top + len(views), left : left + views.shape[1]] = views
    return sheet


def _center_of_head(node) -> np.ndarray:
    """RAS position in the middle of what is brighter than the mean."""
    from FunFuseSlicer.Logic.scene.inputs import volume_from_node

    volume = volume_from_node(node)
    k, j, i = np.nonzero(volume.array > volume.array.mean())
    return (volume.ijk_to_ras @ [i.mean(), j.mean(), k.mean(), 1.0])[:3]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse pictures",
        description="Make the pictures of panel and views anew, from a pair that may be published.",
    )
    result.add_argument("--mri", type=input_path, required=True)
    result.add_argument("--pet", type=input_path, required=True)
    result.add_argument("--names", nargs=2, default=("T1", "FDG"), metavar=("MRI", "PET"))
    result.add_argument("--out", type=output_path, required=True, metavar="DIR")
    add_overwrite(result)
    return result
