"""``funfuse fuse``: fuse a user's own MRI and PET."""

import argparse
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from FunFuseSlicer.Logic.color.colorize import MODES
from FunFuseSlicer.Logic.color.tables import DEFAULT_MAP
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import method_labels
from FunFuseSlicer.Logic.fusion.models import DEVICES, WEIGHTS_ENDING
from FunFuseSlicer.Logic.output_folder import all_or_nothing
from FunFuseSlicer.Logic.scene.export import ENDINGS
from FunFuseSlicer.Logic.volumes.doubts import MR, PT, looks_swapped, name_modality
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import fills_range
from FunFuseSlicer.Logic.volumes.regions import Regions, labeled, lie_on_pet
from FunFuseSlicer.Logic.volumes.tracers import OTHER, REFERENCE, Preset, preset, presets, research_note
from FunFuseSlicer.Logic.volumes.units import KINDS, SUVR

from ..installation import command
from ..paths import input_path, output_path
from ..reading.options import add_frame_option
from ..reading.person import one_person
from ..reading.reader import FORMATS, Reading, is_flat, is_picture, read
from ..reading.transform import read_transform
from ..workflow.output_folder import (
    DICOM,
    OUTPUTS,
    PICTURES,
    VOLUMES,
    add_overwrite,
    claim,
    contents,
    in_format,
)
from ..workflow.progress import ProgressBars, count
from ..workflow.provenance import provenance

EXAMPLE = f"{command('fuse')} --mri T1.nii.gz --pet FDG.nii.gz --out result"

# By modality of DICOM.
_KINDS = {"MR": MR, "PT": PT, "NM": PT, "ST": PT}

# Where a reference region lies.
ON_MRI, ON_PET = SPACES = ("mri", "pet")

RIGID, AUTO, AFFINE, NONE = REGISTRATIONS = ("rigid", "auto", "affine", "none")


