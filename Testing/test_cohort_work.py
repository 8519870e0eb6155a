"""One participant: done once, wholly or not at all, and always with the same bytes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.cohort import derivatives
from funfuse_cli.cohort.data_set import read_data_set
from funfuse_cli.cohort.participants import Choice
from funfuse_cli.cohort.work import BEFORE, DONE, FAILED, REFUSED, Settings, log_of, process
from funfuse_cli.workflow.output_folder import write_report
from FunFuseSlicer.Logic.errors import DeviceError, InputError, OutputError, RegistrationError
from FunFuseSlicer.Logic.registration.interface import OutOfTime
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing import cohorts


class Fuse:
    """Stands for the command: copies its inputs; what it is told to raise comes first."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), []

    def __call__(self, arguments):
        self.calls.append(arguments)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        given = dict(argument[2:].split("=", 1) for argument in arguments if "=" in argument)
        out = Path(given["out"])
        out.mkdir()
        mri = sitk.ReadImage(given["mri"])
        for role in ("pet_registered", "fused"):
            sitk.WriteImage(mri, str(out / f"{role}.nii.gz"))
        sitk.WriteTransform(sitk.AffineTransform(3), str(out / "pet_to_mri.tfm"))
        registration = {
            "matrix": np.eye(4).tolist(),
            "seconds": len(self.calls),
            "verdict": "Plausible: yes.",
        }
        facts = {"registration": registration, "fusion": {"seconds": 1.0, "device": "cpu", "omega": 0.6}}
        facts["inputs"] = {"pet_unit": "unknown"}
        write_report(out, {**facts, "notes": ["Said."], "seconds": {"total": 7}, "provenance": {"date": 1}})
        return 0


@pytest.fixture
def cohort(tmp_path):
    """Participants of a data set, and settings."""
    root = cohorts.data_set(tmp_path / "data", 2)
    return read_data_set(root, Choice()), Settings(str(tmp_path / "out"), str(root), prefix=derivatives.RAW)


def files(folder) -> dict:
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_what_is_done_is_not_done_again_and_has_the_names_of_bids(cohort):
    (first, second), settings = cohort
    fuse = Fuse()
    assert process(first, settings, fuse).kind == process(second, settings, fuse).kind == DONE
    folder = settings.folder(first)
    place = folder / "ses-2" / "pet"
    names = {path.name for path in place.iterdir()}
    assert names == {
        "sub-01_ses-2_trc-FDG_from-pet_to-T1w_mode-image_xfm.txt",
        *(
            f"sub-01_ses-2_trc-FDG_space-T1w_desc-{label}_pet.{ending}"
            for label in ("preproc", "fused")
            for ending in ("nii.gz", "json")
        ),
    }
    assert [line["event"] for line in log_of(first, settings)] == ["began", "ended"]
    outcome = process(first, settings, fuse)
    assert outcome.kind == BEFORE and len(fuse.calls) == 2 and outcome.complaints() == []
    assert len(log_of(first, settings)) == 2, "nothing was worked on"


def test_the_bytes_are_the_same_whenever_it_is_made(cohort):
    (first, _), settings = cohort
    fuse = Fuse()
    process(first, settings, fuse)
    made = files(settings.folder(first))
    shutil.rmtree(settings.folder(first))
    process(first, settings, fuse)
    assert files(settings.folder(first)) == made and len(fuse.calls) == 2
    text = made[Path("report.json")].decode()
    assert settings.root not in text and settings.output not in text, "no paths of this computer"


def test_volumes_keep_their_place_and_side_cars_say_where_they_come_from(cohort):
    (_, second), settings = cohort
    process(second, settings, Fuse())
    place = settings.folder(second) / "pet"
    mri = nibabel.load(second.images[0].mri)
    made = nibabel.load(place / "sub-02_trc-FDG_space-T1w_desc-preproc_pet.nii.gz")
    assert np.allclose(made.affine, mri.affine, atol=1e-4) and np.array_equal(made.dataobj, mri.dataobj)
    facts = json.loads((place / "sub-02_trc-FDG_space-T1w_desc-preproc_pet.json").read_text())
    assert facts["Units"] == "Bq/mL" and facts["SpatialReference"] == "bids:raw:sub-02/anat/sub-02_T1w.nii.gz"
    assert set(facts["SourceSHA256"]) == {"mri", "pet"} and facts["SkullStripped"] is False


@pytest.mark.parametrize("change", ["image", "side car", "option", "result"])
def test_what_changed_is_made_anew(cohort, change, tmp_path):
    (_, second), settings = cohort
    fuse = Fuse()
    process(second, settings, fuse)
    if change == "image":
        cohorts.write(cohorts.head(9)[1], Path(second.images[0].pet))
    elif change == "side car":
        Path(second.images[0].pet.replace(".nii.gz", ".json")).write_text('{"Units": "SUV"}')
        _, second = read_data_set(Path(settings.root), Choice())
    elif change == "option":
        settings = replace(settings, arguments=("--omega=0.3",))
    else:
        (settings.folder(second) / "pet" / "sub-02_trc-FDG_space-T1w_desc-fused_pet.nii.gz").unlink()
    assert process(second, settings, fuse).kind == DONE and len(fuse.calls) == 2
    assert process(second, settings, fuse).kind == BEFORE


