"""Presets of tracers, what chooses them, and the reference region of their scales and of SUVR."""

import json
import types

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from funfuse_cli.__main__ import main
from funfuse_cli.commands import fuse
from funfuse_cli.reading.reader import read
from FunFuseSlicer.Logic.color.colorize import MODES, chroma_table, least_shown
from FunFuseSlicer.Logic.color.tables import DEFAULT_MAP
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import load_fuser
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_source, fuse_volumes
from FunFuseSlicer.Logic.scene.inputs import add_volume_node, unit_of
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from FunFuseSlicer.Logic.volumes.regions import Regions, ellipsoid, labeled, measure, range_at
from FunFuseSlicer.Logic.volumes.tracers import (
    OTHER,
    RULES,
    RangeRule,
    preset,
    presets,
    research_note,
    tracer_of_header,
    tracer_of_side_car,
    tracer_of_texts,
)
from FunFuseSlicer.Logic.volumes.units import scaled
from Testing.conftest import head_phantom
from Testing.test_units import SIDE_CAR
from Testing.test_units import header as pet_header

pytestmark = pytest.mark.usefixtures("known_brains")


# --- The presets -------------------------------------------------------------------------------------


def test_every_preset_is_whole():
    assert research_note() == "Research use; follow the approved reader's guide."
    assert list(presets())[-1] == OTHER and len(presets()) == 11
    for one in presets().values():
        assert one.label and one.source.endswith("."), one.name
        assert one.mode in MODES and 0 <= one.balance <= 1 and one.range.rule in RULES
        if one.range.rule == "reference":
            assert one.reference and 0 < one.range.percent <= 100
        FusionOptions(**one.look(""))
    codes = [code for one in presets().values() for code in one.codes]
    names = [name.lower() for one in presets().values() for name in one.names]
    assert len(codes) == len(set(codes)) and len(names) == len(set(names)), "a PET has one tracer"


def test_every_color_map_is_in_slicer_and_in_the_panel(slicer):
    from FunFuseSlicer.Logic.panel.choices import COLORMAPS
    from FunFuseSlicer.Logic.scene.color_maps import color_table

    for name in COLORMAPS:
        table = color_table(name)
        assert table.shape == (256, 3) and np.isfinite(chroma_table(table)).all()
    shown = {one.colormap for one in presets().values()}
    assert shown | {one.pet_colormap for one in presets().values() if one.pet_colormap} <= set(COLORMAPS)
    assert shown == {DEFAULT_MAP, "PET-Rainbow2"}
    # Gray has no hue: it is for the PET alone.
    assert not shown & {"Grey", "InvertedGrey"}
    assert least_shown(color_table("InvertedGrey")) == 0 < least_shown(color_table("Grey"))


def test_other_changes_nothing():
    assert FusionOptions(**preset(OTHER).look("SUV")) == FusionOptions()
    with pytest.raises(InputError, match='There is no tracer "gold": choose fdg, .*other'):
        preset("gold")


def test_a_fixed_range_holds_in_its_unit_alone():
    from dataclasses import replace

    one = replace(preset("fdg"), range=RangeRule("fixed", 0.5, 8.0, "SUV"))
    assert one.look("SUV")["uptake_range"] == (0.5, 8.0) and one.look("Bq/ml")["uptake_range"] is None


def test_the_page_has_the_presets(request):
    """Its table is written by hand: a row for each, with what the file says."""
    page = (request.path.parents[1] / "docs" / "presets.md").read_text(encoding="utf-8")
    for one in presets().values():
        cells = [one.name, one.label, one.colormap, one.pet_colormap or "the same"]
        cells += [one.range.text(one.reference), one.reference or "none", one.mode]
        assert f"| {' | '.join(cells)} |" in page
    assert page.count(research_note()) == 1


# --- What chooses them -------------------------------------------------------------------------------


