"""Which processor runs the network."""

import torch

from ...errors import InputError
from ..models import DEVICES, is_device


def choose_device(wanted: str = "auto") -> torch.device:
    """The device for a user's choice; "auto" takes CUDA, then Apple MPS, then the CPU.

    :param wanted: see :func:`models.is_device`.
    :raises InputError: unknown, or not available on this computer.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    present = [name for name, there in available.items() if there]
    if wanted == "auto" or (wanted == "gpu" and present[0] != "cpu"):
        return torch.device(present[0])
    if wanted == "gpu":
        raise InputError("PyTorch finds no GPU on this computer: choose automatic or CPU.")
    if not is_device(wanted):
        raise InputError(f'Unknown device "{wanted}": choose one of {", ".join(DEVICES)}.')
    kind, _, number = wanted.partition(":")
    if not available[kind] or int(number or 0) >= max(1, torch.cuda.device_count()):
        raise InputError(f'This computer offers no "{wanted}" device to PyTorch: choose auto or cpu.')
    return torch.device(wanted)


def device_in_words(device: torch.device) -> str:
    """What the user calls the device: "GPU NVIDIA RTX A2000", "GPU (Apple)", "CPU"."""
    if device.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(device)}"
    return "GPU (Apple)" if device.type == "mps" else "CPU"


# Bytes of features a pixel while a slice runs through the two-lane network on a GPU: rule 1 holds some 450
# numbers a pixel at once.
BYTES_A_PIXEL = 2000
MOST_AT_ONCE = 16


def batch_size(device: torch.device, pixels: int) -> int:
    """How many slices of so many pixels to give a GPU at once: what half of its free memory holds."""
    if device.type != "cuda":
        return 2
    free = torch.cuda.mem_get_info(device)[0]
    return int(min(MOST_AT_ONCE, max(1, free // 2 // (BYTES_A_PIXEL * max(1, pixels)))))
