"""The study of other tracers, on a small head."""

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies import tracers
from funfuse_cli.studies.kept import with_kept
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom


def average(mri, pet, parts):
    """The plain average in the place of a runner's ``fuse``."""
    return (mri + pet) / 2, mri / 2, pet / 2


def unit_slices():
    mri, pet = head_phantom((4, 40, 36))
    return [np.float32(volume.array / volume.array.max()) for volume in (mri, pet)]


def test_the_average_keeps_the_order_and_has_its_own_loss():
    mri, pet = unit_slices()
    row = tracers.measure(average, mri, pet, mri > 0)
    assert row["rank"] == pytest.approx(1) and row["loss"] == pytest.approx(row["average"])
    assert row["negative_mri"] == row["negative_pet"] == row["excess"] == 0


def test_what_is_wrong_with_parts_is_counted():
    mri, pet = unit_slices()

    def swapped(mri, pet, parts):
        return mri + pet, np.full_like(mri, -0.5), 1 - pet

    row = tracers.measure(swapped, mri, pet, mri > 0)
    assert row["rank"] == pytest.approx(-1) and row["negative_mri"] == 1 and row["excess"] > 0.9


def test_the_command_writes_a_row_for_each_map_and_model(tmp_path, monkeypatch):
    mri, pet = head_phantom((6, 40, 36))
    for path, volume in ((tmp_path / "T1.nii.gz", mri), (tmp_path / "maps" / "one.nii.gz", pet)):
        path.parent.mkdir(exist_ok=True)
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    monkeypatch.setattr(tracers, "fetch", lambda image: tmp_path / "T1.nii.gz")
    arguments = [
        "study",
        "tracers",
        "--maps",
        str(tmp_path / "maps"),
        "--every",
        "2",
        "--docs",
        str(tmp_path),
    ]
    assert main(arguments) == 0
    table = pd.read_csv(tmp_path / "data" / "tracers.csv")
    assert list(table.model) == list(model_names()) and set(table["map"]) == {"one"}
    assert (table["rank"] > 0.8).all() and table.notna().all(axis=None)
    # One model anew: the rows of the others stay, in their places.
    table.assign(loss=7.0).to_csv(tmp_path / "data" / "tracers.csv", index=False)
    assert main([*arguments, "--model", "paper", "--overwrite"]) == 0
    anew = pd.read_csv(tmp_path / "data" / "tracers.csv")
    assert list(anew.model) == list(table.model)
    assert list(anew.model[anew.loss < 7]) == ["paper"]
    facts = json.loads((tmp_path / "data" / "tracers_facts.json").read_text(encoding="utf-8"))
    assert facts["models"] == {name: load_model(name).sha256 for name in model_names()}


def test_kept_rows_stand_where_they_did(tmp_path):
    names, path = ["a", "b", "c"], tmp_path / "rows.csv"
    old = pd.DataFrame(
        {
            "set": ["x"] * 3 + ["y"] * 3 + ["y"],
            "patient": ["01"] * 3 + ["02"] * 4,
            "method": [*names, *names, "no more"],
            "value": 1,
        }
    )
    old.to_csv(path, index=False)
    new = pd.DataFrame({"set": ["x", "y"], "patient": ["01", "02"], "method": "b", "value": 2})
    rows = with_kept(new, path, "method", names, ["set"])
    assert list(rows.method) == [*names, *names] and list(rows.value) == [1, 2, 1, 1, 2, 1]
    assert list(rows.patient) == ["01"] * 3 + ["02"] * 3
    assert with_kept(new, tmp_path / "none.csv", "method", names) is new


def test_a_folder_without_maps_is_said(tmp_path, capsys):
    assert main(["study", "tracers", "--maps", str(tmp_path)]) == 2
    assert "no maps" in capsys.readouterr().err
