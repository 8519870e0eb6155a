"""Intensities on which a metric can rely: hot organs and surface coils must not rule it."""

import threading
from contextlib import contextmanager
from typing import Iterator, Optional

import numpy as np
import SimpleITK as sitk

from ..volumes.geometry import Volume

# Glands, a bladder or a lesion are smaller than this, and a brain is larger: so the intensity that this
# volume exceeds is one of the brain, unless much else is hot. What lies above counts by its logarithm, up to
# a factor.
HOT_ML = 400.0
_HOTTEST = 4.0
_ROBUST_PERCENTILES = (0.1, 99.9)
# Of the field of a coil only what varies over centimeters is taken out; on voxels of this size.
_FIELD_MM = 6.0
_FIELD_ITERATIONS = (8, 6)
# Of the brain's typical intensity; darker voxels tell little about a coil, and have no logarithm.
_DARKEST = 0.05
# A field that changes by more than this part, e to the power of it, is strong; and how it is fitted.
_STRONG, _DEGREE, _FITS, _OUTLIER = 0.9, 4, 4, 0.3


def scale_intensity(volume: Volume) -> np.ndarray:
    """Voxels in [0, 1] between robust extremes, so that one hot voxel does not swallow the histogram."""
    array = np.ascontiguousarray(volume.array, dtype=np.float32)
    step = max(1, array.size // 1_000_000)
    low, high = np.percentile(array.ravel()[::step], _ROBUST_PERCENTILES)
    if not high > low:
        # A small object in an even background can hide from the percentiles.
        low, high = float(array.min()), float(array.max())
    scaled = (array - np.float32(low)) / np.float32(high - low)
    return np.clip(scaled, 0.0, 1.0, out=scaled)


def scale_uptake(volume: Volume) -> np.ndarray:
    """Voxels of a PET in [0, 1]: evenly up to what many have, and by the logarithm above.

    So a brain keeps its contrast beside glands of fifty times its uptake, and striata beside the cortex.
    """
    scaled = scale_intensity(volume)
    step = max(1, scaled.size // 1_000_000)
    sample = scaled.ravel()[::step]
    share = HOT_ML * 1000.0 / (scaled.size * volume.voxel_mm3)
    level = float(np.percentile(sample, 100.0 * (1.0 - min(share, 0.5))))
    if not 0.0 < level < 1.0:
        return scaled
    scaled /= np.float32(level)
    above = scaled > 1.0
    scaled[above] = 1.0 + np.log(np.minimum(scaled[above], _HOTTEST))
    return np.divide(scaled, scaled.max(), out=scaled)


def evened(image: sitk.Image, brain: sitk.Image) -> sitk.Image:
    """An MRI without the field of its coils, as far as the brain shows it.

    A strong field is taken out by a polynomial first, the rest by N4 (N. J. Tustison et al., N4ITK: improved
    N3 bias correction, IEEE Trans Med Imaging 29, 2010).

    :param image: float32, not negative; :param brain: uint8 on its grid, not empty.
    :return: float32, of about the same typical intensity within the brain.
    """
    inside = sitk.GetArrayViewFromImage(brain) > 0
    typical = float(np.median(sitk.GetArrayViewFromImage(image)[inside]))
    if not typical > 0.0:
        return image
    factor = [max(1, int(round(_FIELD_MM / step))) for step in image.GetSpacing()]
    lifted = sitk.Maximum(sitk.BinShrink(image, factor), _DARKEST * typical)
    small = sitk.Resample(brain, lifted, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)
    logs = np.log(sitk.GetArrayFromImage(lifted))
    strong = _smooth_part(logs, sitk.GetArrayViewFromImage(small) > 0)
    if strong is not None:
        lifted = _like(lifted, np.exp(logs - strong))
        grown = sitk.Resample(_like(lifted, strong), image, sitk.Transform(), sitk.sitkLinear)
        image = _without(image, grown)
    with _one_thread():
        method = sitk.N4BiasFieldCorrectionImageFilter()
        method.SetMaximumNumberOfIterations(_FIELD_ITERATIONS)
        method.Execute(lifted, small)
        field = sitk.GetArrayFromImage(method.GetLogBiasFieldAsImage(image))
    # Beyond the brain nothing is known: the spline could run off.
    field = np.clip(field, field[inside].min(), field[inside].max()) - np.median(field[inside])
    return _without(image, _like(image, field))


_threads_lock = threading.Lock()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of sums, and with it the last digits, would vary with the number of threads.

    The filters within N4 know only the number for all filters, not that of the outer one.
    """
    with _threads_lock:
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            yield
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _smooth_part(logs: np.ndarray, inside: np.ndarray) -> Optional[np.ndarray]:
    """What a polynomial of the place explains of logarithms in the brain; None where that is not much.

    :return: (k, j, i), 0 in the middle, no more beyond the brain than within.
    """
    kji = np.argwhere(inside)
    low, high = kji.min(axis=0), kji.max(axis=0)
    scaled = [
        np.clip((np.arange(n) - (a + b) / 2.0) / max((b - a) / 2.0, 1.0), -1.0, 1.0)
        for n, a, b in zip(logs.shape, low, high)
    ]
    powers = [p for p in np.ndindex(*[_DEGREE + 1] * 3) if sum(p) <= _DEGREE]
    places = [axis[index] for axis, index in zip(scaled, kji.T)]
    terms = np.stack([places[0] ** a * places[1] ** b * places[2] ** c for a, b, c in powers], axis=1)
    values, weights = logs[inside], np.ones(len(kji))
    for _ in range(_FITS):
        weighted = terms.T * weights
        # A product of matrices would add in another order with another number of threads.
        square, right = np.einsum("in,nj->ij", weighted, terms), np.einsum("in,n->i", weighted, values)
        solution = np.linalg.lstsq(square, right, rcond=None)[0]
        # Liquor and vessels are no part of the field.
        weights = 1.0 / (1.0 + ((values - terms @ solution) / _OUTLIER) ** 2)
    found = terms @ solution
    if np.subtract(*np.percentile(found, (95, 5))) < _STRONG:
        return None
    field = np.zeros(logs.shape)
    for (a, b, c), weight in zip(powers, solution):
        field += weight * (scaled[0] ** a)[:, None, None] * (scaled[1] ** b)[:, None] * scaled[2] ** c
    return np.clip(field, found.min(), found.max()) - np.median(found)


def _without(image: sitk.Image, log_field: sitk.Image) -> sitk.Image:
    return image * sitk.Exp(sitk.Cast(-1.0 * log_field, sitk.sitkFloat32))


def _like(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array.astype(np.float32))
    result.CopyInformation(image)
    return result
