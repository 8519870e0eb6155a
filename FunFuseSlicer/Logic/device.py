"""Which processor runs the network."""

import torch

from .errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(wanted: str = "auto") -> torch.device:
    """The device for a user's choice; "auto" takes CUDA, then Apple MPS, then the CPU.

    :raises InputError: unknown, or not available on this computer.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if wanted not in available:
        raise InputError(f'Unknown device "{wanted}": choose one of {", ".join(DEVICES)}.')
    if not available[wanted]:
        raise InputError(f'This computer offers no "{wanted}" device to PyTorch: choose auto or cpu.')
    return torch.device(wanted)
