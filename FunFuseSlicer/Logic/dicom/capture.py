"""Multi-frame Secondary Capture: the colored volume, and a PET that DICOM does not tell what it is of.

One file for a volume, with the place of each frame (PS3.3 A.8.4 and A.8.5).
"""

from typing import Any, List, Optional, Tuple

import numpy as np

from .elements import (
    PET_HIGHEST,
    Context,
    image_object,
    new_uid,
    number,
    pet_slope,
    real_world,
    resampled,
    sources,
    stored_pet,
)
from .grid import Grid, letters, measures, pixels, position
from .series import Plane, Series
from .units import code_of

TRUE_COLOR = "1.2.840.10008.5.1.4.1.1.7.4"
GRAYSCALE_WORD = "1.2.840.10008.5.1.4.1.1.7.3"


def colored_capture(
    context: Context, grid: Grid, colored: np.ndarray, source_planes: List[Plane], description: str
) -> Any:
    """RGB frames as they are shown.

    :param colored: (k, j, i, 3), uint8.
    :param description: what the series is called, for its settings.
    """
    result = _capture(context, grid, TRUE_COLOR, "OT", 3, description, source_planes)
    pixels(result, grid, 8, color=True)
    result.PixelData = _even(colored[grid.order].tobytes())
    return result


def pet_capture(
    context: Context,
    grid: Grid,
    pet: np.ndarray,
    source: Optional[Series],
    window: Tuple[float, float],
    unit: str = "",
) -> Any:
    """The registered PET, when it was no DICOM PET: what PET Image Storage has to tell is not known.

    It tells real world values; readers that do not know these show stored values, since the rescale slope of
    this kind of object is always 1.

    :param pet: (k, j, i), 0 or more.
    :param source: its series, if it has one.
    :param window: shown black and white.
    :param unit: of the values, see :mod:`volumes.units`.
    """
    description, slope = "PET registered to the MRI", float(pet_slope(pet))
    modality, units, planes = "OT", code_of(unit, source), []
    if source is not None:
        modality, planes = str(source.header.get("Modality") or "OT"), source.planes
    result = _capture(context, grid, GRAYSCALE_WORD, modality, 2, description, planes)
    pixels(result, grid, 16)
    result.RescaleIntercept, result.RescaleSlope, result.RescaleType = number(0), number(1), "US"
    result.PresentationLUTShape = "IDENTITY"
    center, width = sum(window) / 2 / slope, max((window[1] - window[0]) / slope, 1.0)
    result.WindowCenter, result.WindowWidth = number(center), number(width)
    result.RealWorldValueMappingSequence = [real_world(units, description, slope, PET_HIGHEST)]
    result.PixelData = stored_pet(pet[grid.order], slope)
    return result


def frames_of(capture: Any, grid: Grid) -> List[Plane]:
    """How to refer to its frames."""
    uids = str(capture.SOPClassUID), str(capture.SOPInstanceUID)
    steps = grid.axes * grid.spacing
    return [Plane(*uids, n + 1, corner, steps, grid.size) for n, corner in enumerate(grid.corners)]


def _capture(
    context: Context,
    grid: Grid,
    sop_class: str,
    modality: str,
    number_of_series: int,
    description: str,
    source_planes: List[Plane],
) -> Any:
    result = image_object(context, sop_class, modality, number_of_series, description, new_uid())
    result.ConversionType = "WSD"
    result.PatientOrientation = [letters(axis) for axis in grid.axes.T]
    result.NumberOfFrames = len(grid.order)
    if len(grid.order) > 1:
        result.FrameIncrementPointer = 0x52009230  # the per-frame functional groups
    # Of all frames together: functional groups of this kind of object tell places only (PS3.3 Table A.8-5b).
    if source_planes:
        result.SourceImageSequence = sources(source_planes)
    result.DerivationCodeSequence = resampled()
    result.SharedFunctionalGroupsSequence = [measures(grid)]
    result.PerFrameFunctionalGroupsSequence = [position(grid, n) for n in range(len(grid.order))]
    return result


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
