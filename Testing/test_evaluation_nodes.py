"""The metrics of a fused volume in Slicer's scene: the same numbers as the command line, table and plot."""

import csv
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from FunFuseSlicer.Logic.errors import Cancelled, InputError, OutputError
from FunFuseSlicer.Logic.metrics import METRICS
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.scene import evaluation, tables
from FunFuseSlicer.Logic.scene.attributes import MRI_REFERENCE, PET_REFERENCE, ROLE_ATTRIBUTE
from FunFuseSlicer.Logic.scene.inputs import add_volume_node
from FunFuseSlicer.Logic.scene.outputs import find_outputs, images_of, push_outputs
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from FunFuseSlicer.Logic.volumes.preprocessing import normalize
from Testing.conftest import head_phantom

DISPLAY = {role: (0.0, 1.0) for role in ("pet_registered", "fused", "mri_part", "pet_part")}


def fused_pair(slices=5, empty=1):
    """MRI, PET, fused volume and its parts, with empty slices at the feet; 46 × 42 voxels a slice."""
    mri, pet = head_phantom((slices, 46, 42), (3.0, 3.0, 9.0))
    blank = np.zeros_like(mri.array[:1])
    mri, pet = (v.with_array(np.concatenate([blank] * empty + [v.array])) for v in (mri, pet))
    parts = [(normalize(mri.array) * 0.5), (normalize(pet.array) * 0.52)]
    names = ("fused", "mri part", "pet part")
    return (mri, pet, *(mri.with_array(a, n) for a, n in zip((parts[0] + parts[1], *parts), names)))


def turned(volume):
    """The same head, stored sagittally."""
    turn = np.eye(4)[:, [2, 1, 0, 3]]
    return Volume(
        np.ascontiguousarray(volume.array.transpose(2, 1, 0)), volume.ijk_to_ras @ turn, volume.name
    )


@pytest.fixture
def outputs(slicer):
    """(MRI node, nodes by role) as a run leaves them."""
    mri, pet, fused, mri_part, pet_part = fused_pair()
    mri_node, pet_node = add_volume_node(mri), add_volume_node(pet)
    arrays = {
        "pet_registered": pet.array,
        "fused": fused.array,
        "mri_part": mri_part.array,
        "pet_part": pet_part.array,
        "colored": np.zeros((*mri.array.shape, 3), np.uint8),
    }
    facts = {"MRIName": "T1", "PETName": "FDG", "Lambda": "0.3", "ModelSHA256": "ab" * 32}
    push_outputs(mri_node, pet_node, images_of(arrays), None, DISPLAY, facts, "Jet")
    return mri_node, find_outputs(mri_node, pet_node)


ROWS = [
    {
        "slice": k,
        "S (mm)": 3.0 * k,
        **{name: 0.5 + 0.01 * k + (k == 2) * 1e-12 for name in METRICS},
        "b_P": 0.4,
        "rank_fused": math.nan if k == 2 else 0.25 * k,
        "completeness": 1e-7 * k,
    }
    for k in range(1, 4)
]


