"""NRRD, MHA, pictures and whatever else ITK reads."""

import re
from pathlib import Path
from typing import List

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import out_of_memory, volume_from_sitk

from .source import Source, gray_of_color

FORMATS = "NIfTI, MGH, NRRD, MHA, PNG or a folder with one DICOM series"
# What a unit of an NRRD file is in millimeters; ITK takes all for millimeters.
UNITS = {"m": 1000.0, "meter": 1000.0, "cm": 10.0, "um": 0.001, "µm": 0.001, "micron": 0.001}


def read_itk(path: Path, start: bytes) -> Source:
    """:raises InputError: it is no image, or one of complex numbers or colors.

    :param start: how the file begins.
    """
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _in_words(path, error) from error
    if "complex" in image.GetPixelIDTypeAsString():
        raise InputError(f"{path} holds complex numbers: give their magnitude as an image.")
    kinds = "NRRD_kinds[pixel]"
    array = sitk.GetArrayFromImage(image)
    notes: List[str] = []
    if image.GetNumberOfComponentsPerPixel() > 1:
        if image.HasMetaDataKey(kinds) and image.GetMetaData(kinds) == "list" and image.GetDimension() == 3:
            # As Slicer saves a volume sequence: the frames are the values of a voxel.
            array = np.moveaxis(array, -1, 0)
        else:
            array = gray_of_color(array, path)
    if array.dtype in (np.int64, np.uint64):
        array = array.astype(np.float64)  # volumes of Slicer have no 64-bit integers
    if image.GetDimension() == 2:
        image, array = sitk.JoinSeries(image), array[None]
    frames = array[None] if array.ndim == 3 else array
    if image.GetDimension() == 4:
        image = sitk.Extract(image, [*image.GetSize()[:3], 0], [0, 0, 0, 0])
    if image.GetDimension() != 3:
        raise InputError(f"{path} has {image.GetDimension()} dimensions: give a 2-D, 3-D or 4-D image.")
    affine = volume_from_sitk(image, "").ijk_to_ras
    return Source(frames, _scale_of_units(start, notes) @ affine, notes)


def _in_words(path: Path, error: RuntimeError) -> Exception:
    text = str(error)
    if out_of_memory(error):
        return error
    if "Unable to determine ImageIO reader" in text:
        return InputError(f"{path} cannot be read as an image: give {FORMATS}.")
    if "spacing is not supported" in text or "space_directions" in text or "spaceVectorParse" in text:
        return InputError(
            f"{path} has a voxel size of 0, or none, in its header: correct the header, or convert the file "
            "from the original images again."
        )
    if "number of domain axes" in text:
        return InputError(
            f"{path} has an axis that is neither space nor values, such as time: save it as a volume "
            "sequence of Slicer (.seq.nrrd), or as 4-D NIfTI."
        )
    return InputError(
        f"{path} is incomplete or damaged, or of a kind that cannot be read: copy or convert it again."
    )


def _scale_of_units(start: bytes, notes: List[str]) -> np.ndarray:
    """Of the "space units" of an NRRD file."""
    header = start.partition(b"\n\n")[0].decode("utf-8", "replace") if start.startswith(b"NRRD") else ""
    line = re.search(r'^(?:space )?units: *"([^"]*)"', header, re.MULTILINE)
    factor = UNITS.get(line.group(1).strip().lower(), 1.0) if line else 1.0
    if line and factor != 1.0:
        notes.append(f"its header is in {line.group(1).strip()}: this was turned into millimeters.")
    return np.diag([factor, factor, factor, 1.0])
