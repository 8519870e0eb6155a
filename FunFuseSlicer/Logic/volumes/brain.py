"""Where the brain lies in an MRI: a balloon that grows until it meets the dark of skull and liquor.

After S. M. Smith, Fast robust automated brain extraction, Human Brain Mapping 17, 2002, on voxels of about
3 mm: good to some millimeters, for what needs to know the brain roughly, as an intensity scale, a color
range or the judgement of a registration. No segmentation for measuring volumes.
"""

import weakref
from dataclasses import dataclass
from functools import cache
from typing import Callable, Optional, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import ConvexHull, cKDTree

from .geometry import Volume
from .preprocessing import background_of, sampled

COARSE_MM = 3.0
# Brains of children to those of large heads with wide liquor spaces, as the balloon sees them.
VOLUME_RANGE_ML = (600.0, 2400.0)
# The upper part of a head, which is looked at; and where the middle of the brain lies in it.
_LOOKED_AT_MM, _SLAB_MM = 165.0, 125.0
# A slice belongs to the head from this area on.
_CROWN_MM2 = 2500.0
_START_MM, _LEAST_MM = 35.0, 80.0
# How far the balloon looks inwards for the darkest and the brightest, and the contrast at which it stops.
_DARK_MM, _BRIGHT_MM, _CONTRAST = 20.0, 10.0, 0.5
_PROBE_MM = 2.0
# Radii of curvature, in millimeters, between which the balloon becomes stiff.
_TIGHT_MM, _WIDE_MM = 3.33, 10.0
_STEPS = 240
# Around a brain there is something darker within this distance, in at least this part of directions.
_RIM_MM, _RIM_CONTRAST, _RIM_SHARE = 9.0, 0.8, 0.55
# No farther than this outside of the surface is told.
_FAR_MM = 20.0


class _Memory:
    """The brain of the volume that was asked about last: the parts of a run ask one after the other."""

    def __init__(self) -> None:
        self._array: Callable[[], Optional[np.ndarray]] = lambda: None
        self._seen: Optional[bytes] = None
        self._brain: Optional[np.ndarray] = None

    def brain(
        self, volume: Volume, estimate: Callable[[Volume], Optional[np.ndarray]]
    ) -> Optional[np.ndarray]:
        """As ``estimate(volume)``, which is called unless these are the same voxels in the same place."""
        # A sample of the voxels, too: somebody may have written into the array.
        sample = np.ascontiguousarray(volume.array[tuple(slice(None, None, 7) for _ in volume.array.shape)])
        seen = np.asarray(volume.ijk_to_ras, dtype=float).tobytes() + sample.tobytes()
        if self._array() is not volume.array or self._seen != seen:
            brain = estimate(volume)
            if brain is not None:
                brain.flags.writeable = False
            self._array, self._seen, self._brain = weakref.ref(volume.array), seen, brain
        return self._brain


_memory = _Memory()


def estimate_brain(mri: Volume) -> Optional[np.ndarray]:
    """The brain of an MRI, with liquor: T1, T2 or FLAIR, skull on or stripped, also of a whole body.

    Axes may point anywhere, but the crown is looked for at the upper end of a volume longer than a head.

    :param mri: finite, of any size; about a second for 256 × 256 × 180 voxels.
    :return: bool on the MRI's grid, (k, j, i), not to be written into; None where it cannot say: the volume
        is a slice or smaller than a brain, has no contrast, or what was found is not of a brain's size or not
        darker around.
    """
    return _memory.brain(mri, _estimate)


def _estimate(mri: Volume) -> Optional[np.ndarray]:
    array = np.asarray(mri.array)
    if array.ndim != 3 or (np.array(array.shape) * mri.spacing[::-1]).min() < _LEAST_MM:
        return None
    factors = np.maximum(1, np.rint(COARSE_MM / mri.spacing[::-1])).astype(int)
    spacing = mri.spacing[::-1] * factors
    stripped = _stripped(array, factors, spacing)
    if stripped is not None:
        return _enlarged(stripped - np.float32(0.5), factors, array.shape) > 0
    coarse = _shrunk(array, factors)
    found = _head_part(coarse, spacing, np.asarray(mri.ijk_to_ras))
    if found is None:
        return None
    part, depth = found
    head = _Head(coarse[part], spacing)
    center = head.center(depth)
    if center is None:
        return None
    points = _grown(head, center)
    inside = _filled(points, head)
    milliliters = float((inside > 0).sum() * spacing.prod() / 1000.0)
    if not VOLUME_RANGE_ML[0] <= milliliters <= VOLUME_RANGE_ML[1] or head.rim(points) < _RIM_SHARE:
        return None
    whole = np.full(coarse.shape, -_FAR_MM, np.float32)
    whole[part] = inside
    return _enlarged(whole, factors, array.shape) > 0


