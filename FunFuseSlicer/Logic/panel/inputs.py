"""Which volume is the MRI and which the PET: a guess for the selectors, and what is wrong with a choice."""

from typing import List, NamedTuple, Optional

import numpy as np

from ..scene.attributes import ROLE_ATTRIBUTE
from ..volumes import doubts
from ..volumes.doubts import MR, PT, name_modality

_DICOM_MODALITIES = {"MR": MR, "PT": PT, "NM": PT, "ST": PT}


class Guess(NamedTuple):
    """What the selectors may show at first; None where there is no reason for any volume."""

    mri: Optional[object]
    pet: Optional[object]


def modality(node) -> Optional[str]:
    """ "MR" or "PT" by the DICOM header, else by the words of the name; None when neither tells."""
    return _dicom_modality(node) or name_modality(node.GetName() or "")


def guess(nodes: List[object]) -> Guess:
    """Pick MRI and PET among volume nodes, in the order of the scene.

    Results of this module, label maps and color images are not taken. Where one of two volumes is
    known, the other takes the free place; where nothing is known, the one with smaller voxels is the MRI.
    """
    nodes = [node for node in nodes if _is_candidate(node)]
    kinds = [modality(node) for node in nodes]
    mri = next((node for node, kind in zip(nodes, kinds) if kind == MR), None)
    pet = next((node for node, kind in zip(nodes, kinds) if kind == PT), None)
    unknown = [node for node, kind in zip(nodes, kinds) if kind is None]
    if mri is None and pet is None and len(unknown) == 2:
        mri, pet = sorted(unknown, key=_voxel_volume)
    elif len(unknown) == 1:
        mri = unknown[0] if mri is None else mri
        pet = unknown[0] if pet is None and mri is not unknown[0] else pet
    return Guess(mri, pet)


def problem(mri, pet, mask=None) -> Optional[str]:
    """Why a run cannot start with these volumes, as a sentence with the remedy; None when it can."""
    import slicer

    if mri is None and pet is None and not _volumes_in_scene():
        return (
            "There is no volume in the scene: load an MRI and a PET (drag the files into the window, or "
            'take the pair "FunFuse" from the module Sample Data).'
        )
    for node, what in ((mri, "MRI"), (pet, "PET or SPECT")):
        if node is None:
            return f"Choose the {what} volume."
    if mri is pet:
        return f'"{mri.GetName()}" is chosen as MRI and as PET: choose two volumes.'
    for node, what in ((mri, "MRI"), (pet, "PET"), (mask, "mask")):
        if node is None:
            continue
        sentence = _problem_of(node, what, slicer)
        if sentence:
            return sentence
    return None


def looks_swapped(mri, pet) -> Optional[str]:
    """A sentence when names or DICOM headers say that MRI and PET were chosen the wrong way round."""
    if mri is None or pet is None or mri is pet:
        return None
    return doubts.looks_swapped((mri.GetName(), pet.GetName()), (modality(mri), modality(pet)))


def _problem_of(node, what: str, slicer) -> Optional[str]:
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        return f'"{name}" has no voxels: choose another volume as {what}.'
    if node.GetAttribute(ROLE_ATTRIBUTE) not in (None, "pet_registered"):
        return f'"{name}" is a result of FunFuse: choose the original volume as {what}.'
    components = image.GetNumberOfScalarComponents()
    if components in (3, 4) and image.GetScalarSize() == 1:
        return (
            f'"{name}" is a color image, not a {what} with one value a voxel: choose the original '
            "volume. Where there is only pseudo-color, convert it to uptake first (see the documentation)."
        )
    if components > 1:
        return (
            f'"{name}" has {components} values a voxel (a dynamic scan?): load it as a volume sequence and '
            f"choose a frame, or its mean, as {what}."
        )
    scalars = image.GetPointData().GetScalars()
    low, high = (0.0, 0.0) if scalars is None else scalars.GetFiniteRange(0)
    if low >= high and (what != "mask" or high == 0):
        same = "is zero everywhere" if high == 0 else "has the same value everywhere"
        return f'"{name}" {same}: choose another volume as {what}.'
    transform = node.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        return f'"{name}" is under a non-linear transform: harden that transform first.'
    return None


def _volumes_in_scene() -> bool:
    import slicer

    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return any(node.GetAttribute(ROLE_ATTRIBUTE) is None for node in nodes)


def _is_candidate(node) -> bool:
    image = node.GetImageData()
    return (
        image is not None
        and image.GetNumberOfScalarComponents() == 1
        and not node.IsA("vtkMRMLLabelMapVolumeNode")
        and not node.GetHideFromEditors()
        and node.GetAttribute(ROLE_ATTRIBUTE) is None
    )


def _voxel_volume(node) -> float:
    return float(np.prod(node.GetSpacing()))


def _dicom_modality(node) -> Optional[str]:
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if not item:
        return None
    attribute = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return _DICOM_MODALITIES.get(hierarchy.GetItemAttribute(item, attribute))
