"""Pictures by which the eye judges whether two volumes on one grid are aligned."""

from typing import Sequence, Tuple

import numpy as np
from scipy import ndimage

from ..errors import InputError

EDGE_SCALE_MM = 1.5
# Edges this much weaker than the strong ones of the head are left out.
EDGE_FRACTION = 0.35
TILE_MM = 20.0
MAXIMUM_TILE_MM = 200.0
# Green stands out from gray uptake at every brightness.
EDGE_COLOR = (60, 255, 120)

_STRONG_PERCENTILE = 97.0
# So many planes, spread evenly, tell what a strong edge is.
_SAMPLED_PLANES = 24

# A part of a volume: slices along k, j, i, with start and stop.
Block = Tuple[slice, slice, slice]


class Edges:
    """Thin lines where the intensity changes most: voxels whose gradient is larger than ahead and behind.

    After J. Canny, A computational approach to edge detection, 1986, in three dimensions. Any part of a
    volume can be asked for; it is as in the whole.

    :param array: (k, j, i) in [0, 1], 0 is background.
    :param spacing: millimeters along i, j, k.
    :param scale_mm: standard deviation of the blur before the gradient.
    :param fraction: of the gradient of strong edges; weaker ones are dropped.
    """

    def __init__(
        self,
        array: np.ndarray,
        spacing: Sequence[float],
        scale_mm: float = EDGE_SCALE_MM,
        fraction: float = EDGE_FRACTION,
    ):
        self._steps = np.asarray(spacing, dtype=float)[::-1]
        blur = scale_mm / self._steps
        self._smooth = ndimage.gaussian_filter(np.asarray(array, dtype=np.float32), blur, mode="nearest")
        planes = range(0, len(array), max(1, len(array) // _SAMPLED_PLANES))
        everywhere = slice(0, array.shape[1]), slice(0, array.shape[2])
        sample = np.concatenate(
            [_length(self._gradient((slice(k, k + 1), *everywhere))).ravel() for k in planes]
        )
        present = sample[sample > 1e-4 * max(float(sample.max(initial=0.0)), 1e-12)]
        # Where nothing changes nothing is an edge.
        self._level = fraction * np.percentile(present, _STRONG_PERCENTILE) if present.size else np.inf

    def within(self, block: Block) -> np.ndarray:
        """Of a part: bool, of its shape."""
        # The neighbors decide, too, and theirs tell their gradient.
        around, inner = _grown(block, 1, self._smooth.shape)
        gradient = self._gradient(around)
        magnitude = _length(gradient)
        edges = np.zeros(magnitude.shape, dtype=bool)
        edges[inner] = magnitude[inner] > self._level
        candidates = np.argwhere(edges).T
        values = magnitude[tuple(candidates)]
        # One step of the smallest voxel along the gradient, in voxels of each axis.
        there = np.moveaxis(gradient, 0, -1)[tuple(candidates)].T
        ahead = there / values * (self._steps.min() / self._steps)[:, None]
        sides = [
            ndimage.map_coordinates(magnitude, candidates + sign * ahead, order=1, mode="nearest")
            for sign in (1, -1)
        ]
        edges[tuple(candidates)] = (values >= sides[0]) & (values > sides[1])
        return edges[inner]

    def _gradient(self, block: Block) -> np.ndarray:
        """Per millimeter, (3, k, j, i) of a part."""
        around, inner = _grown(block, 1, self._smooth.shape)
        smooth = self._smooth[around]
        return np.stack(
            [
                (np.gradient(smooth, step, axis=axis) if smooth.shape[axis] > 1 else np.zeros_like(smooth))[
                    inner
                ]
                for axis, step in enumerate(self._steps)
            ]
        )


def edge_map(array: np.ndarray, spacing: Sequence[float], scale_mm: float = EDGE_SCALE_MM) -> np.ndarray:
    """The :class:`Edges` of a whole volume, (k, j, i) bool."""
    first, second, third = (slice(0, n) for n in array.shape)
    return Edges(array, spacing, scale_mm).within((first, second, third))


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors**2).sum(axis=0))


