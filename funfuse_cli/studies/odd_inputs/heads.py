"""A made-up head, down to the thighs where that is wanted, seen by an MRI and by a PET of any tracer.

For studies and tests: anatomy enough for outline, cortex and deep nuclei, and for what lies around a brain.
All places in RAS millimeters, the middle of the brain at the origin.
"""

from functools import cache
from typing import Dict, Optional, Sequence, Tuple

import numpy as np
from scipy import ndimage

from FunFuseSlicer.Logic.volumes.geometry import Volume, resample

TISSUES = (
    "air",
    "skin",
    "bone",
    "liquor",
    "gray",
    "white",
    "nuclei",
    "soft",
    "glands",
    "lung",
    "heart",
    "liver",
    "kidneys",
    "bladder",
)
T1 = dict(skin=0.8, bone=0.07, liquor=0.2, gray=0.55, white=0.8, nuclei=0.62, soft=0.45, glands=0.5)
T1.update(lung=0.08, heart=0.4, liver=0.5, kidneys=0.45, bladder=0.2)
T2 = {**T1, "liquor": 1.0, "gray": 0.6, "white": 0.42, "nuclei": 0.5, "skin": 0.5, "bladder": 1.0}
FLAIR = {**T1, "liquor": 0.1, "gray": 0.7, "white": 0.5, "nuclei": 0.6}
FDG = dict(gray=1.0, white=0.27, nuclei=1.1, liquor=0.05, soft=0.12, skin=0.1, bone=0.06, glands=0.25)
FDG.update(lung=0.05, heart=0.8, liver=0.35, kidneys=1.5, bladder=14.0)
# Tracers of amyloid and tau stay in white matter, those of the striatum in the nuclei.
AMYLOID = {**FDG, "gray": 0.45, "white": 1.0, "nuclei": 0.8}
DOPAMINE = {**FDG, "gray": 0.3, "white": 0.25, "nuclei": 2.2}

_BRAIN = np.array([67.0, 85.0, 64.0])
_BONE_MM, _SKIN_MM = 9.0, 14.0
# The head alone is made finer than a body.
_HEAD_MM, _BODY_MM = 2.5, 4.0


def _ball(points: np.ndarray, center: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    return (((points - np.asarray(center)) / np.asarray(radii)) ** 2).sum(axis=-1) < 1.0


def tissues(points: np.ndarray, body: bool = False) -> np.ndarray:
    """The index in ``TISSUES`` at points (…, 3).

    :param body: there is something below the neck.
    """
    found = np.zeros(points.shape[:-1], np.uint8)
    if body:
        _put_body(points, found)
    head = points[..., 2] > -150
    found[head] = _head(points[head], found[head])
    return found


def _head(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    right, front, up = np.moveaxis(points, -1, 0)

    def put(tissue: str, where: np.ndarray) -> None:
        found[where] = TISSUES.index(tissue)

    put("soft", ((right / 58) ** 2 + ((front + 25) / 60) ** 2 < 1) & (up < -30))
    put("soft", _ball(points, (0, 42, -62), (62, 56, 62)))
    put("bone", _ball(points, (0, 40, -38), (52, 48, 20)))
    for side in (-1, 1):
        put("glands", _ball(points, (side * 52, 0, -72), (14, 18, 22)))
    put("glands", _ball(points, (0, 58, -55), (24, 20, 14)))
    # The head: skin, bone and what they enclose; flatter below than above.
    shape = points / np.where(up[..., None] < 0, [1.0, 1.0, 0.9], 1.0)
    for tissue, margin in (("skin", _SKIN_MM), ("bone", _BONE_MM), ("liquor", 3.0)):
        put(tissue, _ball(shape, (0, 0, 0), _BRAIN + margin))
    base = (up < -20) & ~_ball(shape, (0, 0, 0), _BRAIN + 3.0)
    put("bone", base & _ball(points, (0, -48, -52), (60, 40, 33)))
    put("liquor", _ball(points, (0, -48, -52), (52, 32, 25)))
    unit = shape / _BRAIN
    depth = np.sqrt((unit**2).sum(axis=-1))
    around, over = np.arctan2(unit[..., 1], unit[..., 0]), np.arcsin(np.clip(unit[..., 2], -1, 1))
    folds = np.sin(9 * around + 2 * over) * np.sin(8 * over - 1.5 * around + 0.4)
    brain = depth < 1.0 - 0.035 * (folds > 0.55)
    put("gray", brain)
    put("white", brain & (depth < 0.83 + 0.1 * folds) & (np.abs(right) > 3.0))
    put("liquor", brain & (np.abs(right) < 1.5) & (up > 22))
    put("gray", _ball(points, (0, -48, -52), (49, 29, 22)))
    put("white", _ball(points, (0, -46, -52), (30, 17, 10)) | _ball(points, (0, -22, -58), (14, 13, 32)))
    for side in (-1, 1):
        put("nuclei", _ball(points, (side * 24, 14, 0), (8, 20, 12)))
        put("nuclei", _ball(points, (side * 11, -16, 5), (9, 14, 9)))
        put("liquor", _ball(points, (side * 10, 4 + 2 * side, 18), (6, 34, 9)))
    return found


def _put_body(points: np.ndarray, found: np.ndarray) -> None:
    right, front, up = np.moveaxis(points, -1, 0)
    wide = np.clip(58 + (-140 - up) * 2.2, 58, 185), np.clip(60 + (-140 - up) * 0.8, 60, 108)
    trunk = (up < -140) & ((right / wide[0]) ** 2 + ((front + 20) / wide[1]) ** 2 < 1)
    found[trunk] = TISSUES.index("soft")
    for tissue, center, radii in (
        ("lung", (-80, -10, -310), (55, 70, 110)),
        ("lung", (80, -10, -310), (55, 70, 110)),
        ("heart", (-20, 20, -360), (45, 40, 50)),
        ("liver", (70, -10, -460), (85, 70, 70)),
        ("kidneys", (-70, -60, -540), (28, 28, 55)),
        ("kidneys", (70, -60, -540), (28, 28, 55)),
        ("bladder", (0, 20, -700), (45, 40, 40)),
    ):
        found[_ball(points, center, radii)] = TISSUES.index(tissue)


def grid(size_mm: Sequence[float], mm: Sequence[float], center: Sequence[float]) -> Volume:
    """Zeros, with LPS axes, around a center."""
    steps = np.broadcast_to(np.asarray(mm, dtype=float), 3)
    count = np.maximum(2, np.rint(np.asarray(size_mm) / steps)).astype(int)
    geometry = np.diag([-steps[0], -steps[1], steps[2], 1.0])
    geometry[:3, 3] = np.asarray(center) - geometry[:3, :3] @ ((count - 1) / 2.0)
    return Volume(np.zeros(count[::-1], np.float32), geometry, "grid")


@cache
def _anatomy(body: bool) -> Volume:
    """The tissues of the head, or of all down to the thighs."""
    if body:
        on = grid((400.0, 270.0, 960.0), [_BODY_MM] * 3, (0.0, -10.0, -370.0))
    else:
        on = grid((180.0, 230.0, 240.0), [_HEAD_MM] * 3, (0.0, 0.0, -35.0))
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in on.array.shape], indexing="ij")[::-1], axis=-1)
    points = ijk @ on.ijk_to_ras[:3, :3].T + on.ijk_to_ras[:3, 3]
    return on.with_array(tissues(points, body))


