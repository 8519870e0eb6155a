"""Pictures of all slices of the views on screen, as they are shown there, with marks.

The marks are letters of the sides, the slice's position and a scale bar. Unlike those of the module Screen
Capture, the pictures are taken before they reach a window, which may be covered. Slicer, and Pillow, which it
brings for its DICOM packages, are imported inside the functions.
"""

import math
import re
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from . import views
from .beside import beside

# By axis of RAS, in its positive and in its negative direction.
LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))
# Millimeters that a scale bar may be long.
BARS = (200, 100, 50, 20, 10, 5, 2, 1)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# Pixels: of a sheet, and of a slice on it.
SHEET, LEAST_TILE, LARGEST_TILE, GAP = 2400, 120, 400, 4


class Picture(NamedTuple):
    """One slice as a view shows it.

    :param pixels: (height, width, 3), uint8, first row on top.
    :param slice_to_ras: 4×4: from the view's right, up and out of it to RAS millimeters.
    :param mm: of a pixel.
    """

    pixels: np.ndarray
    slice_to_ras: np.ndarray
    mm: float

    @property
    def sides(self) -> Tuple[str, str, str, str]:
        """The letters of left, right, top and bottom: for an oblique view the closest."""
        right, top = self.slice_to_ras[:3, 0], self.slice_to_ras[:3, 1]
        return letter(-right), letter(right), letter(top), letter(-top)

    @property
    def position(self) -> str:
        """How far the slice is from the origin, such as "S 34.0 mm"."""
        normal = self.slice_to_ras[:3, 2]
        distance = round(float(normal @ self.slice_to_ras[:3, 3]), 1) + 0.0
        return f"{letter(normal if distance >= 0 else -normal)} {abs(distance):.1f} mm"


def letter(direction: Sequence[float]) -> str:
    """The side of the body that a direction of RAS points to."""
    axis = int(np.argmax(np.abs(direction)))
    return LETTERS[axis][int(direction[axis] < 0)]


def shown_views() -> List[Any]:
    """The logics of the views on screen that show a volume.

    :raises InputError: there are none.
    """
    found = [
        logic
        for logic in views.slice_logics()
        if logic.GetSliceNode().IsMappedInLayout() and views.layers_of(logic).background is not None
    ]
    if not found:
        raise InputError("No slice view on screen shows a volume: choose a layout with slice views.")
    return found


def name_of(logic) -> str:
    """Of a view, as a file may be called: "Red axial"."""
    node = logic.GetSliceNode()
    return re.sub(r"[^\w -]+", "_", f"{node.GetLayoutName()} {node.GetOrientation().lower()}")


def file_names(logics: Sequence[Any], sheets: bool) -> Dict[Any, List[str]]:
    """What :func:`write_slices` writes of each view."""
    if sheets:
        return {logic: [f"slices/{name_of(logic)}.png"] for logic in logics}
    return {
        logic: [f"slices/{name_of(logic)}/{n + 1:03d}.png" for n in range(len(_offsets(logic)))]
        for logic in logics
    }


def write_slices(folder: Path, names: Dict[Any, List[str]], sheets: bool, monitor: Monitor) -> None:
    """Write all slices of views, each as a picture, or together on a sheet for each view.

    :param names: see :func:`file_names`.
    :raises Cancelled: the monitor was asked to stop.
    """
    from PIL import Image

    done, total = 0, sum(len(_offsets(logic)) for logic in names)
    for logic, files in names.items():
        (folder / files[0]).parent.mkdir(parents=True, exist_ok=True)
        pictures = []
        for n, picture in enumerate(pictures_of(logic)):
            done += 1
            monitor.report("Writing pictures", done / total)
            if sheets:
                pictures.append(picture)
            else:
                Image.fromarray(marked(picture)).save(folder / files[n], compress_level=4)
        if sheets:
            beside(partial(_write_sheet, pictures, folder / files[0]), monitor, "Writing pictures")


def pictures_of(logic) -> Iterator[Picture]:
    """Every slice of a view's background, from the lowest on; the view is where it was afterwards."""
    import slicer

    before = logic.GetSliceOffset()
    try:
        for offset in _offsets(logic):
            logic.SetSliceOffset(offset)
            node = logic.GetSliceNode()
            width, height, _ = node.GetDimensions()
            matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).copy()
            yield Picture(_pixels(logic, width, height), matrix, node.GetFieldOfView()[0] / width)
    finally:
        logic.SetSliceOffset(before)


