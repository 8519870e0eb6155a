"""The network of :mod:`fusion.steered` in PyTorch, for training and for a GPU."""

from typing import Dict, List, Mapping, Optional, Tuple, Union, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models import STEERED
from ..steered import (
    BRIGHTER,
    HEADS,
    LEAST,
    LEVELS,
    NEGATIVE_SLOPE,
    OFFSET,
    USUAL,
    Channels,
    channels_of,
    layers,
)
from .two_lane import FusionParts, lambda_features, lambda_per_sample


class LambdaModulation(nn.Module):
    """Turns λ into a scale and a shift per feature channel, see :class:`two_lane.LambdaScales`."""

    def __init__(self, channels: Dict[str, int], hidden: int = 32):
        """:param channels: of each layer, by its name."""
        super().__init__()
        self._channels = channels
        self.hidden = nn.Linear(3, hidden)
        self.modulation = nn.Linear(hidden, 2 * sum(channels.values()))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, lam: Tensor) -> Dict[str, Tuple[Tensor, Tensor]]:
        """λ (N,) in [0, 1] -> for each layer scales and shifts, each (N, channels)."""
        both = self.modulation(functional.leaky_relu(self.hidden(lambda_features(lam)), NEGATIVE_SLOPE))
        scales, shifts = both.chunk(2, dim=1)
        widths = list(self._channels.values())
        split = zip(scales.split(widths, dim=1), shifts.split(widths, dim=1))
        return {name: (1.0 + scale, shift) for name, (scale, shift) in zip(self._channels, split)}


