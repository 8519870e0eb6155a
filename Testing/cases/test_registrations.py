"""Registrations that once came out wrong and were called right: the right place, or a refusal."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.reading.reader import read_volume
from funfuse_cli.studies.odd_inputs import heads
from funfuse_cli.studies.registration_cases import mean_distance
from funfuse_cli.studies.verdict_cases import BODY, POSE, glands, made, pose
from FunFuseSlicer.Logic.registration import ImplausibleRegistration, RegistrationOptions, register, reuse
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from FunFuseSlicer.Logic.volumes.preprocessing import clean
from Testing.conftest import REAL_IMAGES, SHARED

# Headers have tests of their own.
QUICK = RegistrationOptions(stages=("rigid",), check_header=False)


def _found(pair, options=QUICK):
    result = register(pair.mri, pair.pet, options)
    return result, mean_distance(result.matrix, pair.nominal, pair.points)


@pytest.mark.parametrize(
    "mri, pet",
    [
        ({}, {"values": glands(50), "counts": 400.0}),
        ({}, BODY),
    ],
    ids=["hot glands", "body with a full bladder"],
)
def test_registered_and_called_good(mri, pet):
    result, error = _found(made(mri, pet, pose(*POSE)))
    assert error < 3 and result.judgement == "good"


@pytest.mark.parametrize("coil", [((20, -40, 10), 45.0), ((0, 60, 0), 50.0)], ids=["behind", "in front"])
def test_registered_in_spite_of_a_surface_coil(coil):
    result, error = _found(made({"coil": coil}, {}, pose(*POSE)))
    # Where the coil hardly sees, only noise is left to compare with: that may be doubted.
    assert error < 3 and result.judgement in ("good", "doubtful")


def test_right_headers_beside_hot_glands_are_called_right_as_they_are():
    pair = made({}, {"values": glands(20), "counts": 400.0}, np.eye(4))
    assert reuse(pair.mri, pair.pet, np.eye(4)).judgement == "good"


@pytest.mark.parametrize("axis, words", [(1, "front-back"), (0, "left-right")])
def test_a_quarter_turn_is_refused_and_named(axis, words):
    degrees = np.zeros(3)
    degrees[axis] = 90
    pair = made({}, {"size": (250.0, 250.0, 250.0), "mm": 5.0}, pose(degrees, (8, -12, 10)))
    with pytest.raises(ImplausibleRegistration, match=f"turned by 90° about the {words} axis") as caught:
        register(pair.mri, pair.pet, RegistrationOptions(stages=("rigid",)))
    assert caught.value.result.judgement == "wrong"


def test_noise_is_no_brain():
    mri = heads.mri(mm=4.0)
    rng = np.random.default_rng(0)
    noise = mri.with_array(rng.random(mri.array.shape, np.float32), "noise")
    with pytest.raises(ImplausibleRegistration, match="hardly depend on each other"):
        register(mri, noise, QUICK)


def test_the_bladder_in_the_place_of_the_brain_is_wrong():
    pair = made({}, BODY, np.eye(4))
    with pytest.raises(ImplausibleRegistration, match="holds the body: crop it to the head") as caught:
        reuse(pair.mri, pair.pet, pose((0, 0, 0), (0, -20, 700)))
    assert "away" in caught.value.result.verdict


# --- the cases themselves --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case, pet",
    [
        ("07-hot-glands", "PET"),
        ("08-body-with-hot-bladder", "PET"),
        ("12-coil-sensitivity", "FDG"),
        ("13-not-plausible-but-applied", "PET"),
    ],
)
def test_case_is_registered(case, pet):
    mri, uptake, truth = _case(case, pet)
    result = register(mri, uptake, RegistrationOptions(check_header=False))
    assert mean_distance(result.matrix, truth["pet_to_mri"], truth["points"]) < 3
    assert result.judgement == "good" and result.stage == "rigid"


def test_case_13_as_given():
    mri, uptake, _ = _case("13-not-plausible-but-applied", "PET")
    assert reuse(mri, uptake, np.eye(4)).judgement == "good"


def _case(case, pet):
    folder = SHARED / "cases" / case
    if not folder.is_dir():
        pytest.skip(REAL_IMAGES)
    mri, uptake = (clean(read_volume(folder / f"{name}.nii.gz"))[0] for name in ("T1", pet))
    return mri, uptake, np.load(folder / "truth.npz")


# --- on the command line ---------------------------------------------------------------------------


def _files(tmp_path, pair):
    for volume, name in ((pair.mri, "T1"), (pair.pet, "PET")):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{name}.nrrd"))
    return ["fuse", "--mri", str(tmp_path / "T1.nrrd"), "--pet", str(tmp_path / "PET.nrrd")]


def test_wrong_is_not_applied_and_ends_with_code_5(tmp_path, capsys):
    mri = heads.mri(mm=5.0)
    noise = np.random.default_rng(0).random(mri.array.shape, np.float32)
    files = _files(tmp_path, made({}, {}, np.eye(4))._replace(mri=mri, pet=mri.with_array(noise)))
    assert main([*files, "--registration", "rigid", "--out", str(tmp_path / "out")]) == 5
    assert "was not registered" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_register_only_and_its_transform_again(tmp_path):
    pair = made({"mm": 4.0}, {}, pose((0, 0, 6), (5, -8, 4)))
    files = _files(tmp_path, pair)
    out = tmp_path / "out"
    assert main([*files, "--register-only", "--registration", "rigid", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["fusion"] is None
    assert set(report["files"]) == {"pet_registered.nrrd", "pet_to_mri.tfm"}
    found = np.array(report["registration"]["matrix"])
    assert (
        report["registration"]["judgement"] == "good" and mean_distance(found, pair.nominal, pair.points) < 2
    )
    again = ["--transform", str(out / "pet_to_mri.tfm"), "--register-only", "--out", str(tmp_path / "again")]
    assert main([*files, *again]) == 0
    report = json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8"))
    assert report["registration"]["method"] == "reused"
    np.testing.assert_allclose(report["registration"]["matrix"], found, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--register-only", "--no-register"], "leaves nothing to do"),
        (["--registration", "rigid", "--transform", "T1.nrrd"], "leave --registration rigid out"),
    ],
)
def test_options_that_contradict_each_other(tmp_path, capsys, arguments, words):
    mri = heads.mri(mm=6.0)
    files = _files(tmp_path, made({}, {}, np.eye(4))._replace(mri=mri, pet=mri))
    arguments = [str(tmp_path / text) if text == "T1.nrrd" else text for text in arguments]
    assert main([*files, *arguments, "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err


def test_one_person_by_dicom(tmp_path):
    from funfuse_cli.reading.person import one_person
    from funfuse_cli.reading.reader import read
    from funfuse_cli.studies.odd_inputs.files import dicom_series

    volume = Volume(np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8), np.diag([-2.0, -2.0, 3.0, 1.0]))
    readings = {}
    for name, patient in (("a", "X1"), ("b", "x1 "), ("c", "X2"), ("d", "")):
        dicom_series(volume, tmp_path / name, patient={"PatientID": patient})
        readings[name] = read(tmp_path / name)
    assert one_person(readings["a"], readings["b"])
    assert not one_person(readings["a"], readings["c"]) and not one_person(readings["d"], readings["d"])