def test_a_result_that_was_changed_by_hand_is_the_users(cohort):
    (_, second), settings = cohort
    fuse = Fuse()
    process(second, settings, fuse)
    side_car = settings.folder(second) / "pet" / "sub-02_trc-FDG_space-T1w_desc-fused_pet.json"
    side_car.write_text("{}")
    outcome = process(second, settings, fuse)
    assert outcome.kind == FAILED and "no earlier run wrote it as it is" in outcome.complaints()[0]
    assert side_car.read_text() == "{}"
    bold = replace(settings, overwrite=True)
    assert process(second, bold, fuse).kind == DONE and side_car.read_text() != "{}"


@pytest.mark.parametrize("error", [InputError("No."), RegistrationError("No.")])
def test_a_refusal_is_remembered_with_its_sentence(cohort, error):
    (_, second), settings = cohort
    fuse = Fuse(error)
    for kind in (DONE, BEFORE):
        outcome = process(second, settings, fuse)
        assert (outcome.kind, outcome.complaints()) == (kind, ["sub-02_trc-FDG: No."])
        assert outcome.images[0]["outcome"] == REFUSED
    assert len(fuse.calls) == 1


@pytest.mark.parametrize(
    "error, said",
    [
        (DeviceError("No memory."), "No memory."),
        (OutputError("Full."), "Full."),
        (OutOfTime("Late."), "Late."),
        (ValueError("odd\nthing"), "Something unexpected happened (ValueError: odd thing)."),
        (MemoryError(), "not enough memory"),
    ],
)
def test_other_failures_leave_nothing_and_are_tried_again(cohort, error, said):
    (_, second), settings = cohort
    fuse = Fuse(error)
    outcome = process(second, settings, fuse)
    assert outcome.kind == FAILED and said in outcome.complaints()[0]
    assert not settings.folder(second).exists()
    assert log_of(second, settings)[-1]["sentence"] == outcome.sentence
    assert process(second, settings, fuse).kind == DONE


def test_an_image_without_mri_is_refused_with_the_remedy(tmp_path):
    root = cohorts.describe(tmp_path / "data")
    cohorts.add_image(root, "sub-1_trc-FDG", cohorts.head(1)[1])
    (one,) = read_data_set(root, Choice())
    fuse = Fuse()
    outcome = process(one, Settings(str(tmp_path / "out"), str(root)), fuse)
    assert outcome.complaints() == [
        "sub-1_trc-FDG: There is no T1w image of sub-1: add one, or choose another --anat."
    ]
    assert fuse.calls == []


def test_inherited_lengths_of_frames_reach_the_reader(tmp_path):
    root = cohorts.describe(tmp_path / "data")
    mri, pet = cohorts.head(1)
    cohorts.add_anatomy(root, "sub-1", mri)
    path = cohorts.add_image(root, "sub-1_trc-FDG", pet)
    path.with_name("sub-1_trc-FDG_pet.json").unlink()
    frames = sitk.JoinSeries([volume_to_sitk(pet), volume_to_sitk(pet)])
    sitk.WriteImage(frames, str(path))
    (root / "pet.json").write_text('{"FrameDuration": [10, 30]}')
    seen = []

    class Reads(Fuse):
        def __call__(self, arguments):
            from funfuse_cli.reading.reader import read

            (pet,) = [a[6:] for a in arguments if a.startswith("--pet=")]
            seen.extend(read(pet).notes)
            return super().__call__(arguments)

    (one,) = read_data_set(root, Choice())
    assert process(one, Settings(str(tmp_path / "out"), str(root)), Reads()).kind == DONE
    assert "weighted by their lengths of 10 to 30 s" in seen[0]


def test_a_folder_of_another_data_set_is_left_alone(tmp_path):
    derivatives.describe(tmp_path, None)
    derivatives.describe(tmp_path, None)
    (tmp_path / derivatives.DESCRIPTION).write_text('{"GeneratedBy": [{"Name": "other"}]}')
    with pytest.raises(OutputError, match="another data set"):
        derivatives.describe(tmp_path, None)


def test_one_session_after_the_other(tmp_path):
    """What is not asked for now stays as it is; what was added is all that is made."""
    root = cohorts.describe(tmp_path / "data")
    mri, pet = cohorts.head(1)
    cohorts.add_anatomy(root, "sub-1", mri)
    for session in ("a", "b"):
        cohorts.add_image(root, f"sub-1_ses-{session}_trc-FDG", pet)
    settings, fuse = Settings(str(tmp_path / "out"), str(root)), Fuse()
    for session in ("b", "a"):
        (one,) = read_data_set(root, Choice(sessions=[session]))
        assert process(one, settings, fuse).kind == DONE
        assert process(one, settings, fuse).kind == BEFORE
    (both,) = read_data_set(root, Choice())
    assert process(both, settings, fuse).kind == BEFORE and len(fuse.calls) == 2
    apart = files(settings.folder(both))
    at_once = replace(settings, output=str(tmp_path / "at once"))
    process(both, at_once, fuse)
    assert files(at_once.folder(both)) == apart
    shutil.rmtree(root / "sub-1" / "ses-b")
    (left,) = read_data_set(root, Choice())
    assert process(left, settings, fuse).kind == DONE and len(fuse.calls) == 4
    assert not any("ses-b" in str(name) for name in files(settings.folder(left)))
