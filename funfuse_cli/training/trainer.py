"""Trains one network for every λ (or for one), and measures it on pairs it has not seen."""

import copy
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch

from FunFuseSlicer.Logic.errors import FunFuseError, InputError
from FunFuseSlicer.Logic.fusion.pytorch.steered import SteeredNetwork

from . import checkpoint
from .augment import patient_weights, random_batch, whole_batch
from .descent import Descent
from .loss import WINDOW, fusion_terms
from .objective import PART_SLACK, STEERED_SLACK, Objective, Prices, Terms
from .options import TrainingOptions
from .pair import Pair
from .pairs import fingerprint, to_unit
from .steadiness import Nearby, draw_nearby, unsteadiness
from .synthetic import synthetic_batch
from .variants import Network, build_network

LAMBDAS = (0.0, 0.2, 0.5, 0.8, 1.0)

# Around the default λ, where most images are fused.
NEAR = (0.7, 0.9)

# While training, so many held-out pairs are measured: enough for a curve, little enough not to slow it.
LOGGED_PAIRS = 6

# A run's log has at most so many rows. A third of them has the held-out losses, which cost most: fewer
# where they would take more than a quarter of a budget of minutes.
ROWS, MEASUREMENTS, MEASURING_SHARE = 60, 20, 0.25

# At most so much work is lost when a run is killed.
SECONDS_BETWEEN_CHECKPOINTS = 60.0

# Parts of the two-lane network have their price in each so many steps: a step with parts takes half as long
# again.
PARTS_EVERY = 2

# Steps that are timed for a budget of minutes, after some that are slow because they are the first.
WARMING_STEPS, TIMED_STEPS = 2, 6

Row = Dict[str, Any]


class Diverged(FunFuseError):
    """The loss or the weights are no longer finite; the last checkpoint is from before."""


class Callbacks(NamedTuple):
    """What a run reports.

    :param on_start: called with the number of steps done already and that of all.
    :param on_step: called with the step and its loss.
    :param on_row: called with all rows of the log whenever there is a new one.
    """

    on_start: Callable[[int, int], None] = lambda first, steps: None
    on_step: Callable[[int, float], None] = lambda step, loss: None
    on_row: Callable[[List[Row]], None] = lambda rows: None


