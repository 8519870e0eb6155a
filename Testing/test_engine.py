"""The volume engine: every slice as if alone, nothing lost, stops when told."""

import threading
import time

import numpy as np
import pytest
import torch

from funfuse_cli.studies.odd_inputs.pairs import reoriented
from funfuse_cli.training.paper_network import PaperNetwork
from FunFuseSlicer.Logic.color.colorize import MODES, jet_table
from FunFuseSlicer.Logic.errors import Cancelled, DeviceError, InputError
from FunFuseSlicer.Logic.fusion import engine
from FunFuseSlicer.Logic.fusion.engine import CHECKED_SLICES, Runner, fuse_slices, fuse_slices_steps
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_source, color_volume, fuse_volumes
from FunFuseSlicer.Logic.fusion.pytorch.device import MOST_AT_ONCE, batch_size, choose_device
from FunFuseSlicer.Logic.fusion.pytorch.runner import TorchRunner
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork, initialize
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample
from FunFuseSlicer.Logic.volumes.preprocessing import clean
from Testing.conftest import head_phantom
from Testing.test_volume import ORIENTATIONS


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = TwoLaneNetwork()
    mri, pet = torch.rand(2, 1, 1, 32, 32)
    initialize(network, [(mri, pet)])
    return network.eval()


def fuse(network, mri, pet, gradients=False, **how):
    """Through the engine, on the CPU."""
    return fuse_slices(TorchRunner(network, "cpu", gradients), mri, pet, **how)


def stack(slices=7, seed=0):
    mri, pet = np.random.default_rng(seed).random((2, slices, 18, 22), dtype=np.float32)
    mri[[0, 3]] = 0
    pet[[0, 3, 5]] = 0
    return mri, pet


