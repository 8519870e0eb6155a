"""Which study the results of a run go into, as DICOM; and that it is the right one."""

from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from FunFuseSlicer.Logic.dicom.series import Series, read_series
from FunFuseSlicer.Logic.dicom.write import check
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample

from ..reading.reader import Reading, read

# An MRI that was converted, stripped of its skull or freed of a bias correlates with itself by much more.
LEAST_CORRELATION = 0.7


class Study(NamedTuple):
    """The series that MRI and PET came from; None for a PET that came from elsewhere."""

    mri: Series
    pet: Optional[Series]


def study_of(mri: Reading, pet: Reading, folder: Optional[Path]) -> Study:
    """The study of a pair.

    :param folder: of the series that the MRI was converted from, when it is no DICOM itself.
    :raises InputError: there is none, it is of another image or place, or the PET is another patient's.
    """
    original = mri if folder is None else read(folder, modalities=("MR",))
    name = mri.volume.name
    if not original.files:
        raise InputError(
            f'"{name}" is no DICOM, so there is no study that results could join: give the series as --mri, '
            "or the folder of the series that it was converted from as --dicom-mri."
        )
    study = Study(
        read_series(original.files, original.volume.name),
        read_series(pet.files, pet.volume.name) if pet.files else None,
    )
    check(mri.volume, study.mri, study.pet)
    if folder is not None:
        _check_same(mri.volume, original.volume)
    return study


def _check_same(mri: Volume, original: Volume) -> None:
    """:raises InputError: they are not one image in one place."""
    inside = mri.array != 0
    values = mri.array[inside], resample(original, mri).array[inside]
    spread = min(float(np.std(value)) if value.size else 0.0 for value in values)
    correlation = float(np.corrcoef(*values)[0, 1]) if spread > 0 else 0.0
    if correlation < LEAST_CORRELATION:
        raise InputError(
            f'"{original.name}" is not the series that "{mri.name}" was converted from, or the latter was '
            f"moved since: the images correlate by {correlation:.2f}. Give the MRI's own as --dicom-mri."
        )
