"""PyTorch: whether it is there, and how it gets there."""

import importlib
import importlib.util
from typing import Optional

from ..fusion.fuser import NETWORK
from .choices import LIVE_MODELS, Device, Mode

INSTALL_BY_HAND = (
    'Install the extension "PyTorch" with the Extensions Manager, restart Slicer, and press '
    '"Install PyTorch" here.'
)


def needs_torch(chosen) -> bool:
    """Whether what the panel's choices ask for runs in PyTorch only."""
    return chosen.method == NETWORK and (
        chosen.model not in LIVE_MODELS or chosen.device is Device.GPU or chosen.mode is Mode.GRADIENT
    )


def torch_problem() -> Optional[str]:
    """Why PyTorch cannot be used, as a sentence; None when it is there. It is not loaded yet."""
    try:
        there = importlib.util.find_spec("torch") is not None
    except ValueError:
        # Somebody has put something else, or half of it, in its place: loading it will tell.
        there = True
    if there:
        return None
    return "PyTorch is not installed: the paper's network, a GPU and the mode Sensitivity need it."


def can_install() -> bool:
    """Whether the PyTorch extension, which installs the build that fits this computer, is there."""
    return importlib.util.find_spec("PyTorchUtils") is not None


def install_torch() -> bool:
    """Let the PyTorch extension ask and install; it needs a network.

    :return: whether PyTorch can be used now, without a restart.
    :raises RuntimeError: the PyTorch extension is missing.
    """
    if not can_install():
        raise RuntimeError(f"The PyTorch extension is not installed. {INSTALL_BY_HAND}")
    import PyTorchUtils

    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True)
    importlib.invalidate_caches()
    return torch is not None and torch_problem() is None
