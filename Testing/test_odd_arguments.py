"""Arguments that once aborted the process, hung it, ended in a traceback or were silently wrong."""

import json
import math
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.reading.reader import read_volume
from funfuse_cli.training.learning.lp_cnn import learn_network
from funfuse_cli.workflow.evaluation_report import text_of_methods
from funfuse_cli.workflow.provenance import checksum, without_folders
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.metrics import METRICS
from FunFuseSlicer.Logic.version import VERSION
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom
from Testing.test_terminal import environment

pytestmark = pytest.mark.usefixtures("known_brains")


@pytest.fixture
def files(tmp_path):
    """Paths of a small registered pair, in a folder of their own."""
    (tmp_path / "in").mkdir()
    paths = []
    for volume in head_phantom((6, 20, 18), (7.0, 7.0, 14.0)):
        paths.append(tmp_path / "in" / f"{volume.name}.nii.gz")
        sitk.WriteImage(volume_to_sitk(volume), str(paths[-1]))
    return paths


def fuse(mri, pet, out, *more):
    arguments = [
        "fuse",
        "--mri",
        mri,
        "--pet",
        pet,
        "--out",
        out,
        "--no-register",
        "--method",
        "average",
        *more,
    ]
    return main([str(argument) for argument in arguments])


def refused(capsys, code: int, *arguments) -> str:
    """The one line on standard error of a command that must end with that code."""
    assert main([str(argument) for argument in arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


# --- Paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--mri", "--pet", "--mask", "--out"])
def test_an_empty_path_is_none(files, tmp_path, capsys, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    options = {"--mri": files[0], "--pet": files[1], "--out": "out", option: ""}
    arguments = [part for pair in options.items() for part in pair]
    assert "path is empty" in refused(capsys, 2, "fuse", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are always text here")
@pytest.mark.parametrize("which", ["mri", "out", "folder above"])
def test_a_path_with_a_latin_1_byte(files, tmp_path, which):
    """In a process of its own: SimpleITK ends it at such a name. The sentence can be printed, too."""
    odd = os.fsencode(tmp_path) + b"/gr\xf6\xdfe"
    command = [sys.executable, "-m", "funfuse_cli", "fuse", "--no-register"]
    named = {b"--mri": os.fsencode(files[0]), b"--pet": os.fsencode(files[1])}
    named[b"--out"] = os.fsencode(tmp_path / "out")
    where = tmp_path
    if which == "mri":
        os.link(files[0], odd + b".nii.gz")
        named[b"--mri"] = odd + b".nii.gz"
    elif which == "out":
        named[b"--out"] = odd
    else:
        os.mkdir(odd)
        where, named[b"--out"] = os.fsdecode(odd), b"out"
    arguments = [part for pair in named.items() for part in pair]
    done = subprocess.run(
        [*command, *arguments], env=environment(), cwd=where, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "no text in UTF-8" in line and (which == "folder above" or "gr\\xf6\\xdfe" in line)
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_volume(os.fsdecode(odd + b".nii.gz"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_no_file(files, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.nii")
    for command in (
        ["fuse", "--mri", tmp_path / "pipe.nii", "--pet", files[1], "--out", tmp_path / "out"],
        ["evaluate", "--mri", files[0], "--pet", tmp_path / "pipe.nii", "--fused", files[0]],
        ["uptake", "--image", tmp_path / "pipe.nii", "--out", tmp_path / "u.png", "--colormap", "jet"],
    ):
        assert "pipe.nii is a pipe or a device" in refused(capsys, 2, *command)
    with pytest.raises(InputError, match="pipe or a device"):
        read_volume(tmp_path / "pipe.nii")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_in_a_circle(files, tmp_path, capsys):
    (tmp_path / "a.nii").symlink_to(tmp_path / "b.nii")
    (tmp_path / "b.nii").symlink_to(tmp_path / "a.nii")
    for mri, pet in ((tmp_path / "a.nii", files[1]), (files[0], tmp_path / "b.nii")):
        line = refused(capsys, 2, "fuse", "--mri", mri, "--pet", pet, "--out", tmp_path / "out")
        assert "no such file" in line
    line = refused(capsys, 3, "fuse", "--mri", files[0], "--pet", files[1], "--out", tmp_path / "a.nii")
    assert "a.nii: results cannot be written" in line


# --- Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["nan", "-0.1", "inf", "3"])
def test_tolerance_of_uptake(tmp_path, capsys, value):
    arguments = ["uptake", "--image", tmp_path / "a.png", "--out", tmp_path / "b.png", "--colormap", "jet"]
    assert "--tolerance must lie" in refused(capsys, 2, *arguments, f"--tolerance={value}")


@pytest.mark.parametrize("steps", range(2, 12))
def test_few_steps_of_learning(steps):
    rng = np.random.default_rng(0)
    patches = rng.random((2, 8, 16, 16), dtype=np.float32)
    network = learn_network(*patches, steps, 4, 1e-3, 0, lambda fraction: None)
    assert all(bool(weights.isfinite().all()) for weights in network.parameters())


@pytest.mark.parametrize("name", ["../../x", "/x", "a/b", ".hidden", "checkpoint", "x\n"])
def test_the_weights_stay_in_their_folder(tmp_path, capsys, name):
    arguments = ["train", "--data", tmp_path, "--out", tmp_path / "run", "--name", name]
    assert main([str(argument) for argument in arguments]) == 2
    assert "is no file name for weights" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["faithful", "detail", "paper-detail"])
def test_a_preset_that_goes_on_needs_weights_to_go_on_from(tmp_path, capsys, preset):
    arguments = ["train", "--data", tmp_path, "--out", tmp_path / "run", "--preset", preset]
    assert "--start-from" in refused(capsys, 2, *arguments)


@pytest.mark.parametrize("columns", [40, 79, 1000])
def test_columns_of_methods_never_touch(monkeypatch, columns):
    """Wide numbers and short names, on terminals of any width."""
    monkeypatch.setenv("COLUMNS", str(columns))
    names = [*METRICS, "MSE_MRI", "ms"]
    methods = {"Sum": -12345.678, "A_method_with_a_very_long_name": math.nan, "b": 0.5}
    rows = [{"method": method, **dict.fromkeys(names, value)} for method, value in methods.items()]
    text, seen = text_of_methods(rows), []
    assert max(map(len, text.splitlines())) <= columns
    for block in text.split("\n\n"):
        head, *lines = block.splitlines()
        seen += head.split()
        values = [line for line in lines if line not in methods]
        assert len(values) == len(rows)
        for line in values:
            cells = [cell for cell in line.split() if cell not in methods]
            assert len(cells) == len(head.split()), line
    assert sorted(seen) == sorted(names)


# --- Provenance and a choice of outputs ---------------------------------------------------------------


def test_a_report_says_where_it_comes_from(files, tmp_path):
    out = tmp_path / "Esmeralda" / "out"
    assert fuse(*files, out, f"--mask={files[0]}") == 0
    source = json.loads((out / "report.json").read_text(encoding="utf-8"))["provenance"]
    assert source["date"].endswith("+00:00") and source["versions"]["FunFuse"] == VERSION
    assert {"numpy", "scipy", "SimpleITK", "vtk", "Python"} <= set(source["versions"])
    assert source["inputs"] == {
        role: checksum(path) for role, path in zip(("mri", "pet", "mask"), (*files, files[0]))
    }
    command = ["fuse", "--mri", "T1.nii.gz", "--pet", "FDG.nii.gz", "--out", ".", "--no-register"]
    assert source["command"] == [*command, "--method", "average", "--mask=T1.nii.gz"]
    assert "Esmeralda" not in (out / "report.json").read_text(encoding="utf-8")
    root = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=os.path.dirname(__file__)
    )
    if root.returncode == 0:
        assert source["commit"].removesuffix("-dirty") == root.stdout.strip()


def test_folders_of_arguments_are_not_told():
    given = [
        "--mri",
        "/data/Esmeralda/T1.nii",
        "--out=/x/Esmeralda",
        "--pet=../p",
        "--out",
        "Esmeralda",
        "--x=1",
    ]
    assert without_folders(given) == ["--mri", "T1.nii", "--out=.", "--pet=p", "--out", ".", "--x=1"]


def test_the_checksum_of_a_folder_depends_on_all_of_it(tmp_path):
    (tmp_path / "a.dcm").write_text("a")
    (tmp_path / "b.dcm").write_text("b")
    first = checksum(tmp_path)
    assert first["files"] == 2
    (tmp_path / "b.dcm").write_text("c")
    assert checksum(tmp_path)["sha256"] != first["sha256"]


def test_outputs_that_are_not_wanted_are_not_written(files, tmp_path):
    out = tmp_path / "out"
    every = {"pet_registered.nrrd", "fused.nrrd", "colored.nrrd", "preview.png", "scene.mrb", "report.json"}
    every |= {"report.html"}
    for more, names in (
        ((), every),
        (("--no-scene",), every - {"scene.mrb"}),
        (("--outputs", "fused", "preview"), {"fused.nrrd", "preview.png", "report.json"}),
        (("--outputs", "scene"), {"scene.mrb", "report.json"}),
        (("--outputs", "page"), {"report.html", "report.json"}),
        (("--outputs", "registered", "scene", "--no-scene"), {"pet_registered.nrrd", "report.json"}),
    ):
        assert fuse(*files, out, *more) == 0
        assert {path.name for path in out.iterdir()} == names


def test_measuring_is_part_of_the_minutes(monkeypatch):
    """By a clock of its own: a step takes one second, and measuring one pair at one λ two."""
    pytest.importorskip("torch")
    from funfuse_cli.training import trainer
    from funfuse_cli.training.options import TrainingOptions

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

        def take(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(trainer, "time", clock)
    monkeypatch.setattr(trainer, "_train_step", lambda *_: clock.take(1.0))
    monkeypatch.setattr(trainer, "terms", lambda *_: clock.take(2.0))
    for name in ("_descent", "_prices"):
        monkeypatch.setattr(trainer, name, lambda *_: None)
    data = types.SimpleNamespace(options=TrainingOptions(minutes=1.0), batch=lambda step: ())
    # 8 steps and a pair are tried; all λ are measured once within the training and once at its end.
    assert trainer._affordable(None, data, {"held-out": [None]}) == (60 - 8 - 2 - 2 * 10, 1)
