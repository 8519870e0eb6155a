"""A whole run: from two nodes to results in the scene.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

import logging
import time
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from ..color.sources import Range, scale_of
from ..errors import DeviceError, InputError
from ..fusion.engine import is_out_of_memory
from ..fusion.fuser import load_fuser
from ..fusion.pipeline import FusionOptions, color_volume, fuse_volumes
from ..monitor import Monitor
from ..registration import REUSED, RegistrationResult, register, reuse
from ..registration.dispatch import BRAINS
from ..version import VERSION
from ..volumes import preprocessing
from ..volumes.doubts import MR, PT, doubts, looks_coarse
from ..volumes.geometry import Volume, resample
from ..volumes.regions import Reference, measure, range_at
from ..volumes.units import KINDS, SUVR, scaled
from . import (
    brains_engine,  # noqa: F401 (joins the engines)
    views,
)
from .attributes import attribute_name, matrix_text, name_of, range_text
from .beside import beside
from .color_maps import color_table
from .inputs import volume_from_node
from .outputs import OutputNodes, images_of, on_grid, push_outputs
from .pet_headers import known_files, units_of_files


@dataclass(frozen=True)
class Run:
    """What one run made and found.

    :param nodes: the output nodes in the scene.
    :param registration: None when the pair was registered already.
    :param fusion: arrays and facts, see :class:`fusion.pipeline.Fusion`.
    :param fuser: what fused, see :class:`fusion.fuser.Fuser`.
    :param notes: sentences for the user: what was changed, doubted or chosen.
    :param reading_notes: those of them that are about the volumes as they came.
    :param reference: what was measured in the reference region.
    """

    nodes: OutputNodes
    registration: Optional[RegistrationResult]
    fusion: object
    fuser: object
    options: object
    notes: List[str]
    reading_notes: List[str]
    seconds: float
    reference: Optional[Reference] = None

    def warnings(self) -> List[str]:
        """The notes, after the verdict on the registration where it is not simply good."""
        doubt = [] if self.registration is None or self.registration.trusted else [self.registration.verdict]
        return [*doubt, *self.notes]


def fuse_nodes(
    mri_node, pet_node, options, registration, mask_node, monitor, show: bool, matrix, region=None, unit=""
) -> Run:
    """Register, fuse, color, and put the results into the scene: see ``FunFuseSlicerLogic.process``.

    :raises FunFuseError: with a sentence for the user; DeviceError also where there is not enough memory.
    """
    try:
        return _run(mri_node, pet_node, options, registration, mask_node, monitor, show, matrix, region, unit)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            "There is not enough memory: close other programs or volumes, or choose an MRI with larger "
            "voxels."
        ) from error


def _run(mri_node, pet_node, options, registration, mask_node, monitor, show, matrix, region, unit) -> Run:
    import slicer

    start = time.perf_counter()
    options, monitor = options or FusionOptions(), monitor or Monitor()
    if mri_node is not None and mri_node is pet_node:
        raise InputError(f'"{mri_node.GetName()}" is chosen as MRI and as PET: choose two volumes.')
    monitor.report("Preparing", 0.0)
    mri_raw, pet_raw = volume_from_node(mri_node), volume_from_node(pet_node)
    files, said = known_files(pet_node), pet_raw.unit
    units = beside(lambda _: units_of_files(files, said), monitor, "Preparing")
    pet_raw = replace(pet_raw, unit=units.name)
    if unit == SUVR and region is None:
        raise InputError(f'"{pet_raw.name}" cannot be shown as SUVR: choose a reference region.')
    factor = units.factor(unit, pet_raw.name) if unit in KINDS else 1.0
    ranges = (mri_raw.array.dtype, np.dtype(np.float32) if unit else pet_raw.array.dtype)
    mri, pet, reading_notes = beside(lambda _: _read(mri_raw, pet_raw), monitor, "Preparing")
    monitor.report("Preparing", 0.5)
    fuser = beside(lambda _: load_fuser(options), monitor, "Preparing")
    table = color_table(options.colormap)
    color_table(options.pet_colormap or options.colormap)  # refused here, not among the results
    monitor.report("Preparing", 1.0)

    result = None
    if matrix is not None:
        result = beside(lambda _: reuse(mri, pet, matrix), monitor, "Checking the registration")
    elif registration is not None:
        result = _registered(mri, pet, registration, monitor)
    matrix = None if result is None else result.matrix
    reference = None
    if region is not None:
        reference = beside(lambda _: measure(pet_raw, region, matrix), monitor, "Resampling")
        factor = 1.0 / reference.mean if unit == SUVR else factor
        if options.reference_at is not None:
            options = replace(options, uptake_range=range_at(reference.mean * factor, options.reference_at))
    elif options.reference_at is not None:
        options = replace(options, reference_at=None)
    if unit:
        pet = scaled(pet, factor, unit)
    monitor.report("Resampling", 0.0)
    pet_on_grid = beside(lambda _: on_grid(pet, mri, matrix), monitor, "Resampling")
    monitor.report("Resampling", 1.0)
    remedy = "check the choice of volumes."
    preprocessing.check_overlap(
        pet_on_grid.array, mri, pet.name, remedy if result is not None else f"register them, or {remedy}"
    )
    mask = None
    if mask_node is not None:
        mask_raw = volume_from_node(mask_node)
        mask = beside(lambda _: resample(mask_raw, mri, nearest=True).array, monitor, "Resampling")
        preprocessing.check_mask(mask, mask_raw, mri)
    fusion = beside(
        lambda told: fuse_volumes(mri, pet_on_grid, fuser.runner, options, ranges, mask, told),
        monitor,
        "Fusing",
    )
    monitor.report("Coloring", 0.0)
    images, display, part_scale = beside(
        lambda _: (
            _images(pet_on_grid, fusion, color_volume(fusion, options, table)),
            _display(options.uptake_range or (0.0, scale_of(pet_on_grid.array, fusion.brain))),
            None if fusion.pet_part is None else scale_of(fusion.pet_part, fusion.brain),
        ),
        monitor,
        "Coloring",
    )
    monitor.report("Coloring", 1.0)
    for node in (mri_node, pet_node):
        if not slicer.mrmlScene.IsNodePresent(node):
            raise InputError("The MRI or the PET was removed from the scene meanwhile: nothing was made.")
    nodes = push_outputs(
        mri_node,
        pet_node,
        images,
        matrix,
        display,
        {
            **_provenance(mri, pet, options, fuser, result, fusion, part_scale),
            **_measured(reference, factor, pet.unit),
            "MaskName": name_of(mask_node),
        },
        options.colormap,
        (lambda made: views.show_overlay(mri_node, made.colored)) if show else None,
        options.pet_colormap,
        pet.unit,
    )
    seconds = time.perf_counter() - start
    said = " ".join([f"FunFuse: fused {mri.name} with {pet.name} in {seconds:.1f} s.", *reading_notes])
    logging.info("%s", said)
    notes = [*reading_notes, *fusion.slices.notes]
    return Run(nodes, result, fusion, fuser, options, notes, reading_notes, seconds, reference)


def _read(mri_raw: Volume, pet_raw: Volume) -> Tuple[Volume, Volume, List[str]]:
    """Both volumes, ready to be used, and what there is to say about them."""
    mri, mri_counts = preprocessing.clean(mri_raw, mri=True)
    pet, pet_counts = preprocessing.clean(pet_raw)
    found = [*doubts(mri_raw, MR), *doubts(pet_raw, PT), looks_coarse(mri_raw, pet_raw)]
    found += preprocessing.replaced_sentences([(mri.name, mri_counts), (pet.name, pet_counts)])
    return mri, pet, [note for note in found if note]


def _registered(mri: Volume, pet: Volume, options, monitor: Monitor) -> RegistrationResult:
    """BRAINS works on nodes of the scene, which belong to the main thread; the other engines know none."""
    if options.engine == BRAINS:
        return register(mri, pet, options, monitor, beside)
    return beside(lambda told: register(mri, pet, options, told), monitor, "Registering")


def _images(pet_on_grid: Volume, fusion, colored: np.ndarray) -> Dict[str, object]:
    """All that there is to be put into the scene, by role."""
    arrays = {
        "pet_registered": pet_on_grid.array,
        "fused": fusion.fused,
        "mri_part": fusion.mri_part,
        "pet_part": fusion.pet_part,
        "colored": colored,
    }
    return images_of({role: array for role, array in arrays.items() if array is not None})


def _display(uptake: Range) -> Dict[str, Range]:
    """Black and white level of each scalar output.

    :param uptake: those of the registered PET.
    """
    return {
        "pet_registered": uptake,
        "fused": (0.0, 1.0),
        "mri_part": (0.0, 0.5),
        "pet_part": (0.0, 0.5),
    }


def _provenance(mri, pet, options, fuser, registration, fusion, part_scale) -> Dict[str, str]:
    """The attributes by which a saved scene explains itself; all text, as MRML wants it."""
    facts = {"MRIName": mri.name, "PETName": pet.name, "Version": VERSION}
    for name, value in {**options.facts(), **fuser.facts()}.items():
        facts[attribute_name(name)] = "" if value is None else str(value)
    facts["UptakeRange"] = range_text(options.uptake_range)
    if part_scale is not None:
        facts["PETPartScale"] = repr(part_scale)
    facts.update(
        {
            "UsedDevice": fusion.slices.device,
            # What the panel needs, as PETPartScale, to repaint a saved scene without fusing again.
            "MRIScale": repr(fusion.scales[0]),
            "PETScale": repr(fusion.scales[1]),
            "Registration": "none" if registration is None else registration.method,
            "Judgement": "" if registration is None else registration.judgement,
            "RegistrationSummary": _summary(registration),
            "RegistrationDetails": "" if registration is None else registration.description,
            # Of the images before; Evaluate fills it again.
            "Metrics": "",
        }
    )
    if registration is not None:
        facts["RegistrationMatrix"] = matrix_text(registration.matrix)
    # Where another result was kept: the panel offers this one.
    facts["RigidMatrix"] = matrix_text(None if registration is None else registration.rigid_matrix)
    return facts


def _measured(reference: Optional[Reference], factor: float, unit: str) -> Dict[str, str]:
    """The unit, what made it of the stored values, and the reference region, as attributes."""
    facts = {"PETUnit": unit, "PETFactor": repr(factor)}
    if reference is None:
        return facts
    place = f"{reference.voxels} voxels of the PET, {reference.milliliters:.3g} ml"
    return {
        **facts,
        "Reference": f"{reference.name}: mean {reference.mean:.6g} {reference.unit}".rstrip() + f", {place}",
        "ReferenceName": reference.name,
        "ReferenceMean": repr(reference.mean),
        "ReferenceVoxels": str(reference.voxels),
        "ReferenceMilliliters": repr(reference.milliliters),
    }


def _summary(result: Optional[RegistrationResult]) -> str:
    """What the user wants to know about a registration."""
    from slicer.i18n import tr as _

    if result is None:
        return _("The volumes were taken as registered already.")
    similarity = _("Mutual information {before} before, {after} after.").format(
        before=f"{result.similarity_before:.3f}", after=f"{result.similarity_after:.3f}"
    )
    method = f"{result.method}."
    if result.method == REUSED:
        method = _("An earlier result was used, with your corrections if you made any.")
    sentences = [method, result.verdict, similarity, *result.notes]
    return " ".join(sentence for sentence in sentences if sentence)
