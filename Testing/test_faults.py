"""Whatever goes wrong: the scene is as it was, a sentence says why, and the next run succeeds."""

import collections
import gc
import hashlib
import importlib
import itertools
import json
import pickle
import shutil
import sys
import weakref
import xml.etree.ElementTree as xml
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from FunFuseSlicer.Logic.errors import Cancelled, DeviceError, InputError, ModelError, RegistrationError
from FunFuseSlicer.Logic.fusion.engine import Runner
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.registration import OutOfTime, RegistrationOptions, RegistrationResult
from FunFuseSlicer.Logic.scene import attributes, color_maps, inputs, outputs, rollback, run, views
from FunFuseSlicer.Logic.scene.tables import as_text
from Testing.conftest import head_phantom

pytestmark = pytest.mark.usefixtures("known_brains")

OTHER = FusionOptions(omega=1.0, lam=0.3, colormap="PET-Heat", mode="uptake")
# Gives no parts: what the network left of them goes.
METHOD = FusionOptions(omega=1.0, colormap="PET-Heat", method="average")
SHIFT = np.eye(4)
SHIFT[:3, 3] = 6.0, -6.0, 0.0


def snapshot(slicer) -> dict:
    """All that a scene file would hold, node by node, and the voxels and matrices of the nodes."""
    mrml = slicer.mrmlScene
    mrml.SetSaveToXMLString(1)
    mrml.Commit()
    text = mrml.GetSceneXMLString()
    mrml.SetSaveToXMLString(0)
    found = {f"file {element.get('id')}": xml.tostring(element) for element in xml.fromstring(text)}
    for index in range(mrml.GetNumberOfNodes()):
        node = mrml.GetNthNode(index)
        facts = [node.GetName()]
        if node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is not None:
            array = slicer.util.arrayFromVolume(node)
            facts += [array.shape, array.dtype.str, hashlib.sha256(array.tobytes()).hexdigest()]
        if node.IsA("vtkMRMLLinearTransformNode"):
            facts.append(slicer.util.arrayFromTransformMatrix(node).tobytes())
        if node.IsA("vtkMRMLTableNode"):
            facts.append(as_text(node))
        found[node.GetID()] = facts
    return found


@contextmanager
def unchanged(slicer):
    """The block leaves every node as it was."""
    before = snapshot(slicer)
    yield
    after = snapshot(slicer)
    assert after.keys() == before.keys()
    for name, facts in before.items():
        assert after[name] == facts, name


@pytest.fixture
def module(slicer):
    from funfuse_cli.extension import load_module

    return load_module()


@pytest.fixture
def pair_nodes(slicer):
    """A small registered pair in the scene: (MRI node, PET node)."""
    return tuple(inputs.add_volume_node(volume) for volume in head_phantom((6, 20, 18), (7.0, 7.0, 14.0)))


@pytest.fixture
def quick(monkeypatch):
    """Options of a registration that takes no time; other options register as ever."""

    def register(fixed, moving, options, monitor, *aside):
        if options.engine != "quick":
            return original(fixed, moving, options, monitor, *aside)
        for step in range(3):
            monitor.report("Registering", step / 3)
        return RegistrationResult(np.eye(4), "quick", "rigid", 0.0, 1.0, 0.0)

    original = run.register
    monkeypatch.setattr(run, "register", register)
    return RegistrationOptions(engine="quick", stages=("rigid",))


# --- Putting results into the scene -------------------------------------------------------------------


class Broken(Exception):
    """What the tests raise."""


