"""What relates images: the registration, and how a workstation blends PET over MRI by itself."""

from typing import Any, Dict, List, Tuple

import numpy as np

from .elements import Context, code, item, new_object, new_uid, number, numbers, references
from .profile import srgb_profile
from .series import Plane, Series

BLENDING = "1.2.840.10008.5.1.4.1.1.11.4"
REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"


def registration(context: Context, pet: Series, pet_to_mri: np.ndarray, method: str) -> Any:
    """A Spatial Registration (PS3.3 A.39.1): where the original PET lies in the MRI's frame of reference.

    :param pet_to_mri: 4×4, LPS.
    :param method: by which it was found; "" when the frames of reference were taken as one.
    """
    result = new_object(context, REGISTRATION, "REG", 5, "PET to MRI", new_uid())
    result.FrameOfReferenceUID = context.frame_of_reference
    result.PositionReferenceIndicator = context.mri.header.get("PositionReferenceIndicator")
    _content(result, f"PET to MRI: {method or 'as they are'}"[:64])
    how = code("125024", "DCM", "Image Content-based Alignment")
    if not method:
        how = code("125021", "DCM", "Frame of Reference Identity")
    items = []
    for series, matrix in ((context.mri, np.eye(4)), (pet, pet_to_mri)):
        items.append(
            item(
                ReferencedImageSequence=references(series.planes),
                MatrixRegistrationSequence=[
                    item(
                        RegistrationTypeCodeSequence=[how],
                        MatrixSequence=[
                            item(
                                FrameOfReferenceTransformationMatrixType=kind_of(matrix),
                                FrameOfReferenceTransformationMatrix=numbers(matrix),
                            )
                        ],
                    )
                ],
            )
        )
        if series.frame_of_reference is not None:
            items[-1].FrameOfReferenceUID = series.frame_of_reference
    result.RegistrationSequence = items
    _common_references(result, context, [context.mri, pet])
    return result


def kind_of(matrix: np.ndarray) -> str:
    """RIGID, RIGID_SCALE or AFFINE: what a 4×4 is (PS3.3 C.20.2.1.1)."""
    gram = matrix[:3, :3].T @ matrix[:3, :3]
    if np.allclose(gram, np.eye(3), atol=1e-6):
        return "RIGID"
    return "RIGID_SCALE" if np.allclose(gram, np.diag(np.diag(gram)), atol=1e-6) else "AFFINE"


def blending(
    context: Context,
    registered: Tuple[str, List[Plane]],
    slope: float,
    windows: Tuple[Tuple[float, float], Tuple[float, float]],
    omega: float,
    table: np.ndarray,
) -> Any:
    """A Blending Softcopy Presentation State (PS3.3 A.33.4): the registered PET in colors over the MRI.

    The share of color is Ω, as in RGB(Ω) = (1 − Ω) · gray + Ω · color; but gray is the MRI here, and color
    shows the PET's uptake.

    :param registered: UID of the registered PET's series, and its images.
    :param slope: from its stored values to those of its window.
    :param windows: black and white level of the MRI and of the PET.
    :param table: (n, 3), colors in [0, 1], low to high.
    """
    result = new_object(context, BLENDING, "PR", 4, f"PET over MRI, Omega {omega:g}", new_uid())
    _content(result, f"PET over MRI, Omega {omega:g}")
    result.PresentationCreationDate, result.PresentationCreationTime = result.ContentDate, result.ContentTime
    del result.ContentDate, result.ContentTime
    mri = str(context.mri.header.SeriesInstanceUID), context.mri.planes
    layers = []
    for position, (series, planes), window in (
        ("UNDERLYING", mri, windows[0]),
        ("SUPERIMPOSED", registered, windows[1]),
    ):
        center, width = sum(window) / 2, max(window[1] - window[0], 1e-9)
        layers.append(
            item(
                BlendingPosition=position,
                StudyInstanceUID=str(context.mri.header.StudyInstanceUID),
                ReferencedSeriesSequence=[
                    item(SeriesInstanceUID=series, ReferencedImageSequence=references(planes))
                ],
                SoftcopyVOILUTSequence=[item(WindowCenter=number(center), WindowWidth=number(width))],
            )
        )
    slope_of_mri = context.mri.header.get("RescaleSlope")
    intercept = context.mri.header.get("RescaleIntercept")
    _rescale(layers[0], float(slope_of_mri or 1), float(intercept or 0))
    _rescale(layers[1], slope)
    result.BlendingSequence = layers
    result.RelativeOpacity = float(omega)
    first = context.mri.planes[0]
    result.DisplayedAreaSelectionSequence = [
        item(
            DisplayedAreaTopLeftHandCorner=[1, 1],
            DisplayedAreaBottomRightHandCorner=list(first.size),
            PresentationSizeMode="SCALE TO FIT",
            PresentationPixelSpacing=numbers(np.linalg.norm(first.steps, axis=0)[::-1]),
        )
    ]
    _palette(result, table)
    result.ICCProfile = srgb_profile()
    return result


def _rescale(layer: Any, slope: float, intercept: float = 0.0) -> None:
    """Modality LUT macro (PS3.3 C.11.1): what is not told again does not count."""
    layer.RescaleIntercept, layer.RescaleSlope, layer.RescaleType = number(intercept), number(slope), "US"


def _palette(result: Any, table: np.ndarray) -> None:
    """Palette Color Lookup Table module (PS3.3 C.7.9): 256 colors of 16 bits."""
    places = np.linspace(0, len(table) - 1, 256)
    for channel, name in enumerate(("Red", "Green", "Blue")):
        values = np.interp(places, np.arange(len(table)), np.asarray(table, float)[:, channel])
        setattr(result, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        data = np.rint(65535 * values).astype("<u2").tobytes()
        setattr(result, f"{name}PaletteColorLookupTableData", data)


def _content(result: Any, description: str) -> None:
    """Content identification (PS3.3 10.9)."""
    result.ContentLabel, result.ContentDescription, result.ContentCreatorName = "FUNFUSE", description, None


def _common_references(result: Any, context: Context, series: List[Series]) -> None:
    """Common Instance Reference module (PS3.3 C.12.2): of the object's own study, and of others."""
    study = str(context.mri.header.StudyInstanceUID)
    others: Dict[str, List[Any]] = {}
    for one in series:
        named = item(
            SeriesInstanceUID=str(one.header.SeriesInstanceUID),
            ReferencedInstanceSequence=references(one.planes),
        )
        theirs = str(one.header.get("StudyInstanceUID") or "")
        if theirs == study:
            found = list(result.get("ReferencedSeriesSequence") or [])
            result.ReferencedSeriesSequence = [*found, named]
        else:
            others.setdefault(theirs, []).append(named)
    if others:
        result.StudiesContainingOtherReferencedInstancesSequence = [
            item(StudyInstanceUID=uid, ReferencedSeriesSequence=found) for uid, found in others.items()
        ]
