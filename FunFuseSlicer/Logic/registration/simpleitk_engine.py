"""Registration by SimpleITK: Mattes mutual information, coarse to fine, rigid to affine.

Each stage optimizes a small correction that is applied, in fixed space, before the transform found
so far. So rotations stay far from the singularities of their parametrization, the scales of the
scale stage lie along the axes of the MRI, and all stages share one form: a 4×4 matrix.
"""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import SimpleITK as sitk

from ..errors import Cancelled, RegistrationError
from ..monitor import Monitor
from .interface import Candidate, OutOfTime, RegistrationOptions
from .judgement import NO_SIZE, asks_for_size
from .pair import COARSE_MM, FINEST_MM, MIDDLE_MM, ImagePair
from .preparation import WorkingImage, bounding_box, coarsen, dilate, scaled_by_brain
from .similarity import HEAD_MARGIN_MM, Similarity
from .starts import best_starts, candidates, is_long

# The edge of the head pulls from afar, but a PET is blurred across it: the last word has the inside.
FINE_MARGIN_MM, FINE_BRAIN_MARGIN_MM = 2.0, 6.0
STARTS = 5
STARTS_APART_MM = 8.0
STARTS_IN_BODY, IN_BODY_APART_MM = 8, 60.0

_BINS = 32
# Radius at which a rotation or stretch is weighed against a shift.
_LEVER_MM = 60.0
_FIRST_STRETCH_MM = 0.7
_STAGE_NAME = "Registering"
# First and last step in millimeters, relaxation and number of steps, as in _Level.
_COARSE_WALK = (4.0, 0.1, 0.9, 100)
_MIDDLE_WALK = (2.0, 0.05, 0.8, 60)


@dataclass(frozen=True)
class _Level:
    """Both images at one resolution, and how an optimizer should walk there.

    :param fixed: the fixed image, cropped to ``mask`` when there is one.
    :param mask: where to sample the fixed image, or None for everywhere.
    :param center: RAS millimeters, about which corrections turn and stretch.
    :param sampling: part of the voxels to sample, in (0, 1].
    :param first_mm: longest step; :param last_mm: step at which to stop; in millimeters.
    :param relaxation: factor on the step at each reversal of direction.
    :param iterations: at most.
    """

    fixed: sitk.Image
    moving: sitk.Image
    mask: Optional[sitk.Image]
    center: np.ndarray
    sampling: float
    first_mm: float
    last_mm: float
    relaxation: float
    iterations: int


def improve_rigid(
    fixed: WorkingImage,
    moving: WorkingImage,
    start: np.ndarray,
    options: RegistrationOptions,
    report: Callable[[float], None],
) -> np.ndarray:
    """Improve a 4×4 matrix (RAS, moving to fixed) by a rigid motion, on coarse or middling images.

    :param fixed: voxels of ``COARSE_MM`` for large motions, or smaller ones for small motions.
    :param report: called with the part that is done, in [0, 1]; what it raises ends the optimization.
    :raises RuntimeError: from ITK, mostly when too few samples overlap.
    """
    walk = _COARSE_WALK if fixed.spacing >= COARSE_MM else _MIDDLE_WALK
    level = _level((fixed, moving), options, HEAD_MARGIN_MM, *walk)
    return _optimize("rigid", start, level, options, report)