class SteeredNetwork(nn.Module):
    """Fuses an MRI with a PET slice, and says how much of each pixel came from which.

    No part is negative, and no pixel brighter than the brighter image by more than :data:`BRIGHTER`.

    :param conditioned: True for one network that serves every λ; False for one fixed λ.
    :param limited: whether that holds in training, too.
    :param channels: where the resolution is low.
    """

    kind = STEERED
    parts_add_up = True
    modulation: Optional[LambdaModulation]

    def __init__(self, conditioned: bool = False, limited: bool = False, channels: Channels = USUAL):
        super().__init__()
        self._limited, self.channels, self.margin = limited, channels, channels.margin
        sizes = layers(channels)
        self.convolutions = nn.ModuleDict(
            {name: nn.Conv2d(inputs, outputs, 3, padding=1) for name, (inputs, outputs) in sizes.items()}
        )
        self.heads = nn.ModuleList(nn.Conv2d(sizes[name][1], outputs, 1) for name, outputs in HEADS)
        outputs = {name: outputs for name, (_, outputs) in sizes.items()}
        self.modulation = LambdaModulation(outputs) if conditioned else None

    @property
    def conditioned(self) -> bool:
        """Whether the network needs a λ."""
        return self.modulation is not None

    def forward(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> FusionParts:
        """Fuse and split.

        :param mri: (N, 1, H, W), 0 is background, nominally in [0, 1].
        :param pet: same shape.
        :param lam: λ in [0, 1], a number or (N,); needed if and only if the network is conditioned.
        :return: fused image, MRI part, PET part, each (N, 1, H, W); exactly 0 where both images are.
        """
        height, width = mri.shape[-2:]
        alignment = self.channels.alignment
        padding = (0, -width % alignment, 0, -height % alignment)
        images = [functional.pad(image, padding) for image in (mri, pet)]
        weights = self._weights(images[0], images[1], lam)
        parts = []
        for lane, image in enumerate(images):
            bands = [weight[:, lane : lane + 1] * band for weight, band in zip(weights, pyramid(image))]
            parts.append(collapse(bands)[..., :height, :width])
        if self._limited or not self.training:
            parts = limited(parts, mri, pet)
        else:
            # The pyramid leaks over the edge of the head.
            parts = [part * ((mri != 0) | (pet != 0)) for part in parts]
        return FusionParts(parts[0] + parts[1], *parts)

    def fuse(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> Tensor:
        """The fused image alone, see :meth:`forward`."""
        return self.forward(mri, pet, lam).fused

    def at_lambda(self, lam: float) -> "SteeredNetwork":
        """A network for one λ with scales and shifts folded into its convolutions: same output.

        :raises ValueError: λ outside [0, 1].
        """
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"λ must lie in [0, 1], not {lam}.")
        if self.modulation is None:
            return self
        folded = SteeredNetwork(channels=self.channels)
        folded.load_state_dict(self.state_dict(), strict=False)
        weight = self.convolution("half_1").weight
        folded.to(device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            for name, (scale, shift) in self._modulation(lam, weight).items():
                convolution = folded.convolution(name)
                convolution.weight.mul_(scale[0][:, None, None, None])
                cast(Tensor, convolution.bias).mul_(scale[0]).add_(shift[0])
        return folded.eval()

    def convolution(self, name: str) -> nn.Conv2d:
        """One of :func:`steered.layers`."""
        return cast(nn.Conv2d, self.convolutions[name])

    def _modulation(self, lam: Union[float, Tensor, None], like: Tensor) -> Dict[str, Tuple[Tensor, Tensor]]:
        """By layer scales and shifts, for the samples of ``like``; nothing when not conditioned."""
        if self.modulation is None:
            return {}
        return cast(Dict, self.modulation(lambda_per_sample(lam, like)))

    def _weights(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None]) -> List[Tensor]:
        """By band, fine to coarse, the weights of MRI and PET, (N, 2, rows, columns) in (0, 2)."""
        modulation, features = self._modulation(lam, mri), {}

        def run(stage: str, x: Tensor) -> Tensor:
            for name in (f"{stage}_1", f"{stage}_2"):
                if name == "eighth_2" and self.channels.sixteenth:
                    x = x + _twice(run("sixteenth", functional.avg_pool2d(x, 2)))
                x = self.convolution(name)(x)
                if name in modulation:
                    scale, shift = modulation[name]
                    x = x * scale[:, :, None, None] + shift[:, :, None, None]
                x = features[name] = functional.leaky_relu_(x, NEGATIVE_SLOPE)
            return x

        half = run("half", functional.pixel_unshuffle(torch.cat([mri, pet], dim=1), 2))
        quarter = run("quarter", functional.avg_pool2d(half, 2))
        eighth = run("eighth", functional.avg_pool2d(quarter, 2))
        quarter = run("up_quarter", torch.cat([quarter, _twice(eighth)], dim=1))
        run("up_half", torch.cat([half, _twice(quarter)], dim=1))
        steering = [head(features[name]) for head, (name, _) in zip(self.heads, HEADS)]
        steering[0] = functional.pixel_shuffle(steering[0], 2)
        return [2.0 * torch.sigmoid(weights - OFFSET) for weights in steering]


def initialize(network: SteeredNetwork) -> None:
    """He initialization, and heads near 0, so that the fused image begins as the plain average.

    What a sixteenth adds begins as 0, so that weights of a network without it can be taken over.
    """
    for name in network.convolutions:
        nn.init.kaiming_normal_(network.convolution(name).weight, a=NEGATIVE_SLOPE)
        nn.init.zeros_(cast(Tensor, network.convolution(name).bias))
    if network.channels.sixteenth:
        nn.init.zeros_(network.convolution("sixteenth_2").weight)
    for head in network.heads:
        nn.init.normal_(cast(Tensor, head.weight), std=0.01)
        nn.init.zeros_(cast(Tensor, head.bias))


def widened(state: Mapping[str, np.ndarray], network: SteeredNetwork) -> Dict[str, np.ndarray]:
    """Weights for a network with more channels, with which it gives the same but where a slice is padded.

    :param state: of a network with fewer channels, or none, at an eighth and a sixteenth, or with as many.
    :param network: initialized: so its new channels begin, and nothing that was there reads them yet.
    :raises KeyError, ValueError: the weights are not those of such a network.
    """
    result = {name: array.numpy().copy() for name, array in network.state_dict().items()}
    before, after = layers(channels_of(state)), layers(network.channels)
    new = {f"convolutions.{name}.{kind}" for name in set(after) - set(before) for kind in ("weight", "bias")}
    if set(state) | new != set(result):
        raise ValueError("One of both networks serves every λ, the other does not, or it has fewer layers.")
    # Rows of the modulation: scales of all layers, then their shifts.
    starts = np.cumsum([0, *(outputs for _, outputs in list(after.values()) * 2)])
    kept = [before[name][1] if name in before else 0 for name in after] * 2
    places = np.concatenate([start + np.arange(count) for start, count in zip(starts, kept)])
    for name, former in state.items():
        array = result[name]
        if name.startswith("modulation.modulation"):
            array[places] = former
        elif array.ndim == 1:
            array[: len(former)] = former
        else:
            outputs, inputs = former.shape[:2]
            array[:outputs, inputs:] = 0
            array[:outputs, :inputs] = former
    return result


def limited(parts: List[Tensor], mri: Tensor, pet: Tensor) -> List[Tensor]:
    """Nothing negative, and both darker where together they are brighter than both images; see above."""
    parts = [part.clamp_min(0) for part in parts]
    brighter = torch.maximum(mri, pet)
    most = torch.minimum(brighter + BRIGHTER, 2 * brighter)
    share = most / (torch.maximum(parts[0] + parts[1], most) + LEAST)
    return [part * share for part in parts]


def pyramid(image: Tensor) -> List[Tensor]:
    """The bands of (N, 1, rows, columns), fine to coarse, the low-pass image last; borders are repeated.

    :param image: rows and columns are multiples of eight.
    """
    bands = []
    for _ in range(LEVELS - 1):
        low = _reduce(image)
        bands.append(image - _expand(low))
        image = low
    return [*bands, image]


def collapse(bands: List[Tensor]) -> Tensor:
    """Inverse of :func:`pyramid`."""
    image = bands[-1]
    for band in reversed(bands[:-1]):
        image = _expand(image) + band
    return image


def _reduce(image: Tensor) -> Tensor:
    """Smoothed by (1, 4, 6, 4, 1) / 16 along rows and columns, every second pixel."""
    for axis in (2, 3):
        padded, size = _with_borders(image, axis, 2), image.shape[axis]
        every_second = (padded[(slice(None),) * axis + (slice(k, k + size, 2),)] for k in range(5))
        a, b, c, d, e = every_second
        image = (a + e + 4.0 * (b + d) + 6.0 * c) / 16.0
    return image


def _expand(image: Tensor) -> Tensor:
    """Twice the rows and columns, by the same filter: (1, 6, 1) / 8 at old places, (1, 1) / 2 between."""
    for axis in (2, 3):
        padded, size = _with_borders(image, axis, 1), image.shape[axis]
        before, here, after = (padded.narrow(axis, start, size) for start in range(3))
        both = torch.stack([(before + 6.0 * here + after) / 8.0, (here + after) / 2.0], dim=axis + 1)
        image = both.flatten(axis, axis + 1)
    return image


def _with_borders(image: Tensor, axis: int, size: int) -> Tensor:
    ends = [0, 0, size, size] if axis == 2 else [size, size, 0, 0]
    return functional.pad(image, ends, mode="replicate")


def _twice(image: Tensor) -> Tensor:
    return functional.interpolate(image, scale_factor=2, mode="nearest")
