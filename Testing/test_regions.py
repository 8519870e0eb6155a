"""What is in regions, and under the cursor: in arrays, in the scene, in the panel and on the command line."""

import csv
import time

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.metrics.regions import PET, region_rows
from FunFuseSlicer.Logic.scene.inputs import ijk_to_world
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from FunFuseSlicer.Logic.volumes.regions import Regions
from Testing.conftest import head_phantom

SEEDS = st.integers(0, 2**32 - 1)


def grid(shape, spacing, origin=(0.0, 0.0, 0.0)):
    matrix = np.diag([-spacing, -spacing, spacing, 1.0])
    matrix[:3, 3] = origin
    return Volume(np.zeros(shape, np.float32), matrix, "grid")


def displaced(degrees, shift):
    angle, matrix = np.radians(degrees), np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return matrix


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(-40, 40), st.tuples(*[st.floats(-8, 8)] * 3))
def test_the_pet_is_measured_voxel_by_voxel_where_it_was_taken(seed, degrees, shift):
    """A voxel counts for the region that its center lies in, and with its own value."""
    noise, matrix = np.random.default_rng(seed), displaced(degrees, shift)
    mri, pet = grid((12, 14, 16), 2.0), grid((7, 8, 9), 3.6, (1.0, 2.0, -3.0))
    labels = mri.with_array(noise.integers(0, 3, (3, 2, 2)).repeat(4, 0).repeat(7, 1).repeat(8, 2))
    pet = pet.with_array(noise.normal(100, 30, pet.array.shape).astype(np.float32), "PET")
    on_grid = {"fused": mri.with_array(noise.random(mri.array.shape).astype(np.float32))}
    rows = region_rows([Regions(labels)], pet, matrix, on_grid) if labels.array.any() else []
    k, j, i = np.indices(pet.array.shape).reshape(3, -1)
    points = np.linalg.inv(labels.ijk_to_ras) @ matrix @ pet.ijk_to_ras @ [i, j, k, np.ones(i.size)]
    near = np.rint(points[:3]).astype(int)
    # Not where two voxels of the labels are equally near.
    clear = np.abs(points[:3] - np.floor(points[:3]) - 0.5).min() > 1e-6
    there = ((near >= 0) & (near < np.array(labels.dimensions)[:, None])).all(axis=0)
    found = np.zeros(i.size, int)
    found[there] = labels.array[near[2, there], near[1, there], near[0, there]]
    for row in rows:
        inside = labels.array == row["label"]
        values = (
            pet.array.ravel()[found == row["label"]]
            if row["image"] == PET
            else on_grid["fused"].array[inside]
        )
        if row["image"] == PET and not clear:
            continue
        assert row["voxels"] == values.size
        assert row["volume_ml"] == pytest.approx(
            values.size * (3.6 if row["image"] == PET else 2.0) ** 3 / 1000
        )
        if values.size > 1:
            assert row["mean"] == pytest.approx(values.mean(), rel=1e-5)
            assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-4)
            assert (row["min"], row["max"]) == (values.min(), values.max())
            assert row["median"] == pytest.approx(np.median(values), rel=1e-6)


def test_what_is_no_number_does_not_count():
    labels, pet = grid((2, 2, 2), 1.0), grid((2, 2, 2), 1.0)
    labels.array[0] = 1
    pet.array[0] = [[1.0, 3.0], [np.nan, np.inf]]
    (row,) = region_rows([Regions(labels, {1: "pons"})], pet, None, {})
    assert (row["region"], row["voxels"], row["mean"]) == ("pons", 2, 2.0)
    assert row["sd"] == pytest.approx(np.sqrt(2))


def test_a_region_beside_the_pet_has_no_voxels():
    labels, pet = grid((2, 2, 2), 1.0), grid((2, 2, 2), 1.0, (90.0, 0.0, 0.0))
    labels.array[0] = 7
    row, other = region_rows([Regions(labels)], pet, None, {"fused": labels})
    assert (row["region"], row["voxels"], row["volume_ml"]) == ("label 7", 0, 0.0) and np.isnan(row["mean"])
    assert other["voxels"] == 4


@pytest.mark.parametrize("value, words", [(0.0, "no region"), (0.5, "no labels")])
def test_what_is_no_region_is_named(value, words):
    labels = grid((2, 2, 2), 1.0)
    labels.array[0] = value
    with pytest.raises(InputError, match=words):
        region_rows([Regions(labels)], labels, None, {})


# In the scene and in the panel


