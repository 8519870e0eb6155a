"""The network that steers a Laplacian pyramid: pyramid, parts, λ, files, engine, NumPy beside PyTorch."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from FunFuseSlicer.Logic.errors import ModelError
from FunFuseSlicer.Logic.fusion import steered
from FunFuseSlicer.Logic.fusion.engine import fuse_slices
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import MODELS_FOLDER, STEERED, load_model, model_names
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at, network_of, save_model, use_weights
from FunFuseSlicer.Logic.fusion.pytorch.runner import TorchRunner
from FunFuseSlicer.Logic.fusion.pytorch.steered import SteeredNetwork, collapse, initialize, pyramid, widened
from FunFuseSlicer.Logic.fusion.steered import USUAL, Channels, SteeredRunner
from Testing.conftest import ROOT, head_phantom

STEERED_MODELS = [name for name in model_names() if load_model(name).kind == STEERED]


def random_network(seed=0, conditioned=False, channels=USUAL) -> SteeredNetwork:
    """With weights that differ from place to place, as after training."""
    torch.manual_seed(seed)
    network = SteeredNetwork(conditioned, channels=channels)
    initialize(network)
    with torch.no_grad():
        for head in network.heads:
            head.weight.normal_(std=0.3)
        if channels.sixteenth:
            network.convolution("sixteenth_2").weight.normal_(std=0.1)
        if conditioned:
            for parameter in network.modulation.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def slices(seed, rows=40, columns=48):
    """MRI and PET with a black frame, (1, 1, rows, columns)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 1, 1, rows, columns, generator=generator)
    images[..., :3, :] = images[..., -5:] = 0
    return images[0], images[1]


sizes = st.integers(1, 45)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 6), st.integers(1, 6))
def test_the_pyramid_put_together_is_the_image(seed, rows, columns):
    image = torch.rand(2, 1, 8 * rows, 8 * columns, generator=torch.Generator().manual_seed(seed))
    bands = pyramid(image)
    assert [band.shape[-1] for band in bands] == [8 * columns // 2**level for level in range(4)]
    torch.testing.assert_close(collapse(bands), image, rtol=0, atol=1e-6)


def test_the_bands_are_those_of_the_binomial_filter():
    """Against SciPy's convolution; away from the borders, which are repeated here."""
    image = np.random.default_rng(0).random((32, 40))
    taps = np.array([1, 4, 6, 4, 1]) / 16
    low = ndimage.convolve1d(ndimage.convolve1d(image, taps, 0), taps, 1)[::2, ::2]
    spread = np.zeros_like(image)
    spread[::2, ::2] = 4 * low
    band = image - ndimage.convolve1d(ndimage.convolve1d(spread, taps, 0), taps, 1)
    ours = pyramid(torch.from_numpy(image)[None, None])[0][0, 0].numpy()
    np.testing.assert_allclose(ours[6:-6, 6:-6], band[6:-6, 6:-6], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), sizes, sizes)
def test_the_parts_add_up_and_black_stays_black(seed, rows, columns):
    mri, pet = slices(seed, rows, columns)
    with torch.no_grad():
        fused, mri_part, pet_part = random_network(seed)(mri, pet)
    assert fused.shape == mri.shape
    torch.testing.assert_close(mri_part + pet_part, fused, rtol=0, atol=1e-6)
    black = (mri == 0) & (pet == 0)
    assert not any(part[black].any() for part in (fused, mri_part, pet_part))


def test_no_part_is_negative_and_nothing_brighter_than_both_images():
    """Dark and bright images, by weights that would; training without the limits shows that they would."""
    free, held = random_network(8).train(), SteeredNetwork(limited=True).train()
    held.load_state_dict(free.state_dict())
    rng = np.random.default_rng(3)
    mri, pet = (torch.from_numpy(rng.random((2, 1, 64, 64), np.float32) ** power) for power in (2, 6))
    brighter = torch.maximum(mri, pet)
    most = torch.minimum(brighter + 5 / 255, 2 * brighter)
    with torch.no_grad():
        fused, *parts = free(mri, pet)
        assert min(part.min() for part in parts) < -0.05 and (fused - brighter).max() > 0.05
        fused, *parts = limited = held(mri, pet)
        assert min(part.min() for part in parts) >= 0 and (fused <= most + 1e-6).all()
        assert ((fused - most).abs() < 1e-6).any(), "some reach it"
        for image, wanted in zip(free.eval()(mri, pet), limited):
            assert torch.equal(image, wanted)


