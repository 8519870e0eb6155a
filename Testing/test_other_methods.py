"""A volume through every fusion method beside the network: the way is the same, but for the parts."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funfuse_cli.studies.odd_inputs.pairs import reoriented
from FunFuseSlicer.Logic import methods
from FunFuseSlicer.Logic.errors import Cancelled, InputError
from FunFuseSlicer.Logic.fusion.fuser import NETWORK, Fuser, MethodRunner, method_labels, method_problem
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_source, fuse_volumes
from FunFuseSlicer.Logic.metrics.visual_fidelity import SMALLEST
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.scene import views
from FunFuseSlicer.Logic.scene.attributes import ATTRIBUTE, attribute
from FunFuseSlicer.Logic.scene.evaluation import evaluate_nodes, push_evaluation
from FunFuseSlicer.Logic.scene.inputs import add_volume_node
from FunFuseSlicer.Logic.scene.outputs import VOLUME_ROLES, find_outputs, find_results, remove_volume
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize
from Testing.conftest import head_phantom
from Testing.test_logic import matrix_of, snapshot
from Testing.test_properties import examples, pair_of

pytestmark = pytest.mark.usefixtures("known_brains")

AVERAGE = methods.METHODS["average"]
SIZE, SPACING = (6, 24, 20), (6.0, 6.0, 14.0)
# What a run of the network writes of itself, and no other.
NETWORK_FACTS = ("Lambda", "Balance", "Device", "Model", "Precision", "ModelSHA256", "PETPartScale")

every_method = pytest.mark.parametrize("name", list(methods.METHODS))


def usable(name):
    """The method; skips where it cannot be used here."""
    method = methods.METHODS[name]
    if method.problem() is not None:
        pytest.skip(method.problem())
    return method


@pytest.fixture
def logic(slicer):
    from funfuse_cli.extension import load_module

    return load_module().FunFuseSlicerLogic()


@pytest.fixture
def nodes(slicer):
    """A small registered pair in the scene: (MRI node, PET node)."""
    return tuple(add_volume_node(volume) for volume in head_phantom(SIZE, SPACING))


def voxels(node):
    import slicer

    return slicer.util.arrayFromVolume(node)


def facts_of(node):
    prefix = ATTRIBUTE.format("")
    return {name[len(prefix) :] for name in node.GetAttributeNames() if name.startswith(prefix)}


# --- A run in a scene ---------------------------------------------------------------------------------


@every_method
def test_a_volume_is_fused_slice_by_slice(slicer, logic, nodes, name):
    """Normalized as for the network; what is empty in both is left out; the inputs stay as they are."""
    method, (mri, pet) = usable(name), nodes
    before = [(voxels(node).copy(), matrix_of(node, slicer)) for node in nodes]
    run = logic.process(mri, pet, FusionOptions(method=name, omega=0.0), registration=None)
    for node, (array, matrix) in zip(nodes, before):
        np.testing.assert_array_equal(voxels(node), array)
        np.testing.assert_array_equal(matrix_of(node, slicer), matrix)
    made = find_outputs(mri, pet)
    assert set(made) == {"pet_registered", "fused", "colored"}
    assert run.nodes.mri_part is None and run.nodes.pet_part is None
    for role, node in made.items():
        assert getattr(run.nodes, role) is node
        np.testing.assert_allclose(matrix_of(node, slicer), matrix_of(mri, slicer))
        assert node.GetImageData().GetDimensions() == mri.GetImageData().GetDimensions()
        assert attribute(node, "Method") == name
        assert attribute(node, "Citation") == method.citation
        assert not facts_of(node) & set(NETWORK_FACTS)
        assert attribute(node, "Mode") == "uptake" and attribute(node, "UsedDevice") == "cpu"
    images = [normalize(clean(volume)[0].array).astype(np.float64) for volume in head_phantom(SIZE, SPACING)]
    filled = [k for k in range(len(images[0])) if images[0][k].any() or images[1][k].any()]
    assert 0 < len(filled) == run.fusion.slices.slices < len(images[0])
    fused = voxels(made["fused"])
    assert fused.dtype == np.float32
    for k in range(len(fused)):
        # Axial slices show the nose on top: the phantom is stored in that order.
        expected = method(images[0][k], images[1][k]) if k in filled else np.zeros_like(fused[k])
        np.testing.assert_allclose(fused[k], expected, atol=1e-6)
    gray = np.rint(255 * np.clip(fused, 0, 1))
    np.testing.assert_allclose(voxels(made["colored"]), np.repeat(gray[..., None], 3, axis=-1), atol=1)
    assert run.fusion.slices.completeness is None and run.fusion.gradients is None and run.notes == []


@every_method
@pytest.mark.parametrize("permutation, flips", [((1, 2, 0), (True, False, True))])
def test_sagittal_storage_gives_the_same_anatomy(slicer, logic, nodes, name, permutation, flips):
    usable(name)
    mri, pet = nodes
    options = FusionOptions(method=name)
    expected = voxels(logic.process(mri, pet, options, registration=None).nodes.fused)
    phantom = head_phantom(SIZE, SPACING)[0]
    sagittal = add_volume_node(reoriented(phantom, permutation, flips))
    fused = voxels(logic.process(sagittal, pet, options, registration=None).nodes.fused)
    wanted = reoriented(phantom.with_array(expected), permutation, flips).array
    # The PET is interpolated on its way to the other grid.
    np.testing.assert_allclose(fused, wanted, atol=1e-4)


@every_method
def test_a_mask_is_background(slicer, logic, nodes, name):
    usable(name)
    phantom = head_phantom(SIZE, SPACING)[0]
    left = np.zeros(phantom.array.shape, np.uint8)
    left[:, :, 10:] = 1
    mask = add_volume_node(reoriented(phantom.with_array(left, "mask"), (2, 0, 1), (True, True, False)))
    run = logic.process(*nodes, FusionOptions(method=name), registration=None, maskNode=mask)
    for role in ("fused", "colored"):
        array = voxels(getattr(run.nodes, role))
        assert not array[:, :, :10].any() and array[:, :, 10:].any()


@every_method
@pytest.mark.parametrize("stage", ["Fusing", "Coloring"])
def test_cancel_leaves_the_scene_as_it_was(slicer, logic, nodes, name, stage):
    usable(name)
    before = snapshot(slicer)
    monitor = Monitor(lambda now, fraction: monitor.cancel() if now == stage else None)
    with pytest.raises(Cancelled):
        logic.process(*nodes, FusionOptions(method=name), registration=None, monitor=monitor)
    assert snapshot(slicer) == before


def test_one_after_the_other_leaves_nothing_stale(slicer, logic, nodes):
    """Neither nodes nor facts of the run before: what is there is what a first run would have made."""
    runs = {
        NETWORK: FusionOptions(lam=0.3),
        "average": FusionOptions(method="average", omega=0.4),
        "laplacian_pyramid": FusionOptions(method="laplacian_pyramid"),
    }

    def census():
        made = find_outputs(*nodes)
        kinds = sorted(
            slicer.mrmlScene.GetNthNode(n).GetClassName() for n in range(slicer.mrmlScene.GetNumberOfNodes())
        )
        return kinds, {role: facts_of(node) for role, node in made.items()}

    expected = {}
    for name, options in runs.items():
        logic.process(*nodes, options, registration=None)
        expected[name] = census()
        for node in find_outputs(*nodes).values():
            remove_volume(node)
    fused = None
    for name in (NETWORK, "average", NETWORK, "laplacian_pyramid", "average", NETWORK):
        run = logic.process(*nodes, runs[name], registration=None)
        kinds, facts = census()
        assert facts == expected[name][1]
        # The color table of the first run stays.
        assert kinds == expected["average" if name != NETWORK else NETWORK][0]
        results = find_results(*nodes)
        assert ("mri_part" in results) == ("pet_part" in results) == (name == NETWORK)
        assert fused in (None, run.nodes.fused), "updated in place"
        fused = run.nodes.fused
        assert attribute(fused, "Method") == name


def test_views_do_not_keep_what_is_gone(slicer, logic, nodes):
    run = logic.process(*nodes, registration=None)
    view = views.slice_logics()[0]
    shown = views.Layers(nodes[0].GetID(), run.nodes.pet_part.GetID(), None, 1.0, 1.0, 0)
    views.set_layers(view, shown)
    logic.process(*nodes, FusionOptions(method="average"), registration=None, show=False)
    for node_id in views.layers_of(view)[:3]:
        assert not node_id or slicer.mrmlScene.GetNodeByID(node_id) is not None
    assert views.layers_of(view).background == nodes[0].GetID()


def test_parts_that_are_gone_are_no_whole_result_of_the_network(slicer, logic, nodes):
    run = logic.process(*nodes, registration=None)
    assert set(find_results(*nodes)) == set(VOLUME_ROLES)
    remove_volume(run.nodes.pet_part)
    assert find_results(*nodes) == {}
    remove_volume(run.nodes.mri_part)
    assert find_results(*nodes) == {}
    # A scene of an older version does not say which method: it was the network.
    run.nodes.fused.RemoveAttribute("FunFuse.Method")
    assert find_results(*nodes) == {}


def test_the_evaluation_of_the_next_result_has_its_facts(slicer, logic):
    size = (3, SMALLEST + 3, SMALLEST)
    pair = [add_volume_node(volume) for volume in head_phantom(size, (3.0, 3.0, 30.0))]

    def evaluate(options):
        logic.process(*pair, options, registration=None)
        outputs = find_outputs(*pair)
        rows = evaluate_nodes(pair[0], outputs)
        return rows, push_evaluation(pair[0], outputs, rows)

    rows, made = evaluate(FusionOptions())
    assert "completeness" in rows[0] and "Lambda" in facts_of(made.summary)
    rows, again = evaluate(FusionOptions(method="average"))
    assert again.summary is made.summary and "completeness" not in rows[0]
    assert attribute(made.summary, "Method") == "average"
    assert not facts_of(made.summary) & set(NETWORK_FACTS)


# --- Choices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["contribution", "gradient"])
def test_colors_that_need_the_parts_are_refused(mode):
    with pytest.raises(InputError, match=rf'"{mode}".*average gives.*"uptake"'):
        FusionOptions(method="average", mode=mode)
    mri, pet = (clean(volume)[0] for volume in head_phantom(SIZE, SPACING))
    fusion = fuse_volumes(mri, pet, MethodRunner(AVERAGE))
    with pytest.raises(InputError, match=rf'"{mode}".*"uptake"'):
        color_source(fusion, mode)
    source = color_source(fusion, "uptake")
    np.testing.assert_array_equal(source.brightness(0.1), source.brightness(0.9))
    np.testing.assert_array_equal(source.brightness(0.5), np.clip(fusion.fused, 0, 1))


def test_modes_and_facts_follow_the_method():
    assert FusionOptions().mode == "contribution" and FusionOptions(method="average").mode == "uptake"
    assert FusionOptions(mode="uptake").mode == "uptake"
    network, average = FusionOptions().facts(), FusionOptions(method="average").facts()
    assert set(network) - set(average) == {"lam", "balance", "device", "model"}
    assert average["method"] == "average" and network["method"] == NETWORK
    assert Fuser(None, "somebody").facts() == {"citation": "somebody"}


def test_unknown_methods_are_named(slicer, logic, nodes):
    with pytest.raises(InputError, match=r'Unknown method "magic": choose one of funfuse, average'):
        FusionOptions(method="magic")
    assert '"magic"' in method_problem("magic") and method_problem(NETWORK) is None
    assert list(method_labels()) == [NETWORK, *methods.METHODS]


def test_a_method_without_its_package_is_refused_before_anything_runs(slicer, logic, nodes, monkeypatch):
    odd = methods.Method("odd", "Odd", "", np.maximum, needs=(("no_such_module", "no-such-package"),))
    monkeypatch.setitem(methods.METHODS, "odd", odd)
    before, stages = snapshot(slicer), []
    monitor = Monitor(lambda stage, fraction: stages.append(stage))
    with pytest.raises(InputError, match="Odd needs the Python package no-such-package"):
        logic.process(*nodes, FusionOptions(method="odd"), monitor=monitor)
    assert snapshot(slicer) == before and set(stages) == {"Preparing"}


def test_the_device_of_the_network_does_not_matter():
    mri, pet = (clean(volume)[0] for volume in head_phantom(SIZE, SPACING))
    options = FusionOptions(method="average", device="cuda")
    fusion = fuse_volumes(mri, pet, MethodRunner(AVERAGE), options)
    assert fusion.slices.device == "cpu" and fusion.slices.notes == ()


# --- Slices -------------------------------------------------------------------------------------------


def test_methods_compute_in_float64_several_slices_at_once():
    seen, together = [], threading.Barrier(2, timeout=30)

    def fuse(mri, pet):
        seen.append((mri.dtype, mri.flags.c_contiguous))
        together.wait()
        return (mri + pet) / 2

    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        mri, pet = pair_of(0, (4, 9, 8))
        fusion = fuse_volumes(mri, pet, MethodRunner(methods.Method("meeting", "Meeting", "", fuse)))
    finally:
        torch.set_num_threads(threads)
    assert len(seen) == 4 and set(seen) == {(np.dtype(np.float64), True)}
    assert fusion.fused.dtype == np.float32 and fusion.slices.slices == 4


def test_an_error_of_a_method_comes_through():
    def fail(mri, pet):
        raise ValueError("no convergence")

    with pytest.raises(ValueError, match="no convergence"):
        fuse_volumes(*pair_of(0), MethodRunner(methods.Method("failing", "Failing", "", fail)))


@examples(15)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 7, 5), (3, 1, 9), (4, 8, 1)]),
    st.sampled_from(sorted(methods.METHODS)),
)
def test_any_pair_stays_in_range_on_its_grid(seed, size, name):
    if methods.METHODS[name].problem() is not None:
        return
    mri, pet = pair_of(seed, size, np.diag([1.0, -1.0, 2.0, 1.0]))
    empty = Volume(np.concatenate([mri.array, np.zeros_like(mri.array[:1])]), mri.ijk_to_ras, mri.name)
    other = Volume(np.concatenate([pet.array, np.zeros_like(pet.array[:1])]), pet.ijk_to_ras, pet.name)
    if not (empty.array.any() and other.array.any()):
        return
    fusion = fuse_volumes(empty, other, MethodRunner(methods.METHODS[name]), FusionOptions(method=name))
    assert fusion.fused.shape == empty.array.shape and not fusion.fused[-1].any()
    assert fusion.fused.min() >= 0 and fusion.fused.max() <= 1