@pytest.fixture
def measured(panel, slicer):
    """The panel with results, and a label map of two regions, with the hot spot of the PET as the second."""
    panel.onApplyButton()
    chosen = panel.session.choices
    array = np.zeros(slicer.util.arrayFromVolume(chosen.mri).shape, np.uint8)
    array[2:4, 10:20, 10:30] = 1
    array[slicer.util.arrayFromVolume(chosen.pet) == 9000] = 2
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "atlas")
    labels.CopyOrientation(chosen.mri)
    slicer.util.updateVolumeFromArray(labels, array)
    return panel, labels, array


def cells(table):
    columns = [table.GetTable().GetColumn(n) for n in range(table.GetNumberOfColumns())]
    return {c.GetName(): [c.GetValue(n) for n in range(table.GetNumberOfRows())] for c in columns}


def test_regions_of_a_label_map_become_a_table(measured, slicer, tmp_path):
    panel, labels, array = measured
    assert not panel.ui.measureButton.enabled and "label map" in panel.ui.measureButton.toolTip
    panel.session.choices.regions = labels
    panel.values.onMeasureButton()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    found = cells(table)
    assert found["region"] == ["label 1"] * 5 + ["label 2"] * 5
    assert found["image"] == ["PET", "MRI", "fused", "mri part", "pet part"] * 2
    assert found["mean"][5] == 9000 and found["sd"][5] == 0 and found["voxels"][5] == (array == 2).sum()
    assert found["mean"][8] + found["mean"][9] == pytest.approx(found["mean"][7], abs=1e-5)
    assert table.GetAttribute("FunFuse.Regions") == "atlas" and table.GetName() in panel.ui.statusLabel.text
    panel.values.onMeasureButton()
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == [table]
    panel.results._export(str(tmp_path), None)
    with next(tmp_path.glob("atlas*.csv")).open(encoding="utf-8", newline="") as file:
        assert [float(row["mean"]) for row in csv.DictReader(file)] == found["mean"]
    slicer.mrmlScene.RemoveNode(labels)
    assert panel.session.choices.regions is None


def test_segments_are_regions_and_may_overlap(measured, slicer):
    panel, labels, array = measured
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(panel.session.choices.mri)
    for name, inside in (("hot", array == 2), ("all", array > 0)):
        segment = segmentation.GetSegmentation().AddEmptySegment(name, name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            inside.astype(np.uint8), segmentation, segment, panel.session.choices.mri
        )
    panel.session.choices.regions = segmentation
    panel.values.onMeasureButton()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    found = cells(table)
    assert found["region"] == ["hot"] * 5 + ["all"] * 5
    assert [found["voxels"][n] for n in (0, 5)] == [(array == 2).sum(), (array > 0).sum()]
    assert found["mean"][0] == 9000


def test_segments_of_the_pet_are_measured_where_they_were_drawn_and_in_its_unit(measured, slicer):
    """The reference region, too: before the registration. One without voxels has no row."""
    from FunFuseSlicer.Logic.panel.choices import Unit

    panel, _, array = measured
    chosen = panel.session.choices
    i, j, k = chosen.pet.GetOrigin()
    chosen.pet.SetOrigin(i - 14.0, j, k)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(chosen.pet)
    for name in ("nothing", "hot"):
        segmentation.GetSegmentation().AddEmptySegment(name, name)
    inside = (array == 2).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(inside, segmentation, "hot", chosen.pet)
    chosen.regions = chosen.reference = segmentation
    chosen.referencePart, chosen.unit = "hot", Unit.SUVR
    panel.runs._run(show=True, matrix=displaced(0, (14.0, 0.0, 0.0)))
    panel.values.onMeasureButton()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    found = cells(table)
    assert found["region"] == ["hot"] * 5 and found["unit"][0] == "SUVR"
    assert found["mean"][0] == pytest.approx(1) and found["voxels"][:2] == [inside.sum()] * 2


