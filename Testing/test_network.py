"""The two-lane network keeps its promises: exact parts, homogeneity, exactly black background."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.training.paper_network import PaperNetwork
from FunFuseSlicer.Logic.fusion.pytorch.sensitivity import input_gradients
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import CONDITIONED_LAYERS, LAYERS, TwoLaneNetwork, initialize


def random_network(seed: int, conditioned: bool = False) -> TwoLaneNetwork:
    torch.manual_seed(seed)
    network = TwoLaneNetwork(conditioned)
    initialize(network)
    if conditioned:
        torch.nn.init.normal_(network.scales.scale.weight, std=0.2)
    return network.eval()


def random_pair(seed: int, rows: int = 20, columns: int = 24, count: int = 1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 1, rows, columns, generator=generator).unbind()


def doubles(pair):
    return tuple(image.double() for image in pair)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_parts_add_up_to_the_plain_forward_pass(seed, rows, columns):
    network, (mri, pet) = random_network(seed), random_pair(seed, rows, columns)
    with torch.no_grad():
        parts, plain = network(mri, pet), network.fuse(mri, pet)
    scale = max(1.0, float(plain.abs().max()))
    assert float((parts.mri_part + parts.pet_part - plain).abs().max()) <= 1e-5 * scale
    assert float((parts.fused - plain).abs().max()) <= 1e-5 * scale


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_fusion_is_positively_homogeneous(seed, factor):
    # In double precision: a rounding error that decides a near tie of rule 1 would move a feature from one
    # part to the other.
    network, (mri, pet) = random_network(seed).double(), doubles(random_pair(seed))
    with torch.no_grad():
        once, scaled = network(mri, pet), network(factor * mri, factor * pet)
    for a, b in zip(once, scaled):
        torch.testing.assert_close(b, factor * a, rtol=1e-9, atol=1e-9 * factor)


def test_doubling_the_inputs_doubles_the_result_to_the_last_bit():
    network, (mri, pet) = random_network(1), random_pair(2)
    with torch.no_grad():
        assert torch.equal(network.fuse(2 * mri, 2 * pet), 2 * network.fuse(mri, pet))


def test_black_stays_exactly_black():
    network, zero = random_network(3), torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        assert all(bool((part == 0).all()) for part in network(zero, zero))


def test_parts_are_the_directional_derivatives():
    """Euler: C1 = J1·I1 and C2 = J2·I2, here by forward-mode differentiation; before the limits."""
    network, (mri, pet) = random_network(4).double().train(), random_pair(5)
    mri, pet = mri.double(), pet.double()
    parts = network(mri, pet)
    zero = torch.zeros_like(mri)
    _, along_mri = torch.func.jvp(network.fuse, (mri, pet), (mri, zero))
    _, along_pet = torch.func.jvp(network.fuse, (mri, pet), (zero, pet))
    torch.testing.assert_close(parts.mri_part, along_mri)
    torch.testing.assert_close(parts.pet_part, along_pet)


def test_an_input_of_zero_contributes_nothing():
    network, (mri, _) = random_network(6), random_pair(7)
    with torch.no_grad():
        parts = network(mri, torch.zeros_like(mri))
    assert not parts.pet_part.any()
    assert torch.equal(parts.fused, parts.mri_part)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_folding_lambda_into_the_weights_changes_nothing(seed, lam):
    network, (mri, pet) = random_network(seed, conditioned=True).double(), doubles(random_pair(seed))
    with torch.no_grad():
        expected, folded = network(mri, pet, lam), network.at_lambda(lam)(mri, pet)
    for a, b in zip(expected, folded):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_each_sample_of_a_batch_has_its_own_lambda():
    network, (mri, pet) = random_network(8, conditioned=True), random_pair(9, count=3)
    lam = torch.tensor([0.0, 0.4, 1.0])
    with torch.no_grad():
        together = network(mri, pet, lam)
        for index in range(3):
            alone = network(mri[index : index + 1], pet[index : index + 1], float(lam[index]))
            torch.testing.assert_close(together.mri_part[index], alone.mri_part[0], rtol=1e-4, atol=1e-5)


def test_lambda_is_asked_for_and_checked():
    network, (mri, pet) = random_network(10, conditioned=True), random_pair(11)
    with pytest.raises(ValueError, match="needs a λ"):
        network.fuse(mri, pet)
    with pytest.raises(ValueError, match="must lie in"):
        network.at_lambda(1.5)


def test_sign_trap_is_avoided_at_initialization():
    mri, pet = random_pair(12, 32, 32)
    for seed in range(6):
        torch.manual_seed(seed)
        network = TwoLaneNetwork()
        initialize(network, [(mri, pet)])
        with torch.no_grad():
            fused, average = network.fuse(mri, pet), (mri + pet) / 2
        assert float(((fused - fused.mean()) * (average - average.mean())).sum()) >= 0


def test_architecture_is_the_papers():
    weights = sum(kernel**2 * inputs * outputs for kernel, inputs, outputs in LAYERS.values())
    assert weights == 121_296  # multiply-accumulates a pixel
    assert sum(p.numel() for p in TwoLaneNetwork().parameters()) == weights
    assert "output" not in CONDITIONED_LAYERS


def test_paper_network_has_the_same_interface_and_stays_finite():
    torch.manual_seed(0)
    network, (mri, pet) = PaperNetwork().eval(), random_pair(13)
    mri[..., :8], pet[..., :8] = 0, 0
    fused, mri_gradient, pet_gradient = network(mri, pet)
    for image in (fused, mri_gradient, pet_gradient):
        assert image.shape == mri.shape and bool(image.isfinite().all())
    assert float(fused.abs().max()) < 1
    torch.testing.assert_close(mri_gradient, input_gradients(network.at_lambda(0.8), mri, pet)[0])


def test_equation_5_sums_the_columns_of_the_jacobian():
    network, (mri, pet) = random_network(14), random_pair(15, 6, 5)
    jacobian = torch.autograd.functional.jacobian(lambda x: network.fuse(x, pet), mri)
    expected = jacobian.reshape(30, 30).sum(dim=0).reshape(1, 1, 6, 5)
    torch.testing.assert_close(input_gradients(network, mri, pet)[0], expected, rtol=1e-4, atol=1e-5)