def _grown(block: Block, voxels: int, shape: Sequence[int]) -> Tuple[Block, Block]:
    """A part with so many voxels more on each side, where there are any, and where in that it was."""
    lows = [max(0, part.start - voxels) for part in block]
    around = [slice(low, min(n, part.stop + voxels)) for low, part, n in zip(lows, block, shape)]
    inner = [slice(part.start - low, part.stop - low) for low, part in zip(lows, block)]
    return tuple(around), tuple(inner)  # type: ignore[return-value]


def edges_over(edges: np.ndarray, underneath: np.ndarray) -> np.ndarray:
    """Edges of one volume, in color, over another one in gray.

    :param edges: (k, j, i) bool, see :class:`Edges`.
    :param underneath: (k, j, i) in [0, 1].
    :return: (k, j, i, 3) uint8.
    """
    image = np.repeat(_gray(underneath)[..., None], 3, axis=-1)
    image[edges] = EDGE_COLOR
    return image


def checkerboard(
    first: np.ndarray,
    second: np.ndarray,
    spacing: Sequence[float],
    tile_mm: float = TILE_MM,
    start: Sequence[int] = (0, 0, 0),
) -> np.ndarray:
    """Two volumes in alternating cubes; edges that run on across them show that both are aligned.

    :param first: (k, j, i) or (k, j, i, 3).
    :param second: same shape.
    :param spacing: millimeters along i, j, k.
    :param tile_mm: edge of a cube, at least one voxel along each axis.
    :param start: of a part of two volumes: k, j, i of its first voxel.
    :return: shape and dtype of ``first``; the cube of the volume's first voxel shows ``first``.
    :raises InputError: the shapes differ, or the cubes are too large or have no size.
    """
    if first.shape != second.shape:
        raise InputError("A checkerboard needs two volumes on one grid; register them first.")
    if not 0.0 < tile_mm <= MAXIMUM_TILE_MM:
        raise InputError(
            f"The tiles of a checkerboard are {tile_mm} mm wide; use up to {MAXIMUM_TILE_MM:g} mm."
        )
    parity = np.zeros(first.shape[:3], dtype=np.int64)
    for axis, step in enumerate(np.asarray(spacing, dtype=float)[::-1]):
        voxels = max(1, int(round(tile_mm / step)))
        shape = [-1 if other == axis else 1 for other in range(3)]
        parity += ((start[axis] + np.arange(first.shape[axis])) // voxels).reshape(shape)
    takes_second = parity % 2 == 1
    if first.ndim == 4:
        takes_second = takes_second[..., None]
    return np.where(takes_second, second, first)


def tinted(array: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Values through a color table, so that a PET is told from an MRI at a glance.

    :param array: (k, j, i) in [0, 1].
    :param table: (n, 3) in [0, 1].
    :return: (k, j, i, 3) uint8.
    """
    index = np.rint(np.clip(array, 0.0, 1.0) * (len(table) - 1)).astype(np.intp)
    return np.rint(255.0 * np.clip(table, 0.0, 1.0)).astype(np.uint8)[index]


def hot_table() -> np.ndarray:
    """(256, 3) in [0, 1]: black, red, yellow, white, in which each channel rises after the other."""
    position = np.linspace(0.0, 3.0, 256)
    return np.clip(np.stack([position, position - 1.0, position - 2.0], axis=1), 0.0, 1.0)


def gray_color(array: np.ndarray) -> np.ndarray:
    """(k, j, i) in [0, 1] as (k, j, i, 3) uint8."""
    return np.repeat(_gray(array)[..., None], 3, axis=-1)


def _gray(array: np.ndarray) -> np.ndarray:
    return np.rint(255.0 * np.clip(array, 0.0, 1.0)).astype(np.uint8)
