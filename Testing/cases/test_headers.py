"""Headers that disagree with themselves, or say nothing: the right place and values, and a sentence."""

import gzip
import json
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.reading.reader import read
from funfuse_cli.studies.odd_inputs.headers import MOVED, dynamic, nifti, sequence
from funfuse_cli.studies.odd_inputs.pairs import phantom
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk


@pytest.fixture
def pet():
    """The phantom's, 30 × 36 × 16 voxels of 5 × 5 × 8 mm."""
    return phantom().pet


@pytest.mark.parametrize(
    "sform_code, qform_code, taken",
    [
        (2, 1, "sform"),
        (1, 1, "sform"),
        (1, 2, "qform"),
        (4, 1, "sform"),
        (3, 2, "sform"),
        (4, 4, "sform"),
        (2, 4, "qform"),
    ],
)
def test_the_more_specific_form_is_taken_and_said(tmp_path, pet, sform_code, qform_code, taken):
    place = pet.ijk_to_ras
    path = nifti(pet, tmp_path / "FDG.nii.gz", (sform_code, MOVED @ place), (qform_code, place))
    found = read(path)
    expected = MOVED @ place if taken == "sform" else place
    np.testing.assert_allclose(found.volume.ijk_to_ras, expected, atol=1e-3)
    np.testing.assert_array_equal(found.volume.array, pet.array)
    (note,) = found.notes
    assert "sform and qform disagree by up to 25.0 mm" in note and f"the {taken} (code" in note


@pytest.mark.parametrize(
    "codes, taken", [((0, 1), "qform"), ((1, 0), "sform"), ((0, 4), "qform"), ((2, 0), "sform")]
)
def test_a_form_whose_code_is_0_does_not_count(tmp_path, pet, codes, taken):
    forms = {"sform": MOVED @ pet.ijk_to_ras, "qform": pet.ijk_to_ras}
    path = nifti(pet, tmp_path / "FDG.nii.gz", (codes[0], forms["sform"]), (codes[1], forms["qform"]))
    found = read(path)
    np.testing.assert_allclose(found.volume.ijk_to_ras, forms[taken], atol=1e-3)
    assert found.notes == ()


def test_forms_that_agree_need_no_word(tmp_path, pet):
    path = nifti(pet, tmp_path / "FDG.nii.gz", (2, pet.ijk_to_ras), (1, pet.ijk_to_ras))
    assert read(path).notes == ()


def test_neither_form(tmp_path, pet):
    found = read(nifti(pet, tmp_path / "FDG.nii.gz"))
    assert "neither qform nor sform" in found.notes[0] and "left and right" in found.notes[0]
    np.testing.assert_allclose(found.volume.spacing, pet.spacing)
    itk = sitk.ReadImage(str(tmp_path / "FDG.nii.gz"))
    np.testing.assert_allclose(
        found.volume.ijk_to_ras, np.diag([-1, -1, 1, 1]) @ np.diag([*itk.GetSpacing(), 1])
    )


@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("forms", [{}, {"qform": 1}])
def test_no_voxel_size(tmp_path, pet, value, forms):
    forms = {name: (code, pet.ijk_to_ras) for name, code in forms.items()}
    sizes = [1, 5, value, 8, 1, 1, 1, 1]
    with pytest.raises(InputError, match="FDG.nii.gz has no usable voxel size .*correct the header"):
        read(nifti(pet, tmp_path / "FDG.nii.gz", **forms, pixdim=sizes))


def test_a_voxel_size_that_does_not_fit_the_sform(tmp_path, pet):
    path = nifti(pet, tmp_path / "FDG.nii.gz", (1, pet.ijk_to_ras), pixdim=[1, 5, 0, 3, 1, 1, 1, 1])
    found = read(path)
    np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, atol=1e-3)
    assert "measure 5 × 5 × 8 mm by the sform, which is taken, 5 × 0 × 3 mm by pixdim" in found.notes[0]


def test_a_useless_sform_leaves_the_qform(tmp_path, pet):
    path = nifti(pet, tmp_path / "FDG.nii.gz", (2, pet.ijk_to_ras), (1, pet.ijk_to_ras), srow_y=[0, 0, 0, 0])
    found = read(path)
    np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, atol=1e-3)
    assert "sform has no usable axes and is left out" in found.notes[0]


