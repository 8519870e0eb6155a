"""Turns any usable volume into small, clean, isotropic images that registration can work on.

Everything in this package works in RAS millimeters: the working images carry RAS coordinates where
ITK expects LPS, which is harmless, since both images do, and spares every matrix two conversions.
"""

from dataclasses import dataclass, replace
from typing import Iterable, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from ..volumes.brain import estimate_brain
from ..volumes.geometry import Volume
from .contrast import evened, scale_intensity, scale_uptake

MINIMUM_VOXELS = 5
MINIMUM_EXTENT_MM = 40.0
MAXIMUM_EXTENT_MM = 2500.0
REMEDY = "If the PET already lies on the MRI, take it as already registered."

_MASK_SPACING_MM = 4.0
_CLOSING_MM = 12.0
# The brain and what is close to it gives the scale of an MRI.
_SCALED_BY_MM = 6.0
# And the hottest part of it that of a PET.
_HOT_PERCENTILE, _HEADROOM = 99.5, 1.1


@dataclass(frozen=True)
class WorkingImage:
    """An isotropic copy of a volume, with robustly scaled voxels.

    :param image: float32 in [0, 1], coordinates in RAS millimeters; 0 is background.
    :param mask: uint8 on the same grid, 1 where the head is, or the brain.
    :param center: center of that in RAS millimeters, (3,).
    :param name: what the user calls the volume.
    :param voxel_mm: (3,) edges of the volume's voxels along the same axes: where these are larger than those
        of the image, it is as smooth already.
    :param brain: whether the mask is the brain alone.
    """

    image: sitk.Image
    mask: sitk.Image
    center: np.ndarray
    name: str
    voxel_mm: np.ndarray
    brain: bool = False

    @property
    def spacing(self) -> float:
        """Edge of a voxel in millimeters."""
        return float(self.image.GetSpacing()[0])


def check_volume(volume: Volume) -> None:
    """Refuse what cannot be registered.

    :raises InputError: not 3-D, too few voxels or too small or large in space, a singular geometry,
        values that are not finite, or no contrast.
    """
    array = np.asarray(volume.array)
    name = f"'{volume.name}'"
    if array.ndim != 3:
        raise InputError(f"{name} has {array.ndim} dimensions; registration needs a single 3-D volume.")
    geometry = np.asarray(volume.ijk_to_ras, dtype=float)
    if geometry.shape != (4, 4) or not np.isfinite(geometry).all() or _degenerate(geometry):
        raise InputError(f"{name} has no usable position in space: its voxel axes are not independent.")
    if min(array.shape) < MINIMUM_VOXELS:
        raise InputError(
            f"{name} is too small to be registered: {_times(volume.dimensions)} voxels, but at least "
            f"{MINIMUM_VOXELS} are needed along each axis. {REMEDY}"
        )
    extent = volume.spacing * np.array(volume.dimensions)
    if extent.min() < MINIMUM_EXTENT_MM:
        raise InputError(
            f"{name} is too small to be registered: it covers {_times(np.round(extent).astype(int))} mm, "
            f"but at least {MINIMUM_EXTENT_MM:g} mm are needed along each axis. {REMEDY}"
        )
    if extent.max() > MAXIMUM_EXTENT_MM:
        raise InputError(
            f"{name} covers {_times(np.round(extent).astype(int))} mm, which no head does. "
            "Correct its voxel size and load it again."
        )
    if not np.isfinite(array).all():
        raise InputError(f"{name} contains values that are not numbers or infinite; replace them first.")
    if array.min() == array.max():
        raise InputError(f"{name} cannot be registered: all its voxels are {array.flat[0]:g}.")


