"""`slicer.cli` outside of the application: parameters, files, status, cancel, crash, outputs.

The program is a process of its own: Testing/brainsfit_program.py, or small ones made here.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from funfuse_cli.headless import cli, event_hooks

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = [sys.executable, str(ROOT / "Testing" / "brainsfit_program.py")]

# Echoes its arguments; puts the text of its input image's first voxels nowhere, but copies the file.
ECHO = """
import json, shutil, sys
if sys.argv[1:] == ["--xml"]:
    print('''<?xml version="1.0"?><executable><title>Echo of a test</title><version>7</version>
    <parameters><label>a</label><description>b</description>
    <image><name>source</name><index>0</index><channel>input</channel></image>
    <image><name>copy</name><index>1</index><channel>output</channel></image>
    <integer><name>count</name><flag>n</flag><default>3</default></integer>
    <float><name>part</name><longflag>--part</longflag><default>0.5</default></float>
    <boolean><name>loud</name><longflag>loud</longflag></boolean>
    <string><name>text</name><longflag>text</longflag></string>
    <double-vector><name>many</name><longflag>many</longflag><default>1,2</default></double-vector>
    </parameters></executable>''')
else:
    print("<filter-progress>0.25</filter-progress>said " + json.dumps(sys.argv[1:]))
    shutil.copy(sys.argv[-2], sys.argv[-1])
"""


@pytest.fixture
def echo(slicer, tmp_path):
    path = tmp_path / "Echo ü.py"
    path.write_text(ECHO, encoding="utf-8")
    yield cli.add_cli_module([sys.executable, str(path)], "Echo")
    cli.remove_cli_module("Echo")


@pytest.fixture
def program(slicer, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_LOG", str(tmp_path / "log"))
    yield cli.add_cli_module(PROGRAM, "TestFit")
    cli.remove_cli_module("TestFit")


def add_volume(slicer, name="volume", offset=0.0):
    array = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    matrix = np.diag([-2.0, -2.0, 3.0, 1.0])
    matrix[0, 3] = offset
    return slicer.util.addVolumeFromArray(array, matrix, name)


def until(condition, seconds=20.0):
    """Handle events, as the application would, until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        event_hooks.call_hooks()
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_temporary_files_of_others(slicer):
    for path in temporary_files(slicer):
        path.unlink()


def temporary_files(slicer):
    return [path for path in Path(slicer.app.temporaryPath).iterdir() if path.is_file()]


def test_description_of_the_program(program):
    parameters = program.logic()._description.parameters
    assert parameters["fixedVolume"].tag == "image" and parameters["fixedVolume"].channel == "input"
    assert parameters["linearTransform"].reference == "movingVolume"
    assert parameters["linearTransform"].extension == ".h5"
    assert parameters["useRigid"].default == "false" and parameters["useRigid"].flag == "--useRigid"


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no XML",
        "<other/>",
        "<executable><parameters><model><name>a</name></model></parameters></executable>",
    ],
)
def test_what_is_no_module_is_refused(xml):
    with pytest.raises(ValueError):
        cli.parse_description(xml)


def test_programs_that_are_no_modules_are_refused(slicer, tmp_path):
    for command in (
        ["no such program"],
        [sys.executable, "-c", "print('hello')"],
        [sys.executable, "-c", "1/0"],
    ):
        with pytest.raises(RuntimeError):
            cli.add_cli_module(command, "Nothing")
    assert not hasattr(slicer.modules, "nothing")


def test_parameters_become_arguments_and_outputs_nodes(slicer, echo):
    source, copy = (
        add_volume(slicer, "source", 11.0),
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"),
    )
    import slicer.cli

    values = {"source": source, "copy": copy, "count": 5, "loud": True, "text": "a b", "many": (0.5, 2.0)}
    node = slicer.cli.runSync(slicer.modules.echo, parameters={**values, "unknown": 1}, update_display=False)
    assert node.GetStatus() == node.Completed and not node.IsBusy()
    assert node.IsA("vtkMRMLCommandLineModuleNode") and node.GetScene() is slicer.mrmlScene
    said = node.GetOutputText()
    assert said.startswith("said ") and "filter-progress" not in said
    arguments = json.loads(said[5:])
    assert arguments[:-2] == ["-n", "5", "--part", "0.5", "--loud", "--text", "a b", "--many", "0.5, 2.0"]
    assert arguments[-2].endswith(".nrrd") and not any(c.isdigit() for c in Path(arguments[-2]).stem)
    assert np.array_equal(slicer.util.arrayFromVolume(copy), slicer.util.arrayFromVolume(source))
    assert copy.GetOrigin() == source.GetOrigin() and copy.GetSpacing() == source.GetSpacing()
    assert temporary_files(slicer) == []


def test_values_that_slicer_refuses_are_refused(slicer, echo, capsys):
    node = cli.createNode(echo, {"part": np.float32(0.25), "count": None})
    assert node.GetParameterAsString("part") == "0.5" and node.GetParameterAsString("count") == "3"
    assert "part" in capsys.readouterr().out
    cli.setNodeParameters(node, {"part": 0.25, "loud": False})
    assert node.GetParameterAsString("part") == "0.25" and node.GetParameterAsString("loud") == "false"
    assert node.GetModuleTitle() == "Echo of a test" and node.GetModuleVersion() == "7"
    assert slicer.mrmlScene.GetNodeByID(node.GetID()) is node


