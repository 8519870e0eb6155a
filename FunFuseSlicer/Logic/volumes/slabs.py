"""Parts of a volume: slabs one after the other, and what a plane through it shows."""

from typing import Iterator, Tuple, Union

import numpy as np

Index = Tuple[Union[slice, np.ndarray], ...]

# A plane that deviates less than this from a voxel axis, over the whole volume and in voxels, follows it.
ALIGNED = 1e-3

# Voxels of a slab: its temporary arrays stay within a few megabytes and mostly within the cache.
SLAB_VOXELS = 250_000


def slabs(shape: Tuple[int, int, int]) -> Iterator[Index]:
    """Indices that cut a (k, j, i) array into slabs of whole planes, in order."""
    planes = max(1, SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for first in range(0, shape[0], planes):
        yield (slice(first, first + planes),)


def shown_voxels(shape: Tuple[int, int, int], plane: np.ndarray) -> Index:
    """The voxels that linear interpolation anywhere on a plane can touch.

    :param shape: of the (k, j, i) array.
    :param plane: (a, b, c, d) with a·i + b·j + c·k + d = 0 in voxel indices; (a, b, c) not all zero.
    :return: an index into the array, of slices for a plane along the voxels, else of three integer
        arrays; it may be empty.
    """
    normal, offset = np.asarray(plane[:3], dtype=float)[::-1], float(plane[3])  # to k, j, i
    axis = int(np.argmax(np.abs(normal)))
    others = [other for other in range(3) if other != axis]
    slopes = -normal[others] / normal[axis]
    start = -offset / normal[axis]
    extent = np.array([shape[other] for other in others])
    if np.abs(slopes) @ extent < ALIGNED:
        # To the nearest thousandth: a view right on a slice needs that slice only.
        below, above = int(np.floor(start + ALIGNED)), int(np.ceil(start - ALIGNED))
        index = [slice(None)] * 3
        index[axis] = slice(min(max(below, 0), shape[axis]), max(min(above + 1, shape[axis]), 0))
        return tuple(index)
    first, second = np.meshgrid(*(np.arange(n) for n in extent), indexing="ij")
    # A cell reaches one voxel further along both other axes, where the plane may have risen or fallen.
    height = start + slopes[0] * first + slopes[1] * second
    reach = np.abs(slopes).sum()
    low = np.floor(height - reach).astype(int)
    steps = int(np.ceil(2 * reach)) + 2
    along = low[..., None] + np.arange(steps)
    inside = (along >= 0) & (along < shape[axis])
    found = {axis: along[inside]}
    for other, positions in zip(others, (first, second)):
        found[other] = np.broadcast_to(positions[..., None], along.shape)[inside]
    return found[0], found[1], found[2]
