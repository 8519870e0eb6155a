"""Every Ω of a colored volume from its two ends, in one pass of whole numbers.

RGB(Ω) is linear in Ω (see :mod:`color`), between the gray image at 0 and the full colors at 1. Both are kept
as bytes, so that a new Ω costs a few copies of the volume and no color is looked up.
"""

from typing import Dict, List, Optional, Tuple

import numpy as np

from ..volumes.slabs import Index
from .sources import ColorSource

# Larger volumes are colored anew for each Ω: the ends take six bytes a voxel.
MOST_VOXELS = 64_000_000

# Slices whose ends are kept in one piece each: those of the views, and of some more.
MOST_GATHERED = 12

# The three bytes of a voxel as one item: across the slices of a volume, bytes one by one take much longer.
_VOXEL = np.dtype("V3")


class ColorEnds:
    """The ends of one volume for one balance and color map.

    :param source: see :class:`coloring.ColorSource`.
    :param table: (n, 3) color table in [0, 1]; ``balance`` in [0, 1].
    """

    def __init__(self, source: ColorSource, table: np.ndarray, balance: float):
        shape = source.functional.shape
        self._source, self._table, self._balance = source, table, balance
        self._gray, self._full = (np.empty((*shape, 3), np.uint8) for _ in range(2))
        # By plane, the rows that are not black; None for planes whose ends are not computed yet.
        self._rows: List[Optional[Tuple[int, int]]] = [None] * shape[0]
        self._cleared = [False] * shape[0]
        self._gathered: Dict[tuple, List[np.ndarray]] = {}
        self._scratch = np.empty((2, *shape[1:], 3), np.uint16)

    @property
    def complete(self) -> bool:
        """Whether all planes are computed."""
        return None not in self._rows

    def add(self, plane: int) -> Tuple[int, int]:
        """Compute the ends of a plane, unless they are there.

        :return: the first row that is not black, and the one after the last.
        """
        known = self._rows[plane]
        if known is not None:
            return known
        where = (slice(plane, plane + 1),)
        for end, omega in ((self._gray, 0.0), (self._full, 1.0)):
            end[where] = self._source.colors(self._table, omega, self._balance, where)
        rows = np.flatnonzero(self._gray[plane, :, :, 0].any(axis=1))
        found = self._rows[plane] = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        return found

    def paint_plane(self, colors: np.ndarray, plane: int, omega: float) -> None:
        """Write a plane for an Ω into the volume's colors, uint8 (k, j, i, 3); within two levels of 255."""
        first, end = self.add(plane)
        if not self._cleared[plane]:
            # Whatever Ω is, the same rows are black.
            colors[plane], self._cleared[plane] = 0, True
        where = (plane, slice(first, end))
        # Arrays made anew for every plane would cost as much again.
        _mix(self._gray[where], self._full[where], omega, self._scratch[:, : end - first], colors[where])

    def colors(self, where: Index, omega: float) -> np.ndarray:
        """uint8 RGB of any part of a complete volume."""
        # While Ω is dragged the views stay where they are: what they show is gathered once.
        key = tuple((part.start, part.stop) if isinstance(part, slice) else None for part in where)
        gathered = self._gathered.get(key)
        if gathered is None:
            gathered = [part_of(array, where) for array in (self._gray, self._full)]
            if None not in key:
                if len(self._gathered) >= MOST_GATHERED:
                    self._gathered.clear()
                self._gathered[key] = gathered
        gray, full = gathered
        mixed = np.empty_like(gray)
        _mix(gray, full, omega, np.empty((2, *mixed.shape), np.uint16), mixed)
        return mixed


def _mix(gray: np.ndarray, full: np.ndarray, omega: float, scratch: np.ndarray, out: np.ndarray) -> None:
    """``(1 - omega) * gray + omega * full`` into ``out``, all bytes of one shape.

    Ω goes in 256 steps: 16 bits hold their product with a byte.

    :param scratch: twice that shape, of 16 bits.
    """
    step = round(omega * 256)
    for image, weight, product in ((gray, 256 - step, scratch[0]), (full, step, scratch[1])):
        np.multiply(image, np.uint16(weight), out=product, dtype=np.uint16)
    np.add(scratch[0], scratch[1], out=scratch[0])
    np.right_shift(scratch[0], 8, out=scratch[0])
    np.copyto(out, scratch[0], casting="unsafe")


def ends_or_none(source: ColorSource, table: np.ndarray, balance: float) -> Optional[ColorEnds]:
    """The ends, or None where they would take too much memory."""
    return ColorEnds(source, table, balance) if source.functional.size <= MOST_VOXELS else None


def part_of(colors: np.ndarray, where: Index) -> np.ndarray:
    """Any part of uint8 colors (k, j, i, 3), in one piece; shape (…, 3)."""
    part = np.ascontiguousarray(colors.view(_VOXEL)[..., 0][where])
    return part.view(np.uint8).reshape(*part.shape, 3)


def write_part(colors: np.ndarray, where: Index, values: np.ndarray) -> None:
    """The other way round: ``colors[where] = values``, but fast."""
    colors.view(_VOXEL)[..., 0][where] = np.ascontiguousarray(values).view(_VOXEL)[..., 0]
