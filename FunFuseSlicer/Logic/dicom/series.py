"""What the headers of a DICOM series say: of whom, where its images lie, and how to refer to them.

pydicom is imported inside the functions, so that this module can be imported anywhere.
"""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import InputError
from ..volumes.geometry import RAS_TO_LPS, Volume, corners

PET = "1.2.840.10008.5.1.4.1.1.128"
MR = "1.2.840.10008.5.1.4.1.1.4"

# Millimeters by which two images of one plane may lie apart.
SAME_PLACE = 0.01


class Plane(NamedTuple):
    """One image of a series.

    :param sop_class: UID of what it is, and ``sop_instance`` of it itself.
    :param frame: its number in a file of several, from 1; None in a file of one.
    :param corner: the center of its first pixel, LPS millimeters.
    :param steps: (3, 2), to the next pixel of the row and to the next row, LPS millimeters.
    :param size: pixels of a row, and rows.
    """

    sop_class: str
    sop_instance: str
    frame: Optional[int]
    corner: np.ndarray
    steps: np.ndarray
    size: tuple

    @property
    def normal(self) -> np.ndarray:
        """The direction of slices."""
        across = np.cross(self.steps[:, 0], self.steps[:, 1])
        return across / np.linalg.norm(across)

    @property
    def ends(self) -> np.ndarray:
        """(3, 4): the centers of its corner pixels, LPS millimeters."""
        columns, rows = self.size[0] - 1, self.size[1] - 1
        return self.corner[:, None] + self.steps @ np.array([[0, columns, 0, columns], [0, 0, rows, rows]])


@dataclass(frozen=True)
class Series:
    """A series of images, without their pixels.

    :param header: a pydicom Dataset, of its first file; of a dynamic PET, one of the earliest frame.
    :param planes: in the order of their places.
    """

    header: Any
    planes: List[Plane]

    @property
    def kind(self) -> str:
        """UID of what its images are."""
        return str(self.header.SOPClassUID)

    @property
    def frame_of_reference(self) -> Optional[str]:
        """Equal coordinates are the same place within one of these only."""
        return str(self.header.get("FrameOfReferenceUID") or "") or None

    @cached_property
    def along(self) -> np.ndarray:
        """The place of each image along the normal, millimeters; it grows."""
        return np.array([plane.corner for plane in self.planes]) @ self.planes[0].normal

    @property
    def is_dynamic(self) -> bool:
        """Whether it has several images of one place."""
        return bool((np.diff(self.along) < SAME_PLACE).any())

    @cached_property
    def distance(self) -> float:
        """Millimeters from one place to the next; 0 where there is one place only."""
        steps = np.diff(self.along)
        return float(np.median(steps[steps >= SAME_PLACE])) if (steps >= SAME_PLACE).any() else 0.0

    def at(self, place: np.ndarray, reach: float) -> List[Plane]:
        """The images that a part of space touches.

        :param place: (3, n) points of it, LPS millimeters.
        :param reach: millimeters up to which an image beside it counts.
        """
        touched = self.planes[0].normal @ place
        first = np.searchsorted(self.along, touched.min() - reach)
        return self.planes[first : np.searchsorted(self.along, touched.max() + reach, side="right")]

    def check_holds(self, volume: Volume) -> None:
        """:raises InputError: the volume does not lie where the series does, but for a voxel."""
        known = np.concatenate([plane.ends for plane in self.planes], axis=1)
        first = self.planes[0]
        axes = np.column_stack([*(first.steps / np.linalg.norm(first.steps, axis=0)).T, first.normal])
        lps = RAS_TO_LPS @ volume.ijk_to_ras @ corners(volume.dimensions)
        inside, outer = axes.T @ lps[:3], axes.T @ known
        # What a conversion may have made of the voxels: others, or a part of them.
        reach = float(max(np.linalg.norm(first.steps, axis=0).max(), volume.spacing.max()))
        if (inside.min(1) < outer.min(1) - reach).any() or (inside.max(1) > outer.max(1) + reach).any():
            raise InputError(
                f'"{volume.name}" does not lie where its DICOM series does, as after a registration to a '
                "template or a hardened transform: results cannot go into that series' study. Use the MRI as "
                "it was acquired."
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings of odd values, which many archives have, and which do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_series(files: Sequence[object], name: str) -> Series:
    """A series from its files.

    :param name: what the user calls it.
    :raises InputError: a file is missing or unreadable, or its images have no place.
    """
    import pydicom

    headers = []
    for path in files:
        try:
            with quiet():
                headers.append(pydicom.dcmread(str(path), stop_before_pixels=True, force=True))
        except Exception as error:  # of a parser on bytes of any kind
            raise InputError(
                f'{Path(str(path)).name} of "{name}" cannot be read ({error}): load the DICOM series again.'
            ) from error
    planes = [plane for header in headers for plane in _planes(header)]
    if not planes:
        raise InputError(
            f'"{name}" holds no DICOM images with a place in space: give the series it came from.'
        )
    normal = planes[0].normal
    planes.sort(key=lambda plane: (round(float(plane.corner @ normal), 3), plane.sop_instance))
    order = {plane.sop_instance: n for n, plane in reversed(list(enumerate(planes)))}
    with_place = [header for header in headers if str(header.get("SOPInstanceUID")) in order]

    def first(header: Any) -> Tuple[float, int]:
        return float(header.get("FrameReferenceTime") or 0), order[str(header.SOPInstanceUID)]

    return Series(min(with_place, key=first), planes)


def same_patient(first: Series, second: Series) -> bool:
    """Whether two series are of one patient: by the ID, or by name and date of birth together."""

    def told(series: Series, *keywords: str) -> List[str]:
        return [str(series.header.get(keyword) or "").strip().upper() for keyword in keywords]

    if told(first, "PatientID") == told(second, "PatientID"):
        return True
    name = told(first, "PatientName", "PatientBirthDate")
    return all(name) and name == told(second, "PatientName", "PatientBirthDate")


def _planes(header: Any) -> List[Plane]:
    count = int(header.get("NumberOfFrames") or 1)
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if frames is None:
        found = [_plane(header, None, [header])] if count == 1 else []
    else:
        shared = list(header.get("SharedFunctionalGroupsSequence") or [])[:1]
        found = [_plane(header, n + 1, [frames[n], *shared]) for n in range(min(count, len(frames)))]
    return [plane for plane in found if plane is not None]


def _plane(header: Any, frame: Optional[int], groups: Sequence[Any]) -> Optional[Plane]:
    position = _of(groups, "PlanePositionSequence", "ImagePositionPatient")
    axes = _of(groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _of(groups, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or axes is None or spacing is None:
        return None
    directions = np.reshape(np.array(axes, float), (2, 3)).T
    steps = directions * [float(spacing[1]), float(spacing[0])]
    return Plane(
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        frame,
        np.array(position, float),
        steps,
        (int(header.Columns), int(header.Rows)),
    )


def _of(groups: Sequence[Any], sequence: str, keyword: str) -> Any:
    """A value of an image: of the header itself, or of a functional group."""
    for group in groups:
        for item in [group, *list(group.get(sequence) or [])[:1]]:
            if item.get(keyword):
                return item[keyword].value
    return None