def run(pair: ImagePair, options: RegistrationOptions, monitor: Monitor) -> Sequence[Candidate]:
    """The result of each stage in ``options.stages``, in that order; an engine as in ``interface``.

    :raises RegistrationError: no start leads anywhere, or the time is over before the rough position.
    :raises Cancelled: the monitor says so.
    """
    monitor.report(_STAGE_NAME, 0.0)
    fixed, moving = pair.at(FINEST_MM)
    monitor.report(_STAGE_NAME, 0.1)
    coarse_images = pair.at(COARSE_MM)
    # Steps are long and tire slowly where an iteration is cheap.
    coarse = _level(coarse_images, options, HEAD_MARGIN_MM, *_COARSE_WALK)
    monitor.report(_STAGE_NAME, 0.15)
    matrix = _rough(
        coarse_images, coarse, options, lambda part: monitor.report(_STAGE_NAME, 0.15 + 0.2 * part)
    )
    # Now that the brain in the PET is known, its uptake sets the scale.
    moving = scaled_by_brain(fixed, moving, matrix)
    middle_images = pair.at(MIDDLE_MM)[0], coarsen(moving, MIDDLE_MM)
    middle = _level(middle_images, options, HEAD_MARGIN_MM, *_MIDDLE_WALK)
    margin_mm = FINE_BRAIN_MARGIN_MM if fixed.brain else FINE_MARGIN_MM
    fine = _level((fixed, moving), options, margin_mm, 0.5, 0.01, 0.7, 60)
    # The rough pose is settled; what follows refines it. Sizes need no finer level before shear does.
    levels = {"rigid": (middle, fine), "scale": (middle,), "affine": (middle, fine)}
    steps = [(stage, level) for stage in options.stages for level in levels[stage]]
    found: Dict[str, Candidate] = {}
    for number, (stage, level) in enumerate(steps):

        def progress(part: float, number: int = number) -> None:
            monitor.report(_STAGE_NAME, 0.35 + 0.6 * (number + part) / len(steps))

        try:
            matrix = _optimize(stage, matrix, level, options, progress)
        except RuntimeError as error:
            if found:
                break  # a later stage left the field of view; the earlier ones stand
            raise RegistrationError(
                f"Registering '{moving.name}' to '{fixed.name}' failed: they lost each other. "
                "Align them roughly by hand first, or take them as already registered."
            ) from error
        except OutOfTime as error:
            if not found:
                raise
            last = list(found)[-1]
            found[last] = replace(found[last], note=f"{error} What was found by then is used.")
            break
        found[stage] = Candidate(stage, matrix)
        more = options.minimum_gain is not None and len(options.stages) > 1
        if more and stage == "rigid" and level is fine:
            if not asks_for_size(pair.evidence(matrix)):
                found[stage] = replace(found[stage], note=NO_SIZE)
                break
    return list(found.values())


def _level(
    images: Sequence[WorkingImage],
    options: RegistrationOptions,
    margin_mm: float,
    first_mm: float,
    last_mm: float,
    relaxation: float,
    iterations: int,
) -> _Level:
    fixed, moving = images
    image, mask = fixed.image, None
    if options.masks != "none":
        mask = dilate(fixed.mask, margin_mm)
        start, size = bounding_box(mask)
        image = sitk.RegionOfInterest(image, size, start)
        mask = sitk.RegionOfInterest(mask, size, start)
    # As many samples at each level, while there are voxels enough.
    sampling = min(1.0, options.sampling_fraction * (fixed.spacing / FINEST_MM) ** 3)
    return _Level(
        image, moving.image, mask, fixed.center, sampling, first_mm, last_mm, relaxation, iterations
    )


def _rough(
    images: Sequence[WorkingImage],
    level: _Level,
    options: RegistrationOptions,
    progress: Callable[[float], None],
) -> np.ndarray:
    """The best rigid matrix at the coarse level, from several starts."""
    fixed, moving = images
    similarity = Similarity(fixed, moving)
    # In a body each organ has its chance: a bladder can look more like a brain than a brain not yet in place.
    count, apart_mm = (STARTS_IN_BODY, IN_BODY_APART_MM) if is_long(moving) else (STARTS, STARTS_APART_MM)
    starts = best_starts(candidates(fixed, moving), similarity, fixed.center, count, apart_mm)
    # What is hot elsewhere must not take the contrast from what is taken for the brain.
    scaled = [scaled_by_brain(fixed, moving, start) for start in starts]
    levels = [replace(level, moving=image.image) for image in scaled]
    best, best_value = None, -np.inf
    for image, matrix in zip(scaled, _optimize_all(starts, levels, options, progress)):
        value = -np.inf if matrix is None else similarity.among(image)(matrix)
        if value > best_value:
            best, best_value = matrix, value
    if best is None:
        raise RegistrationError(
            f"No position was found at which '{moving.name}' and '{fixed.name}' overlap. "
            "Align them roughly by hand first, or take them as already registered."
        )
    return best


