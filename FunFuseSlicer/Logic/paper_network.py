"""The network as the paper describes it, for reproduction and comparison; never the default.

Kumar et al. (2019), section 2.1: batch normalization, biases, tanh at the output, rule 1 as printed
in equation (1). What is printed divides max(H1, H2) by H1 + H2, which passes through zero: the
denominator is guarded here, or the first steps give NaN. The authors' TensorFlow program swaps the
two branches; this follows the text.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .network import LAYERS, NEGATIVE_SLOPE, FusionParts
from .sensitivity import input_gradients

# Keeps |H1 + H2| away from zero without changing its sign.
DENOMINATOR_GUARD = 1e-2


class PaperNetwork(nn.Module):
    """Same interface as :class:`network.TwoLaneNetwork`; its "parts" are the gradients of eq. (5)."""

    parts_add_up = False
    conditioned = False

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleDict()
        self.normalizations = nn.ModuleDict()
        for name, (kernel, inputs, outputs) in LAYERS.items():
            convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
            nn.init.trunc_normal_(convolution.weight, std=0.01, a=-0.02, b=0.02)
            nn.init.zeros_(convolution.bias)
            self.convolutions[name] = convolution
            if name != "output":
                self.normalizations[name] = nn.BatchNorm2d(outputs)

    def forward(self, mri: Tensor, pet: Tensor, lam=None) -> FusionParts:
        """Fused image, ∇F_I1 and ∇F_I2, each (N, 1, H, W); λ is fixed by training and ignored."""
        with torch.no_grad():
            fused = self.fuse(mri, pet)
        return FusionParts(fused, *input_gradients(self, mri, pet))

    def fuse(self, mri: Tensor, pet: Tensor, lam=None) -> Tensor:
        """The fused image alone, (N, 1, H, W) in (-1, 1)."""
        mri_high, pet_high = mri, pet
        for number in (1, 2, 3):
            mri_high = self._layer(f"mri_high_{number}", mri_high)
            pet_high = self._layer(f"pet_high_{number}", pet_high)
        total = mri_high + pet_high
        guard = torch.where(total >= 0, DENOMINATOR_GUARD, -DENOMINATOR_GUARD)
        feature = torch.maximum(mri_high, pet_high) / torch.where(
            total.abs() < DENOMINATOR_GUARD, guard, total
        )
        feature = self._layer("rebuild_2", self._layer("rebuild_1", feature))
        low = self._layer("mri_low", mri) + self._layer("pet_low", pet)
        return torch.tanh(self.convolutions["output"]((low + feature) / 3.0))

    def at_lambda(self, lam: float) -> "PaperNetwork":
        """Itself: the paper trains one network per λ."""
        return self

    def _layer(self, name: str, x: Tensor) -> Tensor:
        x = self.normalizations[name](self.convolutions[name](x))
        return functional.leaky_relu(x, NEGATIVE_SLOPE)
