"""Reads what users have on disk: NIfTI, NRRD, MHA, PNG and other image files, and DICOM folders."""

import math
import struct
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import Volume, enough_memory, out_of_memory, volume_from_sitk
from FunFuseSlicer.Logic.volumes.preprocessing import mean_over_frames

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# The cosine between two axes of an sform from which on they are no right angle: 0.1 degrees.
RIGHT_ANGLE = 2e-3
# Bytes of a compressed file at a time; they can become a thousand times as many.
CHUNK = 1 << 16
FORMATS = "NIfTI, NRRD, MHA, PNG or a folder with one DICOM series"


def read_volume(path, frame: Optional[int] = None) -> Volume:
    """One scalar 3-D volume from a file or a DICOM folder; a 2-D image becomes one slice.

    A 4-D file gives the mean of its frames, or frame ``frame`` (0-based). A color image whose channels
    are equal is gray and accepted as such.

    :raises InputError: the path is missing, unreadable, damaged, no image, or a color image; names the path.
    :raises DeviceError: it does not fit into the memory.
    """
    path = Path(path)
    if not _exists(path):
        raise InputError(f"{path}: there is no such file or folder. Check the path.")
    with enough_memory(path), _quiet():
        return _read(path, frame)


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


def _read(path: Path, frame: Optional[int]) -> Volume:
    image = _read_dicom(path) if path.is_dir() else _read_file(path)
    name = _plain_name(path)
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"{path} holds complex numbers: give their magnitude as an image.")
    if image.GetNumberOfComponentsPerPixel() > 1:
        image = _gray_of_color(image, path)
    if image.GetDimension() == 4:
        array = mean_over_frames(sitk.GetArrayViewFromImage(image), str(path), frame)
        return volume_from_sitk(_first_frame(image), name).with_array(array)
    if frame is not None and frame != 0:
        raise InputError(f"{path} has one frame only; there is no frame {frame}. Leave --frame out.")
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions: give a 2-D, 3-D or 4-D image.")
    if image.GetPixelID() in (sitk.sitkInt64, sitk.sitkUInt64):
        image = sitk.Cast(image, sitk.sitkFloat64)  # volumes of Slicer have no 64-bit integers
    return volume_from_sitk(image, name)


def is_flat(volume: Volume) -> bool:
    """Whether the volume is a single slice."""
    return min(volume.array.shape) == 1


def is_picture(path) -> bool:
    """Whether a file is a picture by its ending, rather than a volume that happens to have one slice."""
    return Path(path).suffix.lower() in PICTURES


def _plain_name(path: Path) -> str:
    """The file's name without its image ending: "T1.nii.gz" -> "T1"."""
    name = path.name or path.resolve().name
    for ending in (".nii.gz", ".seq.nrrd"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).stem if path.is_file() else name


def _read_file(path: Path) -> sitk.Image:
    try:
        start = _check_intact(path)
        if start[4:7] == b"n+2":
            raise InputError(f"{path} is a NIfTI-2 file, which cannot be read: convert it to NIfTI-1.")
        if _is_sheared(start):
            raise InputError(
                f"{path} is sheared: its sform has no right angles, which readers take in different ways. "
                "Resample it to a grid with right angles, or convert it again."
            )
        return sitk.ReadImage(str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror or error}). Check its rights.") from error
    except (_Damaged, RuntimeError) as error:
        if out_of_memory(error):
            raise
        if isinstance(error, _Damaged):
            raise InputError(f"{path} is incomplete or damaged: copy or convert it again.") from error
        if "Unable to determine ImageIO reader" not in str(error):
            raise InputError(
                f"{path} is incomplete, damaged or of a kind that cannot be read: copy or convert it again."
            ) from error
        raise InputError(f"{path} cannot be read as an image: give {FORMATS}.") from error


class _Damaged(Exception):
    """A file that has less, or something else, than its header says."""


def _check_intact(path: Path) -> bytes:
    """Refuse cut files and wrong checksums, which the readers take for zeros or for other voxels.

    :return: how the file begins, without a compression of all of it.
    :raises _Damaged: it is.
    """
    with open(path, "rb") as file:
        start = file.read(65536)
        offset = _start_of_compressed(path, start)
        if offset is None:
            size = file.seek(0, 2)
        else:
            file.seek(offset)
            start, size = _decompress(file)
    if size < _nifti_size(start):
        raise _Damaged(f"{size} bytes")
    return start


def _start_of_compressed(path: Path, start: bytes) -> Optional[int]:
    """Where in a file a gzip or zlib stream begins; None without one, or when it is another file."""
    if start.startswith(b"\x1f\x8b") and path.suffix.lower() == ".gz":
        return 0
    header, _, rest = start.partition(b"\n\n")
    if start.startswith(b"NRRD") and rest and b"data file:" not in header and b"datafile:" not in header:
        return len(header) + 2 if b"\nencoding: gz" in header else None
    header, end, rest = start.partition(b"ElementDataFile = LOCAL\n")
    if start.startswith(b"ObjectType") and rest and b"CompressedData = True" in header:
        return len(header) + len(end)
    return None


def _decompress(file) -> Tuple[bytes, int]:
    """The first bytes of all streams from here on, and how many bytes they hold; checksums are checked."""
    start, size, data = b"", 0, file.read(CHUNK)
    while data:
        stream = zlib.decompressobj(zlib.MAX_WBITS + 32)
        while not stream.eof:
            if not data:
                raise _Damaged("the stream ends too early")
            try:
                plain = stream.decompress(data)
            except zlib.error as error:
                raise _Damaged(str(error)) from error
            start, size = start or plain, size + len(plain)
            data = stream.unused_data if stream.eof else file.read(CHUNK)
        # More streams may follow, as parallel compressors write them; padding is none.
        data += file.read(CHUNK) if len(data) < 2 else b""
        if not data.startswith(b"\x1f\x8b"):
            break
    return start, size