class _Data:
    """The training pairs, and the batch of each step."""

    def __init__(self, pairs: List[Pair], options: TrainingOptions):
        self.pairs, self.options = pairs, options
        groups: Dict[str, List[Pair]] = {}
        for pair in pairs:
            groups.setdefault(pair.patient, []).append(pair)
        self.patients = list(groups.values())
        self.weights = patient_weights(self.patients)
        self._check_sizes()

    def _check_sizes(self) -> None:
        options, shapes = self.options, {pair.mri.shape for pair in self.pairs}
        if options.crop == 0:
            if options.batch > 1 and len(shapes) > 1:
                raise InputError("Whole slices of different sizes make no batch: add --batch 1, or a --crop.")
            if min(min(shape) for shape in shapes) < WINDOW:
                raise InputError(f"Whole slices must have at least {WINDOW} rows and columns.")
        elif not any(min(shape) >= options.crop for shape in shapes):
            raise InputError(
                f"All slices are smaller than the crop of {options.crop} pixels: choose a smaller --crop."
            )

    def batch(self, step: int):
        """MRI, PET, λ, and what makes the next slices of half of them, if there is a price for that.

        Each step draws from a generator of its own, seeded by (seed, step).
        """
        options = self.options
        rng = np.random.default_rng([options.seed, step])
        if options.crop:
            images = self._crops(rng)
        else:
            images = whole_batch(self.pairs, options.batch, step, options.seed)
        mri, pet = (torch.from_numpy(image).to(options.device) for image in images)
        lam, nearby = _draw_lambda(options, rng), None
        if options.steady_weight:
            nearby = draw_nearby((options.batch + 1) // 2, options.crop, rng, options.device)
        return mri, pet, lam, nearby

    def _crops(self, rng):
        options = self.options
        if not options.synthetic:
            return self._real(options.batch, rng)
        made = int((rng.random(options.batch) < options.synthetic).sum())
        batches = [self._synthetic(made, rng)] if made else []
        if made < options.batch:
            batches.append(self._real(options.batch - made, rng))
        return tuple(np.concatenate(images) for images in zip(*batches))

    def _real(self, size: int, rng):
        options = self.options
        return random_batch(self.patients, self.weights, size, options.crop, rng, options.luminance)

    def _synthetic(self, size: int, rng):
        options = self.options
        kinds = options.plateaus, options.averages
        return synthetic_batch(self.patients, self.weights, size, options.crop, rng, *kinds)


def train(
    pairs: List[Pair],
    options: TrainingOptions,
    folder: Path,
    held_out: Optional[Dict[str, List[Pair]]] = None,
    on_step: Optional[Callable[[int, float], None]] = None,
    callbacks: Optional[Callbacks] = None,
) -> Network:
    """Train; continues from ``folder/checkpoint.pt`` where there is one.

    Every step draws from a generator of its own, seeded by (seed, step), so that a run that was
    interrupted ends as one that was not. For the same reason a budget of minutes becomes a number of
    steps at the start, measured on a copy of the network, and is kept in the checkpoint: the run is the
    one that ``steps`` of that number gives, however often it is interrupted, and however fast it goes on.

    ``folder/log.csv`` gets up to :data:`ROWS` rows: step, seconds, the objective and the paper's L_SSIM
    and L_l2 as means over the training steps since the row before, and held-out losses.

    :param held_out: name -> pairs of which a few are measured during the run.
    :param on_step: short for ``Callbacks(on_step=...)``.
    :raises InputError: options or data that cannot be trained with, or a folder of another run.
    :raises Diverged: the loss is no longer finite.
    """
    callbacks = callbacks or Callbacks(on_step=on_step or Callbacks().on_step)
    options.check()
    data = _Data(pairs, options)
    torch.manual_seed(options.seed)
    network = build_network(options, [_tensors(group[len(group) // 2]) for group in data.patients])
    # Channels-last convolutions are about a sixth faster on a CPU.
    network.to(device=options.device, memory_format=torch.channels_last).train()
    folder.mkdir(parents=True, exist_ok=True)
    identity = {**options.identity(), "data": fingerprint(pairs)}
    state = checkpoint.load(folder, identity)
    steps, measurements = options.steps_for(len(pairs)), MEASUREMENTS
    if steps is None and state is not None:
        steps, measurements = state["steps"], state["measurements"]
    elif steps is None:
        steps, measurements = _affordable(network, data, held_out or {})
    run = _Run(network, data, steps, measurements, folder, identity, held_out or {}, callbacks)
    if state is not None:
        run.restore(state)
    elif options.minutes is not None:
        run.save()  # the number of steps must not be measured again
    run.go()
    return network.eval()


class _Run:
    """A network on its way: all that a checkpoint holds."""

    def __init__(
        self, network, data: _Data, steps: int, measurements: int, folder: Path, identity, held_out, callbacks
    ):
        options = data.options
        self.network, self.data, self.options = network, data, options
        self.steps, self.measurements = steps, measurements
        self.folder, self.identity, self.held_out, self.callbacks = folder, identity, held_out, callbacks
        self.objective = options.make_objective()
        self.descent = _descent(network, options, steps)
        self.step, self.seconds, self.rows = 0, 0.0, []
        self.sums, self.count = [0.0, 0.0, 0.0], 0

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        try:
            self.network.load_state_dict(state["network"])
            self.descent.load_state_dict(state["descent"])
        except (KeyError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.folder} holds a run of another network: choose another --out."
            ) from error
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        self.sums, self.count = list(state["sums"]), state["count"]

    def save(self) -> None:
        """Write the checkpoint, unless the weights are spoiled."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.network.parameters()):
            raise Diverged(self._why_diverged("The weights are"))
        checkpoint.save(
            self.folder,
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "descent": self.descent.state_dict(),
                "options": self.identity,
                "steps": self.steps,
                "measurements": self.measurements,
                "seconds": self.seconds,
                "rows": self.rows,
                "sums": self.sums,
                "count": self.count,
            },
        )

    def go(self) -> None:
        """All steps that are left."""
        if self.rows:
            checkpoint.write_log(self.folder, self.rows)
        self.callbacks.on_start(self.step, self.steps)
        every = -(-self.steps // ROWS)
        every_measured = every * -(-self.steps // (every * self.measurements))
        saved = self.seconds
        start = time.perf_counter() - saved
        while self.step < self.steps:
            losses = _train_step(self.network, self.descent, self.objective, *self._batch())
            if not np.isfinite(losses).all():
                raise Diverged(self._why_diverged("The loss is"))
            self.descent.advance()
            self.step += 1
            self.sums = [total + loss for total, loss in zip(self.sums, losses)]
            self.count += 1
            self.callbacks.on_step(self.step, losses[0])
            self.seconds = time.perf_counter() - start
            if self.step % every == 0 or self.step == self.steps:
                self._add_row(measure=self.step % every_measured == 0 or self.step == self.steps)
                self.save()
                saved = self.seconds
                checkpoint.write_log(self.folder, self.rows)
                self.callbacks.on_row(self.rows)
            elif self.seconds - saved > SECONDS_BETWEEN_CHECKPOINTS:
                self.save()
                saved = self.seconds

    def _batch(self):
        return (_prices(self.options, self.step), *self.data.batch(self.step))

    def _add_row(self, measure: bool) -> None:
        row: Row = {"step": self.step, "seconds": round(self.seconds, 1)}
        row.update(zip(("loss", "L_SSIM", "L_l2"), (round(total / self.count, 6) for total in self.sums)))
        self.sums, self.count = [0.0, 0.0, 0.0], 0
        if measure:
            for name, unseen in self.held_out.items():
                row.update(_measure_some(self.network, unseen, self.options, name))
        self.rows = [*self.rows, row]

    def _why_diverged(self, what: str) -> str:
        options = self.options
        if options.architecture.rule == "guarded-ratio":
            cause = (
                "rule 1 as a ratio divides by features near zero: try --rule max-average, or a lower --rate"
            )
        else:
            cause = f"the learning rate {options.rate} is too high: try a lower --rate"
        return (
            f"{what} no longer finite at step {self.step + 1}; the training stopped. Most likely {cause}, "
            f"with another --out. The last good state is in {self.folder / checkpoint.CHECKPOINT}."
        )


def losses(network: Network, pairs: List[Pair], lam: float) -> List[float]:
    """Loss (4) of each pair at one λ."""
    return [float(lam * s + (1 - lam) * i) for s, i in terms(network, pairs, lam)]


def terms(network: Network, pairs: List[Pair], lam: float) -> np.ndarray:
    """L_SSIM and L_l2 of each pair at one λ, (pairs, 2)."""
    device, training = next(network.parameters()).device, network.training
    network.eval()
    with torch.no_grad():
        folded = network.at_lambda(lam)
        result = []
        for pair in pairs:
            mri, pet = (image.to(device) for image in _tensors(pair))
            result.append([float(term) for term in fusion_terms(folded.fuse(mri, pet), mri, pet)])
    network.train(training)
    return np.array(result)


def average_losses(pairs: List[Pair], lam: float) -> List[float]:
    """Loss (4) of the plain average, the measure of whether a network does anything."""
    return [float(lam * s + (1 - lam) * i) for s, i in average_terms(pairs)]


def average_terms(pairs: List[Pair]) -> np.ndarray:
    """L_SSIM and L_l2 of the plain average of each pair, (pairs, 2)."""
    result = []
    for pair in pairs:
        mri, pet = _tensors(pair)
        result.append([float(term) for term in fusion_terms((mri + pet) / 2, mri, pet)])
    return np.array(result)


def some_of(pairs: List[Pair]) -> List[Pair]:
    """The few pairs, evenly spread, that are measured while training."""
    return pairs[:: -(-len(pairs) // LOGGED_PAIRS)]


def expected_loss(lam):
    """Roughly what the best loss comes to at λ: 0.02 at 0, 0.45 at 1."""
    return 0.02 + 0.43 * lam


def _descent(network, options: TrainingOptions, steps: int) -> Descent:
    return Descent(network, options.optimizer, options.schedule, options.rate, steps)


def _terms(network, objective: Objective, prices: Prices, mri, pet, lam, nearby: Optional[Nearby]) -> Terms:
    """The objective, and the prices where there are any."""
    given = lam if network.conditioned else None
    paid = prices.asked and network.parts_add_up
    fused, *parts = network(mri, pet, given) if paid else (network.fuse(mri, pet, given),)
    result = objective(fused, mri, pet, lam)
    if paid:
        result = result._replace(loss=result.loss + prices.of(fused, *parts, mri, pet))
    if nearby is None or not prices.steady:
        return result
    some = slice(len(nearby.grid))
    lams = None if given is None else given[some]
    change = unsteadiness(network, fused[some], mri[some], pet[some], lams, nearby)
    return result._replace(loss=result.loss + prices.steady * change.mean())


def _prices(options: TrainingOptions, step: int) -> Prices:
    """The prices in one step: none in every other of the two-lane network, whose parts cost time."""
    weights = options.order_weight, options.excess_weight, options.share_weight, options.steady_weight
    if options.network == SteeredNetwork.kind:
        return Prices(options.parts_weight, STEERED_SLACK, *weights)
    if step % PARTS_EVERY:
        return Prices()
    parts, *others = (weight * PARTS_EVERY for weight in (options.parts_weight, *weights))
    return Prices(parts, PART_SLACK, *others)


def _train_step(
    network, descent: Descent, objective: Objective, prices: Prices, mri, pet, lam, nearby
) -> List[float]:
    """One step: the objective, L_SSIM and L_l2 before it; no step is taken when they are not finite."""
    result = _terms(network, objective, prices, mri, pet, lam, nearby)
    values = torch.stack([term.detach().mean() for term in result]).tolist()
    if np.isfinite(values).all():
        # Divided by what the loss comes to at each λ: else the largest losses, near λ = 1, take all.
        descent.step((result.loss / expected_loss(lam)).mean())
    return values


def _measure_some(network, unseen: List[Pair], options: TrainingOptions, name: str) -> Row:
    row = {}
    for lam in LAMBDAS if options.lam is None else (options.lam,):
        structure, intensity = terms(network, some_of(unseen), lam).mean(axis=0).tolist()
        row[f"{name} λ={lam}"] = round(lam * structure + (1 - lam) * intensity, 5)
        row[f"{name} λ={lam} L_SSIM"] = round(structure, 5)
        row[f"{name} λ={lam} L_l2"] = round(intensity, 6)
    return row


def _affordable(network, data: _Data, held_out: Dict[str, List[Pair]]) -> Tuple[int, int]:
    """How many steps, and how many measurements between them, the budget of minutes allows.

    Measured with a copy: the network starts as if nothing had happened. The time for that is part of the
    budget, and so is measuring the same pairs once more at the end.
    """
    began = time.perf_counter()
    trial, options = copy.deepcopy(network), data.options
    descent = _descent(trial, options, WARMING_STEPS + TIMED_STEPS)
    times = []
    for step in range(WARMING_STEPS + TIMED_STEPS):
        start = time.perf_counter()
        _train_step(trial, descent, options.make_objective(), _prices(options, step), *data.batch(step))
        times.append(time.perf_counter() - start)
    measuring = 0.0
    for unseen in held_out.values():
        # One pair at one λ stands for all: else the trial alone could use up the budget.
        start = time.perf_counter()
        terms(trial, unseen[:1], 0.5 if options.lam is None else options.lam)
        count = len(some_of(unseen)) * (len(LAMBDAS) if options.lam is None else 1)
        measuring += count * (time.perf_counter() - start)
    budget = max(0.0, 60.0 * options.minutes - measuring - (time.perf_counter() - began))
    measurements = int(np.clip(MEASURING_SHARE * budget / max(measuring, 1e-3), 1, MEASUREMENTS))
    # However long one measurement takes, half of the time is for training.
    budget = max(budget - measurements * measuring, budget / 2)
    return max(1, int(budget / float(np.mean(times[WARMING_STEPS:])))), measurements


def _draw_lambda(options: TrainingOptions, rng) -> torch.Tensor:
    if options.lam is not None:
        return torch.full((options.batch,), options.lam, device=options.device)
    lam = rng.random(options.batch, dtype=np.float32)
    if options.near_default:
        low, high = NEAR
        near = rng.random(options.batch) < options.near_default
        lam = np.where(near, low + (high - low) * lam, lam).astype(np.float32)
    return torch.from_numpy(lam).to(options.device)


def _tensors(pair: Pair):
    return tuple(torch.from_numpy(to_unit(image))[None, None] for image in (pair.mri, pair.pet))
