"""Regions from what there is in a scene: segments, labels, a mask, or a ball placed by hand.

A ball is a markup of Slicer's kind ROI, which has handles in all views: what fits into its box counts.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict, List, Mapping, Optional

import numpy as np

from ..errors import InputError
from ..volumes.geometry import Volume
from ..volumes.regions import Regions, ellipsoid, labeled, lie_on_pet
from . import views
from .inputs import ijk_to_world, to_world, volume_from_node
from .outputs import voxels_of

BALL_NAME, BALL_DIAMETER = "Reference region", 15.0


def parts_of(node) -> Dict[str, str]:
    """What of a node can be a region: names by segment or label; nothing where all of it is."""
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
    values = np.unique(labels[labels > 0].astype(np.int64))
    names = {value: (colors and colors.GetColorName(int(value))) or f"label {value}" for value in values}
    return {str(value): name for value, name in names.items()}


def part_or_first(parts: Mapping[str, str], part: str) -> str:
    """A key of :func:`parts_of`: the first of them stands for any other; "" where there is none."""
    return part if part in parts else next(iter(parts), "")


def regions_of_node(node, mri_node, pet_node) -> List[Regions]:
    """All regions of a segmentation, whose segments may overlap, or of a label map.

    :raises InputError: see :func:`region_of_node`.
    """
    on_pet, parts = _lies_on_pet(node, mri_node, pet_node), parts_of(node)
    if not node.IsA("vtkMRMLSegmentationNode"):
        names = {int(part): name for part, name in parts.items()}
        return [Regions(volume_from_node(node), names, on_pet)]
    found = []
    for number, (part, name) in enumerate(parts.items(), start=1):
        mask = _segment(node, part, name)
        if mask is not None:
            labels = mask.with_array((mask.array > 0) * np.int32(number))
            found.append(Regions(labels, {number: name}, on_pet))
    if not found:
        raise InputError(f'"{node.GetName()}" has no segment with voxels: draw one first.')
    return found


def region_of_node(node, part: str, mri_node, pet_node) -> Regions:
    """A segment, a label, a mask or a ball, and whether it was drawn on the PET.

    A segmentation lies where the volume does that it was drawn on, a label map on the PET where it has its
    grid; all else lies on the MRI.

    :param part: see :func:`part_or_first`.
    :raises InputError: there is nothing in it, or it is under a non-linear transform.
    """
    on_pet, parts = _lies_on_pet(node, mri_node, pet_node), parts_of(node)
    part = part_or_first(parts, part)
    if node.IsA("vtkMRMLMarkupsROINode"):
        mask = _ball(node)
    elif node.IsA("vtkMRMLSegmentationNode"):
        mask = _segment(node, part, parts[part]) if part else None
        if mask is None:
            said = f'"{parts[part]}" is empty' if part else f'"{node.GetName()}" has no segment'
            raise InputError(f"The reference region {said}: draw it, or choose another one.")
    else:
        labels = volume_from_node(node)
        mask = labeled(labels, int(part) if part else None, parts.get(part, labels.name))
    return Regions(mask, in_pet_space=on_pet)


def _lies_on_pet(node, mri_node, pet_node) -> bool:
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise InputError(f'"{node.GetName()}" is under a non-linear transform: harden that transform first.')
    if node.IsA("vtkMRMLSegmentationNode"):
        return node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is pet_node
    if not node.IsA("vtkMRMLVolumeNode"):
        return False
    return lie_on_pet(*(volume_from_node(one) for one in (node, mri_node, pet_node)))


def _segment(node, segment: str, name: str) -> Optional[Volume]:
    """The voxels of a segment, on a grid of its own; None where nothing is drawn."""
    import slicer
    import vtk

    image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
    there = node.GetBinaryLabelmapRepresentation(segment, image)
    if not there or image.GetNumberOfPoints() == 0:
        return None
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
