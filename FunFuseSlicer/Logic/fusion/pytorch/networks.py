"""The networks in PyTorch, from weights and back."""

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union, cast

import numpy as np
import torch
from torch import nn

from ...errors import ModelError
from ..models import STEERED, TWO_LANE, Model, write_weights
from .steered import SteeredNetwork
from .two_lane import TwoLaneNetwork

Network = Union[TwoLaneNetwork, SteeredNetwork]
KINDS = {TWO_LANE: TwoLaneNetwork, STEERED: SteeredNetwork}


def network_at(model: Model, lam: float) -> Network:
    """A model's network for one λ, ready to fuse.

    :raises ModelError: it was trained for another λ only, or its weights are those of another network.
    """
    model.check_lambda(lam)
    return network_of(model).at_lambda(lam)


def network_of(model: Model) -> Network:
    """A model's network, ready to fuse; for every λ if it serves every one."""
    network = cast(Network, KINDS[model.kind](model.trained_lambda is None))
    use_weights(network, model.state)
    return network


def use_weights(network: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Give a network its weights, and make it ready to fuse.

    :raises ModelError: they are those of another network.
    """
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    except (RuntimeError, TypeError) as error:
        raise ModelError("These are weights of another network.") from error
    network.eval()


def save_model(
    network: nn.Module, name: str, folder: Path, trained_lambda: Optional[float], **facts: Any
) -> str:
    """Write weights as :func:`models.load_model` reads them.

    :param facts: to note beside them.
    :return: the sha256 of the weights file.
    """
    state: Dict[str, np.ndarray] = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    if network.kind != TWO_LANE:
        facts["network"] = network.kind
    return write_weights(state, name, Path(folder), {"trained_lambda": trained_lambda, **facts})
