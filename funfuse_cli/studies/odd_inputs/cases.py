"""What users may give, how it is made, and what must come of it.

Every case is made anew from a small phantom, or from the folder of real images. Nothing runs the program.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from ...reading.reader import read_volume
from . import archives, faults, headers, pairs
from . import files as odd
from .pairs import Pair, masked, moved, phantom, stored, with_pet


@dataclass(frozen=True)
class Case:
    """One input and what must come of it."""

    name: str
    made: str  # how, for the page
    must: str = "result"  # or the class of an error, and ": " with the words to be said: "this; one|another"
    pair: Callable[[], Pair] = phantom  # the volumes, on the command line as NRRD
    files: Optional[Callable[[Path], Dict[str, Path]]] = None  # others, {"pet": path}, from the folder
    arguments: Tuple[str, ...] = ()  # of the command line
    options: Dict[str, object] = field(default_factory=dict)  # of FusionOptions, for nodes
    register: bool = False
    fault: Optional[Callable[[Path], object]] = None  # a context, from the output folder: the computer fails
    nodes: Optional[Callable] = None  # changes them: nodes(mri, pet) -> (mri, pet)
    only: str = ""  # "files" or "nodes"

    @property
    def ways(self) -> Tuple[str, ...]:
        """How it is given to the program: as "files", as "nodes", or both."""
        only = self.only or ("files" if self.files else "nodes" if self.nodes else "files nodes")
        return tuple(only.split())


CONTRAST = "InputError: FDG; no contrast; Choose another; "
MASK = "InputError: mask; choose another"
MEMORY = "DeviceError: {}; memory; close other programs"
DAMAGED = "InputError: FDG; incomplete or damaged; again"
NO_IMAGE = "InputError: FDG; cannot be read as an image; NIfTI"
APART = "InputError: FDG; T1; do not overlap; "
OUT = "OutputError: {}; Choose another --out"
SAID = "the same, but said to lie on each other"
TWO_FRAMES = "MR and PT series whose DICOM headers name two frames of reference; registered"
EVEN = "a PET whose even inside is all that the MRI covers; range from minimum to maximum"
MINMAX = {"arguments": ("--normalize", "minmax"), "options": {"normalization": "minmax"}}
AWAY = moved(both=False, shift=(900, 0, 0))
REGISTERED, FILES, NODES = {"register": True}, {"only": "files"}, {"only": "nodes"}


def _pet(name: str, write: Callable[..., Path], /, **options):
    """A file in place of the phantom's PET, written as ``write(volume, path, **options)``."""
    return lambda folder: {"pet": write(phantom().pet, folder / name, **options)}


def _placed(**fields):
    """The phantom's PET as a NIfTI file with its place as sform, and these fields of the header."""
    return lambda folder: {
        "pet": headers.nifti(phantom().pet, folder / "FDG.nii.gz", (1, phantom().pet.ijk_to_ras), **fields)
    }


def _forms(sform_code: int, qform_code: int):
    """The more specific form places the PET on the MRI, the other one elsewhere."""
    right, wrong = phantom().pet.ijk_to_ras, headers.MOVED @ phantom().pet.ijk_to_ras
    forms = (right, wrong) if sform_code >= qform_code else (wrong, right)
    sform, qform = zip((sform_code, qform_code), forms)
    return _pet("FDG.nii.gz", headers.nifti, sform=sform, qform=qform)


def _enhanced(volume, path: Path) -> Path:
    return archives.enhanced([volume], path)


def _tilt(time: int, k: int) -> Dict[str, object]:
    return {"ImagePositionPatient": [-72.5, -87.5 + 2 * k, -60.0 + 8 * k]}


NO_PLACE = {"ImagePositionPatient": None, "ImageOrientationPatient": None}