def _nifti_field(start: bytes, code: str, place: int) -> tuple:
    """A field of the header of a NIfTI-1 file; () of other files. See nifti1.h.

    :param code: its format for ``struct``; ``place`` its first byte.
    """
    for order in "<>":
        if start[344:348] == b"n+1\0" and struct.unpack_from(order + "i", start)[0] == 348:
            return struct.unpack_from(order + code, start, place)
    return ()


def _nifti_size(start: bytes) -> int:
    """How many bytes a NIfTI-1 file has by its header; 0 for other files."""
    dimensions = _nifti_field(start, "8h", 40)
    if not dimensions:
        return 0
    (bits,), (offset,) = _nifti_field(start, "h", 72), _nifti_field(start, "f", 108)
    return int(offset) + math.prod(dimensions[1 : 1 + max(0, dimensions[0])]) * bits // 8


def _is_sheared(start: bytes) -> bool:
    """Whether the sform of a NIfTI-1 file is used and has no right angles."""
    if not any(_nifti_field(start, "h", 254)):
        return False
    axes = np.array(_nifti_field(start, "12f", 280)).reshape(3, 4)[:, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not lengths.all():
        return True
    cosines = (axes / lengths).T @ (axes / lengths) - np.eye(3)
    return not np.abs(cosines).max() < RIGHT_ANGLE


def _read_dicom(folder: Path) -> sitk.Image:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"{folder} holds no DICOM series: give {FORMATS}.")
    if len(series) > 1:
        raise InputError(f"{folder} holds {len(series)} DICOM series: give a folder with one series.")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    _check_complete(folder, files)
    _check_positions(folder, files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    try:
        # A PET has a rescale slope of its own on every slice; an integer type would cut them off.
        reader.SetOutputPixelType(sitk.sitkFloat32)
        return reader.Execute()
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise InputError(
            f"{folder} cannot be read as a DICOM series: a file in it is damaged, or its slices have "
            "different sizes. Export the series again."
        ) from error


def frames_differ(first, second) -> bool:
    """Whether two DICOM folders say that they do not share a frame of reference.

    Then equal coordinates need not be the same place. False as well when one of them does not say.
    """
    uids = [_frame_of_reference(Path(path)) for path in (first, second)]
    return None not in uids and uids[0] != uids[1]


def _frame_of_reference(folder: Path) -> Optional[str]:
    import pydicom

    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)) if folder.is_dir() else ()
    if not files:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(files[0], stop_before_pixels=True, specific_tags=["FrameOfReferenceUID"])
    return str(header.get("FrameOfReferenceUID") or "") or None


def _check_complete(folder: Path, files: Sequence[str]) -> None:
    """:raises InputError: a DICOM file was left out of the series, because it cannot be read."""
    known = {Path(file).name for file in files}
    for path in sorted(folder.iterdir()):
        if path.name in known or path.name == "DICOMDIR" or not path.is_file():
            continue
        with open(path, "rb") as file:
            if path.suffix.lower() == ".dcm" or file.read(132)[128:] == b"DICM":
                raise InputError(f"{path} is incomplete or damaged: export the series again.")


def _check_positions(folder: Path, files: Sequence[str]) -> None:
    """Refuse series that are no stack of evenly spaced slices: the reader would stretch them into one.

    :raises InputError: slices that are missing, at one place or not parallel.
    """
    import pydicom

    tags = ["ImagePositionPatient", "ImageOrientationPatient"]
    positions, normals = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values that are not asked for here
        for file in files:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags)
            if not all(header.get(tag) for tag in tags):
                return  # images that say no position, or many frames in one file
            positions.append([float(x) for x in header.ImagePositionPatient])
            axes = np.array([float(x) for x in header.ImageOrientationPatient])
            normals.append(np.cross(axes[:3], axes[3:]))
    if (np.array(normals) @ normals[0] < 0.99).any():
        raise InputError(f"{folder} holds slices that are not parallel: give a series of parallel slices.")
    steps = np.diff(np.sort(np.array(positions) @ normals[0]))
    if steps.size and steps.min() < 1e-3:
        raise InputError(
            f"{folder} holds several images of one place, as a dynamic scan does: export one of its time "
            "frames, or their mean."
        )
    if steps.size and np.abs(steps / np.median(steps) - 1).max() > 0.1:
        raise InputError(
            f"{folder} is not complete: its slices lie {steps.min():.2f} to {steps.max():.2f} mm apart. "
            "Export the series again, with all slices."
        )


def _first_frame(image: sitk.Image) -> sitk.Image:
    size = list(image.GetSize())
    size[3] = 0
    return sitk.Extract(image, size, [0, 0, 0, 0])


def _gray_of_color(image: sitk.Image, path: Path) -> sitk.Image:
    array = sitk.GetArrayViewFromImage(image)
    colors = array[..., :3] if array.shape[-1] >= 3 else array[..., :1]
    if array.shape[-1] in (2, 3, 4) and np.array_equal(
        colors, np.broadcast_to(colors[..., :1], colors.shape)
    ):
        return sitk.VectorIndexSelectionCast(image, 0)
    raise InputError(
        f"{path} is a color image ({array.shape[-1]} values a pixel): give an image with one value a "
        'pixel. "funfuse.py uptake" turns a pseudo-colored PET back into uptake.'
    )