@contextmanager
def failing_at_line(number: int):
    """Raises at the n-th line that is executed in the room of the scene, below push_outputs.

    A line that is executed often counts twice: for the first time, and for the fifth. Even times could be
    the end of a ``with``, at which nothing can fail. Functions that only read, or fill a new node of their
    own, do not count.
    """
    skipped = "push_outputs", "find_outputs", "_find_color_node", "_add_color_node", "_ids", "_references"
    # What a new result does not have goes when all that can fail is done.
    skipped += ("remove_volume",)
    rooms = (attributes, color_maps, outputs, rollback, views)
    files, seen, times = {room.__file__ for room in rooms}, 0, collections.Counter()

    def trace(frame, event, _argument):
        nonlocal seen
        code, line = frame.f_code, frame.f_lineno
        if code.co_filename not in files or code.co_name in skipped or code.co_name.startswith("<"):
            return None
        if event == "line":
            times[code, line] += 1
            seen += times[code, line] in (1, 5)
            if seen == number:
                sys.settrace(None)
                raise Broken(f"{code.co_name}, line {line}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


WITHOUT_PARTS = tuple(role for role in outputs.VOLUME_ROLES if role not in outputs.PART_ROLES)


def push(mri, pet, seed: int, matrix, colormap: str, roles=outputs.VOLUME_ROLES):
    """Results of one color for each role, as a run would push them."""
    rng, shape = np.random.default_rng(seed), (3, 4, 5)
    arrays = {role: rng.random(shape, np.float32) for role in roles}
    arrays["colored"] = rng.integers(0, 255, (*shape, 3), np.uint8)
    display = {role: (0.0, 1.0 + seed) for role in arrays}
    return outputs.push_outputs(
        mri,
        pet,
        outputs.images_of(arrays),
        matrix,
        display,
        {"Omega": str(seed), f"Only{seed}": "x"},
        colormap,
        lambda nodes: views.show_overlay(mri, nodes.colored),
    )


@pytest.mark.parametrize(
    "again, matrix, then, now",
    [
        (False, SHIFT, (), outputs.VOLUME_ROLES),
        (True, SHIFT, outputs.VOLUME_ROLES, outputs.VOLUME_ROLES),
        (True, None, outputs.VOLUME_ROLES, outputs.VOLUME_ROLES),
        (True, SHIFT, outputs.VOLUME_ROLES, WITHOUT_PARTS),
        (True, SHIFT, WITHOUT_PARTS, outputs.VOLUME_ROLES),
    ],
    ids=["first", "again", "without a transform", "without parts", "with parts"],
)
def test_a_failure_at_any_line_of_putting_results_into_the_scene_is_undone(slicer, again, matrix, then, now):
    mri, pet = (slicer.util.addVolumeFromArray(np.ones((3, 4, 5)), name=name) for name in ("T1", "FDG"))
    if again:
        old = push(mri, pet, 1, np.eye(4), "Jet", then)
        # A person has looked at it since, and the MRI has moved.
        old.fused.GetDisplayNode().SetWindowLevelMinMax(0.2, 0.4)
        old.fused.GetDisplayNode().AddWindowLevelPreset(2.0, 1.0)
        (old.mri_part or old.fused).SetAndObserveTransformNodeID(old.transform.GetID())
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mri), study)
        mri.SetOrigin(30, 20, 10)
        views.set_layers(
            views.slice_logics()[0], views.Layers(pet.GetID(), old.fused.GetID(), None, 0.3, 1.0, 0)
        )
        slice_node = views.slice_logics()[0].GetSliceNode()
        slice_node.SetFieldOfView(33.0, 33.0, slice_node.GetFieldOfView()[2])
    before, lines = snapshot(slicer), 0
    while True:
        lines += 1
        try:
            with failing_at_line(lines):
                nodes = push(mri, pet, 2, matrix, "PET-Heat", now)
            break
        except Broken as error:
            after = snapshot(slicer)
            assert after == before, error
    assert lines > 150
    assert nodes.fused.GetAttribute("FunFuse.Omega") == "2"
    assert nodes.fused.GetAttribute("FunFuse.Only1") is None
    assert set(outputs.find_outputs(mri, pet)) - {"transform"} == set(now)
    assert (nodes.transform is None) == (matrix is None)
    assert nodes.fused.GetNodeReferenceID(attributes.TRANSFORM_REFERENCE) == (
        None if matrix is None else nodes.transform.GetID()
    )
    if again:
        assert nodes.fused is old.fused and nodes.fused.GetOrigin() == (30, 20, 10)
        assert matrix is not None or not slicer.mrmlScene.IsNodePresent(old.transform)


def test_results_given_back_are_alive(slicer):
    """What is painted into them after a failure is shown: the pipeline is that of before."""
    from funfuse_cli.headless.rendering import render_slice

    mri, pet = (slicer.util.addVolumeFromArray(np.ones((3, 4, 5)), name=name) for name in ("T1", "FDG"))
    nodes = push(mri, pet, 1, None, "Jet")
    image = nodes.colored.GetImageData()
    with pytest.raises(InputError):
        outputs.push_outputs(mri, pet, *_arguments_of(slicer, nodes), "Jet", _refuse)
    assert nodes.colored.GetImageData() is image
    slicer.util.arrayFromVolume(nodes.colored)[:] = (250, 10, 10)
    slicer.util.arrayFromVolumeModified(nodes.colored)
    picture = render_slice(mri, nodes.colored, size=(40, 40)).reshape(-1, 3)
    assert tuple(picture.max(axis=0)) == (250, 10, 10)


