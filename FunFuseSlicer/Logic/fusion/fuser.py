"""What fuses: the network, or another method in its place, by its name.

The network tells the parts of MRI and PET in the fused image; other methods give the fused image alone.
"""

from typing import Dict, List, NamedTuple, Optional

import numpy as np

from ..errors import DeviceError, InputError
from ..methods import METHODS, Method
from .engine import Runner
from .models import DEFAULT_MODEL, STEERED, Model, load_model
from .steered import SteeredRunner

# The network's name among the methods, for options, and what people read.
NETWORK = "funfuse"
NETWORK_LABEL = "FunFuse (this network)"

# Devices on which NumPy runs the steered network: a GPU saves less than loading PyTorch takes.
IN_NUMPY = ("auto", "cpu")


class Fuser(NamedTuple):
    """What :func:`pipeline.fuse_volumes` fuses with, and where it comes from.

    :param runner: fuses slices.
    :param citation: where the method was published; empty for the network and for what needs no source.
    :param model_sha256: of the network's weights; None for other methods.
    """

    runner: Runner
    citation: str = ""
    model_sha256: Optional[str] = None

    def facts(self) -> Dict[str, str]:
        """What tells where the result comes from, beside the options, by name."""
        facts = {"model_sha256": self.model_sha256, "citation": self.citation}
        return {name: value for name, value in facts.items() if value}


class MethodRunner(Runner):
    """A method in the place of a network: the fused image alone, always on the CPU.

    :param method: see :class:`methods.Method`; computes in float64.
    """

    def __init__(self, method: Method):
        self._method = method

    def fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool = False) -> List[np.ndarray]:
        """See :meth:`engine.Runner.fuse`; there are no parts."""
        return [np.stack([self._method(*images) for images in zip(mri, pet)]).astype(np.float32)]


def runner_of(model: Model, lam: float, device: str = "auto", gradients: bool = False) -> Runner:
    """What fuses slices with a model.

    :param device: see :func:`models.is_device`; the steered network needs PyTorch for a GPU only.
    :param gradients: also the paper's equation (5), for which PyTorch is needed.
    :raises InputError: there is no such device.
    :raises ModelError: the model was trained for another λ only.
    :raises DeviceError: it needs PyTorch, and that is missing or broken.
    """
    model.check_lambda(lam)
    if model.kind == STEERED and device in IN_NUMPY and not gradients:
        return SteeredRunner(model.state, lam)
    try:
        from .pytorch.networks import network_at
        from .pytorch.runner import TorchRunner
    except Exception as error:
        what = "a GPU or the mode gradient" if model.kind == STEERED else f'the model "{model.name}"'
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        problem = "PyTorch is not installed" if missing else f"PyTorch cannot be loaded ({error})"
        again = "Install it" if missing else "Install it again (in Slicer with the module PyTorch Utils)"
        raise DeviceError(
            f"{problem}, and {what} needs it. {again}, or choose the model "
            f'"{DEFAULT_MODEL}" with device and mode as they are by default.'
        ) from error
    return TorchRunner(network_at(model, lam), device, gradients)


def method_labels() -> Dict[str, str]:
    """What people read for each method's name, the network first."""
    return {NETWORK: NETWORK_LABEL, **{name: method.label for name, method in METHODS.items()}}


def method_problem(name: str) -> Optional[str]:
    """Why a method cannot be used here, as a sentence with the remedy; None when it can."""
    if name == NETWORK:
        return None
    if name not in METHODS:
        return f'Unknown method "{name}": choose one of {", ".join((NETWORK, *METHODS))}.'
    return METHODS[name].problem()


def load_fuser(options) -> Fuser:
    """What fuses by a user's choice.

    :param options: see :class:`pipeline.FusionOptions`.
    :raises InputError: there is no such model or device, or the method lacks a package.
    :raises ModelError: the weights cannot be used, or were trained for another λ.
    :raises DeviceError: PyTorch is needed, and missing or broken.
    """
    if options.uses_network:
        model = load_model(options.model)
        runner = runner_of(model, options.lam, options.device, options.mode == "gradient")
        return Fuser(runner, model_sha256=model.sha256)
    problem = method_problem(options.method)
    if problem is not None:
        raise InputError(problem)
    method = METHODS[options.method]
    return Fuser(MethodRunner(method), method.citation)
