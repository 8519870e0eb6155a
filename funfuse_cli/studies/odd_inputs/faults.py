"""Scenes in an odd state, and computers that fail."""

import os
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from .pairs import affine

# --- Nodes: each changes those of a pair ------------------------------------------------------------------


def nested(mri, pet):
    """Both under two transforms, one in the other."""
    import slicer

    outer, inner = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode") for _ in range(2))
    for node, shift in ((outer, (40, 0, -20)), (inner, (-3, 8, 5))):
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(affine(shift)))
    for node, parent in ((inner, outer), (mri, inner), (pet, inner)):
        node.SetAndObserveTransformNodeID(parent.GetID())
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


# --- Faults: contexts, functions of the output folder -----------------------------------------------------


def no_memory(name: str, _out: Path):
    """A computer whose memory is full when a function of this name asks for some."""
    return mock.patch(name, side_effect=MemoryError("no memory"))


def full_disk(_out: Path):
    """A disk that is full when the second volume is written."""
    from ...workflow import run as workflow

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

    def refuse(real, path, *rest, **options):
        makes = real is real_mkdir or rest[0] & os.O_CREAT or rest[0] & nameless == nameless
        if str(path).startswith(str(out)) and makes:
            raise OSError(30, "Read-only file system")
        return real(path, *rest, **options)

    with ExitStack() as stack:
        stack.enter_context(mock.patch("os.open", partial(refuse, real_open)))
        stack.enter_context(mock.patch("os.mkdir", partial(refuse, real_mkdir)))
        yield
