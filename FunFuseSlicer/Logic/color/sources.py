"""The colored volume, for all of it or for any part, from what is left of a run in memory or in a scene."""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from ..volumes.preprocessing import robust_scale
from ..volumes.slabs import Index
from .colorize import balanced, chroma_table, colorize
from .ordered import SHOWN_BRIGHTNESS, ordered_table, shown_colors

WHOLE: Index = (slice(None),)

# What the two ends of a color map stand for.
Range = Tuple[float, float]


@dataclass(frozen=True)
class ColorSource:
    """What a colored volume is made of; arrays are (k, j, i).

    :param value: what gives the brightness: C1 and C2, which the balance mixes, or one image alone.
    :param functional: what gives the hue, in any unit; negative counts as 0.
    :param scale: the intensity of ``functional`` at the end of the color map, above ``low``. It is one for
        the whole volume: slices scaled one by one would flicker.
    :param low: the intensity at its beginning.
    :param ordered: whether the colors are those of :func:`ordered.ordered_table`, whatever the color map.
    """

    value: Tuple[np.ndarray, ...]
    functional: np.ndarray
    scale: float
    low: float = 0.0
    ordered: bool = False

    def brightness(self, balance: float, where: Index = WHOLE) -> np.ndarray:
        """V in [0, 1] of a part.

        :param where: an index into the arrays.
        """
        first, *second = (part[where] for part in self.value)
        value = balanced(first, second[0], balance) if second else first
        return np.clip(value, 0.0, 1.0)

    def function(self, where: Index = WHOLE) -> np.ndarray:
        """The functional term in [0, 1] of a part."""
        functional = self.functional[where]
        if self.low:
            functional = functional - np.float32(self.low)
        return np.clip(functional * np.float32(1.0 / (self.scale - self.low)), 0.0, 1.0)

    def colors(self, table: np.ndarray, omega: float, balance: float, where: Index = WHOLE) -> np.ndarray:
        """uint8 RGB of a part, see :func:`color.colorize`."""
        colors = ordered_table() if self.ordered else table
        return colorize(self.brightness(balance, where), self.function(where), colors, omega)

    def scale_colors(self, table: np.ndarray, omega: float) -> np.ndarray:
        """What a color scale shows, from no uptake to the most: (256, 3) in [0, 1], at one brightness."""
        if self.ordered:
            return (1.0 - omega) * SHOWN_BRIGHTNESS + omega * shown_colors()
        return 1.0 - omega + omega * chroma_table(table)


def contribution_source(
    mri_part: np.ndarray,
    pet_part: np.ndarray,
    scale: Optional[float] = None,
    uptake_range: Optional[Range] = None,
    uptake_scale: float = 1.0,
) -> ColorSource:
    """Mode "contribution": the hue is the PET's part.

    :param scale: the part's robust maximum; measured when None.
    :param uptake_range: the uptake at the ends of the color map; None for 0 and the robust maximum.
    :param uptake_scale: the robust maximum of uptake, see :func:`part_range`.
    """
    scale = scale or scale_of(pet_part)
    low, high = (0.0, scale) if uptake_range is None else part_range(uptake_range, scale, uptake_scale)
    return ColorSource((mri_part, pet_part), pet_part, high, low)


def uptake_source(
    value: Tuple[np.ndarray, ...],
    uptake: np.ndarray,
    scale: Optional[float] = None,
    low: float = 0.0,
    ordered: bool = False,
) -> ColorSource:
    """Modes "uptake" and "ordered": the hue is the registered PET.

    :param value: C1 and C2, or the fused image alone where there are no parts.
    """
    return ColorSource(value, uptake, scale or scale_of(uptake), low, ordered)


def gradient_source(mri_gradient: np.ndarray, pet_gradient: np.ndarray) -> ColorSource:
    """Mode "gradient", the paper's section 2.2: the value is ∇F_I1, the hue ∇F_I2."""
    value = np.clip(mri_gradient * np.float32(1.0 / scale_of(mri_gradient)), 0.0, 1.0)
    return ColorSource((value,), pet_gradient, scale_of(pet_gradient))


def part_range(uptake: Range, part_scale: float, uptake_scale: float) -> Range:
    """The range of the PET's part that shows the colors of a range of uptake.

    Uptake and part are taken as proportional: the part's robust maximum stands for that of the uptake. A part
    follows uptake closely, but not exactly, so that numbers of uptake at its colors are good to some percent.

    :param uptake: (low, high) in the PET's unit; ``uptake_scale`` its robust maximum.
    """
    low, high = (value * part_scale / uptake_scale for value in uptake)
    return low, high


def scale_of(array: np.ndarray, brain: Optional[np.ndarray] = None) -> float:
    """:func:`preprocessing.robust_scale`, but 1 where no voxel is positive."""
    return robust_scale(array, brain) if (array > 0).any() else 1.0