def _offsets(logic) -> np.ndarray:
    """Of the middle of each slice of the lowest volume that a view shows."""
    bounds = [0.0] * 6
    logic.GetLowestVolumeSliceBounds(bounds)
    spacing = float(logic.GetLowestVolumeSliceSpacing()[2])
    count = max(1, round((bounds[5] - bounds[4]) / spacing)) if spacing > 0 else 1
    return bounds[4] + (np.arange(count) + 0.5) * (bounds[5] - bounds[4]) / count


def _pixels(logic, width: int, height: int) -> np.ndarray:
    """What a view shows, over black."""
    from vtk.util.numpy_support import vtk_to_numpy

    logic.UpdatePipeline()
    connection = logic.GetImageDataConnection()
    if connection is None:
        return np.zeros((height, width, 3), np.uint8)
    producer = connection.GetProducer()
    producer.Update()
    scalars = producer.GetOutputDataObject(connection.GetIndex()).GetPointData().GetScalars()
    pixels = vtk_to_numpy(scalars).reshape(height, width, -1)[::-1]
    if pixels.shape[2] == 4:
        return ((pixels[..., :3] * pixels[..., 3:].astype(np.uint16) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., :3])


def marked(picture: Picture) -> np.ndarray:
    """A picture with its marks, (height, width, 3) uint8."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture.pixels)
    width, height = image.size
    draw, size = ImageDraw.Draw(image), max(10, min(18, min(width, height) // 18))
    edge = size // 2
    left, right, top, bottom = picture.sides
    _write(draw, left, (edge, height / 2), "lm", size)
    _write(draw, right, (width - edge, height / 2), "rm", size)
    _write(draw, top, (width / 2, edge), "ma", size)
    _write(draw, bottom, (width / 2, height - edge), "md", size)
    _write(draw, picture.position, (edge, edge), "la", size)
    length = next((bar for bar in BARS if bar / picture.mm <= 0.3 * width), BARS[-1])
    end, y = width - edge, height - edge
    for color, thick in ((BLACK, 4), (WHITE, 2)):
        draw.line([(end - length / picture.mm, y), (end, y)], fill=color, width=thick)
    _write(draw, f"{length} mm", (end, y - 4), "rd", size)
    return np.asarray(image)


def _write_sheet(pictures: Sequence[Picture], path: Path, _monitor: Monitor) -> None:
    from PIL import Image

    Image.fromarray(sheet(pictures)).save(path)


def sheet(pictures: Sequence[Picture]) -> np.ndarray:
    """All slices that show something, row by row, each with its marks, (height, width, 3) uint8."""
    from PIL import Image

    shown = [picture for picture in pictures if picture.pixels.any()] or list(pictures)
    rows, columns = _used(shown)
    cut = [_cut(picture, rows, columns) for picture in shown]
    height, width = cut[0].pixels.shape[:2]
    across = max(1, math.ceil(math.sqrt(len(cut) * height / width)))
    tile = min(LARGEST_TILE, max(LEAST_TILE, SHEET // across))
    scale = tile / width
    size = tile, max(1, round(height * scale))
    down = math.ceil(len(cut) / across)
    result = Image.new("RGB", (across * (size[0] + GAP) - GAP, down * (size[1] + GAP) - GAP), (24, 24, 24))
    for n, picture in enumerate(cut):
        small = np.asarray(Image.fromarray(picture.pixels).resize(size, Image.LANCZOS))
        place = n % across * (size[0] + GAP), n // across * (size[1] + GAP)
        result.paste(Image.fromarray(marked(picture._replace(pixels=small, mm=picture.mm / scale))), place)
    return np.asarray(result)


def _used(pictures: Sequence[Picture]) -> Tuple[slice, slice]:
    """The part of all pictures in which anything is shown, with a margin for the marks."""
    shows = np.logical_or.reduce([picture.pixels.any(axis=2) for picture in pictures])
    parts = []
    for axis in (1, 0):
        used, count = np.flatnonzero(shows.any(axis=axis)), shows.shape[1 - axis]
        first, last = (used[0], used[-1] + 1) if used.size else (0, count)
        margin = round(0.08 * (last - first))
        parts.append(slice(max(0, first - margin), min(count, last + margin)))
    return parts[0], parts[1]


def _cut(picture: Picture, rows: slice, columns: slice) -> Picture:
    return picture._replace(pixels=np.ascontiguousarray(picture.pixels[rows, columns]))


def _write(draw: Any, text: str, place: Tuple[float, float], anchor: str, size: int) -> None:
    """White with a black edge, to be read on anything."""
    draw.text(place, text, WHITE, _font(size), anchor, stroke_width=1, stroke_fill=BLACK)


@lru_cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)
