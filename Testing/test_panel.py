"""The panel on real MRML scenes: what the self test does not try. What can go wrong: test_faults.py."""

import re
import sys
import types
import xml.etree.ElementTree as xml
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import vtk

from FunFuseSlicer.Logic.self_test import synthetic_head

pytestmark = pytest.mark.usefixtures("known_brains")

ROOT = Path(__file__).resolve().parents[1]
UI = ROOT / "FunFuseSlicer" / "Resources" / "UI" / "FunFuseSlicer.ui"


@pytest.fixture
def widget(slicer, qt_started):
    """The module's panel in an empty scene, as Slicer opens it."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget

    opened = open_panel()
    yield opened
    close_widget(opened)


@pytest.fixture
def panel(widget, slicer):
    """The panel with an MRI and a PET chosen that lie on each other."""
    from FunFuseSlicer.Logic.panel.choices import Registration

    panel = widget.self()
    panel.mri, panel.pet = add_pair()
    chosen = panel.session.choices
    chosen.mri, chosen.pet, chosen.registration = panel.mri, panel.pet, Registration.ALIGNED
    return panel


def add_pair():
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node

    return [add_volume_node(volume) for volume in synthetic_head((6, 48, 44), (3.5, 3.5, 12.0))]


def add_vector_volume(slicer, components, name, dtype):
    array = np.ones((3, 4, 5, components), dtype)
    return slicer.util.addVolumeFromArray(array, np.eye(4), name, "vtkMRMLVectorVolumeNode")


def voxels(node):
    import slicer

    return slicer.util.arrayFromVolume(node)


# The form


def test_every_parameter_of_the_form_exists(slicer):
    from FunFuseSlicer.Logic.panel.parameters import Parameters

    tree = xml.parse(UI)
    names = [
        prop.find("string").text
        for prop in tree.iter("property")
        if prop.get("name") == "SlicerParameterName"
    ]
    assert len(names) == len(set(names))
    # Method, tracer and part are names, which their selectors know; the others are noted, not chosen.
    assert set(names) == set(Parameters.__annotations__) - {
        "method",
        "tracer",
        "tracerInUse",
        "lookBefore",
        "referenceAt",
        "referencePart",
        "modeOfNetwork",
        "blendBefore",
        "rangeLow",
        "rangeHigh",
    }


def test_every_control_explains_itself():
    tree = xml.parse(UI)
    for element in tree.iter("widget"):
        if element.get("class") in ("QPushButton", "QCheckBox", "QComboBox", "ctkSliderWidget"):
            tips = [prop for prop in element.findall("property") if prop.get("name") == "toolTip"]
            assert tips, element.get("name")


def test_the_panel_opens_without_torch(slicer):
    """In a process of its own: the import of torch takes seconds, and may be impossible."""
    import subprocess

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from funfuse_cli.extension import open_panel\n"
        "panel = open_panel().self()\n"
        "print(panel.ui.applyButton.text)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip().endswith("Apply"), done.stderr


def test_what_every_case_needs_fits_into_slicers_column(panel, widget):
    """About 400 pixels wide, 600 high: a window of 1600 by 1000 with the Data Probe open."""
    from PySide6 import QtCore

    from funfuse_cli.headless import qt_events, screenshots

    ui = panel.ui

    def check():
        widget.resize(400, 600)
        qt_events.process()
        assert widget.minimumSizeHint.width() <= 400
        assert screenshots.needed_height(widget, 400) <= 600
        for shown in (ui.mriSelector, ui.petSelector, ui.applyButton, ui.statusLabel, ui.omegaSlider):
            assert shown.visible, shown
            assert shown.mapTo(widget, QtCore.QPoint(0, 0)).y() + shown.size.height() < 300, shown

    check()
    report, heights = panel.work.on_progress, []

    def on_progress(stage, fraction):
        report(stage, fraction)
        heights.append(screenshots.needed_height(widget, 400))
        assert ui.applyButton.text == "Cancel" and ui.progressBar.visible and ui.statusLabel.text

    panel.work.on_progress = on_progress
    panel.onApplyButton()
    assert heights and max(heights) <= 600
    check()


# Wrong choices


def test_an_empty_scene_is_told(widget):
    ui = widget.self().ui
    assert "no volume in the scene" in ui.noticeLabel.text
    assert not ui.applyButton.enabled and ui.applyButton.toolTip == ui.noticeLabel.text


def test_volumes_that_are_loaded_later_are_chosen(widget):
    from funfuse_cli.headless import qt_events

    mri, pet = add_pair()
    chosen = widget.self().session.choices
    qt_events.process(lambda: chosen.pet is not None, 10.0)
    assert (chosen.mri, chosen.pet) == (mri, pet)


@pytest.mark.parametrize(
    "components, dtype, words", [(3, np.uint8, "color image"), (12, np.float32, "dynamic")]
)
def test_color_and_dynamic_pet_are_told(panel, slicer, components, dtype, words):
    panel.session.choices.pet = add_vector_volume(slicer, components, "PET", dtype)
    assert words in panel.ui.noticeLabel.text
    assert not panel.ui.applyButton.enabled


def test_dicom_modality_decides_before_the_name(panel, slicer):
    from FunFuseSlicer.Logic.panel.inputs import modality

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(panel.mri), name, "PT")
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(panel.pet), name, "MR")
    assert (modality(panel.mri), modality(panel.pet)) == ("PT", "MR")
    panel.session.refresh()
    assert "wrong way round" in panel.ui.noticeLabel.text


@pytest.mark.parametrize("what, sentence", [("mri", "Choose the MRI"), ("pet", "Choose the PET")])
def test_an_input_that_goes_leaves_its_place_empty(panel, slicer, what, sentence):
    """Slicer's selector would take its neighbor: the other input, or a result."""
    panel.onApplyButton()
    slicer.mrmlScene.RemoveNode(getattr(panel, what))
    assert getattr(panel.session.choices, what) is None
    assert panel.ui.noticeLabel.text.startswith(sentence) and not panel.ui.applyButton.enabled


