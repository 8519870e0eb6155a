"""Finds headers that lie about which way the head looks: mirrored, turned over, or with axes exchanged.

A registration moves a head by some degrees and centimeters. If the header of a volume is wrong about
an axis, the best such motion is still wrong, and may look right: a brain mirrored left to right fits
nearly as well. So each way to turn the moving head over, all 23 turns that exchange axes among them, is
tried roughly, and when one of them explains clearly more of the fixed image than the result does, the
header is doubted. Nothing is corrected: only the user can know which of the two headers is wrong.
"""

from dataclasses import dataclass
from itertools import permutations, product
from typing import Callable, List, Optional, Tuple

import numpy as np

from .interface import RegistrationOptions
from .pair import COARSE_MM, MIDDLE_MM, ImagePair
from .preparation import WorkingImage
from .similarity import Similarity
from .starts import TILTS, UPRIGHT, centers, turned_over

# By which part more a turned over head must explain. In six real pairs of one patient whose headers are
# right, the mirrored head explains 4 to 21 % less.
MINIMUM_GAIN = 0.02
# And so much mutual information it must have, in nats.
LEAST_INFORMATION = 0.1

_MIRROR = "mirrored left to right"
_AXES = "left-right", "front-back", "head-foot"


def _ways() -> List[Tuple[str, np.ndarray]]:
    """Words, and 3×3 matrices: mirrors, and the 23 turns that leave a cube in its place."""
    ways = [
        (_MIRROR, np.diag([-1.0, 1.0, 1.0])),
        ("mirrored front to back", np.diag([1.0, -1.0, 1.0])),
        ("mirrored head to foot", np.diag([1.0, 1.0, -1.0])),
        ("mirrored along all three axes", -np.eye(3)),
    ]
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(turn) > 0 and not np.array_equal(turn, np.eye(3)):
            ways.append((_turn_in_words(turn), turn))
    return ways


def _turn_in_words(turn: np.ndarray) -> str:
    kept = [axis for axis in range(3) if turn[axis, axis] != 0]
    if not kept:
        return "with its axes in another order"
    if len(kept) == 3:
        return f"turned by 180° about the {_AXES[int(np.diag(turn).argmax())]} axis"
    if turn[kept[0], kept[0]] > 0:
        return f"turned by 90° about the {_AXES[kept[0]]} axis"
    first, second = (_AXES[axis] for axis in range(3) if axis != kept[0])
    return f"with its {first} and {second} axes exchanged"


_WAYS = _ways()
# The most promising ways are looked at tilted, too, and the best of these tried.
_TILTED, _TRIED = 9, 2
# A start below this part of the result's mutual information leads nowhere: heads that truly lie turned
# over start above the wrong result itself.
_PROMISING = 0.5
# And what is this much worse after the rough search is not refined.
_CLOSE = 0.93


@dataclass(frozen=True)
class HeaderDoubt:
    """A way to turn the moving head over that explains more.

    :param words: such as "mirrored left to right".
    :param gain: relative gain of mutual information over the result, above ``MINIMUM_GAIN``.
    :param mirror_only: left and right are in question, and nothing else.
    """

    words: str
    gain: float
    mirror_only: bool


# Takes the part of some work that is done, in [0, 1].
Report = Callable[[float], None]


def header_doubt(
    pair: ImagePair,
    matrix: np.ndarray,
    options: RegistrationOptions,
    report: Report = lambda part: None,
) -> Optional[HeaderDoubt]:
    """Compare a result with the moving head mirrored and turned over; None when nothing is better.

    :param matrix: the result, 4×4 RAS, moving to fixed.
    :param report: called often with the part that is done, in [0, 1]; what it raises ends the comparison.
    """
    from .simpleitk_engine import improve_rigid

    coarse = pair.at(COARSE_MM)
    quick = Similarity(*coarse)
    own, quick_own = pair.similarity(matrix), quick(matrix)
    found: List[HeaderDoubt] = []
    report(0.1)
    rivals = _rivals(coarse, quick, matrix, _PROMISING * quick_own)
    for number, (words, start) in enumerate(rivals):
        share = 0.8 / len(rivals)
        begin = 0.2 + number * share
        try:
            rival = improve_rigid(*coarse, start, options, _between(report, begin, begin + 0.3 * share))
            if quick(rival) < _CLOSE * quick_own:
                continue
            # The rough search ends some millimeters off: too far to compare with a finished result.
            told = _between(report, begin + 0.4 * share, begin + share)
            rival = improve_rigid(*pair.at(MIDDLE_MM), rival, options, told)
        except RuntimeError:  # it left the field of view
            continue
        value = pair.similarity(rival)
        gain = value / max(own, 1e-9) - 1.0
        # Where nothing fits, as noise, turning it over explains little more of nothing.
        if gain > MINIMUM_GAIN and value > LEAST_INFORMATION:
            found.append(HeaderDoubt(words, gain, words == _MIRROR))
    return max(found, key=lambda doubt: doubt.gain, default=None)


def _between(report: Report, low: float, high: float) -> Report:
    """Reports of a part of the work as parts of all of it."""
    return lambda part: report(low + (high - low) * part)


def _rivals(
    coarse: Tuple[WorkingImage, WorkingImage], quick: Similarity, matrix: np.ndarray, promising: float
) -> List[Tuple[str, np.ndarray]]:
    """Ways to turn the head over, in words, and the start of each: the mirrored brain, always the best rival
    of a right result, and the most promising others."""
    places = list(zip(*(centers(image) for image in coarse)))

    def best(number: int, tilts: np.ndarray, *more: np.ndarray) -> Tuple[float, int, np.ndarray]:
        starts = [*turned_over(places, _WAYS[number][1], tilts), *more]
        values = [quick(start) for start in starts]
        return max(values), number, starts[int(np.argmax(values))]

    upright = sorted((best(number, UPRIGHT) for number in range(1, len(_WAYS))), reverse=True)
    others = sorted((best(number, TILTS) for _, number, _ in upright[:_TILTED]), reverse=True)
    chosen = [
        best(0, TILTS, _mirrored(matrix, coarse[1].center)),
        *(item for item in others[:_TRIED] if item[0] > promising),
    ]
    return [(_WAYS[number][0], start) for _, number, start in chosen]


def _mirrored(matrix: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The matrix after a mirror about the sagittal plane through the center of the moving head."""
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2.0 * center[0]
    return matrix @ mirror
