"""One network for every λ against a network fine-tuned for each alone, and how the picture changes with λ."""

from dataclasses import replace
from typing import Dict, List, Optional

import numpy as np

from FunFuseSlicer.Logic.fusion.models import Model

from ..training.options import preset, with_length
from .model_ablation import reference_mean
from .model_measure import Row, fuse_with, images_of, loss_of
from .model_study import HELD_OUT, LAMBDA, TEST, Study, start_weights

LAMBDAS = tuple(index / 10 for index in range(11))
SHOWN = (0.0, 0.2, 0.5, 0.8, 1.0)

# How far one network for every λ may be above one for that λ alone; at 0 the loss is so small that little
# is much.
LIMIT, LIMIT_AT_ZERO = 0.02, 0.10


def lambdas(study: Study) -> List[Row]:
    """A row per λ.

    :return: rows with ``lambda``, ``groups`` (name -> loss by model name, of the ``average``, and
        ``alone``, of the default model fine-tuned for this λ), ``gap`` (relative, on the held-out pairs
        or, without any, on the test pairs; positive where one for all is worse), ``limit`` and ``kept``.
    """
    rows = [_row(study, lam) for lam in LAMBDAS]
    rows = [row for row in rows if any(row["groups"].values())]
    # λ = 0.8 alone is known from other parts.
    return rows if len(rows) > 1 else []


def picture_change(study: Study) -> Optional[Dict[str, Dict[str, float]]]:
    """By model and λ: how far the fused image is from that at λ = 0.8, in gray levels of 255.

    Mean over the pixels of the head, and over the test pairs; None when missing.
    """
    result = {}
    for model in study.models:
        group = study.groups[TEST].some(study.budget.some)
        found = study.store.once(
            f"lambda/change-{model.name}",
            {"network": model.sha256, "pairs": group.fingerprint, "lambdas": SHOWN, "from": LAMBDA},
            lambda model=model, group=group: _changes(study, model, group),
        )
        if found is not None:
            result[model.name] = found
    return result or None


def _row(study: Study, lam: float) -> Row:
    tuned = _tuned(study, lam)
    groups: Dict[str, Dict[str, float]] = {}
    for name, group in study.groups.items():
        columns = {model.name: study.model_rows(model, lam, group) for model in study.models}
        if tuned is not None and "sha256" in tuned:
            columns["alone"] = study.network_rows(
                f"alone, λ = {lam:g}", tuned["sha256"], lambda: study.load_trained(tuned), lam, group
            )
        groups[name] = {
            column: float(np.mean([loss_of(row, lam) for row in rows]))
            for column, rows in columns.items()
            if rows is not None
        }
        average = reference_mean(study, "average", name, lam)
        if average is not None and groups[name]:
            groups[name]["average"] = average["loss"]
    row = {"lambda": lam, "groups": groups, "diverged": bool(tuned and "diverged_at" in tuned)}
    judged = groups.get(HELD_OUT) or groups[TEST]
    name = study.models[0].name
    if "alone" in judged and name in judged:
        limit = LIMIT_AT_ZERO if lam == 0 else LIMIT
        gap = judged[name] / judged["alone"] - 1
        row.update(gap=gap, limit=limit, kept=gap <= limit)
    return row


def _tuned(study: Study, lam: float) -> Optional[Row]:
    budget, model = study.budget, study.models[0]
    recipe = budget.trial(with_length(preset("default"), budget.tune_steps))
    # Nothing but the loss: what is asked is how low it could be.
    recipe = replace(recipe, lam=lam, rate=budget.tune_rate, seed=budget.seeds[0], parts_weight=0.0)
    start = study.store.folder / "start"
    if study.store.computing:
        start = start_weights(study.store.folder, model, lam)
    return study.trained(
        f"lambda/alone-{lam:g}-{budget.tune_steps}",
        f"tuning for λ = {lam:g}",
        replace(recipe, start_from=str(start)),
        {"start": model.sha256},
    )


def _changes(study: Study, model: Model, group) -> Dict[str, float]:
    totals = dict.fromkeys(SHOWN, 0.0)
    networks = {lam: fuse_with(model.at_lambda(lam)) for lam in {*SHOWN, LAMBDA}}
    for number, pair in enumerate(group.pairs):
        study.monitor.report(f"{model.name}, picture over λ", number / len(group.pairs))
        mri, pet = images_of(pair)
        head = (mri > 0) | (pet > 0)
        fused = {lam: np.clip(fuse(mri, pet), 0, 1) for lam, fuse in networks.items()}
        for lam in SHOWN:
            totals[lam] += 255 * float(np.abs(fused[lam] - fused[LAMBDA])[head].mean())
    return {f"{lam:g}": total / len(group.pairs) for lam, total in totals.items()}
