"""The limits of the fused image: in range, black stays black, homogeneous, and parts that add up."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from FunFuseSlicer.Logic.fusion.pytorch.limits import REACH, limit, limit_parts
from FunFuseSlicer.Logic.fusion.pytorch.strips import MARGIN, StripNetwork
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork, initialize
from Testing.test_network import random_network, random_pair


def overshooting(seed: int) -> TwoLaneNetwork:
    """A network whose output leaves [0, 1] both ways, by far."""
    network = random_network(seed)
    with torch.no_grad():
        network.convolutions["output"].weight.mul_(50)
    return network


def parts_of(seed: int, rows: int, columns: int):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, 1, 1, rows, columns, generator=generator, dtype=torch.float64)


def doubles(pair):
    return tuple(image.double() for image in pair)


def test_the_limits_reach_as_far_as_the_network():
    assert REACH == MARGIN


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 60))
def test_no_pixel_is_darker_than_black_or_brighter_than_what_is_near(seed, rows, columns):
    mri, pet = random_pair(seed, rows, columns)
    fused = 3 * torch.randn(mri.shape, generator=torch.Generator().manual_seed(seed))
    limited = limit(fused, mri, pet)
    brightest = max_pool2d(torch.maximum(mri, pet), 2 * REACH + 1, 1, REACH)
    torch.testing.assert_close(limited, torch.minimum(fused.clamp_min(0), brightest), rtol=0, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
def test_parts_keep_adding_up_and_change_no_more_than_the_fused_image(seed, rows, columns):
    mri, pet = doubles(random_pair(seed, rows, columns))
    before = parts_of(seed, rows, columns)
    fused, *after = limit_parts(*before, mri, pet)
    torch.testing.assert_close(fused, limit(before[0] + before[1], mri, pet), rtol=0, atol=1e-12)
    changes = [b - a for a, b in zip(before, after)]
    # Both parts go the same way, and none farther than the sum.
    assert bool((changes[0] * changes[1] >= 0).all())
    inside = (before[0] + before[1] - fused).abs() < 1e-12
    assert all(float(change[inside].abs().max()) < 1e-9 for change in changes if inside.any())


def test_a_part_that_is_nothing_stays_nothing():
    mri, pet = random_pair(1)
    too_bright = torch.full_like(mri, 5.0)
    fused, mri_part, pet_part = limit_parts(too_bright, torch.zeros_like(mri), mri, pet)
    assert not pet_part.any() and torch.equal(fused, mri_part) and float(fused.max()) <= 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 50))
def test_inputs_in_range_give_a_fused_image_in_range(seed, rows):
    network, (mri, pet) = overshooting(seed), random_pair(seed, rows, 30)
    with torch.no_grad():
        fused, parts = network.fuse(mri, pet), network(mri, pet)
        raw = network.train().fuse(mri, pet)
    assert 0 <= float(fused.min()) and float(fused.max()) <= 1
    assert -1e-5 <= float(parts.fused.min()) and float(parts.fused.max()) <= 1 + 1e-5
    assert float(raw.max()) > 1 or float(raw.min()) < 0


def test_strips_keep_to_the_same_limits():
    network, (mri, pet) = overshooting(2), random_pair(3, 200, 60)
    with torch.no_grad():
        expected = network.fuse(mri, pet)[0, 0]
    images = [image[0, 0].numpy() for image in (mri, pet)]
    strips = StripNetwork(network)
    for parts in (False, True):
        fused = torch.from_numpy(strips(*images, parts=parts)[0])
        torch.testing.assert_close(fused, expected, rtol=0, atol=1e-4)


def test_limits_hold_for_black_around_a_head_as_for_the_head_alone():
    """The engine leaves black margins out: it must not change what is near."""
    mri, pet = random_pair(4, 20, 24)
    fused = 3 * torch.randn(mri.shape, generator=torch.Generator().manual_seed(4))
    wide = [torch.nn.functional.pad(image, (REACH,) * 4) for image in (fused, mri, pet)]
    inside = limit(*wide)[:, :, REACH:-REACH, REACH:-REACH]
    assert torch.equal(inside, limit(fused, mri, pet))


def test_initialization_is_not_limited():
    """The cure for the sign trap looks at the sign of the output: the limits would hide a negative one."""
    torch.manual_seed(5)
    network = TwoLaneNetwork()
    pair = random_pair(6, 40, 40)
    initialize(network, [pair])
    with torch.no_grad():
        fused, average = network.fuse(*pair), sum(pair) / 2
    assert float(((fused - fused.mean()) * (average - average.mean())).sum()) > 0