def header(code="", meaning="", text="", injections=1):
    result = Dataset()
    result.RadiopharmaceuticalInformationSequence = []
    for _ in range(injections):
        isotope, entry = Dataset(), Dataset()
        entry.CodeValue, entry.CodeMeaning = code, meaning
        if code or meaning:
            isotope.RadiopharmaceuticalCodeSequence = [entry]
        isotope.Radiopharmaceutical = text
        result.RadiopharmaceuticalInformationSequence.append(isotope)
    return result


@pytest.mark.parametrize(
    "facts, name",
    [
        ({"code": "35321007"}, "fdg"),
        ({"code": "C-B1031", "text": "Solution"}, "fdg"),
        ({"code": "456997008", "text": "FDG"}, "flutemetamol"),  # whoever types, the code was chosen
        ({"code": "126502"}, "tau"),
        ({"code": "", "meaning": "Florbetaben F^18^"}, "florbetaben"),
        ({"text": "FDG -- fluorodeoxyglucose"}, "fdg"),
        ({"text": "F-18 AV-45"}, "florbetapir"),
        ({"text": "I-123 FP-CIT"}, "dat-spect"),
        ({"text": "Tc-99m HMPAO"}, "perfusion-spect"),
        ({"text": "6-Fluoro-L-DOPA"}, "fdopa"),
        ({"code": "129512009", "injections": 2}, "receptor"),
        ({"code": "12345678"}, ""),
        ({"text": "FDG and florbetapir"}, ""),
        ({"text": "Solution"}, ""),
        ({"text": "levodopa"}, ""),
    ],
)
def test_a_dicom_header_chooses(facts, name):
    assert tracer_of_header(header(**facts)) == name
    assert tracer_of_header(Dataset()) == ""


@pytest.mark.parametrize(
    "facts, file_name, name",
    [
        ({"TracerName": "[18F]flutemetamol"}, "", "flutemetamol"),
        ({"TracerName": "FDG"}, "sub-1_trc-18FAV45_pet.nii.gz", "fdg"),
        ({}, "sub-1_trc-18FAV45_pet.nii.gz", "florbetapir"),
        ({"TracerName": "something"}, "sub-1_trc-FDG18F_pet.nii.gz", "fdg"),
        ({}, "sub-1_ses-FDG_pet.nii.gz", ""),
        ({"TracerName": None}, "", ""),
    ],
)
def test_a_side_car_or_a_label_chooses(facts, file_name, name):
    assert tracer_of_side_car(facts, file_name) == name


KNOWN = [(name, word) for name, one in presets().items() for word in one.names]


@given(
    known=st.sampled_from(KNOWN),
    around=st.sampled_from(["{}", "18F-{}", "[18F]{}", "18F{}", "{}18F", " {} ", "{} F^18^", "F18 {}"]),
    upper=st.booleans(),
)
def test_however_a_name_is_written(known, around, upper):
    name, word = known
    assert tracer_of_texts([around.format(word.upper() if upper else word.lower())]) == name


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=20), max_size=3))
def test_any_text_names_a_preset_or_none(texts):
    assert tracer_of_texts(texts) in ("", *presets())


def test_reading_tells_the_tracer(tmp_path, shared_data):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4, 5), np.float32)), str(tmp_path / "p.nii.gz"))
    assert read(tmp_path / "p.nii.gz").volume.tracer == ""
    (tmp_path / "p.json").write_text(json.dumps({**SIDE_CAR, "TracerName": "FDG"}))
    found = read(tmp_path / "p.nii.gz")
    assert found.volume.tracer == found.in_unit("SUV").tracer == "fdg"
    assert read(shared_data / "volumes" / "awkward" / "dicom_PT", modalities=("PT",)).volume.tracer == "fdg"


# --- The reference region ----------------------------------------------------------------------------

# Voxels of 2 × 3 × 4 mm: 0.024 ml.
GRID = np.diag([2.0, 3.0, 4.0, 1.0])


def pet_of(values) -> Volume:
    return Volume(np.asarray(values, np.float32), GRID, "PET", "Bq/ml")


