"""Results as DICOM: the right patient, place and values, for every reader, and nothing a validator minds."""

import io
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from funfuse_cli.__main__ import main
from funfuse_cli.reading.reader import read
from funfuse_cli.studies.odd_inputs import archives
from funfuse_cli.studies.odd_inputs.files import dicom_series
from funfuse_cli.studies.odd_inputs.pairs import phantom
from funfuse_cli.workflow.output_folder import verify
from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.dicom.elements import code
from FunFuseSlicer.Logic.dicom.grid import grid_of, letters
from FunFuseSlicer.Logic.dicom.profile import srgb_profile
from FunFuseSlicer.Logic.dicom.relations import kind_of
from FunFuseSlicer.Logic.dicom.scalar import OF_THE_PET
from FunFuseSlicer.Logic.dicom.series import MR, PET, Plane, Series, read_series
from FunFuseSlicer.Logic.dicom.units import units_of
from FunFuseSlicer.Logic.dicom.write import Results, write_dicom
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, Volume, corners, volume_from_sitk
from Testing.conftest import head_phantom

SIZE = (5, 6, 8)
# Turned about all axes, with slices that go against the normal of their rows and columns.
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [12, -25, 70], degrees=True).as_matrix() * [1.25, 0.75, -3.125]
OBLIQUE[:3, 3] = [71.123456, -20.25, 13.7]

PATIENT = {"PatientName": "Müller^Zoë", "PatientID": "77", "PatientBirthDate": "19500102", "PatientSex": "F"}
SCAN = {
    "Modality": "MR",
    "SpecificCharacterSet": "ISO_IR 100",
    "StudyInstanceUID": "1.2.3.4",
    "StudyDate": "20200101",
    "StudyTime": "101500",
    "StudyID": "1",
    "AccessionNumber": "A1",
    "ReferringPhysicianName": "Who",
    "SeriesNumber": 3,
    "ScanningSequence": "GR",
    "SequenceVariant": "SP",
    "ScanOptions": None,
    "MRAcquisitionType": "3D",
    "RepetitionTime": 24,
    "EchoTime": 5,
    "EchoTrainLength": 1,
    "PatientPosition": "HFS",
}
INJECTION = {
    "Radiopharmaceutical": "FDG",
    "RadionuclideHalfLife": 6586.2,
    "RadionuclideTotalDose": 185e6,
    "RadiopharmaceuticalStartTime": "093000",
    "RadionuclideCodeSequence": [],
}


def series(volume, uid, kind=MR, **facts):
    """The headers of a series on a volume's planes, without files."""
    header = Dataset()
    values = {**PATIENT, **SCAN, "SOPClassUID": kind, "SeriesInstanceUID": uid, **facts}
    for keyword, value in {"FrameOfReferenceUID": f"{uid}.9", **values}.items():
        if value is not None:
            setattr(header, keyword, value)
    lps = RAS_TO_LPS @ volume.ijk_to_ras
    places = [lps[:3, 3] + k * lps[:3, 2] for k in range(volume.array.shape[0])]
    planes = [
        Plane(kind, f"{uid}.{k + 1}", None, place, lps[:3, :2], volume.dimensions[:2])
        for k, place in enumerate(places)
    ]
    return Series(header, sorted(planes, key=lambda plane: plane.corner @ planes[0].normal))


def pet_series_of(volume, **facts):
    item = Dataset()
    for keyword, value in INJECTION.items():
        setattr(item, keyword, value)
    facts = {
        "Modality": "PT",
        "StudyInstanceUID": "1.2.3.5",
        "PatientWeight": 61,
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "DecayCorrection": "START",
        "FrameReferenceTime": 600000,
        "ActualFrameDuration": 900000,
        "CorrectedImage": ["DECY", "ATTN"],
        "SeriesDate": "20200101",
        "SeriesTime": "100000",
        "AcquisitionDate": "20200101",
        "AcquisitionTime": "100000",
        "RadiopharmaceuticalInformationSequence": [item],
        **facts,
    }
    return series(volume, "1.2.3.7", PET, **facts)


