"""Directional filters of the nonsubsampled shearlet transform, by their responses.

G. Easley, D. Labate, W.-Q. Lim: Sparse directional image representations using the discrete shearlet
transform. Applied and Computational Harmonic Analysis 25(1), 2008. On a small pseudo-polar grid
of frequencies, Meyer windows of the slope, whose sum over the directions is 1, are the filters; taken back to
the Cartesian grid and to pixels, they are small filters, which add up to a single 1. So the bands' sum is the
detail image.

Left open: the window: nu(1 - |t|), t in units of the distance between directions, with Meyer's polynomial nu
    (I. Daubechies, Ten Lectures on Wavelets, 1992, section 4.2), so that only neighbors overlap.
Differs: windows are evaluated at the Cartesian grid's own slopes, so that nothing is interpolated.
Differs: directions lie in the middle of equal parts of the two cones, none on the border of the cones, so
    that a power of two needs no filter glued from two halves.
"""

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from . import mirror
from .filter_bank import FilterBank
from .interface import Transform


def shearlets(directions: Sequence[int], reaches: Sequence[int]) -> Transform:
    """The nonsubsampled shearlet transform.

    :param directions: number of directional bands of each scale, coarse to fine; powers of two from 2.
    :param reaches: of each scale's filters from their middle, in pixels, coarse to fine. Doubled with each
        coarser scale, directions are told apart alike in all; shorter ones ring less.
    :raises ValueError: other numbers of directions, or no scale; not as many reaches as scales.
    """
    if len(reaches) != len(directions) or min(reaches, default=1) < 1:
        raise ValueError(f"Filters reach 1 pixel or more, one number for each scale, not {reaches}.")
    return FilterBank(directions, Wedges(tuple(reversed(reaches))), filtered_synthesis=False)


@dataclass(frozen=True)
class Wedges:
    """Responses of filters of these reaches, fine to coarse."""

    reaches: Tuple[int, ...]

    def __call__(self, shape: Tuple[int, int], directions: int, scale: int) -> np.ndarray:
        """See :func:`responses`; scale 0 is that of the finest details."""
        return responses(shape, directions, self.reaches[scale])


def responses(shape: Tuple[int, int], directions: int, reach: int) -> np.ndarray:
    """Responses of all wedges; their sum is 1.

    :param shape: of the image.
    :param directions: a power of two from 2.
    :param reach: of the filters.
    :return: (directions, rows, columns), in the order of :func:`.fans.responses`.
    """
    filters = taps(directions, reach)
    rows, columns = (
        omega.reshape(-1, 1) * np.arange(-reach, reach + 1) for omega in mirror.frequencies(shape)
    )
    # Filters that are symmetric about their middle have the cosine series as their response.
    return np.cos(rows) @ filters @ np.cos(columns).T - np.sin(rows) @ filters @ np.sin(columns).T


def taps(directions: int, reach: int) -> np.ndarray:
    """The filters; each symmetric about its middle, their sum 1 in the middle and 0 elsewhere.

    :return: (directions, 2 reach + 1, 2 reach + 1).
    """
    omega = np.arange(-reach, reach + 1)
    windows = windowed(pseudo_polar(omega[:, None], omega[None, :]), directions)
    windows[:, reach, reach] = 1 / directions
    middle_first = np.fft.ifftshift(windows, axes=(1, 2))
    return np.fft.fftshift(np.fft.ifft2(middle_first).real, axes=(1, 2))


def pseudo_polar(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Angle from -1 to 3 of frequencies: rows / columns in one cone, 2 - columns / rows in the other."""
    rows, columns = np.broadcast_arrays(rows, columns)
    first = np.abs(columns) >= np.abs(rows)
    larger, smaller = np.where(first, columns, rows), np.where(first, rows, columns)
    slope = smaller / np.where(larger == 0, 1, larger)
    return np.where(first, slope, 2 - slope)


def windowed(angles: np.ndarray, directions: int) -> np.ndarray:
    """Meyer's windows of pseudo-polar angles, (directions,) + the angles' shape; their sum is 1."""
    centers = 4 * (np.arange(directions) + 0.5) / directions if directions > 2 else np.array([0.0, 2.0])
    away = angles - centers.reshape((-1,) + (1,) * np.ndim(angles))
    away = np.abs((away + 2) % 4 - 2) * directions / 4
    return _nu(np.clip(1 - away, 0, 1))


def _nu(x: np.ndarray) -> np.ndarray:
    """Meyer's polynomial: from 0 at 0 to 1 at 1, nu(x) + nu(1 - x) = 1."""
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
