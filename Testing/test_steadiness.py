"""The price of what changes from slice to slice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.training.steadiness import GAIN, ZOOM, Nearby, draw_nearby, unsteadiness
from Testing.conftest import head_phantom


class Weighed:
    """Fuses by a weight of the PET for the slice as a whole."""

    def __init__(self, weight):
        self.weight = weight

    def fuse(self, mri, pet, lam=None):
        weight = self.weight(mri)
        return weight * pet + (1 - weight) * mri


def images(count=6, size=64):
    """A slice of a head and a dark PET, so often, (count, 1, size, size)."""
    mri = head_phantom((9, size, size))[0].array[4]
    mri = torch.from_numpy((mri / mri.max()).astype(np.float32)).expand(count, 1, size, size)
    return mri, 0.3 * mri


def unsteady(weight, seed=0) -> float:
    network, (mri, pet) = Weighed(weight), images()
    nearby = draw_nearby(len(mri), 64, np.random.default_rng(seed))
    return unsteadiness(network, network.fuse(mri, pet), mri, pet, None, nearby).mean().item()


def test_the_plain_average_is_steady():
    assert unsteady(lambda mri: 0.5) == pytest.approx(0, abs=1e-7)


def test_a_slice_that_is_weighed_as_a_whole_is_not():
    """Where a little decides, much changes; where it counts a little, little."""

    def level(mri):
        return mri.mean(dim=(1, 2, 3), keepdim=True)

    middle = level(images()[0]).mean()
    kept = unsteady(lambda mri: 0.8)
    slightly = unsteady(lambda mri: 0.8 + 0.2 * (level(mri) - middle))
    switching = unsteady(lambda mri: (level(mri) > middle).float())
    assert kept < 0.01 and abs(slightly - kept) < 0.002 and switching > 4 * kept


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.integers(1, 4))
def test_the_next_slice_is_nearly_the_same(seed, count):
    mri, pet = images(count)
    nearby = draw_nearby(count, 64, np.random.default_rng(seed))
    for image, moved in zip((mri, pet), nearby.pair(mri, pet)):
        assert moved.shape == image.shape and moved.min() >= 0 and moved.max() <= 1
        assert (moved - image).abs().mean() < 0.15
        assert moved.mean() == pytest.approx(image.mean().item(), rel=2 * ZOOM + 6 * GAIN)
    for field, again in zip(nearby, draw_nearby(count, 64, np.random.default_rng(seed))):
        assert torch.equal(field, again)
    assert not any(moved.any() for moved in nearby.pair(0 * mri, 0 * pet))


def test_nothing_moved_is_the_same_slice():
    mri, pet = images(2)
    lines = torch.eye(2, 3).repeat(2, 1, 1)
    grid = torch.nn.functional.affine_grid(lines, list(mri.shape), align_corners=False)
    for image, moved in zip((mri, pet), Nearby(grid, torch.ones(2, 2, 64, 64)).pair(mri, pet)):
        torch.testing.assert_close(moved, image, rtol=0, atol=1e-5)
