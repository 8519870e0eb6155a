"""NIfTI, Analyze and MGH files, by nibabel.

ITK takes the qform where it disagrees with the sform, 1 mm for a voxel size of 0, and millimeters for meters,
and it reads neither NIfTI-2 nor MGH.
"""

import json
import math
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS
from FunFuseSlicer.Logic.volumes.side_car_units import units_of_side_car
from FunFuseSlicer.Logic.volumes.tracers import tracer_of_side_car

from .source import Damaged, Source, gray_of_color, usable_lengths

ENDINGS = (".mgz", ".mgh", ".hdr", ".img", ".img.gz", ".hdr.gz")
# Intents of files whose fifth dimension holds the values of a voxel, not times.
VECTORS = (1002, 1004, 1005, 1006, 1007, 2003, 2004)
# Of the space that a matrix leads to, see nifti1.h.
SPACES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI", 5: "template"}
# The cosine between two axes of an sform from which on they are no right angle: 0.1 degrees.
RIGHT_ANGLE = 2e-3
# Two matrices agree when the corners of the grid differ by less than this much of the smallest voxel.
AGREE = 0.25
# Voxel sizes in millimeters that a unit may lead to.
PLAUSIBLE_VOXEL = (0.01, 50.0)
MILLIMETERS = {1: ("meters", 1000.0), 3: ("micrometers", 0.001)}


def is_nifti(path: Path, start: bytes) -> bool:
    """Whether the content, or for kinds without a mark the name, is of these formats."""
    marked = start[344:348] in (b"n+1\0", b"ni1\0") or start[4:7] in (b"n+2", b"ni2")
    return marked or path.name.lower().endswith(ENDINGS)


def read_nifti(path: Path, size: int) -> Source:
    """:raises InputError: its header gives no usable place; complex numbers, vectors or colors.

    :param size: bytes of the file, without compression.
    :raises Damaged: the file is shorter than it says, or none of these.
    """
    import nibabel

    nibabel.imageglobals.logger.disabled = True  # what it would say is said here, with what to do
    try:
        image = nibabel.load(str(path), mmap=False)
        _check_length(path, image.dataobj, size)
        raw = np.asarray(image.dataobj.get_unscaled())
    except nibabel.filebasedimages.ImageFileError as error:
        raise Damaged(str(error)) from error
    except (ValueError, EOFError, nibabel.spatialimages.HeaderDataError) as error:
        raise Damaged(str(error)) from error
    notes: List[str] = []
    vectors = False
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if isinstance(image, nibabel.Nifti1Pair):  # NIfTI-2 is one, too
        header = _as_stored(image)
        affine = _place(header, path, raw.shape[:3], notes)
        vectors = int(header["intent_code"]) in VECTORS
        notes += _about_slope(float(header["scl_slope"]), float(header["scl_inter"]))
    elif isinstance(image, nibabel.MGHImage):
        affine = image.affine
        if not int(image.header["goodRASFlag"]):
            notes.append("its header gives no place in space: the standard one of FreeSurfer is taken.")
    else:
        affine = _check_axes(image.affine, path)
        notes.append("it is an Analyze file, which does not say which side is left: check it in the result.")
    frames = _Frames(_real(raw, path, vectors), slope, intercept)
    told = _side_car(path, notes)
    tracer = tracer_of_side_car(told or {}, path.name)
    seconds = None
    if len(frames) > 1 and told is not None:
        seconds = usable_lengths(told.get("FrameDuration"), len(frames))
        if seconds is None:
            notes.append(f"its side car gives no {len(frames)} lengths of frames (FrameDuration).")
    return Source(frames, affine, notes, seconds, units=units_of_side_car(told or {}), tracer=tracer)


class _Frames(Sequence):
    """Frames of a raw array (i, j, k, frame), scaled when asked for."""

    def __init__(self, raw: np.ndarray, slope: float, intercept: float):
        self._raw, self._slope, self._intercept = raw, slope, intercept

    def __len__(self) -> int:
        return self._raw.shape[3]

    def __getitem__(self, index):
        frame = np.ascontiguousarray(self._raw[..., index].T)
        if (self._slope, self._intercept) == (1.0, 0.0):
            return frame
        return (frame * self._slope + self._intercept).astype(np.float32)