def results(ijk_to_ras=OBLIQUE, pet_to_mri=None):
    """Random images on a grid."""
    rng = np.random.default_rng(0)
    return Results(
        mri=Volume(rng.uniform(0, 900, SIZE).astype(np.float32), np.asarray(ijk_to_ras), "T1"),
        fused=rng.uniform(-0.1, 1.2, SIZE).astype(np.float32),
        colored=rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8),
        pet=rng.uniform(0, 26181.07, SIZE).astype(np.float32),
        pet_to_mri=np.eye(4) if pet_to_mri is None else pet_to_mri,
        windows=((0.0, 800.0), (0.0, 20000.0)),
        omega=0.35,
        table=jet_table(),
        method="SimpleITK rigid",
        title="colored, faithful, Omega 0.35",
        settings="FunFuse: model faithful; lambda 0.8.",
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(results, MRI, PET, folder) of a pair whose PET was turned and is from DICOM."""
    made = results(pet_to_mri=_turned())
    mri, pet = series(made.mri, "1.2.3.6"), pet_series_of(replace(made.mri, array=np.zeros((4, 6, 8))))
    folder = tmp_path_factory.mktemp("Quasimodo") / "dicom"
    write_dicom(made, mri, pet, folder)
    return made, mri, pet, folder


def _turned():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [3, 2, 5], degrees=True).as_matrix()
    matrix[:3, 3] = [1, -2, 3]
    return matrix


def headers(folder):
    return {path.relative_to(folder).as_posix(): pydicom.dcmread(path) for path in folder.rglob("*.dcm")}


def gdcm(folder, name):
    """What ITK, and with it Slicer, reads."""
    path = folder / name
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(path)) if path.is_dir() else (str(path),)
    return volume_from_sitk(sitk.ReadImage(files[0] if len(files) == 1 else files), name)


def check_place(found, expected):
    """The corners, wherever counting begins; and the voxels in the order of the expected ones."""
    ours, theirs = (v.ijk_to_ras @ corners(v.array.shape[2::-1]) for v in (expected, found))
    apart = np.linalg.norm(ours[:3, :, None] - theirs[:3, None, :], axis=0)
    assert found.array.shape[:3] == expected.array.shape and apart.min(1).max() < 0.01
    backwards = apart[0].argmin() != 0
    return found.array[::-1] if backwards else found.array


# --- Place and values ---------------------------------------------------------------------------------


def check_all(made, folder):
    fused = check_place(gdcm(folder, "fused"), made.mri)
    np.testing.assert_allclose(fused * 1e-4, made.fused, atol=5.00001e-5)
    fused = check_place(read(folder / "fused").volume, made.mri)
    np.testing.assert_allclose(fused, made.fused, atol=5.00001e-5)
    rounding = made.pet.max() / 65534 * 1.00001
    for volume in (gdcm(folder, "pet_registered"), read(folder / "pet_registered").volume):
        np.testing.assert_allclose(check_place(volume, made.mri), made.pet, atol=rounding)
    colored = gdcm(folder, "colored.dcm")
    np.testing.assert_array_equal(check_place(colored, made.mri), made.colored)


def test_place_and_values_are_read_back(written):
    check_all(written[0], written[-1])


@settings(max_examples=8, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 7)] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_any_place(tmp_path_factory, angles, spacing, flips, origin):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing * flips
    matrix[:3, 3] = origin
    made, folder = results(matrix), tmp_path_factory.mktemp("dicom")
    write_dicom(made, series(made.mri, "1.2.3.6"), pet_series_of(made.mri), folder / "out")
    check_all(made, folder / "out")


def test_slicers_reader_finds_them(written, slicer):
    """The one that the module DICOM loads volumes with."""
    import vtk

    made, *_, folder = written
    kinds = {"fused": "Scalar", "pet_registered": "Scalar", "colored.dcm": "Vector"}
    expected = {"fused": made.fused * 1e4, "pet_registered": made.pet, "colored.dcm": made.colored}
    for name, kind in kinds.items():
        files = [folder / name] if name.endswith("dcm") else sorted((folder / name).iterdir())
        node = slicer.mrmlScene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode")
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(files[0]))
        for path in files if len(files) > 1 else ():
            storage.AddFileName(str(path))
        storage.SetSingleFile(len(files) == 1)
        assert storage.ReadData(node)
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        found = Volume(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVTKMatrix(matrix))
        np.testing.assert_allclose(check_place(found, made.mri), expected[name], atol=0.51)


def test_a_pet_of_unknown_kind_is_a_capture_with_real_world_values(tmp_path):
    made = results()
    spect = series(made.mri, "1.2.3.8", archives.NUCLEAR_MEDICINE, Modality="NM")
    bare = pet_series_of(made.mri, DecayCorrection=None)
    cases = [
        ("nifti", None, "OT", "[arb'U]"),
        ("spect", spect, "NM", "[arb'U]"),
        ("bare", bare, "PT", "Bq/ml"),
    ]
    for name, pet, modality, unit in cases:
        write_dicom(made, series(made.mri, "1.2.3.6"), pet, tmp_path / name)
        found = check_place(read(tmp_path / name / "pet_registered").volume, made.mri)
        np.testing.assert_allclose(found, made.pet, atol=made.pet.max() / 65534 * 1.00001)
        header = pydicom.dcmread(tmp_path / name / "pet_registered" / "0001.dcm")
        (units,) = header.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence
        assert header.Modality == modality and units.CodeValue == unit
        assert (tmp_path / name / "registration.dcm").exists() == (pet is not None)
        stored = check_place(gdcm(tmp_path / name, "pet_registered"), made.mri)
        assert stored.max() == 32767, "no reader is told a slope that this kind of object cannot have"


def test_units_and_what_stored_values_mean(written):
    made, _, pet, folder = written
    for name, slope, unit in (("fused", 1e-4, "1"), ("pet_registered", made.pet.max() / 32767, "Bq/ml")):
        header = pydicom.dcmread(folder / name / "0001.dcm")
        (mapping,) = header.RealWorldValueMappingSequence
        assert mapping.RealWorldValueSlope == pytest.approx(slope, rel=1e-6)
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert mapping.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
    assert header.RescaleIntercept == 0 and header.Units == "BQML"
    # What SUV is computed from is the scanner's.
    for keyword in "SeriesTime AcquisitionTime DecayCorrection FrameReferenceTime".split():
        assert header[keyword].value == pet.header[keyword].value
    assert header.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose == 185e6
    assert header.PatientWeight == 61 and header.PatientName == PATIENT["PatientName"]
    assert header.DecayFactor == pytest.approx(2 ** (600 / 6586.2), rel=1e-6)
    assert list(header.ImageType) == ["DERIVED", "PRIMARY"] and list(header.SeriesType) == ["STATIC", "IMAGE"]


@pytest.mark.parametrize(
    "unit, told, ucum",
    [
        ("SUV", ("GML", "BW"), "g/ml{SUVbw}"),
        ("SUL", ("GML", "LBM"), "g/ml{SUVlbm}"),
        ("SUVbsa", ("CM2ML", "BSA"), "cm2/ml{SUVbsa}"),
        ("SUVR", ("NONE", None), "1"),
    ],
)
def test_values_that_were_turned_into_suv_say_so(tmp_path, unit, told, ucum):
    """The unit of the scanner would be wrong by a factor of thousands."""
    made = replace(results(), pet_unit=unit)
    for name, pet in (("dicom", pet_series_of(made.mri)), ("nifti", None)):
        write_dicom(made, series(made.mri, "1.2.3.6"), pet, tmp_path / name)
        header = pydicom.dcmread(tmp_path / name / "pet_registered" / "0001.dcm")
        (mapping,) = header.RealWorldValueMappingSequence
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == ucum
    assert "Units" not in header
    header = pydicom.dcmread(tmp_path / "dicom" / "pet_registered" / "0001.dcm")
    assert (header.Units, header.get("SUVType")) == told
    # DICOM has no word for a ratio.
    assert read(tmp_path / "dicom" / "pet_registered").volume.unit == ("" if unit == "SUVR" else unit)


@pytest.mark.parametrize(
    "units, kind, expected",
    [
        ("BQML", "", "Bq/ml"),
        ("GML", "LBM", "g/ml{SUVlbm}"),
        ("GML", "", "g/ml{SUVbw}"),
        ("NEW", "", "[arb'U]"),
    ],
)
def test_units_of_a_header(units, kind, expected):
    header = Dataset()
    header.Units, header.SUVType = units, kind
    assert units_of(header).CodeValue == expected


# --- Whose it is, and what it came from ---------------------------------------------------------------


def test_patient_and_study_are_the_mris_and_each_series_is_new(written):
    _, mri, pet, folder = written
    found = headers(folder)
    assert len(found) == 2 * SIZE[0] + 3
    for name, header in found.items():
        for keyword in (*PATIENT, "StudyInstanceUID", "StudyDate", "AccessionNumber", "SpecificCharacterSet"):
            assert header[keyword].value == mri.header[keyword].value, (name, keyword)
        assert header.SeriesDescription.startswith("RESEARCH USE FunFuse")
        assert header.BodyPartExamined == "BRAIN" and header.Manufacturer == "FunFuse"
        if name != "blending.dcm":
            assert header.FrameOfReferenceUID == mri.frame_of_reference
    of_each = {name: found[name].SeriesInstanceUID for name in found}
    assert len(set(of_each.values())) == 5 and not {"1.2.3.6", "1.2.3.7"} & set(of_each.values())
    assert {of_each[name] for name in found if name.startswith("fused/")} == {of_each["fused/0001.dcm"]}
    assert len({header.SOPInstanceUID for header in found.values()}) == len(found)
    assert sorted({header.SeriesNumber for header in found.values()}) == [301, 302, 303, 304, 305]
    assert {h.Modality for h in found.values()} == {"MR", "PT", "OT", "PR", "REG"}


def test_nothing_of_the_computer_is_in_them(written):
    folder = written[-1]
    for path in folder.rglob("*.dcm"):
        assert b"Quasimodo" not in path.read_bytes()


def test_images_say_how_they_were_derived(written):
    made, mri, pet, folder = written
    found = headers(folder)
    for name in ("fused/0001.dcm", "colored.dcm", "pet_registered/0001.dcm"):
        header = found[name]
        assert "not for diagnosis" in header.DerivationDescription and header.ImageType[0] == "DERIVED"
        assert made.settings in header.DerivationDescription and made.settings in header.ImageComments
    assert found["colored.dcm"].SeriesDescription == f"RESEARCH USE FunFuse {made.title}"
    of_mri = {plane.sop_instance: plane for plane in mri.planes}
    for n, _k in enumerate(grid_of(made.mri).order):
        header = found[f"fused/{n + 1:04d}.dcm"]
        uids = [source.ReferencedSOPInstanceUID for source in header.SourceImageSequence]
        (mine,) = set(uids) & set(of_mri)
        np.testing.assert_allclose(header.ImagePositionPatient, of_mri[mine].corner, atol=1e-6)
        of_pet = {plane.sop_instance for plane in pet.planes}
        assert set(uids) - {mine} and set(uids) - {mine} <= of_pet
    sources = [s.ReferencedSOPInstanceUID for s in found["colored.dcm"].SourceImageSequence]
    assert set(sources) == {*of_mri, *(plane.sop_instance for plane in pet.planes)}


def test_private_attributes_stay_where_they_are(tmp_path):
    made = results()
    pet = pet_series_of(made.mri)
    block = pet.header.RadiopharmaceuticalInformationSequence[0].private_block(0x0009, "ACME", create=True)
    block.add_new(1, "LO", "secret")
    write_dicom(made, series(made.mri, "1.2.3.6"), pet, tmp_path / "out")
    assert all(b"secret" not in path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm"))


def test_a_pet_of_many_times_tells_no_length(tmp_path):
    made = results()
    pet = pet_series_of(made.mri)
    twice = [plane._replace(sop_instance=f"{plane.sop_instance}.{n}") for plane in pet.planes for n in (1, 2)]
    write_dicom(made, series(made.mri, "1.2.3.6"), replace(pet, planes=twice), tmp_path / "out")
    header = pydicom.dcmread(tmp_path / "out" / "pet_registered" / "0001.dcm")
    assert header.ActualFrameDuration is None and header.NumberOfSlices == SIZE[0]


def test_of_a_dynamic_pet_the_earliest_frame_speaks(tmp_path):
    folder = archives.dynamic(phantom().pet, tmp_path / "PT", [60, 60, 60], [3, 2, 1])
    found = read_series(sorted(folder.iterdir(), reverse=True), "PT")
    assert found.is_dynamic and found.header.FrameReferenceTime == 0 and found.distance == pytest.approx(8)


# --- What relates them --------------------------------------------------------------------------------


def test_the_registration_takes_points_of_the_pet_to_the_mri(written):
    made, mri, pet, folder = written
    header = pydicom.dcmread(folder / "registration.dcm")
    to_mri, to_pet = header.RegistrationSequence
    assert to_mri.FrameOfReferenceUID == mri.frame_of_reference == header.FrameOfReferenceUID
    assert to_pet.FrameOfReferenceUID == pet.frame_of_reference
    first, second = (
        item.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
        for item in (to_mri, to_pet)
    )
    np.testing.assert_array_equal(np.reshape(first, (4, 4)), np.eye(4))
    point = np.array([10.0, 20.0, -5.0, 1.0])
    expected = RAS_TO_LPS @ made.pet_to_mri @ RAS_TO_LPS @ point
    np.testing.assert_allclose(np.reshape(np.array(second, float), (4, 4)) @ point, expected, atol=1e-6)
    kind = to_pet.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrixType
    assert kind == "RIGID" and "SimpleITK rigid" in header.ContentDescription
    (study,) = header.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == "1.2.3.5"


def test_kinds_of_matrices():
    turned = _turned()
    assert kind_of(turned) == "RIGID" and kind_of(turned @ np.diag([1.1, 0.9, 1, 1])) == "RIGID_SCALE"
    assert kind_of(turned + 0.1 * np.eye(4, k=1)) == "AFFINE"


def test_the_presentation_state_blends_the_pet_over_the_mri(written):
    made, mri, _, folder = written
    header = pydicom.dcmread(folder / "blending.dcm")
    assert header.RelativeOpacity == pytest.approx(made.omega)
    layers = {layer.BlendingPosition: layer for layer in header.BlendingSequence}
    below, above = layers["UNDERLYING"], layers["SUPERIMPOSED"]

    def images(layer):
        (of_series,) = layer.ReferencedSeriesSequence
        found = [image.ReferencedSOPInstanceUID for image in of_series.ReferencedImageSequence]
        return of_series.SeriesInstanceUID, found

    assert images(below) == ("1.2.3.6", [plane.sop_instance for plane in mri.planes])
    pets = [pydicom.dcmread(path) for path in sorted((folder / "pet_registered").iterdir())]
    assert images(above) == (pets[0].SeriesInstanceUID, [pet.SOPInstanceUID for pet in pets])
    assert above.RescaleSlope == pets[0].RescaleSlope
    for layer, window in ((below, made.windows[0]), (above, made.windows[1])):
        (shown,) = layer.SoftcopyVOILUTSequence
        assert (shown.WindowCenter, shown.WindowWidth) == (sum(window) / 2, window[1] - window[0])
    colors = [getattr(header, f"{color}PaletteColorLookupTableData") for color in ("Red", "Green", "Blue")]
    palette = np.stack([np.frombuffer(data, "<u2") for data in colors], axis=1) / 65535
    np.testing.assert_allclose(palette, made.table, atol=1e-4)


def test_the_icc_profile_is_srgb():
    from PIL import Image, ImageCms

    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    colors = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8))
    same = ImageCms.profileToProfile(colors, profile, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(same, int) - np.asarray(colors, int)).max() <= 2


@pytest.mark.parametrize(
    "direction, expected",
    [([1, 0, 0], "L"), ([0, -1, 0], "A"), ([0, 0, 1], "H"), ([0, 0.8, -0.6], "PF"), ([-0.99, 0.14, 0], "R")],
)
def test_letters(direction, expected):
    assert letters(np.array(direction, float)) == expected


# --- What is refused ----------------------------------------------------------------------------------


def test_a_pet_of_another_patient(tmp_path):
    made = results()
    mri = series(made.mri, "1.2.3.6")
    with pytest.raises(InputError, match='"T1" and its PET are of two patients') as error:
        write_dicom(made, mri, pet_series_of(made.mri, PatientID="78", PatientName="A"), tmp_path / "out")
    assert "Müller" not in str(error.value) and not (tmp_path / "out").exists()
    # One person with an ID of each hospital.
    write_dicom(made, mri, pet_series_of(made.mri, PatientID="78"), tmp_path / "out")


@pytest.mark.parametrize("change", [{"shift": 5.0}, {"turn": 30.0}])
def test_an_mri_that_was_moved(tmp_path, change):
    made = results()
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("x", change.get("turn", 0), degrees=True).as_matrix()
    matrix[0, 3] = change.get("shift", 0)
    mri = series(made.mri, "1.2.3.6")
    moved = replace(made, mri=replace(made.mri, ijk_to_ras=matrix @ made.mri.ijk_to_ras))
    with pytest.raises(InputError, match='"T1" does not lie where its DICOM series does'):
        write_dicom(moved, mri, None, tmp_path / "out")


def test_an_mri_of_no_study(tmp_path):
    made = results()
    with pytest.raises(InputError, match='"T1" names no study'):
        write_dicom(made, series(made.mri, "1.2.3.6", StudyInstanceUID=None), None, tmp_path / "out")


def test_another_image_than_an_mri(tmp_path):
    made = results()
    with pytest.raises(InputError, match=r'"T1" is no MRI by its DICOM header \(CT\)'):
        write_dicom(made, series(made.mri, "1.2.3.6", Modality="CT"), None, tmp_path / "out")


def test_files_that_are_gone_or_no_images(tmp_path):
    with pytest.raises(InputError, match='gone.dcm of "T1" cannot be read'):
        read_series([tmp_path / "gone.dcm"], "T1")
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    with pytest.raises(InputError, match='"T1" holds no DICOM images'):
        read_series([tmp_path / "text.dcm"], "T1")


# --- The command line ---------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """(MRI, PET), folders of DICOM."""
    mri, pet = phantom().mri, phantom().pet
    return dicom_series(mri, tmp_path / "T1", modality="MR"), dicom_series(pet, tmp_path / "FDG")


FAST = ("--no-register", "--method", "average", "--outputs", "fused")


def fuse(pair, out, *more):
    return main(["fuse", "--mri", str(pair[0]), "--pet", str(pair[1]), "--out", str(out), *FAST, *more])


def test_fuse_writes_dicom_when_asked(pair, tmp_path, capsys):
    out = tmp_path / "out"
    assert fuse(pair, out) == 0 and not (out / "dicom").exists()
    assert fuse(pair, out, "--dicom") == 0
    assert {path.name for path in (out / "dicom").iterdir()} == {
        *("fused", "pet_registered", "colored.dcm", "blending.dcm", "registration.dcm")
    }
    assert verify(out) == []
    said = capsys.readouterr().out
    assert "dicom/fused/" in said and "16 files" in said and "dicom/colored.dcm" in said
    fused = check_place(read(out / "dicom" / "fused").volume, phantom().mri)
    np.testing.assert_allclose(
        fused, sitk.GetArrayFromImage(sitk.ReadImage(str(out / "fused.nrrd"))), atol=6e-5
    )
    assert fuse(pair, out) == 0 and not (out / "dicom").exists(), "what is not asked for any more goes"


def test_an_mri_that_was_converted(pair, tmp_path, capsys):
    """Turned by the conversion and without its lowest slices, it is still in the study's place."""
    mri = phantom().mri
    matrix = mri.ijk_to_ras @ np.array([[1, 0, 0, 0], [0, -1, 0, 35], [0, 0, 1, 4], [0, 0, 0, 1.0]])
    converted = tmp_path / "T1.nii"
    sitk.WriteImage(sitk_image(Volume(mri.array[4:, ::-1], matrix)), str(converted))
    out = tmp_path / "out"
    assert fuse((converted, pair[1]), out, "--dicom") == 2
    assert '"T1" is no DICOM' in capsys.readouterr().err
    assert fuse((converted, pair[1]), out, "--dicom-mri", str(pair[0])) == 0
    header = pydicom.dcmread(out / "dicom" / "fused" / "0001.dcm")
    assert header.PatientName == "Phantom"
    other = dicom_series(
        replace(mri, array=np.roll(mri.array, 12, axis=1)), tmp_path / "other", modality="MR"
    )
    assert fuse((converted, pair[1]), tmp_path / "no", "--dicom-mri", str(other)) == 2
    said = capsys.readouterr().err
    assert '"other" is not the series that "T1" was converted from' in said and not (tmp_path / "no").exists()


