"""What a cohort consists of: BIDS data sets and tables of pairs, as people have them."""

import json

import pytest

from funfuse_cli.cohort.data_set import parse, read_data_set, side_cars
from funfuse_cli.cohort.pairs_table import read_pairs
from funfuse_cli.cohort.participants import Choice, with_transforms
from FunFuseSlicer.Logic.errors import InputError

ALL = Choice()


def make(root, *names, **texts):
    """Empty files, and files with a text."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_names_are_taken_apart_and_others_are_left_alone():
    name = parse("sub-01_ses-a_trc-FDG_run-02_pet.nii.gz")
    assert name.entities == {"sub": "01", "ses": "a", "trc": "FDG", "run": "02"}
    assert (name.suffix, name.ending) == ("pet", ".nii.gz")
    assert parse("pet.json").entities == {}
    for other in ("._sub-01_pet.nii.gz", "sub-01-02_pet.nii.gz", "sub-01_pet", "README"):
        assert parse(other) is None or parse(other).suffix == "README"


def test_the_mri_is_that_of_the_session_or_of_none_or_of_another(tmp_path):
    make(
        tmp_path,
        "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz",
        "sub-1/ses-a/anat/sub-1_ses-a_acq-fast_T1w.nii.gz",
        "sub-1/ses-a/pet/sub-1_ses-a_trc-FDG_pet.nii.gz",
        "sub-1/ses-b/pet/sub-1_ses-b_trc-FDG_pet.nii.gz",
        "sub-1/ses-b/pet/._sub-1_ses-b_trc-FDG_pet.nii.gz",
        "sub-2/anat/sub-2_T2w.nii",
        "sub-2/pet/sub-2_trc-FDG_rec-x_run-01_pet.nii",
        "sub-3/anat/sub-3_T1w.nii.gz",
        "derivatives/x/sub-1/pet/sub-1_trc-FDG_pet.nii.gz",
    )
    first, second, third = read_data_set(tmp_path, ALL)
    here, there = first.images
    assert here.mri == there.mri == str(tmp_path / "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz")
    assert here.notes == ("Of 2 MRI images sub-1_ses-a_T1w.nii.gz was taken.",)
    assert there.notes[0] == "Its MRI is that of session a." and there.session == "b"
    assert third.images == (), "a participant without PET is one of the cohort"
    (image,) = second.images
    assert image.mri is None and "There is no T1w image of sub-2" in image.notes[-1]
    (image,) = read_data_set(tmp_path, Choice(labels=["sub-2"], anatomies=("T1w", "T2w")))[0].images
    assert image.mri.endswith("sub-2_T2w.nii") and image.anatomy == "T2w"
    assert image.name == "sub-2_trc-FDG_rec-x_run-01" and image.transform_name.endswith(
        "to-T2w_mode-image_xfm.txt"
    )


def test_what_is_asked_for_is_taken(tmp_path):
    for tracer in ("FDG", "PIB"):
        make(tmp_path, f"sub-1/ses-a/pet/sub-1_ses-a_trc-{tracer}_pet.nii.gz", "sub-2/pet/sub-2_pet.nii.gz")
    assert [one.label for one in read_data_set(tmp_path, Choice(labels=["2"]))] == ["2"]
    (image,) = read_data_set(tmp_path, Choice(tracers=["PIB"]))[0].images
    assert image.tracer == "PIB"
    assert len(read_data_set(tmp_path, Choice(sessions=["a"]))[0].images) == 2
    with pytest.raises(InputError, match="no participant 9; there are 1, 2"):
        read_data_set(tmp_path, Choice(labels=["9"]))
    with pytest.raises(InputError, match="that are asked for"):
        read_data_set(tmp_path, Choice(tracers=["other"]))


def test_side_cars_are_inherited_and_the_nearer_wins(tmp_path):
    make(tmp_path, "sub-1/ses-a/pet/sub-1_ses-a_trc-FDG_pet.nii.gz")
    path = tmp_path / "sub-1/ses-a/pet/sub-1_ses-a_trc-FDG_pet.nii.gz"
    facts = {
        "pet.json": {"a": "top", "b": "top", "c": "top", "d": "top"},
        "trc-FDG_pet.json": {"b": "tracer", "c": "tracer", "d": "tracer"},
        "trc-PIB_pet.json": {"a": "of another tracer"},
        "sub-1/sub-1_pet.json": {"c": "participant", "d": "participant"},
        "sub-1/ses-a/pet/sub-1_ses-a_trc-FDG_pet.json": {"d": "own"},
    }
    for name, content in facts.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert side_cars(path, tmp_path) == ({"a": "top", "b": "tracer", "c": "participant", "d": "own"}, [])
    (tmp_path / "trc-FDG_pet.json").write_text("{", encoding="utf-8")
    found, notes = side_cars(path, tmp_path)
    assert found["b"] == "top" and notes == ["trc-FDG_pet.json cannot be read as JSON and is left out."]


def test_a_folder_that_is_no_data_set_is_said(tmp_path):
    with pytest.raises(InputError, match="is no BIDS data set"):
        read_data_set(tmp_path, ALL)
    with pytest.raises(InputError, match="cannot be opened"):
        read_data_set(tmp_path / "none", ALL)
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(InputError, match="has no PET image"):
        read_data_set(tmp_path, ALL)


def test_a_table_of_pairs_with_semicolons_and_a_mark(tmp_path):
    text = "\ufeffID;MRI;PET;mask;age\npat 1;a/t1.nii;p1.nii;;70\npat 1;a/t1.nii;p2.nii;m.nii;71\n"
    text += "7;b.nii;c.nii;;\n\n"
    make(tmp_path, **{"pairs.csv": text})
    first, second = read_pairs(tmp_path / "pairs.csv", ALL)
    assert (first.label, second.label) == ("pat1", "7")
    assert [image.name for image in first.images] == ["sub-pat1_run-1", "sub-pat1_run-2"]
    assert first.images[0].files() == {"mri": str(tmp_path / "a/t1.nii"), "pet": str(tmp_path / "p1.nii")}
    assert first.images[1].mask == str(tmp_path / "m.nii")
    assert second.images[0].name == "sub-7"
    (only,) = read_pairs(tmp_path / "pairs.csv", Choice(labels=["7"]))
    assert only.label == "7"


@pytest.mark.parametrize(
    "text, said",
    [
        ("id,mri\n1,a\n", "lacks the column pet"),
        ("", "lacks the column id and mri and pet"),
        ("id,mri,pet\n", "has no pairs"),
        ("id,mri,pet\n1,,p.nii\n", "line 2: mri is empty"),
        ("id,mri,pet\na-1,m,p\na1,m,p\n", "the ids a-1 and a1 both become sub-a1"),
        ("id,mri,pet\n--,m,p\n", "has no letter or digit"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, said):
    make(tmp_path, **{"pairs.csv": text})
    with pytest.raises(InputError, match=said):
        read_pairs(tmp_path / "pairs.csv", ALL)


def test_a_table_that_is_no_text_or_not_there_is_said(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    for name, said in (("pairs.csv", "no text in UTF-8"), ("none.csv", "cannot be read")):
        with pytest.raises(InputError, match=said):
            read_pairs(tmp_path / name, ALL)


def test_corrected_transforms_are_found_by_the_names_of_results(tmp_path):
    make(tmp_path, "sub-1/pet/sub-1_trc-FDG_pet.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz")
    participants = read_data_set(tmp_path, ALL)
    with pytest.raises(InputError, match="has no transform of these participants"):
        with_transforms(participants, tmp_path)
    make(tmp_path, "mine/sub-1_trc-FDG_from-pet_to-T1w_mode-image_xfm.txt")
    (one,) = with_transforms(participants, tmp_path / "mine")
    assert one.images[0].transform == str(tmp_path / "mine" / one.images[0].transform_name)
