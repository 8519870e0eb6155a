"""The fusion network that carries two lanes, so that the fused image splits exactly into parts.

Architecture of Kumar et al., "Structural Similarity based Anatomical and Functional Brain Imaging
Fusion" (2019), section 2.1, without bias, normalization layers and tanh, and with
rule 1 = 1/2 (max + mean). Such a network is positively homogeneous, F(a x) = a F(x) for a >= 0, so
by Euler's theorem the fused image is the sum of its directional derivatives along the two inputs.
Carrying "what came from the MRI" and "what came from the PET" side by side computes both terms in
the forward pass, without autograd. At the end the fused image is kept within limits that move with the
inputs (see :mod:`limits`); where they change it, so they do its parts, which then still add up.
"""

from typing import Dict, List, NamedTuple, Optional, Union, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models import TWO_LANE
from .limits import limit, limit_parts

NEGATIVE_SLOPE = 0.2

# name -> (kernel size, input channels, output channels); stride 1, same padding (paper, section 2.1)
LAYERS = {
    "mri_low": (9, 1, 16),
    "mri_high_1": (3, 1, 16),
    "mri_high_2": (3, 16, 32),
    "mri_high_3": (3, 32, 64),
    "pet_low": (7, 1, 16),
    "pet_high_1": (5, 1, 16),
    "pet_high_2": (5, 16, 32),
    "pet_high_3": (3, 32, 64),
    "rebuild_1": (5, 64, 32),
    "rebuild_2": (5, 32, 16),
    "output": (5, 16, 1),
}
CONDITIONED_LAYERS = [name for name in LAYERS if name != "output"]


class FusionParts(NamedTuple):
    """A fused image and its two parts, each (N, 1, H, W).

    For the two-lane network ``mri_part + pet_part == fused`` to float precision.
    """

    fused: Tensor
    mri_part: Tensor
    pet_part: Tensor


def lambda_features(lam: Tensor) -> Tensor:
    """λ (N,) in [0, 1] as a network reads it, (N, 3)."""
    # The optimum moves fastest near λ = 0, hence the square root.
    return torch.stack([lam, lam * lam, lam.sqrt()], dim=1)


def lambda_per_sample(lam: Union[float, Tensor, None], like: Tensor) -> Tensor:
    """λ (N,) for the samples of ``like``.

    :param lam: a number, or (N,).
    :raises ValueError: there is none.
    """
    if lam is None:
        raise ValueError("A λ-conditioned network needs a λ in [0, 1].")
    lam = torch.as_tensor(lam, dtype=like.dtype, device=like.device)
    return lam.expand(like.shape[0]) if lam.ndim == 0 else lam


class LambdaScales(nn.Module):
    """Turns λ into one multiplicative scale per feature channel (loss-conditional training).

    Dosovitskiy and Djolonga, "You Only Train Once: Loss-Conditional Training of Deep Networks",
    ICLR 2020. Scales only, no shifts: the network stays homogeneous and its lanes exact.
    """

    def __init__(self, hidden: int = 32):
        super().__init__()
        self.hidden = nn.Linear(3, hidden)
        self.scale = nn.Linear(hidden, sum(LAYERS[name][2] for name in CONDITIONED_LAYERS))
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)

    def forward(self, lam: Tensor) -> Dict[str, Tensor]:
        """λ (N,) in [0, 1] -> for each hidden layer the scales (N, channels)."""
        scales = 1.0 + self.scale(functional.leaky_relu(self.hidden(lambda_features(lam)), NEGATIVE_SLOPE))
        widths = [LAYERS[name][2] for name in CONDITIONED_LAYERS]
        return dict(zip(CONDITIONED_LAYERS, scales.split(widths, dim=1)))


class ConditionableNetwork(nn.Module):
    """What networks of these layers share that may serve every λ: ``scales``, or None for one λ only."""

    kind = TWO_LANE
    convolutions: nn.ModuleDict
    scales: Optional[LambdaScales]

    def convolution(self, name: str) -> nn.Conv2d:
        """One of :data:`LAYERS`."""
        return cast(nn.Conv2d, self.convolutions[name])

    @property
    def conditioned(self) -> bool:
        """Whether the network needs a λ."""
        return self.scales is not None

    def _scales(self, lam: Union[float, Tensor, None], like: Tensor) -> Dict[str, Tensor]:
        """By layer the scales (N, channels) for the samples of ``like``; nothing when not conditioned."""
        if self.scales is None:
            return {}
        return self.scales(lambda_per_sample(lam, like))