def sitk_image(volume):
    from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk

    return volume_to_sitk(volume)


def test_pictures_join_no_study(tmp_path, capsys):
    mri, pet = head_phantom((8, 64, 56))
    for name, volume in (("mri", mri), ("pet", pet)):
        image = np.uint8(volume.array[4] / volume.array.max() * 255)
        sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / f"{name}.png"))
    given = (tmp_path / "mri.png", tmp_path / "pet.png")
    assert fuse(given, tmp_path / "out", "--dicom") == 2
    assert "Pictures have no place in a DICOM study" in capsys.readouterr().err


# --- Other people's programs --------------------------------------------------------------------------


def _needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: dicom3tools, dcmtk)")


def errors_of(folder, every=1):
    """What dciodvfy calls an error, by file; of all or of some files of a series."""
    found = {}
    for path in sorted(folder.rglob("*.dcm")):
        if path.stem.isdigit() and int(path.stem) % every:
            continue
        done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True)
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        if errors or not done.stdout + done.stderr:
            found[path.name] = errors
    return found


def test_an_independent_validator_finds_no_error(written, tmp_path):
    _needs("dciodvfy")
    assert errors_of(written[-1]) == {}
    made = results()
    one = {name: getattr(made, name)[:1] for name in ("fused", "colored", "pet")}
    single = replace(made, mri=made.mri.with_array(made.mri.array[:1]), **one)
    for name, some in (("without", made), ("single", single)):
        write_dicom(some, series(some.mri, "1.2.3.6"), None, tmp_path / name)
        assert errors_of(tmp_path / name) == {}


