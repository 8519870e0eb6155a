"""From the images of one DICOM series to volumes: where each lies, what its values mean, and when it was."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.dicom_units import units_of_headers
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, out_of_memory
from FunFuseSlicer.Logic.volumes.tracers import tracer_of_header
from FunFuseSlicer.Logic.volumes.units import Units

from .source import Source, usable_lengths

NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# Images at one place that differ by one of these are frames of a dynamic or gated scan ...
TIMES = (
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "FrameReferenceTime",
    "FrameReferenceDateTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "TriggerTime",
    "AcquisitionNumber",
)
# (of an enhanced file also by one of the indices of its dimensions)
DIMENSION = "DimensionIndexValues"
# ... and by one of these are images of different kinds.
KINDS = {
    "EchoTime": "echo time",
    "EffectiveEchoTime": "echo time",
    "EchoNumbers": "echo",
    "ImageType": "image type",
    "FrameType": "image type",
    "ComplexImageComponent": "image type",
    "DiffusionBValue": "b-value",
    "InversionTime": "inversion time",
    "FlipAngle": "flip angle",
    "StackID": "stack",
}
# What the header says of the distance of slices, to compare with their positions.
DISTANCES = ("SliceThickness", "SpacingBetweenSlices")
# Millimeters: what lies closer than this along the normal lies at one place.
ONE_PLACE = 0.01
# The share of a step by which steps may differ.
EVEN = 0.1
# The sine of the angle from which on slices are told to be tilted: 0.1 degrees.
TILT = 2e-3
# What is needed to know where an image lies.
PLACE = {
    "ImagePositionPatient": "position",
    "ImageOrientationPatient": "orientation",
    "PixelSpacing": "pixel spacing",
}


@dataclass
class Plane:
    """One image of a series.

    :param index: the number of the image in its file.
    :param position: LPS millimeters of the first pixel; ``axes`` along a row and along a column.
    :param spacing: millimeters between rows and between columns.
    :param facts: what can tell images of one place apart, by DICOM keyword.
    :param seconds: how long it took, if known.
    """

    path: Path
    index: int
    size: Tuple[int, int]
    position: np.ndarray
    axes: np.ndarray
    spacing: Tuple[float, float]
    slope: float
    intercept: float
    facts: Dict[str, object]
    seconds: Optional[float]

    @property
    def normal(self) -> np.ndarray:
        """The direction of slices."""
        return np.cross(self.axes[:3], self.axes[3:])


def stack(folder: Path, series: Sequence, notes: List[str]) -> Source:
    """All images of a series as volumes, one for each time.

    :param series: items of :mod:`dicom`, with ``path`` and ``header``.
    :raises InputError: places that are missing, uneven, not parallel or taken twice; names what is wrong.
    """
    header = series[0].header
    if any(int(item.header.get("SamplesPerPixel") or 1) > 1 for item in series):
        raise InputError(
            f"{folder} is a color image (3 values a pixel): give an image with one value a pixel."
        )
    planes = [plane for item in series for plane in _planes(folder, item)]
    _check_alike(folder, planes)
    _about_slopes(folder, planes, notes)
    frames = _frames(folder, planes)
    corner, step = _line(folder, frames[0], notes)
    for frame in frames[1:]:
        _line(folder, frame, [])
    _about_distances(frames[0], float(np.linalg.norm(step)), notes)
    _about_counts(header, len(frames[0]), len(frames), notes)
    first, modality = planes[0], str(header.get("Modality") or "")
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = first.axes[:3] * first.spacing[1], first.axes[3:] * first.spacing[0]
    lps[:3, 2], lps[:3, 3] = step, corner
    return Source(
        _Volumes(frames),
        RAS_TO_LPS @ lps,
        notes,
        usable_lengths([frame[0].seconds for frame in frames], len(frames)),
        str(header.get("Units", "")).upper() in ("CNTS", "PROPCNTS"),
        str(header.get("FrameOfReferenceUID") or "") or None,
        modality or None,
        units_of_headers([item.header for item in series]) if modality in ("PT", "NM") else Units(),
        [item.path for item in series],
        tracer_of_header(header) if modality in ("PT", "NM") else "",
    )


class _Volumes(Sequence):
    """The frames as arrays (k, j, i), float32, each decoded when it is asked for."""

    def __init__(self, frames: List[List[Plane]]):
        self._frames = frames
        self._open: Tuple[Optional[Path], Optional[np.ndarray]] = (None, None)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index):
        planes = self._frames[index]
        volume = np.empty((len(planes), *planes[0].size), np.float32)
        for k, plane in enumerate(planes):
            # In double precision: a slope may be 1e-6 of a value.
            volume[k] = self._pixels(plane) * float(plane.slope) + plane.intercept
        return volume

    def _pixels(self, plane: Plane) -> np.ndarray:
        if self._open[0] != plane.path:
            pixels = _decoded(plane.path)
            self._open = plane.path, pixels.reshape(-1, *plane.size)
        return self._open[1][plane.index]


def _decoded(path: Path) -> np.ndarray:
    import pydicom

    try:
        file = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in file.file_meta:
            file.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        return file.pixel_array
    except Exception as error:  # of decoders on bytes of any kind
        if out_of_memory(error):
            raise MemoryError(str(path)) from error
        if isinstance(error, (NotImplementedError, RuntimeError)) and "decompress" in str(error):
            raise InputError(
                f"{path} is compressed in a way that cannot be read here. Export it without compression, or "
                "convert it to NIfTI."
            ) from error
        raise InputError(f"{path} is incomplete or damaged: export the series again.") from error


# --- Planes of a file ---------------------------------------------------------------------------------


def _planes(folder: Path, item) -> List[Plane]:
    header, count = item.header, int(item.header.get("NumberOfFrames") or 1)
    if "PerFrameFunctionalGroupsSequence" in header:
        shared = list(header.get("SharedFunctionalGroupsSequence") or [])[:1]
        groups = header.PerFrameFunctionalGroupsSequence
        if len(groups) < count:
            raise InputError(f"{item.path} is incomplete or damaged: export the series again.")
        return [_plane(folder, item, n, _contents(group, *shared)) for n, group in zip(range(count), groups)]
    if str(header.get("SOPClassUID", "")) == NUCLEAR_MEDICINE:
        return _nuclear_medicine(folder, item, count)
    if count > 1:
        raise _no_place(folder, item, ["ImagePositionPatient"], "of each of its frames")
    return [_plane(folder, item, 0, [])]


def _contents(*groups) -> list:
    """What functional groups hold: each has sequences of one item."""
    return [element.value[0] for group in groups for element in group if element.VR == "SQ" and element.value]


class _Facts:
    """Attributes of one image, from parts of the header that are about it, else from all of the header."""

    def __init__(self, header, parts):
        self._parts, self._header = parts, header

    def get(self, keyword: str):
        for part in self._parts:
            if part.get(keyword) not in (None, ""):
                return part[keyword].value
        value = self._header.get(keyword)
        return None if value == "" else value


def _plane(folder: Path, item, index: int, parts) -> Plane:
    facts = _Facts(item.header, parts)
    missing = [keyword for keyword in PLACE if not _numbers(facts.get(keyword))]
    if missing:
        raise _no_place(folder, item, missing)
    return _made(item, index, facts, *(np.array(_numbers(facts.get(keyword))) for keyword in PLACE))


def _made(item, index: int, facts, position, axes, spacing) -> Plane:
    slope, intercept = _rescale(facts)
    told = {keyword: _plain(facts.get(keyword)) for keyword in (*TIMES, *KINDS, *DISTANCES)}
    indices = _numbers(facts.get("DimensionIndexValues"))
    told.update({f"{DIMENSION}{n}": index for n, index in enumerate(indices)})
    milliseconds = _numbers(facts.get("FrameAcquisitionDuration") or facts.get("ActualFrameDuration"))
    return Plane(
        item.path,
        index,
        (int(item.header.Rows), int(item.header.Columns)),
        position,
        axes,
        (float(spacing[0]), float(spacing[1])),
        slope,
        intercept,
        told,
        milliseconds[0] / 1000 if milliseconds else None,
    )


def _rescale(facts) -> Tuple[float, float]:
    """Slope and intercept: of this image, else those to real world values, else none.

    A secondary capture must say 1 and 0; of one, those to real world values come first.
    """
    maps = facts.get("RealWorldValueMappingSequence")
    kinds = [(facts, "Rescale"), (maps[0] if maps else facts, "RealWorldValue")]
    if str(facts.get("SOPClassUID")).startswith(SECONDARY_CAPTURE):
        kinds.reverse()
    for source, what in kinds:
        if source.get(f"{what}Slope") is not None:
            intercept = source.get(f"{what}Intercept")
            return _number(source.get(f"{what}Slope")), _number(0 if intercept is None else intercept)
    return 1.0, 0.0


def _nuclear_medicine(folder: Path, item, count: int) -> List[Plane]:
    """A reconstruction of a SPECT: its slices follow one another from the place of the detector."""
    header = item.header
    kinds = [str(kind).upper() for kind in header.get("ImageType") or []]
    if not any("RECON" in kind for kind in kinds):
        raise InputError(
            f"{folder} holds no reconstructed slices ({' '.join(kinds)}): give the SPECT's reconstruction."
        )
    detector = list(header.get("DetectorInformationSequence") or [])[:1]
    facts = _Facts(header, detector)
    missing = [keyword for keyword in PLACE if not _numbers(facts.get(keyword))]
    step = header.get("SpacingBetweenSlices") or header.get("SliceThickness")
    missing += [] if step else ["SpacingBetweenSlices"]
    if missing:
        raise _no_place(folder, item, missing)
    position, axes, spacing = (np.array(_numbers(facts.get(keyword))) for keyword in PLACE)
    normal, slices = np.cross(axes[:3], axes[3:]), _values(header.get("SliceVector"), count)
    times = [_values(header.get(name), count, 1) for name in ("TimeSlotVector", "RRIntervalVector")]
    planes = []
    for n in range(count):
        place = position + (slices[n] - 1) * float(step) * normal
        plane = _made(item, n, facts, place, axes, spacing)
        plane.facts["TemporalPositionIndex"] = [values[n] for values in times]
        planes.append(plane)
    return planes


def _values(value, count: int, otherwise: Optional[int] = None) -> List[int]:
    numbers = [int(x) for x in _numbers(value)]
    if len(numbers) == count:
        return numbers
    return list(range(1, count + 1)) if otherwise is None else [otherwise] * count


def _numbers(value) -> List[float]:
    """Finite numbers of a value of DICOM; empty where there are none."""
    if value is None:
        return []
    try:
        numbers = [float(x) for x in (value if hasattr(value, "__iter__") else [value])]
    except (TypeError, ValueError):
        return []
    return numbers if np.isfinite(numbers).all() else []


def _number(value) -> float:
    return next(iter(_numbers(value)), np.nan)


def _plain(value):
    """To compare and to sort: numbers as such, all else as text."""
    if value is None or isinstance(value, (int, float)):
        return value
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return "\\".join(str(x) for x in value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _no_place(folder: Path, item, missing: List[str], where: str = "") -> InputError:
    words = " and ".join(f"{PLACE.get(keyword, 'spacing of slices')} ({keyword})" for keyword in missing)
    return InputError(
        f"{folder} says nothing about the {words}{' ' + where if where else ''} in {item.path.name}, as a "
        "de-identifier leaves it: export the series with them, or convert it where they are known."
    )


# --- From planes to frames ----------------------------------------------------------------------------


def _check_alike(folder: Path, planes: List[Plane]) -> None:
    first = planes[0]
    if any(plane.size != first.size or not np.allclose(plane.spacing, first.spacing) for plane in planes):
        raise InputError(
            f"{folder} cannot be read as a DICOM series: its slices have different sizes. Export it again."
        )
    if not min(first.spacing) > 0:
        raise InputError(f"{folder} has a pixel spacing of 0: export the series again.")
    lengths = np.array([np.linalg.norm(plane.normal) for plane in planes])
    if np.abs(lengths - 1).max() > 0.01:
        raise InputError(f"{folder} holds slices whose axes are no right angles: export the series again.")
    if (np.array([plane.normal for plane in planes]) @ first.normal < 1 - 1e-4).any():
        raise InputError(f"{folder} holds slices that are not parallel: give a series of parallel slices.")
    if max(np.abs(plane.axes - first.axes).max() for plane in planes) > 0.01:
        raise InputError(f"{folder} holds slices that are turned against each other: give one series.")


def _about_slopes(folder: Path, planes: List[Plane], notes: List[str]) -> None:
    slopes = np.array([(plane.slope, plane.intercept) for plane in planes])
    if not np.isfinite(slopes).all() or not slopes[:, 0].any():
        raise InputError(f"{folder} has a rescale slope that is no number, or 0: export the series again.")
    for count, what in (((slopes[:, 0] == 0).sum(), "0"), ((slopes[:, 0] < 0).sum(), "negative")):
        if count:
            notes.append(
                f"the rescale slope of {count} of its {len(planes)} images is {what}: check the result."
            )


def _places(planes: List[Plane]) -> np.ndarray:
    """The number of each plane's place along the normal."""
    along = np.array([plane.position @ planes[0].normal for plane in planes])
    order = np.argsort(along, kind="stable")
    numbers = np.empty(len(planes), int)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(along[order]) > ONE_PLACE)])
    return numbers