def check_within_reach(fixed: Volume, moving: Volume) -> None:
    """Refuse volumes whose fields of view have no point in common: mostly they do not belong together.

    :raises InputError: they are apart; it says by how much, and what can be done.
    """
    corners = _corner_points(fixed), _corner_points(moving)
    edges = [np.asarray(volume.ijk_to_ras)[:3, :3] for volume in (fixed, moving)]
    normals = [np.cross(e[:, a], e[:, b]) for e in edges for a, b in ((0, 1), (0, 2), (1, 2))]
    normals += [np.cross(edges[0][:, a], edges[1][:, b]) for a in range(3) for b in range(3)]
    for normal in normals:
        # Two boxes are apart exactly when their shadows are, along one of these directions.
        first, second = (points @ normal for points in corners)
        gap = max(second.min() - first.max(), first.min() - second.max())
        if gap > 1e-9 * np.linalg.norm(normal):
            distance = np.linalg.norm(corners[0].mean(axis=0) - corners[1].mean(axis=0))
            raise InputError(
                f"'{moving.name}' and '{fixed.name}' do not overlap in space: their centers lie "
                f"{distance:.0f} mm apart. Check that both show the same patient. If they do, center both "
                "volumes first, or allow volumes that are far apart."
            )


def prepare(volume: Volume, spacing: float) -> WorkingImage:
    """The working image of a checked volume at ``spacing`` millimeters; its mask is the head.

    :raises InputError: no head stands out.
    """
    image = _isotropic(scale_intensity(volume), np.asarray(volume.ijk_to_ras, dtype=float), spacing)
    return _working(image, _head_mask(image, volume.name), volume, False)


def prepare_mri(volume: Volume, spacing: float) -> WorkingImage:
    """The working image of a checked MRI at ``spacing`` millimeters: its mask is the brain, and what a coil
    makes of the intensities is taken out. Where no brain is found, the mask is the head.

    :raises InputError: no head stands out.
    """
    found = estimate_brain(volume)
    if found is None:
        return prepare(volume, spacing)
    geometry = np.asarray(volume.ijk_to_ras, dtype=float)
    image = _isotropic(scale_intensity(volume), geometry, spacing)
    brain = _isotropic(found.astype(np.float32), geometry, spacing) > 0.5
    image = evened(image, brain)
    around = dilate(brain, _SCALED_BY_MM)
    near = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(around) > 0]
    image = sitk.Clamp(image / max(float(np.percentile(near, 99.5)), 1e-9), sitk.sitkFloat32, 0.0, 1.0)
    return _working(image, brain, volume, True)


def prepare_pet(volume: Volume, spacing: float) -> WorkingImage:
    """The working image of a checked PET at ``spacing`` millimeters; its mask is all that stands out.

    :raises InputError: nothing does.
    """
    image = _isotropic(scale_uptake(volume), np.asarray(volume.ijk_to_ras, dtype=float), spacing)
    return _working(image, _head_mask(image, volume.name), volume, False)


def _working(image: sitk.Image, mask: sitk.Image, volume: Volume, brain: bool) -> WorkingImage:
    return WorkingImage(image, mask, mask_center(mask), volume.name, volume.spacing, brain)


