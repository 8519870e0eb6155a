"""Builds the network that a recipe asks for, and keeps the weights of those that are not shipped."""

from dataclasses import asdict
from pathlib import Path
from typing import List, Optional, Union

from FunFuseSlicer.Logic.errors import InputError, ModelError
from FunFuseSlicer.Logic.fusion.models import TWO_LANE, read_weights
from FunFuseSlicer.Logic.fusion.pytorch import steered
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_with, save_model, use_weights
from FunFuseSlicer.Logic.fusion.pytorch.steered import SteeredNetwork
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork, initialize
from FunFuseSlicer.Logic.fusion.steered import Channels

from .options import TrainingOptions
from .paper_network import Architecture, ResearchNetwork, initialize_as_paper

Network = Union[TwoLaneNetwork, ResearchNetwork, SteeredNetwork]


def build_network(options: TrainingOptions, pairs: List) -> Network:
    """A freshly initialized network; torch's generator decides its weights.

    :param pairs: some (mri, pet) tensors (1, 1, H, W), against the sign trap, see
        :func:`network.initialize`; the paper's initialization does without.
    """
    conditioned = options.lam is None
    network: Network
    if options.network == SteeredNetwork.kind:
        network = SteeredNetwork(conditioned, options.limited, Channels(options.eighth, options.sixteenth))
    elif options.architecture == Architecture():
        network = TwoLaneNetwork(conditioned)
    else:
        network = ResearchNetwork(options.architecture, conditioned)
    if options.start_from is not None:
        _start_from(network, Path(options.start_from))
    elif isinstance(network, SteeredNetwork):
        steered.initialize(network)
    elif options.initialization == "he":
        initialize(network, pairs)
    else:
        initialize_as_paper(network)
    return network


def _start_from(network: Network, weights: Path) -> None:
    """Take over the weights of an earlier run.

    :raises InputError: they cannot be read, or belong to another network.
    """
    try:
        state = read_weights(weights.stem, weights.parent, "train again")[0]
        if isinstance(network, SteeredNetwork):
            steered.initialize(network)
            state = steered.widened(state, network)
        use_weights(network, state)
    except (ModelError, KeyError, ValueError) as error:
        raise InputError(
            f"{weights} holds no weights to start from: give the .npz file of a run with the same network."
        ) from error
    network.train()


def save_network(network: Network, name: str, folder: Path, trained_lambda: Optional[float]) -> str:
    """Write weights, with the architecture where it is not the shipped one.

    :return: the sha256 of the weights file.
    """
    facts = {"architecture": asdict(network.architecture)} if isinstance(network, ResearchNetwork) else {}
    return save_model(network, name, folder, trained_lambda, **facts)


def load_network(name: str, folder: Path) -> Network:
    """Inverse of :func:`save_network`, for any kind of network.

    :raises ModelError: files missing or damaged, or weights of another network.
    """
    state, facts = read_weights(name, Path(folder), "train again")
    conditioned = facts["trained_lambda"] is None
    if "architecture" not in facts:
        return network_with(state, facts.get("network", TWO_LANE), conditioned)
    network = ResearchNetwork(Architecture(**facts["architecture"]), conditioned)
    use_weights(network, state)
    return network
