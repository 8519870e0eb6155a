"""Runs of the train command, as they lie on disk: what they reach, and in how many minutes."""

import csv
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np

from FunFuseSlicer.Logic.errors import InputError

from .model_measure import Row, loss_of
from .model_study import HELD_OUT, LAMBDA, TEST, Study

# How near a retrained network must come to the shipped one, and in what time.
CLOSE, MINUTES = 0.01, 30.0


def read_run(folder: Path) -> Row:
    """The facts of a finished run.

    :return: ``name``, ``weights`` (path), ``seed``, ``steps``, ``objective``, ``continued`` (whether it
        started from the weights of an earlier run), ``minutes``, ``sha256``; None where unknown.
    :raises InputError: it is no finished run of the train command.
    """
    import json

    folder = Path(folder)
    weights = [path for path in sorted(folder.glob("*.pt")) if path.with_suffix(".json").is_file()]
    if len(weights) != 1:
        raise InputError(
            f"{folder} must hold the weights of one finished run: give folders that the command train wrote."
        )
    facts = json.loads(weights[0].with_suffix(".json").read_text(encoding="utf-8"))
    options = _options(folder / "checkpoint.pt")
    steps, seconds = _last_row(folder / "log.csv")
    return {
        "name": folder.resolve().name,
        "weights": weights[0],
        "sha256": facts["sha256"],
        "seed": options.get("seed"),
        "objective": options.get("objective"),
        "continued": options.get("start-from") is not None,
        "steps": steps,
        "minutes": None if seconds is None else seconds / 60,
    }


def runs(study: Study, folders: Sequence[Path]) -> List[Row]:
    """:func:`read_run` of each with the losses at λ = 0.8.

    :return: rows with ``losses`` by group, ``below_average`` (test pairs with a loss below the plain
        average's, of ``test_pairs``), ``shipped`` (name of the shipped model with the same objective) and
        ``from_shipped`` (relative difference of the held-out loss), these None where not known.
    """
    return [row for folder in folders for row in [_measured(study, folder)] if row is not None]


def spread(rows: List[Row]) -> Dict[str, Dict[str, float]]:
    """By group: mean, standard deviation, and relative range of the runs' losses."""
    result = {}
    for group in rows[0]["losses"] if rows else ():
        losses = np.array([row["losses"][group] for row in rows])
        result[group] = {
            "mean": float(losses.mean()),
            "deviation": float(losses.std(ddof=1)) if len(losses) > 1 else None,
            "range": float((losses.max() - losses.min()) / losses.mean()),
        }
    return result


def _measured(study: Study, folder: Path) -> Optional[Row]:
    from ..training.variants import load_network

    row = read_run(folder)
    weights = row.pop("weights")

    def load():
        return load_network(weights.stem, weights.parent)

    losses = {}
    for name, group in study.groups.items():
        found = study.network_rows(row["name"], row["sha256"], load, LAMBDA, group)
        if found is None:
            return None
        losses[name] = np.array([loss_of(one, LAMBDA) for one in found])
    row["losses"] = {name: float(values.mean()) for name, values in losses.items()}
    average = study.method_rows("average", study.groups[TEST])
    if average is not None:
        row["test_pairs"] = len(average)
        row["below_average"] = int((losses[TEST] < [loss_of(one, LAMBDA) for one in average]).sum())
    row.update(shipped=None, from_shipped=None)
    judged = HELD_OUT if HELD_OUT in losses else TEST
    for model in study.models:
        if model.name == row["objective"]:
            found = study.model_rows(model, LAMBDA, study.groups[judged])
            if found is not None:
                shipped = float(np.mean([loss_of(one, LAMBDA) for one in found]))
                row.update(shipped=model.name, from_shipped=row["losses"][judged] / shipped - 1)
    return row


def _options(checkpoint: Path) -> Row:
    """What the run was made with; nothing where the checkpoint is gone."""
    import torch

    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True).get("options", {})
    except FileNotFoundError:
        return {}
    except Exception as error:
        raise InputError(f"{checkpoint} cannot be read: delete it, or give another run.") from error


def _last_row(log: Path):
    """(steps, seconds) at the end of the log; None for both without one."""
    try:
        with log.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return int(rows[-1]["step"]), float(rows[-1]["seconds"])
    except FileNotFoundError:
        return None, None
    except (IndexError, KeyError, ValueError) as error:
        raise InputError(f"{log} is not the log of a training run: give another run.") from error