def scaled_by_brain(fixed: WorkingImage, moving: WorkingImage, matrix: np.ndarray) -> WorkingImage:
    """The PET with 1 a little above the hottest of the brain, which lies there by a rough matrix.

    :param matrix: 4×4 RAS, moving to fixed.
    """
    kji = np.argwhere(sitk.GetArrayViewFromImage(fixed.mask))
    points = indices_to_ras(fixed.mask, kji[:: max(1, len(kji) // 20_000), ::-1].astype(float))
    inverse = np.linalg.inv(matrix)
    indices = ras_to_indices(moving.image, points @ inverse[:3, :3].T + inverse[:3, 3])
    values = ndimage.map_coordinates(
        sitk.GetArrayViewFromImage(moving.image), indices.T[::-1], order=1, mode="constant", cval=0.0
    )
    hot = _HEADROOM * float(np.percentile(values, _HOT_PERCENTILE))
    if not 0.0 < hot < 1.0:
        return moving
    return replace(moving, image=sitk.Clamp(moving.image / hot, sitk.sitkFloat32, 0.0, 1.0))


def coarsen(working: WorkingImage, spacing: float) -> WorkingImage:
    """The same at a larger voxel size, smoothed against aliasing."""
    source = working.image
    factor = spacing / working.spacing
    size = [max(2, int(np.ceil(n / factor))) for n in source.GetSize()]
    # Keep the corner of the field of view, not the center of the first voxel, in place.
    shift = (spacing - working.spacing) / 2.0
    direction = np.reshape(source.GetDirection(), (3, 3))
    origin = np.asarray(source.GetOrigin()) + direction @ np.full(3, shift)
    edges = np.full(3, working.spacing)
    smooth = _smooth(source, edges, np.maximum(edges, working.voxel_mm), spacing)
    grid = (size, sitk.Transform(), sitk.sitkLinear, origin.tolist(), [spacing] * 3, source.GetDirection())
    image = sitk.Resample(smooth, *grid, 0.0, sitk.sitkFloat32, True)
    grid = grid[:2] + (sitk.sitkNearestNeighbor,) + grid[3:]
    mask = sitk.Resample(working.mask, *grid, 0.0, sitk.sitkUInt8, True)
    return replace(working, image=image, mask=mask)


def dilate(mask: sitk.Image, margin_mm: float) -> sitk.Image:
    """The mask grown by ``margin_mm``, by distance, so that the cost does not depend on the margin."""
    distance = sitk.SignedMaurerDistanceMap(
        mask, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    return distance <= margin_mm


def mask_center(mask: sitk.Image) -> np.ndarray:
    """Mean RAS position of the voxels of a mask that are set."""
    kji = np.argwhere(sitk.GetArrayViewFromImage(mask))
    return indices_to_ras(mask, kji.mean(axis=0)[None, ::-1])[0]


def indices_to_ras(image: sitk.Image, indices: np.ndarray) -> np.ndarray:
    """(n, 3) indices (i, j, k), fractions allowed, to (n, 3) RAS millimeters."""
    axes = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    return indices @ axes.T + np.asarray(image.GetOrigin())


def ras_to_indices(image: sitk.Image, points: np.ndarray) -> np.ndarray:
    """Inverse of :func:`indices_to_ras`."""
    axes = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    return (points - np.asarray(image.GetOrigin())) @ np.linalg.inv(axes).T


def _degenerate(geometry: np.ndarray) -> bool:
    axes = geometry[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    return bool((lengths <= 0).any() or abs(np.linalg.det(axes / lengths)) < 0.1)


def _times(numbers: Iterable[float]) -> str:
    return "×".join(str(int(n)) for n in numbers)


def orthogonal_grid(volume: Volume, spacing: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A right-handed orthogonal grid along a volume's own axes that covers all of it.

    ITK images cannot be sheared, so the closest rotation replaces the axes.

    :param spacing: (3,) voxel size in millimeters.
    :return: number of voxels along i, j, k; (3, 3) directions in RAS as columns; RAS of the first voxel.
    """
    axes = np.asarray(volume.ijk_to_ras, dtype=float)[:3, :3]
    left, _, right = np.linalg.svd(axes / np.linalg.norm(axes, axis=0))
    direction = left @ right
    if np.linalg.det(direction) < 0:
        direction[:, 2] *= -1
    along = _corner_points(volume) @ direction
    low, high = along.min(axis=0), along.max(axis=0)
    size = np.maximum(2, np.round((high - low) / spacing)).astype(int)
    return size, direction, direction @ ((low + high) / 2.0 - (size - 1) * spacing / 2.0)


def _isotropic(array: np.ndarray, ijk_to_ras: np.ndarray, spacing: float) -> sitk.Image:
    """Resample to cubes on an orthogonal grid."""
    size, direction, origin = orthogonal_grid(Volume(array, ijk_to_ras), np.full(3, float(spacing)))
    axes = ijk_to_ras[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    image = _smooth(sitk.GetImageFromArray(array), lengths, lengths, spacing)
    to_index = np.linalg.inv(axes)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_index.ravel().tolist())
    transform.SetTranslation((-to_index @ ijk_to_ras[:3, 3]).tolist())
    return sitk.Resample(
        image,
        size.tolist(),
        transform,
        sitk.sitkLinear,
        origin.tolist(),
        [float(spacing)] * 3,
        direction.ravel().tolist(),
        0.0,
        sitk.sitkFloat32,
        True,
    )


def _corner_points(volume: Volume) -> np.ndarray:
    """(8, 3) RAS millimeters: corners of the outer voxels, not their centers."""
    bits = np.array([[(n >> axis) & 1 for axis in range(3)] for n in range(8)], dtype=float)
    geometry = np.asarray(volume.ijk_to_ras, dtype=float)
    return (bits * np.array(volume.dimensions) - 0.5) @ geometry[:3, :3].T + geometry[:3, 3]


def _smooth(image: sitk.Image, voxel_mm: np.ndarray, smooth_mm: np.ndarray, target_mm: float) -> sitk.Image:
    """Blur along those axes along which it is not as smooth as voxels of the target are.

    :param image: read by index; :param voxel_mm: (3,) edges of its voxels.
    :param smooth_mm: (3,) it is as smooth already as voxels of these edges.
    """
    smooth = sitk.Image(image)
    spacing = [1.0, 1.0, 1.0]
    smooth.SetSpacing(spacing)
    for axis in range(3):
        if target_mm > 1.1 * smooth_mm[axis] and image.GetSize()[axis] >= 4:
            sigma = 0.5 * np.sqrt(target_mm**2 - smooth_mm[axis] ** 2) / voxel_mm[axis]
            smooth = sitk.RecursiveGaussian(smooth, float(sigma), direction=axis)
    smooth.SetSpacing(image.GetSpacing())
    return smooth


def _head_mask(image: sitk.Image, name: str) -> sitk.Image:
    """The head: Otsu threshold, largest part, closed and filled."""
    spacing = image.GetSpacing()[0]
    factor = max(1, int(round(_MASK_SPACING_MM / spacing)))
    coarse = sitk.GetArrayFromImage(sitk.BinShrink(image, [factor] * 3) if factor > 1 else image)
    voxel = spacing * factor
    mask = coarse > _otsu(coarse)
    labels, count = ndimage.label(mask)
    if count == 0:
        raise InputError(f"No head stands out from the background of '{name}'. {REMEDY}")
    mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    margin = int(np.ceil(_CLOSING_MM / voxel))
    padded = np.pad(mask, margin + 1)
    outside = ndimage.distance_transform_edt(~padded, sampling=voxel)
    closed = ndimage.distance_transform_edt(outside <= _CLOSING_MM, sampling=voxel) > _CLOSING_MM
    closed = ndimage.binary_fill_holes(closed | padded)
    core = (slice(margin + 1, -margin - 1),) * 3
    small = sitk.GetImageFromArray(closed[core].astype(np.uint8))
    # BinShrink drops an incomplete last block; its center offset is half a block.
    small.SetSpacing([voxel] * 3)
    small.SetDirection(image.GetDirection())
    offset = indices_to_ras(image, np.full((1, 3), (factor - 1) / 2.0))[0]
    small.SetOrigin(offset.tolist())
    return sitk.Resample(small, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8, True)


def _otsu(array: np.ndarray) -> float:
    """Threshold between the two classes of values whose means differ most, by Otsu's criterion."""
    counts, edges = np.histogram(array, bins=128, range=(0.0, 1.0))
    centers = (edges[:-1] + edges[1:]) / 2.0
    below = np.cumsum(counts)
    above = below[-1] - below
    mean_below = np.cumsum(counts * centers)
    mean_above = mean_below[-1] - mean_below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mean_below / below - mean_above / above) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def bounding_box(mask: sitk.Image) -> Tuple[list, list]:
    """Start and size, along i, j, k, of the part of a mask that is set."""
    kji = np.argwhere(sitk.GetArrayViewFromImage(mask))
    low, high = kji.min(axis=0)[::-1], kji.max(axis=0)[::-1]
    return low.tolist(), (high - low + 1).tolist()