def test_equals_the_plain_forward_pass_slice_by_slice(network):
    mri, pet = stack()
    result = fuse(network, mri, pet)
    for index in range(len(mri)):
        with torch.no_grad():
            expected = network.fuse(*(torch.from_numpy(x[index])[None, None] for x in (mri, pet)))
        np.testing.assert_allclose(result.fused[index], expected[0, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(result.mri_part + result.pet_part, result.fused, atol=1e-5)


def test_slices_empty_in_both_inputs_are_skipped_and_black(network):
    mri, pet = stack()
    result = fuse(network, mri, pet)
    assert result.slices == 5
    for array in (result.fused, result.mri_part, result.pet_part):
        assert not array[[0, 3]].any()
    assert result.fused[5].any(), "empty in the PET only: is fused"


def test_completeness_is_measured_against_the_one_lane_pass(network, monkeypatch):
    mri, pet = stack()
    assert 0 < fuse(network, mri, pet).completeness <= 1e-5
    calls = []
    plain = network.fuse
    monkeypatch.setattr(network, "fuse", lambda a, b: calls.append(len(a)) or plain(a, b) + 0.5)
    assert fuse(network, mri, pet).completeness == pytest.approx(0.5, abs=1e-4)
    assert 1 <= len(calls) <= CHECKED_SLICES


def test_progress_rises_to_one(network):
    seen = []
    fuse(network, *stack(), monitor=Monitor(lambda stage, fraction: seen.append(fraction)))
    assert seen[0] == 0 and seen[-1] == 1 and seen == sorted(seen)


def test_cancels_between_slices(network):
    mri, pet = stack(slices=12)

    def stop(stage, fraction):
        if fraction > 0.3:
            monitor.cancel()

    monitor = Monitor(stop)
    with pytest.raises(Cancelled):
        fuse(network, mri, pet, monitor=monitor)


def test_steps_can_be_driven_by_an_event_loop(network):
    steps = fuse_slices_steps(TorchRunner(network, "cpu"), *stack())
    assert next(steps) == 0.0
    assert 0 < next(steps) < 1
    steps.close()


def test_nothing_to_fuse_is_black(network):
    zero = np.zeros((3, 8, 8), np.float32)
    result = fuse(network, zero, zero)
    assert result.slices == 0 and not result.fused.any() and result.completeness == 0


def test_gradients_are_black_where_both_inputs_are(network):
    mri, pet = stack()
    mri[:, :5], pet[:, :5] = 0, 0
    result = fuse(network, mri, pet, gradients=True)
    assert result.mri_gradient[1, 6:].any() and not result.mri_gradient[:, :5].any()
    assert fuse(network, mri, pet).pet_gradient is None


def test_paper_network_runs_through_the_same_engine():
    torch.manual_seed(0)
    result = fuse(PaperNetwork(), *stack())
    assert result.completeness is None and result.fused.any() and result.mri_part.any()


@pytest.mark.parametrize("permutation, flips", ORIENTATIONS[7::16])
def test_storage_of_the_mri_does_not_matter(network, permutation, flips):
    """A sagittally stored MRI gives the voxels of its axial copy, to the last bit."""
    mri, pet = (clean(volume)[0] for volume in head_phantom((6, 20, 16), (8.0, 7.0, 15.0)))
    expected = fuse_volumes(mri, pet, TorchRunner(network, "cpu")).fused
    turned = fuse_volumes(
        reoriented(mri, permutation, flips), reoriented(pet, permutation, flips), TorchRunner(network, "cpu")
    ).fused
    original = reoriented(mri.with_array(expected), permutation, flips).array
    np.testing.assert_array_equal(turned, original)


def test_oblique_mri_gives_the_same_anatomy():
    """Fused on a grid turned by 12°, then brought back, is what fusing on the straight grid gives."""
    runner = runner_of(load_model(), 0.8)
    mri, pet = (clean(volume)[0] for volume in head_phantom((48, 64, 56), (2.5, 2.5, 2.5)))
    straight = mri.with_array(fuse_volumes(mri, pet, runner).fused)
    angle = np.deg2rad(12)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = Volume(mri.array, turn @ mri.ijk_to_ras)
    oblique = fuse_volumes(resample(mri, grid), resample(pet, grid), runner).fused
    back = resample(grid.with_array(oblique), mri).array
    inside = resample(resample(mri.with_array(np.ones_like(mri.array)), grid), mri).array > 0.99
    inside &= mri.array > 0
    # Two interpolations cost some agreement; fusing on the turned grid must cost no more.
    interpolated = resample(resample(straight, grid), mri).array
    floor = np.corrcoef(interpolated[inside], straight.array[inside])[0, 1]
    assert np.corrcoef(back[inside], interpolated[inside])[0, 1] > max(0.9, floor - 0.02)


def test_mask_is_background(pair, network):
    mri, pet = (clean(volume)[0] for volume in pair)
    mask = np.zeros(mri.array.shape, np.uint8)
    mask[8:16, 10:38, 8:32] = 1
    fusion = fuse_volumes(mri, pet, TorchRunner(network, "cpu"), mask=mask)
    assert not fusion.fused[mask == 0].any() and fusion.fused[mask > 0].any()
    np.testing.assert_allclose(fusion.mri_part + fusion.pet_part, fusion.fused, atol=1e-5)
    with pytest.raises(InputError, match='"T1" is zero all over the mask'):
        fuse_volumes(mri, pet, TorchRunner(network, "cpu"), mask=np.zeros_like(mask))


def test_modes_give_brightness_and_hue(pair, network):
    mri, pet = (clean(volume)[0] for volume in pair)
    fusion = fuse_volumes(mri, pet, TorchRunner(network, "cpu", True))
    for mode in MODES:
        source = color_source(fusion, mode)
        for image in (source.brightness(0.5), source.function()):
            assert image.shape == mri.array.shape and image.min() >= 0 and image.max() <= 1
    for mode in ("uptake", "ordered"):
        np.testing.assert_array_equal(color_source(fusion, mode).function(), fusion.uptake)
    value = color_source(fusion, "contribution").brightness(1.0)
    np.testing.assert_allclose(value, np.clip(2 * fusion.pet_part, 0, 1), atol=1e-6)
    with pytest.raises(InputError, match="gradient mode"):
        color_source(fuse_volumes(mri, pet, TorchRunner(network, "cpu")), "gradient")
    rgb = color_volume(fusion, FusionOptions(mode="gradient"), jet_table())
    assert rgb.dtype == np.uint8 and rgb.shape == mri.array.shape + (3,)


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"lam": 1.2}, "lambda"),
        ({"omega": -0.1}, "omega"),
        ({"balance": 2}, "balance"),
        ({"mode": "sum"}, "mode"),
        ({"device": "tpu"}, "device"),
        ({"normalization": "zscore"}, "normalization"),
    ],
)
def test_wrong_options_are_named(wrong, word):
    with pytest.raises(InputError, match=word):
        FusionOptions(**wrong)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert FusionOptions(device="cuda:1").device == "cuda:1"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match="auto or cpu|choose one of"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match='no "cuda" device'):
            choose_device("cuda")
    with pytest.raises(InputError, match='no "cuda:99" device'):
        choose_device("cuda:99")


class _Greedy(Runner):
    """A runner that needs more memory than there is for more than some slices at once, or on a GPU."""

    parts, margin = True, 0

    def __init__(self, most, device="cpu", calls=None):
        self.most, self.device, self.under_way = most, device, 0
        self.calls = [] if calls is None else calls
        self.lock = threading.Lock()

    def at_once(self, pixels):
        return 1 if self.device == "cpu" else 4

    def smaller(self):
        return None if self.device == "cpu" else (_Greedy(9, calls=self.calls), "the CPU was used")

    def fuse(self, mri, pet, parts):
        with self.lock:
            self.under_way += len(mri)
            self.calls.append((len(mri), self.device))
            many = self.under_way > self.most
        time.sleep(0.02)
        with self.lock:
            self.under_way -= len(mri)
        if many:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [mri + pet, mri, pet]


