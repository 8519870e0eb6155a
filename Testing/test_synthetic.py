"""Made-up PETs for training, and what is asked of the parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from funfuse_cli.training import synthetic
from funfuse_cli.training.objective import (
    LEAST_SHARE,
    Prices,
    disorder,
    excess,
    missing_share,
    negative_parts,
)
from funfuse_cli.training.options import preset
from funfuse_cli.training.pair import Pair
from funfuse_cli.training.pairs import to_unit
from funfuse_cli.training.synthetic import averaged, synthetic_batch, synthetic_pair
from funfuse_cli.training.trainer import train
from funfuse_cli.training.variants import save_network
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.pytorch.steered import SteeredNetwork
from FunFuseSlicer.Logic.metrics.pet_weight import pet_weight
from Testing.conftest import head_phantom


def head_slice() -> np.ndarray:
    mri, _ = head_phantom((3, 56, 64))
    return (mri.array[1] / mri.array.max()).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_made_up_pairs_are_images(seed, plateaus, averages):
    mri, pet = synthetic_pair(head_slice(), np.random.default_rng(seed), plateaus, averages)
    assert sorted(mri.shape) == sorted(pet.shape) == [56, 64]
    for image in (mri, pet):
        assert image.dtype == np.float32 and np.isfinite(image).all()
        assert image.min() >= 0 and image.max() <= 1
    assert pet.max() > 0.01, "there is uptake"
    assert mri[0, 0] == 0, "the background of the MRI stays black"


def test_the_same_seed_makes_the_same_pair_and_others_differ():
    once, again, other = (synthetic_pair(head_slice(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again))
    assert once[1].shape != other[1].shape or not np.array_equal(once[1], other[1])


def test_some_are_as_averages_of_groups_are(monkeypatch):
    """Smoother, and often without uptake where the MRI is darkest; when asked for, some are, others not."""
    mri = head_slice()
    head, cut = mri > 0, 0
    for seed in range(20):
        smooth, pet = averaged(mri, head.astype(float), head, np.random.default_rng(seed))
        assert np.abs(np.diff(smooth)).sum() < np.abs(np.diff(mri)).sum() and not smooth[~head].any()
        without = (pet == 0) & head
        cut += without.any()
        assert not without.any() or mri[without].mean() < 0.8 * mri[head].mean()
    assert 8 <= cut < 20
    made = []
    monkeypatch.setattr(synthetic, "averaged", lambda *given: made.append(given) or averaged(*given))
    for averages, least, most in ((False, 0, 0), (True, 4, 20)):
        for seed in range(30):
            synthetic_pair(mri, np.random.default_rng(seed), averages=averages)
        assert least <= len(made) <= most


def test_black_slices_make_no_errors():
    mri, pet = synthetic_pair(np.zeros((48, 48), np.float32), np.random.default_rng(0))
    assert np.isfinite(pet).all() and not mri.any()


def test_batches_pad_slices_that_are_smaller_than_the_crop():
    pairs = [[Pair("a", head_slice(), head_slice())]]
    mri, pet = synthetic_batch(pairs, np.ones(1), 3, 96, np.random.default_rng(0))
    assert mri.shape == pet.shape == (3, 1, 96, 96)


def test_disorder_is_zero_for_the_pet_itself_and_grows_with_what_differs():
    pet = torch.rand(2, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    assert disorder(0.4 * pet, pet).abs().max() < 1e-3
    noisy = 0.4 * pet + 0.1 * torch.rand(pet.shape, generator=torch.Generator().manual_seed(1))
    assert (disorder(noisy, pet) > 0.01).all() and (disorder(1 - pet, pet) > 1).all()
    assert disorder(0 * pet, 0 * pet).isfinite().all()


def test_a_share_of_the_pet_below_the_least_is_missing():
    """The weight is that of the metric. It counts beside bright scalp only."""
    rng = np.random.default_rng(0)
    mri, pet = (ndimage.gaussian_filter(rng.random((96, 96)), 4.0, mode="nearest") for _ in range(2))
    mri, pet = (0.6 * (image - image.min()) / np.ptp(image) + 0.2 for image in (mri, pet))
    scalp = np.zeros((96, 96), bool)
    scalp[:, 30:44] = True

    def missing(weights, bright: float) -> float:
        sources = np.where(scalp, bright, mri), np.where(scalp, 0, pet)
        fused = sum(weight * image for weight, image in zip(weights, sources))
        assert pet_weight(*sources, fused)[1] == pytest.approx(weights[1], abs=1e-6)
        images = (torch.from_numpy(image.astype(np.float32))[None, None] for image in (fused, *sources))
        return float(missing_share(*images))

    # Toward the plain average by what the images have in common with a constant.
    for weight in (0.0, 0.2, 0.3):
        expected = LEAST_SHARE - weight
        assert 0.6 * expected < missing((0.8, weight), bright=1.0) < 1.05 * expected
    assert missing((0.5, 0.5), bright=1.0) == missing((0.0, 1.0), bright=1.0) == 0
    assert missing((0.8, 0.2), bright=0.6) == 0, "nothing is bright without uptake"
    blank = torch.zeros(1, 1, 40, 40)
    assert missing_share(blank, blank, blank) == 0


def test_prices_are_weighted_sums():
    mri, pet = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    parts = mri - 0.3, 0.9 * pet
    fused = parts[0] + parts[1]
    expected = 2 * negative_parts(*parts, 0.005) + 3 * disorder(parts[1], pet) + 4 * excess(fused, mri, pet)
    expected = expected + 5 * missing_share(fused, mri, pet)
    torch.testing.assert_close(Prices(2, 0.005, 3, 4, 5).of(fused, *parts, mri, pet), expected)
    assert excess(torch.maximum(mri, pet), mri, pet) == 0 < excess(fused + 1, mri, pet)


@pytest.mark.parametrize("name", ["start", "faithful", "detail"])
def test_the_presets_train(name, tmp_path):
    """A few steps: finite, below the loss of the beginning, and the same when it is interrupted."""
    pairs = [Pair(str(n), head_slice(), np.rot90(head_slice(), 2).copy()) for n in range(2)]
    options = replace(preset(name), steps=6, crop=48, batch=2)
    network = train(pairs, options, tmp_path / "run")
    assert isinstance(network, SteeredNetwork) and network.conditioned
    again = train(pairs, options, tmp_path / "again")
    for one, other in zip(network.parameters(), again.parameters()):
        assert torch.equal(one, other)


def test_a_training_goes_on_with_more_channels(tmp_path):
    """From the weights of a narrower network; not with fewer."""
    pairs = [Pair("a", head_slice(), np.rot90(head_slice(), 2).copy())]
    options = replace(preset("faithful"), steps=1, crop=48, batch=1, share_weight=0.0)
    narrow = train(pairs, options, tmp_path / "narrow")
    save_network(narrow, "narrow", tmp_path, None)
    more = {"rate": 1e-9, "eighth": 40, "sixteenth": 48, "start_from": str(tmp_path / "narrow.npz")}
    wide = train(pairs, replace(options, **more), tmp_path / "wide")
    assert len(wide.convolution("eighth_2").bias) == 40
    # So many rows need no padding with a sixteenth, either.
    mri, pet = (torch.from_numpy(to_unit(image)[:48])[None, None] for image in (pairs[0].mri, pairs[0].pet))
    with torch.no_grad():
        for one, other in zip(wide(mri, pet, 0.6), narrow(mri, pet, 0.6)):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    save_network(wide, "wide", tmp_path, None)
    with pytest.raises(InputError, match="same network"):
        train(pairs, replace(options, start_from=str(tmp_path / "wide.npz")), tmp_path / "back")


def test_options_that_cannot_be_used_are_refused():
    for wrong in (
        {"synthetic": 1.5},
        {"order_weight": -1.0},
        {"excess_weight": -1.0},
        {"share_weight": -1.0},
        {"gradient_weight": -1.0},
        {"crop": 24, "share_weight": 1.0},
        {"network": "other"},
        {"crop": 0},
    ):
        with pytest.raises(InputError):
            replace(preset("start"), **wrong).check()
