"""Chooses among the matrices that an engine proposes the one to trust, or none.

A scale or affine stage has more freedom than a patient's skull, and can end far off after a good
rigid stage, drawn by background or by the edge of the field of view. Two images of one patient need
no scaling; what small changes of size an optimizer finds there raises the mutual information by a
few percent, while truly different head sizes raise it by much more. So the rigid result stays unless
another one is plausible and explains clearly more of the same voxels.
"""

import time
from typing import List, Sequence, Tuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import RegistrationError
from ..volume import Volume
from .interface import Candidate, RegistrationOptions, RegistrationResult
from .plausibility import describe, objections
from .preparation import WorkingImage, indices_to_ras, prepare, ras_to_indices
from .similarity import Similarity

JUDGE_MM = 3.0
# Less of the MRI than this inside the PET's field of view is worth a word.
_COVERED = 0.9


def conclude(
    fixed: Volume,
    moving: Volume,
    candidates: Sequence[Candidate],
    options: RegistrationOptions,
    began: float,
) -> RegistrationResult:
    """The result of a registration whose engine proposes ``candidates``.

    :param began: ``time.monotonic()`` at the start of the work.
    :raises RegistrationError: no candidate is plausible.
    """
    judge = prepare(fixed, JUDGE_MM), prepare(moving, JUDGE_MM)
    similarity = Similarity(*judge)
    plausible: List[Candidate] = []
    reasons: Tuple[str, ...] = ("the engine found nothing",)
    notes: List[str] = []
    for candidate in candidates:
        found = objections(candidate.matrix, head_overlap(*judge, candidate.matrix))
        if not found:
            plausible.append(candidate)
            continue
        reasons = found
        if plausible:
            notes.append(f"The {candidate.stage} result was set aside: {' and '.join(found)}.")
    if not plausible:
        raise RegistrationError(
            f"'{moving.name}' could not be registered to '{fixed.name}': {' and '.join(reasons)}. "
            "Check that both show the same head, align them roughly by hand first, or choose "
            "'already registered'."
        )
    chosen, kept_rigid = choose(plausible, similarity, options.minimum_gain)
    if kept_rigid:
        notes.append(
            "The rigid result was kept: changing the size of the head explains hardly more of the images."
        )
    elif chosen.stage != "rigid":
        notes.append(
            f"The head sizes differ, so that the {chosen.stage} result was used: right if the images "
            "show different people or a template."
        )
    before, after = similarity(np.eye(4)), similarity(chosen.matrix)
    method = f"{options.engine} {chosen.stage}"
    if before > after:
        chosen, after, method = Candidate("none", np.eye(4)), before, f"{options.engine}, as given"
        notes = ["No better place was found than the given one, which was kept."]
    covered = float(similarity.inside(chosen.matrix).mean())
    if covered < _COVERED:
        notes.append(
            f"The field of view of '{moving.name}' covers {100 * covered:.0f} % of the head in "
            f"'{fixed.name}'."
        )
    return RegistrationResult(
        matrix=np.array(chosen.matrix, dtype=float),
        method=method,
        stage=chosen.stage,
        similarity_before=before,
        similarity_after=after,
        seconds=time.monotonic() - began,
        notes=tuple(notes),
        description=describe(chosen.matrix, np.linalg.inv(chosen.matrix)[:3] @ np.append(judge[0].center, 1)),
    )


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
