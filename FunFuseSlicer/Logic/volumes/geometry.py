"""A volume in patient space, and the few geometric operations that the fusion needs.

Array axes are (k, j, i), as in Slicer and SimpleITK; world coordinates are RAS in millimeters, as
in Slicer. See https://slicer.readthedocs.io/en/latest/user_guide/coordinate_systems.html
"""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Iterator, Optional, Tuple

import numpy as np
import SimpleITK as sitk

from ..errors import DeviceError, InputError

# Axes of a (k, j, i) array, and whether each is flipped: see :func:`axial_order`.
Order = Tuple[Tuple[int, ...], Tuple[bool, ...]]

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Volume:
    """A 3-D image with its place in patient space.

    :param array: (k, j, i), any real dtype.
    :param ijk_to_ras: 4×4, voxel index (i, j, k) to RAS millimeters.
    :param name: what the user calls it; errors and provenance say this.
    :param unit: of the values, such as "Bq/ml" or "SUV", see :mod:`units`; "" where it is not known.
    :param tracer: of a PET, the name of its preset, see :mod:`tracers`; "" where nothing tells it.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray = field(default_factory=lambda: np.diag([-1.0, -1.0, 1.0, 1.0]))
    name: str = "volume"
    unit: str = ""
    tracer: str = ""

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel in cubic millimeters."""
        return abs(float(np.linalg.det(self.ijk_to_ras[:3, :3])))

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size along i, j, k in millimeters."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def dimensions(self) -> Tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        return tuple(reversed(self.array.shape))

    def same_grid(self, other: "Volume") -> bool:
        """Whether both volumes have the same voxels in space, to a thousandth of a voxel."""
        tolerance = 1e-3 * float(self.spacing.min())
        outer = corners(self.dimensions)
        return self.array.shape == other.array.shape and np.allclose(
            self.ijk_to_ras @ outer, other.ijk_to_ras @ outer, rtol=0, atol=tolerance
        )

    def with_array(self, array: np.ndarray, name: Optional[str] = None) -> "Volume":
        """The same place with other voxels."""
        return replace(self, array=array, name=self.name if name is None else name)


