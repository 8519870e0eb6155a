"""Reading what users have on disk, and telling them what is wrong with it."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.reading.reader import is_flat, read_volume
from funfuse_cli.studies.odd_inputs import files as odd
from FunFuseSlicer.Logic.errors import DeviceError, InputError
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_formats_and_odd_paths(tmp_path, pair, ending):
    mri, _ = pair
    folder = tmp_path / "Prüfung 測試 1"
    folder.mkdir()
    sitk.WriteImage(volume_to_sitk(mri), str(folder / f"T1 größe{ending}"))
    volume = read_volume(folder / f"T1 größe{ending}")
    assert volume.name == "T1 größe"
    np.testing.assert_allclose(volume.ijk_to_ras, mri.ijk_to_ras, atol=1e-4)
    np.testing.assert_allclose(volume.array, mri.array)
    assert not is_flat(volume)


def test_four_dimensions_give_the_mean_or_a_frame(tmp_path):
    frames = [sitk.GetImageFromArray(np.full((3, 4, 5), value, np.float32)) for value in (1, 2, 6)]
    image = sitk.JoinSeries(frames)
    path = tmp_path / "dynamic.nii.gz"
    sitk.WriteImage(image, str(path))
    assert (read_volume(path).array == 3).all() and read_volume(path).array.shape == (3, 4, 5)
    assert (read_volume(path, frame=2).array == 6).all()
    with pytest.raises(InputError, match="frames 0 to 2"):
        read_volume(path, frame=3)


def test_frame_of_a_still_image(tmp_path, pair):
    sitk.WriteImage(volume_to_sitk(pair[0]), str(tmp_path / "a.nrrd"))
    read_volume(tmp_path / "a.nrrd", frame=0)
    with pytest.raises(InputError, match="one frame only"):
        read_volume(tmp_path / "a.nrrd", frame=1)


def test_pictures(tmp_path):
    gray = np.arange(200, dtype=np.uint8).reshape(10, 20)
    sitk.WriteImage(sitk.GetImageFromArray(gray), str(tmp_path / "gray.png"))
    volume = read_volume(tmp_path / "gray.png")
    assert is_flat(volume) and volume.array.dtype == np.uint8
    np.testing.assert_array_equal(volume.array[0], gray)
    same = sitk.GetImageFromArray(np.stack([gray] * 3, axis=-1), isVector=True)
    sitk.WriteImage(same, str(tmp_path / "same.png"))
    np.testing.assert_array_equal(read_volume(tmp_path / "same.png").array[0], gray)
    color = sitk.GetImageFromArray(np.stack([gray, gray, 255 - gray], axis=-1), isVector=True)
    sitk.WriteImage(color, str(tmp_path / "color.png"))
    with pytest.raises(InputError, match="color.png is a color image"):
        read_volume(tmp_path / "color.png")


def test_bad_paths_are_named(tmp_path):
    with pytest.raises(InputError, match="missing.nii.*no such file"):
        read_volume(tmp_path / "missing.nii")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="notes.txt cannot be read as an image"):
        read_volume(tmp_path / "notes.txt")
    (tmp_path / "empty.nii.gz").touch()
    with pytest.raises(InputError, match="empty.nii.gz cannot be read"):
        read_volume(tmp_path / "empty.nii.gz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder holds no DICOM series"):
        read_volume(tmp_path / "folder")


def _nifti(volume, path: Path, order: str = "<") -> bytes:
    """A NIfTI-1 file by the book, written without a library."""
    header = bytearray(352)
    for place, code, *values in (
        (0, "i", 348),
        (40, "8h", 3, *volume.dimensions, 1, 1, 1, 1),
        (70, "2h", 16, 32),
        (76, "8f", *[1] * 8),
        (108, "f", 352),
        (254, "h", 1),
        (280, "12f", *volume.ijk_to_ras[:3].ravel()),
        (344, "4s", b"n+1\0"),
    ):
        struct.pack_into(order + code, header, place, *values)
    path.write_bytes(bytes(header) + volume.array.astype(order + "f4").tobytes())
    return path.read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_files_must_be_as_long_as_they_say(tmp_path, pair, order):
    path = tmp_path / "a.nii"
    content = _nifti(pair[0], path, order)
    np.testing.assert_array_equal(read_volume(path).array, pair[0].array)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="a.nii is incomplete or damaged"):
        read_volume(path)


def test_compressed_files_in_parts_and_with_padding(tmp_path, pair):
    """Parallel compressors write several streams, tapes pad them."""
    content = _nifti(pair[0], tmp_path / "a.nii")
    path = tmp_path / "a.nii.gz"
    half = len(content) // 2
    parts = gzip.compress(content[:half]) + gzip.compress(content[half:])
    for whole in (parts, parts + bytes(512)):
        path.write_bytes(whole)
        np.testing.assert_array_equal(read_volume(path).array, pair[0].array)
    path.write_bytes(gzip.compress(content[:half]))
    with pytest.raises(InputError, match="a.nii.gz is incomplete"):
        read_volume(path)
    path.write_bytes(parts[:-9])
    with pytest.raises(InputError, match="a.nii.gz is incomplete"):
        read_volume(path)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_good_files_of_other_formats_are_not_taken_for_damaged(tmp_path, pair, ending, compressed):
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(volume_to_sitk(pair[0]), str(path), useCompression=compressed)
    np.testing.assert_array_equal(read_volume(path).array, pair[0].array)


@pytest.mark.parametrize(
    "change, words",
    [
        (odd.cut_a_slice, "A0023.dcm is incomplete or damaged: export"),
        (odd.lose_a_slice, "series is not complete: its slices lie 4.00 to 8.00 mm apart"),
        (lambda folder: (folder / "A0003.dcm").write_bytes(b""), "A0003.dcm is incomplete"),
        (lambda folder: _turn(folder / "A0003.dcm"), "slices that are not parallel"),
        (lambda folder: _shrink(folder / "A0003.dcm"), "its slices have different sizes"),
    ],
)
def test_a_dicom_series_must_be_a_whole_stack(tmp_path, pair, change, words):
    with pytest.raises(InputError, match=words):
        read_volume(odd.dicom_series(pair[1], tmp_path / "series", change=change))


def _turn(path: Path) -> None:
    import pydicom

    item = pydicom.dcmread(path)
    item.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    item.save_as(path)


def _shrink(path: Path) -> None:
    import pydicom

    item = pydicom.dcmread(path)
    half = item.pixel_array[::2]
    item.Rows, item.PixelData = half.shape[0], half.tobytes()
    item.save_as(path)


def test_a_dicom_folder_may_hold_other_files(tmp_path, pair):
    folder = odd.dicom_series(pair[1], tmp_path / "series")
    (folder / "notes.txt").write_text("a note")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / "more").mkdir()
    volume = read_volume(folder)
    np.testing.assert_allclose(volume.array, pair[1].array, atol=0.51)
    np.testing.assert_allclose(volume.ijk_to_ras, pair[1].ijk_to_ras, atol=1e-3)


def test_other_kinds_of_voxels(tmp_path, pair):
    with pytest.raises(InputError, match="c.nii holds complex numbers"):
        read_volume(odd.complex_numbers(pair[0], tmp_path / "c.nii"))
    sitk.WriteImage(sitk.Cast(volume_to_sitk(pair[1]), sitk.sitkInt64), str(tmp_path / "long.nrrd"))
    volume = read_volume(tmp_path / "long.nrrd")
    assert volume.array.dtype == np.float64, "Slicer's volumes have no 64-bit integers"
    np.testing.assert_array_equal(volume.array, pair[1].array)
    colors = sitk.JoinSeries([sitk.ReadImage(str(odd.colors(pair[1], tmp_path / "rgb.nrrd")))] * 2)
    sitk.WriteImage(colors, str(tmp_path / "movie.nrrd"))
    with pytest.raises(InputError, match="movie.nrrd is a color image"):
        read_volume(tmp_path / "movie.nrrd")


def test_what_the_memory_or_the_system_refuses(tmp_path):
    with pytest.raises(DeviceError, match="big.nrrd does not fit into the computer's memory: close"):
        read_volume(odd.enormous(None, tmp_path / "big.nrrd"))
    with pytest.raises(InputError, match="no such file"):
        read_volume(tmp_path / ("x" * 300))


# --- Real data ----------------------------------------------------------------------------------------


def test_dicom_slopes_of_every_slice(shared_data):
    """A DICOM PET has a rescale slope per slice; pydicom is the witness."""
    import pydicom

    folder = shared_data / "volumes" / "awkward" / "dicom_PT"
    volume = read_volume(folder)
    slices = [pydicom.dcmread(path) for path in folder.iterdir() if path.suffix == ".dcm"]
    slices.sort(key=lambda item: float(item.ImagePositionPatient[2]))
    assert len({float(item.RescaleSlope) for item in slices}) > 1
    expected = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    np.testing.assert_allclose(volume.array, np.stack(expected), rtol=1e-5, atol=1e-3)


def test_dicom_mri_and_oblique_headers(shared_data):
    awkward = shared_data / "volumes" / "awkward"
    mri = read_volume(awkward / "dicom_MR")
    assert mri.array.ndim == 3 and mri.array.max() > 0 and mri.name == "dicom_MR"
    oblique = read_volume(awkward / "fdg_oblique_int16_slope_suv.nii.gz")
    assert 0 < abs(oblique.ijk_to_ras[0, 1]) and oblique.array.max() == pytest.approx(8.0, rel=1e-3)


def test_real_color_and_dynamic_files(shared_data):
    awkward = shared_data / "volumes" / "awkward"
    with pytest.raises(InputError, match="fdg_pseudocolour_rgb.nrrd is a color image"):
        read_volume(awkward / "fdg_pseudocolour_rgb.nrrd")
    assert read_volume(awkward / "fdg_dynamic_4d.nii.gz").array.shape == (32, 64, 64)
