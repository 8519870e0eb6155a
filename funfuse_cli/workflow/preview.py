"""The picture of a result: planes where uptake is highest, and where left and right differ the most."""

from pathlib import Path
from typing import Callable, Dict, List, Tuple

import numpy as np
from PIL import Image, ImageDraw

from FunFuseSlicer.Logic.color.colorize import least_shown, resampled_table
from FunFuseSlicer.Logic.color.difference import colored, difference_table
from FunFuseSlicer.Logic.color.sources import ColorSource
from FunFuseSlicer.Logic.registration import alignment_pictures as alignment
from FunFuseSlicer.Logic.report.contents import JUDGEMENTS, Contents
from FunFuseSlicer.Logic.report.patient_grid import on_patient_grid
from FunFuseSlicer.Logic.report.places import ASYMMETRY, Index
from FunFuseSlicer.Logic.volumes.differences import DifferenceOptions
from FunFuseSlicer.Logic.volumes.geometry import Volume

from ..headless.rendering import compose
from .marks import BACK, WHITE, color_bar, line_of_text, marked

PLANES = ("Axial", "Sagittal", "Coronal")
TILE = 300
# Around the head, for the letters.
FIELD_OF_VIEW = 1.16
# A plane is shown whose shorter side is more than this part of the head: not that across a few slices.
LEAST_OF_PLANE = 0.1
BLACK = (0, 0, 0)
TICK, POINTER = 6, (124, 196, 255)
SHARED = "PET and colored pictures share this one color scale."
SHARED_NUMBERS = "PET and colored pictures share the numbers; the colors of one lightness are shown."
SHARED_MAP = "PET and colored pictures share one color map, each with the scale below its bar."
OWN_MAPS = "PET and colored pictures have a color map of their own each, with the scale below its bar."
RESEARCH = "For research use, not for diagnosis."


def write_preview(contents: Contents, path: Path) -> None:
    """MRI, PET, fused and colored, a checkerboard and the edges of the MRI on the PET.

    :param contents: see :func:`report.contents.straightened`.
    """
    images, least = _images(contents), LEAST_OF_PLANE * max(contents.pet.shape)
    planes = [plane for plane in PLANES if min(contents.pet[_index(plane, contents.start)].shape) > least]
    rows = [(plane, plane, contents.start) for plane in planes]
    if ASYMMETRY in contents.places:
        rows.append(("Asymmetry", "Axial", contents.places[ASYMMETRY]))
    tiles = [_row(contents, images, plane, at) for _, plane, at in rows]
    sheet = compose(tiles, row_labels=[label for label, _, _ in rows], column_labels=list(images))
    Image.fromarray(with_legend(sheet, contents)).save(path)


def write_difference(
    contents: Contents, difference: Volume, options: DifferenceOptions, title: str, path: Path
) -> None:
    """PET, and fused image in the colors of what stands out, where that is most; with its color scale.

    :param contents: see :func:`report.contents.straightened`.
    :param difference: on the grid of the MRI that the contents came from.
    :param title: what stands at the color scale.
    """
    values = on_patient_grid(difference.array, difference, contents.mri)
    k, j, i = (int(n) for n in np.unravel_index(int(np.argmax(np.abs(values))), values.shape))
    fused = _fused(contents)
    pet = _tinted(fused.function(), contents.pet_table)
    images: Dict[str, Callable] = {
        "PET": lambda at: pet[at],
        "Fused, colored": lambda at: colored(
            fused.brightness(contents.balance, at), values[at], options, contents.omega
        ),
    }
    tiles = [_row(contents, images, plane, (i, j, k)) for plane in PLANES]
    sheet = compose(tiles, row_labels=list(PLANES), column_labels=list(images))
    table = 1.0 - contents.omega + contents.omega * difference_table()
    # Gray, as what is not shown is in the picture.
    table[(table == 1.0).all(axis=1)] = 0.5
    bar = color_bar(sheet.shape[1] - 24, table, title, options.ends, options.unit)
    below = np.full((len(bar) + 24, sheet.shape[1], 3), BACK, np.uint8)
    below[12:-12, 12 : 12 + bar.shape[1]] = bar
    Image.fromarray(np.vstack([sheet, below])).save(path)


def _images(contents: Contents) -> Dict[str, Callable]:
    """By title, what gives the colors of a part of the volumes, uint8, for an index into them."""
    colored = contents.sources[contents.mode]
    fused = _fused(contents)
    uptake = fused.function()
    pet = _tinted(uptake, contents.pet_table)
    mri = np.clip(contents.mri.array / contents.mri_scale, 0.0, 1.0)
    spacing = contents.mri.spacing
    edges = alignment.edge_map(mri, spacing)
    # Not in gray, as the PET may be: nobody could tell it from the MRI.
    board = alignment.checkerboard(alignment.gray_color(mri), _tinted(uptake, contents.table), spacing)
    return {
        "MRI": lambda at: alignment.gray_color(mri[at]),
        "PET": lambda at: pet[at],
        "Fused": lambda at: alignment.gray_color(fused.brightness(contents.balance, at)),
        f"Colored, Ω = {contents.omega:g}": lambda at: colored.colors(
            contents.table, contents.omega, contents.balance, at
        ),
        "Checkerboard": lambda at: board[at],
        "Edges of the MRI on the PET": lambda at: alignment.edges_over(edges[at], uptake[at]),
    }


