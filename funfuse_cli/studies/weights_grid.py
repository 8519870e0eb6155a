"""The metrics over λ and Ω: what is measured, and how.

The metrics are functions of gray images, and the network's output does not depend on Ω. So Ω enters in one
place only: they are taken on the luminance of the colored image. With chroma c(f), the hue and saturation
of the color map at the functional term f, and V the brightness, the colored image and its luminance are

    RGB(Ω) = V · ((1 - Ω) + Ω · c(f)),   Y(Ω) = V · ((1 - Ω) + Ω · Y(c(f))),

so that Ω = 0 measures V itself, the fused image (in the mode "gradient": the gradient that gives V).
"""

import functools
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.metrics.images import to_8_bits

from ..training.pairs import Pair

# Rec. 601, as common image programs turn color into gray.
LUMA = (0.299, 0.587, 0.114)

EXPLANATION = (
    "Where Ω enters: the metrics compare gray images, and the fused image does not depend on Ω. They are "
    "taken on the luminance of the colored image, Y = 0.299 R + 0.587 G + 0.114 B (Rec. 601), rounded to 8 "
    "bits. With V the brightness, and c the color of the map at full brightness, Y = V ((1 - Ω) + Ω Y(c)): "
    "at Ω = 0 it is V itself, and color can only darken it."
)

Row = Dict[str, float]


class Task(NamedTuple):
    """One pair at one λ, for all Ω.

    :param mode: see :data:`color.MODES`.
    :param table: (n, 3) color table in [0, 1], as nested lists.
    """

    pair: Pair
    model: str
    lam: float
    omegas: Tuple[float, ...]
    mode: str
    table: Sequence


def grid_values(steps: int) -> List[float]:
    """``steps`` values that end at 1, evenly spaced: 0.1, 0.2, ... 1 for ten of them.

    They hold 0.6 and 0.8, the paper's own choice, and 1; ten values that begin at 0 would not hold both.
    """
    return [round((step + 1) / steps, 12) for step in range(steps)]


def luminance(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) uint8 -> (…), uint8."""
    return np.uint8(np.floor(np.asarray(rgb, np.float64) @ np.array(LUMA) + 0.5))


def measure(task: Task) -> List[Row]:
    """A row per Ω: ``lambda``, ``omega``, the five metrics, and the weights b_M and b_P."""
    from FunFuseSlicer.Logic.color.colorize import colorize
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, fuse_volumes, value_and_function
    from FunFuseSlicer.Logic.metrics import METRICS, pet_weight
    from FunFuseSlicer.Logic.volumes.geometry import Volume

    from ..training.pairs import to_unit

    pair, table = task.pair, np.asarray(task.table)
    options = FusionOptions(
        lam=task.lam, mode=task.mode, normalization="none", device="cpu", model=task.model
    )
    volumes = [
        Volume(to_unit(image)[None], name=name) for name, image in (("MRI", pair.mri), ("PET", pair.pet))
    ]
    fusion = fuse_volumes(*volumes, _model(task.model).at_lambda(task.lam), options)
    value, functional = value_and_function(fusion, task.mode, options.balance)
    sources = [to_8_bits(volume.array[0]) for volume in volumes]
    rows = []
    for omega in task.omegas:
        image = luminance(colorize(value[0], functional[0], table, omega))
        row = {"lambda": task.lam, "omega": omega}
        row.update((name, metric(*sources, image)) for name, metric in METRICS.items())
        row["b_M"], row["b_P"] = pet_weight(*sources, image)
        rows.append(row)
    return rows


def mean_rows(rows: List[Row]) -> List[Row]:
    """One row per λ and Ω: the means over pairs, their number, and the standard deviations ``… sd``."""
    groups: Dict[Tuple[float, float], List[Row]] = {}
    for row in rows:
        groups.setdefault((row["lambda"], row["omega"]), []).append(row)
    result = []
    for (lam, omega), group in sorted(groups.items()):
        mean = {"lambda": lam, "omega": omega, "pairs": len(group)}
        names = [name for name in group[0] if name.startswith(("Q_", "b_"))]
        mean.update((name, float(np.mean([row[name] for row in group]))) for name in names)
        mean.update((f"{name} sd", float(np.std([row[name] for row in group]))) for name in names)
        result.append(mean)
    return result


@functools.lru_cache(maxsize=1)
def _model(name: str):
    from FunFuseSlicer.Logic.fusion.models import load_model

    return load_model(name)
