"""The paper's network and its variants: what each option does, λ, and the shared interface."""

from itertools import product

import pytest
import torch

from funfuse_cli.training.paper_network import BATCH_NORMS, RULES, Architecture, PaperNetwork, ResearchNetwork
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import LAYERS, TwoLaneNetwork

ARCHITECTURES = [
    Architecture(rule, norm, bias, bias) for rule, norm, bias in product(RULES, BATCH_NORMS, (False, True))
]


def random_pair(count=1):
    pair = torch.rand(2, count, 1, 18, 16, generator=torch.Generator().manual_seed(0))
    pair[..., :5] = 0
    return pair.unbind()


def shaken(network):
    """With weights, biases and scales that matter."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_every_variant_fuses_and_folds_its_lambda(architecture):
    # In double precision: a guarded ratio blows rounding up.
    network = shaken(ResearchNetwork(architecture, conditioned=True)).double()
    mri, pet = (image.double() for image in random_pair(2))
    with torch.no_grad():
        plain, folded = network.fuse(mri, pet, 0.3), network.at_lambda(0.3).fuse(mri, pet)
        assert float((plain - network.fuse(mri, pet, 0.9)).abs().max()) > 0
    assert plain.shape == mri.shape and bool(plain.isfinite().all())
    torch.testing.assert_close(plain, folded, rtol=1e-4, atol=1e-5)
    assert (float(plain.abs().max()) < 1) or not architecture.tanh


def test_as_it_stands_it_is_the_shipped_network():
    ours, shipped = shaken(ResearchNetwork(Architecture(), conditioned=True)), TwoLaneNetwork(True)
    shipped.load_state_dict(ours.state_dict())
    mri, pet = random_pair()
    with torch.no_grad():
        torch.testing.assert_close(ours.fuse(mri, pet, 0.6), shipped.fuse(mri, pet, 0.6))


def test_batch_statistics_depend_on_the_images_at_hand_and_running_ones_do_not():
    mri, pet = random_pair(2)
    mri[1] *= 0.2
    for norm, differs in (("batch", True), ("running", False)):
        network = shaken(PaperNetwork(norm))
        with torch.no_grad():
            together, alone = network.fuse(mri, pet)[:1], network.fuse(mri[:1], pet[:1])
        assert (float((together - alone).abs().max()) > 1e-5) == differs


def test_gradients_are_taken_at_the_lambda_that_is_asked_for():
    network, (mri, pet) = shaken(ResearchNetwork(Architecture("sum"), conditioned=True)), random_pair()
    for asked, folded in zip(network(mri, pet, 0.7), network.at_lambda(0.7)(mri, pet)):
        torch.testing.assert_close(asked, folded, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="needs a λ"):
        network.fuse(mri, pet)
    with pytest.raises(ValueError, match="must lie in"):
        network.at_lambda(-1)


def test_papers_network_starts_as_the_paper_says():
    network = PaperNetwork()
    assert network.architecture == Architecture("guarded-ratio", "running", bias=True, tanh=True)
    assert not network.conditioned and not network.parts_add_up and network.at_lambda(0.8) is network
    assert len(network.normalizations) == len(LAYERS) - 1
    for convolution in network.convolutions.values():
        assert not convolution.bias.any()
        assert float(convolution.weight.detach().abs().max()) <= 0.02
    assert float(network.convolutions["rebuild_1"].weight.detach().std()) == pytest.approx(0.0088, rel=0.02)


def test_unknown_variants_are_refused():
    with pytest.raises(InputError, match='no "median"'):
        Architecture(rule="median")
    with pytest.raises(InputError, match='no "layer"'):
        Architecture(batch_norm="layer")