def _refuse(_nodes):
    raise InputError("no")


def _arguments_of(slicer, nodes):
    arrays = {role: slicer.util.arrayFromVolume(getattr(nodes, role)) // 2 for role in outputs.VOLUME_ROLES}
    return outputs.images_of(arrays), None, {role: (0.0, 1.0) for role in arrays}, {}


# --- A run without a panel ----------------------------------------------------------------------------

STAGES = ("Preparing", "Registering", "Resampling", "Fusing", "Coloring")


class CancelledAt(Monitor):
    """Is cancelled while it reports a stage for the n-th time."""

    def __init__(self, stage: str, number: int):
        super().__init__()
        self._stage, self._left = stage, number

    def report(self, stage, fraction):
        """As any."""
        self._left -= stage == self._stage
        if self._left == 0:
            self.cancel()
        super().report(stage, fraction)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("options", [OTHER, METHOD], ids=["network", "another method"])
@pytest.mark.parametrize("again", [False, True])
def test_cancel_anywhere_in_a_run(slicer, module, pair_nodes, quick, again, options, stage):
    """Each stage for itself, at its first reports and at some of the later ones, which are alike."""
    logic = module.FunFuseSlicerLogic()
    if again:
        logic.process(*pair_nodes, registration=quick)
    before = snapshot(slicer)
    for number in (2**power for power in itertools.count()):
        try:
            logic.process(*pair_nodes, options, registration=quick, monitor=CancelledAt(stage, number))
            break  # it has fewer reports than that
        except Cancelled:
            assert snapshot(slicer) == before
    assert number > 1, f"{stage} is never reported"


# Every function that a run goes through, from the voxels of the inputs to the views.
STEPS = [
    ("FunFuseSlicer.Logic.scene.run", "volume_from_node"),
    ("FunFuseSlicer.Logic.volumes.preprocessing", "clean"),
    ("FunFuseSlicer.Logic.scene.run", "load_fuser"),
    ("FunFuseSlicer.Logic.fusion.fuser", "load_model"),
    ("FunFuseSlicer.Logic.scene.run", "color_table"),
    ("FunFuseSlicer.Logic.scene.run", "register"),
    ("FunFuseSlicer.Logic.scene.outputs", "resample"),
    ("FunFuseSlicer.Logic.volumes.preprocessing", "check_overlap"),
    ("FunFuseSlicer.Logic.scene.run", "fuse_volumes"),
    ("FunFuseSlicer.Logic.fusion.pipeline", "fuse_slices_steps"),
    ("FunFuseSlicer.Logic.scene.run", "color_volume"),
    ("FunFuseSlicer.Logic.scene.outputs", "fill"),
    ("FunFuseSlicer.Logic.scene.outputs", "use_color_maps"),
    ("FunFuseSlicer.Logic.scene.outputs", "_push_transform"),
    ("FunFuseSlicer.Logic.scene.views", "show_overlay"),
]


def test_an_error_in_any_step_of_a_run(slicer, module, pair_nodes, quick, monkeypatch):
    """After it in the first run, and in one that would update the results of the run before."""
    logic = module.FunFuseSlicerLogic()
    steps = [(*step, OTHER) for step in STEPS] + [
        (*step, METHOD) for step in STEPS if step[1] != "load_model"
    ]
    for error, expected in ((Broken("boo"), Broken), (MemoryError(), DeviceError)):
        for name, function, options in steps:
            with unchanged(slicer), monkeypatch.context() as patch, pytest.raises(expected) as caught:
                patch.setattr(importlib.import_module(name), function, _raising(error))
                logic.process(*pair_nodes, options, registration=quick)
            assert error in (caught.value, caught.value.__cause__), f"{name}.{function}"
            assert expected is Broken or "memory" in str(caught.value)
        run = logic.process(*pair_nodes, registration=quick)
    assert run.nodes.transform is not None


def _raising(error):
    def fail(*_arguments, **_named):
        raise error

    return fail


def _remove(what):
    def act(slicer, mri, pet, mask, nodes):
        slicer.mrmlScene.RemoveNode({"mri": mri, "pet": pet, "mask": mask, **nodes}[what])

    return act


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "act, sentence",
    [
        (_remove("mri"), "removed from the scene"),
        (_remove("pet"), "removed from the scene"),
        (lambda slicer, *_: slicer.mrmlScene.Clear(False), "removed from the scene"),
        (_remove("mask"), None),
        (_remove("fused"), None),
        (_remove("transform"), None),
    ],
    ids=["MRI", "PET", "scene closed", "mask", "fused", "transform"],
)
def test_what_is_removed_while_a_run_goes_on(slicer, module, pair_nodes, quick, stage, act, sentence):
    """As the user can through Slicer's event loop, which the reports keep going."""
    logic = module.FunFuseSlicerLogic()
    mri, pet = pair_nodes
    mask = slicer.util.addVolumeFromArray(np.ones((2, 2, 2), np.uint8), name="mask")
    mask.SetOrigin(0, 0, 0)
    mask.SetSpacing(500, 500, 500)
    nodes = vars(logic.process(mri, pet, registration=quick).nodes)
    acted = []

    def on_progress(now, _fraction):
        if now == stage and not acted:
            acted.append(now)
            act(slicer, mri, pet, mask, nodes)
            acted.append(snapshot(slicer))

    arguments = {"registration": quick, "maskNode": mask, "monitor": Monitor(on_progress)}
    if sentence is None:
        run = logic.process(mri, pet, OTHER, **arguments)
        assert all(slicer.mrmlScene.IsNodePresent(node) for node in vars(run.nodes).values())
        return
    with pytest.raises(InputError, match=sentence):
        logic.process(mri, pet, OTHER, **arguments)
    assert snapshot(slicer) == acted[1], "nothing beyond what the user did"
    pair = [inputs.add_volume_node(volume) for volume in head_phantom((6, 20, 18), (7.0, 7.0, 14.0))]
    assert logic.process(*pair, registration=quick).nodes.fused is not None


