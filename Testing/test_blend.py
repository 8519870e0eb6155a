"""The plain PET at a key, and the blend between it, the colored fusion and the MRI."""

import time

import pytest

from FunFuseSlicer.Logic.scene import views
from Testing.test_legend import legends, settle

POSITIONS = (0.0, 0.2, 0.49, 0.51, 0.8, 1.0)


def logic_of(name):
    return next(x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() == name)


def shown(panel, name="Red"):
    """What lies behind and in front in a view, by role, and how opaque it is."""
    nodes = {node.GetID(): role for role, node in panel.session.nodes.items()}
    nodes.update({panel.session.choices.mri.GetID(): "mri", None: None})
    layers = views.layers_of(logic_of(name))
    return nodes[layers.background], nodes[layers.foreground], pytest.approx(layers.foreground_opacity)


def test_the_slider_goes_from_the_pet_over_the_fusion_to_the_mri(panel):
    panel.onApplyButton()
    chosen = panel.session.choices
    before = views.all_layers()
    expected = {
        0.0: ("pet_registered", None, 1.0),
        0.25: ("pet_registered", "colored", 0.5),
        0.5: ("mri", "colored", 1.0),
        0.75: ("mri", "colored", 0.5),
        1.0: ("mri", None, 1.0),
    }
    for position, seen in expected.items():
        panel.ui.blendSlider.value = position
        assert chosen.blend == position and shown(panel) == seen
        assert panel.ui.plainButton.checked == (position == 0.0)
    chosen.blend = 0.5
    assert views.all_layers() == before


def test_a_step_of_the_blend_is_quick(panel):
    panel.onApplyButton()
    taken = []
    for position in (*POSITIONS, *POSITIONS[::-1]):
        began = time.perf_counter()
        panel.session.choices.blend = position
        taken.append(time.perf_counter() - began)
    assert sorted(taken)[len(taken) // 2] < 0.05, taken


def test_the_key_shows_the_plain_pet_and_goes_back(panel, slicer, windows):
    """With the user's zoom, slice, opacity, label layer, and place of the slider."""
    panel.onApplyButton()
    red, node = logic_of("Red"), logic_of("Red").GetSliceNode()
    label = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    red.GetSliceCompositeNode().SetLabelVolumeID(label.GetID())
    red.GetSliceCompositeNode().SetForegroundOpacity(0.7)
    node.SetSliceOffset(18.0)
    node.SetFieldOfView(80.0, 60.0, node.GetFieldOfView()[2])

    def place():
        matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).tolist()
        return matrix, node.GetFieldOfView(), node.GetXYZOrigin()

    pet = panel.session.nodes["pet_registered"].GetDisplayNode()
    scale = pet.GetColorNodeID(), pet.GetWindowLevelMin(), pet.GetWindowLevelMax()
    before, was = views.all_layers(), place()
    panel.blend.onKey()
    assert shown(panel) == ("pet_registered", None, 0.7) and place() == was
    assert (pet.GetColorNodeID(), pet.GetWindowLevelMin(), pet.GetWindowLevelMax()) == scale
    assert views.layers_of(red).label == label.GetID()
    panel.onApplyButton()
    assert shown(panel)[0] == "pet_registered" and place() == was, "still chosen after a run"
    panel.blend.onKey()
    assert views.all_layers() == before and place() == was
    panel.session.choices.blend = 0.7
    panel.blend.onKey()
    panel.blend.onKey()
    assert panel.session.choices.blend == 0.7 and shown(panel) == ("mri", "colored", 0.7 * 0.6)


def test_each_view_has_the_legends_of_what_it_shows(panel, windows):
    red = windows("Red")
    panel.onApplyButton()
    found = legends(panel)
    for position in (0.0, 0.25, 0.5, 0.75, 1.0):
        panel.session.choices.blend = position
        seen = red.shows_legend(found["pet_registered"]), red.shows_legend(found["colored"])
        assert seen == (position < 0.5, 0.0 < position < 1.0)
        places = [found[role].GetPosition()[0] for role in ("pet_registered", "colored")]
        assert (places[0] < 0.5 < places[1]) == (position == 0.25), "one beside the other"


def test_the_four_panes_stay_what_they_are(panel):
    panel.onApplyButton()
    panel.ui.fourPanesButton.checked = True
    panes = [logic_of(name) for name in views.PANES]
    before = [views.layers_of(logic) for logic in panes]
    assert all(logic.GetSliceCompositeNode().GetLinkedControl() for logic in panes)
    panel.blend.onKey()
    assert shown(panel)[0] == "pet_registered"
    assert [views.layers_of(logic) for logic in panes] == before


def test_views_of_the_user_are_left_alone(panel, slicer):
    panel.onApplyButton()
    own = logic_of("Yellow")
    pet, mri = panel.session.nodes["pet_registered"].GetID(), panel.session.choices.mri.GetID()
    for volume in (pet, mri):
        views.set_layers(own, views.Layers(volume, None, None, 0.3, 1.0, 0))
        before = views.layers_of(own)
        for position in POSITIONS:
            panel.session.choices.blend = position
        panel.session.choices.blend = 0.5
        assert views.layers_of(own) == before


@pytest.mark.parametrize("index", [1, 2, 3])
def test_a_check_of_the_alignment_comes_and_goes(panel, index):
    """It gives the plain PET back; and the key ends it."""
    panel.onApplyButton()
    panel.blend.onKey()
    before = views.all_layers()
    panel.ui.alignmentComboBox.currentIndex = index
    assert panel.alignment.active
    panel.ui.alignmentComboBox.currentIndex = 0
    assert views.all_layers() == before
    panel.ui.alignmentComboBox.currentIndex = index
    panel.blend.onKey()
    assert not panel.alignment.active and shown(panel) == ("mri", "colored", 1.0)


def test_a_saved_scene_shows_the_plain_pet_and_finds_back(panel, slicer, tmp_path):
    panel.onApplyButton()
    logic_of("Red").GetSliceCompositeNode().SetForegroundOpacity(0.7)
    panel.session.choices.blend = 0.75
    panel.blend.onKey()
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    settle()
    assert shown(panel) == ("pet_registered", None, 0.7) and panel.ui.plainButton.checked
    panel.blend.onKey()
    assert shown(panel) == ("mri", "colored", 0.35)
    panel.session.choices.blend = 0.5
    assert shown(panel) == ("mri", "colored", 0.7)


def test_the_key_belongs_to_the_module_while_it_is_open(panel, slicer):
    """It is the one on the button; without results, and where text is typed, nothing happens."""
    import qt
    from PySide6 import QtTest

    from funfuse_cli.headless.main_window import main_window

    assert f"({panel.blend.KEY})" in panel.ui.plainButton.text
    with main_window() as window:
        field = qt.QLineEdit(window)
        window.show()
        panel.enter()

        def press(widget):
            QtTest.QTest.keyClick(widget, qt.Qt.Key_P)
            settle()
            return panel.session.choices.blend

        assert press(window) == 0.5, "no results yet"
        panel.onApplyButton()
        assert press(window) == 0.0 and shown(panel)[0] == "pet_registered"
        assert press(window) == 0.5
        field.setFocus()
        assert press(field) == 0.5 and field.text == "p"
        panel.exit()
        assert press(window) == 0.5 and not window.findChildren(qt.QShortcut)
        panel.enter()
        panel.enter()
        assert press(window) == 0.0, "one key, one step"
        panel.exit()