def test_another_mask_than_that_of_the_results_is_told(panel, slicer):
    panel.onApplyButton()
    mask = slicer.modules.volumes.logic().CloneVolume(panel.mri, "brain")
    assert "mask" not in panel.ui.statusLabel.text
    panel.session.choices.mask = mask
    assert panel.ui.statusLabel.text == "Press Apply for the mask."
    panel.onApplyButton()
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.MaskName") == "brain"
    assert "mask" not in panel.ui.statusLabel.text
    slicer.mrmlScene.RemoveNode(mask)
    assert panel.ui.statusLabel.text == "Press Apply for results without mask."


def test_a_volume_without_contrast_is_told(panel, slicer):
    slicer.util.updateVolumeFromArray(panel.pet, 0 * voxels(panel.pet))
    panel.session.refresh()
    assert panel.ui.noticeLabel.text == '"FDG" is zero everywhere: choose another volume as PET.'
    slicer.util.updateVolumeFromArray(panel.pet, 0 * voxels(panel.pet) + 7)
    panel.session.refresh()
    assert "the same value everywhere" in panel.ui.noticeLabel.text and not panel.ui.applyButton.enabled


def test_the_outcome_of_a_run_is_that_of_the_present_choices(panel):
    from FunFuseSlicer.Logic.panel.choices import Registration

    panel.session.choices.registration = Registration.SIMPLEITK
    origin = np.array(panel.pet.GetOrigin())
    panel.pet.SetOrigin(*(origin + [400.0, 0.0, 0.0]))
    panel.onApplyButton()
    assert "do not overlap" in panel.ui.statusLabel.text
    panel.session.choices.farApart = True
    assert not panel.ui.statusLabel.text
    panel.pet.SetOrigin(*origin)
    panel.session.choices.registration = Registration.ALIGNED
    panel.onApplyButton()
    assert panel.ui.statusLabel.text.startswith("Done")
    panel.session.choices.pet = None
    assert not panel.ui.statusLabel.text


def test_a_non_linear_transform_is_told(panel, slicer):
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    panel.pet.SetAndObserveTransformNodeID(grid.GetID())
    panel.session.refresh()
    assert "non-linear" in panel.ui.noticeLabel.text


def test_missing_torch_is_told_and_can_be_installed(panel, slicer, monkeypatch):
    from FunFuseSlicer.Logic.panel import torch_setup as module
    from FunFuseSlicer.Logic.panel.choices import ModelChoice

    missing = ["PyTorch is not installed."]
    monkeypatch.setattr(module, "torch_problem", lambda: missing[0] if missing else None)
    panel.session.refresh()
    assert panel.ui.applyButton.enabled and not panel.ui.noticeLabel.text
    panel.session.choices.model = ModelChoice.PAPER
    assert panel.ui.noticeLabel.text == "PyTorch is not installed."
    assert not panel.ui.installTorchButton.isHidden()
    monkeypatch.setattr(module, "install_torch", lambda: missing.clear() or True)
    panel.inputs.onInstallTorchButton()
    assert panel.ui.applyButton.enabled and panel.ui.installTorchButton.isHidden()


def test_install_asks_the_pytorch_extension(monkeypatch):
    from FunFuseSlicer.Logic.panel import torch_setup

    with pytest.raises(RuntimeError, match="Extensions Manager"):
        torch_setup.install_torch()
    asked = []

    class Logic:
        def installTorch(self, askConfirmation):
            asked.append(askConfirmation)
            return sys

    fake = types.ModuleType("PyTorchUtils")
    fake.PyTorchUtilsLogic, fake.__spec__ = Logic, ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", fake)
    assert torch_setup.install_torch() and asked == [True]


# Runs


