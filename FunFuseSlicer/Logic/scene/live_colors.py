"""The colored volume while a slider is dragged: the shown slices at once, the rest when it rests.

It needs nothing but the output nodes, so it also works on a scene that was saved and loaded again.
"""

import time
from dataclasses import dataclass
from typing import Callable, Iterator, Optional

import numpy as np

from ..color.colorize import NEED_PARTS
from ..color.ends import ColorEnds, ends_or_none, write_part
from ..color.sources import (
    ColorSource,
    Range,
    contribution_source,
    gradient_source,
    scale_of,
    uptake_source,
)
from ..errors import InputError
from ..volumes.tracers import OTHER
from . import views
from .attributes import ATTRIBUTE, number_of, range_text
from .color_maps import color_table
from .outputs import PART_ROLES

# How long an event loop may have to wait while the whole volume is painted, in seconds.
TURN = 0.01


@dataclass(frozen=True)
class Look:
    """How the colored volume looks: all that can change without running the network.

    :param pet_colormap: of the PET itself; None for the same.
    :param reference_at: percent of the scale where a reference region sets the range; None where none does.
    :param tracer: the preset that it comes from.
    """

    omega: float
    balance: float
    mode: str
    colormap: str
    uptake_range: Optional[Range] = None
    pet_colormap: Optional[str] = None
    reference_at: Optional[float] = None
    tracer: str = OTHER


class LiveColors:
    """Repaints one colored volume node in place."""

    def __init__(self):
        self._nodes, self._source, self._source_for = None, None, None
        self._ends, self._ends_of = None, None
        self._gradients = {}

    def keep_gradients(self, colored, gradients) -> None:
        """Remember equation (5)'s images of a run; they are not in the scene."""
        self._gradients = {} if gradients is None else {colored.GetID(): gradients}

    def use(self, nodes) -> None:
        """The output nodes to work on, by role, see :func:`.outputs.find_outputs`; None for none."""
        self._nodes, self._source = nodes, None
        self._ends, self._ends_of = None, None

    def paint_shown(self, look: Look) -> int:
        """Paint what the views on screen show.

        :return: how many views show the colored volume.
        :raises InputError: mode "gradient" without a run in that mode, a mode that needs the parts where
            there are none, or an unknown color map.
        """
        colored, source, table = self._prepare(look)
        array, shown = _voxels(colored), views.shown_logics(colored)
        ends = self._ends if self._ends_of == _of(look, table) else None
        for logic in shown:
            where = views.shown_voxels_of(logic, colored)
            if ends is not None and ends.complete:
                values = ends.colors(where, look.omega)
            else:
                values = source.colors(table, look.omega, look.balance, where)
            write_part(array, where, values)
        if shown:
            _modified(colored)
        return len(shown)

    def paint_all(self, look: Look) -> Iterator[float]:
        """Paint the whole volume in small steps; yields the fraction done, and tells Slicer at the end.

        The first time for a balance, mode and color map takes longest: after it only Ω has to be applied.

        :raises InputError: as :meth:`paint_shown`.
        """
        colored, source, table = self._prepare(look)
        array, ends = _voxels(colored), self._ends_for(look, source, table)

        def paint(plane: int) -> None:
            if ends is not None:
                ends.paint_plane(array, plane, look.omega)
            else:
                array[plane] = source.colors(table, look.omega, look.balance, plane)

        yield from _in_turns(paint, len(array))
        _describe(colored, look)
        _modified(colored)

    def get_ready(self, look: Look) -> Iterator[float]:
        """Compute in small steps what a drag of Ω will need; paints nothing; yields the fraction done."""
        _, source, table = self._prepare(look)
        ends = self._ends_for(look, source, table)
        if ends is not None:
            yield from _in_turns(ends.add, len(source.functional))

    def _ends_for(self, look: Look, source: ColorSource, table: np.ndarray) -> Optional[ColorEnds]:
        if self._ends_of != _of(look, table):
            self._ends, self._ends_of = ends_or_none(source, table, look.balance), _of(look, table)
        return self._ends

    def _prepare(self, look: Look):
        table = color_table(look.colormap)
        if self._source is None or self._source_for != (look.mode, look.uptake_range):
            gradients = self._gradients.get(self._nodes["colored"].GetID())
            self._source = source_of(self._nodes, look.mode, look.uptake_range, gradients)
            self._source_for = look.mode, look.uptake_range
        return self._nodes["colored"], self._source, table


def source_of(nodes, mode: str, uptake_range: Optional[Range] = None, gradients=None) -> ColorSource:
    """What the colors of a result are made of.

    :param nodes: by role, see :func:`.outputs.find_results`.
    :param uptake_range: see :class:`fusion.pipeline.FusionOptions`.
    :param gradients: equation (5)'s images, which are not in the scene.
    :raises InputError: mode "gradient" without them, or a mode that needs the parts where there are none.
    """
    colored = nodes["colored"]
    parts = tuple(_voxels(nodes[role]) for role in PART_ROLES if role in nodes)
    if mode in NEED_PARTS and not parts:
        raise InputError("These results do not tell what came from each image: press Apply.")
    if mode == "gradient":
        if gradients is None:
            raise InputError("The sensitivity mode needs a run in that mode: press Apply.")
        return gradient_source(*gradients)
    pet = _voxels(nodes["pet_registered"])
    if mode in ("uptake", "ordered"):
        low, high = uptake_range or (0.0, number_of(colored, "PETScale"))
        return uptake_source(parts or (_voxels(nodes["fused"]),), pet, high, low, mode == "ordered")
    uptake_scale = number_of(colored, "PETScale") or scale_of(pet)
    return contribution_source(*parts, number_of(colored, "PETPartScale"), uptake_range, uptake_scale)


def _in_turns(action: Callable[[int], None], count: int) -> Iterator[float]:
    """Do something for every number below ``count``; yields the fraction done from time to time."""
    turn = time.perf_counter()
    for number in range(count):
        action(number)
        if time.perf_counter() - turn > TURN:
            yield (number + 1) / count
            turn = time.perf_counter()


def _of(look: Look, table: np.ndarray):
    """What the ends of Ω depend on; a color map can be edited under its name."""
    return look.balance, look.mode, look.uptake_range, table.tobytes()


def _voxels(node) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(node)


def _modified(node) -> None:
    import slicer

    slicer.util.arrayFromVolumeModified(node)


def _describe(node, look: Look) -> None:
    for name, value in (
        ("Omega", look.omega),
        ("Balance", look.balance),
        ("Mode", look.mode),
        ("Colormap", look.colormap),
        ("UptakeRange", range_text(look.uptake_range)),
        ("PETColormap", look.pet_colormap or ""),
        ("ReferenceAt", look.reference_at or ""),
        ("Tracer", look.tracer),
    ):
        # A run does not write what means nothing for its method.
        if node.GetAttribute(ATTRIBUTE.format(name)) is not None:
            node.SetAttribute(ATTRIBUTE.format(name), str(value))
