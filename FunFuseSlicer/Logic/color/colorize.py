"""Colors that say what the PET contributed, on the brightness of the fused image.

RGB = HSV→RGB(H, Ω·S, V): hue and saturation from a color table read at the functional term, value
from the fused image (paper, section 2.2). HSV→RGB is V·(1 - S + S·hue) and so linear in S. Hence

    RGB(Ω) = (1 - Ω)·V + Ω·V·chroma,

where ``chroma`` is the table's color at full brightness: one multiply-add a voxel makes every Ω, and
no voxel is ever converted to HSV. A table in two dimensions, by value and functional term, takes the place of
V·chroma (:mod:`ordered`).
"""

import numpy as np

MODES = ("contribution", "uptake", "ordered", "gradient")
# What only the network tells: which part of the fused image comes from the PET, and how it reacts to each.
NEED_PARTS = ("contribution", "gradient")

# Below this functional term the saturation fades out, so that skull and background stay gray
# instead of taking the lowest hue of the table.
RAMP_END = 0.15

LEVELS = 256

# Of the intensity shown brightest: what is less is nothing, not the lowest color of the map.
LEAST_SHOWN = 0.02


def jet_table(levels: int = LEVELS) -> np.ndarray:
    """The authors' color map: (levels, 3) in [0, 1], dark blue to dark red."""
    t = np.linspace(0.0, 1.0, levels)[:, None]
    return np.clip(1.5 - np.abs(4.0 * t - np.array([3.0, 2.0, 1.0])), 0.0, 1.0)


def chroma_table(table: np.ndarray, ramp: bool = True) -> np.ndarray:
    """The hue and saturation of a color table as RGB at full value.

    :param table: (n, 3) in [0, 1], entry 0 for no uptake.
    :param ramp: fade the saturation to zero where the functional term vanishes.
    :return: (256, 3) float32; each row has maximum 1, black entries become white (they have no hue).
    """
    table = resampled_table(table)
    value = table.max(axis=1, keepdims=True)
    chroma = np.where(value > 0, table / np.maximum(value, 1e-12), 1.0)
    if ramp:
        t = np.linspace(0.0, 1.0, LEVELS)[:, None] / RAMP_END
        t = np.clip(t, 0.0, 1.0)
        saturation = t * t * (3.0 - 2.0 * t)
        chroma = 1.0 - saturation * (1.0 - chroma)
    return chroma.astype(np.float32)


def least_shown(table: np.ndarray) -> float:
    """From where on, in [0, 1], a scalar image shows the colors of a table, and is black or clear below.

    :param table: (n, 3) in [0, 1]. From 0 on where it begins in white, as inverse gray does, whose
        surroundings are white.
    """
    return 0.0 if np.min(table[0]) > 0.9 else LEAST_SHOWN


def resampled_table(table: np.ndarray) -> np.ndarray:
    """A color table (n, 3) of 256 colors, in between linear."""
    table = np.asarray(table, dtype=float)
    position = np.linspace(0.0, len(table) - 1, LEVELS)
    return np.stack([np.interp(position, np.arange(len(table)), column) for column in table.T], axis=1)


def balanced(mri_part: np.ndarray, pet_part: np.ndarray, balance: float) -> np.ndarray:
    """F_β = 2 (1 - β) C₁ + 2 β C₂: anatomy at β = 0, the fused image at 0.5, function at 1."""
    return 2.0 * (1.0 - balance) * mri_part + 2.0 * balance * pet_part


def colorize(value: np.ndarray, functional: np.ndarray, table: np.ndarray, omega: float = 0.6) -> np.ndarray:
    """Color a gray image by a functional one.

    :param value: V, any shape, clipped to [0, 1].
    :param functional: same shape, what the hue shows, clipped to [0, 1].
    :param table: (n, 3) color table in [0, 1], see :func:`jet_table`; or one in two dimensions, see
        :func:`ordered.ordered_table`.
    :param omega: Ω in [0, 1]; 0 is gray.
    :return: uint8 RGB, shape (…, 3); black exactly where V rounds to 0.
    """
    # NaN-free by contract; rounding to 256 levels is finer than the eye and makes one table look-up.
    index = np.rint(np.clip(functional, 0.0, 1.0) * (LEVELS - 1)).astype(np.uint8)
    value = np.clip(value, 0.0, 1.0).astype(np.float32, copy=False) * np.float32(255.0)
    rgb = np.empty((*value.shape, 3), np.uint8)
    if table.ndim == 3:
        place = np.rint(value).astype(np.uint16) * np.uint16(LEVELS) + index
        mixed = table * np.float32(omega)
        mixed += np.float32(1.0 - omega) * np.arange(LEVELS, dtype=np.float32)[:, None, None]
        mixed = np.rint(mixed, out=mixed).astype(np.uint8).reshape(-1, 3)
        return np.take(mixed, place, axis=0, out=rgb, mode="clip")
    mixed = ((1.0 - omega) + omega * chroma_table(table)).astype(np.float32)
    # A channel at a time: NumPy is slow at many short rows of three.
    for channel in range(3):
        one = np.take(np.ascontiguousarray(mixed[:, channel]), index, mode="clip")
        one *= value
        rgb[..., channel] = np.rint(one, out=one)
    return rgb
