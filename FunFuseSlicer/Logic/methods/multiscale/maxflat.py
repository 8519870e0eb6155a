"""Filters made by mapping: a maximally flat function of the frequency in polynomials of one variable.

A. L. da Cunha, J. Zhou, M. N. Do: The nonsubsampled contourlet transform: theory, design, and applications.
IEEE Transactions on Image Processing 15(10), 2006, section III. Two filters H0(x), G0(x) with
H0(x) G0(x) + H0(-x) G0(-x) = 1 stay a perfect pair whatever function of the frequency with values in [-1, 1]
is put in the place of x.
"""

from math import comb

import numpy as np

ROOT = np.sqrt(2)


def half_band(x: np.ndarray, zeros: int) -> np.ndarray:
    """Maximally flat half-band response: 0 at x = -1 and 1 at x = 1, p(x) + p(-x) = 1.

    O. Herrmann: On the approximation problem in nonrecursive digital filter design. IEEE Transactions on
    Circuit Theory 18(3), 1971.

    :param x: in [-1, 1], as the cosine of a frequency.
    :param zeros: how many derivatives, with the value, are flat at either end; the degree is 2 zeros - 1.
    """
    away = (1 - x) / 2
    return (1 - away) ** zeros * sum(comb(zeros - 1 + k, k) * away**k for k in range(zeros))


def low_pass(x: np.ndarray) -> np.ndarray:
    """H0 of the publication's pair for analysis: 0 at x = -1, 1 at x = 1."""
    return (1 + x) / 2 * (ROOT + (1 - ROOT) * x)


def dual_low_pass(x: np.ndarray) -> np.ndarray:
    """G0 of the publication's pair, for synthesis; at -x also the high pass H1 for analysis."""
    return (1 + x) / 2 * _dual_factor(x)


def balanced(x: np.ndarray) -> np.ndarray:
    """Geometric mean of H0 and G0: b(x)^2 + b(-x)^2 = 1, so that it serves for analysis and synthesis."""
    return (1 + x) / 2 * np.sqrt((ROOT + (1 - ROOT) * x) * _dual_factor(x))


def _dual_factor(x: np.ndarray) -> np.ndarray:
    return ROOT + (4 - 3 * ROOT) * x + (2 * ROOT - 3) * x**2