def _check_length(path: Path, proxy, size: int) -> None:
    needed = int(proxy.offset) + math.prod(proxy.shape) * proxy.dtype.itemsize
    pair = path.name.lower().endswith((".hdr", ".img", ".hdr.gz", ".img.gz"))
    if size < needed and not pair:
        raise Damaged(f"{size} of {needed} bytes")


def _real(raw: np.ndarray, path: Path, vectors: bool) -> np.ndarray:
    """(i, j, k, frame) of real numbers that volumes of Slicer know, in the byte order of this computer.

    :param vectors: the fifth dimension holds the values of a voxel.
    """
    if raw.dtype.kind == "c":
        raise InputError(f"{path} holds complex numbers: give their magnitude as an image.")
    if raw.dtype.fields:
        raw = gray_of_color(np.stack([raw[name] for name in raw.dtype.fields], axis=-1), path)
    kind = raw.dtype.newbyteorder("=")
    if kind in (np.int64, np.uint64) or (kind.kind == "f" and kind.itemsize > 8):
        kind = np.dtype(np.float64)
    if kind == np.float16:
        kind = np.dtype(np.float32)
    raw = raw.astype(kind, copy=False)
    while raw.ndim > 3 and raw.shape[-1] == 1:
        raw = raw[..., 0]
    if raw.ndim > 4:
        if raw.shape[3] != 1 or raw.ndim > 5:
            raise InputError(f"{path} has {raw.ndim} dimensions: give a 2-D, 3-D or 4-D image.")
        raw = gray_of_color(raw[:, :, :, 0], path) if vectors else raw[:, :, :, 0]
    return raw.reshape((*raw.shape, 1, 1, 1)[:4]) if raw.ndim < 4 else raw


def _as_stored(image):
    """The header with its slope, which nibabel takes out when it loads an image."""
    holder = image.file_map.get("header", image.file_map["image"])
    with holder.get_prepare_fileobj("rb") as file:
        return type(image.header).from_fileobj(file, check=False)


def _about_slope(slope: float, intercept: float) -> List[str]:
    if slope < 0:
        return [f"its slope is {slope:g}: what is stored as bright becomes dark. Check that this is meant."]
    if slope == 0 or not math.isfinite(slope):
        return [f"its slope is {slope:g}, which gives no scale: the values are taken as stored."]
    if not math.isfinite(intercept):
        return [f"its intercept is {intercept:g}: 0 is taken."]
    return []


# --- Place --------------------------------------------------------------------------------------------


def _place(header, path: Path, shape, notes: List[str]) -> np.ndarray:
    """Voxel index to RAS in millimeters; says what is doubtful about it."""
    forms = {}
    for name in ("sform", "qform"):
        code = int(header[f"{name}_code"])
        if code > 0:
            forms[name] = (code, _matrix(header, name))
    usable = {name: form for name, form in forms.items() if _spans_space(form[1])}
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=float))
    if not usable:
        if forms or not (np.isfinite(sizes).all() and sizes.all()):
            raise _no_voxel_size(path, sizes)
        notes.append(
            "its header gives neither qform nor sform, so that its place and its left and right are not "
            "known: check them in the result."
        )
        # As ITK, and with it Slicer: i to the left, j to the back.
        return _in_millimeters(header, RAS_TO_LPS @ np.diag([*sizes, 1.0]), notes)
    notes += [f"its {name} has no usable axes and is left out." for name in forms if name not in usable]
    # The more specific one: a code above 1 says that somebody aligned the image. The sform at a tie, as SPM.
    name = max(usable, key=lambda name: (usable[name][0], name == "sform"))
    code, matrix = usable[name]
    others = {other: form for other, form in usable.items() if other != name}
    for other, (other_code, other_matrix) in others.items():
        distance = _apart(matrix, other_matrix, shape)
        if distance > AGREE * np.linalg.norm(matrix[:3, :3], axis=0).min():
            notes.append(
                f"its sform and qform disagree by up to {distance:.1f} mm: the {name} (code {code}, "
                f"{SPACES.get(code, 'other')}) is taken, not the {other} (code {other_code}, "
                f"{SPACES.get(other_code, 'other')}). Check that the PET lies on the MRI."
            )
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    cosines = (matrix[:3, :3] / lengths).T @ (matrix[:3, :3] / lengths) - np.eye(3)
    if np.abs(cosines).max() > RIGHT_ANGLE:
        notes.append(f"its {name} is sheared, without right angles: it is taken as it stands.")
    if not np.allclose(sizes, lengths, rtol=0.01):
        notes.append(
            f"its voxels measure {_by(lengths)} mm by the {name}, which is taken, {_by(sizes)} mm by pixdim."
        )
    return _in_millimeters(header, matrix, notes)


