"""Pictures by which the eye judges whether two volumes on one grid are aligned."""

from typing import Sequence

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


def edge_map(
    array: np.ndarray,
    spacing: Sequence[float],
    scale_mm: float = EDGE_SCALE_MM,
    fraction: float = EDGE_FRACTION,
) -> np.ndarray:
    """Thin lines where the intensity changes most: voxels whose gradient is larger than ahead and behind.

    After J. Canny, A computational approach to edge detection, 1986, in three dimensions.

    :param array: (k, j, i) in [0, 1], 0 is background.
    :param spacing: millimeters along i, j, k.
    :param scale_mm: standard deviation of the blur before the gradient.
    :param fraction: of the gradient of strong edges; weaker ones are dropped.
    :return: (k, j, i) bool.
    """
    steps = np.asarray(spacing, dtype=float)[::-1]
    smooth = ndimage.gaussian_filter(np.asarray(array, dtype=np.float32), scale_mm / steps, mode="nearest")
    gradient = np.stack(
        [
            np.gradient(smooth, step, axis=axis) if smooth.shape[axis] > 1 else np.zeros_like(smooth)
            for axis, step in enumerate(steps)
        ]
    )
    magnitude = np.sqrt((gradient**2).sum(axis=0))
    present = magnitude[magnitude > 1e-4 * max(float(magnitude.max()), 1e-12)]
    if present.size == 0:
        return np.zeros(smooth.shape, dtype=bool)
    candidates = np.argwhere(magnitude > fraction * np.percentile(present, _STRONG_PERCENTILE)).T
    values = magnitude[tuple(candidates)]
    # One step of the smallest voxel along the gradient, in voxels of each axis.
    there = np.moveaxis(gradient, 0, -1)[tuple(candidates)].T
    ahead = there / values * (steps.min() / steps)[:, None]
    sides = [
        ndimage.map_coordinates(magnitude, candidates + sign * ahead, order=1, mode="nearest")
        for sign in (1, -1)
    ]
    edges = np.zeros(smooth.shape, dtype=bool)
    edges[tuple(candidates)] = (values >= sides[0]) & (values > sides[1])
    return edges


def edges_over(edges: np.ndarray, underneath: np.ndarray) -> np.ndarray:
    """Edges of one volume, in color, over another one in gray.

    :param edges: (k, j, i) bool, see :func:`edge_map`.
    :param underneath: (k, j, i) in [0, 1].
    :return: (k, j, i, 3) uint8.
    """
    image = np.repeat(_gray(underneath)[..., None], 3, axis=-1)
    image[edges] = EDGE_COLOR
    return image


def checkerboard(
    first: np.ndarray, second: np.ndarray, spacing: Sequence[float], tile_mm: float = TILE_MM
) -> np.ndarray:
    """Two volumes in alternating cubes; edges that run on across them show that both are aligned.

    :param first: (k, j, i) or (k, j, i, 3).
    :param second: same shape.
    :param spacing: millimeters along i, j, k.
    :param tile_mm: edge of a cube, at least one voxel along each axis.
    :return: shape and dtype of ``first``; the cube of the first voxel shows ``first``.
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
        parity += (np.arange(first.shape[axis]) // voxels).reshape(shape)
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
