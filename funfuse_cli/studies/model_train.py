"""What has to be trained: variants of the network, networks for one λ alone, runs of the command train."""

from dataclasses import replace

import pandas as pd
import torch

from FunFuseSlicer.Logic.fusion.models import TWO_LANE
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at

from ..training.options import TrainingOptions, preset, with_length
from ..training.paper_network import Architecture
from ..training.trainer import Diverged, train
from ..training.variants import load_network, save_network
from .model_measure import AVERAGE, LAMBDA, LAMBDAS, METHODS, TERMS, Study, Tables, fuse_with, measured

DEFAULT, PAPER = preset("paper"), preset("as-printed")
# Networks whose parts do not add up pay no price for negative ones.
CHANGES = {
    "default": {},
    "negative parts not priced": {"parts_weight": 0.0},
    "Adam for all weights": {"optimizer": "adam"},
    "trained for λ = 0.8 alone": {"lam": LAMBDA},
    "rule 1: sum": {"architecture": Architecture(rule="sum")},
    "rule 1: as printed, denominator guarded": {"architecture": Architecture(rule="guarded-ratio")},
    "BatchNorm, batch statistics": {"architecture": Architecture(batch_norm="batch")},
    "BatchNorm, running statistics": {"architecture": Architecture(batch_norm="running")},
    "with biases": {"architecture": Architecture(bias=True)},
    "tanh at the output": {"architecture": Architecture(tanh=True)},
}
VARIANTS = {name: replace(DEFAULT, **changes) for name, changes in CHANGES.items()}
VARIANTS["the paper's preset, its own protocol"] = PAPER


def ablation(study: Study) -> Tables:
    """A row per variant and group: means over pairs and those seeds that did not diverge."""
    rows = []
    for variant, recipe in VARIANTS.items():
        steps = study.options.steps * (3 if recipe is PAPER else 1)
        recipes = [replace(with_length(recipe, steps), seed=seed) for seed in study.options.seeds]
        networks = [_trained(study, f"{variant}, seed {recipe.seed}", recipe) for recipe in recipes]
        fuses = [fuse_with(network) for network in networks if network is not None]
        for group, pairs in study.groups.items():
            means = [measured(variant, fuse, pairs)[["loss", *TERMS]].mean() for fuse in fuses]
            means = pd.DataFrame(means, columns=["loss", *TERMS])
            facts = {"method": variant, "steps": steps, "seeds": len(fuses), "group": group}
            rows.append({**facts, **means.mean(), "spread": means.loss.max() - means.loss.min()})
    return {"ablation": pd.DataFrame(rows)}


def tuned(study: Study) -> Tables:
    """The paper's network fine-tuned for every λ by itself: its loss, and the one model's ``gap`` above."""
    model, rows = next(model for model in study.models if model.kind == TWO_LANE), []
    for lam in LAMBDAS:
        start = study.options.out.resolve() / f"start-{model.sha256[:12]}-{lam:g}"
        save_network(network_at(model, lam), "start", start, lam)
        # Nothing but the loss: what is asked is how low it could be.
        recipe = replace(DEFAULT, steps=study.options.steps // 2, rate=5e-4, lam=lam, parts_weight=0.0)
        alone = _trained(
            study, f"tuned for λ = {lam:g}", replace(recipe, start_from=str(start / "start.npz"))
        )
        for group, pairs in study.groups.items() if alone is not None else ():
            one, all_ = (measured("", fuse_with(it, lam), pairs, lam).loss.mean() for it in (alone, model))
            rows.append([lam, group, model.name, recipe.steps, recipe.rate, one, all_ / one - 1])
    return {"tuned": pd.DataFrame(rows, columns="λ group method steps rate loss gap".split())}


def _trained(study: Study, label: str, recipe: TrainingOptions):
    """A network, trained, gone on with, or read, in a folder of its own; None where its loss diverged."""
    print(label, flush=True)
    try:
        return train(study.training, recipe, study.options.out / "".join(filter(str.isalnum, label)))
    except Diverged:
        return None


def runs(study: Study) -> Tables:
    """A row per finished run of train and group: how it was made, and its mean loss at λ = 0.8."""
    rows = []
    for folder in study.options.runs:
        weights = next(path for path in folder.glob("*.npz"))
        made = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)["options"]
        last, fuse = pd.read_csv(folder / "log.csv").iloc[-1], fuse_with(load_network(weights.stem, folder))
        made = [folder.name, made["objective"], made["seed"], made["start-from"] is not None]
        for group, pairs in study.groups.items():
            loss = measured(folder.name, fuse, pairs).loss
            below = (loss < measured(AVERAGE, METHODS[AVERAGE], pairs).loss).mean()
            rows.append([*made, int(last.step), last.seconds / 60, group, loss.mean(), below])
    columns = "run objective seed continued steps minutes group loss below_average"
    return {"runs": pd.DataFrame(rows, columns=columns.split())}
