"""DICOM as archives export it: finds the one series of images that is meant, and says what it left out."""

import os
import stat
import warnings
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.dicom_units import values_of

from .itk import FORMATS
from .planes import SECONDARY_CAPTURE, stack
from .source import Source

# Endings of files that shall be DICOM, even where they do not have its mark.
ENDINGS = (".dcm", ".ima", ".dicom")
# How files begin that macOS puts beside others on disks that are not its own.
APPLE_DOUBLE = b"\x00\x05\x16\x07"
DICOMDIR = "1.2.840.10008.1.3.10"
# What is no image, or none of a patient's inside, by DICOM modality.
WORDS = {
    "SR": "structured report",
    "PR": "presentation state",
    "KO": "key object selection",
    "RWV": "real world value map",
    "REG": "registration",
    "FID": "fiducials",
    "SEG": "segmentation",
    "DOC": "document",
    "RTSTRUCT": "contours",
    "RTDOSE": "dose",
    "RTPLAN": "plan",
    "OT": "other image",
}
# Values of Image Type of images that are no slices of the series they come with.
SURVEYS = {"LOCALIZER": "localizer", "MIP": "projection", "PROJECTION IMAGE": "projection"}


@dataclass
class Item:
    """A file of DICOM, with its header alone."""

    path: Path
    header: object

    @property
    def left_out(self) -> str:
        """What it is, in words, if it is no slice of a series; else ""."""
        header = self.header
        modality = str(header.get("Modality", ""))
        if "Rows" not in header:
            return WORDS.get(modality, "object without image")
        if modality in WORDS:
            return WORDS[modality]
        if str(header.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE):
            return "secondary capture"
        types = {str(value).upper() for value in values_of(header.get("ImageType"))}
        series_types = {str(value).upper() for value in values_of(header.get("SeriesType"))}
        surveys = [word for value, word in SURVEYS.items() if value in types]
        return "projection" if "REPROJECTION" in series_types else surveys[0] if surveys else ""

    @property
    def series(self) -> str:
        """What it has in common with the others of its series."""
        return str(self.header.get("SeriesInstanceUID", ""))


def is_dicom(path: Path, start: bytes) -> bool:
    """Whether a file is DICOM, by its mark or its ending."""
    if start.startswith(APPLE_DOUBLE):
        return False
    # Old files have no mark, and begin with the first group of attributes.
    unmarked = start[:2] == b"\x08\x00" and start[3:4] == b"\x00"
    return start[128:132] == b"DICM" or unmarked or path.suffix.lower() in ENDINGS


def read_dicom(path: Path, modalities: Tuple[str, ...] = ()) -> Source:
    """The series of a folder, of the folders in it, or the series that a file belongs to.

    :param modalities: which series is meant where there are several.
    :raises InputError: there is none, there are several, or it is no stack of slices.
    """
    with _quiet():
        folder, items = _items(path)
        notes: List[str] = []
        if not items:
            raise InputError(f"{path} holds no DICOM series: give {FORMATS}.")
        series = _choose(path, _without_copies(items, notes), modalities, notes)
        return stack(folder, series, notes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings about values that do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _items(path: Path) -> Tuple[Path, List[Item]]:
    """What there is in a folder and those in it; or what shares the series of a file in its folder."""
    if path.is_dir():
        return path, [item for file in _files(path) for item in _item(file)]
    mine = _item(path)
    if not mine:
        return path.parent, _items(path.parent)[1]  # a DICOMDIR
    if not mine[0].series or int(mine[0].header.get("NumberOfFrames") or 1) > 1:
        return path, mine
    others = (item for file in sorted(path.parent.iterdir()) if _is_file(file) for item in _item(file))
    return path, [item for item in others if item.series == mine[0].series]


def _files(folder: Path) -> List[Path]:
    return sorted(
        Path(root) / name
        for root, _, names in os.walk(folder)
        for name in names
        if _is_file(Path(root) / name)
    )


def _is_file(path: Path) -> bool:
    """Whether it is a file with content, not a pipe that would keep a reader waiting."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _item(path: Path) -> List[Item]:
    """The file's header, if it is DICOM and no directory of others.

    :raises InputError: it is DICOM, and damaged.
    """
    import pydicom
    from pydicom.uid import UID

    with open(path, "rb") as file:
        start = file.read(132)
    if not is_dicom(path, start):
        return []
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        kind = header.get("SOPClassUID") or getattr(header, "file_meta", {}).get(
            "MediaStorageSOPClassUID", ""
        )
        if str(kind) == DICOMDIR or path.name == "DICOMDIR":
            return []
        if kind and ("Rows" in header or "Image Storage" not in UID(str(kind)).name):
            return [Item(path, header)]
    except InputError:
        raise
    except Exception as error:  # of a parser on bytes of any kind
        raise _damaged(path) from error
    raise _damaged(path)


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is incomplete or damaged: export the series again.")


def _without_copies(items: List[Item], notes: List[str]) -> List[Item]:
    # Not by their UIDs alone: some de-identifiers give one to all.
    keys = ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "FrameReferenceTime")
    found: Dict[tuple, Item] = {}
    for item in items:
        facts = tuple(str(item.header.get(key, "")) for key in keys)
        found.setdefault(facts if facts[0] else (item.path,), item)
    copies = len(items) - len(found)
    if copies:
        notes.append(f"{copies} of its files are copies of others and were left out.")
    return list(found.values())


def _choose(path: Path, items: List[Item], modalities: Tuple[str, ...], notes: List[str]) -> List[Item]:
    """The images of one series.

    :raises InputError: there are several that may be meant, or none.
    """
    images = [item for item in items if not item.left_out]
    # Where there is nothing else, what was said of the images may be wrong.
    images = images or [item for item in items if "Rows" in item.header]
    if not images:
        kinds = ", ".join(sorted({item.left_out for item in items}))
        raise InputError(f"{path} holds no DICOM images, only: {kinds}. Give the folder of a series.")
    series: Dict[str, List[Item]] = defaultdict(list)
    for item in images:
        series[item.series].append(item)
    meant = {uid: group for uid, group in series.items() if _modality(group) in modalities}
    chosen = meant if meant else series
    if len(chosen) > 1:
        raise InputError(
            f"{path} holds {len(chosen)} DICOM series: {'; '.join(_described(g) for g in chosen.values())}. "
            "Give a folder with one series, or one file of the series that you mean."
        )
    (group,) = chosen.values()
    kept = {id(item) for item in group}
    left = Counter(item.left_out or _modality([item]) for item in items if id(item) not in kept)
    if left:
        example = next(item.path.name for item in items if id(item) not in kept)
        kinds = ", ".join(f"{count} {kind}" for kind, count in left.items())
        notes.append(f"left out of what is in the folder: {kinds}; such as {example}.")
    return group


def _modality(group: List[Item]) -> str:
    return str(group[0].header.get("Modality", "")) or "unknown"


def _described(group: List[Item]) -> str:
    header = group[0].header
    text: Optional[str] = str(header.get("SeriesDescription", "")) or None
    frames = sum(int(item.header.get("NumberOfFrames") or 1) for item in group)
    name = f' "{text}"' if text else ""
    return f"{_modality(group)}{name} with {frames} images, such as {group[0].path.name}"
