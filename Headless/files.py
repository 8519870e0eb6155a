"""Reads what users have on disk: NIfTI, NRRD, MHA, PNG and other image files, and DICOM folders."""

from pathlib import Path
from typing import Optional

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.preprocessing import mean_over_frames
from FunFuseSlicer.Logic.volume import Volume, volume_from_sitk

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS = "NIfTI, NRRD, MHA, PNG or a folder with one DICOM series"


def read_volume(path, frame: Optional[int] = None) -> Volume:
    """One scalar 3-D volume from a file or a DICOM folder; a 2-D image becomes one slice.

    A 4-D file gives the mean of its frames, or frame ``frame`` (0-based). A color image whose channels
    are equal is gray and accepted as such.

    :raises InputError: the path is missing, unreadable, no image, or a color image; names the path.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder. Check the path.")
    image = _read_dicom(path) if path.is_dir() else _read_file(path)
    name = _plain_name(path)
    if image.GetDimension() == 4:
        array = mean_over_frames(sitk.GetArrayFromImage(image), str(path), frame)
        return volume_from_sitk(_first_frame(image), name).with_array(array)
    if frame is not None and frame != 0:
        raise InputError(f"{path} has one frame only; there is no frame {frame}. Leave --frame out.")
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions: give a 2-D, 3-D or 4-D image.")
    if image.GetNumberOfComponentsPerPixel() > 1:
        image = _gray_of_color(image, path)
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
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as an image: give {FORMATS}.") from error


def _read_dicom(folder: Path) -> sitk.Image:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"{folder} holds no DICOM series: give {FORMATS}.")
    if len(series) > 1:
        raise InputError(f"{folder} holds {len(series)} DICOM series: give a folder with one series.")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
    try:
        # A PET has a rescale slope of its own on every slice; an integer type would cut them off.
        reader.SetOutputPixelType(sitk.sitkFloat32)
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{folder} cannot be read as a DICOM series: check its files.") from error


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