def test_a_sheared_sform_is_taken_as_it_stands(tmp_path, pet):
    sheared = pet.ijk_to_ras.copy()
    sheared[0, 2] += 2.4
    found = read(nifti(pet, tmp_path / "FDG.nii.gz", (1, sheared)))
    np.testing.assert_allclose(found.volume.ijk_to_ras, sheared, atol=1e-3)
    assert any("sheared" in note for note in found.notes)


@pytest.mark.parametrize(
    "slope, factor, words",
    [
        (0.0, 1, "its slope is 0, which gives no scale"),
        (np.nan, 1, "its slope is nan"),
        (np.inf, 1, "its slope is inf"),
        (-2.0, -2, "slope is -2: what is stored as bright becomes dark"),
        (0.5, 0.5, None),
    ],
)
def test_slopes(tmp_path, pet, slope, factor, words):
    found = read(nifti(pet, tmp_path / "FDG.nii.gz", (1, pet.ijk_to_ras), scl_slope=slope))
    np.testing.assert_allclose(found.volume.array, factor * pet.array)
    assert len(found.notes) == (words is not None) and (words or "") in "".join(found.notes)


@pytest.mark.parametrize("unit, factor, word", [(1, 1000.0, "meters"), (3, 0.001, "micrometers")])
def test_units_become_millimeters(tmp_path, pet, unit, factor, word):
    place = np.diag([1 / factor] * 3 + [1.0]) @ pet.ijk_to_ras
    sizes = [1, *pet.spacing / factor, 1, 1, 1, 1]
    path = nifti(pet, tmp_path / "FDG.nii.gz", (1, place), xyzt_units=unit + 8, pixdim=sizes)
    found = read(path)
    np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, rtol=1e-5, atol=1e-3)
    assert f"header is in {word}: they were turned into millimeters" in found.notes[0]
    found = read(nifti(pet, tmp_path / "FDG.nii.gz", (1, pet.ijk_to_ras), xyzt_units=unit))
    np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, atol=1e-3)
    assert f"header says {word}, but its voxels have a size in millimeters" in found.notes[0]


def test_centimeters_of_an_nrrd_file(tmp_path, pet):
    sitk.WriteImage(volume_to_sitk(pet), str(tmp_path / "mm.nrrd"))
    content = (tmp_path / "mm.nrrd").read_bytes()
    head, _, voxels = content.partition(b"\n\n")
    for unit, factor in (("cm", 10.0), ("m", 1000.0), ("mm", 1.0)):
        path = tmp_path / f"{unit}.nrrd"
        path.write_bytes(head + f'\nspace units: "{unit}" "{unit}" "{unit}"'.encode() + b"\n\n" + voxels)
        found = read(path)
        np.testing.assert_allclose(found.volume.spacing, factor * pet.spacing)
        assert len(found.notes) == (factor != 1)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_no_voxel_size_in_other_formats(tmp_path, pet, ending):
    path = tmp_path / f"FDG{ending}"
    sitk.WriteImage(volume_to_sitk(pet), str(path))
    content = path.read_bytes()
    for size in (b"(5,0,0)", b"ElementSpacing = 5 5 8"):
        content = content.replace(size, b"(0,0,0)" if size.startswith(b"(") else b"ElementSpacing = 5 0 8")
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"FDG{ending} has a voxel size of 0, or none"):
        read(path)


def test_other_kinds_of_neuroimaging(tmp_path, pet):
    array = np.asfortranarray(pet.array.T)
    for kind, ending in (
        (nibabel.Nifti2Image, ".nii.gz"),
        (nibabel.MGHImage, ".mgz"),
        (nibabel.MGHImage, ".mgh"),
        (nibabel.Nifti1Pair, ".img"),
    ):
        path = tmp_path / f"{kind.__name__}{ending}"
        nibabel.save(kind(array, pet.ijk_to_ras), path)
        found = read(path)
        np.testing.assert_array_equal(found.volume.array, pet.array)
        np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, atol=1e-3)
        assert found.volume.name == kind.__name__ and found.notes == ()
    path = tmp_path / "old.hdr"
    nibabel.save(nibabel.AnalyzeImage(array, None), path.with_suffix(".img"))
    found = read(path)
    np.testing.assert_array_equal(found.volume.array, pet.array)
    assert "does not say which side is left" in found.notes[0]


