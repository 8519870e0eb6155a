"""Reads a volume, whatever it is on disk."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Optional, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import Volume, enough_memory
from FunFuseSlicer.Logic.volumes.units import Units, scaled

from ..paths import input_path
from .dicom import is_dicom, read_dicom
from .intact import start_and_size
from .itk import FORMATS, read_itk
from .nifti import is_nifti, read_nifti
from .source import Damaged, FrameChoice, Source, one_image

__all__ = ["FORMATS", "PICTURES", "Reading", "is_flat", "is_picture", "read", "read_volume"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Reading:
    """A volume, and what there is to say about how it was read.

    :param notes: sentences on what was corrected, doubted or left out.
    :param frame_of_reference: DICOM UID, where known.
    :param modality: of DICOM, where known.
    :param units: what the values are, of a PET, and the way to SUV.
    :param files: of a DICOM series, those that were read.
    """

    volume: Volume
    notes: Tuple[str, ...] = ()
    frame_of_reference: Optional[str] = None
    modality: Optional[str] = None
    units: Units = field(default_factory=Units)
    files: Tuple[Path, ...] = ()

    def in_unit(self, kind: str) -> Volume:
        """The volume with its values as a kind of SUV.

        :param kind: of :data:`units.KINDS`.
        :raises InputError: that cannot be had; says what is missing or wrong.
        """
        return scaled(self.volume, self.units.factor(kind, self.volume.name), kind)


def read_volume(path, frame: FrameChoice = None) -> Volume:
    """The volume of :func:`read` alone, for files whose content is known."""
    return read(path, frame).volume


def read(path, frame: FrameChoice = None, modalities: Tuple[str, ...] = ()) -> Reading:
    """One scalar 3-D volume from a file or a DICOM folder; a 2-D image becomes one slice.

    A 4-D image gives the mean of its frames, weighted by how long they took where that is known, or frame
    ``frame`` (0-based), or the mean of frames from the first to the last of a pair. A color image whose
    channels are equal is gray and accepted as such.

    :param modalities: of DICOM; of several series in one folder, one of these is meant.
    :raises InputError: the path is missing, unreadable, damaged, no image, or a color image; names the path.
    :raises DeviceError: it does not fit into the memory.
    """
    path = input_path(path)
    if not _exists(path):
        raise InputError(f"{path}: there is no such file or folder. Check the path.")
    with enough_memory(path), _quiet():
        source = _source(path, modalities)
        array = one_image(source, path, frame)
    if not np.isfinite(source.ijk_to_ras).all():
        raise InputError(f"{path} has no usable voxel size or place in its header: correct the header.")
    name = _plain_name(path)
    notes = tuple(f'"{name}": {note}' for note in source.notes)
    volume = Volume(array, source.ijk_to_ras, name, source.units.name, source.tracer)
    place = source.frame_of_reference, source.modality
    return Reading(volume, notes, *place, source.units, tuple(source.files))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the readers: what matters of them is checked here, and said in words."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the system, or a folder that may not be looked into
        return False


def _source(path: Path, modalities: Tuple[str, ...]) -> Source:
    try:
        if path.is_dir():
            return read_dicom(path, modalities)
        start, size = start_and_size(path)
        if is_dicom(path, start):
            return read_dicom(path, modalities)
        return read_nifti(path, size) if is_nifti(path, start) else read_itk(path, start)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror or error}). Check its rights.") from error
    except Damaged as error:
        raise InputError(f"{path} is incomplete or damaged: copy or convert it again.") from error


def is_flat(volume: Volume) -> bool:
    """Whether the volume is a single slice."""
    return min(volume.array.shape) == 1


def is_picture(path) -> bool:
    """Whether a file is a picture by its ending, rather than a volume that happens to have one slice."""
    return Path(path).suffix.lower() in PICTURES


def _plain_name(path: Path) -> str:
    """The file's name without its image ending: "T1.nii.gz" -> "T1"."""
    name = path.name or path.resolve().name
    for ending in (".nii.gz", ".seq.nrrd", ".img.gz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).stem if path.is_file() else name
