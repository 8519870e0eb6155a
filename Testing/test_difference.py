"""Asymmetry and subtraction: known answers, in arrays, in the scene, in the panel and on the command line."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from funfuse_cli.__main__ import main
from FunFuseSlicer.Logic.color.difference import colored, difference_table
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.registration.mirror import find_mirror_plane
from FunFuseSlicer.Logic.registration.second import register_second
from FunFuseSlicer.Logic.scene import views
from FunFuseSlicer.Logic.volumes.differences import (
    PERCENT,
    SUBTRACTION,
    DifferenceOptions,
    Z,
    asymmetry,
    smoothed,
    subtraction,
)
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample, volume_to_sitk

# Half axes of a small head, millimeters.
HEAD = np.array([44.0, 54.0, 46.0])


def turn(yaw, roll):
    """About S, after about A, in degrees."""
    y, r = np.radians([yaw, roll])
    about_s = [[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]]
    about_a = [[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]]
    return np.array(about_s) @ about_a


def head(yaw=0.0, roll=0.0, shift=0.0, lesion=1.0, spacing=3.0, size=(36, 44, 38)):
    """A symmetric MRI and PET of a turned and shifted head, but for a lesion of the PET in its right half."""
    matrix = np.diag([-spacing, -spacing, spacing, 1.0])
    matrix[:3, 3] = spacing * (np.array(size[::-1]) - 1) / 2 * [1, 1, -1]
    # Eight points a voxel, so that edges are as blurred as voxels are.
    k, j, i = (np.indices([2 * n for n in size]).reshape(3, -1) - 0.5) / 2
    points = (matrix @ [i, j, k, np.ones(i.size)])[:3] - np.array([[shift], [0.0], [0.0]])
    x, y, z = (turn(yaw, roll).T @ points) / HEAD[:, None]
    radius = np.sqrt(x**2 + y**2 + z**2)

    def ball(at, r):
        return sum((a - b) ** 2 for a, b in zip((np.abs(x), y, z), at)) < r**2

    mri, pet = np.zeros(x.size), np.zeros(x.size)
    for inner, gray, uptake in ((1.0, 110, 4000), (0.75, 200, 2500)):
        mri[radius < inner], pet[radius < inner] = gray, uptake
    for at, r, gray, uptake in (((0.15, 0.1, 0.1), 0.15, 30, 2600), ((0.4, -0.5, 0.3), 0.2, 120, 3800)):
        mri[ball(at, r)], pet[ball(at, r)] = gray, uptake
    mri[ball((0.5, 0.4, -0.2), 0.15)] = 150
    where = ball((0.5, 0.2, 0.2), 0.25) & (x > 0)
    pet[where] *= lesion
    halves = np.ravel([(n, 2) for n in size])
    mri, pet, share = (array.reshape(halves).mean(axis=(1, 3, 5)) for array in (mri, pet, where))
    volumes = [Volume(array.astype(np.float32), matrix, name) for array, name in ((mri, "T1"), (pet, "FDG"))]
    return (*volumes, share == 1.0)


@pytest.mark.parametrize("yaw, roll, shift", [(6.0, -4.0, 5.0), (-9.0, 7.0, -3.0)])
def test_the_mirror_plane_of_a_tilted_head(yaw, roll, shift):
    mri, _, _ = head(yaw, roll, shift)
    told = []

    class Listener:
        def report(self, stage, fraction):
            told.append(fraction)

    plane = find_mirror_plane(mri, Listener())
    normal = turn(yaw, roll) @ [1.0, 0.0, 0.0]
    assert np.degrees(np.arccos(min(1.0, plane.normal @ normal))) < 0.5
    assert abs(plane.normal @ [shift, 0.0, 0.0] - plane.offset) < 0.5
    np.testing.assert_allclose(plane.matrix @ plane.matrix, np.eye(4), atol=1e-9)
    assert told == sorted(told) and told[-1] == 1.0


def test_a_symmetric_pet_has_no_asymmetry_about_a_plane_that_was_found():
    """Of a tilted head, whose mirror image is interpolated; a lesion then shows on its own side only."""
    seen, plane = {}, find_mirror_plane(head(6.0, -4.0, 5.0)[0])
    for lesion in (1.0, 0.8):
        mri, pet, where = head(6.0, -4.0, 5.0, lesion)
        # There is some activity beside a head, too.
        first = smoothed(pet.array + 200, pet.spacing, 8.0)
        mirrored = resample(pet.with_array(first), mri, plane.matrix).array
        inside = (mri.array > 0) & (resample(mri, mri, plane.matrix).array > 0)
        seen[lesion] = asymmetry(first, mirrored, inside, PERCENT)
    assert np.abs(seen[1.0]).max() < 12.0 and np.median(np.abs(seen[1.0][inside])) < 1.0
    found, other = np.argwhere(seen[0.8] < -12.0), np.argwhere(seen[0.8] > 12.0)
    middle = np.argwhere(where).mean(axis=0)
    assert len(found) > 20 and np.linalg.norm(found.mean(axis=0) - middle) < 1.5
    assert np.linalg.norm(found - middle, axis=1).max() < 6.0
    # The other half has as much more, where the mirror image of the lesion is.
    assert other.mean(axis=0)[2] > 20.0 > middle[2]


def test_the_index_of_a_lesion_is_what_it_says():
    mri, pet, where = head(lesion=0.8)
    inside = mri.array > 0
    found = asymmetry(pet.array, pet.array[:, :, ::-1], inside, PERCENT)
    near = ndimage.binary_dilation(where, iterations=2)
    np.testing.assert_allclose(found[where], 200 * (0.8 - 1.0) / (0.8 + 1.0), rtol=1e-5)
    np.testing.assert_allclose(found[:, :, ::-1][where], 200 * (1.0 - 0.8) / (1.0 + 0.8), rtol=1e-5)
    assert np.abs(found[~near & ~near[:, :, ::-1]]).max() < 1e-3


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([PERCENT, Z]), st.floats(0.01, 1e4))
def test_sides_exchanged_change_the_sign_and_units_do_not_matter(seed, kind, factor):
    noise = np.random.default_rng(seed)
    right, left = noise.uniform(0.2, 3.0, (2, 4, 5, 6)).astype(np.float32)
    inside = noise.random(right.shape) < 0.8
    both = inside & (np.minimum(right, left) > 0)
    # The mean of the brain is that of the first image: of equal ones here.
    left *= right[both].mean() / left[both].mean()
    found = asymmetry(right, left, both, kind)
    np.testing.assert_allclose(asymmetry(left, right, both, kind), -found, rtol=2e-3, atol=2e-3)
    scaled = asymmetry(right * np.float32(factor), left * np.float32(factor), both, kind)
    np.testing.assert_allclose(scaled, found, rtol=2e-3, atol=2e-3)
    assert not found[~both].any()
    if kind == PERCENT:
        assert np.abs(found).max() < 200.0
    counted = found[found != 0]
    if kind == Z and counted.size > 40:
        assert abs(np.median(counted)) < 0.15
        assert 1.4826 * np.median(np.abs(counted)) == pytest.approx(1.0, rel=0.15)


def test_siscom_finds_the_hot_focus_and_no_other():
    """Of another dose, with noise."""
    mri, pet, where = head()
    noise, inside = np.random.default_rng(5), mri.array > 0
    ictal = pet.array * np.where(where, 1.4, 1.0)
    first, second = (
        smoothed(image * noise.normal(1.0, 0.03, image.shape), pet.spacing, 6.0)
        for image in (ictal, 0.37 * pet.array)
    )
    found = subtraction(first, second, inside)
    hot = np.argwhere(found >= 2.0)
    middle = np.argwhere(where).mean(axis=0)
    assert (found[where] >= 2.0).mean() > 0.6
    assert np.linalg.norm(hot - middle, axis=1).max() < 6.0
    assert found[inside].mean() == pytest.approx(0.0, abs=1e-4)
    assert found[inside].std() == pytest.approx(1.0, abs=1e-4)


def test_a_second_study_comes_to_the_place_of_the_first():
    mri, pet, _ = head()
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turn(5.0, -3.0), (4.0, -6.0, 3.0)
    second = Volume(pet.array, np.linalg.inv(moved) @ pet.ijk_to_ras, "interictal")
    found = register_second(mri, pet, np.eye(4), second)
    points = np.array([[x, y, z, 1.0] for x in (-30, 30) for y in (-40, 40) for z in (-30, 30)]).T
    assert np.linalg.norm((found @ np.linalg.inv(moved) @ points - points)[:3], axis=0).max() < 1.0


def test_colors_are_gray_where_nothing_stands_out():
    options = DifferenceOptions(Z)
    values = np.array([-9.0, -6.0, -2.0, -1.99, 0.0, 1.99, 2.0, 6.0, 9.0])
    red, green, blue = colored(np.full(9, 0.5), values, options, 1.0).T.astype(int)
    gray = (red == green) & (green == blue)
    assert gray.tolist() == [False] * 3 + [True] * 3 + [False] * 3
    assert (red[gray] == 128).all() and (red[:3] < blue[:3]).all() and (red[-3:] > blue[-3:]).all()
    assert (green[1] > green[2]) and (green[-2] > green[-3]), "further is lighter"
    assert (colored(np.full(9, 0.5), values, options, 0.0) == 128).all()
    assert difference_table().max(axis=1).min() == 1.0


@pytest.mark.parametrize(
    "options, words",
    [
        ({"kind": "other"}, "choose one of"),
        ({"smooth_mm": -1.0}, "0 and 40"),
        ({"smooth_mm": float("nan")}, "0 and 40"),
        ({"threshold": 0.0}, "above 0"),
    ],
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(InputError, match=words):
        DifferenceOptions(**options)


def test_a_brain_without_uptake_is_told():
    nothing = np.zeros((2, 3, 4), np.float32)
    with pytest.raises(InputError, match="no uptake"):
        subtraction(nothing, nothing, nothing == 0)


# In the scene and in the panel


def shown(name="Red"):
    logic = next(x for x in views.slice_logics() if x.GetSliceNode().GetLayoutName() == name)
    return views.layers_of(logic)


def test_compare_colors_the_fused_image_and_goes_back(panel, slicer, windows, tmp_path):
    from FunFuseSlicer.Logic.panel.choices import Comparison

    red, ui, chosen = windows("Red"), panel.ui, panel.session.choices
    panel.onApplyButton()
    assert not ui.showDifferenceButton.enabled and "Compare" in ui.showDifferenceButton.toolTip
    before = views.all_layers()
    panel.difference.onCompareButton()
    nodes = panel.session.nodes
    found, legend_of = nodes["difference"], slicer.modules.colors.logic().GetColorLegendDisplayNode
    assert shown()[:2] == (nodes["fused"].GetID(), found.GetID()) and ui.showDifferenceButton.checked
    legend = legend_of(found.GetDisplayNode())
    assert red.shows_legend(legend) and legend.GetTitleText() == "FDG, asymmetry in %"
    assert found.GetAttribute("FunFuse.MirrorPlane").startswith("normal (R, A, S) ")
    assert (found.GetAttribute("FunFuse.ShownFrom"), found.GetAttribute("FunFuse.SmoothingMm")) == (
        "15 %",
        "10.0",
    )
    assert found.GetAttribute("FunFuse.Model") == nodes["fused"].GetAttribute("FunFuse.Model")
    values = slicer.util.arrayFromVolume(found)
    # The hot spot of that head is in its left half, which is where i is large.
    k, j, i = np.unravel_index(int(np.argmax(values)), values.shape)
    assert values[k, j, i] > 15 and i > values.shape[2] / 2 and values[k, j, values.shape[2] - 1 - i] < -15
    assert "Red is more" in ui.statusLabel.text
    # Another kind updates the node, and the key still shows the plain PET.
    chosen.compareWith, chosen.smoothing, chosen.shownFrom = Comparison.Z, 4.0, 3.0
    panel.difference.onCompareButton()
    assert panel.session.nodes["difference"] is found and found.GetAttribute("FunFuse.ShownFrom") == "3 z"
    assert found.GetDisplayNode().GetWindowLevelMax() == pytest.approx(9.0)
    panel.blend.onKey()
    assert shown()[:2] == (nodes["pet_registered"].GetID(), None) and not ui.showDifferenceButton.checked
    panel.blend.onKey()
    assert views.all_layers() == before
    panel.difference.onShowButton()
    assert shown().foreground == found.GetID() and ui.showDifferenceButton.checked
    panel.difference.onShowButton()
    assert views.all_layers() == before and not ui.showDifferenceButton.checked
    # It comes back with a saved scene, and goes with the next run.
    path = str(tmp_path / "scene.mrb")
    panel.difference.onShowButton()
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    found = panel.session.nodes["difference"]
    assert ui.showDifferenceButton.checked and panel.session.choices.shownFrom == 3.0
    assert shown().foreground == found.GetID()
    panel.onApplyButton()
    assert "difference" not in panel.session.nodes and not slicer.mrmlScene.IsNodePresent(found)
    assert shown().foreground == panel.session.nodes["colored"].GetID()


def test_it_takes_the_place_of_any_blend_and_leaves_no_gray_behind(panel, slicer):
    """Over the plain PET nothing would be seen; and its views have the overlay again when it goes."""
    panel.onApplyButton()
    chosen, nodes = panel.session.choices, panel.session.nodes
    overlay = chosen.mri.GetID(), nodes["colored"].GetID()
    for show in (panel.difference.onCompareButton, panel.difference.onShowButton):
        panel.blend.onKey()
        assert shown().background == nodes["pet_registered"].GetID()
        show()
        assert shown()[:2] == (nodes["fused"].GetID(), panel.session.nodes["difference"].GetID())
        assert panel.ui.showDifferenceButton.checked and chosen.blend == 0.5
    for index, show in ((1, panel.difference.onCompareButton), (2, panel.difference.onShowButton)):
        panel.ui.alignmentComboBox.currentIndex = index
        assert panel.alignment.active
        panel.ui.alignmentComboBox.currentIndex = 0
        assert panel.ui.showDifferenceButton.checked, "it is there again"
        panel.difference.onShowButton()
        panel.ui.alignmentComboBox.currentIndex = index
        show()
        assert not panel.alignment.active and panel.ui.showDifferenceButton.checked
    panel.runs.auto_run()
    assert "difference" not in panel.session.nodes and shown()[:2] == overlay
    panel.difference.onCompareButton()
    slicer.mrmlScene.RemoveNode(panel.session.nodes["difference"])
    assert shown()[:2] == overlay and not panel.ui.showDifferenceButton.checked


def test_subtract_wants_another_study_and_finds_what_it_lacks(panel, slicer):
    from FunFuseSlicer.Logic.panel.choices import Comparison
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node, volume_from_node

    panel.onApplyButton()
    chosen, ui = panel.session.choices, panel.ui
    chosen.compareWith, chosen.smoothing = Comparison.SUBTRACTION, 0.0
    assert not ui.compareButton.enabled and ui.compareButton.toolTip == "Choose the other study."
    pet = volume_from_node(chosen.pet)
    hot = pet.array == 9000
    chosen.otherStudy = add_volume_node(
        pet.with_array(np.where(hot, 4000, pet.array).astype(np.float32), "rest")
    )
    assert ui.compareButton.enabled and ui.otherStudySelector.enabled
    panel.difference.onCompareButton()
    found = slicer.util.arrayFromVolume(panel.session.nodes["difference"])
    assert ((found >= 2.0) == (hot & ndimage.binary_erosion(pet.array > 0))).all()
    assert panel.session.nodes["difference"].GetAttribute("FunFuse.DifferenceFrom") == "rest"
    rest, copy = chosen.otherStudy, add_volume_node(pet)
    for other in (chosen.pet, chosen.mri, panel.session.nodes["pet_registered"], copy):
        chosen.otherStudy = other
        panel.difference.onCompareButton()
        assert "Nothing was compared" in ui.statusLabel.text and "hoose another study" in ui.statusLabel.text
    chosen.otherStudy = rest
    slicer.mrmlScene.RemoveNode(chosen.otherStudy)
    assert chosen.otherStudy is None
    chosen.compareWith = Comparison.PERCENT
    assert ui.compareButton.enabled and not ui.otherStudySelector.enabled


# On the command line


def test_the_command_writes_volume_picture_and_facts(tmp_path, capsys):
    mri, pet, where = head(lesion=0.6, spacing=4.0, size=(27, 33, 29))
    rest = pet.with_array(np.where(where, pet.array / 0.6, pet.array).astype(np.float32))
    paths = [str(tmp_path / f"{name}.nii.gz") for name in ("T1", "FDG", "rest")]
    for path, volume in zip(paths, (mri, pet, rest)):
        sitk.WriteImage(volume_to_sitk(volume), path)
    fuse = [
        "fuse",
        "--mri",
        paths[0],
        "--pet",
        paths[1],
        "--no-register",
        "--no-scene",
        "--method",
        "average",
    ]
    for name, more in (
        ("side", ["--asymmetry", "percent"]),
        ("study", ["--subtract", paths[2], "--shown-from", "3"]),
    ):
        out = tmp_path / name
        assert main([*fuse, "--smooth", "4", *more, "--out", str(out)]) == 0
        told = json.loads((out / "report.json").read_text(encoding="utf-8"))["difference"]
        assert told["smoothing_mm"] == 4.0 and told["decreased_ml"] > 1.0
        assert told["kind"] == (PERCENT if name == "side" else SUBTRACTION)
        assert told["shown_from"] == (15.0 if name == "side" else 3.0)
        found = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "difference.nrrd")))
        assert found[where].mean() < -told["shown_from"] and (out / "difference.png").stat().st_size > 10_000
        page = (out / "report.html").read_text(encoding="utf-8")
        assert "<h2>Comparison</h2>" in page and told["kind"] in page and "<h2>What stands out</h2>" in page
    assert "less in" in capsys.readouterr().out
    assert main([*fuse, "--smooth", "4", "--out", str(tmp_path / "none")]) == 2
    assert "--asymmetry" in capsys.readouterr().err
