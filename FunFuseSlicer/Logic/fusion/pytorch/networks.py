"""The networks in PyTorch, from weights and back."""

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import numpy as np
import torch
from torch import nn

from ...errors import ModelError
from ..models import STEERED, TWO_LANE, Model, write_weights
from ..steered import channels_of
from .steered import SteeredNetwork
from .two_lane import TwoLaneNetwork

Network = Union[TwoLaneNetwork, SteeredNetwork]


def network_at(model: Model, lam: float) -> Network:
    """A model's network for one λ, ready to fuse.

    :raises ModelError: it was trained for another λ only, or its weights are those of another network.
    """
    model.check_lambda(lam)
    return network_of(model).at_lambda(lam)


def network_of(model: Model) -> Network:
    """A model's network, ready to fuse; for every λ if it serves every one."""
    return network_with(model.state, model.kind, model.trained_lambda is None)


def network_with(state: Mapping[str, np.ndarray], kind: str, conditioned: bool) -> Network:
    """A network of a kind that has these weights, ready to fuse.

    :param conditioned: whether it serves every λ.
    :raises ModelError: the weights are those of another network.
    """
    network: Network
    if kind == STEERED:
        try:
            network = SteeredNetwork(conditioned, channels=channels_of(state))
        except KeyError as error:
            raise _others() from error
    else:
        network = TwoLaneNetwork(conditioned)
    use_weights(network, state)
    return network


def use_weights(network: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Give a network its weights, and make it ready to fuse.

    :raises ModelError: they are those of another network.
    """
    try:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    except (RuntimeError, TypeError) as error:
        raise _others() from error
    network.eval()


def _others() -> ModelError:
    return ModelError("These are weights of another network.")


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
