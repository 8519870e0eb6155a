"""Chooses among the matrices that an engine proposes, and judges the one that is chosen.

A scale or affine stage has more freedom than a patient's skull, and can end far off after a good
rigid stage, drawn by background or by the edge of the field of view. Two images of one patient need
no scaling; what small changes of size an optimizer finds there raises the mutual information by a
few percent, while truly different head sizes raise it by much more. So the rigid result stays unless
another one is possible and explains clearly more of the same voxels.
"""

import time
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import numpy as np

from ..errors import RegistrationError
from ..monitor import Monitor
from .interface import Candidate, ImplausibleRegistration, RegistrationOptions, RegistrationResult
from .judgement import WRONG, judge, verdict
from .orientation import header_doubt
from .pair import JUDGE_MM, ImagePair
from .plausibility import describe, fits_one_patient, objections, stretches
from .similarity import Similarity
from .starts import is_long, longest_mm

_STAGE_NAME = "Checking the registration"
# Less of the brain than this inside the PET's field of view is worth a word.
_COVERED = 0.9


def conclude(
    pair: ImagePair,
    candidates: Sequence[Candidate],
    options: RegistrationOptions,
    began: float,
    monitor: Optional[Monitor] = None,
) -> RegistrationResult:
    """The result of a registration whose engine proposes ``candidates``.

    :param began: ``time.monotonic()`` at the start of the work.
    :param monitor: progress and cancel.
    :raises ImplausibleRegistration: what is best is judged wrong; it carries it.
    :raises RegistrationError: there is no candidate.
    """
    monitor = monitor or Monitor()
    monitor.report(_STAGE_NAME, 0.0)
    similarity, moving, fixed = pair.similarity, pair.moving.name, pair.fixed.name
    monitor.report(_STAGE_NAME, 0.2)
    possible: List[Candidate] = []
    notes: List[str] = [candidate.note for candidate in candidates if candidate.note]
    for candidate in candidates:
        found = objections(candidate.matrix)
        if not found:
            possible.append(candidate)
        elif possible:
            notes.append(f"The {candidate.stage} result was set aside: {' and '.join(found)}.")
    if not possible:
        raise _nothing(pair, candidates)
    chosen, kept_rigid = choose(possible, similarity, options.minimum_gain)
    if kept_rigid:
        notes.append(
            "The rigid result was kept: changing the size of the head explains hardly more of the images."
        )
    elif chosen.stage != "rigid":
        notes.append(_about_size(chosen))
    rigid = [c.matrix for c in possible if c.stage == "rigid" and c is not chosen]
    before, after = similarity(np.eye(4)), similarity(chosen.matrix)
    method = f"{options.engine} {chosen.stage}"
    if before > after:
        chosen, method = Candidate("none", np.eye(4)), f"{options.engine}, as given"
        rigid = [c.matrix for c in possible if c.stage == "rigid"]
        notes = ["No better place was found than the given one, which was kept."]
    doubt = None
    if options.check_header:
        doubt = header_doubt(
            pair,
            chosen.matrix,
            options,
            lambda part: monitor.report(_STAGE_NAME, 0.3 + 0.7 * part),
        )
    monitor.report(_STAGE_NAME, 1.0)
    doubts = () if doubt is None else (f"'{moving}' fits better {doubt.words}",)
    result = judged(pair, chosen, method, began, notes, rigid[0] if rigid else None, doubts)
    if doubt is not None:
        sentence = (
            f"The header of '{moving}' or '{fixed}' seems wrong: with its head {doubt.words}, "
            f"'{moving}' explains {100 * doubt.gain:.0f} % more of '{fixed}'."
        )
        if not doubt.mirror_only:
            # Any place that was found without turning the head over is a wrong one.
            raise ImplausibleRegistration(
                f"{sentence} Correct the orientation and load it again, or turn it over by hand (Transforms "
                "module). Check left and right then: headers are exchanged as often as turned.",
                judged(pair, chosen, method, began, notes, None, wrong=doubts),
            )
        warning = f"{sentence} Check left and right before you trust this result; nothing was mirrored."
        result = replace(result, notes=(warning, *result.notes))
    return applicable(result, pair)