def _frames(folder: Path, planes: List[Plane]) -> List[List[Plane]]:
    """The planes of each time, in the order of time, each in the order of places.

    :raises InputError: there are several of one place, and nothing tells which belong together.
    """
    places = _places(planes)
    count = int(places.max()) + 1
    order = np.argsort(places, kind="stable")
    if count == len(planes):
        return [[planes[n] for n in order]]
    different = [keyword for keyword in KINDS if len({plane.facts[keyword] for plane in planes}) > 1]
    uneven = False
    indices = [keyword for keyword in planes[0].facts if keyword.startswith(DIMENSION)]
    for keyword in (*TIMES, *indices, *KINDS):
        groups: Dict[object, List[int]] = {}
        for n in order:
            groups.setdefault(_sortable(planes[n].facts.get(keyword)), []).append(n)
        single = all(len({places[n] for n in group}) == len(group) for group in groups.values())
        if len(groups) < 2 or not single:
            continue
        if any(len(group) != count for group in groups.values()):
            uneven = uneven or len(groups) == np.bincount(places).max()
            continue
        if keyword in KINDS or any(_same_groups(planes, groups, other) for other in different):
            kind = keyword if keyword in KINDS else different[0]
            values = ", ".join(str(value) for value in sorted({str(p.facts[kind]) for p in planes}))
            raise InputError(
                f"{folder} holds several images of one place, of different {KINDS[kind]} ({values}): export "
                "one of them as a series."
            )
        return [[planes[n] for n in groups[key]] for key in sorted(groups)]
    if uneven:
        raise InputError(
            f"{folder} is not complete: its frames have different numbers of slices. Export the series "
            "again, with all slices."
        )
    raise InputError(
        f"{folder} holds several images of one place, as a dynamic scan does, and does not say which belong "
        "together: export one of its time frames, or their mean."
    )


