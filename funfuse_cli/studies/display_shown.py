"""All that the study of displays shows: PET alone, laid over the MRI, and fused by every method."""

from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.color.colorize import colorize
from FunFuseSlicer.Logic.color.ordered import ordered_table
from FunFuseSlicer.Logic.color.sources import ColorSource, contribution_source, scale_of
from FunFuseSlicer.Logic.color.tables import named_table
from FunFuseSlicer.Logic.fusion.fuser import MethodRunner, runner_of
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.methods import METHODS
from FunFuseSlicer.Logic.registration.alignment_pictures import tinted
from FunFuseSlicer.Logic.scene.color_maps import color_table

from ..headless.boot import boot
from .display_cases import Head

TABLES = ("Jet", "PET-Heat", "Inferno")
MODELS = ("faithful", "detail")
OPACITIES, OMEGAS = (0.3, 0.5, 0.7), (0.3, 0.6, 1.0)
ALONE, OVERLAY, OURS, OTHER = "PET alone", "overlay", "FunFuse", "method"
# The mode "ordered" at balance 0, where lightness is the MRI's part alone.
ON_MRI = "ordered, MRI's part"
MODES = ("contribution", "uptake", "ordered", ON_MRI, "gradient")
# Slower than a tenth of a second for a patch: these see fewer places.
SLOW = ("lp_cnn", "nsst_papcnn", "nsct_rpcnn", "nsct_pcdc")
# Each how many-th slice of a head tells the scale of a part.
EVERY = 8

# Brightness and uptake, both in [0, 1], any shape -> RGB, uint8.
Colors = Callable[[np.ndarray, np.ndarray], np.ndarray]
Images = Tuple[np.ndarray, np.ndarray]


class Display(NamedTuple):
    """A way to show a pair.

    :param source: what gives brightness and uptake, a name of :func:`sources`.
    :param colors: of these.
    :param slow: whether it sees fewer places.
    """

    kind: str
    source: str
    mode: str
    table: str
    omega: float
    colors: Colors
    slow: bool = False

    @property
    def facts(self) -> Dict[str, object]:
        """What names it in a table."""
        model = self.source.split(":")[0] if self.kind in (OURS, OTHER) else ""
        return {
            "kind": self.kind,
            "model": model,
            "mode": self.mode,
            "table": self.table,
            "omega": self.omega,
        }


def displays(methods: Sequence[str]) -> List[Display]:
    """All of them, PET alone in gray first."""
    gray = np.repeat(np.linspace(0.0, 1.0, 256)[:, None], 3, axis=1)
    tables = {name: _table(name) for name in TABLES}
    found = [_alone("gray", gray), *(_alone(name, table) for name, table in tables.items())]
    for opacity in OPACITIES:
        found += [_overlay(opacity, name, table) for name, table in tables.items()]
    for model in MODELS:
        for mode in MODES:
            for omega in OMEGAS:
                slow, source = mode == "gradient", f"{model}:{mode}"
                if mode.startswith("ordered"):
                    found.append(_fused(OURS, source, mode, "ordered", ordered_table(), omega))
                else:
                    found += [_fused(OURS, source, mode, *named, omega, slow) for named in tables.items()]
    for name in methods:
        omega, slow = FusionOptions().omega, name in SLOW
        found += [_fused(OTHER, name, "uptake", *named, omega, slow) for named in tables.items()]
    return found


def _table(name: str) -> np.ndarray:
    known = named_table(name)
    if known is None:
        boot()
        known = color_table(name)
    return known


def _alone(name: str, table: np.ndarray) -> Display:
    return Display(ALONE, "sources", "", name, 1.0, lambda value, uptake: tinted(uptake, table))


def _overlay(opacity: float, name: str, table: np.ndarray) -> Display:
    def colors(value: np.ndarray, uptake: np.ndarray) -> np.ndarray:
        mixed = (1 - opacity) * 255.0 * value[..., None] + opacity * tinted(uptake, table)
        return np.rint(mixed).astype(np.uint8)

    return Display(OVERLAY, "sources", "", name, opacity, colors)


def _fused(
    kind: str, source: str, mode: str, name: str, table: np.ndarray, omega: float, slow=False
) -> Display:
    return Display(kind, source, mode, name, omega, lambda v, u: colorize(v, u, table, omega), slow)


class Sources:
    """What gives brightness and uptake of the displays, for one head.

    :param methods: names of other methods than the network.
    """

    def __init__(self, head: Head, methods: Sequence[str]):
        lam = FusionOptions().lam
        self._methods = {name: MethodRunner(METHODS[name]) for name in methods}
        self._runners = {name: runner_of(load_model(name), lam, "cpu") for name in MODELS}
        graded = MODELS if "gradient" in MODES else ()
        self._graded = {name: runner_of(load_model(name), lam, "cpu", gradients=True) for name in graded}
        some = slice(EVERY // 2, None, EVERY)
        mri, pet, brain = head.mri[some], head.pet[some], head.brain[some]
        self._scales: Dict[str, float] = {}
        for name, runner in self._runners.items():
            part = np.concatenate([runner.fuse(*_one(mri, pet, n), True)[2] for n in range(len(mri))])
            self._scales[name] = scale_of(part, brain)
        for name, runner in self._graded.items():
            images = [runner.fuse(*_one(mri, pet, n), True)[-2:] for n in range(0, len(mri), 2)]
            self._scales[f"{name}:mri"], self._scales[f"{name}:pet"] = (
                scale_of(np.concatenate(gradients)) for gradients in zip(*images)
            )

    def of(self, mri: np.ndarray, pets: np.ndarray, slow: bool) -> Iterator[Tuple[str, Images]]:
        """Brightness and uptake by name, of one MRI (rows, columns) and many PETs (n, rows, columns).

        :param slow: those that take long, or all others.
        """
        mris = np.repeat(mri[None], len(pets), axis=0)
        for name in self._methods:
            if slow == (name in SLOW):
                yield name, (self._methods[name].fuse(mris, pets)[0], pets)
        if slow:
            for name, runner in self._graded.items():
                of_mri, of_pet = runner.fuse(mris, pets, True)[-2:]
                source = ColorSource(
                    (of_mri / self._scales[f"{name}:mri"],), of_pet, self._scales[f"{name}:pet"]
                )
                yield f"{name}:gradient", (source.brightness(0.5), source.function())
            return
        yield "sources", (mris, pets)
        for name, runner in self._runners.items():
            parts = runner.fuse(mris, pets, True)[1:]
            source = contribution_source(*parts, self._scales[name])
            fused = source.brightness(0.5)
            yield f"{name}:contribution", (fused, source.function())
            yield f"{name}:uptake", (fused, pets)
            yield f"{name}:ordered", (fused, pets)
            yield f"{name}:{ON_MRI}", (source.brightness(0.0), pets)


def _one(mri: np.ndarray, pet: np.ndarray, index: int) -> Images:
    return tuple(np.ascontiguousarray(array[index : index + 1], np.float32) for array in (mri, pet))
