"""What is in regions: the PET on its own grid, before any interpolation, and images of the MRI's grid."""

from dataclasses import replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volumes.geometry import Volume
from ..volumes.regions import Regions

STAGE = "Measuring"

# The image that is measured where it was taken.
PET = "PET"

Row = Dict[str, Union[str, int, float]]


def region_rows(
    regions: Sequence[Regions],
    pet: Volume,
    matrix: Optional[np.ndarray],
    on_grid: Mapping[str, Volume],
    monitor: Optional[Monitor] = None,
) -> List[Row]:
    """Voxels, volume, mean, standard deviation, least, largest and median of each image in each region.

    A voxel belongs to the region in which its center lies (nearest neighbor). Regions of the MRI come to the
    PET through the inverse of the registration, so that its values are those of the scanner's software.

    :param pet: before it was registered; voxels that are NaN or infinite do not count.
    :param matrix: 4×4 in RAS, PET to MRI; None where it lies there.
    :param on_grid: images by name, all on one grid, that of the MRI.
    :return: a row for each region and image, in the order of labels, the PET first. ``volume_ml`` is of the
        image's voxels; ``sd`` is that of a sample (n - 1), as in Slicer's Segment Statistics. Numbers that
        there are not, such as the mean of no voxel, are NaN.
    :raises InputError: a label is no whole number, or there is no region at all.
    """
    monitor = monitor or Monitor()
    rows: List[Row] = []
    for number, given in enumerate(regions):
        monitor.report(STAGE, number / len(regions))
        some = replace(given, labels=_whole(given.labels))
        found = np.unique(some.labels.array)
        wanted = [int(label) for label in found if label]
        on_pet = _values(some.on_pet(pet, matrix), {PET: pet})
        others: Dict[Tuple[int, str], np.ndarray] = {}
        if on_grid:
            others = _values(some.on_mri(next(iter(on_grid.values())), matrix), on_grid)
        for label in wanted:
            name = some.names.get(label) or f"label {label}"
            for image, volume in ((PET, pet), *on_grid.items()):
                values = (on_pet if image == PET else others).get((label, image), np.empty(0))
                place: Row = {"region": name, "label": label, "image": image, "unit": volume.unit}
                rows.append({**place, **_statistics(values, volume)})
    if not rows:
        raise InputError("There is no region: all labels are 0. Draw or choose one.")
    return rows


def _whole(labels: Volume) -> Volume:
    """The labels as whole numbers that can be resampled."""
    array = np.asarray(labels.array)
    whole = array if array.dtype.kind in "iu" else np.rint(array)
    if not np.array_equal(whole, array) or np.abs(whole).max(initial=0) > np.iinfo(np.int32).max:
        raise InputError(
            f'"{labels.name}" has values that are no labels: give an image of whole numbers, 0 outside of '
            "all regions."
        )
    return labels.with_array(whole.astype(np.int32))


def _values(labels: np.ndarray, images: Mapping[str, Volume]) -> Dict[Tuple[int, str], np.ndarray]:
    """The finite values of each image in each region, by label and name of the image."""
    return {
        (label, name): values[np.isfinite(values)]
        for label, voxels in _voxels(labels)
        for name, volume in images.items()
        for values in [np.asarray(volume.array.ravel()[voxels], dtype=float)]
    }


def _voxels(labels: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
    """The flat indices of each label but 0."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    inside = inside[np.argsort(flat[inside], kind="stable")]
    found, starts = np.unique(flat[inside], return_index=True)
    for label, voxels in zip(found, np.split(inside, starts[1:])):
        yield int(label), voxels


def _statistics(values: np.ndarray, volume: Volume) -> Row:
    none = float("nan")
    return {
        "voxels": values.size,
        "volume_ml": values.size * volume.voxel_mm3 / 1000.0,
        "mean": float(values.mean()) if values.size else none,
        "sd": float(values.std(ddof=1)) if values.size > 1 else none,
        "min": float(values.min()) if values.size else none,
        "max": float(values.max()) if values.size else none,
        "median": float(np.median(values)) if values.size else none,
    }
