"""The inputs of the study "robustness": what users may give, how it is made, and what must come of it.

Every case is made anew from a small phantom (or from the folder of real images), so that it can be read
here what it is. Nothing here runs the program.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple, Type

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import DeviceError, FunFuseError, InputError, OutputError
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk

from ..workflow.files import read_volume
from . import robustness_faults as faults
from . import robustness_files as damaged
from . import robustness_pairs as pairs
from .robustness_pairs import Pair, phantom, write_pair


@dataclass(frozen=True)
class Case:
    """One input and what must come of it.

    :param made: how it is made, for the page.
    :param expected: None for a result, else the class of the error.
    :param says: words that the error, or the notes of a result, must have: the volume and the remedy.
    :param pair: the volumes; None when there are only files, which no volume can be read from.
    :param write: makes the files of the command line in a folder, and returns changes to its options
        (``{"pet": path}``); None writes the pair as NRRD.
    :param arguments: further ones of the command line.
    :param options: likewise of :class:`FusionOptions`, for nodes.
    :param register: whether the pair is to be registered.
    :param fault: a context, a function of the output folder, in which the computer fails.
    :param nodes: changes the nodes of the pair, ``nodes(mri, pet) -> (mri, pet)``; needs ``pair``.
    :param ways: "files", "nodes", or both.
    """

    name: str
    made: str
    expected: Optional[Type[FunFuseError]]
    says: Tuple[str, ...] = ()
    pair: Optional[Callable[[], Pair]] = None
    write: Optional[Callable[[Path], Dict[str, Path]]] = None
    arguments: Tuple[str, ...] = ()
    options: Dict[str, object] = field(default_factory=dict)
    register: bool = False
    fault: Optional[Callable[[Path], object]] = None
    nodes: Optional[Callable] = None
    only: str = ""

    @property
    def ways(self) -> Tuple[str, ...]:
        """How it can be given to the program: as "files", as "nodes", or both."""
        if self.only:
            return (self.only,)
        return ("files",) if self.pair is None else ("nodes",) if self.nodes else ("files", "nodes")


# --- The table --------------------------------------------------------------------------------------------

_CONTRAST = ("FDG", "no contrast", "Choose another")
_DAMAGED = ("FDG", "incomplete or damaged", "again")
_MEMORY = ("FDG", "memory", "close other programs")


def synthetic_cases() -> List[Case]:
    """Those that need no data."""
    return [*_voxels(), *_geometry(), *_files(), *_names(), *_computer(), *_scene()]


def _voxels() -> List[Case]:
    return [
        Case("plain pair", "phantom of a head, one grid", None, pair=phantom),
        Case("negative values", "PET − 500", None, ("FDG", "negative"), pairs.with_pet(lambda a: a - 500)),
        Case(
            "tiny values", "PET of at most 1e-7", None, pair=pairs.with_pet(lambda a: a * np.float32(1e-11))
        ),
        Case("huge values", "PET of at most 1e9", None, pair=pairs.with_pet(lambda a: a * np.float32(1e5))),
        Case(
            "beyond single precision",
            "64-bit PET × 1e300",
            InputError,
            (*_CONTRAST, "infinite"),
            pairs.with_pet(lambda a: a.astype(np.float64) * 1e300),
        ),
        Case(
            "NaN background",
            "PET, NaN where it was 0",
            None,
            ("NaN",),
            pairs.with_pet(lambda a: np.where(a, a, np.nan)),
        ),
        Case(
            "infinite and hot voxels",
            "PET with +inf, −inf and one voxel of 1e6",
            None,
            ("FDG", "2 infinite"),
            pairs.with_pet(lambda a: pairs.some_voxels(a, np.inf, -np.inf, 1e6)),
        ),
        Case(
            "64-bit integers",
            "PET as int64",
            None,
            pair=pairs.with_pet(lambda a: a.astype(np.int64)),
            only="files",
        ),
        Case(
            "8-bit integers", "PET as uint8", None, pair=pairs.with_pet(lambda a: (a / 40).astype(np.uint8))
        ),
        Case("all NaN", "PET of NaN", InputError, (*_CONTRAST, "NaN"), pairs.with_pet(lambda a: a * np.nan)),
        Case("all zero", "PET × 0", InputError, (*_CONTRAST, "zero"), pairs.with_pet(lambda a: a * 0)),
        Case(
            "constant", "PET = 7", InputError, (*_CONTRAST, "same value"), pairs.with_pet(lambda a: 0 * a + 7)
        ),
        Case(
            "all negative",
            "−PET − 1",
            InputError,
            (*_CONTRAST, "negative"),
            pairs.with_pet(lambda a: -1 - np.abs(a)),
        ),
        Case(
            "even within the MRI",
            "a PET whose even inside is all that the MRI covers; range from minimum to maximum",
            None,
            pair=pairs.large_even,
            arguments=("--normalize", "minmax"),
            options={"normalization": "minmax"},
        ),
    ]


def _geometry() -> List[Case]:
    tilt = np.eye(4)
    tilt[:3, :3] = [[1, 0, 0], [0, 0.94, -0.342], [0, 0.342, 0.94]]
    return [
        Case(
            "one voxel",
            "PET of 1 × 1 × 1",
            InputError,
            (*_CONTRAST, "same value"),
            lambda: replace(phantom(), pet=phantom((1, 1, 1)).pet.with_array(np.ones((1, 1, 1), np.float32))),
        ),
        Case("single slice", "both of one slice, not registered", None, pair=pairs.slices),
        Case(
            "single slice to register",
            "the same, to be registered",
            InputError,
            ("slice|too small", "already registered|--no-register"),
            pairs.slices,
            register=True,
        ),
        Case("wide slices", "1024 × 1024 × 2 voxels of 1 mm", None, pair=pairs.wide),
        Case("anisotropic", "0.5 × 0.5 × 6 mm", None, pair=lambda: phantom((10, 120, 100), (0.5, 0.5, 6.0))),
        Case("left-handed axes", "MRI stored with k downward", None, pair=pairs.stored((0, 1, 2), (0, 0, 1))),
        Case("permuted axes", "MRI stored sagittally", None, pair=pairs.stored((1, 2, 0), (0, 1, 0))),
        Case(
            "permuted axes, registered",
            "the same, registered",
            None,
            pair=pairs.stored((1, 2, 0), (0, 1, 0)),
            register=True,
        ),
        Case("oblique axes", "both tilted by 20°", None, pair=pairs.moved(tilt)),
        Case("sheared axes", "both sheared by 0.3, as NRRD", None, pair=pairs.moved(pairs.shear(0.3))),
        Case(
            "sheared axes, registered",
            "the PET sheared by 0.1, as NRRD",
            None,
            pair=pairs.moved(pairs.shear(0.1), both=False),
            register=True,
        ),
        Case(
            "flat axes",
            "two voxel axes of the PET in one direction",
            InputError,
            ("FDG", "position in space", "header"),
            pairs.flat_axes,
            nodes=lambda mri, pet: (mri, pet),
        ),
        Case(
            "sheared NIfTI",
            "a NIfTI file whose sform is sheared by 0.3",
            InputError,
            ("FDG", "sheared", "again"),
            write=lambda folder: damaged.sheared_nifti(write_pair(folder, phantom(), ".nii")),
        ),
        Case(
            "PET on another grid",
            "voxels of 9 × 9 × 9.5 mm",
            None,
            pair=lambda: Pair(phantom().mri, phantom((14, 20, 18), (9.0, 9.0, 9.5)).pet),
        ),
        Case(
            "no overlap",
            "PET 900 mm away, not registered",
            InputError,
            ("FDG", "T1", "do not overlap", "register them"),
            pairs.moved(pairs.shift(900, 0, 0), both=False),
        ),
        Case(
            "no overlap, registered",
            "the same, to be registered",
            InputError,
            ("FDG", "T1", "do not overlap", "center both"),
            pairs.moved(pairs.shift(900, 0, 0), both=False),
            register=True,
        ),
        Case("mask on another grid", "a sphere in 12 mm voxels", None, pair=pairs.masked(lambda r: r < 60)),
        Case(
            "empty mask",
            "a mask of zeros",
            InputError,
            ("T1", "mask", "choose another"),
            pairs.masked(lambda r: r < 0),
        ),
        Case(
            "mask beside the head",
            "a mask of the corners only",
            InputError,
            ("T1", "mask", "choose another"),
            pairs.masked(lambda r: r > 125),
        ),
    ]


def _fdg() -> Volume:
    return phantom().pet


def _file(name: str, made: str, says, write, expected: Optional[type] = InputError, **options) -> Case:
    """A case of files: ``write(paths, folder)`` changes those of the phantom, given as NRRD."""

    def build(folder: Path) -> Dict[str, Path]:
        paths = write_pair(folder, phantom())
        return {**paths, **write(paths, folder)}

    return Case(name, made, expected, says, write=build, **options)


def _files() -> List[Case]:
    image = ("FDG", "cannot be read as an image", "NIfTI")
    cut = [
        _file(
            f"cut {ending}",
            f"the first half of a file {ending}",
            _DAMAGED,
            lambda paths, folder, ending=ending: {"pet": damaged.cut(_fdg(), folder / f"FDG{ending}")},
        )
        for ending in (".nii.gz", ".nii", ".nrrd", ".mha")
    ]
    wrong = [
        _file(
            f"wrong bits {ending}",
            f"one byte of a compressed file {ending} turned over",
            _DAMAGED,
            lambda paths, folder, ending=ending: {"pet": damaged.turn_over(_fdg(), folder / f"FDG{ending}")},
        )
        for ending in (".nii.gz", ".nrrd", ".mha")
    ]
    return [
        *cut,
        *wrong,
        _file(
            "cut DICOM file",
            "the first 400 bytes of the last file of a series",
            ("incomplete or damaged", "export the series again"),
            lambda paths, folder: {
                "pet": damaged.dicom_series(_fdg(), folder / "FDG", change=damaged.cut_a_slice)
            },
        ),
        _file(
            "missing DICOM slice",
            "a series without its fifth slice",
            ("FDG", "not complete", "Export the series again"),
            lambda paths, folder: {
                "pet": damaged.dicom_series(_fdg(), folder / "FDG", change=damaged.lose_a_slice)
            },
        ),
        _file(
            "dynamic DICOM",
            "a series with every slice twice",
            ("FDG", "several images of one place", "export one"),
            lambda paths, folder: {"pet": damaged.dicom_series(_fdg(), folder / "FDG", frames=2)},
        ),
        _file(
            "two DICOM series",
            "two series in one folder",
            ("FDG", "2 DICOM series", "one series"),
            lambda paths, folder: {
                "pet": damaged.dicom_series(
                    _fdg(), damaged.dicom_series(_fdg(), folder / "FDG", series=1), series=2, prefix="B"
                )
            },
        ),
        _file(
            "DICOM with slopes",
            "MR and PT series, a rescale slope for each slice",
            (),
            lambda paths, folder: {
                "mri": damaged.dicom_series(phantom().mri, folder / "T1", modality="MR"),
                "pet": damaged.dicom_series(_fdg(), folder / "FDG", slopes=True),
            },
            None,
        ),
        _file(
            "different frames of reference",
            "MR and PT series whose DICOM headers name two frames of reference; registered",
            (),
            lambda paths, folder: {
                "mri": damaged.dicom_series(phantom().mri, folder / "T1", modality="MR", frame=1),
                "pet": damaged.dicom_series(_fdg(), folder / "FDG", frame=2),
            },
            None,
            register=True,
        ),
        _file(
            "different frames of reference, not registered",
            "the same, but said to lie on each other",
            ("different frames of reference", "Leave --no-register out"),
            lambda paths, folder: {
                "mri": damaged.dicom_series(phantom().mri, folder / "T1", modality="MR", frame=1),
                "pet": damaged.dicom_series(_fdg(), folder / "FDG", frame=2),
            },
            None,
        ),
        _file(
            "PNG named .nii.gz",
            "a picture with a wrong ending",
            ("FDG", "single slice", "--no-register"),
            lambda paths, folder: {"pet": damaged.picture(_fdg(), folder / "FDG.nii.gz")},
            register=True,
        ),
        _file("text named .nrrd", "a text file", image, lambda paths, f: damaged.text(f / "FDG.nrrd")),
        _file(
            "empty file", "0 bytes named .nii.gz", image, lambda paths, f: damaged.text(f / "FDG.nii.gz", "")
        ),
        _file(
            "folder with nothing readable",
            "a folder with a text file",
            ("FDG", "no DICOM series", "NIfTI"),
            lambda paths, f: damaged.text(f / "FDG" / "notes.txt", result=f / "FDG"),
        ),
        _file(
            "no such file",
            "a path to nothing",
            ("gone", "no such file", "Check"),
            lambda p, f: {"pet": f / "gone"},
        ),
        _file(
            "one file twice",
            "the MRI as PET",
            ("T1", "two different"),
            lambda paths, f: {"pet": paths["mri"]},
        ),
        _file(
            "pseudo-color",
            "an RGB volume as PET",
            ("FDG", "color image", "uptake"),
            lambda paths, f: {"pet": damaged.colors(_fdg(), f / "FDG.nrrd")},
        ),
        _file(
            "complex numbers",
            "a complex volume as PET",
            ("FDG", "complex", "magnitude"),
            lambda paths, f: {"pet": damaged.complex_numbers(_fdg(), f / "FDG.nii.gz")},
        ),
        _file(
            "dynamic file",
            "a 4-D PET of three frames; their mean is fused",
            (),
            lambda paths, f: {"pet": damaged.frames(_fdg(), f / "FDG.nii.gz", 3)},
            None,
        ),
        _file(
            "no such frame",
            "frame 7 of the same",
            ("FDG", "frames 0 to 2"),
            lambda paths, f: {"pet": damaged.frames(_fdg(), f / "FDG.nii.gz", 3)},
            arguments=("--frame", "7"),
        ),
        _file(
            "dynamic mask",
            "a 4-D mask on another grid",
            (),
            lambda paths, f: {
                "mask": damaged.frames(pairs.masked(lambda r: r < 60)().mask, f / "mask.nii.gz", 2)
            },
            None,
        ),
    ]


def _names() -> List[Case]:
    def at(*parts: str):
        def write(paths, folder):
            inner = folder.joinpath(*parts)
            inner.mkdir(parents=True)
            return {**write_pair(inner, phantom()), "out": inner / "results"}

        return write

    return [
        _file("path with spaces", "folder “my study 1”", (), at("my study 1"), None),
        _file("path with umlauts", "folder “Prüfung ß é”", (), at("Prüfung ß é"), None),
        _file("path with CJK", "folder “測試 図像 영상”", (), at("測試 図像 영상"), None),
        _file("path of 300 characters", "five nested folders of 60", (), at(*["a" * 60] * 5), None),
        _file(
            "name of 300 characters",
            "a PET of that name, which no disk has",
            ("xxx", "no such file", "Check the path"),
            lambda paths, folder: {"pet": folder / ("x" * 296 + ".nii")},
        ),
    ]


def _computer() -> List[Case]:
    return [
        _file(
            "larger than the memory",
            "a header that says 100000³ voxels",
            _MEMORY,
            lambda paths, folder: {"pet": damaged.enormous(folder / "FDG.nrrd")},
            DeviceError,
        ),
        Case(
            "memory full while cleaning",
            "simulated: no memory for a copy of the voxels",
            DeviceError,
            ("T1", *_MEMORY[1:]),
            phantom,
            fault=faults.no_memory("FunFuseSlicer.Logic.volumes.preprocessing.np.isnan"),
        ),
        Case(
            "memory full while resampling",
            "simulated: no memory for the PET on the MRI's grid",
            DeviceError,
            _MEMORY,
            pairs.moved(pairs.shift(3, 0, 0), both=False),
            fault=faults.no_memory("FunFuseSlicer.Logic.volumes.geometry.sitk.Resample"),
        ),
        Case(
            "full disk",
            "simulated: no space for the second volume",
            OutputError,
            ("out", "No space left", "--out"),
            phantom,
            fault=faults.full_disk,
            only="files",
        ),
        Case(
            "read-only folder",
            "simulated: no file can be made",
            OutputError,
            ("out", "Read-only", "Choose another --out"),
            phantom,
            fault=faults.read_only,
            only="files",
        ),
        _file(
            "output folder is a file",
            "--out inside a file",
            ("T1.nrrd", "cannot be written", "Choose another --out"),
            lambda paths, folder: {"out": paths["mri"] / "results"},
            OutputError,
        ),
        _file(
            "output folder with a name of 300 characters",
            "which no disk can have",
            ("xxx", "cannot be written", "Choose another --out"),
            lambda paths, folder: {"out": folder / ("x" * 300)},
            OutputError,
        ),
    ]


def _scene() -> List[Case]:
    return [
        Case(
            "nested transforms", "both under two linear transforms", None, pair=phantom, nodes=faults.nested
        ),
        Case(
            "nested transforms, registered",
            "the same, registered",
            None,
            pair=phantom,
            nodes=faults.nested,
            register=True,
        ),
        Case(
            "missing transform",
            "a parent that is not in the scene",
            None,
            pair=phantom,
            nodes=faults.lost_transform,
        ),
        Case(
            "non-linear transform",
            "the PET under a B-spline",
            InputError,
            ("FDG", "non-linear", "harden"),
            phantom,
            nodes=faults.warped,
        ),
        Case(
            "no voxels",
            "a volume node without image",
            InputError,
            ("FDG", "no voxels", "choose"),
            phantom,
            nodes=faults.no_voxels,
        ),
        Case(
            "color node",
            "a vector volume as PET",
            InputError,
            ("FDG in color", "3 values a voxel", "uptake"),
            phantom,
            nodes=faults.colored_node,
        ),
        Case(
            "one node twice",
            "the MRI as PET",
            InputError,
            ("T1", "choose two"),
            phantom,
            nodes=lambda mri, pet: (mri, mri),
        ),
        Case(
            "nothing chosen",
            "no PET",
            InputError,
            ("Choose", "PET"),
            phantom,
            nodes=lambda mri, pet: (mri, None),
        ),
    ]


# --- Real images ------------------------------------------------------------------------------------------


def real_cases(data: Path) -> List[Case]:
    """Those made of the folder of real images.

    :param data: the folder that has ``volumes/awkward``.
    """
    awkward = Path(data) / "volumes" / "awkward"

    def case(name, made, file, expected=None, says=(), mri="t1_oblique_same_frame.nii.gz", **options) -> Case:
        def pair() -> Pair:
            return Pair(_coarse(awkward / mri), read_volume(awkward / file))

        def write(folder: Path) -> Dict[str, Path]:
            path = folder / "T1.nrrd"
            sitk.WriteImage(volume_to_sitk(_coarse(awkward / mri)), str(path))
            return {"mri": path, "pet": awkward / file}

        readable = not file.endswith("rgb.nrrd")
        return Case(f"real: {name}", made, expected, says, pair if readable else None, write, **options)

    color = ("fdg_pseudocolour_rgb.nrrd", "color image", "uptake")
    slices = "t1_single_slice.nii.gz"
    return [
        case("4-D dynamic", "NIfTI, mean of the frames", "fdg_dynamic_4d.nii.gz", says=("negative",)),
        case("NaN background", "NIfTI; its reader makes NaN 0", "fdg_nan_background.nii.gz"),
        case("±inf and a hot voxel", "NIfTI", "fdg_inf_hotvoxel.nii.gz", says=("negative",)),
        case(
            "all zero", "NIfTI", "all_zero.nii.gz", InputError, ("all_zero", "no contrast", "Choose another")
        ),
        case(
            "no overlap",
            "NIfTI",
            "fdg_no_overlap.nii.gz",
            InputError,
            ("fdg_no_overlap", "do not overlap", "register them"),
        ),
        case("single slice", "NIfTI, MRI and PET", "fdg_single_slice.nii.gz", mri=slices),
        case("oblique, slope", "int16 NIfTI in SUV", "fdg_oblique_int16_slope_suv.nii.gz"),
        case(
            "oblique, registered", "the same, registered", "fdg_oblique_int16_slope_suv.nii.gz", register=True
        ),
        case("pseudo-color", "RGB NRRD", "fdg_pseudocolour_rgb.nrrd", InputError, color),
        case("DICOM PT", "a rescale slope for each slice", "dicom_PT"),
        case("DICOM MR", "as the MRI, with DICOM PT", "dicom_PT", mri="dicom_MR"),
    ]


def _coarse(path: Path) -> Volume:
    """A quarter of the rows and columns and an eighth of the slices, where there are as many."""
    image = read_volume(path)
    steps = [n if size >= 4 * n else 1 for n, size in zip((8, 4, 4), image.array.shape)]
    matrix = image.ijk_to_ras.copy()
    matrix[:3, :3] = matrix[:3, :3] * steps[::-1]
    array = image.array[:: steps[0], :: steps[1], :: steps[2]]
    return Volume(np.ascontiguousarray(array, dtype=np.float32), matrix, "T1")
