"""Adam and Muon: steps that can be computed by hand, and what each optimizer is given."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.training.descent import RATE_RATIO, Descent, Muon, orthogonal
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork


def weights(*shape, seed=0):
    return torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1e-6, 1.0, 1e6]))
def test_the_orthogonal_matrix_has_the_same_directions(rows, columns, seed, scale):
    left, _ = torch.linalg.qr(weights(rows, rows, seed=seed).detach())
    right, _ = torch.linalg.qr(weights(columns, columns, seed=seed + 1).detach())
    size = min(rows, columns)
    values = torch.linspace(1.0, 0.2, size)
    matrix = scale * left[:, :size] @ torch.diag(values) @ right[:size]
    found = left.T @ orthogonal(matrix) @ right.T
    lengths = found.diagonal()
    assert 0.6 < lengths.min() and lengths.max() < 1.3
    assert (found[:size, :size] - torch.diag(lengths)).abs().max() < 1e-3


def test_nothing_to_follow_is_nowhere_to_go():
    assert (orthogonal(torch.zeros(3, 4)) == 0).all()


def test_a_step_of_muon_is_as_long_as_its_rate_whatever_the_gradient():
    for scale in (1e-3, 1e3):
        weight = weights(2, 3, 1, 1)
        before = weight.detach().clone()
        optimizer = Muon([weight], rate=0.5)
        weight.grad = scale * torch.eye(2, 3).reshape(2, 3, 1, 1)
        optimizer.step()
        moved = (before - weight.detach())[:, :, 0, 0]
        assert (moved.diagonal() / 0.5).tolist() == pytest.approx([1, 1], abs=0.35)
        assert moved[0, 1] == moved[1, 2] == 0


def test_muon_looks_ahead_with_its_momentum():
    weight = weights(1, 2, 1, 1)
    optimizer = Muon([weight], rate=1.0, momentum=0.5)
    for gradient in ([1.0, 0.0], [0.0, 1.0]):
        before = weight.detach().clone()
        weight.grad = torch.tensor(gradient).reshape(1, 2, 1, 1)
        optimizer.step()
    # Momentum (0.5, 1), and ahead of it (0, 1) + 0.5 (0.5, 1).
    moved = (before - weight.detach()).flatten()
    assert (moved[0] / moved[1]).item() == pytest.approx(0.25 / 1.5, rel=1e-4)


def test_a_tall_matrix_takes_a_longer_step():
    wide, tall = weights(2, 2, 1, 1), weights(8, 2, 1, 1)
    for weight in (wide, tall):
        weight.data.zero_()
        weight.grad = torch.eye(*weight.shape[:2]).reshape(weight.shape)
    Muon([wide, tall], rate=1.0).step()
    assert tall[0, 0].item() == pytest.approx(2 * wide[0, 0].item(), rel=1e-5)


def names_given_to(optimizer, network):
    ids = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    return {name for name, weight in network.named_parameters() if id(weight) in ids}


def test_muon_has_the_convolutions_within_and_adam_the_rest():
    network = TwoLaneNetwork(conditioned=True)
    adam, muon = Descent(network, "muon", "one-cycle", 1e-3, 10)._optimizers
    inner = {
        f"convolutions.{name}.weight"
        for name in ("mri_high_2", "mri_high_3", "pet_high_2", "pet_high_3", "rebuild_1", "rebuild_2")
    }
    assert names_given_to(muon, network) == inner
    everything = {name for name, _ in network.named_parameters()}
    assert names_given_to(adam, network) == everything - inner
    (alone,) = Descent(network, "adam", "constant", 1e-3, 10)._optimizers
    assert names_given_to(alone, network) == everything


def test_the_schedule_leads_both_from_low_to_the_peak_and_down():
    descent = Descent(TwoLaneNetwork(conditioned=True), "muon", "one-cycle", 2e-3, 20)
    rates = []
    for _ in range(20):
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in descent._optimizers])
        descent._optimizers[0]._opt_called = descent._optimizers[1]._opt_called = True
        if len(rates) < 20:
            descent.advance()
    adam, muon = zip(*rates)
    assert max(adam) == pytest.approx(2e-3, rel=0.05) and adam[0] < 1e-4 and adam[-1] < 1e-6
    assert muon == pytest.approx([RATE_RATIO * rate for rate in adam])


def test_a_state_goes_on_where_it_was():
    torch.manual_seed(0)
    mri, pet = torch.rand(2, 1, 1, 24, 24)
    target = torch.rand(1, 1, 24, 24)

    def run(network, descent, steps):
        for _ in range(steps):
            descent.step(((network.fuse(mri, pet, torch.tensor([0.5])) - target) ** 2).mean())
            descent.advance()

    network = TwoLaneNetwork(conditioned=True)
    descent = Descent(network, "muon", "one-cycle", 1e-3, 6)
    run(network, descent, 2)
    copied = copy.deepcopy(network)
    other = Descent(copied, "muon", "one-cycle", 1e-3, 6)
    other.load_state_dict(copy.deepcopy(descent.state_dict()))
    run(network, descent, 3)
    run(copied, other, 3)
    for one, two in zip(network.parameters(), copied.parameters()):
        assert torch.equal(one, two)
    with pytest.raises(ValueError, match="number of optimizers"):
        Descent(copied, "adam", "one-cycle", 1e-3, 6).load_state_dict(descent.state_dict())
