"""What ``demo`` and ``fuse`` share: two volumes in, one folder of results out.

The work itself is done by the same ``FunFuseSlicerLogic`` that runs in Slicer.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.report.contents import Contents, ready
from FunFuseSlicer.Logic.report.page import page
from FunFuseSlicer.Logic.scene.export import DICOM_FOLDER, ENDINGS
from FunFuseSlicer.Logic.scene.report import contents_of, facts_of
from FunFuseSlicer.Logic.version import VERSION
from FunFuseSlicer.Logic.volumes.differences import DifferenceOptions
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample
from FunFuseSlicer.Logic.volumes.preprocessing import clean, replaced_sentences
from FunFuseSlicer.Logic.volumes.regions import Regions, measure
from FunFuseSlicer.Logic.volumes.units import scaled

from ..extension import load_module
from ..headless.boot import boot
from ..headless.scene_files import save_mrb, save_node
from .dicom import Study
from .output_folder import OUTPUTS, PICTURE_ROLES, VOLUME_ROLES, write_report
from .page import facts_of_report
from .preview import write_difference, write_preview


@dataclass(frozen=True)
class Request:
    """One pair to fuse, as the user asked for it.

    :param registration: options of the registration, or None when the pair is registered already.
    :param inputs: what report.json says about where the volumes came from.
    :param pictures: write PNG pictures instead of volumes and a scene; the pair is a single slice.
    :param notes: sentences on what was corrected, doubted or left out when the inputs were read.
    :param started: when the command started, by ``time.perf_counter()``.
    :param provenance: see :func:`provenance.provenance`.
    :param outputs: names of :data:`output_folder.OUTPUTS`: what to write beside the report.
    :param volumes: a format of :data:`FunFuseSlicer.Logic.scene.export.ENDINGS`.
    :param study: write DICOM into this one, too.
    :param matrix: 4×4 in RAS, PET to MRI, which is checked and used instead of registering.
    :param region: a reference region, and ``unit`` "SUVR" to turn the PET into that by it.
    :param difference: compare the PET with its mirror image or with another study, ``other``, too.
    """

    mri: Volume
    pet: Volume
    options: FusionOptions
    registration: Optional[object]
    inputs: Dict[str, object]
    mask: Optional[Volume] = None
    pictures: bool = False
    notes: Sequence[str] = ()
    started: float = field(default_factory=time.perf_counter)
    provenance: Optional[dict] = None
    outputs: Sequence[str] = tuple(OUTPUTS)
    volumes: str = "nrrd"
    study: Optional[Study] = None
    matrix: Optional[np.ndarray] = None
    region: Optional[Regions] = None
    unit: str = ""
    difference: Optional[DifferenceOptions] = None
    other: Optional[Volume] = None

    def writes(self, name: str) -> bool:
        """Whether a file is wanted; its name without the ending."""
        return any(name in OUTPUTS[output] for output in self.outputs)


def run_request(request: Request, folder: Path, monitor: Monitor, extra: Optional[Callable] = None) -> dict:
    """Fuse and write everything into ``folder``: volumes, transform, scene, preview, report.

    The report comes last, and lists size and checksum of all others, see :func:`output_folder.verify`.

    :param extra: entries to add to the report, a function of the run: ``extra(run) -> dict``.
    :return: the report, as written to report.json.
    """
    monitor.report("Starting", 0.0)
    slicer = boot()
    module = load_module()
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node

    monitor.report("Starting", 1.0)
    slicer.mrmlScene.Clear(False)
    mri_node = add_volume_node(request.mri)
    pet_node = add_volume_node(request.pet)
    mask_node = add_volume_node(request.mask) if request.mask is not None else None
    run = module.FunFuseSlicerLogic().process(
        mri_node,
        pet_node,
        request.options,
        request.registration,
        mask_node,
        monitor=monitor,
        matrix=request.matrix,
        region=request.region,
        unit=request.unit,
    )
    report, found = _report(request, run), None
    if request.difference is not None:
        found = _compare(request, run, (mri_node, pet_node, mask_node), folder, monitor)
        report["difference"] = _difference_report(found)
    if extra is not None:
        report.update(extra(run))
    writing = time.perf_counter()
    if request.pictures:
        _write_pictures(run, request, folder)
        if found is not None and request.writes("difference"):
            _write_difference(_contents(run), request, found, folder)
    else:
        _write_volumes(run, request, report, found, folder, monitor)
    if request.study is not None:
        _write_dicom(run, mri_node, pet_node, request.study, folder / DICOM_FOLDER, monitor)
    now = time.perf_counter()
    report["seconds"] = {"total": round(now - request.started, 2), "writing": round(now - writing, 2)}
    return write_report(folder, report)


def register_request(request: Request, folder: Path, monitor: Monitor) -> dict:
    """Register alone, and write the PET on the MRI's grid, the transform and the report.

    :return: the report, as :func:`run_request`; its entry "fusion" is None.
    :raises RegistrationError: nothing was found, or what was found is judged wrong.
    """
    slicer = boot()
    load_module()
    from FunFuseSlicer.Logic.registration import register, reuse
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node

    (mri, _), (pet, replaced) = clean(request.mri, mri=True), clean(request.pet)
    result = (
        register(mri, pet, request.registration, monitor)
        if request.matrix is None
        else reuse(mri, pet, request.matrix)
    )
    reference = None
    if request.region is not None:
        reference = measure(request.pet, request.region, result.matrix)
        pet = scaled(pet, 1.0 / reference.mean, request.unit) if request.unit else pet
    slicer.mrmlScene.Clear(False)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "PET to MRI")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(result.matrix))
    save_node(transform, folder / "pet_to_mri.tfm")
    registered = add_volume_node(resample(pet, mri, result.matrix))
    save_node(registered, folder / f"pet_registered{ENDINGS[request.volumes]}")
    notes = [*request.notes, *replaced_sentences([(pet.name, replaced)])]
    report = {
        "inputs": request.inputs,
        "registration": _registration_report(result),
        "fusion": None,
        "reference": None if reference is None else reference.facts(),
        "reading": {"notes": notes},
        "notes": notes if result.trusted else [result.verdict, *notes],
        "version": VERSION,
        **({} if request.provenance is None else {"provenance": request.provenance}),
        "seconds": {"total": round(time.perf_counter() - request.started, 2)},
    }
    return write_report(folder, report)


def _write_volumes(run, request: Request, report: dict, found, folder: Path, monitor: Monitor) -> None:
    nodes = _made(run, request, VOLUME_ROLES)
    steps = len(nodes) + 3
    for step, (role, node) in enumerate(nodes.items()):
        monitor.report("Writing", step / steps)
        save_node(node, folder / f"{role}{ENDINGS[request.volumes]}")
    if run.nodes.transform is not None and request.writes("pet_to_mri"):
        save_node(run.nodes.transform, folder / "pet_to_mri.tfm")
    monitor.report("Writing", (steps - 2) / steps)
    compared = found is not None and request.writes("difference")
    if request.writes("report") or request.writes("preview") or compared:
        _write_shown(run, request, report, found, folder)
    monitor.report("Writing", (steps - 1) / steps)
    if request.writes("scene"):
        save_mrb(folder / "scene.mrb")
    monitor.report("Writing", 1.0)


def _write_dicom(run, mri_node, pet_node, study: Study, folder: Path, monitor: Monitor) -> None:
    from FunFuseSlicer.Logic.scene.dicom_export import export_dicom

    export_dicom(mri_node, pet_node, _nodes(run), *study, folder, monitor)


def _contents(run) -> Contents:
    """What the page and the pictures show."""
    return ready(contents_of(_nodes(run), run.fusion.gradients, run.fusion.brain))


def _write_shown(run, request: Request, report: dict, found, folder: Path) -> None:
    """The page and the preview, which show the same, and a picture of what was compared."""
    contents, pictures = _contents(run), {}
    if found is not None and request.writes("difference"):
        pictures["What stands out"] = _write_difference(contents, request, found, folder).read_bytes()
    if request.writes("report"):
        facts = {**facts_of(_nodes(run)), **facts_of_report(report)}
        text = page(contents, facts, report["notes"], pictures=pictures)
        (folder / "report.html").write_text(text, encoding="utf-8")
    if request.writes("preview"):
        write_preview(contents, folder / "preview.png")


def _write_difference(contents: Contents, request: Request, found, folder: Path) -> Path:
    path, at_mri = folder / "difference.png", request.mri.with_array(found.array)
    write_difference(contents, at_mri, found.options, found.title(request.pet.name), path)
    return path


def _compare(request: Request, run, inputs, folder: Path, monitor: Monitor):
    """Compare, and write the volume of it; the :class:`scene.difference.Difference`."""
    from FunFuseSlicer.Logic.scene import difference
    from FunFuseSlicer.Logic.scene.inputs import add_volume_node

    mri, pet, mask = inputs
    options, nodes = request.difference, _nodes(run)
    other = None if request.other is None else add_volume_node(request.other)
    found = difference.find_difference(mri, pet, nodes, options, other, mask, monitor)
    node = difference.push_difference(mri, pet, nodes, found)
    if request.writes("difference"):
        save_node(node, folder / f"difference{ENDINGS[request.volumes]}")
    return found


def _difference_report(found) -> dict:
    return {
        "kind": found.options.kind,
        "smoothing_mm": found.options.smooth_mm,
        "shown_from": found.options.shown_from,
        "unit": found.options.unit,
        **{name: value for name, value in found.plain.items() if value},
        **found.numbers,
    }


def _nodes(run) -> Dict[str, object]:
    """The output nodes by role, also those that were made since."""
    from FunFuseSlicer.Logic.scene.attributes import MRI_REFERENCE, PET_REFERENCE
    from FunFuseSlicer.Logic.scene.outputs import find_results

    colored = run.nodes.colored
    return find_results(colored.GetNodeReference(MRI_REFERENCE), colored.GetNodeReference(PET_REFERENCE))


def _made(run, request: Request, roles: Sequence[str]) -> Dict[str, object]:
    """The output nodes that are wanted and there; not every method tells the parts."""
    nodes = {role: getattr(run.nodes, role) for role in roles if request.writes(role)}
    return {role: node for role, node in nodes.items() if node is not None}


def _write_pictures(run, request: Request, folder: Path) -> None:
    """8-bit PNG files: round(255 · F) and likewise the parts; the colored image as RGB."""
    import slicer

    for role, node in _made(run, request, PICTURE_ROLES).items():
        array = slicer.util.arrayFromVolume(node)[0]
        if role != "colored":
            array = np.rint(255.0 * np.clip(array, 0.0, 1.0)).astype(np.uint8)
        image = sitk.GetImageFromArray(array, isVector=role == "colored")
        sitk.WriteImage(image, str(folder / f"{role}.png"))


def _report(request: Request, run) -> dict:
    options, slices = run.options, run.fusion.slices
    chosen = {**options.facts(), **run.fuser.facts()}
    fusion = {("lambda" if name == "lam" else name): value for name, value in chosen.items()}
    fusion.update(
        device=slices.device,
        slices=slices.slices,
        seconds=round(slices.seconds, 3),
    )
    return {
        "inputs": request.inputs,
        "registration": _registration_report(run.registration),
        "fusion": fusion,
        "reference": None if run.reference is None else run.reference.facts(),
        "completeness": slices.completeness,
        "reading": {"notes": [*request.notes, *run.reading_notes]},
        "notes": [*_doubted(run), *request.notes, *run.notes],
        "version": VERSION,
        **({} if request.provenance is None else {"provenance": request.provenance}),
    }


def _doubted(run) -> Sequence[str]:
    """The verdict, where it is a doubtful one."""
    return [] if run.registration is None or run.registration.trusted else [run.registration.verdict]


def _registration_report(result) -> dict:
    """The registration as JSON; the matrix maps the PET (moving) to the MRI (fixed), in RAS mm."""
    if result is None:
        return {"method": "none", "judgement": None, "matrix": np.eye(4).tolist(), "seconds": 0.0}
    rigid = result.rigid_matrix
    return {
        "method": result.method,
        "judgement": result.judgement,
        "reasons": list(result.reasons),
        "matrix": np.asarray(result.matrix).tolist(),
        "rigid_matrix": None if rigid is None else np.asarray(rigid).tolist(),
        "seconds": round(result.seconds, 3),
        "similarity_before": result.similarity_before,
        "similarity_after": result.similarity_after,
        "verdict": result.verdict,
        "description": result.description,
        "evidence": None if result.evidence is None else result.evidence.facts(),
        "notes": list(result.notes),
    }