def test_slices_of_other_sizes_come_between():
    """Memory that is used again holds nothing of them."""
    state = {name: value.numpy() for name, value in random_network(2).state_dict().items()}
    runner, sizes = SteeredRunner(state), ((40, 48), (37, 48), (40, 41), (40, 48))
    images = [[image[:, 0].numpy() for image in slices(3, *size)] for size in sizes]
    for pair, again in ((pair, SteeredRunner(state).fuse(*pair)) for pair in images):
        for image, wanted in zip(runner.fuse(*pair), again):
            np.testing.assert_array_equal(image, wanted)


def test_a_slice_alone_is_fused_where_it_is_asked_for(monkeypatch):
    runner, threads = runner_of(load_model(), 0.8), []
    fuse = runner.fuse
    monkeypatch.setattr(
        runner, "fuse", lambda *images: threads.append(threading.get_ident()) or fuse(*images)
    )
    mri, pet = (image[:, 0].numpy() for image in slices(6))
    fuse_slices(runner, mri, pet, workers=2)
    assert threads == [threading.get_ident()]
    fuse_slices(runner, np.repeat(mri, 4, 0), np.repeat(pet, 4, 0), workers=2)
    assert len(threads) == 5 and threading.get_ident() not in threads[1:]


def test_given_the_weights_a_part_is_linear_in_its_own_image():
    """A black image has no part, whatever the weights are."""
    mri, pet = slices(1)
    with torch.no_grad():
        assert not random_network()(mri, 0 * pet).pet_part.any()
        assert not random_network()(0 * mri, pet).mri_part.any()


def test_training_starts_from_the_plain_average():
    torch.manual_seed(0)
    network, (mri, pet) = SteeredNetwork(True), slices(2)
    initialize(network)
    with torch.no_grad():
        fused = network.fuse(mri, pet, 0.4)
    torch.testing.assert_close(fused, (mri + pet) / 2, rtol=0, atol=0.05)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_a_network_for_one_lambda_gives_the_same(lam):
    network, (mri, pet) = random_network(3, conditioned=True), slices(3)
    with torch.no_grad():
        folded = network.at_lambda(lam)
        assert not folded.conditioned and network.conditioned
        for one, other in zip(network(mri, pet, lam), folded(mri, pet)):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        several = network.fuse(torch.cat([mri, mri]), torch.cat([pet, pet]), torch.tensor([lam, 0.9]))
    torch.testing.assert_close(several[:1], network.fuse(mri, pet, lam), rtol=0, atol=1e-6)
    assert lam == 0.9 or not torch.equal(several[0], several[1])
    with pytest.raises(ValueError, match="λ"):
        network.fuse(mri, pet)
    with pytest.raises(ValueError, match="λ"):
        network.at_lambda(1.5)


def test_weights_are_kept_with_the_kind_of_their_network(tmp_path):
    network = random_network(4, conditioned=True)
    save_model(network, "some", tmp_path, None)
    model = load_model("some", tmp_path)
    mri, pet = slices(4)
    with torch.no_grad():
        assert torch.equal(network_of(model).fuse(mri, pet, 0.5), network.fuse(mri, pet, 0.5))
    card = tmp_path / "some.json"
    card.write_text(card.read_text(encoding="utf-8").replace("steered", "other"), encoding="utf-8")
    with pytest.raises(ModelError, match="fusion network"):
        load_model("some", tmp_path)


@pytest.mark.parametrize("name", STEERED_MODELS)
def test_the_engine_runs_the_shipped_ones_over_a_volume(name):
    mri, pet = (volume.array / volume.array.max() for volume in head_phantom((5, 37, 30)))
    done = fuse_slices(runner_of(load_model(name), 0.8), mri, pet)
    assert done.completeness <= 1e-5 and done.slices == 3, "two are empty"
    np.testing.assert_allclose(done.mri_part + done.pet_part, done.fused, atol=1e-6)
    assert not done.fused[(mri == 0) & (pet == 0)].any() and done.pet_gradient is None
    there = pet > 0.05
    assert np.corrcoef(done.pet_part[there], pet[there])[0, 1] > 0.9, "the PET part follows the PET"
    gradients = fuse_slices(runner_of(load_model(name), 0.8, "cpu", gradients=True), mri, pet).pet_gradient
    assert np.isfinite(gradients).all() and gradients.any()