@pytest.mark.parametrize("storage", [lambda volume: volume, turned], ids=["axial", "sagittal"])
def test_the_numbers_are_those_of_the_command_line(tmp_path, capsys, storage):
    volumes = [storage(volume) for volume in fused_pair()]
    paths = [tmp_path / name for name in ("T1.nii.gz", "FDG.nrrd", "fused.nrrd")]
    for volume, path in zip(volumes, paths):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    names = [word for pair in zip(("--mri", "--pet", "--fused"), map(str, paths)) for word in pair]
    assert main(["evaluate", *names, "--lambda", "0.3", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    rows = evaluation.evaluate_volumes(*volumes[:3], lam=0.3)
    assert len(rows) == len(expected["slices"]) == 3
    for row, other in zip(rows, expected.pop("slices")):
        assert {name: row[name] for name in other} == pytest.approx(other, abs=1e-6)
    mean = evaluation.means(rows)
    assert {name: mean[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_places_are_those_of_the_slices_and_parts_are_measured():
    mri, *others = fused_pair()
    rows = evaluation.evaluate_volumes(mri, *others)
    for row in rows:
        point = mri.ijk_to_ras @ [0, 0, row["slice"], 1]
        assert row["S (mm)"] == pytest.approx(point[2])
    assert [row["slice"] for row in rows] == sorted(row["slice"] for row in rows)
    flipped = [Volume(v.array[::-1], v.ijk_to_ras @ np.diag([1, 1, -1, 1]), v.name) for v in (mri, *others)]
    shift = np.eye(4)
    shift[2, 3] = 5
    flipped = [v.with_array(np.ascontiguousarray(v.array)) for v in flipped]
    again = evaluation.evaluate_volumes(*(Volume(v.array, shift @ v.ijk_to_ras, v.name) for v in flipped))
    spacing = mri.spacing[2]
    last = (len(mri.array) - 1) * spacing
    for row, other in zip(rows, again):
        assert other["S (mm)"] == pytest.approx(row["S (mm)"] + 5 - last)
        assert other["Q_G"] == pytest.approx(row["Q_G"]) and other["slice"] == row["slice"]
    for row in rows:
        assert row["completeness"] < 1e-6 and row["rank_PET_part"] == pytest.approx(1)
    broken = others[2].with_array(others[2].array + 0.25)
    worse = evaluation.evaluate_volumes(mri, *others[:2], broken, others[3])
    assert all(row["completeness"] == pytest.approx(0.25, abs=1e-5) for row in worse)
    assert evaluation.means(worse)["completeness"] == max(row["completeness"] for row in worse)


def test_every_nth_slice_from_the_middle_of_what_is_left_out():
    volumes = fused_pair(9, 2)[:3]
    whole = evaluation.evaluate_volumes(*volumes)
    assert len(whole) == 7
    for every, places in ((2, (0, 2, 4, 6)), (3, (0, 3, 6)), (4, (1, 5)), (50, (3,))):
        rows = evaluation.evaluate_volumes(*volumes, every=every)
        assert len(rows) == len(places)
        for row, place in zip(rows, places):
            assert row == pytest.approx(whole[place], abs=0, nan_ok=True)
    with pytest.raises(InputError, match="choose 1 or more"):
        evaluation.evaluate_volumes(*volumes, every=0)


def test_progress_and_cancel():
    volumes = fused_pair()[:3]
    seen = []
    evaluation.evaluate_volumes(*volumes, monitor=Monitor(lambda *report: seen.append(report)))
    assert seen == [("Evaluating", fraction) for fraction in (0, 1 / 3, 2 / 3, 1.0)]
    monitor = Monitor(lambda stage, fraction: monitor.cancel() if fraction > 0 else None)
    with pytest.raises(Cancelled):
        evaluation.evaluate_volumes(*volumes, monitor=monitor)


def test_volumes_that_do_not_fit_are_named():
    mri, pet, fused, *_ = fused_pair()
    moved = Volume(fused.array, mri.ijk_to_ras + np.eye(4)[:, [3]] @ np.eye(4)[[0]], "elsewhere")
    small = [v.with_array(v.array[:, :40]) for v in (mri, pet, fused)]
    for arguments, words in (
        ((mri, pet, moved), '"elsewhere" and "T1" have different grids'),
        ((mri, pet.with_array(pet.array[1:]), fused), '"FDG" and "T1" have different grids'),
        ((mri, pet.with_array(0 * pet.array), fused), '"FDG" is zero everywhere'),
        ((mri, pet, fused.with_array(fused.array * np.nan)), '"fused" has voxels that are NaN'),
        ((mri, pet, fused.with_array(np.int16(fused.array * 999))), '"fused" has values from 0 to'),
        (small, '"T1": axial slices have 40 × 42 voxels'),
    ):
        with pytest.raises(InputError, match=words):
            evaluation.evaluate_volumes(*arguments)
    levels = fused.with_array(np.uint8(np.rint(255 * np.clip(fused.array, 0, 1))))
    value = evaluation.evaluate_volumes(mri, pet, levels)[0]["SSIM_MRI"]
    assert value == pytest.approx(evaluation.evaluate_volumes(mri, pet, fused)[0]["SSIM_MRI"], abs=0.01)


def test_nodes_give_the_numbers_of_their_volumes(outputs):
    mri, nodes = outputs
    rows = evaluation.evaluate_nodes(mri, nodes, every=2)
    expected = evaluation.evaluate_volumes(*fused_pair(), lam=0.3, every=2)
    assert len(rows) == 2
    for row, other in zip(rows, expected):
        assert row == pytest.approx(other, abs=1e-6)
    del nodes["mri_part"]
    assert "completeness" not in evaluation.evaluate_nodes(mri, nodes, every=2)[0]


def test_what_is_missing_is_said(outputs):
    mri, nodes = outputs
    for role, words in (("fused", "no fused volume"), ("pet_registered", "no registered PET")):
        left = {name: node for name, node in nodes.items() if name != role}
        with pytest.raises(InputError, match=f'{words} of "T1" to evaluate: press Apply'):
            evaluation.evaluate_nodes(mri, left)
        with pytest.raises(InputError, match=words):
            evaluation.push_evaluation(mri, left, ROWS)
    with pytest.raises(InputError, match="Choose an MRI"):
        evaluation.evaluate_nodes(None, nodes)
    with pytest.raises(InputError, match="empty slices only"):
        evaluation.push_evaluation(mri, nodes, [])


def table_of(node):
    """Titles and columns."""
    table = node.GetTable()
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    return {c.GetName(): [c.GetValue(row) for row in range(c.GetNumberOfTuples())] for c in columns}


def test_tables_and_plot(slicer, outputs):
    from funfuse_cli.headless.messages import collect_vtk_messages

    mri, nodes = outputs
    with collect_vtk_messages() as messages:
        made = evaluation.push_evaluation(mri, nodes, ROWS)
    assert not messages
    slices, summary = table_of(made.slices), table_of(made.summary)
    assert list(slices) == list(ROWS[0]) and slices["slice"] == [1, 2, 3]
    for name in ROWS[0]:
        assert slices[name] == pytest.approx([row[name] for row in ROWS], rel=1e-5, abs=0, nan_ok=True)
    assert all(len(str(value)) <= 8 for name in METRICS for value in slices[name])
    assert summary["number"] == [name for name in ROWS[0] if name not in ("slice", "S (mm)")]
    at = summary["number"].index("rank_fused")
    assert [summary[c][at] for c in ("mean", "lowest", "highest")] == [0.5, 0.25, 0.75]
    assert "unfused copy of the MRI" in summary["meaning"][summary["number"].index("Q_G")]
    assert all(summary["meaning"])
    assert made.summary.GetName() == "T1 + FDG evaluation" and "T1 + FDG" in made.slices.GetName()
    chart = made.chart
    assert chart.GetTitle() == "T1 + FDG evaluation" and chart.GetXAxisTitle().startswith("S (mm)")
    assert list(chart.GetYAxisRange()) == [0, 1] and not chart.GetYAxisRangeAuto()
    assert chart.GetLegendVisibility()
    low, high = chart.GetXAxisRange()
    assert not chart.GetXAxisRangeAuto() and low < 3 < 9 < high, "all slices, and room for the legend"
    shown = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [node.GetYColumnName() for node in shown] == [*METRICS, "b_P"]
    for node in shown:
        assert node.GetTableNode() is made.slices and node.GetXColumnName() == "S (mm)"
        assert node.GetPlotType() == node.PlotTypeScatter and node.GetLineStyle() != node.LineStyleNone
        assert node.GetName() == node.GetYColumnName()
    assert len({node.GetColor() for node in shown}) == len(shown)


def test_nodes_explain_themselves_and_stand_beside_the_mri(slicer, outputs):
    mri, nodes = outputs
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "2026")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mri), study)
    made = evaluation.push_evaluation(mri, nodes, ROWS)
    for node in (made.summary, made.slices, made.chart, *made.series.values()):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
        assert node.GetAttribute("FunFuse.Lambda") == "0.3"
        assert node.GetAttribute("FunFuse.ModelSHA256") == "ab" * 32
        assert node.GetAttribute("FunFuse.EvaluatedSlices") == "3"
        assert node.GetAttribute(ROLE_ATTRIBUTE).startswith("evaluation_")
        assert node.GetNodeReference(MRI_REFERENCE) is mri
        assert node.GetNodeReference(evaluation.FUSED_REFERENCE) is nodes["fused"]
    pet = nodes["fused"].GetNodeReference(PET_REFERENCE)
    assert set(find_outputs(mri, pet)) == set(nodes), "an evaluation is no output of a fusion"


def test_a_rerun_updates_the_same_nodes(slicer, outputs):
    mri, nodes = outputs
    assert evaluation.find_evaluation(nodes["fused"]) is None
    first = evaluation.push_evaluation(mri, nodes, ROWS)
    count = slicer.mrmlScene.GetNumberOfNodes()
    rows = [{**row, "Q_VIFF": 1.23, "Q_SSIM": -0.04} for row in ROWS[:2]]
    second = evaluation.push_evaluation(mri, nodes, rows)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert second == first == evaluation.find_evaluation(nodes["fused"])
    assert table_of(second.slices)["Q_VIFF"] == [1.23, 1.23]
    assert list(second.chart.GetYAxisRange()) == pytest.approx([-0.1, 1.3])
    assert second.chart.GetNumberOfPlotSeriesNodes() == 6
    slicer.mrmlScene.RemoveNode(second.series["Q_G"])
    third = evaluation.push_evaluation(mri, nodes, ROWS)
    assert slicer.mrmlScene.GetNumberOfNodes() == count and third.chart.GetNumberOfPlotSeriesNodes() == 6
    assert third.chart.HasPlotSeriesNodeID(third.series["Q_G"].GetID())


def test_a_saved_scene_keeps_the_evaluation(slicer, outputs, tmp_path):
    from funfuse_cli.headless.scene_files import load_mrb, save_mrb

    mri, nodes = outputs
    made = evaluation.push_evaluation(mri, nodes, ROWS)
    expected, name = table_of(made.slices), nodes["fused"].GetName()
    save_mrb(tmp_path / "scene.mrb")
    load_mrb(tmp_path / "scene.mrb")
    found = evaluation.find_evaluation(slicer.util.getNode(name))
    for column, values in table_of(found.slices).items():
        assert list(map(float, values)) == pytest.approx(list(map(float, expected[column])), nan_ok=True)
    assert found.chart.GetNthPlotSeriesNode(0).GetTableNode() is found.slices


def test_csv_and_clipboard(outputs, tmp_path):
    mri, nodes = outputs
    made = evaluation.push_evaluation(mri, nodes, ROWS)
    path = tmp_path / "Auswertung ü.csv"
    path.write_text("old")
    tables.export_csv(made.slices, path)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(row["Q_G"]) for row in read] == [0.51, 0.52, 0.53]
    assert [row["rank_fused"] for row in read] == ["0.25", "", "0.75"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    lines = tables.as_text(made.slices).splitlines()
    assert lines[0].split("\t") == list(ROWS[0]) and len(lines) == 4
    assert lines[2].split("\t")[:2] == ["2", "6.0"]
    tables.export_csv(made.summary, tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file))[0]["number"] == "Q_IE"
    with pytest.raises(OutputError, match="none.*table.csv"):
        tables.export_csv(made.slices, tmp_path / "none" / "table.csv")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match="Choose another place"):
        tables.export_csv(made.slices, tmp_path / "folder")
    assert sorted(tmp_path.iterdir()) == before


def test_showing(slicer, outputs, monkeypatch):
    mri, nodes = outputs
    made = evaluation.push_evaluation(mri, nodes, ROWS)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert evaluation.show_evaluation(made.chart, made.summary) is False, "no main window"
    layouts = []

    class Manager:
        def setLayout(self, layout):
            layouts.append(layout)

    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda self: Manager())
    assert evaluation.show_evaluation(made.chart, made.summary) is True
    assert layouts == [slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotTableView]
    assert selection.GetActiveTableID() == made.summary.GetID()
    assert selection.GetActivePlotChartID() == made.chart.GetID()
