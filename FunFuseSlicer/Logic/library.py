"""FunFuse as a library: an MRI and a PET in, the fused image, its parts and its colors out.

docs/api.md lists the names that are promised. Nothing here needs Slicer or Qt.
"""

from dataclasses import dataclass
from typing import List, Optional, Union

import numpy as np

from .color.tables import NAMES, named_table
from .errors import InputError
from .fusion.fuser import load_fuser
from .fusion.pipeline import FusionOptions, color_volume, fuse_volumes
from .monitor import Monitor
from .registration import RegistrationOptions, RegistrationResult, register
from .volumes.geometry import Volume, resample
from .volumes.preprocessing import check_overlap, clean, replaced_sentences

__all__ = ["Fused", "FusionOptions", "RegistrationOptions", "fuse"]

Image = Union[np.ndarray, Volume]


@dataclass(frozen=True)
class Fused:
    """What :func:`fuse` gives; arrays are on the MRI's grid, (k, j, i), or (rows, columns) for two of these.

    :param fused: F, float32, 0 is black and 1 is white; not clipped.
    :param mri_part: what came from the MRI; ``pet_part`` likewise, F = MRI part + PET part. None where the
        method gives the fused image alone.
    :param colored: uint8, RGB in the last axis.
    :param pet: the PET on the MRI's grid, float32, in its own unit.
    :param registration: None when none was asked for.
    :param notes: sentences about what was replaced or chosen.
    :param facts: options and checksum of the weights, by name.
    """

    fused: np.ndarray
    mri_part: Optional[np.ndarray]
    pet_part: Optional[np.ndarray]
    colored: np.ndarray
    pet: np.ndarray
    registration: Optional[RegistrationResult]
    notes: List[str]
    facts: dict


def fuse(
    mri: Image,
    pet: Image,
    options: Optional[FusionOptions] = None,
    registration: Optional[RegistrationOptions] = None,
    mask: Optional[Image] = None,
    table: Optional[np.ndarray] = None,
    monitor: Optional[Monitor] = None,
) -> Fused:
    """Register if that is asked for, fuse, and color; what cannot be done is refused with a sentence.

    :param mri: a volume, or an array (k, j, i) or (rows, columns), of any real dtype. NaN and infinite
        voxels become 0, and so do negative ones of the PET; an MRI around zero is raised. ``notes`` say so.
    :param pet: likewise; without registration on the MRI's grid.
    :param options: all of them count; the defaults when None.
    :param registration: how to find where the PET lies on the MRI; None when it lies there.
    :param mask: on the MRI's grid, or a volume on any; where it is 0 is background.
    :param table: (n, 3) colors in [0, 1], low to high, in the place of the options' color map. Names of other
        maps than :data:`tables.NAMES` are known to Slicer alone.
    :raises InputError: an image, its grid or an option that cannot be used.
    :raises ModelError: the weights cannot be used, or were trained for another λ.
    :raises DeviceError: the computer cannot do it, as for want of PyTorch, where a choice needs that.
    :raises RegistrationError: no plausible place was found.
    :raises Cancelled: the monitor was asked to stop.
    """
    options = FusionOptions() if options is None else options
    if not isinstance(options, FusionOptions):
        raise InputError(f"The options are a {type(options).__name__}: give FusionOptions.")
    if options.reference_at is not None and options.uptake_range is None:
        raise InputError(
            "No reference region is measured here: give uptake_range, which range_at makes of its mean."
        )
    colors = _color_table(options.colormap, table)
    fuser = load_fuser(options)
    flat = np.ndim(getattr(mri, "array", mri)) == 2
    mri_given, pet_given = _volume(mri, "MRI"), _volume(pet, "PET")
    _check_grids(mri_given, pet_given, registration, isinstance(mri, Volume) and isinstance(pet, Volume))
    ranges = mri_given.array.dtype, pet_given.array.dtype
    (mri_clean, replaced), (pet_clean, also_replaced) = clean(mri_given, mri=True), clean(pet_given)
    notes = replaced_sentences([(mri_given.name, replaced), (pet_given.name, also_replaced)])
    result = None
    if registration is not None:
        result = register(mri_clean, pet_clean, registration, monitor)
        pet_clean = resample(pet_clean, mri_clean, result.matrix)
        check_overlap(pet_clean.array, mri_clean, pet_clean.name, "check the choice of volumes.")
    inside = None if mask is None else _mask(mask, mri_clean)
    fusion = fuse_volumes(mri_clean, pet_clean, fuser.runner, options, ranges, inside, monitor)
    arrays = (fusion.fused, fusion.mri_part, fusion.pet_part, color_volume(fusion, options, colors))
    shown = [array if array is None or not flat else array[0] for array in (*arrays, pet_clean.array)]
    facts = {**options.facts(), **fuser.facts()}
    return Fused(*shown, result, [*notes, *fusion.slices.notes], facts)


def _volume(image: Image, name: str) -> Volume:
    """:raises InputError: it is no image, or one of other dimensions or other numbers."""
    volume = image if isinstance(image, Volume) else Volume(np.asarray(image), name=name)
    array = volume.array
    if array.dtype.kind not in "biuf":
        raise InputError(f'"{volume.name}" holds no real numbers ({array.dtype}): give such an array.')
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise InputError(
            f'"{volume.name}" has {array.ndim} dimensions: give an array (k, j, i) or (rows, columns), of a '
            "dynamic PET one frame or the mean of all."
        )
    return volume.with_array(array)


def _check_grids(mri: Volume, pet: Volume, registration, placed: bool) -> None:
    """:raises InputError: they do not lie on one grid, or cannot be registered."""
    if registration is not None:
        if not placed:
            raise InputError(
                "Arrays have no place in space to begin a registration from: give two Volumes, each with its "
                "ijk_to_ras."
            )
        return
    if mri.array.shape != pet.array.shape:
        raise InputError(
            f'"{mri.name}" has {_size(mri)} voxels and "{pet.name}" {_size(pet)}: give images of one size, '
            "or two Volumes and a registration."
        )
    if placed and not mri.same_grid(pet):
        raise InputError(
            f'"{mri.name}" and "{pet.name}" lie on different grids: give a registration, or where they lie '
            "on each other resample(pet, mri)."
        )


def _mask(mask: Image, mri: Volume) -> np.ndarray:
    """:raises InputError: an array of another size than the MRI."""
    if isinstance(mask, Volume):
        return resample(_volume(mask, "mask"), mri, nearest=True).array
    volume = _volume(mask, "mask")
    if volume.array.shape != mri.array.shape:
        raise InputError(
            f'The mask has {_size(volume)} voxels, "{mri.name}" {_size(mri)}: give one of its size.'
        )
    return volume.array


def _color_table(name: str, table: Optional[np.ndarray]) -> np.ndarray:
    """:raises InputError: a name that only Slicer knows, or what is no table."""
    if table is None:
        table = named_table(name)
    if table is None:
        raise InputError(
            f'The color map "{name}" is Slicer\'s: give its colors as table, or one of {", ".join(NAMES)}.'
        )
    colors = np.asarray(table, dtype=float)
    if colors.ndim != 2 or colors.shape[0] < 2 or colors.shape[1] != 3:
        raise InputError(f"A color table has two rows or more, each of 3 numbers, and not {colors.shape}.")
    if not (np.isfinite(colors).all() and colors.min() >= 0 and colors.max() <= 1):
        raise InputError("A color table holds numbers from 0 to 1.")
    return colors


def _size(volume: Volume) -> str:
    return " × ".join(map(str, volume.array.shape))
