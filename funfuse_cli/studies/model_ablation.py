"""The network against its variants on one budget, against simple methods, and against a bound."""

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from FunFuseSlicer.Logic.methods import REFERENCES

from ..training.options import TrainingOptions, preset, with_length
from ..training.pairs import fingerprint
from ..training.paper_network import Architecture
from .model_measure import PIXEL_RATE, Group, Row, best_pixels, images_of, loss_of, mean_row, pair_terms
from .model_study import LAMBDA, METHOD_LABELS, Budget, Study

BOUND_LABEL = "pixels optimized directly"
DEFAULT_LABEL = "default: Muon, no norm, no bias, no tanh, rule ½(max + mean), all λ, negative parts priced"


@dataclass(frozen=True)
class Variant:
    """What differs from the default preset.

    :param label: for tables.
    :param changes: options of the recipe that differ; networks whose parts do not add up pay no price for
        negative ones anyway.
    :param preset: the recipe it starts from; the paper's is taken as it is.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "default"

    def recipe(self, budget: Budget, seed: int) -> TrainingOptions:
        """For one seed; same seed, same crops, whatever the variant (but for the paper's protocol)."""
        if self.preset == "paper":
            return replace(with_length(preset("paper"), budget.paper_steps), seed=seed)
        recipe = budget.trial(with_length(preset(self.preset), budget.steps))
        return replace(recipe, seed=seed, **self.changes)


def _other_network(label: str, **changes) -> Variant:
    return Variant(label, {"architecture": Architecture(**changes)})


VARIANTS: Dict[str, Variant] = {
    "default": Variant(DEFAULT_LABEL),
    "free-parts": Variant("negative parts not priced", {"parts_weight": 0.0}),
    "adam": Variant("Adam for all weights", {"optimizer": "adam"}),
    "individual": Variant("trained for λ = 0.8 alone", {"lam": LAMBDA}),
    "rule-sum": _other_network("rule 1: sum", rule="sum"),
    "rule-guarded-ratio": _other_network("rule 1: as printed, denominator guarded", rule="guarded-ratio"),
    "batch-norm-batch": _other_network("BatchNorm, batch statistics", batch_norm="batch"),
    "batch-norm-running": _other_network("BatchNorm, running statistics", batch_norm="running"),
    "bias": _other_network("with biases", bias=True),
    "tanh": _other_network("tanh at the output", tanh=True),
    "paper": Variant("the paper's preset, its own protocol", preset="paper"),
}


def ablation(study: Study) -> List[Row]:
    """A row per variant, method and shipped model, those that are there.

    :return: rows with ``label``, ``kind`` ("trained", "reference", "bound" or "shipped"), ``groups`` (name
        -> means over pairs and seeds, with ``spread``, the largest minus the smallest loss of the seeds),
        and for trained ones ``steps``, ``seeds``, ``diverged`` (seed -> step).
    """
    rows = [row for name in VARIANTS for row in [_variant_row(study, name)] if row is not None]
    for name in REFERENCES:
        groups = study.by_group(lambda group, name=name: study.method_rows(name, group))
        rows.append({"label": METHOD_LABELS[name], "name": name, "kind": "reference", "groups": groups})
    bounds = study.by_group(lambda group: _bound_rows(study, group))
    rows.append({"label": BOUND_LABEL, "name": "bound", "kind": "bound", "groups": bounds})
    for model in study.models:
        groups = study.by_group(lambda group, model=model: study.model_rows(model, LAMBDA, group))
        rows.append(
            {"label": f"shipped: {model.name}", "name": model.name, "kind": "shipped", "groups": groups}
        )
    return [row for row in rows if row["groups"] or row.get("diverged")]


def per_patient(study: Study) -> List[Row]:
    """The loss at λ = 0.8 of the models and the references for every unseen patient.

    :return: rows with ``group``, ``patient``, ``pairs`` and the mean losses by name; patients for whom a
        number is missing are left out.
    """
    rows = []
    for group in study.groups.values():
        columns = {model.name: study.model_rows(model, LAMBDA, group) for model in study.models}
        columns.update({name: study.method_rows(name, group) for name in REFERENCES})
        columns["bound"] = _bound_rows(study, group)
        if any(column is None for name, column in columns.items() if name != "bound"):
            continue
        for patient in group.patients:
            losses = {
                name: [loss_of(row, LAMBDA) for row in column if row["patient"] == patient]
                for name, column in columns.items()
                if column is not None
            }
            row = {"group": group.name, "patient": patient, "pairs": len(losses["average"])}
            rows.append({**row, **{name: float(np.mean(values)) for name, values in losses.items()}})
    return rows


def won_pairs(study: Study) -> Dict[str, Dict[str, Row]]:
    """Of every model and group: on how many pairs its loss is below that of every reference.

    :return: model -> group -> ``pairs``, and ``won`` by reference and against ``all`` of them.
    """
    result: Dict[str, Dict[str, Row]] = {}
    for model in study.models:
        for group in study.groups.values():
            ours = study.model_rows(model, LAMBDA, group)
            theirs = {name: study.method_rows(name, group) for name in REFERENCES}
            if ours is None or any(rows is None for rows in theirs.values()):
                continue
            ours = np.array([loss_of(row, LAMBDA) for row in ours])
            below = {name: ours < [loss_of(row, LAMBDA) for row in rows] for name, rows in theirs.items()}
            won = {name: int(better.sum()) for name, better in below.items()}
            won["all"] = int(np.all(list(below.values()), axis=0).sum())
            result.setdefault(model.name, {})[group.name] = {"pairs": len(ours), **won}
    return result


def _variant_row(study: Study, name: str) -> Optional[Row]:
    variant, budget = VARIANTS[name], study.budget
    steps = budget.paper_steps if variant.preset == "paper" else budget.steps
    row = {"label": variant.label, "name": name, "kind": "trained", "steps": steps, "diverged": {}}
    measured: Dict[str, List[Row]] = {}
    seeds, seconds = [], []
    for seed in budget.seeds:
        label = f"{name}, seed {seed}"
        trained = study.trained(f"ablation/{name}-{steps}-seed{seed}", label, variant.recipe(budget, seed))
        if trained is None:
            continue
        seeds.append(seed)
        if "diverged_at" in trained:
            row["diverged"][str(seed)] = trained["diverged_at"]
            continue
        seconds.append(trained["seconds"])
        groups = study.by_group(
            lambda group, label=label, trained=trained: study.network_rows(
                label, trained["sha256"], lambda: study.load_trained(trained), LAMBDA, group
            )
        )
        for group, mean in groups.items():
            measured.setdefault(group, []).append(mean)
    if not seeds:
        return None
    minutes = float(np.mean(seconds)) / 60 if seconds else None
    groups = {group: _over_seeds(means) for group, means in measured.items()}
    return {**row, "seeds": seeds, "minutes": minutes, "groups": groups}


def _over_seeds(means: List[Row]) -> Row:
    result = {name: float(np.mean([mean[name] for mean in means])) for name in means[0]}
    losses = [mean["loss"] for mean in means]
    return {**result, "spread": float(max(losses) - min(losses))}


def _bound_rows(study: Study, group: Group) -> Optional[List[Row]]:
    """Kept pair by pair: together they take longest of all that is not trained."""
    rows, steps = [], study.budget.bound_steps
    for number, pair in enumerate(group.pairs):

        def compute(pair=pair, number=number) -> Row:
            study.monitor.report(f"bound, {group.name}", number / len(group.pairs))
            mri, pet = images_of(pair)
            return {
                "patient": pair.patient,
                **pair_terms(mri, pet, best_pixels(mri, pet, LAMBDA, steps)),
            }

        identity = {"pair": fingerprint([pair]), "lambda": LAMBDA, "steps": steps, "rate": PIXEL_RATE}
        row = study.store.once(f"bound/{group.name}-{number:03d}", identity, compute)
        if row is None:
            return None
        rows.append(row)
    return rows


def reference_mean(study: Study, name: str, group: str, lam: float) -> Optional[Row]:
    """Mean of a method on a group at any λ."""
    rows = study.method_rows(name, study.groups[group])
    return None if rows is None else mean_row(rows, lam)
