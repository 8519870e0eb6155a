"""Nonsubsampled multi-scale, multi-directional transforms: shearlets and contourlets.

In both, band d of n of a scale holds the frequencies whose pseudo-polar angle is from 4 d / n to
4 (d + 1) / n: that angle is the rows' by the columns' frequency where the latter is larger (-1 to 1), else 2
minus the columns' by the rows' (1 to 3). With two directions these two fans are the bands.
"""

from .fans import contourlets
from .interface import Bands, Transform
from .shears import shearlets

__all__ = ["Bands", "Transform", "contourlets", "shearlets"]