# fmt: off
VOXELS = [
    Case("plain pair", "phantom of a head, one grid"),
    Case("negative values", "PET − 500", "result: FDG; negative", with_pet(lambda a: a - 500)),
    Case("tiny values", "PET of at most 1e-7", "result", with_pet(lambda a: a * np.float32(1e-11))),
    Case("huge values", "PET of at most 1e9", "result", with_pet(lambda a: a * np.float32(1e5))),
    Case("beyond single precision", "64-bit PET × 1e300", CONTRAST + "infinite",
         with_pet(lambda a: a.astype(np.float64) * 1e300)),
    Case("NaN background", "PET, NaN where it was 0", "result: NaN",
         with_pet(lambda a: np.where(a, a, np.nan))),
    Case("infinite and hot voxels", "PET with +inf, −inf and one voxel of 1e6", "result: FDG; 2 infinite",
         with_pet(lambda a: pairs.some_voxels(a, np.inf, -np.inf, 1e6))),
    Case("64-bit integers", "PET as int64", "result", with_pet(lambda a: a.astype(np.int64)), **FILES),
    Case("8-bit integers", "PET as uint8", "result", with_pet(lambda a: (a / 40).astype(np.uint8))),
    Case("all NaN", "PET of NaN", CONTRAST + "NaN", with_pet(lambda a: a * np.nan)),
    Case("all zero", "PET × 0", CONTRAST + "zero", with_pet(lambda a: a * 0)),
    Case("constant", "PET = 7", CONTRAST + "same value", with_pet(lambda a: 0 * a + 7)),
    Case("all negative", "−PET − 1", CONTRAST + "negative", with_pet(lambda a: -1 - np.abs(a))),
    Case("even within the MRI", EVEN, "result", pairs.large_even, **MINMAX),
]
PLACES = [
    Case("one voxel", "PET of 1 × 1 × 1", CONTRAST + "same value", pairs.one_voxel),
    Case("single slice", "both of one slice, not registered", "result", pairs.slices),
    Case("single slice to register", "the same, to be registered",
         "InputError: slice|too small; already registered|--no-register", pairs.slices, **REGISTERED),
    Case("wide slices", "1024 × 1024 × 2 voxels of 1 mm", "result", pairs.wide),
    Case("anisotropic", "0.5 × 0.5 × 6 mm", "result", lambda: phantom((10, 120, 100), (0.5, 0.5, 6.0))),
    Case("left-handed axes", "MRI stored with k downward", "result", stored((0, 1, 2), (0, 0, 1))),
    Case("permuted axes", "MRI stored sagittally", "result", stored((1, 2, 0), (0, 1, 0))),
    Case("permuted axes, registered", "the same, registered", "result", stored((1, 2, 0), (0, 1, 0)),
         **REGISTERED),
    Case("oblique axes", "both tilted by 20°", "result", moved(tilt=20)),
    Case("sheared axes", "both sheared by 0.3, as NRRD", "result", moved(shear=0.3)),
    Case("sheared axes, registered", "the PET sheared by 0.1, as NRRD", "result",
         moved(both=False, shear=0.1), **REGISTERED),
    Case("flat axes", "two voxel axes of the PET in one direction",
         "InputError: FDG; position in space; header", pairs.flat_axes, **NODES),
    Case("sheared NIfTI", "a NIfTI file whose sform is sheared by 0.3", "result: FDG; sheared",
         files=_pet("FDG.nii", odd.sheared_nifti)),
    Case("PET on another grid", "voxels of 9 × 9 × 9.5 mm", "result",
         lambda: Pair(phantom().mri, phantom((14, 20, 18), (9.0, 9.0, 9.5)).pet)),
    Case("no overlap", "PET 900 mm away, not registered", APART + "register them", AWAY),
    Case("no overlap, registered", "the same, to be registered", APART + "center both", AWAY, **REGISTERED),
    Case("mask on another grid", "a sphere in 12 mm voxels", "result", masked(lambda r: r < 60)),
    Case("empty mask", "a mask of zeros", MASK, masked(lambda r: r < 0)),
    Case("mask beside the head", "a mask of the corners only", MASK, masked(lambda r: r > 125)),
]
DISK = [
    *(Case(f"cut {ending}", f"the first half of a file {ending}", DAMAGED,
           files=_pet(f"FDG{ending}", odd.cut)) for ending in (".nii.gz", ".nii", ".nrrd", ".mha")),
    *(Case(f"wrong bits {ending}", f"one byte of a compressed file {ending} turned over", DAMAGED,
           files=_pet(f"FDG{ending}", odd.turn_over)) for ending in (".nii.gz", ".nrrd", ".mha")),
    Case("cut DICOM file", "the first 400 bytes of the last file of a series",
         "InputError: incomplete or damaged; export the series again",
         files=_pet("FDG", odd.dicom_series, change=odd.cut_a_slice)),
    Case("missing DICOM slice", "a series without its fifth slice",
         "InputError: FDG; not complete; Export the series again",
         files=_pet("FDG", odd.dicom_series, change=odd.lose_a_slice)),
    Case("dynamic DICOM", "a series with every slice twice",
         "InputError: FDG; several images of one place; does not say; export one",
         files=_pet("FDG", odd.dicom_series, frames=2)),
    Case("two DICOM series", "two series in one folder", "InputError: FDG; 2 DICOM series; one series",
         files=_pet("FDG", odd.two_series)),
    Case("DICOM with slopes", "MR and PT series, a rescale slope for each slice",
         files=partial(odd.dicom_pair, slopes=True)),
    Case("different frames of reference", TWO_FRAMES, files=partial(odd.dicom_pair, frame=2), **REGISTERED),
    Case("different frames of reference, not registered", SAID,
         "result: different frames of reference; Leave --no-register out",
         files=partial(odd.dicom_pair, frame=2)),
    Case("PNG named .nii.gz", "a picture with a wrong ending", "InputError: FDG; single slice; --no-register",
         files=_pet("FDG.nii.gz", odd.picture), **REGISTERED),
    Case("text named .nrrd", "a text file", NO_IMAGE, files=_pet("FDG.nrrd", odd.text)),
    Case("empty file", "0 bytes named .nii.gz", NO_IMAGE, files=_pet("FDG.nii.gz", odd.text, content=b"")),
    Case("folder with nothing readable", "a folder with a text file",
         "InputError: FDG; no DICOM series; NIfTI", files=_pet("FDG", odd.text_folder)),
    Case("no such file", "a path to nothing", "InputError: gone; no such file; Check",
         files=lambda folder: {"pet": folder / "gone"}),
    Case("one file twice", "the MRI as PET", "InputError: T1; two different",
         files=lambda folder: {"pet": folder / "T1.nrrd"}),
    Case("pseudo-color", "an RGB volume as PET", "InputError: FDG; color image; uptake",
         files=_pet("FDG.nrrd", odd.colors)),
    Case("complex numbers", "a complex volume as PET", "InputError: FDG; complex; magnitude",
         files=_pet("FDG.nii.gz", odd.complex_numbers)),
    Case("dynamic file", "a 4-D PET of three frames; their mean is fused",
         files=_pet("FDG.nii.gz", odd.frames)),
    Case("no such frame", "frame 7 of the same", "InputError: FDG; frames 0 to 2",
         files=_pet("FDG.nii.gz", odd.frames), arguments=("--frame", "7")),
    Case("dynamic mask", "a 4-D mask on another grid",
         files=lambda f: {"mask": odd.frames(masked(lambda r: r < 60)().mask, f / "mask.nii.gz", 2)}),
    Case("path with spaces", "folder “my study 1”", files=partial(pairs.inside, "my study 1")),
    Case("path with umlauts", "folder “Prüfung ß é”", files=partial(pairs.inside, "Prüfung ß é")),
    Case("path with CJK", "folder “測試 図像 영상”", files=partial(pairs.inside, "測試 図像 영상")),
    Case("path of 300 characters", "five nested folders of 60", files=partial(pairs.inside, *["a" * 60] * 5)),
    Case("name of 300 characters", "a PET of that name, which no disk has",
         "InputError: xxx; no such file; Check the path",
         files=lambda folder: {"pet": folder / ("x" * 296 + ".nii")}),
]
HEADERS = [
    Case("two forms that disagree", "sform (code 2, aligned) on the MRI, qform (code 1, scanner) 25 mm away",
         "result: FDG; sform and qform disagree; the sform", files=_forms(2, 1)),
    Case("aligned qform", "sform (code 1), and qform (code 2) on the MRI", "result: FDG; the qform",
         files=_forms(1, 2)),
    Case("no form", "NIfTI with neither sform nor qform", "result: FDG; neither qform nor sform; check",
         files=_pet("FDG.nii.gz", headers.nifti)),
    Case("no voxel size", "NIfTI of 5 × 0 × 8 mm", "InputError: FDG; voxel size; correct the header",
         files=_pet("FDG.nii.gz", headers.nifti, pixdim=[1, 5, 0, 8, 1, 1, 1, 1])),
    Case("NaN as voxel size", "NIfTI of 5 × NaN × 8 mm", "InputError: FDG; voxel size; correct the header",
         files=_pet("FDG.nii.gz", headers.nifti, pixdim=[1, 5, np.nan, 8, 1, 1, 1, 1])),
    Case("slope of 0", "NIfTI with scl_slope 0", "result: FDG; slope is 0; as stored",
         files=_placed(scl_slope=0)),
    Case("slope that is no number", "NIfTI with scl_slope NaN", "result: FDG; slope is nan; as stored",
         files=_placed(scl_slope=np.nan)),
    Case("negative slope", "NIfTI with scl_slope −1, scl_inter 9000", "result: FDG; slope is -1; Check",
         files=_placed(scl_slope=-1, scl_inter=9000)),
    Case("NIfTI in meters", "xyzt_units of meters, voxels of 5 to 8", "result: FDG; says meters",
         files=_placed(xyzt_units=1)),
    Case("header in centimeters", "PET of 0.5 × 0.5 × 0.8 mm", "result: FDG; no size of a head; centimeters",
         lambda: replace(phantom(), pet=phantom(spacing=(0.5, 0.5, 0.8)).pet)),
    Case("frames of unequal length", "4-D NIfTI, lengths in the JSON side car",
         "result: FDG; weighted by their lengths of 10 to 560 s",
         files=_pet("FDG.nii.gz", headers.dynamic, weights=(6, 1, 2), seconds=(10, 30, 560))),
    Case("volume sequence of Slicer", ".seq.nrrd with the frames first", "result: FDG; count alike; --frame",
         files=_pet("FDG.seq.nrrd", headers.sequence, weights=(6, 1, 2))),
    Case("window of time", "frames 1 to 2 of the same", "result: FDG; frames 1 to 2 of its 3",
         files=_pet("FDG.seq.nrrd", headers.sequence, weights=(6, 1, 2)), arguments=("--frames", "1-2")),
]
ARCHIVES = [
    Case("names with a dot", "a series of files that begin with a dot",
         files=_pet("FDG", odd.dicom_series, name=".PT.{k:04d}.IMA")),
    Case("report in the folder", "a series and a structured report",
         "result: FDG; report.dcm; structured report",
         files=_pet("FDG", archives.with_besides, kinds=["report"])),
    Case("study in a folder", "a series, a report, a value map, a capture, a localizer, a file of macOS",
         "result: FDG; left out; capture; localizer; value map",
         files=_pet("FDG", archives.with_besides)),
    Case("positions missing", "a series without positions and orientations",
         "InputError: FDG; ImagePositionPatient; ImageOrientationPatient; export",
         files=_pet("FDG", odd.dicom_series, facts=lambda time, k: NO_PLACE)),
    Case("enhanced DICOM", "one file of all slices, a slope for each", files=_pet("FDG.dcm", _enhanced)),
    Case("dynamic DICOM with times", "three frames of 10 to 240 s in one folder",
         "result: FDG; weighted by their lengths",
         files=_pet("FDG", archives.dynamic, seconds=(10, 50, 240), weights=(1, 2, 3))),
    Case("tilted slices", "slices shifted by 2 mm each", "result: FDG; tilted by 14.0°; as they lie",
         files=_pet("FDG", odd.dicom_series, facts=_tilt)),
    Case("compressed DICOM", "JPEG 2000 without loss",
         files=_pet("FDG", archives.compressed, kind="JPEG2000")),
    Case("SPECT", "a reconstruction in one file", files=_pet("FDG.dcm", archives.spect)),
]
MEANING = [
    Case("MRI around zero", "MRI × 3 − 300, its background 0", "result: T1; contrast lies around zero; added",
         pairs.around_zero),
    Case("salt and pepper", "noise from the lowest to the highest value around the head of the MRI",
         "result: T1; noise as bright as the head; mask", pairs.salt_and_pepper),
    Case("background of 100", "PET + 100", "result: FDG; background is 100; Subtract",
         with_pet(lambda a: a + 100)),
    Case("MRI and PET swapped", "PET given as MRI", "result: the wrong way round",
         files=lambda folder: {"mri": folder / "FDG.nrrd", "pet": folder / "T1.nrrd"}),
]
COMPUTER = [
    Case("larger than the memory", "a header that says 100000³ voxels", MEMORY.format("FDG"),
         files=_pet("FDG.nrrd", odd.enormous)),
    Case("memory full while cleaning", "simulated: no memory for a copy of the voxels", MEMORY.format("T1"),
         fault=partial(faults.no_memory, "FunFuseSlicer.Logic.volumes.preprocessing.np.isnan")),
    Case("memory full while resampling", "simulated: no memory for the PET on the MRI's grid",
         MEMORY.format("FDG"), moved(both=False, shift=(3, 0, 0)),
         fault=partial(faults.no_memory, "FunFuseSlicer.Logic.volumes.geometry.sitk.Resample")),
    Case("full disk", "simulated: no space for the second volume", OUT.format("out; No space left"),
         fault=faults.full_disk, **FILES),
    Case("read-only folder", "simulated: no file can be made", OUT.format("out; Read-only"),
         fault=faults.read_only, **FILES),
    Case("output folder is a file", "--out inside a file", OUT.format("T1.nrrd; cannot be written"),
         files=lambda folder: {"out": folder / "T1.nrrd" / "results"}),
    Case("output folder with a name of 300 characters", "which no disk can have",
         OUT.format("xxx; cannot be written"), files=lambda folder: {"out": folder / ("x" * 300)}),
]
SCENE = [
    Case("nested transforms", "both under two linear transforms", nodes=faults.nested),
    Case("nested transforms, registered", "the same, registered", nodes=faults.nested, **REGISTERED),
    Case("missing transform", "a parent that is not in the scene", nodes=faults.lost_transform),
    Case("non-linear transform", "the PET under a B-spline", "InputError: FDG; non-linear; harden",
         nodes=faults.warped),
    Case("no voxels", "a volume node without image", "InputError: FDG; no voxels; choose",
         nodes=faults.no_voxels),
    Case("color node", "a vector volume as PET", "InputError: FDG in color; 3 values a voxel; uptake",
         nodes=faults.colored_node),
    Case("one node twice", "the MRI as PET", "InputError: T1; choose two", nodes=lambda mri, pet: (mri, mri)),
    Case("nothing chosen", "no PET", "InputError: Choose; PET", nodes=lambda mri, pet: (mri, None)),
]
# Name, how it is made, what must happen, file of the PET; then what else there is to say.
REAL = [
    ("4-D dynamic", "NIfTI, mean of the frames", "result: negative", "fdg_dynamic_4d.nii.gz"),
    ("NaN background", "NIfTI", "result: NaN", "fdg_nan_background.nii.gz"),
    ("±inf and a hot voxel", "NIfTI", "result: negative", "fdg_inf_hotvoxel.nii.gz"),
    ("all zero", "NIfTI", "InputError: all_zero; no contrast; Choose another", "all_zero.nii.gz"),
    ("no overlap", "NIfTI", "InputError: fdg_no_overlap; do not overlap; register them",
     "fdg_no_overlap.nii.gz"),
    ("single slice", "NIfTI, MRI and PET", "result", "fdg_single_slice.nii.gz",
     {"mri": "t1_single_slice.nii.gz"}),
    ("oblique, slope", "int16 NIfTI in SUV", "result", "fdg_oblique_int16_slope_suv.nii.gz"),
    ("oblique, registered", "the same, registered", "result", "fdg_oblique_int16_slope_suv.nii.gz",
     REGISTERED),
    ("pseudo-color", "RGB NRRD", "InputError: fdg_pseudocolour_rgb.nrrd; color image; uptake",
     "fdg_pseudocolour_rgb.nrrd", FILES),
    ("DICOM PT", "a rescale slope for each slice", "result", "dicom_PT"),
    ("DICOM MR", "as the MRI, with DICOM PT", "result", "dicom_PT", {"mri": "dicom_MR"}),
]
# fmt: on


def synthetic_cases() -> List[Case]:
    """Those that need no data."""
    return VOXELS + MEANING + PLACES + HEADERS + DISK + ARCHIVES + COMPUTER + SCENE


def real_cases(data: Path) -> List[Case]:
    """Those made of the folder of real images.

    :param data: the folder that has ``volumes/awkward``.
    """
    folder, cases = Path(data) / "volumes" / "awkward", []
    for name, made, must, pet, *more in REAL:
        options = {"mri": "t1_oblique_same_frame.nii.gz", "only": "files nodes", **(more[0] if more else {})}
        mri, pet = folder / options.pop("mri"), folder / pet
        files = partial(odd.with_coarse_mri, mri, pet)
        cases.append(Case(f"real: {name}", made, must, partial(_pair, mri, pet), files, **options))
    return cases


def _pair(mri: Path, pet: Path) -> Pair:
    return Pair(pairs.coarse(mri), read_volume(pet))
