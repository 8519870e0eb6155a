"""What a training run leaves on disk, so that it can be killed at any moment and go on.

The checkpoint holds all that decides the rest of the run, the rows of the log among it, and is replaced
in one go; ``log.csv`` is written from it afterwards. Whatever is cut off in between, the next start puts
the log back to what the checkpoint says: no row is lost or doubled.
"""

import csv
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import part_of, put

from .options import differences

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"


def save(folder: Path, state: Dict[str, Any]) -> None:
    """Replace the checkpoint, wholly or not at all."""
    part = part_of(folder / CHECKPOINT)
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    put(part, folder / CHECKPOINT)


def load(folder: Path, identity: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The state to go on from; None where there is no checkpoint.

    :param identity: what decides the result of the run, see :meth:`options.TrainingOptions.identity`.
    :raises InputError: the file is damaged, or belongs to a run with other options.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        step, _ = state["step"], state["options"]["schedule"]
    except Exception as error:
        raise InputError(
            f"{path} cannot be read: delete it to train anew, or choose another --out."
        ) from error
    differing = differences(state["options"], identity)
    # A constant rate does not depend on the end of the run, so the run may be made longer.
    if state["options"]["schedule"] == "constant":
        differing = {name: text for name, text in differing.items() if name not in ("steps", "epochs")}
    if differing:
        said = "; ".join(differing.values())
        raise InputError(
            f"{folder} holds a run with other options ({step} steps done): {said}. Give the same "
            "options to continue it, or choose another --out."
        )
    return state


def write_log(folder: Path, rows: List[Dict[str, Any]]) -> None:
    """Replace ``log.csv``, wholly or not at all."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    part = part_of(folder / LOG)
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    put(part, folder / LOG)
