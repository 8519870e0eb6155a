"""Results on disk: a report and its files belong together, whenever a run fails or is killed."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from funfuse_cli import __main__ as commands
from funfuse_cli.workflow.output_folder import VOLUMES, verify, write_report
from FunFuseSlicer.Logic import errors, output_folder
from FunFuseSlicer.Logic.errors import InputError, OutputError
from FunFuseSlicer.Logic.output_folder import LIST, REPORT, Claim
from FunFuseSlicer.Logic.scene import export
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom

ROOT = Path(__file__).resolve().parents[1]


def write_run(folder: Path, name: str, files=("fused.nrrd", "scene.mrb", "pet_to_mri.tfm")) -> None:
    """What a run called ``name`` would leave in its temporary folder."""
    for file in files:
        (folder / file).write_text(f"{file} of {name}")
    write_report(folder, {"run": name})


def all_or_nothing(folder):
    """What fuse does with its folder."""
    return output_folder.all_or_nothing(folder, Claim(VOLUMES))


OLD_FILES = ("fused.nrrd", "scene.mrb", "pet_to_mri.tfm")
NEW_FILES = ("fused.nrrd", "scene.mrb", "preview.png")


@pytest.fixture
def results(tmp_path):
    """A folder with the results of one run, and a file of the user's."""
    folder = tmp_path / "results"
    with all_or_nothing(folder) as work:
        write_run(work, "old", OLD_FILES)
    (folder / "notes.txt").write_text("mine")
    return folder


def contents(folder: Path) -> dict:
    """What is in a folder, but for the lock that a killed run leaves."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != ".funfuse-lock"}


def is_one_run(folder: Path, name: str, files) -> bool:
    """Whether the folder holds the results of exactly one run, and the user's file."""
    report = json.loads((folder / REPORT).read_text())
    return (
        report["run"] == name
        and verify(folder) == []
        and set(contents(folder)) == {REPORT, "notes.txt", *files}
        and set(report["files"]) == set(files)
    )


# --- The order of renames -----------------------------------------------------------------------------

# 4 old files are set aside, 4 new ones take their place.
MOVES = 8


@pytest.mark.parametrize("number", range(1, MOVES + 1))
@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "in use"), KeyboardInterrupt()])
def test_a_move_that_fails_leaves_the_run_before(results, monkeypatch, number, error):
    calls, replace, before = [], os.replace, contents(results)

    def fail(source, target):
        calls.append(target)
        if len(calls) == number:
            raise error
        replace(source, target)

    with pytest.raises((OutputError, KeyboardInterrupt)), all_or_nothing(results) as work:
        write_run(work, "new", NEW_FILES)
        monkeypatch.setattr(os, "replace", fail)
    monkeypatch.undo()
    assert contents(results) == before and is_one_run(results, "old", OLD_FILES)
    assert not [path for path in results.iterdir() if path.is_dir()]
    with all_or_nothing(results) as work:
        write_run(work, "new", NEW_FILES)
    assert is_one_run(results, "new", NEW_FILES)


