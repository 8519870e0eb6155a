"""All objects of one result, written into a folder."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volumes.geometry import RAS_TO_LPS, Volume
from .capture import colored_capture, frames_of, pet_capture
from .elements import Context, new_uid, pet_slope, save
from .grid import grid_of
from .relations import blending, registration
from .scalar import fused_series, is_pet, pet_series
from .series import Series, quiet, same_patient

# What is written; a star stands for the number of the slice or frame.
FILES = ("fused/*", "pet_registered/*", "colored.dcm", "blending.dcm", "registration.dcm")


@dataclass(frozen=True)
class Results:
    """One fused pair, as it goes into DICOM; all arrays on the grid of the MRI.

    :param mri: the MRI, in the coordinates of its scanner.
    :param fused: (k, j, i), 0 black and 1 white.
    :param colored: (k, j, i, 3), uint8.
    :param pet: the registered PET, (k, j, i), 0 or more; ``pet_unit`` its unit, see :mod:`volumes.units`.
    :param pet_to_mri: 4×4 in RAS, of the scanners' coordinates; identity when they were taken as the same.
    :param windows: black and white level of the MRI and of the PET.
    :param omega: Ω, the share of color; ``table``: (n, 3), colors in [0, 1].
    :param method: by which the PET was registered; "" when it was taken as registered already.
    :param title: the settings in a few words, ``settings`` all of them, in ASCII; no name of file or patient.
    """

    mri: Volume
    fused: np.ndarray
    colored: np.ndarray
    pet: np.ndarray
    pet_to_mri: np.ndarray
    windows: Tuple[Tuple[float, float], Tuple[float, float]]
    omega: float
    table: np.ndarray
    method: str
    title: str
    settings: str
    pet_unit: str = ""


@quiet()
def check(results: Volume, mri: Series, pet: Optional[Series]) -> None:
    """Refuse what would put an image where it does not belong.

    :param results: the MRI that the results lie on.
    :raises InputError: the MRI is none or lies elsewhere than its series, or the PET is of another patient.
    """
    if not mri.header.get("StudyInstanceUID"):
        raise InputError(f'The DICOM series of "{results.name}" names no study that results could join.')
    modality = str(mri.header.get("Modality") or "")
    if modality != "MR":
        raise InputError(
            f'"{results.name}" is no MRI by its DICOM header ({modality or "which tells no modality"}), and '
            "results would be called one. Use an MRI."
        )
    mri.check_holds(results)
    if pet is not None and not same_patient(mri, pet):
        raise InputError(
            f'By their DICOM headers, "{results.name}" and its PET are of two patients: results cannot go '
            "into a study of one of them. If it is one person, correct the patient's ID, or give the PET as "
            "NIfTI or NRRD."
        )


@quiet()
def write_dicom(
    results: Results, mri: Series, pet: Optional[Series], folder: Path, monitor: Optional[Monitor] = None
) -> None:
    """Write ``fused`` and ``pet_registered`` as series, ``colored``, ``blending`` and ``registration``.

    All join the MRI's study, each a series of its own, with the MRI's patient. The registration is there only
    when the PET came from DICOM, too.

    :raises InputError: see :func:`check`.
    :raises OSError: a file cannot be written.
    """
    check(results.mri, mri, pet)
    monitor, folder = monitor or Monitor(), Path(folder)
    frame_of_reference = mri.frame_of_reference or new_uid()
    now = datetime.datetime.now()
    context = Context(mri, frame_of_reference, results.settings, now)
    grid = grid_of(results.mri)
    matrix = RAS_TO_LPS @ np.asarray(results.pet_to_mri, float) @ RAS_TO_LPS
    count, back = len(grid.order), np.linalg.inv(matrix)
    of_mri = [grid.mri_planes(n, mri) for n in range(count)]
    of_pet = [grid.pet_planes(n, pet, back) for n in range(count)]
    of_both = [first + second for first, second in zip(of_mri, of_pet)]
    done = 0

    def put(objects: Iterator[Tuple[Any, Any]], name: str) -> Tuple[str, List[Any]]:
        nonlocal done
        (folder / name).mkdir(parents=True)
        planes, uid = [], ""
        for n, (made, plane) in enumerate(objects):
            save(made, folder / name / f"{n + 1:04d}.dcm")
            planes.append(plane)
            uid = str(made.SeriesInstanceUID)
            done += 1
            monitor.report("Writing DICOM", done / (2 * count + 2))
        return uid, planes

    put(fused_series(context, grid, results.fused, of_both), "fused")
    if pet is not None and is_pet(pet):
        made = pet_series(context, grid, results.pet, pet, of_pet, results.windows[1], results.pet_unit)
        registered = put(made, "pet_registered")
    else:
        shown = results.windows[1], results.pet_unit
        capture = pet_capture(context, grid, results.pet, pet, *shown)
        (folder / "pet_registered").mkdir(parents=True)
        save(capture, folder / "pet_registered" / "0001.dcm")
        registered = str(capture.SeriesInstanceUID), frames_of(capture, grid)
    both = [*mri.planes, *(pet.planes if pet is not None else [])]
    save(colored_capture(context, grid, results.colored, both, results.title), folder / "colored.dcm")
    slope = float(pet_slope(results.pet))
    state = blending(context, registered, slope, results.windows, results.omega, results.table)
    save(state, folder / "blending.dcm")
    if pet is not None:
        save(registration(context, pet, matrix, results.method), folder / "registration.dcm")
    monitor.report("Writing DICOM", 1.0)
