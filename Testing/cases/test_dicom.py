"""DICOM as archives export it: the right voxels at the right place, or a sentence that names the fault."""

import shutil
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from funfuse_cli.reading.reader import read
from funfuse_cli.studies.odd_inputs import archives
from funfuse_cli.studies.odd_inputs import files as odd
from funfuse_cli.studies.odd_inputs.pairs import phantom
from FunFuseSlicer.Logic.errors import InputError

# A rescale slope of 8 digits, and 16 bits.
CLOSE = {"rtol": 1e-5, "atol": 0.51}


@pytest.fixture
def pet():
    """A PET with a noise of its own, so that no two slices are alike."""
    volume = phantom().pet
    noise = np.random.default_rng(1).uniform(0, 900, volume.array.shape)
    return volume.with_array((volume.array + noise).astype(np.float32))


def check(found, expected, array=None):
    """The same voxels at the same place."""
    np.testing.assert_allclose(found.volume.array, expected.array if array is None else array, **CLOSE)
    np.testing.assert_allclose(found.volume.ijk_to_ras, expected.ijk_to_ras, atol=1e-3)


# --- What lies beside the images ------------------------------------------------------------------------


def test_names_that_begin_with_a_dot(tmp_path, pet):
    check(read(odd.dicom_series(pet, tmp_path / "PT", slopes=True, name=".PT.{k:04d}.IMA")), pet)


@pytest.mark.parametrize(
    "kind, word",
    [
        ("report", "structured report"),
        ("values", "real world value map"),
        ("capture", "secondary capture"),
        ("localizer", "localizer"),
    ],
)
def test_what_is_no_slice_is_left_out_and_named(tmp_path, pet, kind, word):
    found = read(archives.with_besides(pet, tmp_path / "PT", [kind]))
    check(found, pet)
    (note,) = found.notes
    assert f"{kind}.dcm" in note and word in note and "left out" in note


def test_all_of_it_together(tmp_path, pet):
    found = read(archives.with_besides(pet, tmp_path / "PT"))
    check(found, pet)
    assert '"PT": left out of what is in the folder: 1 ' in found.notes[0]