def test_status_changes_with_events_while_the_caller_goes_on(slicer, echo):
    source, copy = add_volume(slicer), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    seen = []
    node = cli.createNode(echo, {"source": source, "copy": copy})
    node.AddObserver(node.StatusModifiedEvent, lambda caller, event: seen.append(caller.GetStatusString()))
    assert cli.run(echo, node) is node
    assert node.GetStatus() == node.Scheduled and node.IsBusy()
    until(lambda: not node.IsBusy())
    assert list(dict.fromkeys(seen)) == ["Scheduled", "Running", "Completing", "Completed"]
    # The same node runs again.
    cli.run(echo, node, {"count": 9}, wait_for_completion=True)
    assert '"9"' in node.GetOutputText()


def test_temporary_files_stay_on_request(slicer, echo):
    source, copy = add_volume(slicer), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    values = {"source": source, "copy": copy}
    cli.run(echo, None, values, wait_for_completion=True, delete_temporary_files=False, update_display=False)
    left = temporary_files(slicer)
    assert len(left) == 2
    for path in left:
        path.unlink()


@pytest.mark.parametrize(
    "behavior, error, output",
    [
        ("error", "heart is not a brain", "reading the images"),
        ("stdout-error", "", "only specify one output transform"),
        ("crash", "", "stand-in"),
    ],
)
def test_errors_and_crashes_end_with_both_texts(slicer, program, monkeypatch, behavior, error, output):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", behavior)
    volume = add_volume(slicer)
    node = cli.runSync(program, parameters={"fixedVolume": volume, "movingVolume": volume})
    assert node.GetStatus() == node.CompletedWithErrors
    assert error in node.GetErrorText()
    assert output in node.GetOutputText() or behavior == "crash"
    assert volume.GetParentTransformNode() is None
    assert temporary_files(slicer) == []


def test_cancel_kills_the_process(slicer, program, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")
    volume = add_volume(slicer)
    node = cli.run(program, parameters={"fixedVolume": volume, "movingVolume": volume})
    node.StartContinuousOutputUpdate()
    until(lambda: "working forever" in node.GetOutputText())
    job = cli._jobs[-1]
    assert node.GetStatus() == node.Running and job.process.poll() is None
    node.Cancel()
    assert node.GetStatus() == node.Cancelling and node.IsBusy()
    until(lambda: not node.IsBusy())
    assert node.GetStatus() == node.Cancelled and job.process.returncode not in (None, 0)
    assert cli._jobs == [] and temporary_files(slicer) == []


def test_cancel_before_the_start_runs_nothing(slicer, program, tmp_path):
    volume = add_volume(slicer)
    node = cli.run(program, parameters={"fixedVolume": volume, "movingVolume": volume})
    cli.cancel(node)
    until(lambda: not node.IsBusy())
    assert node.GetStatus() == node.Cancelled and not (tmp_path / "log").exists()


@pytest.mark.parametrize("behavior", ["garbage", "silent"])
def test_unreadable_output_leaves_its_node_alone(slicer, program, monkeypatch, behavior):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", behavior)
    volume = add_volume(slicer)
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    before = np.diag([1.0, 1.0, 1.0, 1.0])
    before[:3, 3] = (1, 2, 3)
    output.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(before))
    values = {"fixedVolume": volume, "movingVolume": volume, "linearTransform": output}
    node = cli.runSync(program, parameters=values)
    assert node.GetStatus() == node.Completed
    assert np.array_equal(slicer.util.arrayFromTransformMatrix(output), before)
    assert temporary_files(slicer) == []


def test_transform_is_to_parent_and_the_moving_volume_goes_under_it(slicer, program, tmp_path):
    """The program starts from centers of mass only: shifting a volume gives that shift exactly."""
    fixed, moving = add_volume(slicer, "fixed"), add_volume(slicer, "moving", offset=25.0)
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    values = {"fixedVolume": fixed, "movingVolume": moving, "linearTransform": output}
    node = cli.runSync(program, parameters={**values, "initializeTransformMode": "useMomentsAlign"})
    assert node.GetStatus() == node.Completed
    # Slicer's transform to parent carries the moving volume to the fixed one, in RAS.
    matrix = slicer.util.arrayFromTransformMatrix(output)
    assert np.allclose(matrix[:3, :3], np.eye(3), atol=1e-6)
    assert np.allclose(matrix[:3, 3], (-25.0, 0.0, 0.0), atol=1e-3)
    assert moving.GetParentTransformNode() is output and fixed.GetParentTransformNode() is None
    arguments = json.loads((tmp_path / "log").read_text(encoding="utf-8").splitlines()[0])
    flags = dict(zip(arguments[::2], arguments[1::2]))
    assert flags["--fixedVolume"].endswith(".nrrd") and flags["--linearTransform"].endswith(".h5")
    assert flags["--samplingPercentage"] == "0.002" and "--useRigid" not in arguments