def _optimize_all(
    starts: Sequence[np.ndarray],
    levels: Sequence[_Level],
    options: RegistrationOptions,
    progress: Callable[[float], None],
) -> List[Optional[np.ndarray]]:
    """Rigid optimization from each start, side by side, each in one thread, so that the bits stay.

    :return: in the order of the starts; None for one that left the field of view.
    """
    alone = replace(options, threads=1)
    parts, stop = [0.0] * len(starts), threading.Event()

    def work(number: int) -> Optional[np.ndarray]:
        def part(fraction: float) -> None:
            parts[number] = fraction
            if stop.is_set():
                raise Cancelled()

        try:
            return None if stop.is_set() else _optimize("rigid", starts[number], levels[number], alone, part)
        except RuntimeError:
            return None

    # SimpleITK lets go of Python while it works. Only this thread reports: the one that may show it.
    with ThreadPoolExecutor(max_workers=options.threads) as pool:
        futures = [pool.submit(work, number) for number in range(len(starts))]
        try:
            while wait(futures, timeout=0.05).not_done:
                progress(sum(parts) / len(starts))
        except BaseException:
            stop.set()
            raise
    return [future.result() for future in futures]


def _optimize(
    stage: str,
    matrix: np.ndarray,
    level: _Level,
    options: RegistrationOptions,
    progress: Callable[[float], None],
) -> np.ndarray:
    """Improve a matrix (RAS, moving to fixed) at one level with the freedom of one stage.

    :raises RuntimeError: from ITK, mostly when too few samples overlap.
    """
    correction, weights = _correction(stage, level.center)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(options.threads)
    method.SetNumberOfWorkUnits(options.threads)
    method.SetMetricAsMattesMutualInformation(_BINS)
    # Regular sampling is jittered within the voxels, by the seed, against grid artifacts.
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(level.sampling, options.seed)
    if level.mask is not None:
        method.SetMetricFixedMask(level.mask)
    method.SetInterpolator(sitk.sitkLinear)
    # Sizes start nearly right and are less well determined: a long step could lose the head.
    first_mm = level.first_mm if stage == "rigid" else min(level.first_mm, _FIRST_STRETCH_MM)
    method.SetOptimizerAsRegularStepGradientDescent(
        first_mm, level.last_mm, level.iterations, level.relaxation, 1e-9
    )
    method.SetOptimizerScales(weights)
    method.SetMovingInitialTransform(_to_itk(np.linalg.inv(matrix)))
    method.SetInitialTransform(correction, inPlace=True)

    stopped: List[BaseException] = []

    def on_iteration() -> None:
        # An exception must not cross ITK: it would come out as another one.
        try:
            progress(min(1.0, method.GetOptimizerIteration() / level.iterations))
        except BaseException as error:
            stopped.append(error)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, on_iteration)
    try:
        method.Execute(level.fixed, level.moving)
    finally:
        # The command knows the method: without this both, and the images, would stay in memory for good.
        method.RemoveAllCommands()
    if stopped:
        raise stopped[0]
    return np.linalg.inv(_to_matrix(correction)) @ matrix


def _correction(stage: str, center: np.ndarray) -> Tuple[sitk.Transform, List[float]]:
    """An identity transform with the freedom of a stage, and the weights of its parameters."""
    turn = _LEVER_MM**2
    transform: Union[sitk.Euler3DTransform, sitk.ScaleVersor3DTransform, sitk.AffineTransform]
    if stage == "rigid":
        transform, weights = sitk.Euler3DTransform(), [turn] * 3 + [1.0] * 3
    elif stage == "scale":
        transform, weights = sitk.ScaleVersor3DTransform(), [turn] * 3 + [1.0] * 3 + [turn] * 3
    else:
        transform, weights = sitk.AffineTransform(3), [turn] * 9 + [1.0] * 3
    transform.SetCenter([float(x) for x in center])
    return transform, weights


def _to_itk(matrix: np.ndarray) -> sitk.AffineTransform:
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def _to_matrix(transform: sitk.Transform) -> np.ndarray:
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis in range(3):
        matrix[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - origin
    matrix[:3, 3] = origin
    return matrix
