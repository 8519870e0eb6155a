"""What holds for any pair of volumes, however odd its voxels and its header."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from funfuse_cli.studies.odd_inputs.pairs import reoriented
from FunFuseSlicer.Logic.color.colorize import MODES
from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import TWO_LANE, load_model, model_names
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, fuse_volumes
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at
from FunFuseSlicer.Logic.scene import inputs
from FunFuseSlicer.Logic.volumes.geometry import Volume, axial_order, from_axial, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import NORMALIZATIONS, clean
from Testing.test_volume import ORIENTATIONS

ROLES = ("pet_registered", "fused", "mri_part", "pet_part", "colored")


def examples(count):
    """The same examples on every run, so that a failure never depends on luck.

    They are small, so that one that fails is shown as it is: making it still smaller takes minutes.
    """
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.fixture(scope="module")
def logic():
    from funfuse_cli.extension import load_module
    from funfuse_cli.headless.boot import boot

    slicer = boot()
    yield load_module().FunFuseSlicerLogic()
    slicer.mrmlScene.Clear(False)


@pytest.fixture(scope="module")
def network():
    return runner_of(load_model("paper"), 0.8)


# --- Odd volumes --------------------------------------------------------------------------------------

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32")  # 64 bits are beyond Slicer
FLOATS = ("float32", "float64")


def _with(value, share=0.2):
    def change(noise, generator):
        return np.where(generator.random(noise.shape) < share, value, noise)

    return change


def _one_voxel(noise, generator):
    result = np.zeros_like(noise)
    result.flat[generator.integers(noise.size)] = 7.0
    return result


# kind -> values from noise in (0, 1) and a generator
ORDINARY = {
    "noise": lambda noise, _: noise,
    "counts": lambda noise, _: np.floor(100 * noise),
    "partly zero": _with(0.0, 0.6),
    "one voxel": _one_voxel,
    "offset": lambda noise, _: 1000.0 + noise,
    "negative, too": lambda noise, _: 200 * noise - 100,
}
ODD = {
    "NaN": _with(np.nan),
    "infinite": _with(np.inf),
    "minus infinite": _with(-np.inf),
    "all NaN": lambda noise, _: np.full_like(noise, np.nan),
    "zero": lambda noise, _: np.zeros_like(noise),
    "constant": lambda noise, _: np.full_like(noise, 3.0),
    "all negative": lambda noise, _: -noise - 1,
    "tiny": lambda noise, _: noise * 1e-38,
    "subnormal": lambda noise, _: noise * 1e-44,
    "huge": lambda noise, _: noise * 3.4e38,
    "too huge": lambda noise, _: noise * 1e300,
    "of all sizes": lambda noise, _: 10.0 ** (76 * noise - 38),
    "hot voxel": lambda noise, g: noise + 1e30 * _one_voxel(noise, g),
}

shapes = st.tuples(*[st.integers(1, 9)] * 3)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def voxels(draw, kinds, shape=shapes):
    """A (k, j, i) array of any type that Slicer stores."""
    generator = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(sorted(kinds)))
    values = kinds[kind](generator.random(draw(shape)), generator)
    dtype = np.dtype(draw(st.sampled_from(FLOATS if kind in ODD else FLOATS + INTEGERS)))
    if dtype.kind in "ui":
        values = np.clip(values * (100 if values.max() <= 1 else 1), np.iinfo(dtype).min, 127)
    with np.errstate(over="ignore"):
        return values.astype(dtype)


@st.composite
def rotations(draw):
    """Any rotation, 3×3."""
    matrix = np.linalg.qr(np.random.default_rng(draw(seeds)).normal(size=(3, 3)))[0]
    return matrix * np.sign(np.linalg.det(matrix))


@st.composite
def headers(draw, shape, center=0.0):
    """IJK to RAS of a grid around ``center``: any spacing, rotation, order and sense of axes, mild shear."""
    matrix = np.eye(4)
    shear = np.eye(3)
    shear[0, 1] = draw(st.floats(-0.2, 0.2))
    order, flips = draw(st.sampled_from(ORIENTATIONS))
    axes = np.eye(3)[:, list(order)] * np.where(flips, -1.0, 1.0)
    spacing = draw(st.tuples(*[st.sampled_from([0.3, 1.0, 2.5, 8.0])] * 3))
    matrix[:3, :3] = (draw(rotations()) if draw(st.booleans()) else np.eye(3)) @ shear @ axes * spacing
    middle = (np.array(shape[::-1]) - 1) / 2
    matrix[:3, 3] = center - matrix[:3, :3] @ middle
    return matrix


@st.composite
def pairs(draw, kinds):
    """MRI and PET, each on a grid of its own around one point."""
    center = np.array(draw(st.tuples(*[st.sampled_from([-250.0, 0.0, 33.3])] * 3)))
    result = []
    for name in ("T1", "FDG"):
        array = draw(voxels(kinds))
        result.append(Volume(array, draw(headers(array.shape, center)), name))
    return result


def process(logic, volumes, options=None):
    """Fuse two volumes in an empty scene; returns the run and the MRI node."""
    import slicer

    slicer.mrmlScene.Clear(False)
    mri, pet = (inputs.add_volume_node(volume) for volume in volumes)
    before = slicer.mrmlScene.GetNumberOfNodes()
    try:
        return logic.process(mri, pet, options, registration=None, show=False), mri
    except FunFuseError as error:
        assert any(f'"{volume.name}"' in str(error) for volume in volumes), "the message names the volume"
        assert slicer.mrmlScene.GetNumberOfNodes() == before, "an error leaves the scene as it was"
        raise


def check(run, mri):
    """Finite outputs on the grid of the MRI, whose parts add up."""
    import slicer

    grid = slicer.util.arrayFromVTKMatrix(_matrix(mri))
    for role in ROLES:
        node = getattr(run.nodes, role)
        array = slicer.util.arrayFromVolume(node)
        assert array.shape[:3] == slicer.util.arrayFromVolume(mri).shape
        assert np.isfinite(array).all(), role
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(_matrix(node)), grid)
    fusion = run.fusion
    assert fusion.slices.completeness <= 1e-5
    assert np.abs(fusion.mri_part + fusion.pet_part - fusion.fused).max() <= 1e-5


def _matrix(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


@st.composite
def looks(draw):
    return FusionOptions(
        lam=draw(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
        normalization=draw(st.sampled_from(NORMALIZATIONS)),
        mode=draw(st.sampled_from(MODES)),
        colormap=draw(st.sampled_from(["Jet", "PET-Heat"])),
    )


@examples(30)
@given(pairs({**ORDINARY, **ODD}), looks())
def test_any_pair_is_fused_or_refused_with_a_reason(logic, volumes, options):
    try:
        run, mri = process(logic, volumes, options)
    except FunFuseError:
        return
    check(run, mri)


@examples(20)
@given(st.data(), looks())
def test_pairs_with_contrast_on_one_grid_are_fused(logic, data, options):
    """Nothing but the voxels differs, so there is no reason to refuse them."""
    shape = data.draw(shapes.filter(lambda shape: np.prod(shape) > 8))
    volumes = [
        Volume(data.draw(voxels({**ORDINARY, "NaN": _with(np.nan)}, st.just(shape))), np.eye(4), name)
        for name in ("T1", "FDG")
    ]
    for volume in volumes:
        assume(np.ptp(np.clip(np.nan_to_num(volume.array.astype(float)), 0, None)) > 0)
    check(*process(logic, volumes, options))


# --- Units and values ---------------------------------------------------------------------------------


def pair_of(seed, size=(5, 12, 10), header=None):
    """Two volumes of noise on one grid, with a background of zeros."""
    generator = np.random.default_rng(seed)
    arrays = generator.random((2, *size), dtype=np.float32)
    arrays *= generator.random((1, *size)) > 0.3
    header = np.diag([-1.0, -1.0, 1.0, 1.0]) if header is None else header
    return [Volume(array, header, name) for array, name in zip(arrays, ("T1", "FDG"))]


def fuse(network, volumes, **options):
    """Clean and fuse a pair on one grid."""
    mri, pet = (clean(volume)[0] for volume in volumes)
    return fuse_volumes(mri, pet, network, FusionOptions(**options))


@examples(10)
@given(seeds, st.integers(-60, 60), st.integers(-60, 60), st.sampled_from(["robust", "minmax"]))
def test_a_power_of_two_in_the_unit_changes_no_bit(network, seed, mri_power, pet_power, normalization):
    """Kilobecquerel instead of becquerel; a power of two does not even round."""
    mri, pet = pair_of(seed)
    scaled = [
        volume.with_array(volume.array * np.float32(2.0**power))
        for volume, power in ((mri, mri_power), (pet, pet_power))
    ]
    one, other = (fuse(network, pair, normalization=normalization) for pair in ((mri, pet), scaled))
    for role in ("fused", "mri_part", "pet_part"):
        np.testing.assert_array_equal(getattr(one, role), getattr(other, role))
    assert other.scales == (one.scales[0] * 2.0**mri_power, one.scales[1] * 2.0**pet_power)


@examples(10)
@given(seeds, st.floats(1e-12, 1e12), st.floats(1e-12, 1e12))
def test_the_unit_does_not_matter(network, seed, mri_factor, pet_factor):
    """The fused image only: where rule 1 is nearly tied, rounding can move a feature between the parts."""
    mri, pet = pair_of(seed)
    scaled = [
        volume.with_array(volume.array * np.float32(factor))
        for volume, factor in ((mri, mri_factor), (pet, pet_factor))
    ]
    np.testing.assert_allclose(fuse(network, (mri, pet)).fused, fuse(network, scaled).fused, atol=2e-5)


@pytest.mark.parametrize("name", [name for name in model_names() if load_model(name).kind == TWO_LANE])
def test_the_shipped_networks_are_homogeneous_and_keep_black(name):
    model = load_model(name)
    network = network_at(model, 0.8 if model.trained_lambda is None else model.trained_lambda)
    mri, pet = torch.rand(2, 1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for once, scaled in zip(network(mri, pet), network(0.25 * mri, 0.25 * pet)):
            assert torch.equal(0.25 * once, scaled)
        assert not any(part.any() for part in network(0 * mri, 0 * pet))


def test_the_same_twice_is_the_same_to_the_last_bit(logic):
    import slicer

    volumes, results = pair_of(3), []
    volumes[1] = Volume(volumes[1].array, volumes[1].ijk_to_ras + 0.1 * np.eye(4, k=1), "FDG")
    for _ in range(2):
        run, _ = process(logic, volumes)
        results.append([slicer.util.arrayFromVolume(getattr(run.nodes, role)).copy() for role in ROLES])
    for first, second in zip(*results):
        np.testing.assert_array_equal(first, second)


# --- Slices -------------------------------------------------------------------------------------------


@examples(10)
@given(seeds, st.sampled_from(ORIENTATIONS), st.integers(0, 4), st.sampled_from(["mri", "pet", "both"]))
def test_a_slice_of_the_result_depends_on_that_slice_of_the_inputs_only(
    network, seed, orientation, index, which
):
    """Without normalization, whose scale is one for the volume."""
    volumes = [reoriented(volume, *orientation) for volume in pair_of(seed)]
    order = axial_order(volumes[0].ijk_to_ras)
    changed = []
    for name, volume in zip(("mri", "pet"), volumes):
        array = to_axial(volume.array, order).copy()
        if which in (name, "both"):
            array[index] = np.random.default_rng(seed + 1).permuted(array[index])
        changed.append(volume.with_array(np.ascontiguousarray(from_axial(array, order))))
    one, other = (fuse(network, pair, normalization="none") for pair in (volumes, changed))
    for role in ("fused", "mri_part", "pet_part"):
        difference = to_axial(getattr(one, role) != getattr(other, role), order)
        assert difference[index].any()
        difference[index] = False
        assert not difference.any(), role


@examples(12)
@given(seeds, rotations(), st.sampled_from(ORIENTATIONS))
def test_an_oblique_volume_can_be_stored_in_any_order(network, seed, rotation, orientation):
    """Slices are those nearest to axial, whatever the order and the sense of the axes in the file."""
    header = np.eye(4)
    header[:3, :3] = rotation * (0.9, 1.1, 3.0)
    volumes = pair_of(seed, (4, 7, 9), header)
    expected = volumes[0].with_array(fuse(network, volumes).fused)
    turned = fuse(network, [reoriented(volume, *orientation) for volume in volumes]).fused
    np.testing.assert_array_equal(turned, reoriented(expected, *orientation).array)


@examples(12)
@given(seeds, st.floats(-0.5, 0.5), st.tuples(*[st.floats(0.2, 9)] * 3), st.floats(-300, 300))
def test_of_the_header_only_the_nearest_axes_matter(network, seed, angle, spacing, offset):
    """Voxel sizes, place, and an obliquity below half a radian change no voxel of a pair on one grid."""
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volumes = pair_of(seed, (4, 7, 9))
    header = turn @ volumes[0].ijk_to_ras @ np.diag([*spacing, 1.0])
    header[:3, 3] = offset
    moved = [Volume(volume.array, header, volume.name) for volume in volumes]
    np.testing.assert_array_equal(fuse(network, volumes).fused, fuse(network, moved).fused)


def test_a_mirrored_head_is_not_the_mirrored_result(network):
    """The network's kernels are not symmetric: only the header may say which side is left."""
    volumes = pair_of(0)
    expected = fuse(network, volumes).fused
    mirrored = fuse(network, [v.with_array(v.array[:, :, ::-1].copy()) for v in volumes]).fused[:, :, ::-1]
    assert 1e-3 < np.abs(mirrored - expected).max() < 0.5
    flipped = [reoriented(volume, (0, 1, 2), (True, False, False)) for volume in volumes]
    np.testing.assert_array_equal(fuse(network, flipped).fused[:, :, ::-1], expected)