def applicable(result: RegistrationResult, pair: ImagePair) -> RegistrationResult:
    """The result itself; :raises ImplausibleRegistration: it is judged wrong, and says what to do."""
    if result.judgement != WRONG:
        return result
    moving, fixed, image = pair.moving.name, pair.fixed.name, pair.at(JUDGE_MM)[1]
    long = longest_mm(image)
    body = (
        f" The field of view of '{moving}' is {long / 10:.0f} cm long, so that it holds the body: crop it to "
        "the head."
        if is_long(image)
        else ""
    )
    raise ImplausibleRegistration(
        f"'{moving}' was not registered to '{fixed}': {' and '.join(result.reasons)}.{body} Check that both "
        "show the same head, align them roughly by hand first, or take them as already registered.",
        result,
    )


def judged(
    pair: ImagePair,
    candidate: Candidate,
    method: str,
    began: float,
    notes: Sequence[str] = (),
    rigid_matrix: Optional[np.ndarray] = None,
    doubts: Sequence[str] = (),
    wrong: Sequence[str] = (),
) -> RegistrationResult:
    """The candidate, judged.

    :param doubts: what else makes it doubtful; :param wrong: what else makes it wrong.
    """
    matrix = np.array(candidate.matrix, dtype=float)
    evidence = pair.evidence(matrix)
    word, reasons = (WRONG, tuple(wrong)) if wrong else judge(matrix, evidence, doubts)
    if evidence.covered < _COVERED:
        notes = [
            *notes,
            f"The field of view of '{pair.moving.name}' covers {100 * evidence.covered:.0f} % of the "
            f"brain in '{pair.fixed.name}'.",
        ]
    return RegistrationResult(
        matrix=matrix,
        method=method,
        stage=candidate.stage,
        similarity_before=pair.similarity(np.eye(4)),
        similarity_after=pair.similarity(matrix),
        seconds=time.monotonic() - began,
        notes=tuple(notes),
        description=describe(matrix, np.linalg.inv(matrix)[:3] @ np.append(pair.at(JUDGE_MM)[0].center, 1)),
        judgement=word,
        verdict=verdict(word, reasons, matrix, evidence),
        reasons=reasons,
        evidence=evidence,
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


def _nothing(pair: ImagePair, candidates: Sequence[Candidate]) -> RegistrationError:
    """The error when no candidate can be."""
    names = f"'{pair.moving.name}' could not be registered to '{pair.fixed.name}'"
    remedy = (
        "Check that both show the same head, align them roughly by hand first, or take them as already "
        "registered."
    )
    invertible = [
        c for c in candidates if np.isfinite(c.matrix).all() and abs(np.linalg.det(c.matrix)) > 1e-9
    ]
    if not invertible:
        return RegistrationError(f"{names}: the engine found nothing. {remedy}")
    result = judged(pair, invertible[-1], invertible[-1].stage, time.monotonic())
    return ImplausibleRegistration(f"{names}: {' and '.join(result.reasons)}. {remedy}", result)


def choose(
    possible: Sequence[Candidate], similarity: Similarity, minimum_gain: Optional[float]
) -> Tuple[Candidate, bool]:
    """The candidate to keep, and whether it is a rigid one in spite of others.

    All are judged by the voxels of the MRI that every one of them finds inside the PET, so that none
    gains by pushing what it cannot explain out of the picture.

    :param possible: at least one.
    :param minimum_gain: as in :class:`RegistrationOptions`.
    """
    if minimum_gain is None:
        return possible[-1], False
    inside = np.logical_and.reduce([similarity.inside(candidate.matrix) for candidate in possible])
    values = {id(candidate): similarity(candidate.matrix, inside) for candidate in possible}
    best = max(possible, key=lambda candidate: values[id(candidate)])
    rigid = [candidate for candidate in possible if candidate.stage == "rigid"]
    if not rigid or best is rigid[0]:
        return best, bool(rigid) and len(possible) > 1
    if values[id(best)] >= (1.0 + minimum_gain) * values[id(rigid[0])]:
        return best, False
    return rigid[0], True
