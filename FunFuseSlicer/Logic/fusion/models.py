"""The shipped weights: found, checked against their checksum, and loaded without pickled code."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Tuple, Union

import torch
from torch import nn

from ..errors import InputError, ModelError
from .network import TwoLaneNetwork
from .steered import SteeredNetwork

MODELS_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Models"
DEFAULT_MODEL = "faithful"

Network = Union[TwoLaneNetwork, SteeredNetwork]
KINDS = {network.kind: network for network in (TwoLaneNetwork, SteeredNetwork)}


@dataclass(frozen=True)
class Model:
    """A network with its identity.

    :param trained_lambda: the only λ it was trained for, or None when it serves all of [0, 1].
    """

    network: Network
    name: str
    sha256: str
    trained_lambda: Optional[float]

    def at_lambda(self, lam: float) -> Network:
        """The network for one λ.

        :raises ModelError: the model was trained for another λ only.
        """
        if self.trained_lambda is not None and abs(lam - self.trained_lambda) > 1e-6:
            raise ModelError(
                f'Model "{self.name}" was trained for λ = {self.trained_lambda} only, not {lam}: '
                "choose that λ."
            )
        return self.network.at_lambda(lam)


def model_names(folder: Optional[Path] = None) -> Tuple[str, ...]:
    """The models that there are, the default one first."""
    folder = MODELS_FOLDER if folder is None else Path(folder)
    names = sorted(path.stem for path in folder.glob("*.json"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT_MODEL))


def load_model(name: str = DEFAULT_MODEL, folder: Optional[Path] = None) -> Model:
    """Load ``<name>.pt``, a plain state dict, after checking it against ``<name>.json``.

    :raises InputError: there is no such model, but others.
    :raises ModelError: files missing or damaged, or not a state dict of the network.
    """
    folder = MODELS_FOLDER if folder is None else Path(folder)
    if not (folder / f"{name}.json").exists() and model_names(folder):
        known = ", ".join(model_names(folder))
        raise InputError(f'There is no model "{name}": choose one of {known}.')
    network, facts = read_network(name, folder, build_network, "reinstall the extension")
    return Model(network, name, facts["sha256"], facts["trained_lambda"])


def build_network(facts: dict) -> Network:
    """The network that the facts beside the weights tell of, before it has its weights.

    :raises KeyError: it is none that fuses.
    """
    return KINDS[facts.get("network", TwoLaneNetwork.kind)](facts["trained_lambda"] is None)


def read_network(name: str, folder: Path, build: Callable[[dict], nn.Module], remedy: str):
    """Read ``<name>.pt`` into the network that ``build`` makes from the facts in ``<name>.json``.

    :param remedy: what the user can do about a file that cannot be used, as the end of a sentence.
    :return: the network, ready to fuse, and the facts.
    :raises ModelError: files missing or damaged, or weights of another network.
    """
    weights, card = folder / f"{name}.pt", folder / f"{name}.json"
    try:
        content, facts = weights.read_bytes(), json.loads(card.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError(f"{card} holds no JSON object")
    except (OSError, ValueError) as error:
        raise ModelError(f'The weights "{name}" cannot be read from {folder}: {remedy}.') from error
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise ModelError(f"The weights file {weights} is damaged (wrong checksum): {remedy}.")
    try:
        network = build(facts)
        # The very bytes that were checked; weights_only refuses pickled code.
        network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:
        raise ModelError(f"{weights} does not hold weights of the fusion network: {remedy}.") from error
    return network.eval(), facts


def save_model(network: Network, name: str, folder: Path, trained_lambda: Optional[float]) -> str:
    """Write ``<name>.pt`` and ``<name>.json``; the inverse of :func:`load_model`.

    :return: the sha256 of the weights file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{name}.pt"
    torch.save(network.state_dict(), weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    facts = {"sha256": sha256, "trained_lambda": trained_lambda}
    if network.kind != TwoLaneNetwork.kind:
        facts["network"] = network.kind
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return sha256
