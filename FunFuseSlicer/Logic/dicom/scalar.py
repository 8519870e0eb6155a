"""The fused volume as an MR series, the registered PET as a PT series: a file a slice.

Parametric maps would tell units for any modality, but GDCM, and with it Slicer and ITK, cannot read them.
"""

from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from .elements import (
    PET_HIGHEST,
    Context,
    copy,
    image_object,
    new_uid,
    number,
    numbers,
    pet_slope,
    real_world,
    resampled,
    sources,
    stored_pet,
)
from .grid import Grid, pixels, place
from .series import MR, PET, Plane, Series
from .units import name_units, unitless, units_of

# What is stored of a fused volume: F in ten thousandths, so that series compare; ± 3.27 in 16 bits.
FUSED_STEP = 1e-4

# PET Series, PET Isotope and PET Image modules (PS3.3 C.8.9) as far as they are still true of the registered
# PET: what SUV is computed from, with the date and time of the series and the patient's weight of that day.
OF_THE_PET = (
    "Units SUVType CountsSource CorrectedImage RandomsCorrectionMethod AttenuationCorrectionMethod",
    "DecayCorrection ReconstructionMethod ScatterCorrectionMethod CollimatorType ConvolutionKernel",
    "RadiopharmaceuticalInformationSequence InterventionDrugInformationSequence SeriesDate SeriesTime",
    "AcquisitionDate AcquisitionTime FrameReferenceTime ActualFrameDuration DoseCalibrationFactor",
    "DecayFactor PatientWeight PatientSize",
    "PatientOrientationCodeSequence PatientGantryRelationshipCodeSequence",
)
OF_ANY_PET = ("Units", "CountsSource", "DecayCorrection", "SeriesDate", "SeriesTime", "FrameReferenceTime")
OF_THE_MRI = (
    "ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime EchoTrainLength",
    "InversionTime MagneticFieldStrength AcquisitionDate AcquisitionTime",
)

Stored = Iterator[Tuple[Any, Plane]]


def fused_series(context: Context, grid: Grid, fused: np.ndarray, source_planes: List[List[Plane]]) -> Stored:
    """MR Image objects (PS3.3 A.4), one a slice.

    :param fused: (k, j, i), dimensionless; stored to 5e-5.
    :param source_planes: for each plane of the grid.
    """
    series_uid = new_uid()
    for n, k in enumerate(grid.order):
        result = image_object(context, MR, "MR", 1, "fused MRI + PET", series_uid)
        result.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        copy(context.mri.header, result, OF_THE_MRI)
        # Those of an enhanced MRI are elsewhere, and research mode is true of any.
        for keyword, otherwise in (("ScanningSequence", "RM"), ("SequenceVariant", "NONE")):
            if not result.get(keyword):
                setattr(result, keyword, otherwise)
        for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
            if keyword not in result:
                setattr(result, keyword, None)
        pixels(result, grid, 16, signed=True)
        stored = np.clip(np.rint(fused[k].astype(float) / FUSED_STEP), -32768, 32767).astype("<i2")
        result.PixelData = stored.tobytes()
        result.WindowCenter, result.WindowWidth = numbers([0.5 / FUSED_STEP, 1 / FUSED_STEP])
        mapping = real_world(unitless(), "fused MRI + PET, 0 black, 1 white", FUSED_STEP, 32767, -32768)
        result.RealWorldValueMappingSequence = [mapping]
        yield _finished(result, grid, n, source_planes[n])


def pet_series(
    context: Context,
    grid: Grid,
    pet: np.ndarray,
    source: Series,
    source_planes: List[List[Plane]],
    window: Tuple[float, float],
    unit: str = "",
) -> Stored:
    """Positron Emission Tomography Image objects (PS3.3 A.21), one a slice, of a PET of that kind.

    :param pet: (k, j, i), 0 or more, in the source's own unit or in SUV.
    :param source: see :func:`is_pet`.
    :param window: shown black and white.
    :param unit: of the values, see :mod:`volumes.units`.
    """
    series_uid, count = new_uid(), len(grid.order)
    slope = pet_slope(pet)
    for n, k in enumerate(grid.order):
        result = image_object(context, PET, "PT", 2, "PET registered to the MRI", series_uid)
        copy(source.header, result, OF_THE_PET)
        if source.is_dynamic:
            # The mean of its frames, or one of them.
            result.ActualFrameDuration = None
        result.ImageType = ["DERIVED", "PRIMARY"]  # as all of this kind (PS3.3 C.8.9.4.1.1)
        if "PatientPosition" in result:
            del result.PatientPosition  # in this kind of object the following tell it
        for keyword in ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence"):
            if keyword not in result:
                setattr(result, keyword, [])
        if "DecayFactor" not in result and result.get("DecayCorrection", "NONE") == "START":
            result.DecayFactor = number(_decay(source.header))
        for keyword in ("CorrectedImage", "CollimatorType", "ActualFrameDuration", "AcquisitionDate"):
            if keyword not in result:
                setattr(result, keyword, None)
        result.SeriesType = ["STATIC", "IMAGE"]
        result.NumberOfSlices, result.ImageIndex = count, n + 1
        pixels(result, grid, 16)
        result.PixelData = stored_pet(pet[k], slope)
        result.RescaleIntercept, result.RescaleSlope = number(0), slope
        result.WindowCenter, result.WindowWidth = numbers([sum(window) / 2, max(window[1] - window[0], 1e-9)])
        name_units(result, unit)
        mapping = real_world(units_of(result), "PET registered to the MRI", float(slope), PET_HIGHEST)
        result.RealWorldValueMappingSequence = [mapping]
        yield _finished(result, grid, n, source_planes[n])


def _decay(header: Any) -> float:
    """The factor from the start of a series to the time of its counts (PS3.3 C.8.9.4.1.3); 1 if unknown."""
    nuclides = list(header.get("RadiopharmaceuticalInformationSequence") or [])[:1]
    half_life = float(nuclides[0].get("RadionuclideHalfLife") or 0) if nuclides else 0.0
    seconds = float(header.get("FrameReferenceTime") or 0) / 1000
    return float(2 ** (seconds / half_life)) if half_life > 0 else 1.0


def _finished(result: Any, grid: Grid, n: int, planes: List[Plane]) -> Tuple[Any, Plane]:
    """With its place and its sources; and how to refer to it."""
    result.InstanceNumber = n + 1
    if planes:
        result.SourceImageSequence = sources(planes)
    result.DerivationCodeSequence = resampled()
    place(result, grid, n)
    plane = Plane(
        str(result.SOPClassUID),
        str(result.SOPInstanceUID),
        None,
        grid.corners[n],
        grid.axes * grid.spacing,
        grid.size,
    )
    return result, plane


def is_pet(source: Optional[Series]) -> bool:
    """Whether a PET's own series is of the kind that :func:`pet_series` makes, and tells what these must."""
    return source is not None and source.kind == PET and all(word in source.header for word in OF_ANY_PET)