class Greedy(Runner):
    """Has no memory on some devices."""

    parts = True

    def __init__(self, device, short):
        self.device, self.short = device, short

    def smaller(self):
        return None if self.device == "cpu" else (Greedy("cpu", self.short), "The memory of the GPU …")

    def fuse(self, mri, pet, parts):
        if self.device in self.short:
            raise RuntimeError("out of memory")
        return [(mri + pet) / 2, mri / 2, pet / 2]


@pytest.mark.parametrize(
    "device, short, note",
    [("cpu", ["cpu"], None), ("mps", ["mps", "cpu"], None), ("mps", ["mps"], "memory of the GPU")],
)
def test_want_of_memory_while_fusing(slicer, module, pair_nodes, monkeypatch, device, short, note):
    """What the engine makes of it (see test_engine.py), as the scene sees it."""
    from FunFuseSlicer.Logic.fusion import fuser

    logic = module.FunFuseSlicerLogic()
    with monkeypatch.context() as patch:
        patch.setattr(fuser, "runner_of", lambda *_: Greedy(device, short))
        if note is not None:
            assert note in logic.process(*pair_nodes, registration=None).fusion.slices.notes[0]
            return
        with unchanged(slicer), pytest.raises(DeviceError, match="not enough memory"):
            logic.process(*pair_nodes, registration=None)
    assert logic.process(*pair_nodes, registration=None).fusion.slices.notes == ()


# --- Weights and PyTorch ------------------------------------------------------------------------------