def test_the_mean_by_hand():
    """Of 1 to 24, the last 12 have the mean 18.5; one of them is no number."""
    pet = pet_of(np.arange(1, 25).reshape(2, 3, 4))
    mask = pet.with_array(np.array(pet.array > 12, np.uint8), "pons")
    found = measure(pet, Regions(mask), None)
    assert (found.name, found.mean, found.unit, found.voxels) == ("pons", 18.5, "Bq/ml", 12)
    assert found.milliliters == pytest.approx(12 * 0.024)
    pet.array[1, 2, 3] = np.nan
    assert measure(pet, Regions(mask), None).mean == 18.0
    assert range_at(18.0, 90) == (0.0, 20.0)


def test_the_pets_own_voxels_count_where_the_registration_says():
    """A region on the MRI, on a finer grid, 100 mm beside the PET: each voxel counts once, none is mixed."""
    pet = pet_of(np.arange(1, 25).reshape(2, 3, 4))
    matrix = np.eye(4)
    matrix[0, 3] = 100.0
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] = [99.0, 4.6, -2.0]  # of the three rows of voxels, at 0, 3 and 6 mm, the last
    mask = Volume(np.ones((16, 12, 16), np.uint8), fine, "cerebellum")
    found = measure(pet, Regions(mask), matrix)
    assert (found.voxels, found.mean) == (8, pet.array[:, 2].mean())
    with pytest.raises(InputError, match='"cerebellum" holds no voxel of "PET"'):
        measure(pet, Regions(mask, in_pet_space=True), matrix)


@pytest.mark.parametrize(
    "values, mask, words",
    [
        (np.ones((2, 2, 2)), np.zeros((2, 2, 2)), 'reference region "pons" is empty'),
        (np.zeros((2, 2, 2)), np.ones((2, 2, 2)), 'The mean of "PET" over the reference region "pons" is 0'),
        (-np.ones((2, 2, 2)), np.ones((2, 2, 2)), "is -1: a reference needs uptake"),
        (np.full((2, 2, 2), np.nan), np.ones((2, 2, 2)), 'holds no voxel of "PET"'),
    ],
)
def test_what_is_no_reference_is_refused_by_name(values, mask, words):
    with pytest.raises(InputError, match=words):
        measure(pet_of(values), Regions(pet_of(mask).with_array(mask.astype(np.uint8), "pons")), None)


def test_a_label_of_a_map():
    labels = Volume(np.array([[[0, 1, 7]]], np.int16), name="atlas")
    assert labeled(labels, 7, "pons").array.tolist() == [[[0, 0, 1]]]
    assert labeled(labels, None, "all").array.sum() == 2
    with pytest.raises(InputError, match='"atlas" has no region of label 0: choose one of 1, 7'):
        labeled(labels, 0, "air")
    with pytest.raises(InputError, match='"atlas" has no region of label 3: choose one of 1, 7'):
        labeled(labels, 3, "pons")


@settings(max_examples=15)
@given(st.floats(5, 40), st.floats(-9, 9))
def test_a_ball_has_the_volume_of_a_ball(diameter, shift):
    place = np.eye(4)
    place[:3, 3] = [shift, 2 * shift, 3]
    ball = ellipsoid(place, (diameter,) * 3, "ball")
    voxel = abs(np.linalg.det(ball.ijk_to_ras[:3, :3]))
    assert ball.array.sum() * voxel == pytest.approx(np.pi / 6 * diameter**3, rel=0.01)
    k, j, i = np.nonzero(ball.array)
    center = ball.ijk_to_ras @ [i.mean(), j.mean(), k.mean(), 1]
    np.testing.assert_allclose(center[:3], place[:3, 3], atol=1e-6 * diameter)


@settings(max_examples=25)
@given(st.floats(1e-3, 1e5), st.integers(0, 2**16))
def test_suvr_is_1_in_the_reference_region_and_knows_no_dose(dose, seed):
    rng = np.random.default_rng(seed)
    pet = pet_of(rng.uniform(0.5, 2, (3, 4, 5)))
    mask = pet.with_array((rng.uniform(size=(3, 4, 5)) > 0.6).astype(np.uint8), "pons")
    if not mask.array.any():
        return
    found = []
    for each in (pet, pet.with_array(pet.array * np.float32(dose))):
        mean = measure(each, Regions(mask), None).mean
        found.append(scaled(each, 1 / mean, "SUVR"))
        assert measure(found[-1], Regions(mask), None).mean == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(found[0].array, found[1].array, rtol=1e-5)