def test_a_failure_is_told_and_leaves_the_scene(panel, slicer, monkeypatch):
    from FunFuseSlicer.Logic.fusion import pipeline as fusion

    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}

    def fail(*_, **__):
        raise ValueError("something broke")

    monkeypatch.setattr(fusion, "fuse_slices_steps", fail)
    panel.onApplyButton()
    assert "something broke" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Apply"
    assert {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")} == before


def test_apply_uses_the_transform_that_was_corrected_by_hand(panel, slicer):
    from FunFuseSlicer.Logic.panel.choices import Registration

    panel.session.choices.registration = Registration.SIMPLEITK
    panel.session.choices.rigidOnly = True
    panel.onApplyButton()
    transform = panel.session.nodes["transform"]
    assert not panel.session.choices.registerAgain
    nudged = vtk.vtkMatrix4x4()
    nudged.SetElement(0, 3, 3.5)
    transform.SetMatrixTransformToParent(nudged)
    panel.onApplyButton()
    assert panel.session.nodes["transform"] is transform
    assert panel.registration.matrix_to_reuse()[0, 3] == 3.5
    assert panel.ui.registrationLabel.text.startswith("An earlier result was used, with your corrections")
    moved = voxels(panel.session.nodes["pet_registered"])
    # One voxel of 3.5 mm to the right, which is down the i axis.
    np.testing.assert_allclose(moved[:, :, :-1], voxels(panel.pet)[:, :, 1:], rtol=1e-4, atol=1)


def test_the_rigid_result_is_offered_where_another_one_was_kept(panel, slicer, monkeypatch):
    from dataclasses import replace

    from FunFuseSlicer.Logic.panel.choices import Registration
    from FunFuseSlicer.Logic.registration import reuse

    def register(mri, pet, options, monitor):
        larger, rigid = np.diag([1.1, 1.0, 1.0, 1.0]), np.eye(4)
        rigid[0, 3] = 3.5
        return replace(reuse(mri, pet, larger), method="SimpleITK affine", rigid_matrix=rigid)

    # Where the module's library is loaded from is the module's own business.
    monkeypatch.setitem(panel.logic.process.__globals__["fuse_nodes"].__globals__, "register", register)
    panel.session.choices.registration = Registration.SIMPLEITK
    panel.ui.registrationCollapsibleButton.collapsed = False
    assert not panel.ui.rigidButton.visible
    panel.onApplyButton()
    assert "the rigid result is offered under Registration" in panel.ui.statusLabel.text
    transform = panel.session.nodes["transform"]
    assert slicer.util.arrayFromTransformMatrix(transform)[0, 0] == 1.1 and panel.ui.rigidButton.visible
    panel.ui.rigidButton.click()
    assert slicer.util.arrayFromTransformMatrix(transform)[0].tolist() == [1, 0, 0, 3.5]
    assert panel.session.nodes["transform"] is transform and not panel.ui.rigidButton.visible


def test_volumes_far_apart_are_refused_unless_allowed(panel, slicer):
    from FunFuseSlicer.Logic.panel.choices import Registration

    panel.session.choices.registration = Registration.SIMPLEITK
    panel.session.choices.rigidOnly = True
    origin = np.array(panel.pet.GetOrigin())
    panel.pet.SetOrigin(*(origin + [400.0, 0.0, 0.0]))
    panel.onApplyButton()
    assert "do not overlap" in panel.ui.statusLabel.text and not panel.session.nodes
    panel.session.choices.farApart = True
    panel.onApplyButton()
    matrix = slicer.util.arrayFromTransformMatrix(panel.session.nodes["transform"])
    assert abs(matrix[0, 3] + 400.0) < 30.0


def test_the_position_is_adjusted_in_the_module_transforms(panel, slicer, monkeypatch):
    from FunFuseSlicer.Logic.panel.choices import Registration

    assert not panel.ui.transformsButton.enabled
    panel.session.choices.registration = Registration.SIMPLEITK
    panel.onApplyButton()
    assert panel.ui.transformsButton.enabled
    opened = []
    monkeypatch.setattr(
        type(slicer.app), "openNodeModule", lambda _, node: opened.append(node), raising=False
    )
    panel.results.onTransformsButton()
    assert opened == [panel.session.nodes["transform"]]


def test_an_input_that_changes_is_fused_again_by_itself(panel, slicer):
    panel.onApplyButton()
    first = voxels(panel.session.nodes["fused"]).copy()
    panel.session.choices.autoUpdate = True
    slicer.util.updateVolumeFromArray(panel.mri, voxels(panel.mri) ** 2 / 100)
    assert panel.runs.auto_timer.active and not panel.live.active
    panel.runs.auto_timer.stop()
    panel.runs.auto_run()
    assert np.abs(voxels(panel.session.nodes["fused"]) - first).max() > 0.05


def assert_same(found, nodes):
    """The same voxels; colors, which sliders paint, within their two levels."""
    for role, node in nodes.items():
        np.testing.assert_allclose(
            found[role].astype(float), voxels(node), rtol=0, atol=2 if role == "colored" else 0, err_msg=role
        )


def test_a_pet_that_changes_is_fused_again_in_place(panel, slicer):
    panel.onApplyButton()
    before, nodes = slicer.mrmlScene.GetNumberOfNodes(), dict(panel.session.nodes)
    slicer.util.updateVolumeFromArray(panel.pet, voxels(panel.pet)[:, ::-1].copy())
    assert not panel.live.active, "only where asked"
    panel.session.choices.autoUpdate = True
    slicer.util.updateVolumeFromArray(panel.pet, voxels(panel.pet) ** 2)
    assert panel.live.active and not panel.runs.auto_timer.active
    panel.live.finish()
    panel.display.finish_painting()
    found = {role: voxels(node).copy() for role, node in nodes.items()}
    assert slicer.mrmlScene.GetNumberOfNodes() == before and panel.session.nodes == nodes
    panel.session.choices.autoUpdate = False
    panel.onApplyButton()
    assert_same(found, nodes)


def test_another_lambda_while_another_pet_is_followed(panel, slicer):
    panel.onApplyButton()
    panel.session.choices.autoUpdate = True
    slicer.util.updateVolumeFromArray(panel.pet, voxels(panel.pet) ** 2)
    next(panel.live._steps)
    panel.session.choices.lam = 0.3
    panel.live.finish()
    panel.display.finish_painting()
    found = {role: voxels(node).copy() for role, node in panel.session.nodes.items()}
    panel.session.choices.autoUpdate = False
    panel.onApplyButton()
    assert_same(found, panel.session.nodes)


def test_a_live_lambda_with_an_mri_around_zero_is_what_apply_gives(panel, slicer):
    head = voxels(panel.mri) > 0
    middle = (voxels(panel.mri)[head].min() + voxels(panel.mri).max()) / 2
    # Noise, so that no tissue has one value and is taken for the background.
    noise = np.random.default_rng(0).normal(0, 2, head.shape)
    around_zero = np.where(head, voxels(panel.mri) - middle + noise, 0)
    assert around_zero.min() < -0.1 * around_zero.max()
    slicer.util.updateVolumeFromArray(panel.mri, around_zero.astype(np.float32))
    panel.onApplyButton()
    panel.session.choices.lam = 0.3
    panel.live.finish()
    panel.display.finish_painting()
    found = {role: voxels(node).copy() for role, node in panel.session.nodes.items()}
    panel.onApplyButton()
    assert_same(found, panel.session.nodes)


def test_a_live_lambda_is_what_apply_gives(panel):
    panel.onApplyButton()
    for lam in (0.3, 0.1):  # the second while the first is under way
        panel.session.choices.lam = lam
    panel.live.finish()
    panel.display.finish_painting()
    found = {role: voxels(node).copy() for role, node in panel.session.nodes.items()}
    panel.session.refresh()
    assert "λ = 0.1" in panel.ui.resultLabel.text
    panel.onApplyButton()
    assert_same(found, panel.session.nodes)


HEAVY = {
    "run": ("preprocessing.clean", "load_fuser", "on_grid", "fuse_volumes", "color_volume", "images_of"),
    "live_fusion": ("clean", "on_grid", "prepare", "load_fuser", "scale_of"),
}


@pytest.mark.parametrize("room", HEAVY)
def test_what_takes_long_leaves_the_window_alone(panel, monkeypatch, room):
    """Neither Apply nor a live λ does it in the thread of the window."""
    import importlib
    import threading

    panel.onApplyButton()
    module, where = importlib.import_module(f"FunFuseSlicer.Logic.scene.{room}"), {}

    def noting(name, function):
        def noted(*arguments, **named):
            where[name] = threading.current_thread()
            return function(*arguments, **named)

        return noted

    for name in HEAVY[room]:
        holder = module.preprocessing if name.startswith("preprocessing.") else module
        plain = name.rpartition(".")[2]
        monkeypatch.setattr(holder, plain, noting(name, getattr(holder, plain)))
    if room == "run":
        panel.onApplyButton()
    else:
        panel.session.choices.lam = 0.3
        panel.live.finish()
    assert set(where) == set(HEAVY[room]) and threading.main_thread() not in where.values()


def test_a_live_lambda_waits_for_a_job_and_goes_on(panel, slicer):
    """λ, and at once a check of the alignment."""
    panel.onApplyButton()
    panel.session.choices.lam = 0.3
    panel.ui.alignmentComboBox.currentIndex = 3
    assert panel.alignment.active
    settled(panel, slicer)
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Lambda") == "0.3"


def test_a_run_that_is_cancelled_leaves_a_live_lambda_to_follow(panel, slicer):
    panel.onApplyButton()
    panel.session.choices.lam = 0.3
    process = panel.logic.process

    def cancelled(*arguments):
        panel.onApplyButton()
        return process(*arguments)

    panel.logic.process = cancelled
    panel.onApplyButton()
    assert "Cancelled" in panel.ui.statusLabel.text
    settled(panel, slicer)
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Lambda") == "0.3"


def settled(panel, slicer):
    """The event loop has done what was due."""
    import time

    end = time.monotonic() + 60
    while panel.live.active and time.monotonic() < end:
        slicer.app.processEvents()
    assert not panel.live.active


def test_the_papers_network_waits_for_apply(panel):
    from FunFuseSlicer.Logic.panel.choices import ModelChoice

    panel.onApplyButton()
    panel.session.choices.model = ModelChoice.PAPER
    assert not panel.live.active and panel.ui.statusLabel.text == "Press Apply for paper, λ = 0.8."
    panel.onApplyButton()
    assert "Press Apply" not in panel.ui.statusLabel.text


def test_whatever_fails_while_results_follow_is_told(panel, monkeypatch, caplog):
    from FunFuseSlicer.Logic.scene import live_fusion

    panel.onApplyButton()

    def fail(*_):
        raise RuntimeError("bad luck")

    monkeypatch.setattr(live_fusion, "fuse_prepared", fail)
    panel.session.choices.lam = 0.3
    while panel.live.active:
        panel.live.step()
    assert "bad luck" in panel.ui.statusLabel.text and "Traceback" in caplog.text


def test_an_error_while_results_follow_is_told(panel, slicer):
    """The results stay as they are."""
    panel.onApplyButton()
    fused = voxels(panel.session.nodes["fused"]).copy()
    panel.session.choices.autoUpdate = True
    slicer.util.updateVolumeFromArray(panel.pet, 0 * voxels(panel.pet))
    while panel.live.active:
        panel.live.step()
    assert "zero" in panel.ui.statusLabel.text
    np.testing.assert_array_equal(voxels(panel.session.nodes["fused"]), fused)


def test_another_lambda_of_the_papers_network_runs_by_itself_only_where_asked(panel):
    from FunFuseSlicer.Logic.panel.choices import ModelChoice

    panel.onApplyButton()
    panel.session.choices.model = ModelChoice.PAPER
    panel.session.choices.lam = 0.3
    assert not panel.runs.auto_timer.active and not panel.live.active
    panel.session.choices.autoUpdate = True
    panel.session.choices.lam = 0.2
    assert panel.runs.auto_timer.active
    panel.runs.auto_timer.stop()


def test_the_panel_can_be_closed_and_opened_while_a_slider_moves(panel, widget, slicer):
    panel.onApplyButton()
    panel.session.choices.omega = 0.1
    panel.cleanup()
    assert not panel.display.settle_timer.active
    assert (np.ptp(voxels(panel.session.nodes["colored"]).astype(int), axis=-1) < 30).all()


def test_a_run_may_outlive_its_panel(panel, slicer):
    """The module is loaded again while it runs: the old panel must not touch widgets that are gone."""
    process, ui = panel.logic.process, panel.ui

    def give_widgets(widgets):
        for part in (panel, *panel.sections):
            part.ui = widgets

    def reloaded_meanwhile(*arguments):
        panel.cleanup()
        give_widgets(None)
        return process(*arguments)

    panel.logic.process = reloaded_meanwhile
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    panel.onApplyButton()
    give_widgets(ui)
    assert {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")} == before
    assert not panel.session.run.busy_elsewhere and panel.session.run.state.value == "idle"


# The look


@pytest.mark.parametrize("oblique", [False, True])
def test_a_drag_paints_what_the_view_shows_as_the_whole(panel, slicer, oblique):
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    colored = panel.session.nodes["colored"]
    logic = next(logic for logic in views.shown_logics(colored))
    if oblique:
        turn = vtk.vtkTransform()
        turn.RotateX(17)
        turn.RotateY(-25)
        turn.RotateZ(8)
        logic.GetSliceNode().GetSliceToRAS().DeepCopy(turn.GetMatrix())
        logic.GetSliceNode().UpdateMatrices()
    panel.session.choices.omega = 1.0
    assert panel.display.settle_timer.active
    logic.GetImageDataConnection().GetProducer().Update()
    dragged = _picture(logic)
    panel.display.finish_painting()
    assert not panel.display.settle_timer.active
    np.testing.assert_array_equal(_picture(logic), dragged)
    assert np.ptp(dragged[..., :3].astype(int), axis=-1).max() > 50


def _picture(logic):
    from vtk.util.numpy_support import vtk_to_numpy

    producer = logic.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(image.GetDimensions()[1], image.GetDimensions()[0], -1).copy()


def test_the_mode_and_the_map_change_the_colors(panel):
    from FunFuseSlicer.Logic.panel.choices import Mode

    panel.onApplyButton()
    colored = panel.session.nodes["colored"]
    seen = []
    for mode, colormap in (
        (Mode.CONTRIBUTION, "Jet"),
        (Mode.UPTAKE, "Jet"),
        (Mode.UPTAKE, "PET-Heat"),
        (Mode.ORDERED, "PET-Heat"),
    ):
        panel.session.choices.mode, panel.session.choices.colormap = mode, colormap
        panel.display.finish_painting()
        seen.append(voxels(colored).copy())
        assert colored.GetAttribute("FunFuse.Colormap") == colormap or mode is Mode.CONTRIBUTION
    assert not any(np.array_equal(one, another) for one, another in zip(seen, seen[1:]))
    assert colored.GetAttribute("FunFuse.Mode") == "ordered"
    panel.onApplyButton()
    apart = np.abs(voxels(colored).astype(int) - seen[-1])
    assert apart.max() <= 2, "painted as a run colors"
    panel.session.choices.mode = Mode.GRADIENT
    assert "press Apply" in panel.ui.statusLabel.text
    panel.session.choices.mode = Mode.UPTAKE
    assert "press Apply" not in panel.ui.statusLabel.text
    panel.session.choices.mode = Mode.GRADIENT
    panel.onApplyButton()
    assert colored.GetAttribute("FunFuse.Mode") == "gradient"
    panel.session.choices.omega = 0.2
    panel.display.finish_painting()


def show_a_place(slicer, panel):
    """The user is in the Red view, at another slice, closer."""
    from FunFuseSlicer.Logic.scene import views

    logic = next(x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() == "Red")
    red = logic.GetSliceNode()
    red.SetSliceOffset(18.0)
    red.SetFieldOfView(80.0, 60.0, red.GetFieldOfView()[2])
    red.SetXYZOrigin(5.0, -4.0, 0.0)
    red.UpdateMatrices()
    return red


def test_the_four_panes_open_where_the_user_is_and_leave_the_other_views_alone(panel, slicer):
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    red = show_a_place(slicer, panel)

    def of_red():
        matrix = slicer.util.arrayFromVTKMatrix(red.GetSliceToRAS()).tolist()
        return matrix, red.GetSliceOffset(), red.GetFieldOfView(), red.GetXYZOrigin(), red.GetViewGroup()

    before = of_red()
    panel.ui.fourPanesButton.checked = True
    panes = [x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() in views.PANES]
    assert len(panes) == 4
    for logic in panes:
        node = logic.GetSliceNode()
        assert node.GetSliceOffset() == pytest.approx(18.0)
        assert node.GetFieldOfView()[1] == pytest.approx(60.0)
        assert node.GetXYZOrigin()[:2] == (5.0, -4.0)
    # As a user drags the slider above a pane: the panes go together, and nothing else moves.
    panes[1].StartSliceOffsetInteraction()
    panes[1].SetSliceOffset(-6.0)
    panes[1].EndSliceOffsetInteraction()
    assert [logic.GetSliceOffset() for logic in panes] == pytest.approx([-6.0] * 4)
    assert of_red() == before
    panel.onApplyButton()
    assert [logic.GetSliceOffset() for logic in panes] == pytest.approx([-6.0] * 4), "the user's place"
    panel.ui.fourPanesButton.checked = False
    assert of_red() == before and not views.four_panes_are_open()


def test_another_layout_of_the_user_ends_the_four_panes(panel):
    from funfuse_cli.headless import qt_events
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    panel.ui.fourPanesButton.checked = True
    layout = views.layout_node()
    layout.SetViewArrangement(layout.SlicerLayoutOneUpRedSliceView)
    qt_events.process()
    assert not panel.ui.fourPanesButton.checked
    assert layout.GetViewArrangement() == layout.SlicerLayoutOneUpRedSliceView


def test_axes_and_ruler_are_switched_on_once(panel, slicer):
    from FunFuseSlicer.Logic.scene import views

    nodes = [logic.GetSliceNode() for logic in views.slice_logics()]
    red, yellow = nodes[0], nodes[1]
    red.SetOrientationMarkerType(red.OrientationMarkerTypeHuman)
    panel.onApplyButton()
    panel.ui.fourPanesButton.checked = True
    nodes = [logic.GetSliceNode() for logic in views.slice_logics()]
    assert len(nodes) >= 7
    assert all(node.GetRulerType() == node.RulerTypeThin for node in nodes)
    kinds = {node.GetOrientationMarkerType() for node in nodes if node is not red}
    assert kinds == {red.OrientationMarkerTypeAxes}
    assert red.GetOrientationMarkerType() == red.OrientationMarkerTypeHuman, "the user's"
    yellow.SetRulerType(yellow.RulerTypeNone)
    panel.onApplyButton()
    assert yellow.GetRulerType() == yellow.RulerTypeNone, "the user's, too"


def test_zoom_is_kept_on_the_second_run(panel, slicer):
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    node = views.shown_logics(panel.session.nodes["colored"])[0].GetSliceNode()
    node.SetFieldOfView(33.0, 33.0, node.GetFieldOfView()[2])
    panel.onApplyButton()
    assert node.GetFieldOfView()[0] == 33.0


@pytest.mark.parametrize("index", [1, 2, 3])
def test_checking_the_alignment_leaves_the_views_as_they_were(panel, slicer, index):
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    layers = views.all_layers()
    before = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    panel.ui.alignmentComboBox.currentIndex = index
    assert panel.alignment.active and views.all_layers() != layers
    if index == 1:
        opacities = [views.slice_logics()[0].GetSliceCompositeNode().GetForegroundOpacity()]
        panel.alignment.flicker()
        opacities.append(views.slice_logics()[0].GetSliceCompositeNode().GetForegroundOpacity())
        assert sorted(opacities) == [0.0, 1.0]
    panel.exit()
    assert not panel.alignment.active and panel.ui.alignmentComboBox.currentIndex == 0
    assert views.all_layers() == layers
    assert {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")} == before


def test_leaving_the_module_while_a_check_is_drawn_ends_it(panel, slicer):
    from FunFuseSlicer.Logic.scene import views

    panel.onApplyButton()
    layers, report = views.all_layers(), panel.work.on_progress

    def leave(stage, fraction):
        if stage == "Comparing" and fraction:
            panel.exit()
        report(stage, fraction)

    panel.work.on_progress = leave
    panel.ui.alignmentComboBox.currentIndex = 3
    assert not panel.alignment.active and panel.ui.alignmentComboBox.currentIndex == 0
    assert views.all_layers() == layers and panel.session.run.free


# Other fusion methods

NETWORK_ONLY = ("modelComboBox", "lambdaSlider", "deviceComboBox", "balanceSlider")


def choose(panel, label):
    """Pick a fusion method as a user does."""
    combo = panel.ui.methodComboBox
    combo.currentIndex = next(i for i in range(combo.count) if combo.itemText(i) == label)


def is_offered(combo, index):
    from PySide6 import QtCore

    return bool(combo.model().index(index, 0).flags() & QtCore.Qt.ItemIsEnabled)


def test_all_methods_are_offered_and_what_belongs_to_the_network_is_gray(panel):
    import qt

    from FunFuseSlicer.Logic.fusion.fuser import method_labels
    from FunFuseSlicer.Logic.panel.choices import Mode

    ui, chosen = panel.ui, panel.session.choices
    labels = [ui.methodComboBox.itemText(index) for index in range(ui.methodComboBox.count)]
    assert [label.lower() for label in labels] == [label.lower() for label in method_labels().values()]
    assert chosen.method == "funfuse" and ui.methodComboBox.currentText == "FunFuse (this network)"
    chosen.mode = Mode.GRADIENT
    tips = {name: getattr(ui, name).toolTip for name in NETWORK_ONLY}
    for _time in range(2):
        choose(panel, "Laplacian pyramid")
        assert chosen.method == "laplacian_pyramid" and chosen.mode is Mode.UPTAKE
        assert ui.modeComboBox.currentText == Mode.UPTAKE.label() and ui.applyButton.enabled
        for name in NETWORK_ONLY:
            widget = getattr(ui, name)
            assert not widget.enabled and "Only" in widget.toolTip and "Laplacian pyramid" in widget.toolTip
        for index, mode in enumerate(Mode):
            possible = mode in (Mode.UPTAKE, Mode.ORDERED)
            assert is_offered(ui.modeComboBox, index) == possible
            tip = ui.modeComboBox.itemData(index, qt.Qt.ToolTipRole)
            assert ("Laplacian pyramid does not" in tip) != possible
        choose(panel, "Average")
        assert "average" in ui.balanceSlider.toolTip
        choose(panel, "FunFuse (this network)")
        assert chosen.method == "funfuse" and chosen.mode is Mode.GRADIENT, "as it was"
        assert {name: getattr(ui, name).toolTip for name in NETWORK_ONLY} == tips
        assert all(getattr(ui, name).enabled for name in NETWORK_ONLY)
        assert all(is_offered(ui.modeComboBox, index) for index in range(len(Mode)))
    for mode in (Mode.UPTAKE, Mode.ORDERED):
        chosen.mode = mode
        choose(panel, "Maximum")
        assert chosen.mode is mode, "which it gives, too"
        choose(panel, "FunFuse (this network)")
        assert chosen.mode is mode, "it was the choice"
    chosen.mode = Mode.CONTRIBUTION
    choose(panel, "Maximum")
    chosen.mode = Mode.ORDERED
    choose(panel, "FunFuse (this network)")
    assert chosen.mode is Mode.ORDERED, "chosen since"


def test_methods_follow_each_other_in_the_same_nodes(panel, slicer):
    from FunFuseSlicer.Logic.scene import attributes, outputs

    panel.onApplyButton()
    first, network = dict(panel.session.nodes), voxels(panel.session.nodes["fused"]).copy()
    count = slicer.mrmlScene.GetNumberOfNodes()
    choose(panel, "Average")
    assert "Press Apply for average" in panel.ui.statusLabel.text
    panel.onApplyButton()
    nodes = panel.session.nodes
    assert set(nodes) == set(outputs.VOLUME_ROLES) - set(outputs.PART_ROLES)
    assert all(nodes[role] is first[role] for role in nodes)
    assert not slicer.mrmlScene.IsNodePresent(first["mri_part"])
    said = panel.ui.resultLabel.text
    assert said.endswith("average.") and "λ" not in said and "Press Apply" not in panel.ui.statusLabel.text
    assert panel.ui.deviceLabel.text.endswith("CPU")
    colored = nodes["colored"]
    panel.session.choices.omega, panel.session.choices.colormap = 0.0, "PET-Heat"
    panel.display.finish_painting()
    gray = np.rint(255 * np.clip(voxels(nodes["fused"]), 0, 1))
    np.testing.assert_allclose(voxels(colored), np.repeat(gray[..., None], 3, axis=-1), atol=1)
    assert attributes.attribute(colored, "Omega") == "0.0" and colored.GetAttribute("FunFuse.Balance") is None
    # Colors of the network need its parts: they are not there before Apply.
    choose(panel, "FunFuse (this network)")
    assert "press Apply" in panel.ui.statusLabel.text and panel.session.nodes == nodes
    panel.onApplyButton()
    assert set(panel.session.nodes) == set(outputs.VOLUME_ROLES)
    np.testing.assert_array_equal(voxels(panel.session.nodes["fused"]), network)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_other_methods_do_not_follow(panel):
    panel.onApplyButton()
    panel.session.choices.lam = 0.3
    assert panel.live.active
    choose(panel, "Maximum")
    assert not panel.live.active
    choose(panel, "FunFuse (this network)")
    assert panel.live.active, "to the λ that is chosen"
    choose(panel, "Maximum")
    panel.onApplyButton()
    # The λ of the network next time, which means nothing now.
    panel.session.choices.lam = 0.5
    choose(panel, "FunFuse (this network)")
    assert not panel.live.active


def test_another_method_runs_by_itself_where_asked(panel):
    panel.onApplyButton()
    panel.session.choices.autoUpdate = True
    choose(panel, "Average")
    assert panel.runs.auto_timer.active
    panel.runs.auto_timer.stop()
    panel.runs.auto_run()
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Method") == "average"
    panel.session.choices.lam = 0.1
    assert not panel.runs.auto_timer.active, "the average has no λ"


@pytest.mark.parametrize("method", ["average", "of_the_future"])
def test_a_saved_scene_brings_the_method_back(panel, slicer, tmp_path, method):
    from FunFuseSlicer.Logic.panel.choices import Mode

    panel.session.choices.mode = Mode.GRADIENT
    choose(panel, "Average")
    panel.onApplyButton()
    fused = panel.session.nodes["fused"]
    if method != "average":
        panel.session.choices.method = method
        fused.SetAttribute("FunFuse.Method", method)
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert panel.ui.methodComboBox.currentText == "FunFuse (this network)"
    slicer.util.loadScene(str(path))
    chosen = panel.session.choices
    assert chosen.method == method and chosen.mode is Mode.UPTAKE
    assert panel.ui.methodComboBox.currentText == ("Average" if method == "average" else method)
    assert set(panel.session.nodes) == {"pet_registered", "fused", "colored"}
    chosen.omega = 0.0
    panel.display.finish_painting()
    gray = voxels(panel.session.nodes["colored"])
    assert (gray == gray[..., :1]).all()
    if method == "average":
        assert panel.ui.applyButton.enabled
    else:
        assert not panel.ui.applyButton.enabled and f'Unknown method "{method}"' in panel.ui.noticeLabel.text
        assert method in panel.ui.resultLabel.text
    choose(panel, "FunFuse (this network)")
    assert chosen.mode is Mode.GRADIENT, "as before the scene was saved"
    panel.onApplyButton()
    assert "pet_part" in panel.session.nodes and "Done" in panel.ui.statusLabel.text


def test_a_method_that_lacks_its_package_is_gray_and_says_why(panel, slicer, monkeypatch):
    import qt

    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget
    from FunFuseSlicer.Logic import methods

    lacking = methods.Method("odd", "Odd", "", np.maximum, needs=(("no_such_module", "no-such-package"),))
    monkeypatch.setitem(methods.METHODS, "odd", lacking)
    widget = open_panel()
    other = widget.self()
    try:
        combo = other.ui.methodComboBox
        last = combo.count - 1
        assert combo.itemText(last) == "Odd" and not is_offered(combo, last) and is_offered(combo, 0)
        assert "no-such-package" in combo.itemData(last, qt.Qt.ToolTipRole)
        other.session.choices.method = "odd"
        assert not other.ui.applyButton.enabled and "Odd needs" in other.ui.noticeLabel.text
        assert not panel.ui.applyButton.enabled, "the other panel shows the same choices"
        monkeypatch.setitem(methods.METHODS, "odd", methods.Method("odd", "Odd", "", np.maximum))
        other.session.refresh()
        assert other.ui.applyButton.enabled and is_offered(combo, last)
        other.onApplyButton()
        assert set(panel.session.nodes) == {"pet_registered", "fused", "colored"} == set(other.session.nodes)
    finally:
        close_widget(widget)


def test_a_script_may_use_another_method_under_the_panel(panel, slicer):
    from funfuse_cli.headless import qt_events
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions

    panel.onApplyButton()
    for method, parts in (("average", False), ("funfuse", True)):
        panel.logic.process(panel.mri, panel.pet, FusionOptions(method=method), registration=None)
        qt_events.process(lambda wanted=parts: ("pet_part" in panel.session.nodes) == wanted, 10.0)
        assert ("pet_part" in panel.session.nodes) == ("mri_part" in panel.session.nodes) == parts
    panel.session.choices.omega = 0.1
    panel.display.finish_painting()


# Results


def test_evaluate_fills_tables_and_says_the_means(panel, slicer, tmp_path):
    from FunFuseSlicer.Logic.scene.export import export_outputs

    panel.onApplyButton()
    panel.results.onEvaluateButton()
    assert "Q_SSIM" in panel.ui.resultLabel.text and "b_P" in panel.ui.resultLabel.text
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert max(table.GetNumberOfRows() for table in tables) >= 3
    count = len(tables)
    panel.results.onCopyButton()
    import qt

    copied = qt.QApplication.clipboard().text()
    assert "Q_SSIM" in copied and copied.count("\t") > 20
    files = export_outputs(panel.session.nodes, tmp_path, panel.results.tables())
    assert [path.suffix for path in files].count(".csv") == 2
    assert "Q_SSIM" in files[-1].read_text(encoding="utf-8")
    panel.onApplyButton()
    assert not panel.ui.copyButton.enabled and panel.results.tables() == []
    assert "Q_SSIM" not in panel.ui.resultLabel.text
    panel.results.onEvaluateButton()
    assert len(slicer.util.getNodesByClass("vtkMRMLTableNode")) == count


def test_a_loaded_chart_gets_its_series_again(panel, slicer, tmp_path):
    """Slicer loses one when it loads a second scene; here they are taken away in the file."""
    import zipfile

    panel.onApplyButton()
    panel.results.onEvaluateButton()
    chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
    count = chart.GetNumberOfPlotSeriesNodes()
    assert count == 6 and len(chart.GetYAxisTitle()) <= 24, "a quarter of the window is not high"
    path, lossy = tmp_path / "scene.mrb", tmp_path / "lossy.mrb"
    first = chart.GetNthPlotSeriesNodeID(0)
    assert slicer.util.saveScene(str(path))
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(lossy, "w") as without:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith(".mrml"):
                assert f"plotSeries:{first} ".encode() in data
                data = data.replace(f"plotSeries:{first} ".encode(), b"plotSeries:")
            without.writestr(name, data)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(lossy))
    chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
    names = [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert len(names) == count and names[0] == "Q_IE" and names[-1] == "b_P"


def test_a_painted_frame_is_one_event(panel, slicer):
    """Of the colored volume; each makes Slicer draw all views anew."""
    panel.onApplyButton()
    colored = panel.session.nodes["colored"]
    seen = []
    for event in ("ModifiedEvent", slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
        colored.AddObserver(event, lambda *_, event=event: seen.append(str(event)))
    panel.session.choices.omega = 0.3
    assert len(seen) == len(set(seen)) and seen, seen
    others = [node for role, node in panel.session.nodes.items() if role != "colored"]
    for node in others:
        node.AddObserver("ModifiedEvent", lambda *_: seen.append("another node"))
    seen.clear()
    panel.session.choices.omega = 0.4
    assert len(seen) == len(set(seen)) and "another node" not in seen, seen


def test_results_are_exported_whole_or_not_at_all(panel, slicer, tmp_path):
    from FunFuseSlicer.Logic.errors import OutputError
    from FunFuseSlicer.Logic.output_folder import LIST
    from FunFuseSlicer.Logic.scene.export import export_outputs

    panel.onApplyButton()
    files = export_outputs(panel.session.nodes, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*(path.name for path in files), LIST}
    assert all(re.fullmatch(r"[\w +]+\.(nrrd|html)", path.name) for path in files)
    (shown,) = (path for path in files if path.suffix == ".html")
    assert len(files) == 6 and shown.stem == panel.session.nodes["colored"].GetName()
    assert "Content-Security-Policy" in shown.read_text(encoding="utf-8")
    with pytest.raises(OutputError, match="another folder"):
        export_outputs(panel.session.nodes, files[0])


def test_sample_data_is_offered_where_there_is_the_module(monkeypatch):
    from FunFuseSlicer.Logic.scene import sample_data

    assert not sample_data.register_sample_data("icons")
    offered = []

    class Logic:
        @staticmethod
        def registerCustomSampleDataSource(**facts):
            offered.append(facts)

    fake = types.ModuleType("SampleData")
    fake.SampleDataLogic = Logic
    monkeypatch.setitem(sys.modules, "SampleData", fake)
    assert sample_data.register_sample_data("icons")
    (facts,) = offered
    lists = [facts[name] for name in ("uris", "fileNames", "nodeNames", "checksums")]
    assert len({len(values) for values in lists}) == 1
    assert all(re.fullmatch(r"SHA256:[0-9a-f]{64}", checksum) for checksum in facts["checksums"])


# The range


def _shown(panel):
    widget = panel.ui.rangeWidget
    return widget.minimumValue, widget.maximumValue


def test_the_range_is_that_of_the_results_until_a_handle_is_moved(panel):
    from FunFuseSlicer.Logic.scene.attributes import number_of, range_of

    ui, chosen = panel.ui, panel.session.choices
    assert not ui.rangeWidget.enabled and "press Apply" in ui.rangeWidget.toolTip
    panel.onApplyButton()
    colored = panel.session.nodes["colored"]
    scale = number_of(colored, "PETScale")
    assert ui.rangeWidget.enabled and _shown(panel) == (0, pytest.approx(scale, rel=0.01))
    before = voxels(colored).copy()
    ui.rangeWidget.setMaximumValue(2 * scale)
    ui.rangeWidget.setMinimumValue(0.1 * scale)
    assert not ui.automaticRangeCheckBox.checked
    panel.display.finish_painting()
    low, high = range_of(colored, "UptakeRange")
    assert (low, high) == (chosen.rangeLow, chosen.rangeHigh) == _shown(panel)
    assert high > 1.5 * scale and (voxels(colored) != before).any()
    display = panel.session.nodes["pet_registered"].GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (low, high)
    ui.automaticRangeCheckBox.checked = True
    panel.display.finish_painting()
    assert _shown(panel) == (0, pytest.approx(scale, rel=0.01))
    assert np.abs(voxels(colored).astype(int) - before).max() <= 2


def test_a_range_holds_for_the_next_pet_and_in_the_saved_scene(panel, slicer):
    panel.onApplyButton()
    panel.ui.rangeWidget.setMaximumValue(0.5 * panel.ui.rangeWidget.maximumValue)
    ends = _shown(panel)
    slicer.util.updateVolumeFromArray(panel.pet, 3 * voxels(panel.pet))
    panel.onApplyButton()
    assert _shown(panel) == ends and not panel.session.choices.automaticRange
    colored = panel.session.nodes["colored"]
    assert colored.GetAttribute("FunFuse.UptakeRange").split() == [repr(end) for end in ends]


def test_a_range_far_from_the_one_before_is_shown_whichever_way(panel):
    panel.onApplyButton()
    chosen, scale = panel.session.choices, panel.ui.rangeWidget.maximumValue
    for low, high in ((2 * scale, 3 * scale), (0.1 * scale, 0.2 * scale), (0.5 * scale, 4 * scale)):
        chosen.automaticRange, chosen.rangeLow, chosen.rangeHigh = False, low, high
        assert _shown(panel) == (pytest.approx(low, rel=0.02), pytest.approx(high, rel=0.02))
    chosen.rangeLow = 5 * scale
    assert panel.session.seen.look.uptake_range is None, "no range at all"