class Malicious:
    """Pickled code that leaves a trace when it runs."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def _save_pickle(path, trace):
    path.write_bytes(pickle.dumps(Malicious(trace)))


def _save_torch(path, trace):
    torch.save(Malicious(trace), path)


def _save_old_torch(path, trace):
    torch.save({"weights": Malicious(trace)}, path, _use_new_zipfile_serialization=False)


WEIGHTS = {
    "missing": (lambda path, _: path.unlink(), "cannot be read"),
    "a folder": (lambda path, _: (path.unlink(), path.mkdir()), "cannot be read"),
    "truncated": (lambda path, _: path.write_bytes(path.read_bytes()[:999]), "wrong checksum"),
    "empty": (lambda path, _: path.write_bytes(b""), "wrong checksum"),
    "no JSON": (lambda path, _: path.with_suffix(".json").write_text("{"), "cannot be read"),
    "no object": (lambda path, _: path.with_suffix(".json").write_text("[1]"), "cannot be read"),
    "no checksum": (lambda path, _: path.with_suffix(".json").write_text("{}"), "wrong checksum"),
    "no card": (lambda path, _: path.with_suffix(".json").unlink(), "There is no model|cannot be read"),
    "pickle": (_save_pickle, "does not hold weights"),
    "pickle of torch": (_save_torch, "does not hold weights"),
    "old pickle of torch": (_save_old_torch, "does not hold weights"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_cannot_be_used(slicer, module, pair_nodes, tmp_path, monkeypatch, name):
    from FunFuseSlicer.Logic.fusion import models

    harm, words = WEIGHTS[name]
    for ending in (".npz", ".json"):
        shutil.copy(models.MODELS_FOLDER / f"faithful{ending}", tmp_path)
    weights, trace = tmp_path / "faithful.npz", tmp_path / "trace"
    harm(weights, trace)
    if "pickle" in name:
        # The thief knows checksums, too.
        card = weights.with_suffix(".json")
        facts = json.loads(card.read_text(encoding="utf-8"))
        facts["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        card.write_text(json.dumps(facts), encoding="utf-8")
    with monkeypatch.context() as patch, unchanged(slicer), pytest.raises(ModelError, match=words):
        patch.setattr(models, "MODELS_FOLDER", tmp_path)
        module.FunFuseSlicerLogic().process(*pair_nodes, registration=None)
    assert not trace.exists()
    assert module.FunFuseSlicerLogic().process(*pair_nodes, registration=None).nodes.fused is not None


def test_the_malicious_file_would_leave_its_trace(tmp_path):
    """Else the test above would prove nothing."""
    for number, save in enumerate((_save_pickle, _save_torch, _save_old_torch)):
        trace = tmp_path / str(number)
        save(tmp_path / "file", trace)
        with open(tmp_path / "file", "rb") as file:
            pickle.load(file) if save is _save_pickle else torch.load(file, weights_only=False)
        assert trace.exists()


@pytest.mark.parametrize("broken", [False, True])
def test_without_pytorch_a_run_says_what_to_do(slicer, module, pair_nodes, tmp_path, monkeypatch, broken):
    """Missing, or there but not to be loaded; the panel: see test_panel.py."""
    if broken:
        (tmp_path / "torch.py").write_text("raise OSError('libc10.so: cannot open shared object file')")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "torch")
    else:
        monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("FunFuseSlicer.Logic.fusion.pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    with unchanged(slicer), pytest.raises(DeviceError) as caught:
        module.FunFuseSlicerLogic().process(*pair_nodes, FusionOptions(model="paper"), registration=None)
    words = ("libc10.so", "PyTorch Utils") if broken else ("not installed", 'model "faithful"')
    assert all(word in str(caught.value) for word in words)
    assert caught.value.__cause__ is not None


# --- BRAINS: what the registration makes of it is in test_brainsfit.py --------------------------------


def _kill(job):
    job.process.kill()


@pytest.mark.parametrize(
    "behavior, act, error, words",
    [
        ("crash", None, RegistrationError, "stopped with an error"),
        ("hang", _kill, RegistrationError, "stopped with an error"),
        ("hang", None, OutOfTime, "took longer than its time limit"),
        (None, None, InputError, "choose SimpleITK"),
    ],
    ids=["crashes", "is killed", "hangs", "is missing"],
)
def test_a_run_whose_brains_fails(
    slicer, module, pair_nodes, quick, monkeypatch, behavior, act, error, words
):
    from funfuse_cli.headless import cli
    from Testing.test_brainsfit import STAND_IN

    logic = module.FunFuseSlicerLogic()
    logic.process(*pair_nodes, registration=quick)
    options = RegistrationOptions(engine="BRAINS", stages=("rigid",), check_header=False, time_limit=4.0)

    def on_progress(_stage, _fraction):
        for job in cli._jobs:
            if act is not None and job.process is not None and job.process.poll() is None:
                act(job)

    if behavior is not None:
        monkeypatch.setenv("BRAINSFIT_PROGRAM_BEHAVIOR", behavior)
        cli.add_cli_module(STAND_IN, "BRAINSFit")
    try:
        with unchanged(slicer), pytest.raises(error, match=words):
            logic.process(*pair_nodes, OTHER, options, monitor=Monitor(on_progress))
    finally:
        if behavior is not None:
            cli.remove_cli_module("BRAINSFit")
    assert logic.process(*pair_nodes, OTHER, quick).nodes.fused.GetAttribute("FunFuse.Omega") == "1.0"


# --- The panel ----------------------------------------------------------------------------------------


@pytest.fixture
def panel(slicer, qt_started, module, pair_nodes, monkeypatch):
    """The panel on a pair that lies on each other; what it shows as an error is in ``panel.shown``."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget
    from FunFuseSlicer.Logic.panel.choices import Registration

    widget = open_panel()
    panel = widget.self()
    panel.shown = []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **named: panel.shown.append((text, named)))
    chosen = panel.session.choices
    (chosen.mri, chosen.pet), chosen.registration = pair_nodes, Registration.ALIGNED
    yield panel
    close_widget(widget)


