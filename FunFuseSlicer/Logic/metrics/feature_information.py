"""Q_FMI: mutual information of features in 3 × 3 windows.

M. Haghighat, M. A. Razian: Fast-FMI: non-reference image fusion metric. 8th IEEE International Conference
on Application of Information and Communication Technologies, 2014.
"""

from typing import Callable, Dict, Tuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from ..errors import InputError
from .images import as_gray

WINDOW = 3
POSITIONS = np.arange(1.0, WINDOW**2 + 1)
# Windows worked on at a time, so that a block stays in the processor's cache.
BLOCK = 2048


def _gradient(image: np.ndarray) -> np.ndarray:
    down, right = np.gradient(image)
    return np.hypot(down, right)


def _edge(image: np.ndarray) -> np.ndarray:
    """1 where the Sobel gradient exceeds twice its root mean square, else 0; edges are not thinned."""
    square = sum(ndimage.sobel(image, axis, mode="nearest") ** 2 for axis in (0, 1))
    return (square > 4 * square.mean()).astype(np.float64)


FEATURES: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "gradient": _gradient,
    "edge": _edge,
}


def q_fmi(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray, feature: str = "none") -> float:
    """How much the pattern of each fused window tells about the pattern of each source's window.

    Every window is stretched to [0, 1] and its nine numbers are read as a distribution over the nine
    positions; two such distributions are joined by the copula that their correlation suggests. The score
    of a window is twice the mutual information over the sum of entropies, the result the mean over
    windows and both sources.

    Rewards windows that equal those of either source; brightness and contrast of a window do not count.
    Two flat windows score 1, so background lifts the result, and an unfused copy of the MRI scores
    above fused images. Not a proper information: the joint "distribution" can be negative.

    As in the authors' program, the PET's window is compared with the fused window after that was
    stretched (unless MRI and fused window are equal), windows are read column by column, and a window of
    one bright pixel, whose entropy is 0, scores 0 unless found equal. So MRI and PET cannot be swapped,
    nor rows and columns.

    :param mri: (rows, columns), at least 3 × 3, any gray scale.
    :param pet: same size, as is ``fused``.
    :param feature: ``none`` compares gray levels, as the authors do; ``gradient`` the gradient's
        magnitude, as the metric was published (M. Haghighat, A. Aghagolzadeh, H. Seyedarabi: A
        non-reference image fusion metric based on mutual information of image features. Computers and
        Electrical Engineering 37(5), 2011); ``edge`` strong Sobel edges.
    :return: about 0 to 1. Single windows reach from -0.05 to 1.39.
    :raises InputError: the images do not fit together, or the feature is unknown.
    """
    if feature not in FEATURES:
        raise InputError(f'Q_FMI knows no feature "{feature}": choose one of {", ".join(FEATURES)}.')
    images = as_gray("Q_FMI", WINDOW, mri=mri, pet=pet, fused=fused)
    a, b, f = (_windows(FEATURES[feature](image)) for image in images)
    stretched = _stretched(f)
    equal_a = (a == f).all(axis=0)
    equal_b = (b == np.where(equal_a, f, stretched)).all(axis=0)
    scores_a = _scores(_stretched(a), stretched, equal_a)
    scores_b = _scores(_stretched(b), stretched, equal_b)
    return float(np.mean((scores_a + scores_b) / 2))


def _windows(image: np.ndarray) -> np.ndarray:
    """(9, number of windows), each window column by column."""
    view = sliding_window_view(image, (WINDOW, WINDOW))
    return view.transpose(3, 2, 0, 1).reshape(WINDOW**2, -1)


def _stretched(windows: np.ndarray) -> np.ndarray:
    """Each window from 0 to 1; a flat one is 1 everywhere."""
    low = windows.min(axis=0)
    span = windows.max(axis=0) - low
    return np.where(span == 0, 1.0, (windows - low) / np.where(span == 0, 1.0, span))


