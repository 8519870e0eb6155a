"""The nonsubsampled pyramid, by its responses: one low-pass image, one detail for each scale.

A. L. da Cunha, J. Zhou, M. N. Do: The nonsubsampled contourlet transform: theory, design, and applications.
IEEE Transactions on Image Processing 15(10), 2006, sections II-A and III. At each scale the low-pass image
of the finer one is split by a low pass H0 and a high pass H1 whose taps lie 2^scale pixels apart ("a trous");
the synthesis filters G0 and G1 undo it, as H0 G0 + H1 G1 = 1. All are symmetric about both axes and of finite
support. Used for contourlets and for shearlets, as the latter's publication does.

Left open: orders of the maximally flat function in the mapping: 2 zeros at pi, as flat at 0 (7 taps), so that
    details are blind to cubic polynomials.
"""

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

from . import maxflat, mirror

# Of a filter, from the mapped frequencies.
Response = Callable[[np.ndarray], np.ndarray]

ZEROS = 2


class Pyramid(NamedTuple):
    """Responses at the frequencies of an image's spectrum, each (rows, columns).

    :param low: of the low-pass image.
    :param details: from fine to coarse.
    """

    low: np.ndarray
    details: List[np.ndarray]


def analysis(shape: Tuple[int, int], scales: int) -> Pyramid:
    """What the spectrum is multiplied with for each band."""
    return _cascade(shape, scales, maxflat.low_pass, maxflat.dual_low_pass)


def synthesis(shape: Tuple[int, int], scales: int) -> Pyramid:
    """What the bands' spectra are multiplied with before they are added up."""
    return _cascade(shape, scales, maxflat.dual_low_pass, maxflat.low_pass)


def _cascade(
    shape: Tuple[int, int], scales: int, low_pass: Response, mirrored_high_pass: Response
) -> Pyramid:
    above = np.ones(shape)
    details = []
    for scale in range(scales):
        x = _mapping(shape, 2**scale)
        details.append(above * mirrored_high_pass(-x))
        above = above * low_pass(x)
    return Pyramid(above, details)


def _mapping(shape: Tuple[int, int], step: int) -> np.ndarray:
    """1 at the frequency 0, -1 wherever one of the two frequencies is pi; da Cunha's 2 P(z1) P(z2) - 1."""
    rows, columns = (maxflat.half_band(np.cos(step * omega), ZEROS) for omega in mirror.frequencies(shape))
    return 2 * rows * columns - 1
