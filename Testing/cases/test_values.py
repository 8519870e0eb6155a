"""What a voxel value means: contrast around zero, backgrounds, bits of pictures, masks, a wrong choice."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies.odd_inputs.pairs import phantom, write_pair
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.doubts import MR, PT, doubts, looks_coarse, looks_swapped
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import check_mask, clean, normalize
from Testing.conftest import head_phantom

# Of the phantom of the tests.
SIZE, SPACING = (24, 48, 40), (3.0, 3.0, 4.0)
CSF, GRAY, WHITE = -450.0, -120.0, 270.0


def tissues():
    """(outside, liquor, gray matter, white matter) of a head, masks (k, j, i)."""
    mri, _ = head_phantom(SIZE, SPACING)
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, n) for n in SIZE], indexing="ij")
    radius = np.sqrt((i / 0.8) ** 2 + (j / 0.9) ** 2 + (k / 0.85) ** 2)
    gray, white = (radius < 1) & (radius > 0.75), radius <= 0.75
    liquor = white & (mri.array < 60)
    return radius >= 1, liquor, gray, white & ~liquor


def ratio_image(scale=1.0, outside=0.0, noise=0.0):
    """An MRI as an MP2RAGE gives it: liquor < gray matter < 0 < white matter."""
    background, liquor, gray, white = tissues()
    array = scale * (CSF * liquor + GRAY * gray + WHITE * white)
    rng = np.random.default_rng(0)
    array = array + noise * scale * rng.normal(size=array.shape) * ~background
    array[background] = outside() if callable(outside) else outside
    return head_phantom(SIZE, SPACING)[0].with_array(array.astype(np.float32), "UNI")


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1 / 300])
@pytest.mark.parametrize("outside", [0.0, "lowest"])
@pytest.mark.parametrize("noise", [0.0, 8.0])
def test_contrast_around_zero_is_lifted(scale, outside, noise):
    """Skull-stripped with zeros, or standardized with the lowest value around."""
    volume = ratio_image(scale, -500 * scale if outside == "lowest" else 0.0, noise)
    cleaned, changed = clean(volume, mri=True)
    unit = normalize(cleaned.array)
    background, liquor, gray, white = tissues()
    levels = [float(unit[part].mean()) for part in (background, liquor, gray, white)]
    assert levels[0] < 0.01 and levels[0] <= levels[1] and levels[1] + 0.25 < levels[2] < levels[3] - 0.25
    assert changed.raised > 0 and '"UNI": its contrast lies around zero' in changed.sentence("UNI")


def test_a_pet_is_never_lifted():
    _, changed = clean(ratio_image())
    assert changed.raised == 0 and changed.negative > 0


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_noise_and_ringing_below_zero_are_no_contrast(share):
    mri, _ = head_phantom(SIZE, SPACING)
    rng = np.random.default_rng(1)
    array = mri.array + np.where(rng.random(SIZE) < share, rng.normal(0, 3, SIZE), 0)
    assert clean(mri.with_array(array), mri=True)[1].raised == 0


def test_noise_as_bright_as_the_head_is_told():
    """Salt and pepper around the head of an MP2RAGE, from the lowest to the highest value."""
    rng = np.random.default_rng(2)
    number = int(tissues()[0].sum())
    volume = ratio_image(outside=lambda: rng.uniform(-500, 500, number))
    assert any("noise as bright as the head" in sentence for sentence in doubts(volume, MR))
    positive = volume.with_array(4 * (volume.array + 500))
    assert any("noise as bright as the head" in sentence for sentence in doubts(positive, MR))
    for good in (ratio_image(), *head_phantom(SIZE, SPACING)):
        assert doubts(good, MR) == []


@pytest.mark.parametrize("offset", [100.0, 1000.0])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_a_background_that_is_not_zero_is_told(offset, spread):
    _, pet = head_phantom(SIZE, SPACING)
    noise = spread * np.random.default_rng(3).normal(size=SIZE)
    (sentence,) = doubts(pet.with_array(pet.array + offset + noise), PT)
    assert '"FDG": its background is ' in sentence and "instead of 0" in sentence
    assert float(sentence.split("background is ")[1].split()[0]) == pytest.approx(offset, rel=0.02)


@pytest.mark.parametrize("noise", [0.0, 5.0, 100.0])
def test_noise_around_zero_is_no_background(noise):
    _, pet = head_phantom(SIZE, SPACING)
    rng = np.random.default_rng(4)
    for values in (np.abs(rng.normal(0, 1, SIZE)), rng.exponential(1, SIZE), rng.poisson(1, SIZE)):
        assert doubts(pet.with_array(pet.array + noise * values), PT) == []


def test_a_crop_inside_of_the_head_has_no_background():
    mri, pet = head_phantom(SIZE, SPACING)
    for volume in (mri, pet):
        assert doubts(volume.with_array(volume.array[8:16, 16:32, 13:27]), PT) == []


@pytest.mark.parametrize(
    "factor, told", [(0.001, True), (0.1, True), (1.0, False), (10, False), (1000, True)]
)
def test_a_grid_of_no_size_of_a_head_is_told(factor, told):
    mri, _ = head_phantom(SIZE, SPACING)
    found = doubts(replace(mri, ijk_to_ras=np.diag([factor] * 3 + [1]) @ mri.ijk_to_ras), MR)
    assert bool(found) == told and all("no size of a head" in sentence for sentence in found)


# --- Masks ------------------------------------------------------------------------------------------------


def test_the_mask_at_fault_is_named():
    mri, _ = head_phantom(SIZE, SPACING)
    mask = Volume(np.zeros(SIZE, np.uint8), mri.ijk_to_ras, "lesion")
    there = mask.with_array((tissues()[0]).astype(np.uint8))
    for given, on_grid, words in (
        (mask, mask.array, 'mask "lesion" has no voxel above 0'),
        (there, mask.array, 'mask "lesion" and "T1" do not overlap'),
        (there, there.array, 'mask "lesion" lies only where "T1" is zero'),
    ):
        with pytest.raises(InputError, match=words):
            check_mask(on_grid, given, mri)
    check_mask(1 - there.array, there, mri)


# --- Choice -----------------------------------------------------------------------------------------------


def test_a_swapped_pair_is_told_by_names_and_by_voxels():
    assert "wrong way round" in looks_swapped(("FDG", "T1"), (PT, MR))
    assert "wrong way round" in looks_swapped(("FDG", "b"), (PT, None))
    assert "look like an MRI" in looks_swapped(("T1", "T2"), (MR, MR))
    assert looks_swapped(("T1", "FDG"), (MR, PT)) is looks_swapped(("a", "b"), (None, None)) is None
    fine = replace(head_phantom(SIZE, SPACING)[0], name="a")
    coarse = replace(fine, ijk_to_ras=fine.ijk_to_ras @ np.diag([2, 2, 2, 1]))
    assert "wrong way round" in looks_coarse(coarse, fine) and looks_coarse(fine, coarse) is None
    assert looks_coarse(replace(coarse, name="T1"), fine) is None, "a coarse MRI may be one"


# --- On the command line ----------------------------------------------------------------------------------


def fuse(tmp_path, capfd, *arguments, **files):
    """Run it without registration; the report, and what was printed."""
    paths = [f"--{role}={path}" for role, path in files.items()]
    code = main(["fuse", *paths, f"--out={tmp_path / 'out'}", "--no-register", *arguments])
    printed = capfd.readouterr()
    assert code == 0, printed.err
    return json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")), printed.out


def test_what_reading_changed_is_printed_reported_and_logged(tmp_path, capfd, caplog, slicer):
    caplog.set_level("INFO")
    pair = phantom((8, 24, 20), (8.0, 8.0, 12.0))
    frames = np.stack([pair.pet.array, 3 * pair.pet.array], axis=-1)
    nibabel.save(
        nibabel.Nifti1Image(np.swapaxes(frames, 0, 2).astype(np.float32), pair.pet.ijk_to_ras),
        tmp_path / "FDG.nii.gz",
    )
    paths = write_pair(tmp_path, replace(pair, mri=pair.mri.with_array(pair.mri.array - 100)))
    report, printed = fuse(tmp_path, capfd, mri=paths["mri"], pet=tmp_path / "FDG.nii.gz")
    said = report["reading"]["notes"]
    assert [any(words in note for note in said) for words in ("2 frames", "around zero")] == [True, True]
    assert all(note in report["notes"] and f"  note: {note}" in printed for note in said)
    assert "contrast lies around zero" in caplog.text


def test_a_swapped_pair_is_told_on_the_command_line(tmp_path, capfd, slicer):
    paths = write_pair(tmp_path, phantom((8, 24, 20), (8.0, 8.0, 12.0)))
    report, printed = fuse(tmp_path, capfd, mri=paths["pet"], pet=paths["mri"])
    sentence = 'MRI and PET look the wrong way round: "FDG" is chosen as MRI, "T1" as PET.'
    assert sentence in report["reading"]["notes"] and sentence in printed


def test_a_picture_of_8_and_of_16_bits_is_fused_alike(tmp_path, capfd, slicer):
    pair = phantom((1, 64, 64), (3.0, 3.0, 1.0))
    images = [np.rint(200 * v.array[0] / v.array.max()).astype(np.uint8) for v in (pair.mri, pair.pet)]
    fused = []
    for scale, kind in ((1, np.uint8), (257, np.uint16), (256, np.uint16)):
        paths = {role: tmp_path / f"{role}{scale}.png" for role in ("mri", "pet")}
        for path, image in zip(paths.values(), images):
            sitk.WriteImage(sitk.GetImageFromArray(image.astype(kind) * kind(scale)), str(path))
        report, _ = fuse(tmp_path, capfd, **paths)
        assert report["fusion"]["normalization"] == "none"
        fused.append(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "fused.png"))).astype(int))
    assert np.abs(fused[0] - fused[1]).max() <= 1 and np.abs(fused[0] - fused[2]).max() <= 2


def test_a_picture_that_uses_a_part_of_its_bits_is_told(tmp_path, capfd, slicer):
    pair = phantom((1, 64, 64), (3.0, 3.0, 1.0))
    paths = {"mri": tmp_path / "mri.png", "pet": tmp_path / "pet.png"}
    for path, volume in zip(paths.values(), (pair.mri, pair.pet)):
        image = np.rint(4095 * volume.array[0] / volume.array.max()).astype(np.uint16)
        sitk.WriteImage(sitk.GetImageFromArray(image), str(path))
    report, printed = fuse(tmp_path, capfd, **paths)
    assert report["fusion"]["normalization"] == "robust"
    assert "mri and pet: only a part of the 16 bits is used" in printed
