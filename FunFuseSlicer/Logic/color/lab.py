"""CIELAB of sRGB colors, in which equal distances look about equally different.

sRGB is that of IEC 61966-2-1; L*, a*, b* those of CIE 15, for the white D65.
"""

import numpy as np

# Linear RGB of the primaries of ITU-R BT.709 to XYZ. White has Y = 1.
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
FROM_XYZ = np.linalg.inv(TO_XYZ)

# Below, the cube root is a straight line.
_BEND = 6.0 / 29.0


def linear(rgb: np.ndarray) -> np.ndarray:
    """Light of sRGB values, both in [0, 1], any shape."""
    rgb = np.asarray(rgb, dtype=float)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.0) + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    """The other way round."""
    light = np.asarray(light, dtype=float)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0) ** (1 / 2.4) - 0.055)


def light_to_lab(light: np.ndarray) -> np.ndarray:
    """(…, 3) linear RGB to L* in [0, 100], a*, b*."""
    parts = np.asarray(light, dtype=float) @ TO_XYZ.T / WHITE
    x, y, z = np.moveaxis(np.where(parts > _BEND**3, np.cbrt(parts), parts / (3 * _BEND**2) + 4 / 29), -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def lab_to_light(lab: np.ndarray) -> np.ndarray:
    """(…, 3) L*, a*, b* to linear RGB, outside [0, 1] where no screen of sRGB shows the color."""
    lightness, a, b = np.moveaxis(np.asarray(lab, dtype=float), -1, 0)
    y = (lightness + 16.0) / 116.0
    roots = np.stack([y + a / 500.0, y, y - b / 200.0], axis=-1)
    parts = np.where(roots > _BEND, roots**3, 3 * _BEND**2 * (roots - 4 / 29))
    return (parts * WHITE) @ FROM_XYZ.T


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) sRGB, uint8 or in [0, 1], to L*, a*, b*."""
    rgb = np.asarray(rgb)
    return light_to_lab(_LIGHT_OF_LEVELS[rgb] if rgb.dtype == np.uint8 else linear(rgb))


_LIGHT_OF_LEVELS = linear(np.arange(256) / 255.0)
