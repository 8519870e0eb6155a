"""Builds the network that a recipe asks for, and keeps the weights of those that are not shipped."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import List, Optional, Union

from FunFuseSlicer.Logic.errors import InputError, ModelError
from FunFuseSlicer.Logic.fusion import models, steered
from FunFuseSlicer.Logic.fusion.models import read_network, save_model
from FunFuseSlicer.Logic.fusion.network import TwoLaneNetwork, initialize
from FunFuseSlicer.Logic.fusion.steered import SteeredNetwork

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
        network = SteeredNetwork(conditioned)
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
        network.load_state_dict(load_network(weights.stem, weights.parent).state_dict())
    except (ModelError, RuntimeError) as error:
        raise InputError(
            f"{weights} holds no weights to start from: give the .pt file of a run with the same network."
        ) from error


def save_network(network: Network, name: str, folder: Path, trained_lambda: Optional[float]) -> str:
    """:func:`models.save_model`, with the architecture in ``<name>.json`` where it is not the shipped one.

    :return: the sha256 of the weights file.
    """
    sha256 = save_model(network, name, folder, trained_lambda)
    if isinstance(network, ResearchNetwork):
        card = Path(folder) / f"{name}.json"
        facts = json.loads(card.read_text(encoding="utf-8"))
        facts["architecture"] = asdict(network.architecture)
        card.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return sha256


def load_network(name: str, folder: Path) -> Network:
    """Inverse of :func:`save_network`, for either kind of network.

    :raises ModelError: files missing or damaged, or weights of another network.
    """

    def build(facts: dict) -> Network:
        if "architecture" in facts:
            conditioned = facts["trained_lambda"] is None
            return ResearchNetwork(Architecture(**facts["architecture"]), conditioned)
        return models.build_network(facts)

    return read_network(name, Path(folder), build, "train again")[0]