def test_short_memory_means_one_slice_at_a_time():
    stack = np.random.default_rng(0).random((5, 4, 4), dtype=np.float32)
    result = fuse_slices(_Greedy(most=1), stack, stack, workers=2)
    np.testing.assert_array_equal(result.fused, 2 * stack)
    assert result.slices == 5 and result.notes == ()


def test_no_memory_for_one_slice_is_told():
    stack = np.ones((2, 4, 4), np.float32)
    with pytest.raises(DeviceError, match="not enough memory"):
        fuse_slices(_Greedy(most=0), stack, stack)


def test_a_gpu_takes_what_its_memory_allows_and_gives_way_to_the_cpu():
    stack, runner = np.ones((5, 4, 4), np.float32), _Greedy(2, "cuda")
    result = fuse_slices(runner, stack, stack)
    assert runner.calls[0] == (4, "cuda") and {size for size, _ in runner.calls[1:]} <= {1, 2}
    assert result.device == "cuda" and result.notes == () and result.slices == 5
    runner = _Greedy(0, "cuda")
    result = fuse_slices(runner, stack, stack, workers=1)
    tried, used = runner.calls[:-5], runner.calls[-5:]
    assert {size for size, _ in tried} == {4, 2, 1} and used == [(1, "cpu")] * 5
    assert result.device == "cpu" and result.notes == ("the CPU was used",)
    np.testing.assert_array_equal(result.fused, 2 * stack)


def test_pytorch_gives_way_to_the_cpu_too(network):
    runner = TorchRunner(network, "cpu")
    assert runner.smaller() is None and runner.at_once(100) == 1
    runner.device, runner._device = "mps", torch.device("mps")
    smaller, note = runner.smaller()
    assert smaller.device == "cpu" and "memory of the GPU (Apple)" in note and runner.at_once(100) == 2


def test_slices_in_batches_are_what_they_are_alone(network, monkeypatch):
    """The way of a GPU, run on the CPU."""
    expected = fuse(network, *stack())
    runner = TorchRunner(network, "cpu")
    monkeypatch.setattr(runner, "_in_strips", runner._plain)
    job = engine._Job(runner, *stack(), [np.zeros((7, 18, 22), np.float32) for _ in range(3)], True)
    list(engine._in_threads(job, 1, 4))
    for output, wanted in zip(job.outputs, (expected.fused, expected.mri_part, expected.pet_part)):
        np.testing.assert_allclose(output, wanted, atol=1e-5)
    assert job.filled == 5 and 0 < job.error <= 1e-5


@pytest.mark.parametrize("free, expected", [(0, 1), (2**30, 4), (2**40, MOST_AT_ONCE)])
def test_batches_follow_the_free_memory(monkeypatch, free, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2**40))
    assert batch_size(torch.device("cuda"), 256 * 256) == expected


def test_black_margins_are_left_out_exactly(network):
    """A head in a large black field is what the network makes of the whole field, to rounding."""
    mri, pet = np.zeros((2, 1, 90, 80), np.float32)
    mri[0, 30:61, 25:44], pet[0, 28:50, 30:50] = np.random.default_rng(1).random(2)[:, None, None]
    result = fuse(network, mri, pet)
    with torch.no_grad():
        expected = network(*(torch.from_numpy(x)[None] for x in (mri, pet)))
    for array, wanted in zip((result.fused, result.mri_part, result.pet_part), expected):
        np.testing.assert_allclose(array[0], wanted[0, 0].numpy(), atol=1e-5)
    assert not result.fused[0, :17].any() and result.fused[0, 20:28].any()


def test_workers_do_not_change_the_result_or_the_threads(network):
    threads = torch.get_num_threads()
    one, three = (fuse(network, *stack(), workers=workers) for workers in (1, 3))
    for a, b in zip((one.fused, one.mri_part, one.pet_part), (three.fused, three.mri_part, three.pet_part)):
        np.testing.assert_array_equal(a, b)
    assert torch.get_num_threads() == threads
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [threads], "threads started later"


def test_the_fused_image_alone(network):
    alone, all_of_it = (fuse(network, *stack(), parts=parts) for parts in (False, True))
    np.testing.assert_allclose(alone.fused, all_of_it.fused, atol=1e-5)
    assert alone.mri_part is None and alone.completeness is None


def test_results_are_written_into_given_arrays(network):
    volumes = [np.zeros((18, 22, 7), np.float32) for _ in range(3)]
    expected = fuse(network, *stack())
    given = fuse(network, *stack(), outputs=[np.moveaxis(volume, 2, 0) for volume in volumes])
    assert np.shares_memory(given.fused, volumes[0])
    np.testing.assert_array_equal(np.moveaxis(volumes[2], 2, 0), expected.pet_part)


def test_other_errors_are_not_taken_for_short_memory():
    class Broken(_Greedy):
        def fuse(self, mri, pet, parts):
            raise RuntimeError("shapes do not fit")

    stack = np.ones((2, 4, 4), np.float32)
    with pytest.raises(RuntimeError, match="shapes"):
        fuse_slices(Broken(1), stack, stack)
