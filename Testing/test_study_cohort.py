"""The study of a cohort: its data set, and how it counts what was done."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.cohort.data_set import read_data_set
from funfuse_cli.cohort.participants import Choice, with_transforms
from funfuse_cli.reading.reader import read_volume
from funfuse_cli.reading.transform import read_transform
from funfuse_cli.studies import cohort, cohort_data
from FunFuseSlicer.Logic.errors import InputError
from Testing import cohorts


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A data set of one phantom, in the place of the patients."""
    mri, pet = (cohorts.write(volume, tmp_path / f"{volume.name}.nii.gz") for volume in cohorts.head(1))
    source = cohort_data.Source(mri, pet, "T1w", "FDG")
    monkeypatch.setattr(cohort_data, "sources", lambda volumes: [source])
    for name in ("MRI_MM", "PET_MM"):
        monkeypatch.setattr(cohort_data, name, 8.0)
    return tmp_path / "data", *cohort_data.make(tmp_path / "data", tmp_path, 14)


def test_the_data_set_has_what_it_says(made):
    root, broken, planted, transforms = made
    assert sorted(broken.values()) == sorted(cohort_data.BROKEN) and planted not in broken
    participants = with_transforms(read_data_set(root, Choice()), transforms)
    images = {one.name: one.images for one in participants}
    assert len(images) == 14
    what = {kind: name for name, kind in broken.items()}
    assert images[what["no PET"]] == () and images[what["no MRI"]][0].mri is None
    assert [name for name, its in images.items() if its and its[0].transform] == [planted]
    whole = [name for name in images if name not in broken]
    places = np.array([read_volume(images[name][0].pet).ijk_to_ras for name in whole])
    assert len(np.unique(places.round(3), axis=0)) == len(whole), "each is displaced in its own way"


def test_the_transform_that_is_wrong_on_purpose_misses_by_what_the_page_says(made):
    root, _, planted, transforms = made
    (one,) = read_data_set(root, Choice(labels=[planted]))
    matrix = read_transform(next(transforms.iterdir()))
    # What puts the displaced PET right is known by its header: that of the phantom, but for the size.
    pet = read_volume(one.images[0].pet)
    center = pet.ijk_to_ras @ np.append((np.array(pet.dimensions) - 1) / 2, 1)
    miss = np.linalg.norm((matrix @ center)[:3])
    assert miss == pytest.approx(np.linalg.norm(cohort_data.WRONG_MM), abs=3)


def test_what_came_to_its_end_is_counted_by_the_logs(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    events = {
        "sub-1": ["began", "began", "ended"],
        "sub-2": ["began", "ended", "began", "ended"],
        "sub-3": ["began"],
    }
    for name, its in events.items():
        text = "".join(json.dumps({"event": event}) + "\n" for event in its)
        (logs / f"{name}.jsonl").write_text(text, encoding="utf-8")
    assert cohort.ended(tmp_path) == ["sub-1", "sub-2", "sub-2"]
    (tmp_path / "group.csv").touch()
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "sub-1" / "report.json").write_bytes(b"{}")
    assert cohort.contents(tmp_path) == {"sub-1/report.json": b"{}"}


def test_a_folder_without_volumes_is_said(tmp_path, capsys):
    assert main(["study", "cohort", "--data", str(tmp_path), "--docs", str(tmp_path / "docs")]) == 2
    assert "no folder 'volumes'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, said",
    [("nonsense", "cannot be read as a transform"), (None, "cannot be read"), ("flat", "flattens space")],
)
def test_a_transform_that_is_none_is_said(tmp_path, content, said):
    path = tmp_path / "a.tfm"
    if content == "flat":
        flat = sitk.AffineTransform(3)
        flat.SetMatrix([1, 0, 0, 0, 1, 0, 0, 0, 1e-12])
        sitk.WriteTransform(flat, str(path))
    elif content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_transform(path)