def test_two_visits_in_suvr_have_equal_colors_for_equal_ratios():
    """The second visit has a third of the dose; both with one range."""
    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    mask = pet.with_array((pet.array == 1000).astype(np.uint8), "white matter")
    runner, shown = load_fuser(FusionOptions()).runner, []
    for each in (pet, pet.with_array(pet.array / 3)):
        ratio = scaled(each, 1 / measure(each, Regions(mask), None).mean, "SUVR")
        shown.append(color_source(fuse_volumes(mri, ratio, runner), "uptake", (0.5, 4.5)).function())
    np.testing.assert_allclose(*shown, atol=1e-5)
    # Gray matter of 4000 over 1000.
    assert np.isclose(np.median(shown[0][pet.array == 4000]), (4 - 0.5) / 4, atol=1e-5)


# --- The command line --------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Arguments for a small pair of flutemetamol, and a label map of its white matter on the PET's grid."""
    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    labels = pet.with_array(np.where(pet.array == 1000, 3, 0).astype(np.uint8))
    for name, volume in (("m", mri), ("p", pet), ("atlas", labels)):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{name}.nii"))
    (tmp_path / "p.json").write_text(json.dumps({"Units": "Bq/mL", "TracerName": "flutemetamol"}))
    return [
        *("--mri", str(tmp_path / "m.nii"), "--pet", str(tmp_path / "p.nii"), "--no-register", "--no-scene"),
        *("--out", str(tmp_path / "out"), "--outputs", "registered"),
    ]


def test_the_command_line_scales_by_the_reference_region(files, tmp_path, capsys):
    atlas = f"{tmp_path / 'atlas.nii'}:3"
    assert main(["fuse", *files, "--reference", atlas, "--units", "SUVR", "--mode", "contribution"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    fusion, reference = report["fusion"], report["reference"]
    assert (fusion["tracer"], fusion["colormap"], fusion["reference_at"]) == (
        "flutemetamol",
        "PET-Rainbow2",
        90,
    )
    assert fusion["mode"] == "contribution", "what is asked for wins over the preset"
    np.testing.assert_allclose(fusion["uptake_range"], [0, 1 / 0.9])
    assert (reference["name"], reference["mean"], reference["unit"]) == ("atlas:3", 1000.0, "Bq/ml")
    assert reference["milliliters"] == pytest.approx(reference["voxels"] * 7 * 7 * 14 / 1000)
    assert report["inputs"]["pet_unit"] == "SUVR" and report["inputs"]["reference"] == "atlas.nii"
    assert "atlas:3: mean 1000 Bq/ml" in capsys.readouterr().out
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "pet_registered.nrrd")))
    original = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p.nii")))
    np.testing.assert_allclose(written, original / 1000, rtol=1e-5)


