"""The study of the color at equal uptake, on made-up images."""

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies import hue
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom


def unit_slices():
    """MRI and PET that have nothing to do with each other."""
    rng = np.random.default_rng(0)
    return [rng.random((3, 60, 60), np.float32) for _ in range(2)]


def fusing(pet_part):
    """In the place of a runner's ``fuse``."""
    return lambda mri, pet, parts: (mri, mri - pet_part(mri, pet), pet_part(mri, pet))


def test_a_part_that_follows_its_image_has_no_spread():
    rows = pd.DataFrame(hue.measure(fusing(lambda mri, pet: pet / 3), *unit_slices()))
    assert list(rows.uptake) == list(hue.BANDS) and (rows.voxels > 1000).all()
    assert rows.spread.max() < 0.005
    # The part reaches the end of the color map where uptake does.
    assert rows.dark.abs().max() < 0.02


def test_a_part_that_is_weaker_where_the_mri_is_bright_is_found():
    rows = pd.DataFrame(hue.measure(fusing(lambda mri, pet: pet * (1 - 0.4 * mri)), *unit_slices()))
    row = rows[rows.uptake == 0.5].iloc[0]
    assert row.dark - row.bright == pytest.approx(row.spread) and row.spread > 0.1
    turned = pd.DataFrame(hue.measure(fusing(lambda mri, pet: pet * (0.6 + 0.4 * mri)), *unit_slices()))
    assert turned[turned.uptake == 0.5].iloc[0].dark < turned[turned.uptake == 0.5].iloc[0].bright


def test_bands_with_few_voxels_tell_nothing():
    mri, pet = unit_slices()
    rows = hue.measure(fusing(lambda mri, pet: pet), mri, np.where(pet > 0.42, 1.0, pet))
    assert [row["uptake"] for row in rows] == [0.3]  # of 0.4 a fifth, and 1.0 may be more


def test_the_command_measures_volumes_maps_and_pictures(tmp_path, monkeypatch, capsys):
    mri, pet = head_phantom((6, 60, 54), (3.0, 3.0, 12.0))
    # Uptake of every height.
    rng = np.random.default_rng(0)
    pet = pet.with_array(np.where(mri.array > 0, 1000 * rng.random(pet.array.shape), 0).astype(np.float32))
    data = tmp_path / "data"
    for path, volume in (
        (data / "volumes" / "patient_fdg" / "T1.nii.gz", mri),
        (data / "volumes" / "patient_fdg" / "FDG.nii.gz", pet),
        (data / "volumes" / "patients_spect" / "one_T2.nii.gz", mri),
        (data / "volumes" / "patients_spect" / "one_SPECT.nii.gz", pet),
        (data / "tracers" / "map.nii.gz", pet),
    ):
        path.parent.mkdir(exist_ok=True, parents=True)
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    (data / "test_pairs").mkdir()
    for name, volume in (("mri", mri), ("pet", pet)):
        picture = (255 * volume.array[3] / volume.array.max()).astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(picture), str(data / "test_pairs" / f"01_{name}.png"))
    monkeypatch.setattr(hue, "fetch", lambda image: data / "volumes" / "patient_fdg" / "T1.nii.gz")
    monkeypatch.setattr(hue, "LEAST", 40)
    arguments = ["study", "hue", "--data", str(data), "--every", "1", "--docs", str(tmp_path / "docs")]
    assert main([*arguments, "--model", "faithful"]) == 0
    table = pd.read_csv(tmp_path / "docs" / "data" / "hue.csv", dtype={"subject": str})
    found = table[["set", "subject"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(found) == [("FDG", "FDG"), ("SPECT", "one_SPECT"), ("tracers", "map"), ("test_pairs", "01")]
    assert table.notna().all(axis=None) and set(table.model) == {"faithful"}
    # One model more: the rows of the first stay.
    assert main([*arguments, "--model", "detail", "--overwrite"]) == 0
    both = pd.read_csv(tmp_path / "docs" / "data" / "hue.csv", dtype={"subject": str})
    pd.testing.assert_frame_equal(
        both[both.model == "faithful"].reset_index(drop=True), table, check_exact=True
    )
    facts = json.loads((tmp_path / "docs" / "data" / "hue_facts.json").read_text(encoding="utf-8"))
    assert facts["every"] == 1
    assert facts["models"] == {
        name: load_model(name).sha256 for name in model_names() if name in ("faithful", "detail")
    }
    assert main(["study", "hue", "--data", str(tmp_path / "docs")]) == 2
    assert "none of the folders" in capsys.readouterr().err
