"""What pictures of slices must say: which side is which, where, how large, and what the colors mean."""

from typing import Sequence

import numpy as np
from PIL import Image, ImageDraw

from FunFuseSlicer.Logic.color.sources import Range

from ..headless.rendering import font

# At the left, right, upper and lower edge, as radiologists look at a head; then the axis of RAS through the
# picture, and the letters of its two directions.
LETTERS = {"Axial": "RLAP", "Sagittal": "APSI", "Coronal": "RLSI"}
THROUGH = {"Axial": (2, "SI"), "Sagittal": (0, "RL"), "Coronal": (1, "AP")}
# Lengths that scale bars have, in millimeters.
BARS = (200, 100, 50, 20, 10, 5, 2, 1)
WHITE, GRAY, BACK = (255, 255, 255), (200, 200, 200), (24, 24, 24)
TICKS = 5


def position(plane: str, point: Sequence[float]) -> str:
    """Where a slice lies, such as "S 34 mm".

    :param point: RAS in millimeters, of the slice.
    """
    axis, letters = THROUGH[plane]
    millimeters = round(float(point[axis]), 1) + 0.0
    return f"{letters[millimeters < 0]} {abs(millimeters):.1f} mm"


def marked(tile: np.ndarray, plane: str, point: Sequence[float], pixels_per_mm: float) -> np.ndarray:
    """A picture of a slice with letters of orientation, its position and a scale bar.

    :param tile: (height, width, 3) uint8 in the radiological convention.
    :param plane: "Axial", "Sagittal" or "Coronal".
    :param point: RAS in millimeters, of the slice.
    """
    image = Image.fromarray(tile)
    draw = ImageDraw.Draw(image)
    width, height = image.size
    size = max(11, min(16, min(width, height) // 20))
    edge = size // 2
    left, right, up, down = LETTERS[plane]
    for letter, place, anchor in (
        (left, (edge, height / 2), "lm"),
        (right, (width - edge, height / 2), "rm"),
        (up, (width / 2, edge), "mt"),
        (down, (width / 2, height - edge), "mb"),
    ):
        _write(draw, letter, place, anchor, size + 1)
    _write(draw, position(plane, point), (edge, edge), "lt", size)
    length = next((bar for bar in BARS if bar * pixels_per_mm <= 0.3 * width), BARS[-1])
    end, y = width - edge, height - edge
    start = end - length * pixels_per_mm
    draw.line([(start - 1, y), (end + 1, y)], fill=(0, 0, 0), width=4)
    draw.line([(start, y), (end, y)], fill=WHITE, width=2)
    _write(draw, f"{length} mm", ((start + end) / 2, y - 5), "mb", size)
    return np.asarray(image)


def color_bar(width: int, colors: np.ndarray, title: str, ends: Range, unit: str) -> np.ndarray:
    """A color scale from one value to another: title, colors, numbers.

    :param colors: (n, 3) in [0, 1], low to high.
    :param unit: behind the last number, such as "%" or "Bq/ml"; "" for none.
    """
    size, (low, high) = 14, ends
    image = Image.new("RGB", (width, 4 * size), BACK)
    levels = np.rint(255.0 * np.clip(colors, 0.0, 1.0)).astype(np.uint8)[None]
    strip = Image.fromarray(np.repeat(levels, size - 2, axis=0)).resize((width, size - 2), Image.NEAREST)
    image.paste(strip, (0, size + 6))
    draw = ImageDraw.Draw(image)
    _write(draw, title, (0, 2), "lt", size, GRAY)
    for n in range(TICKS):
        part = n / (TICKS - 1)
        text = number(low + part * (high - low))
        if n == TICKS - 1:
            text = f"≥ {text} {unit}".strip()
        elif n == 0 and low:
            text = f"≤ {text}"
        anchor = "lt" if n == 0 else "rt" if n == TICKS - 1 else "mt"
        _write(draw, text, (part * (width - 1), 2 * size + 7), anchor, size - 2, GRAY)
    return np.asarray(image)


def line_of_text(width: int, text: str, size: int = 14) -> np.ndarray:
    """A line below pictures, cut where it is too long."""
    image = Image.new("RGB", (width, 2 * size), BACK)
    while len(text) > 1 and font(size).getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…"
    _write(ImageDraw.Draw(image), text, (0, size), "lm", size, GRAY)
    return np.asarray(image)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def _write(draw, text: str, place, anchor: str, size: int, color=WHITE) -> None:
    draw.text(place, text, font=font(size), fill=color, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))
