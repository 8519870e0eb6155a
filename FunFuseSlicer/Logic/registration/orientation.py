"""Finds headers that lie about which way the head looks: mirrored, upside down, turned around.

A registration moves a head by some degrees and centimeters. If the header of a volume is wrong about
an axis, the best such motion is still wrong, and may look right: a brain mirrored left to right fits
nearly as well. So each way to turn the moving head over is tried roughly, and when one of them
explains clearly more of the fixed image than the result does, the header is doubted. Nothing is
corrected: only the user can know which of the two headers is wrong.
"""

from dataclasses import dataclass
from typing import List, Optional

import numpy as np

from .interface import RegistrationOptions
from .preparation import WorkingImage, coarsen
from .similarity import Similarity
from .starts import turned_over

# By which part more a turned over head must explain. In real pairs of one patient whose headers are
# right, the mirrored head explains 8 to 12 % less.
MINIMUM_GAIN = 0.03

_COARSE_MM = 8.0
_MIRROR = (-1, 1, 1)
_WORDS = {
    _MIRROR: "mirrored left to right",
    (1, -1, 1): "mirrored front to back",
    (1, 1, -1): "mirrored head to foot",
    (1, -1, -1): "turned by 180° about the left-right axis",
    (-1, 1, -1): "turned by 180° about the front-back axis",
    (-1, -1, 1): "turned by 180° about the head-foot axis",
    (-1, -1, -1): "mirrored along all three axes",
}
_TRIED = 2
# A start below this part of the result's mutual information leads nowhere: heads that truly lie turned
# over start above the wrong result itself.
_PROMISING = 0.5


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


def header_doubt(
    fixed: WorkingImage,
    moving: WorkingImage,
    matrix: np.ndarray,
    similarity: Similarity,
    options: RegistrationOptions,
) -> Optional[HeaderDoubt]:
    """Compare a result with the moving head mirrored and turned over; None when nothing is better.

    :param matrix: the result, 4×4 RAS, moving to fixed.
    :param similarity: judges ``fixed`` and ``moving``.
    """
    from .simpleitk_engine import rough_rigid

    coarse = coarsen(fixed, _COARSE_MM), coarsen(moving, _COARSE_MM)
    quick = Similarity(*coarse)
    # The mirrored brain is always the best rival, and starts from the result itself; of the others the
    # most promising follow.
    rivals = [(_MIRROR, _mirrored(matrix, moving.center))]
    others = []
    for flip in _WORDS:
        if flip != _MIRROR:
            starts = turned_over(*coarse, np.diag(flip).astype(float))
            values = [quick(start) for start in starts]
            others.append((max(values), flip, starts[int(np.argmax(values))]))
    others.sort(key=lambda item: item[0], reverse=True)
    promising = _PROMISING * quick(matrix)
    rivals += [(flip, start) for value, flip, start in others[:_TRIED] if value > promising]

    own = similarity(matrix)
    found: List[HeaderDoubt] = []
    for flip, start in rivals:
        try:
            rival = rough_rigid(*coarse, start, options)
        except RuntimeError:  # it left the field of view
            continue
        gain = similarity(rival) / max(own, 1e-9) - 1.0
        if gain > MINIMUM_GAIN:
            found.append(HeaderDoubt(_WORDS[flip], gain, flip == _MIRROR))
    return max(found, key=lambda doubt: doubt.gain, default=None)


def _mirrored(matrix: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The matrix after a mirror about the sagittal plane through the center of the moving head."""
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2.0 * center[0]
    return matrix @ mirror
