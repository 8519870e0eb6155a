"""The network as the paper describes it, and its variants, for research and comparison; never the default.

Kumar et al. (2019), section 2.1: batch normalization, biases, tanh at the output, rule 1 as printed
in equation (1). What is printed divides max(H1, H2) by H1 + H2, which passes through zero: the
denominator is guarded here, or the first steps give NaN. The authors' TensorFlow program swaps the
two branches; this follows the text. Their PyTorch notebook takes the sum as rule 1.
"""

from dataclasses import dataclass
from typing import Dict, Optional, Union

import torch
from torch import Tensor, nn
from torch.nn import functional

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.pytorch.sensitivity import input_gradients
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import (
    CONDITIONED_LAYERS,
    LAYERS,
    NEGATIVE_SLOPE,
    ConditionableNetwork,
    FusionParts,
    LambdaScales,
)

RULES = ("max-average", "sum", "guarded-ratio")
BATCH_NORMS = ("none", "running", "batch")

# Keeps |H1 + H2| away from zero without changing its sign.
DENOMINATOR_GUARD = 1e-2


@dataclass(frozen=True)
class Architecture:
    """What may be varied; as it stands here it is what :class:`network.TwoLaneNetwork` computes.

    :param rule: rule 1, how the high-frequency features H1 and H2 meet: "max-average" is
        1/2 (max + mean), "sum" is H1 + H2, "guarded-ratio" is max / (H1 + H2), see the module's text.
    :param batch_norm: "none"; "running" normalizes by running statistics once trained; "batch" by the
        statistics of the images at hand, also when fusing.
    :param bias: whether convolutions have biases.
    :param tanh: whether the output goes through tanh.
    :raises InputError: an unknown rule or kind of normalization.
    """

    rule: str = "max-average"
    batch_norm: str = "none"
    bias: bool = False
    tanh: bool = False

    def __post_init__(self):
        for value, known in ((self.rule, RULES), (self.batch_norm, BATCH_NORMS)):
            if value not in known:
                raise InputError(f'There is no "{value}" in a network: choose one of {", ".join(known)}.')


class ResearchNetwork(ConditionableNetwork):
    """Same interface as :class:`network.TwoLaneNetwork`; its "parts" are the gradients of eq. (5).

    :param architecture: what to vary.
    :param conditioned: True for one network that serves every λ; False for one fixed λ.
    """

    parts_add_up = False

    def __init__(self, architecture: Architecture, conditioned: bool = False):
        super().__init__()
        self.architecture = architecture
        self.convolutions = nn.ModuleDict()
        self.normalizations = nn.ModuleDict()
        for name, (kernel, inputs, outputs) in LAYERS.items():
            self.convolutions[name] = nn.Conv2d(
                inputs, outputs, kernel, padding=kernel // 2, bias=architecture.bias
            )
            if architecture.batch_norm != "none" and name != "output":
                running = architecture.batch_norm == "running"
                self.normalizations[name] = nn.BatchNorm2d(outputs, track_running_stats=running)
        initialize_as_paper(self)
        self.scales = LambdaScales() if conditioned else None

    def forward(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> FusionParts:
        """Fused image, ∇F_I1 and ∇F_I2, each (N, 1, H, W); λ is ignored unless conditioned."""
        with torch.no_grad():
            fused = self.fuse(mri, pet, lam)
        network = self if not self.conditioned else _AtLambda(self, lam)
        return FusionParts(fused, *input_gradients(network, mri, pet))

    def fuse(self, mri: Tensor, pet: Tensor, lam: Union[float, Tensor, None] = None) -> Tensor:
        """The fused image alone, (N, 1, H, W); in (-1, 1) with tanh.

        :param mri: (N, 1, H, W) in [0, 1]; ``pet`` likewise.
        :param lam: λ in [0, 1], a number or (N,); needed if and only if the network is conditioned.
        """
        scales = self._scales(lam, mri)
        mri_high, pet_high = mri, pet
        for number in (1, 2, 3):
            mri_high = self._layer(f"mri_high_{number}", mri_high, scales)
            pet_high = self._layer(f"pet_high_{number}", pet_high, scales)
        feature = _rule_1(self.architecture.rule, mri_high, pet_high)
        feature = self._layer("rebuild_2", self._layer("rebuild_1", feature, scales), scales)
        low = self._layer("mri_low", mri, scales) + self._layer("pet_low", pet, scales)
        output = self.convolutions["output"]((low + feature) / 3.0)
        return torch.tanh(output) if self.architecture.tanh else output

    def at_lambda(self, lam: float) -> "ResearchNetwork":
        """A network for one λ with the scales folded into its weights; itself when not conditioned.

        :raises ValueError: λ outside [0, 1].
        """
        if not self.conditioned:
            return self
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"λ must lie in [0, 1], not {lam}.")
        folded = ResearchNetwork(self.architecture)
        weight = self.convolutions["output"].weight
        folded.to(device=weight.device, dtype=weight.dtype)
        state = {name: value for name, value in self.state_dict().items() if not name.startswith("scales.")}
        with torch.no_grad():
            scales = self._scales(lam, weight)
            folded.load_state_dict(state)
            for name in CONDITIONED_LAYERS:
                # The scale comes after the normalization, which would undo it otherwise.
                last = folded.normalizations[name] if self.normalizations else folded.convolutions[name]
                scale = scales[name][0]
                last.weight.mul_(scale.reshape(-1, *[1] * (last.weight.ndim - 1)))
                if last.bias is not None:
                    last.bias.mul_(scale)
        return folded.eval()

    def _layer(self, name: str, x: Tensor, scales: Dict[str, Tensor]) -> Tensor:
        x = self.convolutions[name](x)
        if name in self.normalizations:
            x = self.normalizations[name](x)
        if name in scales:
            x = x * scales[name][:, :, None, None]
        return functional.leaky_relu(x, NEGATIVE_SLOPE)


class PaperNetwork(ResearchNetwork):
    """The paper's network for one λ.

    :param batch_norm: "running" or "batch"; the paper does not say by what it normalizes when fusing.
    """

    def __init__(self, batch_norm: str = "running"):
        super().__init__(Architecture("guarded-ratio", batch_norm, bias=True, tanh=True))


def initialize_as_paper(network: nn.Module) -> None:
    """Weights from a truncated normal distribution of standard deviation 0.01, biases 0 (section 3.1)."""
    for convolution in network.convolutions.values():
        nn.init.trunc_normal_(convolution.weight, std=0.01, a=-0.02, b=0.02)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)


class _AtLambda:
    """What :func:`sensitivity.input_gradients` calls: a conditioned network with its λ."""

    def __init__(self, network: ResearchNetwork, lam: Optional[Union[float, Tensor]]):
        self.network, self.lam = network, lam

    def fuse(self, mri: Tensor, pet: Tensor) -> Tensor:
        return self.network.fuse(mri, pet, self.lam)


def _rule_1(rule: str, mri_high: Tensor, pet_high: Tensor) -> Tensor:
    total = mri_high + pet_high
    if rule == "sum":
        return total
    larger = torch.maximum(mri_high, pet_high)
    if rule == "max-average":
        return 0.5 * larger + 0.25 * total
    guard = torch.where(total >= 0, DENOMINATOR_GUARD, -DENOMINATOR_GUARD)
    return larger / torch.where(total.abs() < DENOMINATOR_GUARD, guard, total)
