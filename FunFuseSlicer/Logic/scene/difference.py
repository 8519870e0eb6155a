"""Left–right asymmetry, or what another study has less: a volume in colors over the fused image.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Tuple

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..monitor import Monitor
from ..registration.mirror import find_mirror_plane
from ..registration.second import register_second
from ..volumes.brain import estimate_brain
from ..volumes.differences import (
    PERCENT,
    SUBTRACTION,
    DifferenceOptions,
    Z,
    asymmetry,
    smoothed,
    subtraction,
    summary,
)
from ..volumes.geometry import Volume, resample
from ..volumes.preprocessing import clean, robust_scale
from . import views
from .attributes import ROLE_ATTRIBUTE, attribute_name, matrix_of
from .beside import beside
from .color_maps import difference_node
from .inputs import volume_from_node
from .legend import put_legend
from .outputs import image_of, push_volume

ROLE = "difference"
# Where no brain is found in the MRI, it is where the PET has more than this part of its scale.
LEAST_UPTAKE = 0.25
# Over the fused image, whose contrast shows through.
OPACITY = 0.6


@dataclass(frozen=True)
class Difference:
    """What was found.

    :param array: float32 on the MRI's grid, in percent or as z; 0 outside of the brain.
    :param plain: what it was compared with: "from", the name of the other study, and "mirror_plane".
    :param numbers: see :func:`.volumes.differences.summary`.
    """

    array: np.ndarray
    options: DifferenceOptions
    plain: Dict[str, str]
    numbers: Dict[str, float]

    def title(self, pet_name: str) -> str:
        """What stands at its color scale."""
        from slicer.i18n import tr as _

        titles = {
            PERCENT: _("{pet}, asymmetry in %"),
            Z: _("{pet}, asymmetry as z"),
            SUBTRACTION: _("{pet} less {other}, z"),
        }
        return titles[self.options.kind].format(pet=pet_name, other=self.plain["from"])


def find_difference(
    mri_node,
    pet_node,
    outputs: Mapping[str, object],
    options: DifferenceOptions,
    other_node=None,
    mask_node=None,
    monitor: Optional[Monitor] = None,
) -> Difference:
    """Compare a registered PET with its mirror image, or with another study of the same patient.

    :param outputs: nodes by role, see :func:`.outputs.find_results`.
    :param other_node: for a subtraction: it is registered, unless the PET was taken as registered already.
    :param mask_node: the brain; None to find it in the MRI.
    :raises InputError: a volume that is missing or cannot be used.
    :raises RegistrationError: the other study could not be registered.
    """
    if options.kind == SUBTRACTION and (
        other_node in (None, mri_node, pet_node) or other_node.GetAttribute(ROLE_ATTRIBUTE) is not None
    ):
        raise InputError(
            "Choose another study of the same patient, which is to be subtracted: not the MRI, the PET "
            "itself or a result."
        )
    mri_raw, pet_raw = volume_from_node(mri_node), volume_from_node(pet_node)
    other_raw = volume_from_node(other_node) if options.kind == SUBTRACTION else None
    for known in (mri_raw, pet_raw) if other_raw is not None else ():
        if np.array_equal(other_raw.array, known.array):
            raise InputError(
                f'"{other_raw.name}" has the voxels of "{known.name}": choose another study, which is to be '
                "subtracted."
            )
    mask = None if mask_node is None else volume_from_node(mask_node)
    # None: the PET was taken as registered already, and so is the other one.
    matrix = matrix_of(outputs["fused"], "RegistrationMatrix")

    def find(told: Monitor) -> Difference:
        mri, pet = clean(mri_raw, mri=True)[0], clean(pet_raw)[0]
        said = {"from": "", "mirror_plane": ""}
        if other_raw is None:
            plane = find_mirror_plane(mri, told)
            other, to_mri = pet, plane.matrix if matrix is None else plane.matrix @ matrix
            said["mirror_plane"] = plane.facts()
        else:
            other, to_mri = clean(other_raw)[0], None
            if matrix is not None:
                to_mri = register_second(mri, pet, matrix, other, told)
            said["from"] = other.name
        (first, there), (second, also) = (
            _on_grid(volume, mri, place, options) for volume, place in ((pet, matrix), (other, to_mri))
        )
        inside = _inside(mri, first, mask)
        if other_raw is None:
            half = mri.with_array(inside.astype(np.uint8))
            inside = inside & (resample(half, mri, plane.matrix, nearest=True).array > 0)
        inside = inside & there & also
        if other_raw is None:
            array = asymmetry(first, second, inside, options.kind)
        else:
            array = subtraction(first, second, inside)
        return Difference(array, options, said, summary(array, options, mri.voxel_mm3 / 1000.0))

    return beside(find, monitor or Monitor(), "Comparing")


def _on_grid(
    pet: Volume, mri: Volume, matrix: Optional[np.ndarray], options: DifferenceOptions
) -> Tuple[np.ndarray, np.ndarray]:
    """Blurred where it was taken, and brought to the MRI; and where there is anything of it, bool."""
    blurred = pet.with_array(smoothed(pet.array, pet.spacing, options.smooth_mm))
    # Voxels at the edge of the field of view hold a part of what they should.
    there = pet.with_array(ndimage.binary_erosion(pet.array > 0).astype(np.uint8))
    return resample(blurred, mri, matrix).array, resample(there, mri, matrix, nearest=True).array > 0


def _inside(mri: Volume, uptake: np.ndarray, mask: Optional[Volume]) -> np.ndarray:
    """Where the brain is, bool."""
    if mask is not None:
        return resample(mask, mri, nearest=True).array > 0
    brain = estimate_brain(mri)
    return uptake > LEAST_UPTAKE * robust_scale(uptake) if brain is None else brain


def push_difference(
    mri_node, pet_node, outputs: Mapping[str, object], found: Difference, legend_shown: bool = True
):
    """The volume with its colors and legend; a rerun updates the node of the run before.

    :return: the vtkMRMLScalarVolumeNode.
    """
    options = found.options
    facts = {
        "DifferenceKind": options.kind,
        "SmoothingMm": repr(options.smooth_mm),
        "ShownFrom": f"{options.shown_from:g} {options.unit}",
        "DifferenceFrom": found.plain["from"],
        "MirrorPlane": found.plain["mirror_plane"],
        **{attribute_name(name): f"{number:.4g}" for name, number in found.numbers.items()},
    }
    node = push_volume(ROLE, image_of(found.array), mri_node, pet_node, outputs, facts)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(difference_node().GetID())
    display.SetApplyThreshold(0)
    display.SetWindowLevelMinMax(*options.ends)
    put_legend(display, found.title(pet_node.GetName()), legend_shown, make=True)
    return node


def show_difference(mri_node, outputs: Mapping[str, object], shown: bool) -> None:
    """Over the fused image, in all views that show the overlay, or back; but for the panes."""
    overlay = mri_node, outputs["colored"]
    over_fused = outputs["fused"], outputs[ROLE]
    if shown:
        views.replace_overlay(overlay, over_fused, OPACITY)
    else:
        views.replace_overlay(over_fused, overlay, 1.0 / OPACITY)


def is_shown(outputs: Mapping[str, object]) -> bool:
    """Whether a view shows it."""
    ids = outputs["fused"].GetID(), outputs[ROLE].GetID() if ROLE in outputs else None
    return any(views.layers_of(logic)[:2] == ids for logic in views.slice_logics())
