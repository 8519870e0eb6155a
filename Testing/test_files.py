"""Reading what users have on disk, and telling them what is wrong with it."""

import numpy as np
import pytest
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError, OutputError
from FunFuseSlicer.Logic.volume import volume_to_sitk
from Headless.files import is_flat, read_volume
from Headless.output_folder import all_or_nothing, check_writable


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


def test_results_appear_all_at_once_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError), all_or_nothing(out) as folder:
        (folder / "half.nrrd").write_text("half")
        raise ValueError
    assert not out.exists()
    with pytest.raises(ValueError), all_or_nothing(tmp_path / "new" / "deep"):
        raise ValueError
    assert not (tmp_path / "new").exists()
    with all_or_nothing(out) as folder:
        (folder / "fused.nrrd").write_text("whole")
        assert not (out / "fused.nrrd").exists()
    assert [path.name for path in out.iterdir()] == ["fused.nrrd"]
    with pytest.raises(KeyboardInterrupt), all_or_nothing(out) as folder:
        (folder / "fused.nrrd").write_text("other")
        raise KeyboardInterrupt
    assert [path.name for path in out.iterdir()] == ["fused.nrrd"]
    assert (out / "fused.nrrd").read_text() == "whole"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file.*cannot be written.*--out"):
        check_writable(tmp_path / "file" / "out")


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
