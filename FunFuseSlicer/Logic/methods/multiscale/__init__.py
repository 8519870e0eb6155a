"""Nonsubsampled multi-scale, multi-directional transforms: shearlets and contourlets.

In both, band d of n of a scale holds the frequencies whose pseudo-polar angle is from 4 d / n to
4 (d + 1) / n: that angle is the rows' by the columns' frequency where the latter is larger (-1 to 1), else 2
minus the columns' by the rows' (1 to 3). With two directions these two fans are the bands.
"""

from typing import Sequence

from . import fans, shears
from .filter_bank import FilterBank
from .interface import Bands, Transform

__all__ = ["Bands", "Transform", "contourlets", "shearlets"]


def shearlets(directions: Sequence[int] = (8, 8, 16, 16)) -> Transform:
    """The nonsubsampled shearlet transform; see :mod:`.shears` and :mod:`.pyramid`.

    :param directions: number of directional bands of each scale, coarse to fine; powers of two from 2.
    :raises ValueError: other numbers of directions, or no scale.
    """
    return FilterBank(directions, shears.responses, filtered_synthesis=False)


def contourlets(directions: Sequence[int] = (4, 8, 8, 16)) -> Transform:
    """The nonsubsampled contourlet transform; see :mod:`.fans` and :mod:`.pyramid`.

    :param directions: number of directional bands of each scale, coarse to fine; powers of two from 2.
    :raises ValueError: other numbers of directions, or no scale.
    """
    return FilterBank(directions, fans.responses, filtered_synthesis=True)
