"""Scenes in an odd state, and computers that fail, for the study "robustness"."""

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Callable
from unittest import mock

import numpy as np

from .robustness_pairs import shift

# --- Nodes ------------------------------------------------------------------------------------------------


def nested(mri, pet):
    """Both under two transforms, one in the other."""
    import slicer

    outer, inner = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode") for _ in range(2))
    for node, matrix in ((outer, shift(40, 0, -20)), (inner, shift(-3, 8, 5))):
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    for node in (mri, pet):
        node.SetAndObserveTransformNodeID(inner.GetID())
    return mri, pet


def warped(mri, pet):
    """The PET under a B-spline transform."""
    import slicer

    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    pet.SetAndObserveTransformNodeID(warp.GetID())
    return mri, pet


def lost_transform(mri, pet):
    """The PET refers to a transform that the scene does not have."""
    pet.SetAndObserveTransformNodeID("vtkMRMLLinearTransformNode99")
    return mri, pet


def no_voxels(mri, pet):
    """A PET without image data."""
    pet.SetAndObserveImageData(None)
    return mri, pet


def colored_node(mri, pet):
    """A vector volume in place of the PET."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "FDG in color")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6, 3), np.uint8))
    return mri, node


# --- Faults -----------------------------------------------------------------------------------------------


def no_memory(*names: str) -> Callable[[Path], object]:
    """A computer whose memory is full when a function asks for some."""

    def fault(_):
        stack = ExitStack()
        for name in names:
            stack.enter_context(mock.patch(name, side_effect=MemoryError("no memory")))
        return stack

    return fault


def full_disk(_) -> object:
    """A disk that is full when the second volume is written."""
    from ..workflow import run as workflow

    real, written = workflow.save_node, []

    def save(node, path):
        written.append(path)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        return real(node, path)

    return mock.patch.object(workflow, "save_node", save)


@contextmanager
def read_only(out: Path):
    """A disk that refuses new files: whoever runs this as root can write into any folder."""
    real_open, real_mkdir, nameless = os.open, os.mkdir, getattr(os, "O_TMPFILE", os.O_CREAT)
    inside = str(out)

    def open_(path, flags, *rest, **options):
        if str(path).startswith(inside) and (flags & os.O_CREAT or flags & nameless == nameless):
            raise OSError(30, "Read-only file system")
        return real_open(path, flags, *rest, **options)

    def mkdir(path, *rest, **options):
        if str(path).startswith(inside):
            raise OSError(30, "Read-only file system")
        return real_mkdir(path, *rest, **options)

    with mock.patch("os.open", open_), mock.patch("os.mkdir", mkdir):
        yield
