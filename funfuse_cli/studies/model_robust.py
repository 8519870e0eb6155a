"""The models under controlled changes of their inputs, and how they keep to the range."""

from typing import Dict, List

import numpy as np

from FunFuseSlicer.Logic.fusion.models import Model

from .model_changes import CHANGES, contrast_kept
from .model_measure import Group, Row, fuse_with, images_of, loss_of, pair_terms, range_of, worst_of
from .model_study import LAMBDA, Study

RANGE_LAMBDAS = (0.0, 0.5, 0.8, 1.0)

# What is asked of the range: at most this share of pixels outside by more than 0.01.
MOST_OUTSIDE = 0.001


def generalization(study: Study) -> List[Row]:
    """A row per change, model and group.

    :return: rows with ``change``, ``text``, ``model``, ``group``, ``pairs``, ``loss`` of the model and of
        the plain ``average`` on the same changed inputs, ``better`` (pairs on which the model's is lower),
        and for lesions ``lesion_fused`` and ``lesion_part``, the share of the lesion's contrast that
        arrives in the fused image and in the PET's part, else None.
    """
    rows = []
    for group in study.groups.values():
        group = group.some(study.budget.some)
        for name, change in CHANGES.items():
            for model in study.models:
                found = study.store.once(
                    f"generalization/{name}-{model.name}-{group.name}",
                    {"network": model.sha256, "pairs": group.fingerprint, "change": change.text},
                    lambda name=name, model=model, group=group: _changed(study, name, model, group),
                )
                if found is not None:
                    facts = {"change": name, "text": change.text, "model": model.name, "group": group.name}
                    rows.append({**facts, **found})
    return rows


def ranges(study: Study) -> List[Row]:
    """A row per model, λ and group.

    :return: rows with ``model``, ``lambda``, ``group``, ``pairs`` (see :func:`range_of`, one per pair),
        ``mean`` and ``worst`` (by column; of ``lowest`` the smallest) and ``worst_pair`` (the patient whose
        pair has most pixels outside).
    """
    rows = []
    for model in study.models:
        for lam in RANGE_LAMBDAS:
            for group in study.groups.values():
                group = group.some(study.budget.some)
                pairs = study.store.once(
                    f"range/{model.name}-{lam:g}-{group.name}",
                    {"network": model.sha256, "lambda": lam, "pairs": group.fingerprint},
                    lambda model=model, lam=lam, group=group: _ranged(study, model, lam, group),
                )
                if pairs is not None:
                    facts = {"model": model.name, "lambda": lam, "group": group.name, "pairs": pairs}
                    rows.append({**facts, **_summary(pairs)})
    return rows


def _changed(study: Study, name: str, model: Model, group: Group) -> Row:
    change, fuse = CHANGES[name], fuse_with(model.at_lambda(LAMBDA))
    ours, average, kept = [], [], []
    for number, pair in enumerate(group.pairs):
        study.monitor.report(f"{model.name}, {name}", number / len(group.pairs))
        before = images_of(pair)
        after = change.apply(*before)
        ours.append(loss_of(pair_terms(*after, fuse(*after)), LAMBDA))
        average.append(loss_of(pair_terms(*after, (after[0] + after[1]) / 2), LAMBDA))
        if change.lesion:
            kept.append(_lesion_kept(model, before, after))
    lesion = [float(np.mean(values)) for values in zip(*kept)] if kept else (None, None)
    return {
        "pairs": len(ours),
        "loss": float(np.mean(ours)),
        "average": float(np.mean(average)),
        "better": int((np.array(ours) < average).sum()),
        "lesion_fused": lesion[0],
        "lesion_part": lesion[1],
    }


def _lesion_kept(model: Model, before, after):
    import torch

    network, parts = model.at_lambda(LAMBDA), []
    for images in (before, after):
        with torch.no_grad():
            parts.append(network(*(torch.from_numpy(image)[None, None] for image in images)))
    return tuple(
        contrast_kept(
            getattr(parts[0], part)[0, 0].numpy(), getattr(parts[1], part)[0, 0].numpy(), before[1], after[1]
        )
        for part in ("fused", "pet_part")
    )


def _ranged(study: Study, model: Model, lam: float, group: Group) -> List[Row]:
    network, rows = model.at_lambda(lam), []
    for number, pair in enumerate(group.pairs):
        study.monitor.report(f"{model.name}, range", number / len(group.pairs))
        rows.append({"patient": pair.patient, **range_of(network, *images_of(pair))})
    return rows


def _summary(pairs: List[Row]) -> Dict[str, object]:
    columns = [name for name in pairs[0] if name != "patient"]
    worst = {name: max(pair[name] for pair in pairs) for name in columns}
    worst["lowest"] = min(pair["lowest"] for pair in pairs)
    mean = {name: float(np.mean([pair[name] for pair in pairs])) for name in columns}
    return {"mean": mean, "worst": worst, "worst_pair": worst_of(pairs, "outside")["patient"]}
