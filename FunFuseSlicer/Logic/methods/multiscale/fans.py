"""The nonsubsampled directional filter bank of contourlets, by its responses: a tree of fan filters.

A. L. da Cunha, J. Zhou, M. N. Do: The nonsubsampled contourlet transform: theory, design, and applications.
IEEE Transactions on Image Processing 15(10), 2006, section II-B and II-C. One pair of fan filters splits the
plane of frequencies into what varies more along the columns' index and what varies more along the rows'. The
same pair, its taps spread by a quincunx matrix, halves both; spread by sheared matrices it halves the wedges
again, and so on. In scale s all taps lie 2^s times farther apart, without which coarse details would meet
only the middle of the fans, where these do not discriminate.

The fan is J. H. McClellan's transformation (Proceedings of the 7th Annual Princeton Conference on
Information Sciences and Systems, 1973) (cos a - cos b) / 2, whose zeros are the two diagonals exactly, made
steeper by the maximally flat half-band polynomial. From the second split on it is
sin u sin(n v - m u), soft where the main frequency u is near 0 or pi: neighbors within a fan share what lies
there.

Left open: order of the fan's mapping: degree 7.
Differs: one fan filter for analysis and synthesis, the geometric mean of the publication's H0 and G0 (of the
    same product): both halves of a split are mirror images, as mirrored borders need, and the sum of their
    squares is 1; its taps decay exponentially instead of ending.
"""

from typing import Sequence, Tuple

import numpy as np

from . import maxflat, mirror
from .filter_bank import FilterBank
from .interface import Transform

ZEROS = 4


def contourlets(directions: Sequence[int] = (4, 8, 8, 16)) -> Transform:
    """The nonsubsampled contourlet transform.

    :param directions: number of directional bands of each scale, coarse to fine; powers of two from 2.
    :raises ValueError: other numbers of directions, or no scale.
    """
    return FilterBank(directions, responses, filtered_synthesis=True)


def responses(shape: Tuple[int, int], directions: int, scale: int) -> np.ndarray:
    """Responses of all wedges; the sum of their squares is 1.

    :param shape: of the image.
    :param directions: a power of two from 2.
    :param scale: 0 for the finest details.
    :return: (directions, rows, columns). Wedge d of n spans the pseudo-polar angles from 4 d / n to
        4 (d + 1) / n: the angle is rows' by columns' frequency in the first fan, 2 - columns' by rows' in the
        second. With two directions they are the fans themselves.
    """
    rows, columns = (2**scale * omega for omega in mirror.frequencies(shape))
    fan = np.broadcast_to(_fan(rows, columns), shape)
    along_columns, along_rows = maxflat.balanced(fan), maxflat.balanced(-fan)
    if directions == 2:
        return np.stack([along_columns, along_rows])
    # Wedges by rising slope -1 .. 1 within each fan.
    first = _halved(along_columns, columns, rows, directions // 2)
    second = _halved(along_rows, rows, columns, directions // 2)
    half = directions // 4
    return np.stack(first[half:] + second[::-1] + first[:half])


def _halved(response: np.ndarray, main: np.ndarray, other: np.ndarray, wedges: int) -> list:
    """The wedges of a fan of main frequency above other, by rising slope other / main."""
    parts = [response]
    # In units of 1/steps, the slopes that halve the parts.
    steps = 1
    while len(parts) < wedges:
        count = len(parts)
        slopes = range(1 - count, count, 2) if count > 1 else (0,)
        finer = []
        for part, slope in zip(parts, slopes):
            # The fan at the frequencies that an integer matrix of determinant 2 steps maps them on:
            # sin(main) sin(steps other - slope main), of one sign on either side of the slope in this part.
            split = _fan((slope + 1) * main - steps * other, (slope - 1) * main - steps * other)
            finer += [part * maxflat.balanced(-split), part * maxflat.balanced(split)]
        parts = finer
        steps = len(parts)
    return parts


def _fan(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where first is 0 and second pi, -1 where it is the reverse, 0 where they are equal."""
    return 2 * maxflat.half_band((np.cos(first) - np.cos(second)) / 2, ZEROS) - 1