def test_the_command_line_asks_for_the_region_that_the_guide_wants(files, tmp_path, capsys):
    assert main(["fuse", *files]) == 0
    said = capsys.readouterr().out
    assert "Its scale has the pons at 90 %: give that region as --reference" in said
    assert said.count(research_note()) == 1
    assert main(["fuse", *files, "--tracer", "other"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert research_note() not in capsys.readouterr().out
    assert (report["fusion"]["colormap"], report["fusion"]["uptake_range"]) == (DEFAULT_MAP, None)


def test_a_range_of_ones_own_takes_the_place_of_the_guides(files):
    options = fuse.parser().parse_args([*files, "--range", "0", "5000", "--colormap", "Iron"])
    chosen = fuse._fusion_options(options, preset("flutemetamol"))
    assert (chosen.uptake_range, chosen.reference_at) == ((0, 5000), None)
    assert (chosen.colormap, chosen.mode) == ("Iron", "uptake")


def test_another_method_takes_what_it_can_of_a_preset(files, tmp_path):
    assert main(["fuse", *files, "--tracer", "fdg", "--method", "average"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (report["fusion"]["mode"], report["fusion"]["colormap"]) == ("uptake", "PET-Rainbow2")


@pytest.mark.parametrize(
    "more, words",
    [
        (["--units", "SUVR"], "--units SUVR: only with a reference region"),
        (["--reference-at", "90"], "--reference-at: only with a reference region"),
        (["--reference", "{}/atlas.nii:9"], '"atlas" has no region of label 9'),
        (["--reference", "{}/none.nii"], "none.nii: there is no such file"),
        (["--reference", "{}/atlas.nii", "--range", "0", "1", "--reference-at", "90"], "both set the scale"),
        (["--reference", "{}/atlas.nii", "--reference-at", "0"], "above 0 to 100 % of the scale"),
        (["--pet-colormap", "Gold"], 'There is no color map "Gold": choose Cividis, Grey, Inferno, Inv'),
    ],
)
def test_what_cannot_be_is_refused(files, tmp_path, capsys, more, words):
    assert main(["fuse", *files, *(word.format(tmp_path) for word in more)]) == 2
    assert words in capsys.readouterr().err


def test_registration_alone_writes_suvr_too(files, tmp_path):
    (tmp_path / "t.tfm").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 0 0 0\nFixedParameters: 0 0 0\n"
    )
    arguments = [word for word in files if word not in ("--no-register", "--outputs", "registered")]
    more = ["--register-only", "--transform", str(tmp_path / "t.tfm"), "--units", "SUVR"]
    code = main(["fuse", *arguments, *more, "--reference", f"{tmp_path / 'atlas.nii'}:3"])
    assert code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["reference"]["mean"] == 1000.0
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "pet_registered.nrrd")))
    assert written.max() == pytest.approx(9, rel=0.2)


# --- The scene ---------------------------------------------------------------------------------------


def segmentation_of(slicer, volume, drawn_on, name="Pons"):
    """A segmentation with one segment, the mask of a volume, drawn on another one."""
    import vtk

    from FunFuseSlicer.Logic.scene.outputs import voxels_of

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.SetReferenceImageGeometryParameterFromVolumeNode(drawn_on)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(volume.dimensions)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(volume.ijk_to_ras))
    voxels_of(image)[:] = volume.array > 0
    node.AddSegmentFromBinaryLabelmapRepresentation(image, name, [1, 0, 0])
    return node


def test_regions_of_a_scene(slicer):
    """The same voxels as a segment, as a label and as a mask have one mean; a ball has its own."""
    from FunFuseSlicer.Logic.scene.regions import add_ball, parts_of, region_of_node

    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    mri_node, pet_node = add_volume_node(mri), add_volume_node(pet)
    mask = pet.with_array((pet.array == 1000).astype(np.uint8), "white")
    expected = measure(pet, Regions(mask), None)
    segment = segmentation_of(slicer, mask, mri_node)
    label = slicer.util.addVolumeFromArray(
        mask.array * 4, mask.ijk_to_ras, "labels", "vtkMRMLLabelMapVolumeNode"
    )
    (label_name,) = parts_of(label).values()
    for node, name in ((segment, "Pons"), (label, label_name), (add_volume_node(mask), "white")):
        region = region_of_node(node, "", mri_node, pet_node)
        found = measure(pet, region, None)
        assert (found.name, found.mean, found.voxels) == (name, expected.mean, expected.voxels)
        assert not region.in_pet_space, "MRI and PET have one grid here"
    assert list(parts_of(label)) == ["4"] and list(parts_of(segment).values()) == ["Pons"]
    assert region_of_node(segmentation_of(slicer, mask, pet_node), "", mri_node, pet_node).in_pet_space
    ball = add_ball(mri_node)
    ball.SetSize(40.0, 40.0, 40.0)
    region = region_of_node(ball, "", mri_node, pet_node)
    ml = measure(pet, region, None).milliliters
    assert ml == pytest.approx(np.pi / 6 * 40**3 / 1000, rel=0.15)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    with pytest.raises(InputError, match='"Nothing" has no segment'):
        region_of_node(empty, "", mri_node, pet_node)


