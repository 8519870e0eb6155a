"""From a pseudo-colored functional image back to the scalar uptake that was colored.

Brightness does not do: along most color tables luminance rises and falls. Each pixel goes to the nearest
point of the table's path through RGB space instead, between entries as well, and its uptake is how far
along the table that point lies. How far the pixel is from the path says whether the image follows the
table at all.

The table has to be known: it comes by name, from a color bar, from a file, or, for an image without noise
and interpolated colors, from the image's own colors (:func:`table_from_colors`). Guessing the table of any
other image is out of scope.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.preprocessing import full_range

# Rounding to 8 bits moves a color by at most this.
ROUNDING = np.sqrt(3.0) * 0.5 / 255.0

# Below this in every channel a pixel is background: 0, whatever the table says of black.
BACKGROUND = 8.5 / 255.0

# A pixel farther from the path does not show the table: text, a frame, a gray head.
TOLERANCE = 0.12
# An image with a larger share of such pixels was colored otherwise.
MAXIMUM_OFF_SHARE = 0.05

# Two places of a table this far apart must have different colors.
SAME_PLACE = 1.0 / 32.0

# Colors that an image may have for its table to be read from them; noise and JPEG make thousands.
MAXIMUM_COLORS = 1024
# Corners of the path that its shortest tree cuts off.
MAXIMUM_LEFT_OUT = 0.05
# Largest step between neighboring colors of such a table.
MAXIMUM_STEP = 0.2

SAMPLES_A_UNIT = 512


class Recovered(NamedTuple):
    """What :func:`recover_uptake` finds; both (…) float32.

    :param uptake: in [0, 1]; 0 in the background and where ``off`` says so.
    :param residual: distance of the color to the table's path, RGB in [0, 1]; 0 in the background.
    """

    uptake: np.ndarray
    residual: np.ndarray

    def off(self, tolerance: float = TOLERANCE) -> np.ndarray:
        """Where the image does not show a color of the table, (…) bool."""
        return self.residual > tolerance


def recover_uptake(rgb: np.ndarray, table: np.ndarray, tolerance: float = TOLERANCE) -> Recovered:
    """Invert a color table.

    :param rgb: (…, 3), integers on the full range of their type or floats in [0, 1].
    :param table: (n, 3) in [0, 1], entry 0 for no uptake, the last for the most.
    :raises InputError: the table cannot be inverted, see :func:`check_table`.
    """
    check_table(table)
    samples, positions = _sample(table)
    colors, inverse = np.unique(_pack(rgb), return_inverse=True)
    colors = _unpack(colors)
    uptake, residual = _nearest(colors, samples, positions)
    at_black = positions[np.linalg.norm(samples, axis=1) <= 2 * ROUNDING]
    if not (at_black > SAME_PLACE).any():
        _fade_in(colors, table[0], uptake, residual)
    uptake = np.where(residual > tolerance, 0.0, uptake)
    shape = np.shape(rgb)[:-1]
    # NumPy 2.0 alone gives the inverse another shape.
    inverse = inverse.reshape(shape)
    return Recovered(uptake.astype(np.float32)[inverse], residual.astype(np.float32)[inverse])


def check_follows(rgb: np.ndarray, recovered: Recovered, name: str, tolerance: float = TOLERANCE) -> float:
    """The share of the foreground that does not show the table.

    :raises InputError: it is more than :data:`MAXIMUM_OFF_SHARE`, or nothing but background.
    """
    foreground = to_unit_rgb(rgb).max(axis=-1) > BACKGROUND
    if not foreground.any():
        raise InputError(f"{name} is black: there is no uptake in it.")
    share = float(recovered.off(tolerance)[foreground].mean())
    if share > MAXIMUM_OFF_SHARE:
        raise InputError(
            f"{share:.0%} of {name} have colors that the color table does not have: it was colored with "
            "another table. Give that one: its name, a picture of its color bar, or a file of its colors."
        )
    return share


def check_table(table: np.ndarray) -> None:
    """:raises InputError: not (n, 3) in [0, 1], or two of its places have one color, as in a loop."""
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[1] != 3 or len(table) < 2:
        raise InputError("A color table needs at least two rows of three numbers.")
    if not np.isfinite(table).all() or table.min() < 0 or table.max() > 1:
        raise InputError("The colors of a table must lie between 0 and 1, or 0 and 255.")
    samples, positions = _sample(table)
    pairs = cKDTree(samples).query_pairs(2 * ROUNDING, output_type="ndarray")
    apart = np.abs(positions[pairs[:, 0]] - positions[pairs[:, 1]])
    if len(apart) and apart.max() > SAME_PLACE:
        first, second = sorted(positions[pairs[apart.argmax()]])
        raise InputError(
            f"The color table has one color at {first:.0%} and at {second:.0%} of its length: what was "
            "colored with it cannot be recovered."
        )


# --- Tables -------------------------------------------------------------------------------------------


def atlas_table() -> np.ndarray:
    """Black, blue, yellow, red, magenta: of the PET and SPECT slices of the Whole Brain Atlas.

    128 levels; the corners were read from its images, which have exactly these colors.
    """
    corners = np.array(
        [[0, 0, 0], [0, 0, 123], [0, 85, 255], [255, 255, 0], [255, 0, 0], [255, 0, 255]], float
    )
    levels = (0, 15, 31, 63, 95, 127)
    return np.stack([np.interp(np.arange(128), levels, column) for column in corners.T], axis=1) / 255.0


NAMED_TABLES = {"jet": jet_table, "atlas": atlas_table}


def table_from_bar(picture: np.ndarray, name: str = "The color bar") -> np.ndarray:
    """The table that a picture of a color bar shows: low is left, or at the bottom.

    :param picture: (rows, columns, 3), integers or floats, cut to the bar.
    :return: (length of the bar, 3) in [0, 1]: the median across the bar.
    :raises InputError: too short to be a bar.
    """
    picture = to_unit_rgb(picture)
    rows, columns = picture.shape[:2]
    if max(rows, columns) < 16:
        raise InputError(f"{name} is only {max(rows, columns)} pixels long: give a longer one.")
    return np.median(picture[::-1], axis=1) if rows > columns else np.median(picture, axis=0)


def table_from_file(path: Path) -> np.ndarray:
    """The table in a file: a picture of a color bar, or text with three numbers a row.

    Numbers may be separated by commas, semicolons or blanks, and run to 1 or to 255; rows that are no
    numbers, such as a header, are left out.

    :raises InputError: there is no such file, or no table in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such color table.")
    if path.suffix.lower() in (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg"):
        try:
            picture = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        except RuntimeError as error:
            raise InputError(f"{path} cannot be read as a picture.") from error
        if picture.ndim != 3 or picture.shape[-1] < 3:
            raise InputError(f"{path} must be a color picture of a color bar.")
        return table_from_bar(picture[..., :3], str(path))
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append([float(word) for word in line.replace(",", " ").replace(";", " ").split()])
        except ValueError:
            continue
    rows = [row for row in rows if row]
    if len(rows) < 2 or {len(row) for row in rows} != {3}:
        raise InputError(f"{path} must hold at least two rows of three numbers.")
    table = np.array(rows)
    table = table / 255.0 if table.max() > 1 else table
    check_table(table)
    return table


def table_from_colors(rgb: np.ndarray, name: str = "The image") -> np.ndarray:
    """The table of an image, from nothing but the colors that occur in it, put in order.

    The colors of a noiseless pseudo-colored image lie on a path. Their shortest connecting tree is that
    path, and its dark end is no uptake. This finds the order; that neighboring colors are one level
    apart is an assumption, true where a table of 64 to 256 entries was used and most of them occur.
    Wider gaps count as several levels.

    :return: (n, 3) in [0, 1].
    :raises InputError: noise, JPEG or interpolation made colors beside the path, the path has gaps or
        branches, or both of its ends are equally dark.
    """
    colors = _unpack(np.unique(_pack(rgb)))
    if not 16 <= len(colors) <= MAXIMUM_COLORS:
        raise InputError(
            f"{name} has {len(colors)} colors: its table can be read from it only when it has 16 to "
            f"{MAXIMUM_COLORS}, without noise, JPEG and interpolation. Give the table."
        )
    distances = cdist(colors, colors)
    path = _longest_path(minimum_spanning_tree(distances))
    left_out = np.setdiff1d(np.arange(len(colors)), path)
    if len(left_out) <= MAXIMUM_LEFT_OUT * len(colors):
        path = _insert(path, left_out, distances)
    steps = np.linalg.norm(np.diff(colors[path], axis=0), axis=1)
    if len(path) < len(colors) or steps.max() > MAXIMUM_STEP:
        raise InputError(
            f"The colors of {name} do not lie on one path: its table cannot be read from it. Give the table."
        )
    ends = colors[path[[0, -1]]].sum(axis=1)
    if abs(ends[0] - ends[1]) < 0.1:
        raise InputError(f"Both ends of the colors of {name} are equally dark: give the table.")
    path = path if ends[0] < ends[1] else path[::-1]
    return _fill_gaps(colors[path])


def _insert(path: np.ndarray, left_out: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Each color that is left out goes to where it lengthens the path least.

    The shortest tree cuts a sharp corner of the path, whose color then is a branch of its own.
    """
    path = path.tolist()
    for color in left_out:
        here = distances[color, path]
        between = here[:-1] + here[1:] - distances[path[:-1], path[1:]]
        detours = np.concatenate([here[:1], between, here[-1:]])
        path.insert(int(detours.argmin()), int(color))
    return np.array(path)


def _fill_gaps(colors: np.ndarray) -> np.ndarray:
    """Levels that do not occur in the image: a step twice as wide as those around it is two steps."""
    steps = np.linalg.norm(np.diff(colors, axis=0), axis=1)
    usual = np.array([np.median(steps[max(0, k - 3) : k + 4]) for k in range(len(steps))])
    levels = np.concatenate([[0.0], np.cumsum(np.maximum(1.0, np.rint(steps / usual)))])
    wanted = np.arange(levels[-1] + 1)
    return np.stack([np.interp(wanted, levels, column) for column in colors.T], axis=1)


def _longest_path(tree) -> np.ndarray:
    """Nodes of the longest path of a tree, in order: the farthest from any node, then from that one."""
    first = _farthest(tree, 0)[-1]
    return _farthest(tree, first)


def _farthest(tree, start: int) -> np.ndarray:
    """The path from a node to the one farthest from it."""
    tree = coo_matrix(tree)
    tree = (tree + tree.T).tocsr()
    order, parents = breadth_first_order(tree, start, directed=False)
    length = np.zeros(tree.shape[0])
    for node in order[1:]:
        length[node] = length[parents[node]] + tree[node, parents[node]]
    path = [int(length.argmax())]
    while path[-1] != start:
        path.append(int(parents[path[-1]]))
    return np.array(path[::-1])


# --- The path of a table ------------------------------------------------------------------------------


def _sample(table: np.ndarray):
    """Points on the path, denser than 8 bits, and how far along the table they are, in [0, 1]."""
    table = np.asarray(table, dtype=float)
    steps = np.linalg.norm(np.diff(table, axis=0), axis=1)
    counts = np.maximum(1, np.ceil(steps * SAMPLES_A_UNIT).astype(int))
    index = np.concatenate([k + np.arange(n) / n for k, n in enumerate(counts)] + [[len(counts)]])
    samples = np.stack([np.interp(index, np.arange(len(table)), column) for column in table.T], axis=1)
    return samples, index / len(counts)


def _nearest(colors: np.ndarray, samples: np.ndarray, positions: np.ndarray):
    """Position and distance of the nearest point of the path for each color."""
    _, nearest = cKDTree(samples).query(colors)
    best = np.full(len(colors), np.inf)
    position = np.zeros(len(colors))
    # The nearest point lies on a piece of the path next to the nearest sample.
    for first in (nearest - 1, nearest):
        first = np.clip(first, 0, len(samples) - 2)
        start, along = samples[first], samples[first + 1] - samples[first]
        length = np.maximum((along**2).sum(axis=1), 1e-20)
        t = np.clip(((colors - start) * along).sum(axis=1) / length, 0.0, 1.0)
        distance = np.linalg.norm(colors - start - t[:, None] * along, axis=1)
        closer = distance < best
        best = np.where(closer, distance, best)
        here = positions[first] + t * (positions[first + 1] - positions[first])
        position = np.where(closer, here, position)
    return position, best


def _fade_in(colors: np.ndarray, lowest: np.ndarray, uptake: np.ndarray, residual: np.ndarray) -> None:
    """Background, and its shades toward the table's lowest color at the rim of the head: no uptake."""
    length = max(float(np.dot(lowest, lowest)), 1e-20)
    t = np.clip(colors @ lowest / length, 0.0, 1.0)
    distance = np.linalg.norm(colors - t[:, None] * lowest, axis=1)
    # Strictly nearer than the table, so that a table through these colors keeps them.
    fading = (distance < residual - ROUNDING) & (distance <= 2 * ROUNDING)
    black = (colors.max(axis=1, initial=0.0) <= BACKGROUND) & (residual > ROUNDING)
    uptake[fading | black] = 0.0
    residual[fading | black] = 0.0


# --- Colors -------------------------------------------------------------------------------------------


def to_unit_rgb(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) of any type as floats in [0, 1]."""
    return np.clip(np.asarray(rgb, dtype=float) / full_range(rgb.dtype), 0.0, 1.0)


def _pack(rgb: np.ndarray) -> np.ndarray:
    """Each color as one number of 16 bits a channel: equal colors are looked up once."""
    channels = np.rint(to_unit_rgb(rgb) * 65535.0).astype(np.int64)
    return channels[..., 0] << 32 | channels[..., 1] << 16 | channels[..., 2]


def _unpack(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed >> 32, packed >> 16 & 65535, packed & 65535], axis=-1) / 65535.0
