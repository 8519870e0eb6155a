"""How weights follow the gradient: by Adam, or by Muon in the convolutions within the network."""

import math
from typing import Any, Dict, List

import torch
from torch import Tensor

OPTIMIZERS = ("muon", "adam")
SCHEDULES = ("one-cycle", "constant")

# Muon's step is as long for every matrix, Adam's for every weight: so many times Adam's rate suits it.
RATE_RATIO = 10.0

# Newton-Schulz: of an odd polynomial that lifts small singular values fast and leaves all near 1.
LIFT = (3.4445, -4.775, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal: every direction of a convolution learns at the same pace.

    K. Jordan et al.: Muon: An optimizer for hidden layers in neural networks. 2024,
    https://kellerjordan.github.io/posts/muon. ``torch.optim.Muon`` is for matrices alone, calculates in
    bfloat16, and is not in every PyTorch that can train this network.

    :param parameters: weights of convolutions, (out, in, rows, columns).
    :param rate: length of a step relative to an orthogonal matrix.
    :param momentum: share of the last direction that is kept (Nesterov's).
    """

    def __init__(self, parameters, rate: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """One step along the orthogonalized momentum."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].mul_(group["momentum"]).add_(weight.grad)
                ahead = weight.grad.add(state["momentum"], alpha=group["momentum"])
                direction = orthogonal(ahead.flatten(1)).reshape(weight.shape)
                longer = math.sqrt(max(1.0, weight.shape[0] / weight[0].numel()))
                weight.add_(direction, alpha=-group["lr"] * longer)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest orthogonal matrix, roughly: singular values between about 0.7 and 1.2.

    Those below a hundredth or so of the largest may stay smaller.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    result = wide / (wide.norm() + 1e-7)
    first, third, fifth = LIFT
    for _ in range(ITERATIONS):
        square = result @ result.T
        result = first * result + (third * square + fifth * square @ square) @ result
    return result if wide is matrix else result.T


class Descent:
    """The optimizers of a network and their schedules, stepped as one."""

    def __init__(self, network, optimizer: str, schedule: str, rate: float, steps: int):
        """
        :param network: what is trained.
        :param optimizer: one of :data:`OPTIMIZERS`; ``schedule`` one of :data:`SCHEDULES`.
        :param rate: of Adam, at the peak of the schedule.
        :param steps: of the whole run.
        """
        inner = [weight for weight in network.parameters() if optimizer == "muon" and _is_inner(weight)]
        others = [weight for weight in network.parameters() if not any(weight is one for one in inner)]
        self._optimizers = [torch.optim.Adam(others, lr=rate, fused=True)]
        if inner:
            self._optimizers.append(Muon(inner, RATE_RATIO * rate))
        self._schedules = [_schedule(one, schedule, steps) for one in self._optimizers]

    def step(self, loss: Tensor) -> None:
        """Backwards from a loss, and one step down; the schedule stays where it is."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in self._optimizers:
            optimizer.step()

    def advance(self) -> None:
        """On to the schedule's next step."""
        for schedule in self._schedules:
            schedule.step()

    def state_dict(self) -> Dict[str, List[Dict[str, Any]]]:
        """All that a checkpoint needs."""
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "schedules": [schedule.state_dict() for schedule in self._schedules],
        }

    def load_state_dict(self, state: Dict[str, List[Dict[str, Any]]]) -> None:
        """
        :raises ValueError: the state is of other optimizers.
        """
        for ours, theirs in ((self._optimizers, state["optimizers"]), (self._schedules, state["schedules"])):
            if len(ours) != len(theirs):
                raise ValueError("another number of optimizers")
            for one, other in zip(ours, theirs):
                one.load_state_dict(other)


def _is_inner(weight: Tensor) -> bool:
    """A convolution from several images to several: not the first, not the last."""
    return weight.ndim == 4 and min(weight.shape[:2]) > 1


def _schedule(optimizer, name: str, steps: int):
    if name == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # The cycle of the momentum, too, is for Adam alone.
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        optimizer.param_groups[0]["lr"],
        total_steps=steps,
        cycle_momentum=not isinstance(optimizer, Muon),
    )
