"""What the comparison measures: every model and method that there is, unfused copies, and probes.

Probes are fused images of the first model that were changed in a way that helps nobody who looks at them;
they show what a metric rewards or punishes.
"""

import functools
import math
import time
from typing import Callable, List, Sequence, Tuple

import numpy as np
import pandas as pd

from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.fusion.engine import Runner
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import DEFAULT_MODEL, load_model
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_source, fuse_volumes
from FunFuseSlicer.Logic.methods import METHODS
from FunFuseSlicer.Logic.metrics import METRICS, evaluate_pair
from FunFuseSlicer.Logic.metrics.images import luminance, to_8_bits
from FunFuseSlicer.Logic.volumes.geometry import Volume

from ..commands.evaluate import COPIES
from ..training.pairs import Pair, to_unit

# The first two are compared; the others are there to be looked at.
MODEL, METHOD, COLORED, COPY, PROBE = "model", "method", "colored", "copy", "probe"
MEASURED = [*METRICS, "b_P", "rank_fused"]
PROBES = "3 gray levels of veil", "contrast × 1.25"
# MRI and PET, (rows, columns) float32 in [0, 1] -> the fused image, the same or uint8.
Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]


def measure(pair: Pair, models: Tuple[str, ...], lam: float, omega: float, alone: bool = False) -> List[dict]:
    """A row for each candidate, copy and probe: ``method``, ``kind``, :data:`MEASURED`, ``ms`` and ``black``.

    Images are rounded to 8 bits before they are measured, as if read from pictures. ``ms`` is processor time,
    NaN for copies and probes; ``black`` the share of pixels that are black in both sources.

    :param models: their names; the probes are of the first.
    :param alone: the models only, with the probes if the first is the default one.
    """
    mri, pet = to_unit(pair.mri), to_unit(pair.pet)
    images, times = {}, {}
    for name, kind, fuse in candidates(models, lam, omega, mri.shape, not alone):
        start = time.process_time()
        fused = fuse(mri, pet)
        times[name] = 1000 * (time.process_time() - start)
        images[name] = kind, fused if fused.dtype == np.uint8 else to_8_bits(fused)
    first = f"FunFuse {models[0]}"
    levels = images[first][1].astype(np.float64)
    if not alone:
        images.update({name: (COPY, to_8_bits(source)) for name, source in zip(COPIES, (mri, pet))})
    if not alone or models[0] == DEFAULT_MODEL:
        for name, spoiled in zip(PROBES, (levels + 3, levels * 1.25)):
            images[f"{first}, {name}"] = PROBE, to_8_bits(spoiled / 255)
    black, rows = float(((pair.mri == 0) & (pair.pet == 0)).mean()), []
    for name, (kind, image) in images.items():
        values = evaluate_pair(to_8_bits(mri), to_8_bits(pet), image)
        row = {"method": name, "kind": kind, **{column: values[column] for column in MEASURED}}
        rows.append({**row, "ms": times.get(name, math.nan), "black": black})
    return rows


@functools.cache
def candidates(
    models: Tuple[str, ...], lam: float, omega: float, shape, methods: bool = True
) -> List[Tuple[str, str, Fuse]]:
    """(name, kind, function) of all that fuses, in the order of the tables, if it can be used here.

    Each has fused an image of that shape. It prepares what later ones use, such as filters of the image's
    size: that is no time of an image.
    """
    runners = {f"FunFuse {name}": runner_of(load_model(name), lam, "cpu") for name in models}
    result = [(name, MODEL, runner.fuse_pair) for name, runner in runners.items()]
    usable = [method for method in METHODS.values() if methods and method.problem() is None]
    result += [(method.label, METHOD, method) for method in usable]
    for name, runner in runners.items():
        colored = functools.partial(colored_luminances, runner=runner, omegas=[omega], table=jet_table())
        result.append((f"{name}, colored", COLORED, lambda mri, pet, colored=colored: colored(mri, pet)[0]))
    ramp = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    for _, _, fuse in result:
        fuse(ramp, np.ascontiguousarray(ramp[::-1, ::-1]))
    return result


def order(models: Sequence[str]) -> List[str]:
    """The names of all rows of :func:`measure`, in the order of the tables."""
    names = [f"FunFuse {model}" for model in models]
    result = [*names, *(method.label for method in METHODS.values()), *(f"{name}, colored" for name in names)]
    return [*result, *COPIES, *(f"{names[0]}, {probe}" for probe in PROBES)]


def colored_luminances(
    mri: np.ndarray,
    pet: np.ndarray,
    runner: Runner,
    omegas: Sequence[float],
    table: np.ndarray,
    mode: str = "contribution",
) -> List[np.ndarray]:
    """The luminance of the colored image for each Ω, (rows, columns) uint8.

    The metrics compare gray images, and the network's output does not depend on Ω: here Ω enters. With V the
    brightness and c the color of the map at full brightness, Y(Ω) = V ((1 - Ω) + Ω Y(c)), so that Ω = 0 gives
    V, the fused image (in the mode "gradient": the gradient that gives V).

    :param runner: with gradients for the mode that needs them.
    :param table: (n, 3) color table in [0, 1].
    :param mode: one of :data:`color.colorize.MODES`.
    """
    options = FusionOptions(mode=mode, normalization="none")
    fusion = fuse_volumes(Volume(mri[None], name="MRI"), Volume(pet[None], name="PET"), runner, options)
    source = color_source(fusion, mode)
    return [luminance(source.colors(table, omega, options.balance)[0]) for omega in omegas]


def means(images: pd.DataFrame) -> pd.DataFrame:
    """A row per set and method: means of :data:`MEASURED` over the images, medians of ``ms`` and ``time``.

    ``time`` is a method's time as a multiple of the first method's on the same image.

    :param images: rows of :func:`measure` with the columns ``set`` and ``image`` before them.
    """
    first = images[images.method == images.method[0]].set_index(["set", "image"]).ms.rename("first")
    images = images.join(first, on=["set", "image"])
    groups = images.assign(time=images.ms / images["first"]).groupby(["set", "method", "kind"], sort=False)
    return groups.agg({**dict.fromkeys(MEASURED, "mean"), "ms": "median", "time": "median"}).reset_index()


def differences(images: pd.DataFrame) -> pd.DataFrame:
    """Each method minus the first, image by image: a row per set, method and metric.

    Columns ``mean``, ``sd`` (of the images, not of their mean), ``higher`` and ``images``, numbers of images.
    """
    long = images.melt(["set", "image", "method"], list(METRICS), "metric")
    first = long[long.method == images.method[0]].drop(columns="method")
    both = long.merge(first, on=["set", "image", "metric"], suffixes=("", "_first"))
    both["gap"] = both.value - both.value_first
    both["above"] = both.gap > 0
    groups = both.groupby(["set", "method", "metric"], sort=False)
    table = groups.agg(mean=("gap", "mean"), higher=("above", "sum"), images=("gap", "size"))
    return table.assign(sd=groups.gap.std(ddof=0)).reset_index()