def _sortable(value) -> tuple:
    return (value is not None, isinstance(value, str), value) if value is not None else (False, False, 0)


def _same_groups(planes: List[Plane], groups: Dict[object, List[int]], keyword: str) -> bool:
    """Whether images of one group have one value of another attribute, and the groups differ by it."""
    values = [{planes[n].facts[keyword] for n in group} for group in groups.values()]
    return all(len(value) == 1 for value in values) and len(set.union(*values)) > 1


def _line(folder: Path, planes: List[Plane], notes: List[str]) -> Tuple[np.ndarray, np.ndarray]:
    """The first place, and the step from one slice to the next, LPS millimeters.

    :raises InputError: the slices do not follow one another evenly on a line.
    """
    positions, normal = np.array([plane.position for plane in planes]), planes[0].normal
    if len(planes) == 1:
        thickness = _number(planes[0].facts["SliceThickness"])
        return positions[0], normal * (thickness if thickness > 0 else 1.0)
    steps = np.diff(positions @ normal)
    if np.abs(steps / np.median(steps) - 1).max() > EVEN:
        raise InputError(
            f"{folder} is not complete: its slices lie {steps.min():.2f} to {steps.max():.2f} mm apart. "
            "Export the series again, with all slices."
        )
    step = (positions[-1] - positions[0]) / (len(planes) - 1)
    length = float(step @ normal)
    expected = positions[0] + np.arange(len(planes))[:, None] * step
    if np.linalg.norm(positions - expected, axis=1).max() > max(EVEN * length, 0.1):
        raise InputError(f"{folder} holds slices that do not lie on a line: give one series of even slices.")
    aside = float(np.linalg.norm(step - length * normal)) / length
    if aside > TILT:
        notes.append(
            f"its slices are tilted by {np.degrees(np.arctan(aside)):.1f}° against their direction, as of a "
            "tilted gantry: they are taken as they lie."
        )
    else:
        step = length * normal
    return positions[0], step


def _about_distances(planes: List[Plane], step: float, notes: List[str]) -> None:
    """What the header says of the distance of slices otherwise than their positions do."""
    if len(planes) == 1:
        return
    thickness, spacing = (_number(planes[0].facts[keyword]) for keyword in DISTANCES)
    if abs(abs(spacing) / step - 1) > EVEN:
        notes.append(
            f"its slices lie {step:.3g} mm apart by their positions, which is taken, but {spacing:.3g} mm by "
            "SpacingBetweenSlices."
        )
    if 0 < thickness < step * (1 - EVEN):
        notes.append(
            f"its slices are {thickness:.3g} mm thick but lie {step:.3g} mm apart: what is between them is "
            "interpolated."
        )


def _about_counts(header, slices: int, frames: int, notes: List[str]) -> None:
    """Whether the header speaks of more slices or frames than there are."""
    counts = (("NumberOfSlices", slices, "slices"), ("NumberOfTimeSlices", frames, "frames"))
    for keyword, count, what in counts:
        told = _numbers(header.get(keyword))
        if told and int(told[0]) not in (0, count):
            notes.append(
                f"its header speaks of {int(told[0])} {what}, but there are {count}: some may be missing."
            )