@pytest.mark.parametrize("name", STEERED_MODELS)
@pytest.mark.parametrize("lam", [0.0, 0.35, 1.0])
def test_numpy_gives_what_pytorch_gives(name, lam):
    """Over a volume with empty slices, and a head that does not fill it."""
    rng, model = np.random.default_rng(7), load_model(name)
    mri, pet = np.zeros((2, 6, 75, 131), np.float32)
    mri[1:5, 9:58, 30:111] = ndimage.gaussian_filter(rng.random((4, 49, 81)), (0, 1, 1)) ** 2 * 2
    pet[1:5, 14:63, 25:90] = ndimage.gaussian_filter(rng.random((4, 49, 65)), (0, 2, 2))
    arrays, tensors = (
        fuse_slices(runner, mri, pet)
        for runner in (runner_of(model, lam), TorchRunner(network_at(model, lam), "cpu"))
    )
    for image in ("fused", "mri_part", "pet_part"):
        np.testing.assert_allclose(getattr(arrays, image), getattr(tensors, image), rtol=0, atol=1e-5)
    assert arrays.slices == tensors.slices == 4 and arrays.fused.max() > 0.3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), sizes, sizes, st.booleans(), st.sampled_from((24, 40)), st.sampled_from((0, 12)))
def test_numpy_runs_any_weights_on_any_size(seed, rows, columns, conditioned, eighth, sixteenth):
    network = random_network(seed, conditioned, Channels(eighth, sixteenth))
    mri, pet = slices(seed, rows, columns)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    with torch.no_grad():
        expected = network(mri, pet, 0.6 if conditioned else None)
    for parts in (True, False):
        results = SteeredRunner(state, 0.6).fuse(mri[:, 0].numpy(), pet[:, 0].numpy(), parts)
        assert len(results) == (3 if parts else 1)
        for result, wanted in zip(results, expected):
            np.testing.assert_allclose(result, wanted[:, 0].numpy(), rtol=0, atol=1e-5)


def test_products_stay_small_enough_for_one_thread(monkeypatch):
    """Wide slices are convolved in pieces, with the same result."""
    state = {name: value.numpy() for name, value in random_network(1).state_dict().items()}
    mri, pet = (image[:, 0].numpy() for image in slices(1, 24, 600))
    whole = SteeredRunner(state).fuse(mri, pet)
    largest, matmul = [], np.matmul

    def watched(a, b, out):
        largest.append(a.size * b.shape[-1])
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", watched)
    np.testing.assert_allclose(SteeredRunner(state).fuse(mri, pet), whole, atol=1e-6)
    assert 2**16 < max(largest) <= steered.LARGEST_PRODUCT
    monkeypatch.setattr(steered, "LARGEST_PRODUCT", 2**14)
    np.testing.assert_allclose(SteeredRunner(state).fuse(mri, pet), whole, atol=1e-6)


@pytest.mark.parametrize("source", [*STEERED_MODELS, Channels(), Channels(30, 12)])
@pytest.mark.parametrize("first", [139, 150])
def test_leaving_out_black_changes_nothing(source, first):
    """By the shipped models, and by random weights, which see as far as any."""
    mri, pet = np.zeros((2, 2, 400, 430), np.float32)
    texture = ndimage.gaussian_filter(np.random.default_rng(5).random((79, 97)), 1.5)
    mri[0, first : first + 79, 153:250], pet[1, 160:210, 147:221] = texture, 0.7
    if isinstance(source, Channels):
        state = random_network(4, channels=source).state_dict()
        runner = SteeredRunner({name: value.numpy() for name, value in state.items()})
    else:
        runner = runner_of(load_model(source), 0.8)
    whole = runner.fuse(mri, pet)
    cropped = fuse_slices(runner, mri, pet)
    for image, wanted in zip((cropped.fused, cropped.mri_part, cropped.pet_part), whole):
        np.testing.assert_allclose(image, wanted, rtol=0, atol=1e-6)