def main(arguments: List[str], dated: bool = True) -> int:
    """Parse, run, and say where the results are.

    :param dated: the results say when they were made.
    """
    started = time.perf_counter()
    if not arguments:
        print(f"{EXAMPLE}\n{command('fuse --help')} tells all options.", file=sys.stderr)
        return 2
    options = parser().parse_args(arguments)
    writes = {*VOLUMES, *(PICTURES if is_picture(options.mri) else ())}
    writes |= set(DICOM if options.dicom or options.dicom_mri else ())
    inputs = (
        options.mri,
        options.pet,
        options.mask,
        options.subtract,
        options.transform,
        options.dicom_mri,
    )
    inputs += options.reference[:1] if options.reference else ()
    planned = claim(sorted(in_format(writes, options.format)), options, *inputs, _own_weights(options))
    with all_or_nothing(options.out, planned) as folder, ProgressBars() as monitor:
        report = _run(options, arguments, folder, monitor, started, dated)
    _summary(report, Path(options.out))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse fuse",
        description="Register a PET to an MRI, fuse both, and write volumes, a scene for 3D Slicer, a "
        "preview and a report. For research use, not for diagnosis.",
        epilog=f"MRI, PET and mask may be: {FORMATS}.",
    )
    files = result.add_argument_group("files")
    files.add_argument("--mri", type=input_path, required=True, metavar="M", help="anatomical image (fixed)")
    files.add_argument(
        "--pet", type=input_path, required=True, metavar="P", help="functional image (moving): PET or SPECT"
    )
    files.add_argument("--out", type=output_path, required=True, metavar="DIR", help="folder for the results")
    add_overwrite(files)
    files.add_argument(
        "--outputs",
        nargs="+",
        choices=tuple(OUTPUTS),
        default=tuple(OUTPUTS),
        metavar="NAME",
        help=f"write these beside the report: {', '.join(OUTPUTS)} (default: all)",
    )
    files.add_argument(
        "--format",
        choices=tuple(ENDINGS),
        default="nrrd",
        help=f"of the volumes: {', '.join(f'{name} ({ending})' for name, ending in ENDINGS.items())}; "
        "default nrrd",
    )
    files.add_argument(
        "--dicom",
        action="store_true",
        help="also DICOM, into the study of an MRI that came from there, with its patient's name",
    )
    files.add_argument(
        "--dicom-mri",
        type=input_path,
        metavar="DIR",
        help="likewise, for an MRI in another format: folder of the DICOM series that it was converted from",
    )
    files.add_argument("--no-scene", action="store_true", help="no scene.mrb, which repeats all volumes")
    files.add_argument(
        "--mask", type=input_path, metavar="FILE", help="image on any grid; where it is 0 is background"
    )
    add_frame_option(files)
    files.add_argument(
        "--units",
        choices=(*KINDS, SUVR),
        help="turn the PET into SUV (by weight), SUL (by lean mass) or SUVbsa (by body surface), by its "
        "DICOM headers or JSON side car, or into SUVR, by --reference (default: its own unit)",
    )
    files.add_argument(
        "--reference",
        type=_region_path,
        metavar="FILE[:LABEL]",
        help="reference region: a mask, or a label map and one of its labels, on any grid; the mean of the "
        "PET over it is measured on the PET's own grid. It is taken to lie on the PET, before registration, "
        "where its grid is that of the PET, else on the MRI",
    )
    files.add_argument(
        "--reference-space",
        choices=SPACES,
        help="where the reference region lies, if that is not what its grid tells",
    )
    files.add_argument(
        "--transform",
        type=input_path,
        metavar="FILE",
        help="where the PET lies on the MRI, instead of registering: an affine transform of ITK (.tfm, .txt, "
        ".h5), as earlier runs wrote it",
    )
    files.add_argument(
        "--registration",
        choices=REGISTRATIONS,
        help="rigid: for images of one person, whose head keeps its size (default where DICOM says so by its "
        "PatientID); auto: rigid, and affine where the size of the brain asks for it (default otherwise); "
        "affine: always; none: the PET lies on the MRI already. Use one for all subjects of a cohort",
    )
    files.add_argument(
        "--no-register",
        dest="registration",
        action="store_const",
        const=NONE,
        help="the same as --registration none",
    )
    files.add_argument(
        "--register-only",
        action="store_true",
        help="write the transform, the registered PET and the report, and fuse nothing",
    )
    files.add_argument(
        "--far-apart",
        action="store_true",
        help="register images, too, that have no point in common, as from two scanners",
    )
    labels = method_labels()
    look = result.add_argument_group("fusion and color")
    look.add_argument(
        "--method",
        choices=tuple(labels),
        metavar="NAME",
        help="what fuses (default funfuse); others give the fused image alone, without the parts of MRI and "
        f"PET. {'; '.join(name if name == text else f'{name}: {text}' for name, text in labels.items())}",
    )
    look.add_argument("--omega", type=float, help="strength of color, 0-1 (default 0.6)")
    look.add_argument(
        "--mode",
        choices=MODES,
        help="what gives the hue (default contribution): the PET's contribution; uptake; ordered, uptake in "
        "colors of equal lightness; gradient. Other methods than funfuse give uptake and ordered only",
    )
    look.add_argument(
        "--range",
        dest="uptake_range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what the ends of the color map stand for, in the PET's unit, so that two visits have one scale "
        "(default: 0 and what 0.5 %% of the brain exceeds)",
    )
    look.add_argument(
        "--reference-at",
        type=float,
        metavar="PERCENT",
        help="in the place of --range: from 0, with the mean of the reference region at so many percent of "
        "the color map",
    )
    look.add_argument(
        "--colormap",
        metavar="NAME",
        help=f'"{DEFAULT_MAP}" (default), "Jet", which is that of the paper, or another color map of Slicer',
    )
    look.add_argument(
        "--pet-colormap",
        metavar="NAME",
        help="of the PET itself, such as Grey or InvertedGrey (default: the same)",
    )
    look.add_argument(
        "--tracer",
        choices=(AUTO, *presets()),
        default=AUTO,
        metavar="NAME",
        help="how its guide shows this tracer: sets color maps, range, balance and mode where you give none. "
        f"{', '.join(presets())}; auto (default): by DICOM header or side car, else other, which sets "
        f"nothing. {research_note()}",
    )
    look.add_argument(
        "--normalize",
        choices=("robust", "minmax", "none"),
        help="intensities to [0, 1]: robust (default for volumes), minmax, or none, that is /255 for 8 bits, "
        "/65535 for 16 (default for pictures that use them)",
    )
    compare = result.add_argument_group("compare the PET, beside fusing it")
    one = compare.add_mutually_exclusive_group()
    one.add_argument(
        "--asymmetry",
        choices=("percent", "z"),
        help="with its mirror image about the plane between the halves of the head, which the MRI tells: in "
        "percent of both sides' mean, or as robust z in the brain",
    )
    one.add_argument(
        "--subtract",
        type=input_path,
        metavar="FILE",
        help="with another study of the patient, such as the interictal SPECT of an ictal one (SISCOM): both "
        "scaled to the brain's mean, as z. It is registered as the PET is",
    )
    compare.add_argument(
        "--smooth", type=float, metavar="MM", help="blur before, full width at half maximum (default 10)"
    )
    compare.add_argument(
        "--shown-from",
        type=float,
        metavar="VALUE",
        help="color what differs by this or more (default 15 %%, or z = 2)",
    )
    network = result.add_argument_group("the network alone (--method funfuse)")
    network.add_argument(
        "--lambda", dest="lam", type=float, help="structure against intensity, 0-1 (default 0.8)"
    )
    network.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="faithful (default), detail or contrast; paper or paper-detail, the paper's network, which "
        "needs PyTorch; or weights of your own, an .npz file that train wrote",
    )
    network.add_argument(
        "--balance", type=float, help="anatomy (0) against function (1); 0.5 is the fused image (default)"
    )
    network.add_argument(
        "--device",
        metavar="NAME",
        help=f"{', '.join(DEVICES)}, or one of several GPUs, such as cuda:1 (default auto: the processor for "
        "the models that need no PyTorch, else a GPU if there is one)",
    )
    return result


