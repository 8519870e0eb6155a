"""The network that steers a Laplacian pyramid: the pyramid, the parts, λ, files, and the engine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.errors import ModelError
from FunFuseSlicer.Logic.fusion.engine import fuse_slices
from FunFuseSlicer.Logic.fusion.models import load_model, model_names, save_model
from FunFuseSlicer.Logic.fusion.steered import ALIGNMENT, SteeredNetwork, collapse, initialize, pyramid
from Testing.conftest import head_phantom


def random_network(seed=0, conditioned=False) -> SteeredNetwork:
    """With weights that differ from place to place, as after training."""
    torch.manual_seed(seed)
    network = SteeredNetwork(conditioned)
    initialize(network)
    with torch.no_grad():
        for head in network.heads:
            head.weight.normal_(std=0.3)
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
    image = torch.rand(
        2, 1, ALIGNMENT * rows, ALIGNMENT * columns, generator=torch.Generator().manual_seed(seed)
    )
    bands = pyramid(image)
    assert [band.shape[-1] for band in bands] == [ALIGNMENT * columns // 2**level for level in range(4)]
    torch.testing.assert_close(collapse(bands), image, rtol=0, atol=1e-6)


def test_the_bands_are_those_of_the_binomial_filter():
    """Against SciPy's convolution; away from the borders, which are repeated here."""
    from scipy import ndimage

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
        assert torch.equal(model.network.fuse(mri, pet, 0.5), network.fuse(mri, pet, 0.5))
    card = tmp_path / "some.json"
    card.write_text(card.read_text(encoding="utf-8").replace("steered", "other"), encoding="utf-8")
    with pytest.raises(ModelError, match="fusion network"):
        load_model("some", tmp_path)


@pytest.mark.parametrize("name", [name for name in model_names() if name.startswith("steered")])
def test_the_engine_runs_the_shipped_ones_over_a_volume(name):
    mri, pet = (volume.array / volume.array.max() for volume in head_phantom((5, 37, 30)))
    done = fuse_slices(load_model(name).at_lambda(0.8), mri, pet, torch.device("cpu"), gradients=True)
    assert done.completeness <= 1e-5 and done.slices == 3, "two are empty"
    np.testing.assert_allclose(done.mri_part + done.pet_part, done.fused, atol=1e-6)
    assert not done.fused[(mri == 0) & (pet == 0)].any()
    assert np.isfinite(done.pet_gradient).all() and done.pet_gradient.any()
    there = pet > 0.05
    assert np.corrcoef(done.pet_part[there], pet[there])[0, 1] > 0.9, "the PET part follows the PET"


def test_the_model_card_names_the_size():
    from pathlib import Path

    from FunFuseSlicer.Logic.fusion.models import MODELS_FOLDER
    from FunFuseSlicer.Logic.fusion.steered import HEADS, LAYERS

    stages = {
        "half": 4,
        "quarter": 16,
        "eighth": 64,
        "up_quarter": 16,
        "up_half": 4,
    }  # pixels of the slice to one
    pixels = {name: stages[name.rpartition("_")[0]] for name in LAYERS}
    work = sum(9 * inputs * outputs / pixels[name] for name, (inputs, outputs) in LAYERS.items())
    work += sum(LAYERS[name][1] * channels / pixels[name] for name, channels in HEADS)
    weights = sum(parameter.numel() for parameter in SteeredNetwork().parameters())
    card = Path(MODELS_FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{weights:,} weights" in card and f"{work:,.0f} multiply-accumulates" in card