def test_without_pytorch(tmp_path):
    """Fuses and colors where there is none, and says what needs it."""
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.errors import DeviceError
from FunFuseSlicer.Logic.fusion.fuser import load_fuser
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_volume, fuse_volumes
from FunFuseSlicer.Logic.volumes.geometry import Volume
mri, pet = (Volume(np.random.default_rng(n).random((3, 40, 32), np.float32)) for n in (0, 1))
options = FusionOptions()
fusion = fuse_volumes(mri, pet, load_fuser(options).runner, options)
assert fusion.pet_part.any() and color_volume(fusion, options, jet_table()).any()
for needs in ({"model": "paper"}, {"device": "gpu"}, {"mode": "gradient"}):
    try:
        load_fuser(FusionOptions(**needs))
    except DeviceError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 3 and all("PyTorch" in line and 'model "faithful"' in line for line in said)
    assert 'the model "paper" needs it' in said[0]


@pytest.mark.parametrize("channels", [Channels(31), Channels(24, 10), Channels(31, 10)])
def test_more_channels_change_nothing_before_training(channels):
    """Then they do: what is new learns."""
    narrow, (mri, pet) = random_network(5, conditioned=True), slices(5, 48, 48)
    state = {name: value.numpy() for name, value in narrow.state_dict().items()}
    torch.manual_seed(6)
    wide = SteeredNetwork(True, channels=channels).train()
    initialize(wide)
    use_weights(wide, widened(state, wide))
    lam = torch.tensor([0.3])
    for one, other in zip(wide(mri, pet, lam), narrow(mri, pet, lam)):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    wide(mri, pet, lam).fused.mean().backward()
    if channels.eighth > 24:
        assert wide.heads[3].weight.grad[:, 24:].any()
        assert wide.convolution("up_quarter_1").weight.grad[:, 48:].any()
    if channels.sixteenth:
        assert wide.convolution("sixteenth_2").weight.grad.any()
    assert widened(state, narrow).keys() == state.keys()
    assert all(np.array_equal(array, state[name]) for name, array in widened(state, narrow).items())


def test_a_network_is_widened_and_never_narrowed_nor_robbed_of_its_lambda():
    large = Channels(31, 10)
    state = {name: value.numpy() for name, value in random_network(1, channels=large).state_dict().items()}
    for channels in (Channels(), Channels(24, 10), Channels(31, 9), Channels(40)):
        with pytest.raises(ValueError):
            widened(state, random_network(1, channels=channels))
    with pytest.raises(ValueError, match="λ"):
        widened(state, random_network(1, conditioned=True, channels=large))
    state = {name: value.numpy() for name, value in random_network(1, conditioned=True).state_dict().items()}
    with pytest.raises(ValueError, match="λ"):
        widened(state, random_network(1, channels=Channels(40)))


def test_a_sixteenth_sees_farther():
    """What changes far away changes the result, which at an eighth it does not."""
    rng = np.random.default_rng(1)
    mri, pet = rng.random((2, 1, 128, 192), np.float32)
    other = pet.copy()
    other[:, :, 130:] = 0
    for channels, seen in ((Channels(), False), (Channels(24, 12), True)):
        state = random_network(2, channels=channels).state_dict()
        runner = SteeredRunner({name: value.numpy() for name, value in state.items()})
        here, there = (runner.fuse(mri, image)[0][:, :, :72] for image in (pet, other))
        assert np.array_equal(here, there) is not seen


@pytest.mark.parametrize("name", STEERED_MODELS)
def test_the_model_card_names_the_size(name):
    channels = steered.channels_of(load_model(name).state)
    sizes = steered.layers(channels)
    pixels = {layer: steered.STAGES[layer.rpartition("_")[0]] ** 2 for layer in sizes}
    work = sum(9 * inputs * outputs / pixels[layer] for layer, (inputs, outputs) in sizes.items())
    work += sum(sizes[layer][1] * outputs / pixels[layer] for layer, outputs in steered.HEADS)
    weights = sum(parameter.numel() for parameter in SteeredNetwork(channels=channels).parameters())
    card = Path(MODELS_FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{weights:,} weights" in card and f"{work:,.0f} multiply-accumulates" in card
