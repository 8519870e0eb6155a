"""Chooses among the matrices that an engine proposes the one to trust, or none.

A scale or affine stage has more freedom than a patient's skull, and can end far off after a good
rigid stage, drawn by background or by the edge of the field of view. Two images of one patient need
no scaling; what small changes of size an optimizer finds there raises the mutual information by a
few percent, while truly different head sizes raise it by much more. So the rigid result stays unless
another one is plausible and explains clearly more of the same voxels.
"""

import time
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import RegistrationError
from ..monitor import Monitor
from ..volumes.geometry import Volume
from .interface import Candidate, ImplausibleRegistration, RegistrationOptions, RegistrationResult
from .orientation import header_doubt
from .plausibility import describe, fits_one_patient, objections, stretches, verdict
from .preparation import WorkingImage, indices_to_ras, prepare, ras_to_indices
from .similarity import Similarity

_STAGE_NAME = "Checking the registration"
JUDGE_MM = 3.0
# Less of the MRI than this inside the PET's field of view is worth a word.
_COVERED = 0.9


def conclude(
    fixed: Volume,
    moving: Volume,
    candidates: Sequence[Candidate],
    options: RegistrationOptions,
    began: float,
    monitor: Optional[Monitor] = None,
) -> RegistrationResult:
    """The result of a registration whose engine proposes ``candidates``.

    :param began: ``time.monotonic()`` at the start of the work.
    :param monitor: progress and cancel.
    :raises ImplausibleRegistration: no candidate is plausible; it carries the last one.
    :raises RegistrationError: there is no candidate.
    """
    monitor = monitor or Monitor()
    monitor.report(_STAGE_NAME, 0.0)
    judge = _Judge(fixed, moving)
    monitor.report(_STAGE_NAME, 0.2)
    plausible: List[Candidate] = []
    notes: List[str] = [candidate.note for candidate in candidates if candidate.note]
    for candidate in candidates:
        found = objections(candidate.matrix, judge.overlap(candidate.matrix))
        if not found:
            plausible.append(candidate)
        elif plausible:
            notes.append(f"The {candidate.stage} result was set aside: {' and '.join(found)}.")
    if not plausible:
        raise _implausible(judge, candidates, options, began)
    chosen, kept_rigid = choose(plausible, judge.similarity, options.minimum_gain)
    if kept_rigid:
        notes.append(
            "The rigid result was kept: changing the size of the head explains hardly more of the images."
        )
    elif chosen.stage != "rigid":
        notes.append(_about_size(chosen))
    rigid = [c.matrix for c in plausible if c.stage == "rigid" and c is not chosen]
    before, after = judge.similarity(np.eye(4)), judge.similarity(chosen.matrix)
    method = f"{options.engine} {chosen.stage}"
    if before > after:
        chosen, method, rigid = Candidate("none", np.eye(4)), f"{options.engine}, as given", []
        notes = ["No better place was found than the given one, which was kept."]
    doubt = None
    if options.check_header:
        doubt = header_doubt(
            judge.fixed,
            judge.moving,
            chosen.matrix,
            judge.similarity,
            options,
            lambda part: monitor.report(_STAGE_NAME, 0.3 + 0.7 * part),
        )
    monitor.report(_STAGE_NAME, 1.0)
    result = judge.result(
        chosen,
        method,
        began,
        notes=notes,
        rigid_matrix=rigid[0] if rigid else None,
        doubt=None if doubt is None else doubt.words,
    )
    if doubt is None:
        return result
    sentence = (
        f"The header of '{moving.name}' or '{fixed.name}' seems wrong: with its head {doubt.words}, "
        f"'{moving.name}' explains {100 * doubt.gain:.0f} % more of '{fixed.name}'."
    )
    if not doubt.mirror_only:
        # Any place that was found without turning the head over is a wrong one.
        raise ImplausibleRegistration(
            f"{sentence} Correct the orientation and load it again, or turn it over by hand (Transforms "
            "module).",
            replace(result, objections=(f"'{moving.name}' fits better {doubt.words}",)),
        )
    warning = f"{sentence} Check left and right before you trust this result; nothing was mirrored."
    return replace(result, notes=(warning, *result.notes))


def assess(
    fixed: Volume, moving: Volume, matrix: np.ndarray, method: str, began: float
) -> RegistrationResult:
    """What speaks for and against a matrix that comes from elsewhere; nothing is searched for.

    :param matrix: invertible, 4×4 RAS, moving to fixed.
    :param began: ``time.monotonic()`` at the start of the work.
    """
    return _Judge(fixed, moving).result(Candidate("none", matrix), method, began)


