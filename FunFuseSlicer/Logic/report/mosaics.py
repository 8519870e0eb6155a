"""Volumes as pictures in a page: slices of bytes side by side, as PNG or JPEG in the text of a data URL."""

import base64
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

import numpy as np

# JPEG works on blocks: whole ones in each slice keep neighbors apart.
BLOCK = 8
# What is tried until it fits: without any loss, then JPEG of these qualities.
QUALITIES: Sequence[Optional[int]] = (None, 95, 88, 78, 65, 45)
# PNG rarely makes less than this part of an image with noise.
LEAST_OF_PNG = 0.3


@dataclass(frozen=True)
class Layer:
    """A volume in 256 levels.

    :param levels: (k, j, i) uint8.
    :param low: what level 0 stands for; ``high`` likewise of 255.
    """

    levels: np.ndarray
    low: float
    high: float


def layer(array: np.ndarray, low: Optional[float] = None, high: Optional[float] = None) -> Layer:
    """The nearest of 256 levels between two values, by default the smallest and the largest."""
    low = float(array.min()) if low is None else low
    high = float(array.max()) if high is None else high
    high = high if high > low else low + 1.0
    unit = np.clip((array - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return Layer(np.rint(unit * 255.0).astype(np.uint8), low, high)


def mosaic(levels: np.ndarray) -> np.ndarray:
    """Slices side by side, row after row, (height, width) uint8: about a square; see :func:`layout`."""
    count, rows, columns = levels.shape
    across, tile_rows, tile_columns = layout(levels.shape)
    down = -(-count // across)
    sheet = np.zeros((down, tile_rows, across, tile_columns), np.uint8)
    for k in range(count):
        sheet[k // across, :rows, k % across, :columns] = levels[k]
    return sheet.reshape(down * tile_rows, across * tile_columns)


def layout(shape: Sequence[int]) -> List[int]:
    """Slices in a row of the mosaic of a (k, j, i) array, and rows and columns of one with its margin."""
    count, rows, columns = shape
    tile_rows, tile_columns = (-(-size // BLOCK) * BLOCK for size in (rows, columns))
    across = int(np.ceil(np.sqrt(count * tile_rows / tile_columns)))
    return [max(1, min(count, across)), tile_rows, tile_columns]


def data_urls(layers: Dict[str, Layer], largest: int) -> Dict[str, str]:
    """All layers as pictures, without loss where that fits, else as good as it does.

    :param largest: characters, of all of them together; passed only where the worst quality needs more.
    """
    urls: Dict[str, str] = {}
    raw = sum(picture.levels.size for picture in layers.values())
    for quality in QUALITIES:
        if quality is None and raw * LEAST_OF_PNG * 4 / 3 > largest:
            continue
        urls = {name: data_url(mosaic(picture.levels), quality) for name, picture in layers.items()}
        if sum(map(len, urls.values())) <= largest:
            break
    return urls


def data_url(sheet: np.ndarray, quality: Optional[int] = None) -> str:
    """The text of a gray picture, see :func:`encoded`."""
    kind = "png" if quality is None else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded(sheet, quality)).decode('ascii')}"


def encoded(sheet: np.ndarray, quality: Optional[int] = None) -> bytes:
    """A gray picture (height, width) uint8 as PNG, or as JPEG of a quality of 0 to 100."""
    import vtk
    from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

    image = vtk.vtkImageData()
    image.SetDimensions(sheet.shape[1], sheet.shape[0], 1)
    image.AllocateScalars(get_vtk_array_type(sheet.dtype), 1)
    # VTK's first row is at the bottom.
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(sheet.shape)[:] = sheet[::-1]
    writer = vtk.vtkPNGWriter() if quality is None else vtk.vtkJPEGWriter()
    if quality is not None:
        writer.SetQuality(quality)
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()