def _scores(source: np.ndarray, fused: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """One score per window, from stretched windows (9, n); 1 where ``equal``."""
    scores = np.ones(equal.shape)
    # Two flat windows are perfectly alike. The original reaches 1 there only because nine times 1/9,
    # summed in its order, is not exactly 1; here it does not depend on rounding.
    both_flat = (source.min(axis=0) == 1) & (fused.min(axis=0) == 1)
    rest = np.flatnonzero(~(equal | both_flat))
    for start in range(0, rest.size, BLOCK):
        block = rest[start : start + BLOCK]
        scores[block] = _information(source[:, block], fused[:, block])
    return scores


def _information(source: np.ndarray, fused: np.ndarray) -> np.ndarray:
    """Twice the mutual information over the sum of entropies, from stretched windows (9, n)."""
    p, q = source / source.sum(axis=0), fused / fused.sum(axis=0)
    correlation = _correlation(p, q)
    # The most negative coupling of p and q is the most positive one of p in reverse order and q, and
    # entropies do not depend on the order.
    p = np.where(correlation < 0, p[::-1], p)
    total = _entropy(p) + _entropy(q)
    shared = total - _joint_entropy(p, q, np.abs(correlation) * _spread(p) * _spread(q), total)
    return np.divide(2 * shared, total, out=np.zeros_like(total), where=(shared != 0) & (total != 0))


def _correlation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Of the nine values, not of the positions; 0 where it is not defined."""
    p, q = p - p.mean(axis=0), q - q.mean(axis=0)
    product = _dot(p, q)
    scale = np.sqrt(_dot(p, p) * _dot(q, q))
    return np.divide(product, scale, out=np.zeros_like(product), where=(product != 0) & (scale != 0))


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", x, y)


def _spread(p: np.ndarray) -> np.ndarray:
    """Standard deviation of the position."""
    variance = POSITIONS**2 @ p - (POSITIONS @ p) ** 2
    return np.sqrt(np.clip(variance, 0, None))


def _entropy(p: np.ndarray) -> np.ndarray:
    return -_plogp(p).sum(axis=0)


def _plogp(p: np.ndarray) -> np.ndarray:
    """p log2 |p|: negative entries count with their magnitude's logarithm."""
    return p * np.log2(np.abs(p) + (p == 0))


def _joint_entropy(p: np.ndarray, q: np.ndarray, covariance: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Entropy of J = k C + (1 - k) q p, C the most positive coupling of p and q.

    k is chosen as if it gave the positions that covariance.

    :param p: (9, n), as is ``q``.
    :param covariance: (n,), not negative.
    :param total: (n,), entropy of p plus entropy of q.
    """
    mass, i, j = _coupling(p, q)
    most = np.einsum("ij,ij,ij->j", mass, i + 1 - POSITIONS @ q, j + 1 - POSITIONS @ p)
    k = np.divide(covariance, most, out=np.zeros_like(most), where=(covariance != 0) & (most != 0))
    # Outside of the cells of C, 17 of 81, J is (1 - k) q p, whose entropy has a closed form: take that
    # for all cells, then put the 17 right.
    columns = np.arange(p.shape[1])
    apart = (1 - k) * (q[i, columns] * p[j, columns])
    correction = (_plogp(k * mass + apart) - _plogp(apart)).sum(axis=0)
    return (1 - k) * total - _plogp(1 - k) - correction


def _coupling(p: np.ndarray, q: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The joint distribution of p and q in which both positions grow together.

    :return: probability, position in q and position in p of its 17 cells, (17, n) each; positions count
        from 0. Some probabilities may be 0.
    """
    steps = np.concatenate([_running_sum(p)[:-1], _running_sum(q)[:-1]])
    order = steps.argsort(axis=0)
    steps = np.take_along_axis(steps, order, axis=0)
    mass = np.diff(steps, axis=0, prepend=0.0, append=1.0)
    start = np.zeros((1, p.shape[1]), dtype=np.intp)
    j = _running_sum(np.concatenate([start, order < WINDOW**2 - 1]))
    i = np.arange(len(j))[:, None] - j
    return mass, i, j


def _running_sum(x: np.ndarray) -> np.ndarray:
    """Down the rows; several times faster than ``cumsum`` for a few long rows."""
    x = x.copy()
    for row in range(1, len(x)):
        x[row] += x[row - 1]
    return x
