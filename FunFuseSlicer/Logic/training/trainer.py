"""Trains one network for every λ (or for one), and measures it on pairs it has not seen."""

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional

import numpy as np
import torch

from ..network import TwoLaneNetwork, initialize
from .augment import patient_weights, random_batch
from .loss import fusion_loss
from .pairs import Pair, to_unit

LAMBDAS = (0.0, 0.2, 0.5, 0.8, 1.0)

# While training, so many held-out pairs are measured: enough for a curve, little enough not to slow it.
LOGGED_PAIRS = 6


@dataclass(frozen=True)
class TrainingOptions:
    """The recipe.

    :param lam: a fixed λ, or None for one network that serves every λ.
    :param rate: peak learning rate of the one-cycle schedule.
    """

    steps: int = 5000
    batch: int = 4
    crop: int = 96
    rate: float = 2e-3
    seed: int = 0
    lam: Optional[float] = None
    device: str = "cpu"


def train(
    pairs: List[Pair],
    options: TrainingOptions,
    folder: Path,
    held_out: Optional[Dict[str, List[Pair]]] = None,
    on_step: Optional[Callable[[int, float], None]] = None,
) -> TwoLaneNetwork:
    """Train; continues from ``folder/checkpoint.pt`` where there is one.

    Every step draws from a generator of its own, seeded by (seed, step), so that a run that was
    interrupted ends as one that was not.

    :param held_out: name -> pairs of which a few are measured during the run, into ``log.csv``.
    :param on_step: called with the step and its loss.
    """
    groups: Dict[str, List[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.patient, []).append(pair)
    patients = list(groups.values())
    weights = patient_weights(patients)
    torch.manual_seed(options.seed)
    network = TwoLaneNetwork(conditioned=options.lam is None)
    initialize(network, [_tensors(group[len(group) // 2]) for group in patients])
    # Channels-last convolutions are about a sixth faster on a CPU.
    network.to(device=options.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=options.steps)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    first = _restore(checkpoint, network, optimizer, schedule)
    every = max(1, options.steps // 20)
    start = time.perf_counter()
    for step in range(first, options.steps):
        rng = np.random.default_rng([options.seed, step])
        mri, pet = (
            torch.from_numpy(image).to(options.device)
            for image in random_batch(patients, weights, options.batch, options.crop, rng)
        )
        lam = _draw_lambda(options, rng)
        fused = network.fuse(mri, pet, lam if options.lam is None else None)
        # Divided by what the loss comes to at each λ: else the largest losses, near λ = 1, take all.
        loss = (fusion_loss(fused, mri, pet, lam) / expected_loss(lam)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(step + 1, float(loss.detach()))
        if (step + 1) % every == 0 or step + 1 == options.steps:
            _save(checkpoint, step + 1, network, optimizer, schedule)
            row = {"step": step + 1, "seconds": round(time.perf_counter() - start, 1)}
            for name, unseen in (held_out or {}).items():
                unseen = unseen[:: -(-len(unseen) // LOGGED_PAIRS)]
                for lam in LAMBDAS if options.lam is None else (options.lam,):
                    row[f"{name} λ={lam}"] = round(float(np.mean(losses(network, unseen, lam))), 5)
            _log(folder / "log.csv", row)
    return network.eval()


def losses(network: TwoLaneNetwork, pairs: List[Pair], lam: float) -> List[float]:
    """Loss (4) of each pair at one λ."""
    device = next(network.parameters()).device
    with torch.no_grad():
        folded = network.at_lambda(lam)
        result = []
        for pair in pairs:
            mri, pet = (image.to(device) for image in _tensors(pair))
            result.append(float(fusion_loss(folded.fuse(mri, pet), mri, pet, lam)))
    return result


def average_losses(pairs: List[Pair], lam: float) -> List[float]:
    """Loss (4) of the plain average, the measure of whether a network does anything."""
    result = []
    for pair in pairs:
        mri, pet = _tensors(pair)
        result.append(float(fusion_loss((mri + pet) / 2, mri, pet, lam)))
    return result


def expected_loss(lam):
    """Roughly what the best loss comes to at λ: 0.02 at 0, 0.45 at 1."""
    return 0.02 + 0.43 * lam


def _draw_lambda(options: TrainingOptions, rng) -> torch.Tensor:
    if options.lam is not None:
        return torch.full((options.batch,), options.lam, device=options.device)
    return torch.from_numpy(rng.random(options.batch, dtype=np.float32)).to(options.device)


def _tensors(pair: Pair):
    return tuple(torch.from_numpy(to_unit(image))[None, None] for image in (pair.mri, pair.pet))


def _save(path: Path, step: int, network, optimizer, schedule) -> None:
    state = {
        "step": step,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(path: Path, network, optimizer, schedule) -> int:
    """The number of steps done already."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return state["step"]


def _log(path: Path, row: Dict[str, object]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