def seen(on: Volume, values: Dict[str, float], pose: Optional[np.ndarray] = None, body: bool = False):
    """The head on a grid, (k, j, i) float32.

    :param pose: 4×4, where the head lies: from the places of this module to RAS.
    :param body: with what lies below the neck.
    """
    made = _anatomy(body)
    table = np.array([values.get(tissue, 0.0) for tissue in TISSUES], np.float32)
    array = ndimage.gaussian_filter(table[made.array], 0.4 * on.spacing[::-1].max() / made.spacing[::-1])
    return resample(made.with_array(array), on, pose).array


def mri(
    values: Dict[str, float] = T1,
    mm: float = 3.0,
    size: Sequence[float] = (216.0, 246.0, 246.0),
    center: Sequence[float] = (0.0, 0.0, -25.0),
    noise: float = 0.015,
    coil: Optional[Tuple[Sequence[float], float]] = None,
    stripped: bool = False,
    body: bool = False,
    seed: int = 1,
) -> Volume:
    """An MRI of the head, 0 to 1000.

    :param coil: center and width in millimeters of what a surface coil sees; six times the rest.
    :param stripped: only liquor and brain are left.
    """
    on = grid(size, [mm] * 3, center)
    kept = {"liquor", "gray", "white", "nuclei"} if stripped else set(values)
    array = seen(on, {name: value for name, value in values.items() if name in kept}, body=body)
    if coil is not None:
        kji = np.indices(array.shape, sparse=True)
        places = [
            kji[2 - axis] * on.ijk_to_ras[axis, axis] + on.ijk_to_ras[axis, 3] - coil[0][axis]
            for axis in range(3)
        ]
        array = array * (0.2 + np.exp(-sum(x**2 for x in places) / (2.0 * coil[1] ** 2)))
    rng = np.random.default_rng(seed)
    real, imaginary = noise * rng.standard_normal((2, *array.shape))
    noisy = np.hypot(array + real, imaginary)
    array = np.where(array > 0.05, noisy, 0.0) if stripped else noisy
    return on.with_array((1000.0 * array).astype(np.float32), "T1")


def pet(
    values: Dict[str, float] = FDG,
    pose: Optional[np.ndarray] = None,
    mm: float = 4.0,
    size: Sequence[float] = (230.0, 255.0, 170.0),
    center: Sequence[float] = (0.0, 0.0, -10.0),
    fwhm: float = 6.0,
    counts: float = 100.0,
    body: bool = False,
    seed: int = 1,
) -> Volume:
    """A PET of the head at ``pose``, its field of view around ``center`` of the head.

    :param counts: of a voxel of value 1, before a blur of 4 mm; 0 for none of the noise.
    """
    pose = np.eye(4) if pose is None else pose
    on = grid(size, [mm] * 3, (pose @ np.append(center, 1.0))[:3])
    array = ndimage.gaussian_filter(seen(on, values, pose, body), fwhm / 2.3548 / mm)
    if counts:
        array = np.random.default_rng(seed).poisson(array * counts) / counts
        array = ndimage.gaussian_filter(array, 4.0 / 2.3548 / mm)
    return on.with_array((1000.0 * array).astype(np.float32), "PET")


def brain_points(step_mm: float = 8.0) -> np.ndarray:
    """(n, 3) RAS millimeters within gray and white matter."""
    axes = [np.arange(-r, r + 1, step_mm) for r in (72.0, 90.0, 80.0)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.isin(tissues(points), [TISSUES.index(name) for name in ("gray", "white", "nuclei")])
    return points[inside]
