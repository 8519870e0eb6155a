"""Reads a transform that was found before."""

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS

from ..paths import input_path


def read_transform(path) -> np.ndarray:
    """Where a PET lies on an MRI, from a file of ITK, which maps a point of the MRI (LPS) to the PET.

    :return: 4×4 in RAS millimeters, PET to MRI.
    :raises InputError: it is no such file, or no affine transform; names the path.
    """
    path = input_path(path)
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as a transform: give a .tfm, .txt or .h5 of ITK.") from error
    if not transform.IsLinear():
        raise InputError(f"{path} bends space: give an affine or rigid transform.")
    *units, origin = (np.array(transform.TransformPoint(point)) for point in np.eye(4, 3).tolist())
    to_pet = np.eye(4)
    to_pet[:3] = np.column_stack([*(unit - origin for unit in units), origin])
    if abs(np.linalg.det(to_pet)) < 1e-9:
        raise InputError(f"{path} flattens space: it is no transform from a PET to an MRI.")
    return RAS_TO_LPS @ np.linalg.inv(to_pet) @ RAS_TO_LPS
