"""What the comparison measures: every model and method that there is, unfused copies, and probes.

Probes are fused images of the first model that were changed in a way that helps nobody who looks at them;
they show what a metric rewards or punishes.
"""

import functools
import math
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from FunFuseSlicer.Logic.metrics.images import to_8_bits

from ..training.pairs import Pair
from .weights_grid import luminance

MODEL, COLORED, METHOD, COPY, PROBE = "model", "colored", "method", "copy", "probe"

MRI_COPY, PET_COPY = "copy of the MRI", "copy of the PET"
VEIL, STRETCH = 3, 1.25
VEIL_PROBE = f"{VEIL} gray levels of veil"
STRETCH_PROBE = f"contrast × {STRETCH:g}"

# MRI and PET, (rows, columns) float32 in [0, 1] -> the fused image, the same or uint8.
Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Candidate(NamedTuple):
    """One row of the tables.

    :param kind: :data:`MODEL` and :data:`METHOD` are compared; the others are there to be looked at.
    :param source: citation, or what the row is.
    :param fuse: None for what takes no time.
    """

    name: str
    kind: str
    source: str
    fuse: Optional[Fuse] = None


class Task(NamedTuple):
    """One pair, for all candidates.

    :param models: names of the models, the default one first.
    """

    pair: Pair
    models: Tuple[str, ...]
    lam: float
    omega: float


def measure(task: Task) -> List[Dict[str, object]]:
    """A row per candidate: ``method``, ``kind``, all of :func:`metrics.evaluate_pair`, and ``ms``.

    Times are the processor's for one thread, so that they mean something whatever else the computer does.
    """
    from FunFuseSlicer.Logic.metrics import evaluate_pair

    from ..training.pairs import to_unit

    mri, pet = to_unit(task.pair.mri), to_unit(task.pair.pet)
    sources = to_8_bits(mri), to_8_bits(pet)
    images: Dict[str, np.ndarray] = {MRI_COPY: sources[0], PET_COPY: sources[1]}
    rows = []
    for candidate in _ready(task.models, task.lam, task.omega, mri.shape):
        milliseconds = math.nan
        if candidate.fuse is not None:
            start = time.process_time()
            fused = candidate.fuse(mri, pet)
            milliseconds = 1000 * (time.process_time() - start)
            images[candidate.name] = fused if fused.dtype == np.uint8 else to_8_bits(fused)
        elif candidate.kind == PROBE:
            images[candidate.name] = _probe(candidate.name, images[label(task.models[0])])
        values = evaluate_pair(*sources, images[candidate.name], lam=task.lam)
        rows.append({"method": candidate.name, "kind": candidate.kind, **values, "ms": milliseconds})
    return rows


@functools.lru_cache(maxsize=1)
def candidates(models: Tuple[str, ...], lam: float, omega: float) -> List[Candidate]:
    """All rows, in the order of the tables; methods that cannot be used here are left out."""
    from FunFuseSlicer.Logic.fusion.models import load_model
    from FunFuseSlicer.Logic.methods import METHODS

    networks = {name: load_model(name).at_lambda(lam) for name in models}
    result = [
        Candidate(label(name), MODEL, f"this project, λ = {lam:g}", _gray(network))
        for name, network in networks.items()
    ]
    usable = [method for method in METHODS.values() if method.problem() is None]
    result += [Candidate(method.label, METHOD, method.citation, method) for method in usable]
    said = f"luminance of the colored image, Ω = {omega:g}"
    result += [
        Candidate(f"{label(name)}, colored", COLORED, said, _colored(network, lam, omega))
        for name, network in networks.items()
    ]
    result += [Candidate(name, COPY, "unfused") for name in (MRI_COPY, PET_COPY)]
    result += [
        Candidate(VEIL_PROBE, PROBE, f"{label(models[0])}, every pixel {VEIL} of 255 brighter"),
        Candidate(STRETCH_PROBE, PROBE, f"{label(models[0])}, gray levels times {STRETCH:g}"),
    ]
    return result


@functools.cache
def _ready(models: Tuple[str, ...], lam: float, omega: float, shape: Tuple[int, int]) -> List[Candidate]:
    """:func:`candidates`, after a first image of that size.

    It prepares what later ones use, such as filters of the image's size: that is no time of an image.
    """
    ramp = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    result = candidates(models, lam, omega)
    for candidate in result:
        if candidate.fuse is not None:
            candidate.fuse(ramp, np.ascontiguousarray(ramp[::-1, ::-1]))
    return result


def label(model: str) -> str:
    """A model in the tables."""
    return f"FunFuse {model}"


def _probe(name: str, fused: np.ndarray) -> np.ndarray:
    levels = fused + float(VEIL) if name == VEIL_PROBE else fused * STRETCH
    return to_8_bits(levels / 255)


def _gray(network) -> Fuse:
    """The fused image alone, as one forward pass."""
    import torch

    network = network.to(memory_format=torch.channels_last).eval()

    def fuse(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network.fuse(*(torch.from_numpy(image)[None, None] for image in (mri, pet)))[0, 0].numpy()

    return fuse


def _colored(network, lam: float, omega: float) -> Fuse:
    """Fusion with its parts, coloring, and the luminance."""
    from FunFuseSlicer.Logic.color.colorize import colorize, jet_table
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, fuse_volumes, value_and_function
    from FunFuseSlicer.Logic.volumes.geometry import Volume

    options = FusionOptions(lam=lam, omega=omega, normalization="none", device="cpu")

    def fuse(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        fusion = fuse_volumes(Volume(mri[None], name="MRI"), Volume(pet[None], name="PET"), network, options)
        value, functional = value_and_function(fusion, options.mode, options.balance)
        return luminance(colorize(value[0], functional[0], jet_table(), omega))

    return fuse