def test_the_values_under_the_cursor_are_those_of_the_voxel(panel, slicer):
    panel.onApplyButton()
    panel.enter()
    nodes, chosen = panel.session.nodes, panel.session.choices
    cross = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    i, j, k = 20, 30, 3
    point = (ijk_to_world(chosen.mri) @ [i + 0.3, j - 0.4, k + 0.2, 1.0])[:3]
    cross.SetCursorPositionRAS(point)
    volumes = {"mri": chosen.mri, **nodes}
    at = {role: slicer.util.arrayFromVolume(node)[k, j, i] for role, node in volumes.items()}
    line = panel.ui.cursorLabel.text
    assert f"PET {at['pet_registered']:.0f} · MRI {at['mri']:.0f} ·" in line
    assert f"fused {at['fused']:.2f} = {at['mri_part']:.2f} + {at['pet_part']:.2f}" in line
    # In the same voxel nothing is read.
    read, before = [], panel.values._line
    panel.values._line = lambda voxel: read.append(voxel) or before(voxel)
    cross.SetCursorPositionRAS(point + [0.2, 0.2, 0.2])
    assert not read
    began = time.perf_counter()
    for step in range(50):
        cross.SetCursorPositionRAS(point + [3.5 * (step % 5), 0.0, 0.0])
    assert len(read) > 40 and (time.perf_counter() - began) / 50 < 0.01
    # Other voxels, outside of the volume, no view, and another module.
    cross.SetCursorPositionRAS(point)
    assert panel.ui.cursorLabel.text == line
    panel.session.choices.lam = 0.1
    panel.live.finish()
    assert panel.ui.cursorLabel.text.endswith("–")
    cross.SetCursorPositionRAS(point + [0.1, 0.0, 0.0])
    assert "fused" in panel.ui.cursorLabel.text
    for away in (lambda: cross.SetCursorPositionRAS([900.0, 0.0, 0.0]), cross.SetCursorPositionInvalid):
        cross.SetCursorPositionRAS(point)
        away()
        assert panel.ui.cursorLabel.text.endswith("–")
    panel.exit()
    cross.SetCursorPositionRAS(point)
    assert panel.ui.cursorLabel.text.endswith("–")


# On the command line


def test_the_command_measures_a_run(tmp_path, capsys):
    mri, pet = head_phantom((6, 24, 20), (6.0, 6.0, 14.0))
    labels = mri.with_array((pet.array == 9000).astype(np.uint8) * 3)
    matrix = displaced(0, (6.0, 0.0, 0.0))
    moved = Volume(pet.array, np.linalg.inv(matrix) @ pet.ijk_to_ras, "FDG")
    paths = {name: str(tmp_path / f"{name}.nii.gz") for name in ("mri", "pet", "regions", "other")}
    for name, volume in (("mri", mri), ("pet", moved), ("regions", labels), ("other", pet)):
        sitk.WriteImage(volume_to_sitk(volume), paths[name])
    transform = sitk.AffineTransform(3)
    # Of ITK: from the MRI to the PET, in LPS.
    transform.SetTranslation((6.0, 0.0, 0.0))
    sitk.WriteTransform(transform, str(tmp_path / "found.tfm"))
    names = tmp_path / "dseg.tsv"
    names.write_text("index\tname\n3\thot spot\n", encoding="utf-8")
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    fuse = ["fuse", "--mri", paths["mri"], "--pet", paths["pet"], "--out", run]
    fuse += ["--transform", str(tmp_path / "found.tfm"), "--outputs", "fused", "parts"]
    assert main(fuse) == 0
    capsys.readouterr()
    measure = ["values", run, "--regions", paths["regions"], "--names", str(names), "--out", out, "--pet"]
    assert main([*measure, paths["pet"]]) == 0
    with open(f"{out}/values.csv", encoding="utf-8", newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["PET", "fused", "mri part", "pet part"]
    assert rows["PET"]["region"] == "hot spot" and float(rows["PET"]["mean"]) == 9000
    assert int(rows["PET"]["voxels"]) == int(rows["fused"]["voxels"]) == labels.array.astype(bool).sum()
    parts = sum(float(rows[name]["mean"]) for name in ("mri part", "pet part"))
    assert parts == pytest.approx(float(rows["fused"]["mean"]), abs=1e-5)
    assert "hot spot  PET" in capsys.readouterr().out
    # In the unit of the run, by a region that lies on the PET, as its grid tells.
    label = sitk.GetImageFromArray((pet.array == 9000).astype(np.uint8))
    label.CopyInformation(sitk.ReadImage(paths["pet"]))
    sitk.WriteImage(label, str(tmp_path / "own.nii.gz"))
    suvr = [*fuse, "--overwrite", "--units", "SUVR", "--reference", str(tmp_path / "own.nii.gz")]
    assert main(suvr) == 0
    measure = ["values", run, "--regions", str(tmp_path / "own.nii.gz"), "--out", out, "--pet"]
    assert main([*measure, paths["pet"]]) == 0
    with open(f"{out}/values.csv", encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["unit"], float(row["mean"])) == ("SUVR", pytest.approx(1))
    assert main([*measure, paths["other"]]) == 2
    assert "is not the PET" in capsys.readouterr().err
    assert main(["values", str(tmp_path), "--regions", paths["regions"], "--pet", paths["pet"]]) == 2
    assert "report.json" in capsys.readouterr().err