class _Judge:
    """Both volumes, prepared once, and what can be said about a matrix between them."""

    def __init__(self, fixed: Volume, moving: Volume):
        self.fixed, self.moving = prepare(fixed, JUDGE_MM), prepare(moving, JUDGE_MM)
        self.similarity = Similarity(self.fixed, self.moving)

    def overlap(self, matrix: np.ndarray) -> float:
        return head_overlap(self.fixed, self.moving, matrix)

    def result(
        self,
        candidate: Candidate,
        method: str,
        began: float,
        notes: Sequence[str] = (),
        rigid_matrix: Optional[np.ndarray] = None,
        doubt: Optional[str] = None,
    ) -> RegistrationResult:
        matrix = np.array(candidate.matrix, dtype=float)
        overlap = self.overlap(matrix)
        found = objections(matrix, overlap)
        covered = float(self.similarity.inside(matrix).mean())
        if covered < _COVERED:
            notes = [
                *notes,
                f"The field of view of '{self.moving.name}' covers {100 * covered:.0f} % of the head in "
                f"'{self.fixed.name}'.",
            ]
        doubts = () if doubt is None else (f"it fits better {doubt}",)
        return RegistrationResult(
            matrix=matrix,
            method=method,
            stage=candidate.stage,
            similarity_before=self.similarity(np.eye(4)),
            similarity_after=self.similarity(matrix),
            seconds=time.monotonic() - began,
            notes=tuple(notes),
            description=describe(matrix, np.linalg.inv(matrix)[:3] @ np.append(self.fixed.center, 1)),
            verdict=verdict(matrix, overlap, found, doubts),
            overlap=overlap,
            objections=found,
            rigid_matrix=rigid_matrix,
        )


def _about_size(chosen: Candidate) -> str:
    """The sentence on a result that changes the size of the head."""
    text = f"The head sizes differ, so that the {chosen.stage} result was used: "
    if fits_one_patient(chosen.matrix):
        return text + "right if the images show different people or a template."
    largest, _, smallest = stretches(chosen.matrix)
    change = max(abs(largest - 1.0), abs(smallest - 1.0))
    return (
        f"{text}it changes the size by up to {100 * change:.0f} %, more than in two images of one patient. "
        "Right for different people or a template; for one patient use the rigid result."
    )


def _implausible(
    judge: _Judge, candidates: Sequence[Candidate], options: RegistrationOptions, began: float
) -> RegistrationError:
    """The error when nothing can be trusted."""
    names = f"'{judge.moving.name}' could not be registered to '{judge.fixed.name}'"
    remedy = (
        "Check that both show the same head, align them roughly by hand first, or choose "
        "'already registered'."
    )
    invertible = [
        c for c in candidates if np.isfinite(c.matrix).all() and abs(np.linalg.det(c.matrix)) > 1e-9
    ]
    if not invertible:
        return RegistrationError(f"{names}: the engine found nothing. {remedy}")
    last = invertible[-1]
    result = judge.result(last, f"{options.engine} {last.stage}", began)
    return ImplausibleRegistration(f"{names}: {' and '.join(result.objections)}. {remedy}", result)


def choose(
    plausible: Sequence[Candidate], similarity: Similarity, minimum_gain: float
) -> Tuple[Candidate, bool]:
    """The candidate to keep, and whether it is a rigid one in spite of others.

    All are judged by the voxels of the MRI that every one of them finds inside the PET, so that none
    gains by pushing what it cannot explain out of the picture.

    :param plausible: at least one.
    """
    inside = np.logical_and.reduce([similarity.inside(candidate.matrix) for candidate in plausible])
    values = {id(candidate): similarity(candidate.matrix, inside) for candidate in plausible}
    best = max(plausible, key=lambda candidate: values[id(candidate)])
    rigid = [candidate for candidate in plausible if candidate.stage == "rigid"]
    if not rigid or best is rigid[0]:
        return best, bool(rigid) and len(plausible) > 1
    if values[id(best)] >= (1.0 + minimum_gain) * values[id(rigid[0])]:
        return best, False
    return rigid[0], True


def head_overlap(fixed: WorkingImage, moving: WorkingImage, matrix: np.ndarray) -> float:
    """Which part of the smaller of both heads lies in the other, in [0, 1].

    :param matrix: 4×4 RAS, moving to fixed; 0 is returned when it cannot be inverted.
    """
    matrix = np.asarray(matrix, dtype=float)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        return 0.0
    fixed_mask = sitk.GetArrayViewFromImage(fixed.mask)
    moving_mask = sitk.GetArrayFromImage(moving.mask)
    points = indices_to_ras(fixed.mask, np.argwhere(fixed_mask)[:, ::-1].astype(float))
    inverse = np.linalg.inv(matrix)
    indices = ras_to_indices(moving.mask, points @ inverse[:3, :3].T + inverse[:3, 3])
    hits = ndimage.map_coordinates(moving_mask, indices.T[::-1], order=0, mode="constant", cval=0)
    common = float(hits.sum()) * fixed.spacing**3
    fixed_volume = len(points) * fixed.spacing**3
    # As large as it becomes on the MRI.
    moving_volume = float(moving_mask.sum()) * moving.spacing**3 * abs(np.linalg.det(matrix[:3, :3]))
    return min(1.0, common / max(min(fixed_volume, moving_volume), 1e-9))
