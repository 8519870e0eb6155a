"""The color legends in views as Slicer draws them: its own displayable manager decides."""

import pytest

from FunFuseSlicer.Logic.scene import views
from FunFuseSlicer.Logic.scene.legend import SCALE_ROLE

pytestmark = pytest.mark.usefixtures("known_brains")


def legends(panel):
    """By the role of the volume; None where there is none."""
    import slicer

    logic, nodes = slicer.modules.colors.logic(), panel.session.nodes
    colored = nodes["colored"]
    displays = [colored.GetNthDisplayNode(index) for index in range(colored.GetNumberOfDisplayNodes())]
    scale = [display for display in displays if display.GetAttribute("FunFuse.Role") == SCALE_ROLE]
    assert len(scale) <= 1
    return {
        "colored": logic.GetColorLegendDisplayNode(scale[0]) if scale else None,
        "pet_registered": logic.GetColorLegendDisplayNode(nodes["pet_registered"].GetDisplayNode()),
    }


def settle(until=None):
    """Let Qt do what is due; a busy computer may need a moment."""
    from funfuse_cli.headless import qt_events

    qt_events.process()
    if until is not None:
        qt_events.process(until, 10.0)


def test_the_legend_is_where_the_colored_volume_is(panel, slicer, windows):
    red = windows("Red")
    panel.onApplyButton()
    found = legends(panel)
    assert red.shows_legend(found["colored"]) and not red.shows_legend(found["pet_registered"])
    # A view that the layout shows later, as Slicer makes it.
    yellow = windows("Yellow")
    layout = views.layout_node()
    before = layout.GetViewArrangement()
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    settle()
    assert yellow.shows_legend(found["colored"]) and red.shows_legend(found["colored"])
    layout.SetViewArrangement(before)
    # Where the overlay makes way for something else, the legend goes.
    panel.ui.alignmentComboBox.currentIndex = 2
    assert not red.shows_legend(found["colored"])
    panel.ui.alignmentComboBox.currentIndex = 0
    assert red.shows_legend(found["colored"])
    panel.session.choices.legend = False
    assert not red.shows_legend(found["colored"])
    panel.session.choices.legend = True
    assert red.shows_legend(found["colored"])


def test_the_legends_are_in_two_of_the_four_panes(panel, windows):
    panel.onApplyButton()
    panel.ui.fourPanesButton.checked = True
    panes = [windows(name) for name in views.PANES]
    settle()
    found = legends(panel)
    shown = [[pane.shows_legend(found[role]) for pane in panes] for role in ("pet_registered", "colored")]
    assert shown == [[False, True, False, False], [False, False, False, True]]
    panel.onApplyButton()
    assert panes[3].shows_legend(found["colored"]) and panes[1].shows_legend(found["pet_registered"])


def test_a_label_layer_of_the_user_stays(panel, slicer, windows):
    label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = next(x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() == "Red")
    logic.GetSliceCompositeNode().SetLabelVolumeID(label.GetID())
    panel.onApplyButton()
    assert windows("Red") and logic.GetSliceCompositeNode().GetLabelVolumeID() == label.GetID()
    settle()
    red = windows("Red")

    def shown():
        panel.display.show_legend()
        return red.shows_legend(legends(panel)["colored"])

    settle(shown)
    assert shown()


def test_the_legend_comes_back_with_a_saved_scene(panel, slicer, windows, tmp_path):
    red = windows("Red")
    panel.onApplyButton()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    settle()
    found = legends(panel)
    assert red.shows_legend(found["colored"])
    before = slicer.mrmlScene.GetNumberOfNodes()
    panel.session.choices.omega = 0.3
    panel.display.finish_painting()
    assert slicer.mrmlScene.GetNumberOfNodes() == before and legends(panel) == found


def test_the_legend_says_what_the_color_stands_for(panel, slicer):
    from FunFuseSlicer.Logic.panel.choices import Mode
    from FunFuseSlicer.Logic.scene.attributes import number_of

    panel.onApplyButton()
    colored, found = panel.session.nodes["colored"], legends(panel)
    for mode, title, highest, colors in (
        (Mode.CONTRIBUTION, "FDG, part in %", 100 * number_of(colored, "PETPartScale"), "PET-Heat"),
        (Mode.ORDERED, "FDG", number_of(colored, "PETScale"), "FunFuse ordered"),
        (Mode.UPTAKE, "FDG", number_of(colored, "PETScale"), "PET-Heat"),
    ):
        panel.session.choices.mode, panel.session.choices.colormap = mode, "PET-Heat"
        panel.display.finish_painting()
        scale = found["colored"].GetPrimaryDisplayNode()
        assert found["colored"].GetTitleText() == title
        assert (scale.GetWindowLevelMin(), scale.GetWindowLevelMax()) == pytest.approx((0, highest))
        assert scale.GetColorNode().GetName() == colors
        assert panel.session.nodes["pet_registered"].GetDisplayNode().GetColorNode().GetName() == "PET-Heat"
    assert highest == 9000, "of the hot spot"
    assert colored.GetDisplayNode().IsA("vtkMRMLVectorVolumeDisplayNode")


def test_the_legend_can_be_seen(slicer, windows, request):
    """In a process of its own: drawing needs EGL, and ends the process where there is none."""
    import os
    import subprocess
    import sys

    code = f"""
import sys; sys.path.insert(0, {str(request.path.parent)!r})
from funfuse_cli.headless.boot import boot
slicer = boot()
from funfuse_cli.extension import load_module
from funfuse_cli.headless.view_windows import SliceViewWindow
from FunFuseSlicer.Logic.scene.inputs import add_volume_node
from FunFuseSlicer.Logic.scene.legend import show_legends
from FunFuseSlicer.Logic.self_test import synthetic_head
window = SliceViewWindow(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed"))
print("empty", window.picture().max())
pair = [add_volume_node(volume) for volume in synthetic_head((6, 48, 44), (3.5, 3.5, 12))]
made = load_module().FunFuseSlicerLogic().process(*pair, registration=None)
nodes = {{name: getattr(made.nodes, name) for name in ("colored", "pet_registered", "pet_part")}}
from FunFuseSlicer.Logic.scene.live_colors import Look
show_legends(nodes, Look(0.6, 0.5, "contribution", "Jet"), "FDG", True)
picture = window.picture()
print("colorful", (picture.max(axis=-1).astype(int) - picture.min(axis=-1) > 100).sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"},
        cwd=request.path.parents[1],
        capture_output=True,
        text=True,
    )
    if "empty" not in done.stdout:
        pytest.skip("nothing can be drawn here: there is no display and no EGL")
    assert "empty 0" in done.stdout, done.stderr
    assert int(done.stdout.split("colorful ")[1].split()[0]) > 500