def _matrix(header, name: str) -> np.ndarray:
    try:
        matrix = header.get_sform() if name == "sform" else _qform(header)
    except Exception:  # a quaternion that is none; what the library raises then differs with its version
        return np.full((4, 4), np.nan)
    return np.asarray(matrix, dtype=float)


def _qform(header) -> np.ndarray:
    sizes = np.asarray(header["pixdim"][1:4], dtype=float)
    return header.get_qform() if np.isfinite(sizes).all() and sizes.all() else np.full((4, 4), np.nan)


def _spans_space(matrix: np.ndarray) -> bool:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or not lengths.all():
        return False
    return bool(abs(np.linalg.det(matrix[:3, :3] / lengths)) > 1e-6)


def _check_axes(matrix: np.ndarray, path: Path) -> np.ndarray:
    if not _spans_space(matrix):
        raise _no_voxel_size(path, np.linalg.norm(matrix[:3, :3], axis=0))
    return matrix


def _no_voxel_size(path: Path, sizes) -> InputError:
    return InputError(
        f"{path} has no usable voxel size ({_by(sizes)} mm) or axes in its header: correct the header, or "
        "convert the file from the original images again."
    )


def _apart(first: np.ndarray, second: np.ndarray, shape) -> float:
    """The largest distance between the places that two matrices give to a corner of the grid, in mm."""
    ends = [(0, n - 1) for n in (*shape, 1, 1)[:3]]
    corners = np.stack([*(axis.ravel() for axis in np.meshgrid(*ends)), np.ones(8)])
    return float(np.linalg.norm(((first - second) @ corners)[:3], axis=0).max())


def _in_millimeters(header, matrix: np.ndarray, notes: List[str]) -> np.ndarray:
    unit, factor = MILLIMETERS.get(int(header["xyzt_units"]) & 7, ("", 1.0))
    if not unit:
        return matrix
    sizes = np.linalg.norm(matrix[:3, :3], axis=0) * factor
    if (sizes < PLAUSIBLE_VOXEL[0]).any() or (sizes > PLAUSIBLE_VOXEL[1]).any():
        notes.append(f"its header says {unit}, but its voxels have a size in millimeters, which are taken.")
        return matrix
    notes.append(f"its header is in {unit}: they were turned into millimeters.")
    return np.diag([factor, factor, factor, 1.0]) @ matrix


def _by(sizes) -> str:
    return " × ".join(f"{size:.3g}" for size in sizes)


# --- Side car -----------------------------------------------------------------------------------------


def _side_car(path: Path, notes: List[str]) -> Optional[dict]:
    """What stands beside an image, as BIDS has it: in the file of the same name, ending in .json."""
    stem, name = path.name, path.name.lower()
    for ending in (".nii.gz", ".nii", *ENDINGS):
        if name.endswith(ending):
            stem = path.name[: -len(ending)]
            break
    side_car = path.with_name(f"{stem}.json")
    if not side_car.is_file():
        return None
    try:
        told = json.loads(side_car.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = None
    if isinstance(told, dict):
        return told
    notes.append(f"its side car {side_car.name} cannot be read and is left out.")
    return None
