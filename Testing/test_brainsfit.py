"""The BRAINS engine: parameters, fall-backs, errors, cancel, and a scene that is left as it was.

A stand-in program runs as a process of its own in BRAINSFit's place; where a true BRAINSFit is found
(environment variable FUNFUSE_BRAINSFIT, PATH, or a Slicer), the tests of results run with it, too.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from funfuse_cli.headless import cli
from funfuse_cli.workflow.brainsfit import find_brainsfit
from FunFuseSlicer.Logic.errors import Cancelled, InputError, RegistrationError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.registration import (
    ImplausibleRegistration,
    OutOfTime,
    RegistrationOptions,
    available_engines,
    default_engine,
    register,
)
from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.scene import brains_engine
from FunFuseSlicer.Logic.volumes.geometry import Volume

pytestmark = pytest.mark.usefixtures("known_brains")

ROOT = Path(__file__).resolve().parents[1]

STAND_IN = [sys.executable, str(ROOT / "Testing" / "brainsfit_program.py")]
# Many samples, since the head is small; the check of the header takes time and is not the subject here.
RIGID = RegistrationOptions(engine="BRAINS", stages=("rigid",), sampling_fraction=0.5, check_header=False)
ALL = replace(RIGID, stages=("rigid", "scale", "affine"))
# The second run is made whatever there is to gain.
FORCED = replace(ALL, minimum_gain=None)


@pytest.fixture(params=["stand-in", "BRAINSFit"])
def any_brains(slicer, request, tmp_path, monkeypatch):
    """slicer.modules.brainsfit by the stand-in, and by the true program where there is one."""
    command = STAND_IN if request.param == "stand-in" else find_brainsfit()
    if command is None:
        pytest.skip("Slicer's own BRAINSFit, since FUNFUSE_BRAINSFIT does not name one")
    yield from _module(slicer, command, tmp_path, monkeypatch)


@pytest.fixture
def brains(slicer, tmp_path, monkeypatch):
    """slicer.modules.brainsfit by the stand-in; a function that gives the arguments of each run."""
    yield from _module(slicer, STAND_IN, tmp_path, monkeypatch)


def _module(slicer, command, tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("BRAINSFIT_PROGRAM_LOG", str(log))
    cli.add_cli_module(command, "BRAINSFit")
    yield lambda: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    cli.remove_cli_module("BRAINSFit")
    assert cli._jobs == []


@pytest.fixture
def untouched(slicer):
    """Checks afterwards that the scene and the folder for temporary files are as they were."""

    # The application has it from the start.
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

    def state():
        nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
        files = {path for path in Path(slicer.app.temporaryPath).iterdir() if path.is_file()}
        return [node.GetID() for node in nodes], hierarchy.GetNumberOfItems(), files

    before = state()
    yield
    assert state() == before


def moved(volume, degrees, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(degrees)
    matrix[:3, 3] = shift
    return replace(volume, ijk_to_ras=matrix @ volume.ijk_to_ras), matrix


def error_mm(found, displacement):
    """Mean error over some points of the head, which lies around the origin."""
    points = np.array([[r, a, s] for r in (-40, 40) for a in (-50, 50) for s in (-30, 30)], float)
    both = found @ displacement
    return float(np.linalg.norm(points @ both[:3, :3].T + both[:3, 3] - points, axis=1).mean())


def flags(arguments):
    return {argument for argument in arguments if argument.startswith("--")}


def value(arguments, flag):
    return arguments[arguments.index(flag) + 1]


# --- where it can run ------------------------------------------------------------------------------


def test_engine_is_offered_where_the_module_is(brains):
    assert "BRAINS" in available_engines() and default_engine() == "BRAINS"
    cli.remove_cli_module("BRAINSFit")
    assert "BRAINS" not in available_engines() and default_engine() == "SimpleITK"


def test_without_the_module_the_choice_is_an_error_with_a_remedy(slicer, pair):
    with pytest.raises(InputError, match="choose SimpleITK"):
        register(*pair, RIGID)


# --- results ---------------------------------------------------------------------------------------


def test_recovers_a_displacement(any_brains, pair, untouched):
    mri, pet = pair
    moving, displacement = moved(pet, (6, -4, 8), (14, -9, 11))
    result = register(mri, moving, RIGID)
    assert result.method == "BRAINS rigid" and result.judgement != "wrong"
    assert error_mm(result.matrix, displacement) < 1.5
    assert result.similarity_after > result.similarity_before


def test_what_is_told_meanwhile_is_for_users(brains, pair, untouched):
    """Not what BRAINSFit writes."""
    told = set()
    register(*pair, RIGID, Monitor(lambda stage, _: told.add(stage)))
    assert "Registering: place and direction" in told
    assert told <= {"Registering", "Registering: place and direction", "Checking the registration"}


def test_all_stages_find_another_size(any_brains, pair, untouched):
    mri, pet = pair
    size = np.diag([0.87, 0.89, 0.85, 1.0])
    moving = replace(pet, ijk_to_ras=size @ pet.ijk_to_ras)
    result = register(mri, moving, ALL)
    assert result.method == "BRAINS affine"
    assert error_mm(result.matrix, size) < 2.0
    assert result.rigid_matrix is not None
    assert np.allclose(result.rigid_matrix[:3, :3] @ result.rigid_matrix[:3, :3].T, np.eye(3), atol=1e-4)
    assert any("more than in two images of one patient" in note for note in result.notes)


def test_volumes_far_from_the_origin_skewed_and_left_handed(brains, pair, untouched):
    mri, pet = pair
    far = np.eye(4)
    far[:3, 3] = (700, -300, -1200)
    moving, displacement = moved(pet, (0, 0, 6), (9, 4, -8))
    # The same voxels counted the other way round.
    turned = moving.ijk_to_ras @ np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, pet.array.shape[0] - 1], [0, 0, 0, 1.0]]
    )
    moving = Volume(np.ascontiguousarray(moving.array[::-1]), far @ turned, "far PET")
    result = register(replace(mri, ijk_to_ras=far @ mri.ijk_to_ras), moving, RIGID)
    assert error_mm(np.linalg.inv(far) @ result.matrix @ far, displacement) < 1.5

    skewed = brains_engine._orthogonal(
        replace(pet, ijk_to_ras=pet.ijk_to_ras + 0.4 * np.eye(4, k=1) * [0, 1, 1, 0])
    )
    axes = skewed.ijk_to_ras[:3, :3] / skewed.spacing
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9) and np.allclose(
        skewed.spacing, pet.spacing, rtol=0.02
    )


def test_parent_transforms_are_honored_and_stay(slicer, brains, pair):
    from FunFuseSlicer.Logic.scene import inputs

    mri, pet = pair
    nodes = inputs.add_volume_node(mri), inputs.add_volume_node(pet)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    _, displacement = moved(pet, (0, 5, 0), (-12, 6, 9))
    parent.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(displacement))
    nodes[1].SetAndObserveTransformNodeID(parent.GetID())
    count = slicer.mrmlScene.GetNumberOfNodes()
    result = register(*[inputs.volume_from_node(node) for node in nodes], RIGID)
    assert error_mm(result.matrix, displacement) < 1.5
    assert nodes[1].GetParentTransformNode() is parent and nodes[0].GetParentTransformNode() is None
    assert np.allclose(slicer.util.arrayFromTransformMatrix(parent), displacement)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


# --- parameters ------------------------------------------------------------------------------------


def test_parameters_of_both_runs(brains, pair, untouched):
    mri, pet = pair
    register(mri, moved(pet, (0, 0, 0), (8, 0, 0))[0], replace(FORCED, iterations=77))
    rigid, more = brains()
    assert "--useRigid" in rigid and not flags(rigid) & {
        "--useScaleVersor3D",
        "--useAffine",
        "--initialTransform",
    }
    assert value(rigid, "--initializeTransformMode") == "useMomentsAlign"
    assert {"--useScaleVersor3D", "--useAffine", "--initialTransform"} <= flags(more)
    assert "--useRigid" not in more and value(more, "--initializeTransformMode") == "Off"
    for run in (rigid, more):
        assert value(run, "--maskProcessingMode") == "ROIAUTO" and value(run, "--costMetric") == "MMI"
        assert value(run, "--numberOfIterations") == "77"
        assert "--outputVolume" not in run and value(run, "--linearTransform").endswith(".h5")
    # Half of all cubes of 2 mm, in voxels of 3 × 3 × 4 mm: more than there are; the second run takes half.
    assert [float(value(run, "--samplingPercentage")) for run in (rigid, more)] == [1.0, 0.5]


def test_no_second_run_where_the_size_is_right(brains, pair, untouched):
    mri, pet = pair
    result = register(mri, moved(pet, (0, 0, 4), (8, 0, 0))[0], ALL)
    assert len(brains()) == 1 and result.method == "BRAINS rigid"
    assert any("no size is asked for" in note for note in result.notes)


def test_masks_and_sampling(brains, pair, untouched):
    mri, pet = pair
    moving, _ = moved(pet, (0, 0, 0), (8, 0, 0))
    register(mri, moving, replace(RIGID, masks="head", sampling_fraction=0.1))
    register(mri, moving, replace(RIGID, masks="none"))
    head, none = brains()
    assert value(head, "--maskProcessingMode") == "ROI"
    assert {"--fixedBinaryVolume", "--movingBinaryVolume"} <= flags(head)
    assert float(value(head, "--samplingPercentage")) == pytest.approx(0.1 * 36 / 8)
    assert value(none, "--maskProcessingMode") == "NOMASK" and "--fixedBinaryVolume" not in none


# --- what can go wrong -----------------------------------------------------------------------------


def test_next_initialization_when_one_fails(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "refuse-moments")
    mri, pet = pair
    moving, displacement = moved(pet, (0, 0, 5), (6, 0, 0))
    assert error_mm(register(mri, moving, RIGID).matrix, displacement) < 1.5
    modes = [value(run, "--initializeTransformMode") for run in brains()]
    assert modes == ["useMomentsAlign", "useGeometryAlign"]


def test_implausible_results_are_tried_three_times_and_shown_not_used(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "far")
    mri, pet = pair
    with pytest.raises(ImplausibleRegistration, match="was not registered") as caught:
        register(mri, moved(pet, (0, 0, 30), (40, 0, 0))[0], ALL)
    modes = [value(run, "--initializeTransformMode") for run in brains()]
    assert modes[:3] == list(brains_engine.INITIALIZATIONS)
    result = caught.value.result
    assert result.judgement == "wrong" and result.verdict.startswith("Wrong: ")
    assert "T1" in str(caught.value) and "FDG" in str(caught.value)


def test_rigid_result_stands_when_the_second_run_fails(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "refuse-affine")
    mri, pet = pair
    moving, displacement = moved(pet, (0, 0, 5), (6, 0, 0))
    result = register(mri, moving, FORCED)
    assert result.method == "BRAINS rigid" and error_mm(result.matrix, displacement) < 1.5
    assert any("the affine stage failed" in note and "rigid result is used" in note for note in result.notes)


@pytest.mark.parametrize(
    "behavior, words",
    [
        ("error", ("stopped with an error", "heart is not a brain", "reading the images")),
        ("stdout-error", ("stopped with an error", "only specify one output transform")),
        ("crash", ("stopped with an error",)),
        ("garbage", ("ended without a result",)),
        ("silent", ("ended without a result",)),
    ],
)
def test_failures_say_what_brainsfit_said(brains, pair, untouched, monkeypatch, behavior, words):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", behavior)
    with pytest.raises(RegistrationError) as caught:
        register(*pair, RIGID)
    for word in (*words, "'FDG'", "'T1'", "SimpleITK", "already registered"):
        assert word in str(caught.value)
    assert "filter-" not in str(caught.value)


def test_cancel_ends_the_process(slicer, brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")
    processes, reports = [], []

    def on_progress(stage, fraction):
        reports.append((stage, fraction))
        processes.extend(job.process for job in cli._jobs if job.process not in (None, *processes))
        if processes:
            monitor.cancel()

    monitor = Monitor(on_progress)
    with pytest.raises(Cancelled):
        register(*pair, RIGID, monitor)
    assert len(processes) == 1 and processes[0].poll() is not None
    # How long it takes is not known.
    assert {fraction for _, fraction in reports} == {None}
    # What the program writes is for its developers.
    assert [stage for stage, _ in reports][:: len(reports) - 1] == [
        "Registering",
        "Registering: place and direction",
    ]


def test_cancel_by_slicer_itself_is_a_cancel(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")

    def on_progress(stage, fraction):
        for job in cli._jobs:
            if job.process is not None:
                job.node.Cancel()

    with pytest.raises(Cancelled):
        register(*pair, RIGID, Monitor(on_progress))


def test_an_error_from_the_callback_ends_the_process_and_comes_out(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")

    def on_progress(stage, fraction):
        if cli._jobs and cli._jobs[0].process is not None:
            raise KeyError("from the callback")

    with pytest.raises(KeyError, match="from the callback"):
        register(*pair, RIGID, Monitor(on_progress))


def test_time_limit_ends_the_process(brains, pair, untouched, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")
    with pytest.raises(OutOfTime, match="'FDG' to 'T1' took longer"):
        register(*pair, replace(RIGID, time_limit=2.0))


def test_scene_closed_meanwhile(slicer, brains, pair, monkeypatch):
    monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", "hang")

    def on_progress(stage, fraction):
        if cli._jobs and cli._jobs[0].process is not None:
            slicer.mrmlScene.Clear(False)

    with pytest.raises(RegistrationError, match="scene was closed"):
        register(*pair, RIGID, Monitor(on_progress))
    assert slicer.mrmlScene.GetNodesByClass("vtkMRMLVolumeNode").GetNumberOfItems() == 0
