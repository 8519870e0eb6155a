"""Whether to believe a registration: good, doubtful or wrong, and why, in words.

Good is applied; doubtful is applied and marked wherever it is shown; wrong is not applied. The thresholds
come from simulated failures, see docs/registration.md.
"""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np

from .evidence import PARTS, Evidence
from .plausibility import objections, stretches

GOOD, DOUBTFUL, WRONG = "good", "doubtful", "wrong"
JUDGEMENTS = (GOOD, DOUBTFUL, WRONG)

# A brain of the right size, and its halves, lie closer to their best place than this.
SIZE_ASKED_MM = 3.0
NO_SIZE = (
    "The rigid result was kept: the halves of the brain lie where they belong, so that no size is asked for."
)


@dataclass(frozen=True)
class Limits:
    """From where on evidence speaks against a place.

    :param information: less than this in nats.
    :param offset_mm: the whole fits better by more than this elsewhere.
    :param part_mm: a half of the brain does.
    :param parts_mm: half of the halves do.
    :param size_mm: the edge of the brain would lie better by more than this with another size.
    :param outline: uptake ends at the edge of the brain in fewer directions.
    :param covered: less of the brain lies in the field of view.
    """

    information: float
    offset_mm: float
    part_mm: float
    parts_mm: float
    size_mm: float
    outline: float
    covered: float


DOUBT = Limits(
    information=0.15, offset_mm=3.0, part_mm=6.0, parts_mm=3.9, size_mm=5.2, outline=0.7, covered=0.6
)
REFUSE = Limits(
    information=0.06, offset_mm=6.5, part_mm=np.inf, parts_mm=7.0, size_mm=np.inf, outline=0.4, covered=0.2
)


def against(evidence: Evidence, limits: Limits) -> List[str]:
    """What speaks against a place, in words that follow "but"."""
    found = []
    if evidence.covered < limits.covered:
        found.append(f"only {100 * evidence.covered:.0f} % of the brain lie in the PET's field of view")
    if evidence.information < limits.information:
        found.append(f"the images hardly depend on each other ({evidence.information:.2f} nats)")
    if evidence.outline < limits.outline:
        found.append(
            f"the uptake ends at the edge of the brain in only {100 * evidence.outline:.0f} % of directions"
        )
    if evidence.offset_mm > limits.offset_mm:
        found.append(f"the whole would fit better {_distance(evidence.offset_mm)} away")
    if evidence.size_mm > limits.size_mm:
        found.append(
            f"another size would fit better, by {_distance(evidence.size_mm)} at the edge of the brain"
        )
    parts = evidence.parts_mm
    worst = max(PARTS, key=lambda name: parts[name])
    if np.median(list(parts.values())) > limits.parts_mm or parts[worst] > limits.part_mm:
        found.append(f"the {worst} half of the brain would fit better {_distance(parts[worst])} away")
    return found


def _distance(millimeters: float) -> str:
    return f"{millimeters:.0f} mm" if millimeters < 10 else "a centimeter or more"


def judge(matrix: np.ndarray, evidence: Evidence, doubts: Sequence[str] = ()) -> Tuple[str, Tuple[str, ...]]:
    """One of ``JUDGEMENTS``, and the reasons for it; none for "good".

    :param matrix: 4×4 RAS, moving to fixed.
    :param doubts: what else speaks against it, without making it wrong.
    """
    wrong = [*objections(matrix), *against(evidence, REFUSE)]
    if wrong:
        return WRONG, tuple(wrong)
    doubtful = (*doubts, *against(evidence, DOUBT))
    return (DOUBTFUL, doubtful) if doubtful else (GOOD, ())


def asks_for_size(evidence: Evidence) -> bool:
    """Whether another size may help after a rigid registration: the whole or parts of it would fit better."""
    return max(evidence.size_mm, *evidence.parts_mm.values()) > SIZE_ASKED_MM


def verdict(word: str, reasons: Sequence[str], matrix: np.ndarray, evidence: Evidence) -> str:
    """One sentence that begins with the word of :func:`judge`."""
    if word == WRONG:
        return f"Wrong: {' and '.join(reasons)}."
    largest, _, smallest = stretches(matrix)
    size = (
        "the size stays"
        if np.allclose([largest, smallest], 1.0, rtol=0, atol=5e-4)
        else f"the size becomes {100 * smallest:.0f} to {100 * largest:.0f} %"
    )
    facts = (
        f"the uptake ends with the brain in {100 * evidence.outline:.0f} % of directions, its halves agree "
        f"to {max(evidence.parts_mm.values()):.0f} mm, {size}, and nothing is mirrored"
    )
    if word == DOUBTFUL:
        return f"Doubtful: {' and '.join(reasons)}. Otherwise {facts}."
    return f"Good: {facts}."