def test_the_validator_notices_what_is_wrong(written, tmp_path):
    """Else the test before would prove nothing."""
    _needs("dciodvfy")
    header = pydicom.dcmread(written[-1] / "pet_registered" / "0001.dcm")
    del header.Units
    header.save_as(tmp_path / "wrong.dcm")
    assert "Units" in errors_of(tmp_path)["wrong.dcm"][0]


def test_an_enhanced_mri(tmp_path):
    """One file of many frames: they are named by their numbers."""
    mri = phantom().mri
    path = archives.enhanced([mri], tmp_path / "T1" / "T1.dcm", "MR")
    found = read_series([path], "T1")
    assert sorted(plane.frame for plane in found.planes) == list(range(1, len(mri.array) + 1))
    made = results(mri.ijk_to_ras)
    made = replace(made, mri=mri, fused=mri.array / 300, pet=mri.array)
    made = replace(made, colored=np.repeat(np.uint8(mri.array / 2)[..., None], 3, axis=-1))
    write_dicom(made, found, None, tmp_path / "out")
    header = pydicom.dcmread(tmp_path / "out" / "fused" / "0001.dcm")
    (source,) = header.SourceImageSequence
    (frame,) = [
        plane.frame for plane in found.planes if np.allclose(plane.corner, header.ImagePositionPatient)
    ]
    assert source.ReferencedFrameNumber == frame
    if shutil.which("dciodvfy"):
        assert errors_of(tmp_path / "out") == {}


