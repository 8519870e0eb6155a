"""A reference region from what there is in a scene: a segment, a label, a mask, or a ball placed by hand.

A ball is a markup of Slicer's kind ROI, which has handles in all views: what fits into its box counts.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict

import numpy as np

from ..errors import InputError
from ..volumes.geometry import Volume
from ..volumes.reference import Region, ellipsoid, labeled
from . import views
from .inputs import ijk_to_world, to_world, volume_from_node
from .outputs import voxels_of

BALL_NAME, BALL_DIAMETER = "Reference region", 15.0


def parts_of(node) -> Dict[str, str]:
    """What of a node can be the region: names by segment or label; nothing where all of it is."""
    if node is None:
        return {}
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        return {one: segmentation.GetSegment(one).GetName() for one in ids}
    if not node.IsA("vtkMRMLLabelMapVolumeNode") or node.GetImageData() is None:
        return {}
    labels = voxels_of(node.GetImageData())
    display = node.GetDisplayNode()
    colors = None if display is None else display.GetColorNode()
    values = np.flatnonzero(np.bincount(labels[labels > 0].ravel().astype(np.intp)))
    names = {value: (colors and colors.GetColorName(int(value))) or f"label {value}" for value in values}
    return {str(value): name for value, name in names.items()}


def region_of_node(node, part: str, mri_node, pet_node) -> Region:
    """The region, and whether it was drawn on the PET.

    A segmentation lies where the volume does that it was drawn on, a label map on the PET where it has its
    grid; all else lies on the MRI.

    :param part: a key of :func:`parts_of`; "" for the first of them.
    :raises InputError: there is nothing in it, or it is under a non-linear transform.
    """
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise InputError(f'"{node.GetName()}" is under a non-linear transform: harden that transform first.')
    if node.IsA("vtkMRMLMarkupsROINode"):
        return Region(_ball(node))
    parts = parts_of(node)
    if node.IsA("vtkMRMLSegmentationNode"):
        if not parts:
            raise InputError(f'"{node.GetName()}" has no segment: draw the reference region first.')
        drawn_on = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
        part = part if part in parts else next(iter(parts))
        return Region(_segment(node, part, parts[part]), drawn_on is pet_node)
    labels = volume_from_node(node)
    on_pet = labels.same_grid(volume_from_node(pet_node)) and not labels.same_grid(volume_from_node(mri_node))
    if not parts:
        return Region(labeled(labels, None, labels.name), on_pet)
    part = part if part in parts else next(iter(parts))
    return Region(labeled(labels, int(part), parts[part]), on_pet)


def _segment(node, segment: str, name: str) -> Volume:
    import slicer
    import vtk

    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    there = node.GetBinaryLabelmapRepresentation(segment, image)
    if not there or image.GetNumberOfPoints() == 0:
        raise InputError(f'The reference region "{name}" is empty: draw it, or choose another one.')
    image.GetImageToWorldMatrix(matrix)
    # Its voxels may begin anywhere on the grid.
    start = np.eye(4)
    start[:3, 3] = image.GetExtent()[::2]
    place = to_world(node) @ slicer.util.arrayFromVTKMatrix(matrix) @ start
    return Volume(np.array(voxels_of(image)), place, name)


def _ball(node) -> Volume:
    import slicer

    size = node.GetSize()
    if not min(size) > 0:
        raise InputError(f'"{node.GetName()}" has no size: place it, and draw its handles apart.')
    return ellipsoid(slicer.util.arrayFromVTKMatrix(node.GetObjectToWorldMatrix()), size, node.GetName())


def add_ball(mri_node):
    """A ball where the user is, else in the middle of the MRI."""
    import slicer

    place = views.place_shown()
    if place is not None:
        center = np.reshape(place.slice_to_ras, (4, 4))[:3, 3]
    else:
        middle = [(n - 1) / 2 for n in mri_node.GetImageData().GetDimensions()]
        center = (ijk_to_world(mri_node) @ [*middle, 1.0])[:3]
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLMarkupsROINode", slicer.mrmlScene.GenerateUniqueName(BALL_NAME)
    )
    node.SetSize(BALL_DIAMETER, BALL_DIAMETER, BALL_DIAMETER)
    node.SetCenterWorld([float(x) for x in center])
    node.CreateDefaultDisplayNodes()
    return node