def test_a_cut_mgz(tmp_path, pet):
    path = tmp_path / "T1.mgz"
    nibabel.save(nibabel.MGHImage(np.asfortranarray(pet.array.T), pet.ijk_to_ras), path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="T1.mgz is incomplete or damaged"):
        read(path)


# --- Frames ---------------------------------------------------------------------------------------------

SECONDS, WEIGHTS = [10, 30, 560], [6.0, 1.0, 2.0]


def test_frames_weigh_as_long_as_they_took(tmp_path, pet):
    path = dynamic(pet, tmp_path / "sub-01_pet.nii.gz", WEIGHTS)
    assert "count alike" in read(path).notes[0]
    np.testing.assert_allclose(read(path).volume.array, 3 * pet.array, rtol=1e-6)
    (tmp_path / "sub-01_pet.json").write_text(json.dumps({"FrameDuration": SECONDS}))
    found = read(path)
    np.testing.assert_allclose(
        found.volume.array, np.average(WEIGHTS, weights=SECONDS) * pet.array, rtol=1e-6
    )
    assert "weighted by their lengths of 10 to 560 s" in found.notes[0]
    np.testing.assert_allclose(read(path, (0, 1)).volume.array, 2.25 * pet.array, rtol=1e-6)
    assert "frames 0 to 1 of its 3" in read(path, (0, 1)).notes[0]


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"FrameDuration": [1, 2]}', '{"FrameDuration": [1, 0, 3]}', "{}"]
)
def test_a_side_car_that_does_not_help(tmp_path, pet, text):
    path = dynamic(pet, tmp_path / "pet.nii.gz", WEIGHTS)
    (tmp_path / "pet.json").write_text(text)
    found = read(path)
    np.testing.assert_allclose(found.volume.array, 3 * pet.array, rtol=1e-6)
    assert "side car" in found.notes[0] and "count alike" in found.notes[1]


@pytest.mark.parametrize("kinds", ["list domain domain domain", "domain domain domain list"])
def test_a_volume_sequence_of_slicer(tmp_path, pet, kinds):
    path = sequence(pet, tmp_path / "FDG.seq.nrrd", WEIGHTS, kinds)
    found = read(path)
    np.testing.assert_allclose(found.volume.array, 3 * pet.array, rtol=1e-6)
    np.testing.assert_allclose(found.volume.ijk_to_ras, pet.ijk_to_ras, atol=1e-3)
    assert found.volume.name == "FDG" and "mean of its 3 frames" in found.notes[0]
    np.testing.assert_allclose(read(path, 0).volume.array, 6 * pet.array)


def test_colors_are_no_frames(tmp_path, pet):
    with pytest.raises(InputError, match="3 values a voxel: give an image with one. If they are frames"):
        read(sequence(pet, tmp_path / "FDG.nrrd", WEIGHTS, "RGB-color domain domain domain"))


@pytest.mark.parametrize("intent, factor", [("none", 3.0), ("vector", None)])
def test_frames_in_the_fifth_dimension(tmp_path, pet, intent, factor):
    array = np.stack([pet.array.T * weight for weight in WEIGHTS], axis=-1)[:, :, :, None]
    image = nibabel.Nifti1Image(array, pet.ijk_to_ras)
    image.header.set_intent(intent)
    nibabel.save(image, tmp_path / "FDG.nii")
    if factor is None:
        with pytest.raises(InputError, match="3 values a voxel"):
            read(tmp_path / "FDG.nii")
    else:
        np.testing.assert_allclose(read(tmp_path / "FDG.nii").volume.array, factor * pet.array, rtol=1e-6)


def test_an_axis_of_time(tmp_path, pet):
    with pytest.raises(
        InputError, match="neither space nor values, such as time: save it as a volume sequence"
    ):
        read(sequence(pet, tmp_path / "FDG.nrrd", WEIGHTS, "time domain domain domain"))


def test_slopes_of_a_dynamic_file(tmp_path, pet):
    path = dynamic(pet, tmp_path / "pet.nii.gz", WEIGHTS, scl_slope=0.5, scl_inter=1.0)
    np.testing.assert_allclose(read(path).volume.array, 1.5 * pet.array + 1, rtol=1e-6)
    assert struct.unpack_from("<f", gzip.open(path).read(352), 112) == (0.5,)