# Each child ends at its n-th step that changes the disk, as if its power cord were pulled.
KILLED = """
import os, sys
from Testing.test_output_integrity import NEW_FILES, all_or_nothing, write_run

def dies_at(number):
    calls = []
    def counted(function):
        def step(*arguments, **named):
            calls.append(function)
            if len(calls) == number:
                os._exit(9)
            return function(*arguments, **named)
        return step
    os.replace, os.unlink, os.rmdir = map(counted, (os.replace, os.unlink, os.rmdir))

for number in range(1, int(sys.argv[2]) + 1):
    child = os.fork()
    if child == 0:
        with all_or_nothing(os.path.join(sys.argv[1], str(number))) as work:
            write_run(work, "new", NEW_FILES)
            dies_at(number)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# The journal before them; and then it, the old files and the folders are removed.
MOMENTS = 1 + MOVES + 11


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process")
def test_killed_at_any_moment(tmp_path):
    """Never a report whose files are not its own; and what is left is no hindrance."""
    folders = [tmp_path / str(number) for number in range(1, MOMENTS + 1)]
    for folder in folders:
        with all_or_nothing(folder) as work:
            write_run(work, "old", OLD_FILES)
        (folder / "notes.txt").write_text("mine")
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(MOMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    codes = done.stdout.split()
    assert len(codes) == MOMENTS and set(codes) == {"9", "0"}, done.stderr
    seen = set()
    for folder, code in zip(folders, codes):
        if (folder / REPORT).exists():
            run = json.loads((folder / REPORT).read_text())["run"]
            assert is_one_run(folder, run, OLD_FILES if run == "old" else NEW_FILES)
            assert code == "9" or run == "new"
            seen.add(run)
        else:
            seen.add(None)
            left = [path for path in folder.rglob("*") if path.is_file()]
            assert {f"{name} of old" for name in OLD_FILES} <= {path.read_text() for path in left}, "lost"
        assert (folder / "notes.txt").read_text() == "mine"
        with all_or_nothing(folder) as work:
            write_run(work, "new", NEW_FILES)
        assert is_one_run(folder, "new", NEW_FILES)
        assert not list(folder.glob(".funfuse-*")), "what a killed run left is cleared away"
    assert seen == {"old", "new", None}


def test_a_folder_in_the_place_of_a_result_is_not_lost(results):
    (results / "preview.png").mkdir()
    (results / "preview.png" / "holiday.jpg").touch()
    before = contents(results)
    with pytest.raises(OutputError, match="folder of that name"), all_or_nothing(results) as work:
        write_run(work, "new", NEW_FILES)
    assert contents(results) == before and (results / "preview.png" / "holiday.jpg").exists()


@pytest.mark.parametrize(
    "error, told",
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OSError("Slicer could not write fused.nrrd"), OutputError),
        (FileNotFoundError(errno.ENOENT, "No such file", "/elsewhere/input.nii"), FileNotFoundError),
    ],
)
def test_only_errors_of_writing_are_told_as_such(results, error, told):
    with pytest.raises(told) as caught, all_or_nothing(results) as work:
        write_run(work, "new")
        raise error
    assert (caught.value is error) == (told is FileNotFoundError)
    assert told is FileNotFoundError or caught.value.__cause__ is error
    assert is_one_run(results, "old", OLD_FILES)


# --- The list in the report ---------------------------------------------------------------------------


def test_verify_names_what_differs(results):
    assert verify(results) == []
    (results / "fused.nrrd").write_text("fused.nrrd of 0ld")
    (results / "scene.mrb").unlink()
    assert verify(results) == ["fused.nrrd", "scene.mrb"]
    (results / REPORT).write_text("{}")
    with pytest.raises(InputError, match="lists no files"):
        verify(results)
    with pytest.raises(InputError, match="is missing"):
        verify(results.parent)


@pytest.fixture
def images(tmp_path):
    """A small registered pair on disk: arguments of ``fuse``."""
    result = []
    for option, volume in zip(("--mri", "--pet"), head_phantom((6, 20, 18), (7.0, 7.0, 14.0))):
        path = tmp_path / f"{volume.name}.nii.gz"
        sitk.WriteImage(volume_to_sitk(volume), str(path))
        result += [option, str(path)]
    return [*result, "--no-register"]


def test_fuse_lists_what_it_writes(images, tmp_path):
    out = tmp_path / "out"
    assert commands.main(["fuse", *images, "--out", str(out)]) == 0
    listed = json.loads((out / REPORT).read_text())["files"]
    assert set(listed) == {path.name for path in out.iterdir()} - {REPORT}
    for name, facts in listed.items():
        content = (out / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert verify(out) == []


@pytest.mark.parametrize(
    "module, function",
    [
        ("funfuse_cli.workflow.run", "save_node"),
        ("funfuse_cli.workflow.run", "write_preview"),
        ("funfuse_cli.workflow.run", "page"),
        ("funfuse_cli.workflow.run", "save_mrb"),
        ("funfuse_cli.workflow.run", "write_report"),
    ],
)
def test_a_disk_that_is_full_while_fuse_writes(images, results, capsys, monkeypatch, module, function):
    import importlib

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    importlib.import_module("funfuse_cli.workflow.run")
    monkeypatch.setattr(importlib.import_module(module), function, fail)
    assert commands.main(["fuse", *images, "--out", str(results)]) == 3
    assert "No space left" in capsys.readouterr().err
    assert is_one_run(results, "old", OLD_FILES)


# --- The export of the panel --------------------------------------------------------------------------


@pytest.fixture
def nodes(slicer):
    """Nodes to export, by role; two have one name, and one a name that no file can have."""
    import numpy as np

    names = {"fused": "a", "mri_part": "A", "pet_part": "T1/T2: ?"}
    return {
        role: slicer.util.addVolumeFromArray(np.full((2, 3, 4), float(number)), name=name)
        for number, (role, name) in enumerate(names.items())
    }


def test_every_node_gets_a_file_of_its_own(slicer, nodes, tmp_path):
    files = export.export_outputs(nodes, tmp_path)
    assert [path.name for path in files] == ["a.nrrd", "A 2.nrrd", "T1_T2_ _.nrrd"]
    for number, path in enumerate(files):
        assert (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) == number).all()
    assert [node.GetStorageNode().GetFileName() for node in nodes.values()] == [str(path) for path in files]


def test_an_export_replaces_what_an_export_wrote_and_nothing_else(slicer, nodes, tmp_path):
    (tmp_path / "A 2.nrrd").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"A 2\.nrrd is there already.*choose another folder"):
        export.export_outputs(nodes, tmp_path)
    assert contents(tmp_path) == before and nodes["fused"].GetStorageNode() is None
    (tmp_path / "A 2.nrrd").unlink()
    export.export_outputs(nodes, tmp_path)
    export.export_outputs({"fused": nodes["fused"]}, tmp_path)
    (tmp_path / "A 2.nrrd").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        export.export_outputs(nodes, tmp_path)
    assert (tmp_path / "A 2.nrrd").read_text() == "mine"


@pytest.mark.parametrize("number", range(1, 4))
def test_an_export_that_fails_changes_nothing(slicer, nodes, tmp_path, monkeypatch, number):
    export.export_outputs({"fused": nodes["fused"]}, tmp_path)
    before, ids = contents(tmp_path), slicer.mrmlScene.GetNumberOfNodes()
    save, calls = slicer.util.saveNode, []

    def fail(node, *arguments):
        calls.append(node)
        return len(calls) != number and save(node, *arguments)

    monkeypatch.setattr(slicer.util, "saveNode", fail)
    with pytest.raises(OutputError, match="Choose another folder"):
        export.export_outputs(nodes, tmp_path)
    assert contents(tmp_path) == before and set(before) == {"a.nrrd", LIST}
    assert slicer.mrmlScene.GetNumberOfNodes() == ids
    assert nodes["fused"].GetStorageNode().GetFileName() == str(tmp_path / "a.nrrd")


# --- Exit codes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, code, words",
    [
        (errors.InputError("Choose."), 2, "error: Choose."),
        (errors.OutputError("Full."), 3, "error: Full."),
        (errors.ModelError("Damaged."), 4, "error: Damaged."),
        (errors.DeviceError("No memory."), 4, "error: No memory."),
        (MemoryError(), 4, "error: There is not enough memory"),
        (errors.RegistrationError("Far."), 5, "error: Far."),
        (errors.FunFuseError("Else."), 1, "error: Else."),
        (ZeroDivisionError("one by\nzero"), 1, "ZeroDivisionError: one by zero"),
        (errors.Cancelled(), 130, None),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
@pytest.mark.parametrize("traceback", [None, "--traceback", "FUNFUSE_TRACEBACK"])
def test_exit_codes_and_what_is_said(monkeypatch, capsys, error, code, words, traceback):
    from funfuse_cli.commands import uptake

    def fail(arguments):
        assert arguments == ["--image", "x"]
        try:
            raise OSError("the technical cause")
        except OSError as cause:
            raise error from cause

    monkeypatch.setattr(uptake, "main", fail)
    monkeypatch.delenv("FUNFUSE_TRACEBACK", raising=False)
    arguments = ["uptake", "--image", "x"]
    if traceback == "FUNFUSE_TRACEBACK":
        monkeypatch.setenv(traceback, "1")
    elif traceback:
        arguments.insert(2, traceback)
    assert commands.main(arguments) == code
    said = capsys.readouterr().err.strip()
    assert (words or "") in said.splitlines()[-1] if said else words is None
    wants = traceback is not None and code != 130
    assert ("Traceback" in said) == wants == ("the technical cause" in said)
    assert wants or len(said.splitlines()) <= 1


def test_every_error_has_an_exit_code():
    kinds = {errors.FunFuseError, errors.Cancelled}
    told = {kind for kind in vars(errors).values() if isinstance(kind, type)} - kinds
    assert told == set(commands.EXIT_CODES)
    assert not {0, 1} & set(commands.EXIT_CODES.values())