def test_a_parent_transform_moves_a_region(slicer):
    from FunFuseSlicer.Logic.scene.regions import region_of_node

    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    nodes = add_volume_node(mri), add_volume_node(pet)
    mask = pet.with_array((pet.array == 1000).astype(np.uint8), "white")
    moved = np.eye(4)
    moved[:3, 3] = [5, 6, 7]
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
    segment = segmentation_of(slicer, mask, nodes[0])
    before = region_of_node(segment, "", *nodes).labels
    segment.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_allclose(
        region_of_node(segment, "", *nodes).labels.ijk_to_ras, moved @ before.ijk_to_ras
    )


@pytest.fixture
def dicom_node(slicer, tmp_path, monkeypatch):
    """A PET as Slicer's DICOM module loads it: no unit on the node, but files in the database."""
    paths = {}
    _, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    for number in (1, 2):
        one = pet_header()
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", f"1.2.{number}"
        one.RadiopharmaceuticalInformationSequence[0].Radiopharmaceutical = "Fluorodeoxyglucose"
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        paths[one.SOPInstanceUID] = str(tmp_path / f"{number}.dcm")
        pydicom.dcmwrite(paths[one.SOPInstanceUID], one, enforce_file_format=True)
    node = add_volume_node(pet)
    node.SetAttribute("DICOM.instanceUIDs", " ".join(paths))
    database = types.SimpleNamespace(fileForInstance=lambda uid: paths.get(uid, ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return node


def test_a_pet_that_plain_slicer_loaded_knows_unit_and_tracer(slicer, dicom_node, monkeypatch):
    from funfuse_cli.extension import load_module
    from FunFuseSlicer.Logic.scene.attributes import number_of
    from FunFuseSlicer.Logic.scene.pet_headers import tracer_of_node, units_of_node

    mri, pet = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    mri_node = add_volume_node(mri)
    assert unit_of(dicom_node) == "" and units_of_node(dicom_node).name == "Bq/ml"
    assert tracer_of_node(dicom_node) == "fdg" and tracer_of_node(mri_node) == ""
    logic = load_module().FunFuseSlicerLogic()
    made = logic.process(mri_node, dicom_node, None, None, show=False).nodes
    assert unit_of(made.pet_registered) == "Bq/ml"
    made = logic.process(mri_node, dicom_node, None, None, show=False, unit="SUV").nodes
    assert unit_of(made.pet_registered) == "SUV" and unit_of(dicom_node) == ""
    factor = number_of(made.fused, "PETFactor")
    assert factor == pytest.approx(70000 / 1e8), "70 kg, 100 MBq after an hour"
    shown = slicer.util.arrayFromVolume(made.pet_registered)
    np.testing.assert_allclose(shown, pet.array * factor, rtol=1e-5)
    # Files that have gone.
    monkeypatch.setattr(slicer.dicomDatabase, "fileForInstance", lambda uid: "")
    assert units_of_node(dicom_node).name == "" and tracer_of_node(dicom_node) == ""
    with pytest.raises(InputError, match='"FDG" cannot be shown as SUV: it says nothing about its unit'):
        logic.process(mri_node, dicom_node, None, None, show=False, unit="SUV")


# --- The panel ---------------------------------------------------------------------------------------


@pytest.fixture
def panel(slicer, qt_started):
    """The panel with a pair that lies on each other."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget
    from FunFuseSlicer.Logic.panel.choices import Registration

    widget = open_panel()
    panel = widget.self()
    chosen = panel.session.choices
    panel.volumes = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
    chosen.mri, chosen.pet = (add_volume_node(volume) for volume in panel.volumes)
    chosen.registration = Registration.ALIGNED
    yield panel
    close_widget(widget)


def look_of(panel):
    chosen = panel.session.choices
    return chosen.colormap, chosen.petColormap, chosen.mode.value, chosen.balance, chosen.referenceAt


def test_the_panel_takes_the_tracer_of_the_header_once(panel, dicom_node):
    chosen, combo = panel.session.choices, panel.ui.tracerComboBox
    assert combo.itemText(0) == "Automatic: Other"
    assert look_of(panel) == (DEFAULT_MAP, "Same", "contribution", 0.5, 0.0)
    chosen.pet = dicom_node
    assert combo.itemText(0) == "Automatic: FDG" and combo.currentIndex == 0
    assert panel.ui.tracerCollapsibleButton.text == "Tracer: FDG, automatic"
    assert research_note() in combo.toolTip
    assert look_of(panel) == ("PET-Rainbow2", "Same", "contribution", 0.5, 0.0)
    # What the user changes stays, also for the next PET of this tracer.
    chosen.colormap, chosen.balance = "Jet", 0.7
    chosen.pet = None
    chosen.pet = dicom_node
    assert look_of(panel)[0] == "Jet" and chosen.balance == 0.7


def test_a_scene_keeps_its_color_map(panel, slicer, tmp_path):
    """Of a version with another default, too: the node has it also where nobody chose it."""
    assert panel.session.choices.parameterNode.GetParameter("colormap") == DEFAULT_MAP
    panel.session.choices.colormap = "Jet"
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert panel.session.choices.colormap == DEFAULT_MAP
    slicer.util.loadScene(path)
    assert panel.session.choices.colormap == "Jet" == panel.ui.colormapComboBox.currentText


def test_the_tracer_of_before_brings_its_look_back(panel):
    chosen, combo = panel.session.choices, panel.ui.tracerComboBox
    chosen.colormap, chosen.balance, chosen.automaticRange = "Iron", 0.3, False
    chosen.rangeLow, chosen.rangeHigh = 10.0, 20.0
    mine = look_of(panel)
    combo.currentIndex = combo.findText("Florbetaben (amyloid)")
    assert chosen.tracer == chosen.tracerInUse == "florbetaben"
    assert look_of(panel) == ("PET-Rainbow2", "Grey", "uptake", 0.5, 90.0) and chosen.automaticRange
    assert "deep white matter as reference region" in panel.ui.statusLabel.text
    combo.currentIndex = combo.findText("Other")
    assert look_of(panel) == mine and (chosen.automaticRange, chosen.rangeLow) == (False, 10.0)
    combo.currentIndex = combo.findText("FDG")
    assert look_of(panel)[0] == "PET-Rainbow2"


def test_the_reference_region_sets_the_automatic_range(panel, slicer):
    from FunFuseSlicer.Logic.panel.choices import Unit
    from FunFuseSlicer.Logic.scene.attributes import attribute

    chosen, ui = panel.session.choices, panel.ui
    pet = panel.volumes[1]
    segmentation = segmentation_of(
        slicer, pet.with_array(np.asarray(pet.array == 1000, np.uint8)), chosen.mri, "White matter"
    )
    chosen.tracer = "florbetapir"
    chosen.reference = segmentation
    assert ui.referenceSelector.currentNode() is segmentation
    assert ui.referencePartComboBox.currentText == "White matter"
    panel.onApplyButton()
    nodes = panel.session.nodes
    for node in nodes.values():
        assert (
            attribute(node, "ReferenceName") == "White matter" and attribute(node, "Tracer") == "florbetapir"
        )
    np.testing.assert_allclose(panel.session.seen.look.uptake_range, (0, 1000 / 0.9))
    assert [float(x) for x in attribute(nodes["colored"], "UptakeRange").split()] == [0, 1000 / 0.9]
    panel.display.finish_painting()
    display = nodes["pet_registered"].GetDisplayNode()
    assert display.GetColorNode().GetName() == "Grey"
    assert display.GetWindowLevelMax() == pytest.approx(1000 / 0.9)
    assert ui.rangeWidget.maximumValue == pytest.approx(1000 / 0.9, rel=1e-2)
    scale = slicer.modules.colors.logic().GetColorLegendDisplayNode(display)
    assert scale.GetTitleText() == "FDG (White matter at 90 %)"
    # Whoever types numbers does not scale by the region any more.
    ui.rangeWidget.setMaximumValue(2000.0)
    panel.display.finish_painting()
    assert scale.GetTitleText() == "FDG" and attribute(nodes["colored"], "ReferenceAt") == ""
    chosen.automaticRange = True
    panel.display.finish_painting()
    assert attribute(nodes["colored"], "ReferenceAt") == "90.0"
    # SUVR takes a run; the numbers on the scale follow.
    chosen.unit = Unit.SUVR
    assert "Press Apply for SUVR" in ui.statusLabel.text
    panel.onApplyButton()
    np.testing.assert_allclose(panel.session.seen.look.uptake_range, (0, 1 / 0.9), rtol=1e-6)
    assert unit_of(panel.session.nodes["pet_registered"]) == "SUVR"
    # A PET that changes is shown in the same unit, without a run.
    slicer.util.arrayFromVolume(chosen.pet)[:] *= 2
    panel.live.follow(another_pet=True)
    panel.live.finish()
    assert slicer.util.arrayFromVolume(panel.session.nodes["pet_registered"]).max() == pytest.approx(18)
    slicer.mrmlScene.RemoveNode(segmentation)
    assert chosen.reference is None and "SUVR is relative" in ui.applyButton.toolTip


def test_inverse_gray_has_white_surroundings(panel):
    chosen = panel.session.choices
    panel.onApplyButton()
    display = panel.session.nodes["pet_registered"].GetDisplayNode()
    for name, threshold in (("InvertedGrey", 0), ("Grey", 1), ("Same", 1)):
        chosen.petColormap = name
        panel.display.finish_painting()
        assert display.GetApplyThreshold() == threshold
        assert display.GetColorNode().GetName() == (DEFAULT_MAP if name == "Same" else name)
    part = panel.session.nodes["pet_part"].GetDisplayNode()
    assert part.GetColorNode().GetName() == DEFAULT_MAP


def test_a_ball_by_the_button(panel, slicer):
    panel.ui.ballButton.click()
    ball = panel.session.choices.reference
    assert ball.IsA("vtkMRMLMarkupsROINode") and ball.GetSize()[0] == 15
    ball.SetSize(60.0, 60.0, 60.0)
    panel.onApplyButton()
    assert "mean" in panel.session.nodes["fused"].GetAttribute("FunFuse.Reference")
    assert panel.ui.referencePartComboBox.visible is False
    assert "Press Apply" not in panel.ui.statusLabel.text
    ball.SetCenterWorld([5.0, 5.0, 5.0])
    assert f"Press Apply for the reference region {ball.GetName()}" in panel.ui.statusLabel.text
    panel.onApplyButton()
    assert "Press Apply" not in panel.ui.statusLabel.text


def test_a_segment_that_is_drawn_moved_or_removed_asks_for_apply(panel, slicer):
    chosen, said = panel.session.choices, panel.ui.statusLabel
    mask = panel.volumes[1].with_array((panel.volumes[1].array == 1000).astype(np.uint8))
    chosen.reference = node = segmentation_of(slicer, mask, chosen.mri, "Pons")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    panel.onApplyButton()
    matrix = np.eye(4)
    matrix[0, 3] = 7.0
    segment = node.GetSegmentation().GetNthSegmentID(0)
    for change in (
        lambda: transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix)),
        lambda: slicer.util.updateSegmentBinaryLabelmapFromArray(mask.array[::-1], node, segment, chosen.mri),
    ):
        assert "Press Apply" not in said.text
        change()
        assert "Press Apply for the reference region Pons" in said.text
        panel.onApplyButton()
    node.GetSegmentation().AddEmptySegment("other", "White matter")
    node.GetSegmentation().RemoveSegment(segment)
    assert panel.ui.referencePartComboBox.currentText == "White matter"
    panel.onApplyButton()
    assert '"White matter" is empty' in said.text


def test_another_unit_makes_the_range_automatic_again(panel):
    from FunFuseSlicer.Logic.panel.choices import Unit

    chosen = panel.session.choices
    chosen.automaticRange = False
    chosen.rangeLow, chosen.rangeHigh = 0.0, 5000.0
    chosen.unit = Unit.SUV
    assert chosen.automaticRange
