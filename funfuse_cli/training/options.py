"""The recipe of a training run, its presets, and in what two recipes differ."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, Optional

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import STEERED, TWO_LANE
from FunFuseSlicer.Logic.fusion.steered import USUAL

from .augment import LUMINANCES
from .descent import OPTIMIZERS, SCHEDULES
from .loss import WINDOW
from .objective import SHARE_WINDOW, SMALLEST, Objective, Wishes, make_objective
from .paper_network import Architecture
from .steadiness import BLUR_WINDOW

INITIALIZATIONS = ("he", "paper")
NETWORKS = (TWO_LANE, STEERED)


@dataclass(frozen=True)
class TrainingOptions:
    """The recipe.

    :param steps: how long to train, unless ``epochs`` or ``minutes`` say so.
    :param batch: images a step.
    :param crop: side of the random, augmented crops; 0 trains on whole slices as they are, each once
        an epoch, as the paper does.
    :param rate: learning rate of Adam: the peak of the one-cycle schedule, or the constant one. Muon's is
        ten times as large.
    :param lam: a fixed λ, or None for one network that serves every λ.
    :param epochs: as many steps as show each slice so often.
    :param minutes: a time budget, turned into a number of steps by measuring the first ones.
    :param optimizer: "muon" for the convolutions within the network and Adam for the rest, or "adam" for
        all; see :mod:`descent`.
    :param initialization: "he" (see :func:`network.initialize`) or "paper" (truncated normal).
    :param objective: see :mod:`objective`; likewise the weights after it, and ``gradient_weight``,
        ``brightness_weight`` and ``average_weight``.
    :param parts_weight: price of negative parts, see :func:`objective.negative_parts`; networks whose
        parts do not add up pay none.
    :param start_from: a weights file (.npz) of an earlier run, instead of an initialization.
    :param network: "two-lane", of the paper's layers, or "steered", see :mod:`fusion.steered`.
    :param synthetic: share of pairs whose PET is made up, see :mod:`synthetic`; ``plateaus`` and
        ``averages``, see there.
    :param luminance: share of real PETs that become the luminance of their pseudo-color, as the paper's are.
    :param order_weight: price of a PET part that does not keep the order of uptake; likewise
        ``excess_weight``, of what is brighter than both sources, and ``share_weight``, of a PET that hardly
        shows. All need parts that add up.
    :param steady_weight: price of a fused image that changes from slice to slice, see :mod:`steadiness`.
    :param near_default: share of samples whose λ is drawn near the default one, see :data:`trainer.NEAR`.
    :param eighth: channels of the steered network at an eighth of the resolution; likewise ``sixteenth``,
        see :class:`steered.Channels`.
    :param limited: train the steered network with the limits that its results have, see
        :class:`pytorch.steered.SteeredNetwork`; otherwise they come on top.
    """

    steps: int = 5000
    batch: int = 4
    crop: int = 96
    rate: float = 2e-3
    seed: int = 0
    lam: Optional[float] = None
    device: str = "cpu"
    epochs: Optional[int] = None
    minutes: Optional[float] = None
    optimizer: str = "muon"
    schedule: str = "one-cycle"
    initialization: str = "he"
    architecture: Architecture = field(default_factory=Architecture)
    objective: str = "faithful"
    structure_weight: float = 0.6
    information_weight: float = 0.4
    parts_weight: float = 5.0
    start_from: Optional[str] = None
    network: str = TWO_LANE
    synthetic: float = 0.0
    plateaus: bool = False
    averages: bool = False
    luminance: float = LUMINANCES
    order_weight: float = 0.0
    excess_weight: float = 0.0
    share_weight: float = 0.0
    steady_weight: float = 0.0
    gradient_weight: float = 0.0
    brightness_weight: float = 0.0
    average_weight: float = 0.0
    limited: bool = False
    near_default: float = 0.0
    eighth: int = USUAL.eighth
    sixteenth: int = USUAL.sixteenth

    def check(self) -> None:
        """:raises InputError: a value that cannot be trained with."""
        for name, value in (
            ("--steps", self.steps),
            ("--epochs", self.epochs),
            ("--minutes", self.minutes),
            ("--batch", self.batch),
            ("--rate", self.rate),
            ("--eighth", self.eighth),
        ):
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive, not {value}.")
        if self.lam is not None and not 0 <= self.lam <= 1:
            raise InputError(f"λ must lie in [0, 1], not {self.lam}.")
        if self.crop and self.crop < WINDOW:
            raise InputError(f"--crop must be at least {WINDOW}, the window of SSIM, or 0 for whole slices.")
        if self.objective == "detail" and 0 < self.crop < SMALLEST:
            raise InputError(f"The objective detail needs a --crop of at least {SMALLEST}.")
        if self.share_weight and 0 < self.crop < SHARE_WINDOW:
            raise InputError(f"--share-weight needs a --crop of at least {SHARE_WINDOW}.")
        if self.steady_weight and self.crop < BLUR_WINDOW:
            raise InputError(f"--steady-weight needs a --crop of at least {BLUR_WINDOW}.")
        weights = ("parts_weight", "order_weight", "excess_weight", "share_weight", "steady_weight")
        for name in ("seed", "sixteenth", *weights):
            if getattr(self, name) < 0:
                raise InputError(f"--{name.replace('_', '-')} must not be negative.")
        for name in ("synthetic", "luminance", "near_default"):
            if not 0 <= getattr(self, name) <= 1:
                option = name.replace("_", "-")
                raise InputError(f"--{option} must lie in [0, 1], not {getattr(self, name)}.")
        if self.synthetic and not self.crop:
            raise InputError("--synthetic needs a --crop.")
        for value, known in (
            (self.optimizer, OPTIMIZERS),
            (self.schedule, SCHEDULES),
            (self.initialization, INITIALIZATIONS),
            (self.network, NETWORKS),
        ):
            if value not in known:
                raise InputError(f'There is no "{value}": choose one of {", ".join(known)}.')
        self.make_objective()

    def make_objective(self) -> Objective:
        """What is minimized.

        :raises InputError: a weight is negative, or there is no such objective.
        """
        wishes = Wishes(*(getattr(self, f"{name}_weight") for name in Wishes._fields))
        return make_objective(self.objective, wishes)

    def steps_for(self, pairs: int) -> Optional[int]:
        """The number of steps with so many pairs; None when it has to be measured."""
        if self.minutes is not None:
            return None
        return self.steps if self.epochs is None else math.ceil(self.epochs * pairs / self.batch)

    def identity(self) -> Dict[str, Any]:
        """All that decides the result, as plain values by name."""
        values = asdict(self)
        values.update(values.pop("architecture"))
        values["lambda"] = values.pop("lam")
        # Another processor rounds differently, but whoever changes it knows.
        del values["device"]
        if self.epochs is not None or self.minutes is not None:
            values["steps"] = None
        return {name.replace("_", "-"): value for name, value in values.items()}


def preset(name: str) -> TrainingOptions:
    """The recipe of that name.

    "start" makes a steered network from scratch; from a run of it, "faithful" makes the model of that name,
    and from that "detail" and "contrast". "paper" makes the model of that name, the paper's network, and from
    it "paper-detail" the one of that name. "as-printed" is section 3.1 of the paper with λ = 0.8.
    :data:`CONTINUED` need weights to start from.

    :raises InputError: there is none.
    """
    if name == "start":
        return replace(STEERED_NETWORK, steps=6000, excess_weight=2.0)
    if name == "faithful":
        more: Dict[str, Any] = {"synthetic": 0.3, "excess_weight": 5.0}
        return replace(STEERED_NETWORK, steps=700, rate=1e-3, plateaus=True, share_weight=0.35, **more)
    if name in WITH_CONTRAST:
        base = replace(STEERED_NETWORK, plateaus=True, objective="detail", parts_weight=0.0, limited=True)
        return replace(base, **WITH_CONTRAST[name])
    if name == "paper":
        return TrainingOptions()
    if name == "paper-detail":
        return TrainingOptions(steps=1500, rate=1e-3, objective="detail")
    if name == "as-printed":
        return TrainingOptions(
            epochs=200,
            crop=0,
            batch=1,
            rate=2e-3,
            lam=0.8,
            optimizer="adam",
            schedule="constant",
            initialization="paper",
            parts_weight=0.0,
            architecture=Architecture("guarded-ratio", "batch", bias=True, tanh=True),
        )
    raise InputError(f'There is no preset "{name}": choose one of {", ".join(PRESETS)}.')


PRESETS = ("start", "faithful", "detail", "contrast", "paper", "paper-detail", "as-printed")
CONTINUED = ("faithful", "detail", "contrast", "paper-detail")
# In which the models differ that ask for more than the paper's loss.
WITH_CONTRAST: Dict[str, Dict[str, Any]] = {
    "detail": {
        "eighth": 40,
        "sixteenth": 48,
        "steps": 12000,
        "batch": 5,
        "crop": 128,
        "rate": 1.5e-3,
        "near_default": 0.7,
        "luminance": 0.4,
        "averages": True,
        "structure_weight": 5.6,
        "information_weight": 7.5,
        "gradient_weight": 2.8,
        "brightness_weight": 0.7,
        "average_weight": 160.0,
        "order_weight": 2.0,
        "share_weight": 8.0,
        "steady_weight": 100.0,
    },
    "contrast": {
        "steps": 4000,
        "rate": 1.5e-3,
        "synthetic": 0.3,
        "structure_weight": 0.8,
        "information_weight": 1.0,
        "gradient_weight": 4.0,
        "brightness_weight": 5.5,
        "share_weight": 2.5,
    },
}
STEERED_NETWORK = TrainingOptions(network=STEERED, synthetic=0.4, order_weight=0.3)


def with_length(options: TrainingOptions, steps=None, epochs=None, minutes=None) -> TrainingOptions:
    """The same recipe trained for another time; as it is when all are None."""
    if steps is None and epochs is None and minutes is None:
        return options
    return replace(
        options, steps=TrainingOptions.steps if steps is None else steps, epochs=epochs, minutes=minutes
    )


def differences(there: Dict[str, Any], here: Dict[str, Any]) -> Dict[str, str]:
    """In what two identities differ: {"batch": "batch 4 there and 2 here"}."""
    return {
        name: f"{name} {_said(there.get(name))} there and {_said(here.get(name))} here"
        for name in sorted(set(there) | set(here))
        if there.get(name) != here.get(name)
    }


def _said(value) -> str:
    return "not given" if value is None else str(value)
