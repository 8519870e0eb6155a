"""The pictures of the registration page."""

from pathlib import Path
from typing import Dict, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from FunFuseSlicer.Logic.registration import alignment_pictures as alignment
from FunFuseSlicer.Logic.volumes import preprocessing
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample

# The axis ends above the largest error, and between these.
SHORTEST_MM, LONGEST_MM = 1.0, 4.0
_ENLARGED = 2
_COLORS = {"simulated": "tab:blue", "fdg": "tab:orange", "spect": "tab:green"}
_LABELS = {
    "simulated": "known truth (simulated FDG)",
    "fdg": "patient, FDG: agreement",
    "spect": "five patients, SPECT: agreement",
}


def plot_errors(errors: Dict[Tuple[str, str], Tuple[np.ndarray, int]], path: Path) -> None:
    """Which part of the registrations has an error below a value.

    :param errors: by family and engine: the errors in millimeters, and how many registrations there were.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    largest = max((float(values.max()) for values, _ in errors.values() if len(values)), default=0.0)
    end = min(LONGEST_MM, max(SHORTEST_MM, 1.2 * largest))
    for (family, engine), (values, total) in sorted(errors.items()):
        ordered = np.sort(values[values <= end])
        parts = 100.0 * np.arange(1, len(ordered) + 1) / max(1, total)
        panel.step(
            [0.0, *ordered, end],
            [0.0, *parts, parts[-1] if len(parts) else 0.0],
            where="post",
            color=_COLORS[family],
            linestyle="-" if engine == "SimpleITK" else "--",
            linewidth=2,
            label=f"{_LABELS[family]}, {engine}, n = {total}",
        )
    panel.set(
        xlim=(0, end),
        ylim=(0, 102),
        xlabel="mean error over the brain [mm]",
        ylabel="registrations [%]",
    )
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def plot_template(mri: Volume, pet: Volume, matrices: Dict[str, np.ndarray], path: Path) -> None:
    """Edges of the MRI over the PET, and checkerboards, in three planes; one column for each transform.

    :param matrices: by name, 4×4 RAS, PET to MRI.
    """
    mri_unit = preprocessing.normalize(preprocessing.clean(mri)[0].array)
    edges = alignment.edge_map(mri_unit, mri.spacing)
    gray = alignment.gray_color(mri_unit)
    columns = {"as given": np.eye(4), **{name: matrices[name] for name in ("rigid", "affine")}}
    tiles = []
    for matrix in columns.values():
        moved = preprocessing.normalize(np.maximum(resample(pet, mri, matrix).array, 0.0))
        hot = alignment.tinted(moved, alignment.hot_table())
        board = alignment.checkerboard(gray, hot, mri.spacing)
        over = alignment.edges_over(edges, moved)
        tiles.append([_planes(over, mri_unit), _planes(board, mri_unit)])
    gutter, header = 6, 26
    height, width = tiles[0][0].shape[:2]
    canvas = np.full((header + 2 * height + gutter, 3 * width + 2 * gutter, 3), 24, dtype=np.uint8)
    for column, pair in enumerate(tiles):
        for row, tile in enumerate(pair):
            top, left = header + row * (height + gutter), column * (width + gutter)
            canvas[top : top + height, left : left + width] = tile
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    for column, name in enumerate(columns):
        middle = column * (width + gutter) + width // 2
        draw.text((middle, header // 2), name, fill=(208, 208, 208), font=font, anchor="mm")
    image.save(path)


def _planes(color: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """An axial and a coronal slice through the middle of the head, one above the other, cropped to it.

    :param color: (k, j, i, 3) with axes that run along S, A (or P) and R (or L), as templates have them.
    """
    head = np.argwhere(unit > 0.05)
    low, high = np.maximum(head.min(axis=0) - 6, 0), np.minimum(head.max(axis=0) + 7, unit.shape)
    middle = (low + high) // 2
    axial = color[middle[0], low[1] : high[1], low[2] : high[2]][::-1]
    coronal = color[low[0] : high[0], middle[1], low[2] : high[2]][::-1]
    both = np.vstack([axial, np.full((4, axial.shape[1], 3), 24, np.uint8), coronal])
    size = (_ENLARGED * both.shape[1], _ENLARGED * both.shape[0])
    return np.asarray(Image.fromarray(both).resize(size, Image.Resampling.BICUBIC))