def _region_path(text: str) -> Tuple[Path, Optional[int]]:
    """A file, and a label of it behind a colon."""
    found = re.fullmatch(r"(.+):(\d+)", text)
    return (input_path(found.group(1)), int(found.group(2))) if found else (input_path(text), None)


def prepare() -> None:
    """Start what every run needs: Slicer's libraries, which do not bear an exception while they load."""
    from ..headless.boot import boot
    from ..workflow import run  # noqa: F401 (with all that it imports)

    boot()


def check(arguments: List[str]) -> None:
    """Whether arguments can be used that are not about files; a wrong one ends the process, as in a run.

    :raises InputError: see :func:`_fusion_options` and :func:`_difference_options`.
    """
    options = parser().parse_args(["--mri=MRI", "--pet=PET", "--out=OUT", *arguments])
    _fusion_options(options)
    _difference_options(options)


def _run(options, arguments: List[str], folder: Path, monitor, started: float, dated: bool) -> dict:
    from ..workflow.dicom import study_of
    from ..workflow.run import Request, register_request, run_request

    _fusion_options(options)
    difference = _difference_options(options)
    if os.path.realpath(options.mri) == os.path.realpath(options.pet):
        raise InputError(f"{options.mri} is given as MRI and as PET: give two different images.")
    readings = [
        read(options.mri, modalities=("MR",)),
        read(options.pet, options.frame, modalities=("PT", "NM")),
        *([read(options.mask)] if options.mask else []),
    ]
    other = None
    if options.subtract is not None:
        readings.append(read(options.subtract, modalities=("PT", "NM")))
        other = readings[-1].volume
    mri, pet = (reading.volume for reading in readings[:2])
    mask = readings[2].volume if options.mask else None
    units = readings[1].units
    if options.units and options.units != SUVR:
        pet = readings[1].in_unit(options.units)
    chosen = preset(pet.tracer or OTHER if options.tracer == AUTO else options.tracer)
    fusion = _fusion_options(options, chosen, options.units or pet.unit)
    region = None if options.reference is None else _region(options, mri, pet)
    for path, volume in ((options.mri, mri), (options.pet, pet)):
        if is_flat(volume) and options.registration != NONE:
            raise InputError(f"{path} is a single slice and cannot be registered: add --no-register.")
    pictures = is_picture(options.mri) and is_flat(mri)
    if pictures and mri.array.shape != pet.array.shape:
        raise InputError(
            f"{options.mri} has {_size(mri)} pixels and {options.pet} {_size(pet)}: "
            "give pictures of one size."
        )
    if pictures and (options.dicom or options.dicom_mri):
        raise InputError("Pictures have no place in a DICOM study: leave --dicom out.")
    study = study_of(*readings[:2], options.dicom_mri) if options.dicom or options.dicom_mri else None
    notes = [note for reading in readings for note in reading.notes]
    notes += [f'"{pet.name}": no SUV, because {units.problem}'] if units.problem else []
    notes += _about_both(*readings[:2], registered=options.registration == NONE)
    if pictures and options.normalize is None:
        fusion, note = _for_pictures(fusion, mri, pet)
        notes += [note] if note else []
    roles = ("mri", "pet", "mask", "subtract", "transform", "dicom_mri")
    paths = {role: path for role in roles if (path := getattr(options, role)) is not None}
    if options.reference is not None:
        paths["reference"] = options.reference[0]
    # Without folders: their names often are those of patients.
    inputs = {role: path.name for role, path in paths.items()}
    if options.frame is not None:
        first = isinstance(options.frame, int)
        inputs["frame"] = options.frame if first else "{}-{}".format(*options.frame)
    inputs["tracer_told_by"] = "option" if options.tracer != AUTO else "header" if pet.tracer else "nothing"
    inputs["pet_unit"] = options.units or pet.unit or "unknown"
    inputs["pet_suv_factors"] = units.factors
    registration = _registration_options(options, *readings[:2])
    outputs = [name for name in options.outputs if not (options.no_scene and name == "scene")]
    source = provenance("fuse", arguments, paths, dated)
    matrix = None if options.transform is None else read_transform(options.transform)
    request = Request(
        mri,
        pet,
        fusion,
        registration,
        inputs,
        mask=mask,
        pictures=pictures,
        notes=notes,
        started=started,
        provenance=source,
        outputs=outputs,
        volumes=options.format,
        study=study,
        matrix=matrix,
        region=region,
        unit=SUVR if options.units == SUVR else "",
        difference=difference,
        other=other,
    )
    return (
        register_request(request, folder, monitor)
        if options.register_only
        else run_request(request, folder, monitor)
    )


