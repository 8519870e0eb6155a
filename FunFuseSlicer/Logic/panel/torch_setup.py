"""PyTorch: whether it is there, and how it gets there."""

import importlib
import importlib.util
from typing import Optional

from ..errors import DeviceError

INSTALL_BY_HAND = (
    'Install the extension "PyTorch" with the Extensions Manager, restart Slicer, and press '
    '"Install PyTorch" here.'
)


def torch_problem() -> Optional[str]:
    """Why the network cannot run, as a sentence; None when PyTorch is there. It is not loaded yet."""
    try:
        there = importlib.util.find_spec("torch") is not None
    except ValueError:
        # Somebody has put something else, or half of it, in its place: loading it will tell.
        there = True
    return None if there else "PyTorch is not installed: the fusion network needs it."


def load_torch() -> None:
    """Load PyTorch, so that a missing or broken one is found before anything runs.

    :raises DeviceError: with the reason and the remedy.
    """
    try:
        importlib.import_module("torch")
    except Exception as error:
        if torch_problem() is not None:
            raise DeviceError(f"{torch_problem()} {INSTALL_BY_HAND}") from error
        raise DeviceError(
            f"PyTorch is installed but cannot be loaded ({error}). Uninstall it in the module PyTorch Utils, "
            "restart Slicer, and install it again."
        ) from error


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