class TwoLaneNetwork(ConditionableNetwork):
    """Fuses an MRI with a PET slice and says, exactly, how much of each pixel came from which.

    :param conditioned: True for one network that serves every λ; False for one fixed λ.
    """

    parts_add_up = True

    def __init__(self, conditioned: bool = False):
        super().__init__()
        self.convolutions = nn.ModuleDict(
            {
                name: nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
                for name, (kernel, inputs, outputs) in LAYERS.items()
            }
        )
        self.scales = LambdaScales() if conditioned else None

    def forward(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> FusionParts:
        """Fuse and split.

        :param mri: (N, 1, H, W), 0 is background, nominally in [0, 1].
        :param pet: same shape.
        :param lam: λ in [0, 1], a number or (N,); needed if and only if the network is conditioned.
        :return: fused image, MRI part, PET part, each (N, 1, H, W); within the limits of
            :mod:`limits`, but for training, where leaving them has its price.
        """
        scales = self._scales(lam, mri)
        mri_high, pet_high = self._high("mri", mri, scales), self._high("pet", pet, scales)
        # Rule 1 is 1/2 (max + mean): the max goes whole to the lane of the larger feature.
        larger = (mri_high > pet_high).to(mri_high.dtype)
        lanes = torch.cat([mri_high * (0.5 * larger + 0.25), pet_high * (0.75 - 0.5 * larger)])
        for name in ("rebuild_1", "rebuild_2"):
            lanes = _leaky_relu_lanes(self._convolve(name, lanes, scales, lanes=2))
        low = torch.cat([self._low("mri", mri, scales), self._low("pet", pet, scales)])
        mri_part, pet_part = self.convolution("output")((lanes + low) / 3.0).chunk(2)
        if self.training:
            return FusionParts(mri_part + pet_part, mri_part, pet_part)
        return FusionParts(*limit_parts(mri_part, pet_part, mri, pet))

    def fuse(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> Tensor:
        """The fused image alone, by the ordinary one-lane forward pass (see :meth:`forward`)."""
        scales = self._scales(lam, mri)
        mri_high, pet_high = self._high("mri", mri, scales), self._high("pet", pet, scales)
        # 1/2 (max + mean), written so that its gradient is cheap: that of a maximum is three passes more.
        feature = 0.5 * (mri_high + pet_high) + 0.25 * (mri_high - pet_high).abs()
        for name in ("rebuild_1", "rebuild_2"):
            feature = _leaky_relu(self._convolve(name, feature, scales))
        low = self._low("mri", mri, scales) + self._low("pet", pet, scales)
        fused = self.convolution("output")((feature + low) / 3.0)
        return fused if self.training else limit(fused, mri, pet)

    def at_lambda(self, lam: float) -> "TwoLaneNetwork":
        """A network for one λ with the scales folded into its weights: same output, no extra work.

        :raises ValueError: λ outside [0, 1].
        """
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"λ must lie in [0, 1], not {lam}.")
        if not self.conditioned:
            return self
        folded = TwoLaneNetwork(conditioned=False)
        last = self.convolution("output").weight
        folded.to(device=last.device, dtype=last.dtype)
        with torch.no_grad():
            scales = self._scales(lam, last)
            for name in LAYERS:
                weight: Tensor = self.convolution(name).weight
                if name in scales:
                    weight = weight * scales[name][0][:, None, None, None]
                folded.convolution(name).weight.copy_(weight)
        return folded.eval()

    def _convolve(self, name: str, x: Tensor, scales: Dict[str, Tensor], lanes: int = 1) -> Tensor:
        x = self.convolution(name)(x)
        if name in scales:
            x = x * scales[name].repeat(lanes, 1)[:, :, None, None]
        return x

    def _high(self, stream: str, x: Tensor, scales: Dict[str, Tensor]) -> Tensor:
        for number in (1, 2, 3):
            x = _leaky_relu(self._convolve(f"{stream}_high_{number}", x, scales))
        return x

    def _low(self, stream: str, x: Tensor, scales: Dict[str, Tensor]) -> Tensor:
        return _leaky_relu(self._convolve(f"{stream}_low", x, scales))


def _leaky_relu(x: Tensor) -> Tensor:
    return functional.leaky_relu_(x, NEGATIVE_SLOPE)


def _leaky_relu_lanes(lanes: Tensor) -> Tensor:
    """LeakyReLU whose slope is chosen by the sum of both lanes and applied to each of them."""
    mri, pet = lanes.chunk(2)
    slope = torch.where(mri + pet > 0, 1.0, NEGATIVE_SLOPE).to(lanes.dtype)
    return lanes * slope.repeat(2, 1, 1, 1)


def initialize(network: TwoLaneNetwork, pairs: Optional[List] = None) -> None:
    """He initialization with a small last layer, and the cure for the sign trap.

    SSIM does not see sign: a network that starts anti-correlated with its inputs ends near
    F = -average. Where ``pairs`` (a list of (mri, pet) tensors) are given, the last layer's sign is
    flipped if the output anti-correlates with the average of the inputs.
    """
    for name in LAYERS:
        weight = network.convolution(name).weight
        if name == "output":
            nn.init.normal_(weight, std=0.02)
        else:
            nn.init.kaiming_normal_(weight, a=NEGATIVE_SLOPE)
    if pairs:
        with torch.no_grad():
            agreement = 0.0
            for mri, pet in pairs:
                lam = 0.5 if network.conditioned else None
                fused, average = network.fuse(mri, pet, lam), (mri + pet) / 2
                agreement += float(((fused - fused.mean()) * (average - average.mean())).sum())
            if agreement < 0:
                network.convolution("output").weight.neg_()