def during(panel, stage, act):
    """Press Apply, and do something when a stage is first reported; returns what ``act`` did."""
    report, results = panel.work.on_progress, []

    def on_progress(now, fraction):
        if now == stage and not results:
            results.append(None)
            results[0] = act()
        report(now, fraction)

    panel.work.on_progress = on_progress
    try:
        panel.onApplyButton()
    finally:
        panel.work.on_progress = report
    assert results, "the stage was not reached"
    return results[0]


def is_usable(panel):
    """Whether the panel is at rest, and a following run succeeds."""
    machine = panel.session.run
    assert machine.state.value == "idle" and machine.free and panel.work.monitor is None
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled
    assert panel.ui.progressBar.isHidden() and panel.ui.inputsCollapsibleButton.enabled
    panel.onApplyButton()
    return "Done" in panel.ui.statusLabel.text and len(panel.session.nodes) >= len(outputs.VOLUME_ROLES)


def colors(panel):
    import slicer

    panel.display.finish_painting()
    return slicer.util.arrayFromVolume(panel.session.nodes["colored"]).copy()


@pytest.mark.parametrize("again", [False, True])
def test_cancel_and_errors_at_every_stage_of_apply(slicer, panel, again):
    """Apply while it runs is Cancel; pressed a second time it changes nothing."""

    def press():
        panel.onApplyButton()
        assert not panel.ui.applyButton.enabled
        panel.onApplyButton()

    if again:
        panel.onApplyButton()
        panel.session.choices.registerAgain = True
    for stage in [stage for stage in STAGES if stage != "Registering"]:
        for act, sentence in ((press, "Cancelled"), (_raising(Broken("boo")), "boo")):
            with unchanged(slicer):
                during(panel, stage, act)
            assert sentence in panel.ui.statusLabel.text
        assert "boo" in panel.shown[-1][0] and "Traceback" in panel.shown[-1][1]["detailedText"]
    assert len(panel.shown) == 4 and is_usable(panel)


def test_the_cause_of_an_error_is_behind_details(panel, monkeypatch):
    for error, shown in ((InputError("Do this."), False), (MemoryError(), True)):
        during(panel, "Coloring", _raising(error))
        text, named = panel.shown[-1]
        assert text == panel.ui.statusLabel.text and "Traceback" not in text
        assert ("detailedText" in named) == shown
    during(panel, "Coloring", _raising(AssertionError()))
    assert panel.ui.statusLabel.text.endswith("AssertionError")


@pytest.mark.parametrize("stage", ["Preparing", "Fusing", "Coloring"])
@pytest.mark.parametrize("what", ["mri", "pet", "scene", "fused", "reload"])
def test_what_is_removed_under_the_panel(slicer, library_as_before, panel, pair_nodes, stage, what):
    panel.onApplyButton()
    nodes = {"mri": pair_nodes[0], "pet": pair_nodes[1], **panel.session.nodes}
    acts = {"scene": lambda: slicer.mrmlScene.Clear(False), "reload": panel.onReload}
    during(panel, stage, acts.get(what, lambda: slicer.mrmlScene.RemoveNode(nodes[what])))
    if what == "reload":
        assert panel.session.choices is None and panel.session.run.state.value == "idle"
        panel = slicer.modules.FunFuseSlicerWidget
    if what in ("mri", "pet"):
        assert "removed from the scene" in panel.ui.statusLabel.text and panel.shown
    elif what == "fused":
        assert "Done" in panel.ui.statusLabel.text
        assert slicer.mrmlScene.IsNodePresent(panel.session.nodes["fused"])
    if what == "scene":
        assert panel.ui.statusLabel.text == "Stopped, because the scene was closed." and not panel.shown
        assert not panel.ui.applyButton.enabled and panel.ui.noticeLabel.text
    if what in ("mri", "pet", "scene"):
        volumes = head_phantom((6, 20, 18), (7.0, 7.0, 14.0))
        chosen = panel.session.choices
        chosen.mri, chosen.pet = [inputs.add_volume_node(volume) for volume in volumes]
        from FunFuseSlicer.Logic.panel.choices import Registration

        chosen.registration = Registration.ALIGNED
    assert is_usable(panel)