def test_nothing_but_reports(tmp_path, pet):
    folder = archives.with_besides(pet, tmp_path / "PT", ["report"])
    for path in folder.glob("A*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match="no DICOM images, only: structured report"):
        read(folder)


def test_copies_of_files_count_once(tmp_path, pet):
    folder = odd.dicom_series(pet, tmp_path / "PT")
    for path in list(folder.iterdir())[:3]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    found = read(folder)
    check(found, pet)
    assert "3 of its files are copies" in found.notes[0]


def test_one_uid_for_all_is_no_reason_to_take_images_for_copies(tmp_path, pet):
    folder = odd.dicom_series(pet, tmp_path / "PT", facts=lambda time, k: {"SOPInstanceUID": "1.2.3"})
    check(read(folder), pet)


# --- Several series, folders, files ---------------------------------------------------------------------


def test_the_series_of_the_kind_that_is_meant(tmp_path, pet):
    folder = odd.dicom_series(pet, tmp_path / "study")
    odd.dicom_series(phantom().mri, folder, modality="MR", name="MR{k:03d}.dcm")
    found = read(folder, modalities=("PT", "NM"))
    check(found, pet)
    assert "left out of what is in the folder: 16 MR; such as MR000.dcm" in found.notes[0]
    assert found.modality == "PT"
    check(read(folder, modalities=("MR",)), phantom().mri)
    with pytest.raises(InputError, match="holds 2 DICOM series: .*PT.*MR.*one file of the series"):
        read(folder)


def test_a_file_stands_for_its_series(tmp_path, pet):
    folder = odd.two_series(pet, tmp_path / "study")
    with pytest.raises(InputError, match="holds 2 DICOM series: PT with 16 images, such as A0000.dcm"):
        read(folder)
    check(read(folder / "B0004.dcm"), pet)


def test_nested_folders_and_a_dicomdir(tmp_path, pet):
    from pydicom.fileset import FileSet

    study = {"StudyDate": "20200101", "StudyTime": "100000", "StudyID": "1", "SeriesNumber": 1}
    series = odd.dicom_series(pet, tmp_path / "PT", facts=lambda time, k: study)
    disk = FileSet()
    for path in series.iterdir():
        disk.add(path)
    disk.write(tmp_path / "disk")
    assert (tmp_path / "disk" / "DICOMDIR").is_file()
    for path in (tmp_path / "disk", tmp_path / "disk" / "DICOMDIR"):
        found = read(path)
        check(found, pet)
        assert found.notes == ()


# --- Values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["PT", "MR"])
def test_a_slope_for_each_frame_of_an_enhanced_file(tmp_path, pet, modality):
    path = archives.enhanced([pet], tmp_path / "E" / "E.dcm", modality)
    check(read(path.parent), pet)
    check(read(path), pet)


def test_slopes_to_real_world_values_stand_in(tmp_path, pet):
    folder = odd.dicom_series(
        pet, tmp_path / "PT", facts=lambda time, k: {"RescaleSlope": None, "RescaleIntercept": None}
    )
    for path in folder.iterdir():
        item, mapping = pydicom.dcmread(path), pydicom.Dataset()
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 3.0, 0.0
        item.RealWorldValueMappingSequence = [mapping]
        item.save_as(path)
    check(read(folder), pet, 3 * np.rint(pet.array))


@pytest.mark.parametrize("kind", ["RLE", "JPEG", "JPEGLS", "JPEG2000"])
def test_compressed_pixels(tmp_path, pet, kind):
    folder = archives.compressed(pet, tmp_path / "PT", kind)
    syntax = pydicom.dcmread(next(folder.iterdir()), stop_before_pixels=True).file_meta.TransferSyntaxUID
    assert syntax.is_compressed
    check(read(folder), pet)


@pytest.mark.parametrize("slope, words", [("0", "slope that is no number, or 0"), ("-1", "")])
def test_odd_slopes(tmp_path, pet, slope, words):
    folder = odd.dicom_series(pet, tmp_path / "PT", facts=lambda time, k: {"RescaleSlope": slope})
    if words:
        with pytest.raises(InputError, match=words):
            read(folder)
    else:
        found = read(folder)
        check(found, pet, -np.rint(pet.array))
        assert "rescale slope of 16 of its 16 images is negative" in found.notes[0]


# --- Times ----------------------------------------------------------------------------------------------

SECONDS, WEIGHTS = (10.0, 50.0, 240.0), (5.0, 1.0, 2.0)
MEAN = np.average(WEIGHTS, weights=SECONDS)


def test_a_dynamic_series_is_weighted_by_the_lengths_of_its_frames(tmp_path, pet):
    small = pet.with_array(pet.array / 10)
    folder = archives.dynamic(small, tmp_path / "PT", SECONDS, WEIGHTS)
    found = read(folder)
    np.testing.assert_allclose(found.volume.array, MEAN * small.array, atol=1.1)
    assert "mean of its 3 frames is taken, weighted by their lengths of 10 to 240 s" in found.notes[0]
    np.testing.assert_allclose(read(folder, 2).volume.array, 2 * small.array, atol=1.1)
    late = read(folder, (1, 2))
    np.testing.assert_allclose(
        late.volume.array, np.average([1, 2], weights=[50, 240]) * small.array, atol=1.1
    )
    with pytest.raises(InputError, match="frames 0 to 2; there are no frames 1 to 3"):
        read(folder, (1, 3))


@pytest.mark.parametrize("seconds, words", [(SECONDS, "weighted"), ((), "count alike")])
def test_times_in_an_enhanced_file(tmp_path, pet, seconds, words):
    frames = [pet.with_array(weight * pet.array) for weight in WEIGHTS]
    found = read(archives.enhanced(frames, tmp_path / "E" / "E.dcm", seconds=seconds))
    expected = MEAN if seconds else np.mean(WEIGHTS)
    np.testing.assert_allclose(found.volume.array, expected * pet.array, rtol=1e-4, atol=2)
    assert words in found.notes[0]


def test_times_by_the_indices_of_dimensions_alone(tmp_path, pet):
    frames = [pet.with_array(weight * pet.array) for weight in WEIGHTS]
    path = archives.enhanced(frames, tmp_path / "E" / "E.dcm")
    item = pydicom.dcmread(path)
    for group in item.PerFrameFunctionalGroupsSequence:
        (content,) = group.FrameContentSequence
        content.DimensionIndexValues = [content.InStackPositionNumber, content.TemporalPositionIndex]
        del content.TemporalPositionIndex
    item.save_as(path)
    np.testing.assert_allclose(read(path, 0).volume.array, WEIGHTS[0] * pet.array, rtol=1e-4, atol=2)


def test_counts_are_not_weighted(tmp_path, pet):
    frames = [pet.with_array(weight * pet.array) for weight in WEIGHTS]
    path = archives.enhanced(frames, tmp_path / "E" / "E.dcm", seconds=SECONDS)
    item = pydicom.dcmread(path)
    item.Units = "CNTS"
    item.save_as(path)
    found = read(path)
    np.testing.assert_allclose(found.volume.array, np.mean(WEIGHTS) * pet.array, rtol=1e-4, atol=2)
    assert "alike, for they hold counts" in found.notes[0]


def test_a_time_that_lacks_a_slice(tmp_path, pet):
    folder = archives.dynamic(pet.with_array(pet.array / 10), tmp_path / "PT", SECONDS, WEIGHTS)
    (folder / "1_004.dcm").unlink()
    with pytest.raises(InputError, match="not complete: its frames have different numbers of slices"):
        read(folder)


def test_two_echoes_are_no_times(tmp_path, pet):
    folder = odd.dicom_series(
        pet, tmp_path / "MR", frames=2, facts=lambda time, k: {"EchoTime": str(2.5 * (1 + time))}
    )
    with pytest.raises(InputError, match=r"different echo time \(2.5, 5.0\): export one"):
        read(folder)


# --- Place ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
@pytest.mark.parametrize("only", [None, 5])
def test_what_is_missing_of_the_place_is_named(tmp_path, pet, keyword, only):
    facts = lambda time, k: {keyword: None} if only in (None, k) else {}  # noqa: E731
    folder = odd.dicom_series(pet, tmp_path / "PT", facts=facts)
    with pytest.raises(InputError, match=rf"nothing about the .*\({keyword}\).*de-identifier.*export"):
        read(folder)


def _positions(pet, change):
    """``facts`` with each position changed: change(k, position)."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ pet.ijk_to_ras

    def facts(time, k):
        place = lps[:3, 3] + k * lps[:3, 2]
        return {"ImagePositionPatient": [round(float(x), 4) for x in change(k, place)]}

    return facts


def test_a_tilted_stack_lies_as_its_positions_say(tmp_path, pet):
    shift = np.array([0.0, 2.0, 0.0])
    folder = odd.dicom_series(pet, tmp_path / "PT", facts=_positions(pet, lambda k, place: place + k * shift))
    found = read(folder)
    matrix = pet.ijk_to_ras.copy()
    matrix[1, 2] -= 2.0
    check(found, replace(pet, ijk_to_ras=matrix))
    assert "tilted by 14.0°" in found.notes[0]


@pytest.mark.parametrize(
    "change, words",
    [
        (
            lambda k, place: place + (k == 7) * np.array([0, 0, 3.0]),
            "not complete: its slices lie 5.00 to 11.00 mm",
        ),
        (lambda k, place: place + (k == 7) * np.array([9.0, 0, 0]), "do not lie on a line"),
        (lambda k, place: place + (k > 7) * np.array([0, 0, 8.0]), "its slices lie 8.00 to 16.00 mm apart"),
        (lambda k, place: place - (k == 7) * np.array([0, 0, 8.0]), "several images of one place"),
    ],
)
def test_slices_that_are_no_stack(tmp_path, pet, change, words):
    with pytest.raises(InputError, match=words):
        read(odd.dicom_series(pet, tmp_path / "PT", facts=_positions(pet, change)))


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"SpacingBetweenSlices": 5.0}, "8 mm apart by their positions, which is taken, but 5 mm"),
        ({"SliceThickness": 5.0}, "5 mm thick but lie 8 mm apart"),
        ({"NumberOfSlices": 20}, "speaks of 20 slices, but there are 16"),
    ],
)
def test_a_header_that_does_not_fit_the_positions(tmp_path, pet, facts, words):
    found = read(odd.dicom_series(pet, tmp_path / "PT", facts=lambda time, k: facts))
    check(found, pet)
    assert len(found.notes) == 1 and words in found.notes[0]


def test_a_spect_gives_the_place_of_its_first_slice(tmp_path, pet):
    check(read(archives.spect(pet, tmp_path / "SPECT.dcm")), pet)
    with pytest.raises(InputError, match="no reconstructed slices.*give the SPECT's reconstruction"):
        read(archives.spect(pet, tmp_path / "raw.dcm", "TOMO"))


def test_an_enhanced_file_without_places(tmp_path, pet):
    path = archives.enhanced([pet], tmp_path / "E" / "E.dcm")
    item = pydicom.dcmread(path)
    del item.PerFrameFunctionalGroupsSequence
    item.save_as(path)
    with pytest.raises(InputError, match="position .ImagePositionPatient. of each of its frames"):
        read(path)


def test_an_enhanced_file_that_is_cut(tmp_path, pet):
    path = archives.enhanced([pet], tmp_path / "E" / "E.dcm")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match="E.dcm is incomplete or damaged: export the series again"):
        read(path)