class _Head:
    """Voxels of the upper part of a head, and the levels that the balloon compares with.

    :param array: (k, j, i) float32; :param spacing: millimeters along k, j, i.
    """

    def __init__(self, array: np.ndarray, spacing: np.ndarray):
        self.array, self.spacing = array, spacing
        low, high = np.percentile(array, (2, 98))
        self.low, self.least = float(low), float(low + 0.1 * (high - low))
        self.typical = float(high)

    def center(self, depth: np.ndarray) -> Optional[np.ndarray]:
        """(3,) millimeters along k, j, i; None without contrast.

        :param depth: below the crown, in millimeters, (k, 1, 1) or likewise.
        """
        some = (self.array > self.least) & (depth < _SLAB_MM)
        if not some.any():
            return None
        center = np.argwhere(some).mean(axis=0) * self.spacing
        ball = self.array[self.distances(center) < 1.3 * _START_MM]
        if ball.size == 0 or not np.median(ball) > self.low:
            return None
        self.typical = float(np.median(ball))
        return center

    def distances(self, center: np.ndarray) -> np.ndarray:
        """(k, j, i) millimeters of the voxels from a point."""
        k, j, i = (
            np.arange(n) * step - middle for n, step, middle in zip(self.array.shape, self.spacing, center)
        )
        return np.sqrt(k[:, None, None] ** 2 + j[:, None] ** 2 + i**2)

    def along(self, points: np.ndarray, normals: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(len(offsets), n) values at ``points + offset · normals``; outside of the volume the darkest."""
        places = points[:, None] + offsets[:, None] * normals[:, None]
        indices = places / self.spacing[:, None, None]
        return ndimage.map_coordinates(self.array, indices, order=1, mode="constant", cval=self.low)

    def rim(self, points: np.ndarray) -> float:
        """The part of the directions in which it becomes darker within some millimeters outside."""
        mesh = _ball()
        normals = mesh.normals(mesh.ring(points))
        within = np.median(self.along(points, normals, -np.arange(3.0, 13.0, 3.0)), axis=0)
        around = self.along(points, normals, np.arange(0.0, _RIM_MM + 1.0, 1.5)).min(axis=0)
        return float(((around - self.low) < _RIM_CONTRAST * (within - self.low)).mean())


def _grown(head: _Head, center: np.ndarray) -> np.ndarray:
    """(3, n) millimeters along k, j, i: the vertices of the balloon at rest. Forces as in the paper."""
    mesh = _ball()
    points = center[:, None] + _START_MM * mesh.directions
    dark = np.arange(0.0, _DARK_MM + 0.1, _PROBE_MM)
    near = dark <= _BRIGHT_MM
    bend = 0.5 * (1.0 / _TIGHT_MM + 1.0 / _WIDE_MM)
    steep = 6.0 / (1.0 / _TIGHT_MM - 1.0 / _WIDE_MM)
    for step in range(_STEPS):
        ring = mesh.ring(points)
        normals = mesh.normals(ring)
        around = ring.sum(axis=1) / 6.0
        outwards = (around * normals).sum(axis=0)
        tangential = around - outwards * normals
        if step % 20 == 0:
            edge = float(np.linalg.norm(ring, axis=0).mean())
        curvature = 2.0 * np.abs(outwards) / edge**2
        stiff = 0.5 * (1.0 + np.tanh(steep * (curvature - bend)))
        values = head.along(points, normals, -dark)
        darkest = np.maximum(head.low, np.minimum(head.typical, values.min(axis=0)))
        brightest = np.minimum(head.typical, np.maximum(head.least, values[near].max(axis=0)))
        limit = _CONTRAST * (brightest - head.low) + head.low
        push = 2.0 * (darkest - limit) / np.maximum(brightest - head.low, 1e-12)
        points = points + 0.5 * tangential + (stiff * outwards + 0.05 * edge * push) * normals
    return points


def _filled(points: np.ndarray, head: _Head) -> np.ndarray:
    """(k, j, i) float32: millimeters below the surface, seen from its middle; negative outside."""
    center = points.mean(axis=1)
    rays = points.T - center
    radii = np.linalg.norm(rays, axis=1)
    distance = np.maximum(head.distances(center), 1e-6)
    result = np.full(head.array.shape, -_FAR_MM, np.float32)
    close = distance < radii.max()
    places = np.argwhere(close) * head.spacing - center
    apart, nearest = cKDTree(rays / radii[:, None]).query(places / distance[close][:, None], k=3)
    weights = 1.0 / np.maximum(apart, 1e-6)
    surface = (radii[nearest] * weights).sum(axis=1) / weights.sum(axis=1)
    result[close] = np.maximum(surface - distance[close], -_FAR_MM)
    return result


def _stripped(array: np.ndarray, factors: np.ndarray, spacing: np.ndarray) -> Optional[np.ndarray]:
    """All that is not background, on the coarse grid, where that is a brain alone; None where it is not.

    A head with its scalp is larger than a brain, or the volume ends within it.
    """
    background = background_of(sampled(array))
    if background is None:
        return None
    inside = ndimage.binary_fill_holes(_shrunk(array != background, factors) > 0.5)
    labels, count = ndimage.label(inside)
    if not count:
        return None
    inside = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    ends = [np.take(inside, end, axis=axis) for axis in range(3) for end in (0, -1)]
    low, high = VOLUME_RANGE_ML
    if any(end.any() for end in ends) or not low <= inside.sum() * spacing.prod() / 1000.0 <= high:
        return None
    return inside.astype(np.float32)


def _shrunk(array: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Means over blocks of voxels; what is left over at the ends is cut off."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            count = array.shape[axis] // factor
            array = array[(slice(None),) * axis + (slice(count * factor),)]
            shape = [*array.shape[:axis], count, factor, *array.shape[axis + 1 :]]
            array = array.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return np.ascontiguousarray(array, dtype=np.float32)


def _enlarged(array: np.ndarray, factors: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
    """The opposite of :func:`_shrunk`, interpolated."""
    image = sitk.GetImageFromArray(array)
    steps = [float(f) for f in factors[::-1]]
    image.SetSpacing(steps)
    image.SetOrigin([(step - 1.0) / 2.0 for step in steps])
    grid = [int(n) for n in shape[::-1]], sitk.Transform(), sitk.sitkLinear, [0.0] * 3, [1.0] * 3
    outside = float(array.min())
    return sitk.GetArrayFromImage(sitk.Resample(image, *grid, image.GetDirection(), outside))


def _upward(ijk_to_ras: np.ndarray) -> Tuple[int, bool]:
    """The axis of a (k, j, i) array that points to the crown or the feet, and whether to the crown."""
    axes = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    column = int(np.abs(axes[2]).argmax())
    return 2 - column, bool(axes[2, column] > 0)


def _head_part(
    coarse: np.ndarray, spacing: np.ndarray, ijk_to_ras: np.ndarray
) -> Optional[Tuple[Tuple[slice, ...], np.ndarray]]:
    """Slices of the array from the crown on as far as a head reaches; None without anything bright.

    :return: the part, and how deep below the crown its slices lie, in millimeters, (k, 1, 1) or likewise.
    """
    axis, upward = _upward(ijk_to_ras)
    low, high = np.percentile(coarse, (2, 98))
    bright = coarse > low + 0.1 * (high - low)
    others = tuple(other for other in range(3) if other != axis)
    area = bright.sum(axis=others) * float(np.prod(spacing[list(others)]))
    slices = np.flatnonzero(area > _CROWN_MM2)
    if not slices.size:
        return None
    count = int(np.ceil(_LOOKED_AT_MM / spacing[axis]))
    crown = slices[-1] if upward else slices[0]
    # Some air above the crown belongs to it.
    margin = int(np.ceil(10.0 / spacing[axis]))
    low_end, high_end = (crown - count, crown + margin) if upward else (crown - margin, crown + count)
    part = [slice(None)] * 3
    part[axis] = slice(max(0, low_end), min(coarse.shape[axis], high_end + 1))
    depth = np.abs(np.arange(coarse.shape[axis])[part[axis]] - crown) * spacing[axis]
    return tuple(part), depth.reshape([-1 if other == axis else 1 for other in range(3)])


@dataclass(frozen=True)
class _Ball:
    """A sphere of triangles.

    :param directions: (3, n) unit vectors.
    :param neighbors: (6, n) of each vertex, counterclockwise from outside; twelve have one of five twice.
    """

    directions: np.ndarray
    neighbors: np.ndarray

    def ring(self, points: np.ndarray) -> np.ndarray:
        """(3, 6, n) from vertices at ``points`` (3, n) to their neighbors."""
        return np.take(points, self.neighbors, axis=1) - points[:, None]

    @staticmethod
    def normals(ring: np.ndarray) -> np.ndarray:
        """(3, n) unit vectors outwards."""
        k, j, i = ring
        k_next, j_next, i_next = np.roll(ring, -1, axis=1)
        total = np.stack(
            [
                (j * i_next - i * j_next).sum(axis=0),
                (i * k_next - k * i_next).sum(axis=0),
                (k * j_next - j * k_next).sum(axis=0),
            ]
        )
        return total / np.maximum(np.sqrt((total**2).sum(axis=0)), 1e-12)


@cache
def _ball() -> _Ball:
    """The icosahedron, its triangles divided into four three times: 642 vertices."""
    golden = (1.0 + 5.0**0.5) / 2.0
    corners = np.array([(0.0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    points = _unit(np.vstack([np.roll(corners, turn, axis=1) for turn in range(3)]))
    for _ in range(3):
        points = np.vstack([points, _unit(points[_edges(points)].mean(axis=1))])
    neighbors = []
    edges = _edges(points)
    for number, point in enumerate(points):
        ring = np.concatenate([edges[edges[:, 0] == number, 1], edges[edges[:, 1] == number, 0]])
        first = _unit(np.cross(point, (1.0, 0.3, 0.2)))
        second = np.cross(point, first)
        ring = ring[np.argsort(np.arctan2(points[ring] @ second, points[ring] @ first))]
        neighbors.append(np.resize(ring, 6) if len(ring) == 6 else [*ring, ring[-1]])
    return _Ball(np.ascontiguousarray(points.T), np.ascontiguousarray(np.transpose(neighbors)))


def _edges(points: np.ndarray) -> np.ndarray:
    """(m, 2) pairs of neighbors among points of a sphere."""
    triangles = ConvexHull(points).simplices
    pairs = np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    return np.unique(pairs, axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