def _registration_options(options, mri: Reading, pet: Reading):
    """How to register, or None where the PET lies on the MRI already.

    :raises InputError: options that contradict each other.
    """
    from FunFuseSlicer.Logic.registration import STAGES, RegistrationOptions

    if options.registration is not None and options.transform is not None:
        raise InputError(
            f"--transform takes the place of a registration: leave --registration {options.registration} out."
        )
    if options.registration == NONE:
        if options.register_only:
            raise InputError("--register-only with --registration none leaves nothing to do: leave one out.")
        return None
    chosen = options.registration or (RIGID if one_person(mri, pet) else AUTO)
    return RegistrationOptions(
        stages=STAGES[:1] if chosen == RIGID else STAGES,
        far_apart=options.far_apart,
        **({"minimum_gain": None} if chosen == AFFINE else {}),
    )


def _region(options, mri: Volume, pet: Volume) -> Regions:
    """The reference region, and the space that it lies in.

    :raises InputError: it cannot be read, or does not have the label.
    """
    path, label = options.reference
    labels = read(path).volume
    mask = labeled(labels, label, labels.name if label is None else f"{labels.name}:{label}")
    space = options.reference_space
    return Regions(mask, in_pet_space=lie_on_pet(labels, mri, pet) if space is None else space == ON_PET)


def _difference_options(options):
    """What to compare the PET with, or None.

    :raises InputError: a value that cannot be, or one that means nothing here.
    """
    from FunFuseSlicer.Logic.volumes.differences import SUBTRACTION, DifferenceOptions

    given = {"smooth_mm": options.smooth, "threshold": options.shown_from}
    given = {name: value for name, value in given.items() if value is not None}
    if options.asymmetry is None and options.subtract is None:
        if given:
            raise InputError("--smooth and --shown-from need a comparison: give --asymmetry or --subtract.")
        return None
    if options.register_only:
        raise InputError("--register-only compares nothing: leave --asymmetry and --subtract out.")
    kind = SUBTRACTION if options.subtract is not None else f"asymmetry-{options.asymmetry}"
    return DifferenceOptions(kind, **given)


def _own_weights(options) -> Optional[str]:
    """The user's own file of weights, if it is given."""
    return options.model if str(options.model).endswith(WEIGHTS_ENDING) else None


def _fusion_options(options, chosen: Optional[Preset] = None, unit: str = ""):
    """What was given, else what the preset of the tracer sets; the rest is the library's own choice.

    :param unit: that the PET is shown in.
    :raises InputError: a value that cannot be, or an option that means nothing for the method.
    """
    from FunFuseSlicer.Logic.color.colorize import NEED_PARTS
    from FunFuseSlicer.Logic.fusion.fuser import NETWORK
    from FunFuseSlicer.Logic.fusion.pipeline import NETWORK_OPTIONS, FusionOptions

    if options.reference is None:
        needless = [
            f"--{name}"
            for name in ("reference-space", "reference-at")
            if getattr(options, name.replace("-", "_")) is not None
        ]
        needless += ["--units SUVR"] if options.units == SUVR else []
        if needless:
            raise InputError(f"{', '.join(needless)}: only with a reference region. Give --reference FILE.")
    if options.reference_at is not None and options.uptake_range is not None:
        raise InputError("--range and --reference-at both set the scale: leave one out.")
    names = (
        "method",
        "omega",
        "mode",
        "colormap",
        "uptake_range",
        "reference_at",
        "pet_colormap",
        *NETWORK_OPTIONS,
    )
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.uptake_range is not None:
        given["uptake_range"] = tuple(options.uptake_range)
    preset_sets = {} if chosen is None else chosen.look(unit)
    if {"uptake_range", "reference_at"} & set(given):
        preset_sets = {**preset_sets, "uptake_range": None, "reference_at": None}
    if given.get("method", NETWORK) != NETWORK:
        # Those give the fused image alone.
        preset_sets = {
            name: value
            for name, value in preset_sets.items()
            if name not in NETWORK_OPTIONS and (name, value) not in [("mode", mode) for mode in NEED_PARTS]
        }
    fusion = FusionOptions(**{**preset_sets, **given}, normalization=options.normalize or "robust")
    useless = [f"--{'lambda' if name == 'lam' else name}" for name in given if name in NETWORK_OPTIONS]
    if useless and not fusion.uses_network:
        raise InputError(
            f"{', '.join(useless)}: only for the network. Leave out with --method {fusion.method}."
        )
    return fusion


