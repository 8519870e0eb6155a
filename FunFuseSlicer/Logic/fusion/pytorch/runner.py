"""Runs a network of PyTorch over slices, on the CPU or a GPU."""

import threading
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..engine import Runner, window_of
from .device import batch_size, choose_device, device_in_words
from .sensitivity import input_gradients
from .strips import MARGIN, StripNetwork
from .two_lane import TwoLaneNetwork

# In larger slices the plain pass of the paper's network would take more memory than all else together.
LARGEST_PLAIN = 512 * 512


class TorchRunner(Runner):
    """Fuses slices by a network for one λ; the paper's on the CPU in strips.

    :param network: maps tensors (N, 1, rows, columns) of MRI and PET to a :class:`two_lane.FusionParts`, and
        by ``fuse`` to the fused image alone.
    :param device: see :func:`device.choose_device`.
    :param gradients: also equation (5).
    :raises InputError: there is no such device.
    """

    parts = True

    def __init__(self, network, device: str = "auto", gradients: bool = False):
        self._device = choose_device(device)
        self.device, self.gradients = str(self._device), gradients
        self.parts_add_up = network.parts_add_up
        # What the paper's layers do not reach is black; what others make of black may depend on the border.
        self.margin = MARGIN if isinstance(network, TwoLaneNetwork) else getattr(network, "margin", None)
        self._network = network.to(device=self._device).eval()
        if self.device != "cpu":
            self._network.to(memory_format=torch.channels_last)
        self._threads = torch.get_num_threads()
        self._of_thread = threading.local()

    def at_once(self, pixels: int) -> int:
        """What half of a GPU's free memory holds."""
        return 1 if self.device == "cpu" else batch_size(self._device, pixels)

    def begin(self) -> None:
        """One thread a slice on the CPU."""
        if self.device == "cpu":
            torch.set_num_threads(1)

    def end(self) -> None:
        """The setting of the workers became the one of threads that are started from now on."""
        torch.set_num_threads(self._threads)

    def smaller(self) -> Optional[Tuple[Runner, str]]:
        """The CPU."""
        if self.device == "cpu":
            return None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        note = f"The memory of the {device_in_words(self._device)} did not suffice: the CPU was used."
        return TorchRunner(self._network, "cpu", self.gradients), note

    def fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool) -> List[np.ndarray]:
        """See :meth:`engine.Runner.fuse`."""
        if self.device == "cpu" and isinstance(self._network, TwoLaneNetwork):
            results = self._in_strips(mri, pet, parts)
        else:
            results = self._plain(mri, pet, parts)
        if self.gradients:
            images = self._tensors(mri, pet)
            covered = (images[0] > 0) | (images[1] > 0)
            gradients = input_gradients(self._network, *images)
            results += [(gradient * covered)[:, 0].cpu().numpy() for gradient in gradients]
        return results

    def alone(self, mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        """By the plain pass where memory allows: that measures what strips and cropping cost, too."""
        if mri[0].size <= LARGEST_PLAIN:
            return self._plain(mri, pet, False)[0]
        return self.fuse(mri, pet, False)[0]

    def _plain(self, mri: np.ndarray, pet: np.ndarray, parts: bool) -> List[np.ndarray]:
        images = self._tensors(mri, pet)
        with torch.no_grad():
            results = list(self._network(*images)) if parts else [self._network.fuse(*images)]
        return [result[:, 0].cpu().numpy() for result in results]

    def _in_strips(self, mri: np.ndarray, pet: np.ndarray, parts: bool) -> List[np.ndarray]:
        if not hasattr(self._of_thread, "strips"):
            self._of_thread.strips = StripNetwork(self._network)
        results = [np.zeros_like(mri) for _ in range(3 if parts else 1)]
        for index, images in enumerate(zip(mri, pet)):
            there = (images[0] != 0) | (images[1] != 0)
            window = window_of(there, MARGIN)
            cropped = (image[window] for image in images)
            for result, image in zip(results, self._of_thread.strips(*cropped, parts)):
                result[index][window] = image
        return results

    def _tensors(self, mri: np.ndarray, pet: np.ndarray) -> Sequence[Tensor]:
        """(N, 1, rows, columns) on the device."""
        tensors = [torch.from_numpy(np.ascontiguousarray(images))[:, None] for images in (mri, pet)]
        if self._device.type == "cuda":
            return [tensor.pin_memory().to(self._device, non_blocking=True) for tensor in tensors]
        return [tensor.to(self._device) for tensor in tensors]
