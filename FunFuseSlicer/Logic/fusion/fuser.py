"""What fuses: the network, or another method in its place, by its name.

The network tells the parts of MRI and PET in the fused image; other methods give the fused image alone.
"""

from typing import Dict, NamedTuple, Optional

import numpy as np

from ..errors import InputError

# The network's name among the methods, for options, and what people read.
NETWORK = "funfuse"
NETWORK_LABEL = "FunFuse (this network)"


class Fuser(NamedTuple):
    """What :func:`fusion.fuse_volumes` fuses with, and where it comes from.

    :param network: a network for one λ, or a :class:`methods.Method`.
    :param citation: where the method was published; empty for the network and for what needs no source.
    :param model_sha256: of the network's weights; None for other methods.
    """

    network: object
    citation: str = ""
    model_sha256: Optional[str] = None

    def facts(self) -> Dict[str, str]:
        """What tells where the result comes from, beside the options, by name."""
        facts = {"model_sha256": self.model_sha256, "citation": self.citation}
        return {name: value for name, value in facts.items() if value}


class MethodNetwork:
    """A method in the place of a network, for the engine: the fused image alone, always on the CPU.

    :param method: see :class:`methods.Method`.
    """

    parts_add_up = False

    def __init__(self, method):
        self._method = method

    def to(self, **_where) -> "MethodNetwork":
        """Stays where it is."""
        return self

    def eval(self) -> "MethodNetwork":
        """Never learns."""
        return self

    def fuse(self, mri, pet):
        """(N, 1, rows, columns) in [0, 1], tensors on the CPU -> the same, float32; computed in float64."""
        import torch

        pairs = zip(mri[:, 0].numpy(), pet[:, 0].numpy())
        fused = np.stack([self._method(*images) for images in pairs])
        return torch.from_numpy(fused.astype(np.float32))[:, None]


def method_labels() -> Dict[str, str]:
    """What people read for each method's name, the network first."""
    from ..methods import METHODS

    return {NETWORK: NETWORK_LABEL, **{name: method.label for name, method in METHODS.items()}}


def method_problem(name: str) -> Optional[str]:
    """Why a method cannot be used here, as a sentence with the remedy; None when it can."""
    from ..methods import METHODS

    if name == NETWORK:
        return None
    if name not in METHODS:
        return f'Unknown method "{name}": choose one of {", ".join((NETWORK, *METHODS))}.'
    return METHODS[name].problem()


def load_fuser(options) -> Fuser:
    """What fuses by a user's choice.

    :param options: see :class:`fusion.FusionOptions`.
    :raises InputError: there is no such model, or the method lacks a package.
    :raises ModelError: the weights cannot be used, or were trained for another λ.
    """
    if options.uses_network:
        from . import models

        model = models.load_model(options.model)
        return Fuser(model.at_lambda(options.lam), model_sha256=model.sha256)
    from ..methods import METHODS

    problem = method_problem(options.method)
    if problem is not None:
        raise InputError(problem)
    method = METHODS[options.method]
    return Fuser(method, method.citation)