def _about_both(mri: Reading, pet: Reading, registered: bool) -> List[str]:
    """What there is to say about a pair, besides what there is about each."""
    names = mri.volume.name, pet.volume.name
    kinds = [_KINDS.get(str(r.modality)) or name_modality(name) for r, name in zip((mri, pet), names)]
    notes = [looks_swapped(names, kinds)]
    frames = mri.frame_of_reference, pet.frame_of_reference
    if registered and None not in frames and frames[0] != frames[1]:
        notes.append(
            f"{names[1]} and {names[0]} have different frames of reference: without registration "
            "they may not lie on each other. Leave --no-register out."
        )
    return [note for note in notes if note]


def _for_pictures(fusion, mri, pet):
    """Pictures use the range of their type, those of 16 bits like those of 8, if they fill it.

    :return: the options, and what there is to say.
    """
    kinds = {volume.array.dtype for volume in (mri, pet)}
    if not kinds <= {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return fusion, None
    dark = [volume.name for volume in (mri, pet) if not fills_range(volume.array)]
    if dark:
        return fusion, (
            f"{' and '.join(dark)}: only a part of the 16 bits is used. Each image is scaled by its own "
            "brightest parts (--normalize robust), not by its type, as pictures of 8 bits are (none)."
        )
    return replace(fusion, normalization="none"), None


def _size(volume) -> str:
    return " × ".join(str(n) for n in volume.dimensions[:2])


def _summary(report: dict, out: Path) -> None:
    registration, fusion = report["registration"], report["fusion"]
    for note in report["notes"] + registration.get("notes", []):
        print(f"  note: {note}")
    print(f"registration  {registration['method']}, {registration['seconds']:.1f} s")
    if registration.get("verdict"):
        print(f"              {registration['verdict']}")
    if report["reference"] is not None:
        mean = "{name}: mean {mean:.6g} {unit}, {voxels} voxels, {milliliters:.3g} ml".format(
            **report["reference"]
        )
        print(f"reference     {mean}")
    if fusion is None:
        _where(report, out)
        return
    _about_tracer(report)
    label = method_labels()[fusion["method"]]
    slices = count(fusion["slices"], "slice")
    print(f"fusion        {label}: {slices} on {fusion['device']}, {fusion['seconds']:.1f} s")
    if "difference" in report:
        found = report["difference"]
        print(
            f"{found['kind']:13} from {found['shown_from']:g} {found['unit']} on: more in "
            f"{found['increased_ml']:.1f} ml, less in {found['decreased_ml']:.1f} ml"
        )
    _where(report, out)


def _about_tracer(report: dict) -> None:
    """What a preset set, and what its guide asks for and was not given."""
    fusion, known = report["fusion"], presets()[report["fusion"]["tracer"]]
    if known.name == OTHER:
        return
    how = "by its header or side car" if report["inputs"]["tracer_told_by"] == "header" else "by --tracer"
    print(f"tracer        {known.label}, {how}: shown in {fusion['colormap']}. {research_note()}")
    if known.range.rule == REFERENCE and report["reference"] is None and fusion["uptake_range"] is None:
        print(
            f"              Its scale has the {known.range.text(known.reference)}: give that region as "
            "--reference. Without, the range is that of the brain."
        )


def _where(report: dict, out: Path) -> None:
    print(f"total         {report['seconds']['total']:.1f} s")
    print(f"results       {out.resolve()}")
    for line in contents(report, out):
        print(f"  {line}")
