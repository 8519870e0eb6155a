"""A slice in strips is the slice of the plain pass."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.training.pairs import read_pairs, to_unit
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at
from FunFuseSlicer.Logic.fusion.pytorch.strips import MARGIN, ROWS, StripNetwork
from Testing.test_network import random_network


def plain(network, mri, pet):
    dtype = network.convolutions["output"].weight.dtype
    with torch.no_grad():
        results = network(*(torch.from_numpy(x)[None, None].to(dtype) for x in (mri, pet)))
    return [result[0, 0].numpy() for result in results]


def test_margin_is_the_reach_of_the_layers():
    """A single pixel colors exactly so far."""
    image = np.zeros((61, 61), np.float32)
    image[30, 30] = 1
    fused = StripNetwork(random_network(0))(image, image, parts=False)[0]
    rows = np.flatnonzero(fused.any(axis=1))
    assert (rows[0], rows[-1]) == (30 - MARGIN, 30 + MARGIN)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3 * ROWS + 5), st.integers(1, 20))
def test_equals_the_plain_pass_for_any_size(seed, rows, columns):
    # In double precision: rounding may decide a near tie of rule 1, which moves a feature between the parts.
    network = random_network(seed).double()
    mri, pet = np.random.default_rng(seed).random((2, rows, columns), dtype=np.float32)
    strips, expected = StripNetwork(network), plain(network, mri, pet)
    scale = max(1.0, float(np.abs(expected[0]).max()))
    for array, wanted in zip(strips(mri, pet), expected):
        np.testing.assert_allclose(array, wanted, rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(strips(mri, pet, parts=False)[0], expected[0], rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("name", ["paper", "paper-detail"])
def test_real_slices_in_single_precision(shared_data, name):
    # Laid out alike, both convolve alike: a different rounding could decide a near tie of rule 1 otherwise.
    network = network_at(load_model(name), 0.8).to(memory_format=torch.channels_last)
    strips = StripNetwork(network)
    for pair in read_pairs([shared_data / "test_pairs"]):
        mri, pet = to_unit(pair.mri), to_unit(pair.pet)
        expected = plain(network, mri, pet)
        for array, wanted in zip(strips(mri, pet), expected):
            np.testing.assert_allclose(array, wanted, atol=1e-5)
        np.testing.assert_allclose(strips(mri, pet, parts=False)[0], expected[0], atol=1e-5)


def test_one_slice_leaves_nothing_for_the_next():
    strips = StripNetwork(random_network(1))
    mri, pet = np.random.default_rng(0).random((2, 2 * ROWS + 3, 9), dtype=np.float32)
    first = strips(mri, pet)
    strips(pet, mri[:, ::-1])
    strips(mri[:20, :5], pet[:20, :5], parts=False)
    for a, b in zip(first, strips(mri, pet)):
        np.testing.assert_array_equal(a, b)
