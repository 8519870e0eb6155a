"""A table of colors in two dimensions: lightness says the anatomy, hue and chroma the uptake.

Ordered tables for PET-MRI were compared by Baum et al. (2011, J Digit Imaging 24, 1084). This one is made in
CIELAB: colors of one brightness have one L*, whatever the uptake; from none to most they go from gray over
olive to orange, with a chroma that grows to the most that sRGB has at that lightness.

Both a* and b* grow with uptake: who does not tell red from green goes by the latter, who does not tell blue
from yellow by the former. A way around the color circle would be longer, but passes gray again for them.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .colorize import LEVELS
from .lab import encoded, lab_to_light, to_lab

# L* of the lightest color: at L* near 100 there is no room for chroma.
LIGHTEST = 80.0
# Hue in degrees where uptake begins and where it ends.
HUES = (85.0, 50.0)
# Chroma grows by this power of uptake, so that steps are about equal for eyes of all kinds.
POWER = 1.2
# Levels of brightness over which the most chroma is averaged.
SMOOTHED = 24.0
# The brightness at which there is most chroma, to show the colors of uptake in a row.
SHOWN_BRIGHTNESS = 0.64

# Of chroma: no color of sRGB has more; and halvings of it, to a hundredth.
_HIGHEST, _HALVINGS = 140.0, 14


@lru_cache(maxsize=1)
def ordered_table() -> np.ndarray:
    """The colors at full strength, (256, 256, 3) uint8, read-only: by brightness, then by uptake.

    Row and column 0 stand for 0, the last ones for 1. L* is that of the gray of that brightness times
    :data:`LIGHTEST` / 100.
    """
    uptake = np.linspace(0.0, 1.0, LEVELS)
    gray = np.repeat(np.linspace(0.0, 1.0, LEVELS)[:, None], 3, axis=1)
    lightness = to_lab(gray)[:, :1] * (LIGHTEST / 100.0)
    # A slider waits for the table: hues in between are near enough.
    some = uptake[::15]
    room = _largest_chroma(np.repeat(lightness, len(some), axis=1), _hue(some))
    room = np.stack([np.interp(uptake, some, row) for row in room])
    # What is left for all that follow, so that chroma never falls.
    room = np.minimum.accumulate(room[:, ::-1], axis=1)[:, ::-1]
    # Where sRGB has most chroma, there is an edge: one level of brightness would change six of blue.
    room = np.minimum(room, gaussian_filter1d(room, SMOOTHED, axis=0, mode="nearest"))
    light = lab_to_light(_lab(np.repeat(lightness, LEVELS, axis=1), room * uptake**POWER, _hue(uptake)))
    result = np.rint(255.0 * np.clip(encoded(light), 0.0, 1.0)).astype(np.uint8)
    result.setflags(write=False)
    return result


def shown_colors() -> np.ndarray:
    """The row of :data:`SHOWN_BRIGHTNESS`, (256, 3) in [0, 1]."""
    return ordered_table()[round(255 * SHOWN_BRIGHTNESS)] / 255.0


def _hue(uptake: np.ndarray) -> np.ndarray:
    return np.radians(HUES[0] + (HUES[1] - HUES[0]) * uptake)


def _largest_chroma(lightness: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """What sRGB can show, by halving."""
    low, high = np.zeros_like(lightness), np.full_like(lightness, _HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        light = lab_to_light(_lab(lightness, middle, hue))
        shown = ((light >= 0.0) & (light <= 1.0)).all(axis=-1)
        low, high = np.where(shown, middle, low), np.where(shown, high, middle)
    return low


def _lab(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray) -> np.ndarray:
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
