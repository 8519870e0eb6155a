"""Every Ω of a colored volume from its two ends, in one pass of whole numbers.

RGB(Ω) is linear in Ω (see :mod:`color`): the gray image at 0, less Ω times what the full colors at 1 are
darker. Both are kept as bytes, so that a new Ω costs a few copies of the volume and no color is looked up.
"""

from typing import Optional

import numpy as np

from .coloring import ColorSource
from .slabs import Index

# Larger volumes are colored anew for each Ω: the ends take six bytes a voxel.
MOST_VOXELS = 64_000_000

STEPS = 256


class ColorEnds:
    """The ends of one volume for one balance and color map.

    :param source: see :class:`coloring.ColorSource`.
    :param table: (n, 3) color table in [0, 1]; ``balance`` in [0, 1].
    """

    def __init__(self, source: ColorSource, table: np.ndarray, balance: float):
        shape = source.functional.shape
        self._source, self._table, self._balance = source, table, balance
        self._gray, self._drop = (np.empty((*shape, 3), np.uint8) for _ in range(2))
        # By plane, the rows that are not black; None for planes whose ends are not computed yet.
        self._rows = [None] * shape[0]

    @property
    def complete(self) -> bool:
        """Whether all planes are computed."""
        return None not in self._rows

    def add(self, plane: int) -> None:
        """Compute the ends of a plane, unless they are there."""
        if self._rows[plane] is not None:
            return
        where = (slice(plane, plane + 1),)
        gray, color = (self._source.colors(self._table, omega, self._balance, where) for omega in (0.0, 1.0))
        self._gray[where] = gray
        np.subtract(gray, color, out=self._drop[where])
        rows = np.flatnonzero(gray[0, :, :, 0].any(axis=1))
        self._rows[plane] = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)

    def paint_plane(self, colors: np.ndarray, plane: int, omega: float) -> None:
        """Write a plane for an Ω into the volume's colors, uint8 (k, j, i, 3); within two levels of 255."""
        self.add(plane)
        first, end = self._rows[plane]
        for rows in ((0, first), (end, colors.shape[1])):
            colors[plane, slice(*rows)] = 0
        where = (plane, slice(first, end))
        self._mix(where, omega, colors[where])

    def colors(self, where: Index, omega: float) -> np.ndarray:
        """uint8 RGB of any part of a complete volume."""
        return self._mix(where, omega)

    def _mix(self, where: Index, omega: float, out: Optional[np.ndarray] = None) -> np.ndarray:
        # 16 bits hold a byte times up to 256.
        drop = np.multiply(self._drop[where], np.uint16(round(omega * STEPS)), dtype=np.uint16)
        drop >>= 8
        return np.subtract(self._gray[where], drop.astype(np.uint8), out=out)


def ends_or_none(source: ColorSource, table: np.ndarray, balance: float) -> Optional[ColorEnds]:
    """The ends, or None where they would take too much memory."""
    return ColorEnds(source, table, balance) if source.functional.size <= MOST_VOXELS else None