def _fused(contents: Contents) -> ColorSource:
    """The fused image as brightness, and the PET itself on its scale."""
    low, high = contents.pet_range
    return ColorSource(tuple(contents.fused), contents.pet, high, low)


def _tinted(uptake: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Uptake in [0, 1], (k, j, i), in the colors of a table; (k, j, i, 3) uint8."""
    colors = alignment.tinted(uptake, resampled_table(table))
    colors[uptake < least_shown(table)] = 0
    return colors


def _index(plane: str, at: Index):
    """What of a volume lies in a plane through a voxel (i, j, k), first row on top."""
    i, j, k = at
    return {"Axial": k, "Sagittal": np.s_[::-1, :, i], "Coronal": np.s_[::-1, j]}[plane]


def _row(contents: Contents, images: Dict[str, Callable], plane: str, at: Index) -> List[np.ndarray]:
    """A tile of each image."""
    # What is around a PET in inverse gray.
    white = () if least_shown(contents.pet_table) else ("PET",)
    return [
        _tile(contents, draw, plane, at, WHITE if title in white else BLACK) for title, draw in images.items()
    ]


def _tile(contents: Contents, draw: Callable, plane: str, at: Index, back: Tuple[int, ...]) -> np.ndarray:
    """One slice through a voxel (i, j, k) on a background, with its marks."""
    i, j, k = at
    picture = Image.fromarray(np.ascontiguousarray(draw(_index(plane, at))))
    scale = TILE / (FIELD_OF_VIEW * max(contents.mri.array.shape))
    size = [max(1, round(scale * n)) for n in picture.size]
    tile = Image.new("RGB", (TILE, TILE), back)
    left, top = ((TILE - n) // 2 for n in size)
    tile.paste(picture.resize(size, Image.BICUBIC), (left, top))
    across, down = {"Axial": (i, j), "Sagittal": (j, -1 - k), "Coronal": (i, -1 - k)}[plane]
    _point_at(tile, left + scale * (across + 0.5), top + scale * (down % picture.height + 0.5))
    point = (contents.mri.ijk_to_ras @ [i, j, k, 1.0])[:3]
    return marked(np.asarray(tile), plane, point, scale / float(contents.mri.spacing[0]))


def _point_at(tile: Image.Image, x: float, y: float) -> None:
    """Short lines at the edges, towards the place that all planes go through."""
    draw = ImageDraw.Draw(tile)
    for line in ((x, 0, x, TICK), (x, TILE - TICK, x, TILE), (0, y, TICK, y), (TILE - TICK, y, TILE, y)):
        draw.line(line, fill=POINTER, width=2)


def with_legend(sheet: np.ndarray, contents: Contents) -> np.ndarray:
    """Pictures, and below them what the colors mean and how far to believe all of it."""
    margin, gap, width = 12, 40, sheet.shape[1]
    bar = (width - 2 * margin - gap) // 2
    title, ends, unit = contents.color_scale(contents.mode)
    mixed = contents.sources[contents.mode].scale_colors(contents.table, contents.omega)
    table = resampled_table(contents.pet_table)
    table[: int(np.ceil(least_shown(table) * 255))] = 0.0
    pet = color_bar(bar, table, f"PET: {contents.pet_title()}", contents.pet_range, contents.pet_unit)
    colored = color_bar(bar, mixed, f"Colored: {title}", ends, unit)
    one_map = np.array_equal(contents.table, contents.pet_table)
    lines = [(SHARED if contents.mode == "uptake" else SHARED_MAP) if one_map else OWN_MAPS]
    if contents.mode == "ordered":
        lines = [SHARED_NUMBERS]
    if contents.judgement in JUDGEMENTS:
        lines[0] += f" Registration: {JUDGEMENTS[contents.judgement]}."
    # Beside the sentence before where there is room.
    lines = [f"{lines[0]} {RESEARCH}"] if width > 1000 else [*lines, RESEARCH]
    rows = [np.hstack([pet, np.full((len(pet), gap, 3), BACK, np.uint8), colored])]
    rows += [line_of_text(2 * bar + gap, line) for line in lines]
    below = np.full((sum(map(len, rows)) + margin, width, 3), BACK, np.uint8)
    y = margin // 2
    for row in rows:
        below[y : y + len(row), margin : margin + row.shape[1]] = row
        y += len(row)
    return np.vstack([sheet, below])