def out_of_memory(error: BaseException) -> bool:
    """Whether NumPy or ITK failed for want of memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("bad_alloc" in text or "allocate memory" in text)
    )


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Turns a failed allocation in the block into a sentence about the volume or file ``name``.

    :raises DeviceError: there was not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise DeviceError(
            f"{name} does not fit into the computer's memory: close other programs, or crop the volume or "
            "resample it to larger voxels."
        ) from error


def corners(dimensions: Tuple[int, int, int]) -> np.ndarray:
    """(4, 8) homogeneous indices of the corner voxels."""
    ranges = [(0, n - 1) for n in dimensions]
    grid = np.stack(np.meshgrid(*ranges, indexing="ij")).reshape(3, -1)
    return np.vstack([grid, np.ones(8)])


def volume_to_sitk(volume: Volume) -> sitk.Image:
    """To a SimpleITK image (LPS); the axes of the volume must be orthogonal, as ITK wants them."""
    lps = RAS_TO_LPS @ volume.ijk_to_ras
    image = sitk.GetImageFromArray(volume.array)
    spacing = volume.spacing
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(x) for x in lps[:3, 3]])
    image.SetDirection([float(x) for x in (lps[:3, :3] / spacing).ravel()])
    return image


def volume_from_sitk(image: sitk.Image, name: str) -> Volume:
    """From a 3-D scalar SimpleITK image (LPS)."""
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image), RAS_TO_LPS @ lps, name)


def resample(
    moving: Volume, reference: Volume, moving_to_fixed: Optional[np.ndarray] = None, nearest: bool = False
) -> Volume:
    """``moving`` on the grid of ``reference``, with zeros where it has no voxels.

    Works in index space, so that sheared or left-handed axes need no special care.

    :param moving_to_fixed: 4×4 in RAS, maps a point of the moving volume to its place in the
        reference (Slicer's transform-to-parent of the moving volume); identity when None.
    :param nearest: nearest neighbor, for masks; otherwise linear.
    :return: float32 (the moving dtype when ``nearest``), with name and unit of ``moving``.
    :raises InputError: the axes of the moving volume do not span space.
    :raises DeviceError: there is not enough memory.
    """
    matrix = np.eye(4) if moving_to_fixed is None else np.asarray(moving_to_fixed, dtype=float)
    check_axes(moving)
    index_map = np.linalg.inv(matrix @ moving.ijk_to_ras) @ reference.ijk_to_ras
    with enough_memory(f'"{moving.name}" on the grid of "{reference.name}"'):
        array = _resampled(moving, reference, index_map, nearest)
    return replace(moving, array=array, ijk_to_ras=reference.ijk_to_ras)


def check_axes(volume: Volume) -> None:
    """:raises InputError: the voxel axes are not numbers or lie in one plane."""
    axes = np.asarray(volume.ijk_to_ras, dtype=float)
    lengths = volume.spacing
    if not np.isfinite(axes).all() or not lengths.all() or abs(np.linalg.det(axes[:3, :3] / lengths)) < 1e-6:
        raise InputError(
            f'"{volume.name}" has no usable position in space: its voxel axes are not independent. '
            "Correct its header, or convert it from the original images again."
        )


def _resampled(moving: Volume, reference: Volume, index_map: np.ndarray, nearest: bool) -> np.ndarray:
    array = moving.array if nearest else np.ascontiguousarray(moving.array, dtype=np.float32)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(index_map[:3, :3].ravel().tolist())
    transform.SetTranslation(index_map[:3, 3].tolist())
    image = sitk.Resample(
        sitk.GetImageFromArray(array),
        [int(n) for n in reference.dimensions],
        transform,
        sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
        [0.0, 0.0, 0.0],
        [1.0, 1.0, 1.0],
        np.eye(3).ravel().tolist(),
        0.0,
    )
    return sitk.GetArrayFromImage(image)


def axial_order(ijk_to_ras: np.ndarray) -> Order:
    """How to turn a (k, j, i) array into axial slices in radiological display order.

    The target axes are (S, P, L): slices from feet to head, rows from front to back, columns from
    the patient's right to left. Each array axis goes to the anatomical axis closest to it, whatever
    the acquisition; nothing is interpolated.

    :return: ``(axes, flips)`` for :func:`to_axial` and :func:`from_axial`.
    """
    directions = (RAS_TO_LPS @ ijk_to_ras)[:3, :3]
    directions = directions / np.linalg.norm(directions, axis=0)

    def fit(order: Tuple[int, ...]) -> Tuple[float, ...]:
        # The largest total |cosine|, so that oblique axes never share a target. At 45° several are equal, but
        # for rounding: then the axes decide by where they point, not by their order in storage.
        turned = [directions[:, order[row]] * np.sign(directions[row, order[row]]) for row in range(3)]
        total = sum(float(turned[row][row]) for row in range(3))
        points = turned[2][1], turned[2][0], turned[1][0]
        return (round(total, 6), *(round(float(component), 6) for component in points))

    best = max(permutations(range(3)), key=fit)
    columns = [best[2], best[1], best[0]]  # the ijk axes that run along S, P, L
    rows = [2, 1, 0]
    flips = tuple(bool(directions[row, column] < 0) for row, column in zip(rows, columns))
    axes = tuple(2 - column for column in columns)  # ijk axis -> axis of the (k, j, i) array
    return axes, flips


def to_axial(array: np.ndarray, order: Order) -> np.ndarray:
    """View of a (k, j, i[, …]) array as axial slices (S, P, L[, …]); see :func:`axial_order`."""
    axes, flips = order
    array = np.transpose(array, tuple(axes) + tuple(range(3, array.ndim)))
    return array[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def from_axial(array: np.ndarray, order: Order) -> np.ndarray:
    """Inverse of :func:`to_axial`; a view."""
    axes, flips = order
    array = array[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.transpose(array, tuple(np.argsort(axes)) + tuple(range(3, array.ndim)))