def test_dcmtk_shows_the_same_picture(written, tmp_path):
    _needs("dcmj2pnm")
    from PIL import Image

    made, *_, folder = written
    order = grid_of(made.mri).order
    path = tmp_path / "2.png"
    command = ["dcmj2pnm", "--write-png", "--frame", "2", str(folder / "colored.dcm"), str(path)]
    assert subprocess.run(command).returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(path)), made.colored[order[1]])
    command = ["dcmj2pnm", "--write-png", "+Wi", "1", str(folder / "fused" / "0002.dcm"), str(path)]
    assert subprocess.run(command).returncode == 0
    shown = np.asarray(Image.open(path).convert("L"), float)
    np.testing.assert_allclose(shown, 255 * np.clip(made.fused[order[1]], 0, 1), atol=1.1)
    if shutil.which("dcmpschk"):
        done = subprocess.run(["dcmpschk", str(folder / "blending.dcm")], capture_output=True, text=True)
        assert "Test passed" in done.stdout + done.stderr


def test_the_shared_pair(shared_data, tmp_path):
    """A real pair, as its files are."""
    _needs("dciodvfy")
    awkward = shared_data / "volumes" / "awkward"
    assert fuse((awkward / "dicom_MR", awkward / "dicom_PT"), tmp_path / "out", "--dicom") == 0
    folder = tmp_path / "out" / "dicom"
    assert errors_of(folder, every=10) == {}
    mri = read(awkward / "dicom_MR").volume
    for name in ("fused", "pet_registered"):
        check_place(gdcm(folder, name), mri)
        check_place(read(folder / name).volume, mri)
    check_place(gdcm(folder, "colored.dcm"), mri)


def test_what_sums_up_a_pet_is_no_typing_error():
    from pydicom.datadict import tag_for_keyword

    for keyword in " ".join(OF_THE_PET).split():
        assert tag_for_keyword(keyword) is not None, keyword
    assert code("1", "UCUM", "no units").CodeMeaning == "no units"