def test_sliders_that_move_while_a_run_goes_on(panel):
    """The results are those of the start of the run; then they follow the sliders."""
    chosen = panel.session.choices
    panel.onApplyButton()

    def move():
        chosen.omega, chosen.colormap, chosen.lam = 1.0, "PET-Heat", 0.3

    during(panel, "Fusing", move)
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Lambda") == "0.8"
    assert panel.live.active, "the other λ is on its way"
    found = colors(panel)
    assert panel.session.nodes["colored"].GetAttribute("FunFuse.Omega") == "1.0"
    chosen.lam = 0.8
    panel.onApplyButton()
    np.testing.assert_array_equal(found, colors(panel))


def test_another_pair_that_a_script_chooses_while_a_run_goes_on(slicer, panel, pair_nodes):
    other = inputs.add_volume_node(head_phantom((6, 20, 18), (7.0, 7.0, 14.0))[0])
    other.SetName("other T1")
    during(panel, "Fusing", lambda: setattr(panel.session.choices, "mri", other))
    assert '"T1 + FDG fused" is of the volumes that were chosen before.' in panel.ui.statusLabel.text
    assert not panel.session.nodes and panel.display.painting is None
    panel.session.choices.mri = pair_nodes[0]
    assert "colored" in panel.session.nodes and is_usable(panel)


def test_an_automatic_run_that_was_due_during_another_comes_afterwards(panel):
    panel.onApplyButton()
    panel.session.choices.autoUpdate = True
    during(panel, "Fusing", lambda: setattr(panel.session.choices, "lam", 0.2))
    assert panel.live.active
    panel.live.finish()
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Lambda") == "0.2"


def test_a_script_that_fuses_again_under_the_panel(slicer, module, panel, pair_nodes):
    """The next color is made of the new results."""
    panel.onApplyButton()
    panel.session.choices.omega = 0.9
    before = colors(panel)
    run = module.FunFuseSlicerLogic().process(*pair_nodes, FusionOptions(lam=0.0), registration=None)
    assert run.nodes.colored is panel.session.nodes["colored"]
    expected = slicer.util.arrayFromVolume(run.nodes.colored).astype(int)
    panel.session.choices.omega = 0.9
    panel.display.paint_all()
    assert np.abs(colors(panel) - before.astype(int)).max() > 5
    panel.session.choices.omega = 0.6
    assert np.abs(colors(panel) - expected).max() <= 2, "but for rounding, see ColorEnds"


def test_another_method_that_is_chosen_while_a_run_goes_on(panel):
    """The results are those of the start of the run; their colors follow the choice as far as they can."""
    chosen = panel.session.choices
    during(panel, "Fusing", lambda: setattr(chosen, "method", "average"))
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Method") == "funfuse"
    colors(panel)
    assert panel.session.nodes["colored"].GetAttribute("FunFuse.Mode") == "uptake"
    panel.onApplyButton()
    assert "pet_part" not in panel.session.nodes
    during(panel, "Fusing", lambda: setattr(chosen, "method", "funfuse"))
    assert panel.session.nodes["fused"].GetAttribute("FunFuse.Method") == "average"
    assert panel.display.painting is None
    assert "press Apply" in panel.ui.statusLabel.text
    assert is_usable(panel)


def test_results_that_are_removed_under_a_moving_slider(slicer, panel):
    panel.onApplyButton()
    for role in ("pet_registered", "colored"):
        panel.session.choices.omega = 0.1 if role == "colored" else 0.9
        assert panel.display.settle_timer.active
        slicer.mrmlScene.RemoveNode(panel.session.nodes[role])
        assert panel.session.nodes == {} and not panel.display.settle_timer.active
        assert is_usable(panel)


