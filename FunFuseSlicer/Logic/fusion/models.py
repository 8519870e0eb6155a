"""The shipped weights: found, checked against their checksum, and loaded without pickled code.

``<name>.npz`` holds the arrays, as NumPy writes them, and ``<name>.json`` what they are.
"""

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from ..errors import InputError, ModelError
from .steered import SteeredRunner

MODELS_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Models"
DEFAULT_MODEL = "faithful"

# Kinds of networks, as the facts beside the weights name them; without a name it is the paper's.
STEERED, TWO_LANE = "steered", "two-lane"

# What may be asked for: "gpu" is whichever of CUDA and MPS there is, "auto" what is best for the model.
DEVICES = ("auto", "cpu", "gpu", "cuda", "mps")

WEIGHTS_ENDING = ".npz"


def is_device(name: str) -> bool:
    """Whether it is one of :data:`DEVICES`, or one of several GPUs by its number, such as "cuda:1"."""
    return name in DEVICES or re.fullmatch(r"cuda:\d+", name) is not None


@dataclass(frozen=True)
class Model:
    """Weights of a network, and what they are.

    :param state: arrays by name.
    :param trained_lambda: the only λ it was trained for, or None when it serves all of [0, 1].
    """

    kind: str
    state: Mapping[str, np.ndarray]
    name: str
    sha256: str
    trained_lambda: Optional[float]

    def check_lambda(self, lam: float) -> None:
        """:raises ModelError: the model was trained for another λ only."""
        if self.trained_lambda is not None and abs(lam - self.trained_lambda) > 1e-6:
            raise ModelError(
                f'Model "{self.name}" was trained for λ = {self.trained_lambda} only, not {lam}: '
                "choose that λ."
            )


def model_names(folder: Optional[Path] = None) -> Tuple[str, ...]:
    """The models that there are, the default one first."""
    folder = MODELS_FOLDER if folder is None else Path(folder)
    names = sorted(path.stem for path in folder.glob("*.npz") if path.with_suffix(".json").exists())
    return tuple(sorted(names, key=lambda name: name != DEFAULT_MODEL))


def load_model(name: str = DEFAULT_MODEL, folder: Optional[Path] = None) -> Model:
    """Load a model after checking it against its checksum.

    :param name: of a model in the folder, or the path of a file of weights (.npz) as ``write_weights`` leaves
        it, with its facts (.json) beside it.
    :param folder: of the models; the shipped ones when None.
    :raises InputError: there is no such model, but others.
    :raises ModelError: files missing or damaged, or weights of none of the networks.
    """
    folder, remedy = MODELS_FOLDER if folder is None else Path(folder), "reinstall the extension"
    if os.fspath(name).endswith(WEIGHTS_ENDING):
        folder, name, remedy = Path(name).parent, Path(name).stem, "train it anew, or choose another model"
    elif not (folder / f"{name}.json").exists() and model_names(folder):
        known = ", ".join(model_names(folder))
        raise InputError(f'There is no model "{name}": choose one of {known}.')
    state, facts = read_weights(name, folder, remedy)
    kind, lam = facts.get("network", TWO_LANE), facts.get("trained_lambda")
    try:
        if kind == STEERED:
            SteeredRunner(state, 0.5 if lam is None else lam)
        elif kind != TWO_LANE or "convolutions.output.weight" not in state:
            raise KeyError(kind)
    except (KeyError, ValueError) as error:
        raise no_weights(folder / f"{name}.npz", remedy) from error
    return Model(kind, state, name, facts["sha256"], lam)


def read_weights(name: str, folder: Path, remedy: str) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """The arrays of ``<name>.npz`` by name, and the facts in ``<name>.json``.

    :param remedy: what the user can do about a file that cannot be used, as the end of a sentence.
    :raises ModelError: files missing or damaged, or no arrays.
    """
    weights, card = folder / f"{name}.npz", folder / f"{name}.json"
    try:
        content, facts = weights.read_bytes(), json.loads(card.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError(f"{card} holds no JSON object")
    except (OSError, ValueError) as error:
        raise ModelError(f'The weights "{name}" cannot be read from {folder}: {remedy}.') from error
    if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
        raise ModelError(f"The weights file {weights} is damaged (wrong checksum): {remedy}.")
    try:
        # The very bytes that were checked; pickled code is refused.
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays}, facts
    except Exception as error:
        raise no_weights(weights, remedy) from error


def write_weights(state: Mapping[str, np.ndarray], name: str, folder: Path, facts: Mapping[str, Any]) -> str:
    """Write ``<name>.npz`` and ``<name>.json``; the inverse of :func:`read_weights`.

    :return: the sha256 of the weights file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **state)  # type: ignore[arg-type]
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    (folder / f"{name}.npz").write_bytes(content.getvalue())
    card = json.dumps({"sha256": sha256, **facts}, indent=2) + "\n"
    (folder / f"{name}.json").write_text(card, encoding="utf-8")
    return sha256


def no_weights(file: Path, remedy: str) -> ModelError:
    """The error about a file that holds something else."""
    return ModelError(f"{file} does not hold weights of the fusion network: {remedy}.")