def test_results_that_are_removed_while_they_follow(slicer, panel, capfd):
    panel.onApplyButton()
    panel.session.choices.lam = 0.3
    assert panel.live.active
    slicer.mrmlScene.RemoveNode(panel.session.nodes["colored"])
    assert not panel.live.active and "Traceback" not in capfd.readouterr().err
    for logic in views.slice_logics():
        for node_id in views.layers_of(logic)[:3]:
            assert node_id is None or slicer.mrmlScene.GetNodeByID(node_id)
    assert is_usable(panel)


def test_two_panels_on_the_same_choices(slicer, panel):
    """One at a time runs; the other one says so, and shows what was made."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget

    widget = open_panel()
    other = widget.self()
    try:
        assert other.session.choices.mri is panel.session.choices.mri

        def press_other():
            assert not other.ui.applyButton.enabled and "Another" in other.ui.applyButton.toolTip
            other.onApplyButton()
            other.results.onEvaluateButton()
            other.session.choices.omega = 1.0
            assert "Another FunFuse panel" in other.ui.statusLabel.text and other.work.monitor is None

        for _run in range(2):
            panel.session.choices.omega = 0.4
            during(panel, "Fusing", press_other)
            assert "Done" in panel.ui.statusLabel.text
            assert other.session.nodes == panel.session.nodes and other.ui.exportButton.enabled
            found = colors(panel)
            assert panel.session.nodes["colored"].GetAttribute("FunFuse.Omega") == "1.0"
        panel.onApplyButton()
        np.testing.assert_array_equal(found, colors(panel))
        assert is_usable(other) and is_usable(panel)
    finally:
        close_widget(widget)
    assert is_usable(panel)


@pytest.mark.parametrize("again", [False, True])
def test_an_evaluation_that_fails_leaves_the_scene(slicer, panel, monkeypatch, again):
    from FunFuseSlicer.Logic.scene import evaluation as evaluation_nodes

    chosen = panel.session.choices
    volumes = head_phantom((3, 48, 44), (3.0, 3.0, 30.0))
    chosen.mri, chosen.pet = [inputs.add_volume_node(volume) for volume in volumes]
    panel.onApplyButton()
    if again:
        panel.results.onEvaluateButton()
        monkeypatch.setattr(evaluation_nodes, "COLORS", dict(evaluation_nodes.COLORS, Q_IE=(1.0, 0.0, 0.0)))
    style = evaluation_nodes._style_chart
    monkeypatch.setattr(evaluation_nodes, "_style_chart", lambda *a: (style(*a), _raising(Broken("boo"))()))
    with unchanged(slicer):
        panel.results.onEvaluateButton()
    assert "boo" in panel.ui.statusLabel.text and panel.shown
    monkeypatch.setattr(evaluation_nodes, "_style_chart", style)
    panel.results.onEvaluateButton()
    assert len(panel.results.tables()) == 2
    with unchanged(slicer):
        monkeypatch.setattr(evaluation_nodes, "evaluate_nodes", _raising(Cancelled()))
        panel.results.onEvaluateButton()
    assert "Cancelled" in panel.ui.statusLabel.text


# --- Leaks --------------------------------------------------------------------------------------------


def test_opening_and_closing_the_panel_leaves_nothing(slicer, qt_started, module, pair_nodes):
    """No node and no observer of any node; 20 times, with results in the scene."""
    from funfuse_cli.extension import open_panel
    from funfuse_cli.headless.module import close_widget

    def census():
        nodes = [slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())]
        observers = {node.GetID(): str(node).count("vtkObserver") for node in nodes}
        return observers, str(slicer.mrmlScene).count("vtkObserver")

    module.FunFuseSlicerLogic().process(*pair_nodes, registration=None)
    panels, counts = [], []
    for _time in range(20):
        widget = open_panel()
        panels.append(weakref.ref(widget.self()))
        widget.self().session.choices.omega = 0.3 + 0.01 * len(panels)
        assert census() != (counts[-1] if counts else None), "an open panel does observe"
        close_widget(widget)
        del widget
        counts.append(census())
    assert counts[1:] == counts[:1] * 19
    gc.collect()
    assert sum(panel() is not None for panel in panels) <= 1
