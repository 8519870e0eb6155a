"""``funfuse uptake``: turn a pseudo-colored PET back into scalar uptake."""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError, OutputError
from FunFuseSlicer.Logic.output_folder import one_file

from ..paths import input_path, output_path
from ..workflow.output_folder import add_overwrite, claim

FROM_IMAGE = "from-image"


def main(arguments: List[str]) -> int:
    """Recover, check, and write."""
    options = parser().parse_args(arguments)
    if options.residual and os.path.realpath(options.residual) == os.path.realpath(options.out):
        raise InputError("--out and --residual name one file: give them different names.")
    read = [options.image, options.colormap]
    with ExitStack() as files:
        # Both are claimed before any work.
        parts = [
            files.enter_context(one_file(path, claim((), options, *read, where=option)))
            for path, option in ((options.out, "--out"), (options.residual, "--residual"))
            if path is not None
        ]
        share, colors = _recover(options, *parts)
    if share:
        print(f"  note: {share:.2%} of the head show no color of the table and became 0")
    print(f"uptake   {options.out}, from {options.colormap or 'the color bar'} of {colors} colors")
    return 0


def _recover(options, uptake: Path, residual: Optional[Path] = None) -> Tuple[float, int]:
    """Returns the share that shows no color of the table, and how many colors that has."""
    from ..training.uptake import check_follows, recover_uptake

    image, rgb = _read(options.image)
    table = _table(options, rgb)
    if options.reverse:
        table = table[::-1]
    if options.color_bar:
        rgb = rgb.copy()
        rgb[_window(options.color_bar, rgb)] = 0  # the bar is no uptake
    recovered = recover_uptake(rgb, table, options.tolerance)
    share = check_follows(rgb, recovered, str(options.image), options.tolerance)
    _write(recovered.uptake, image, uptake)
    if residual:
        _write(np.clip(recovered.residual, 0, 1), image, residual)
    return share, len(table)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse uptake",
        description="Turn a pseudo-colored PET back into scalar uptake, by finding each color on its color "
        "table. The table must be known; an image that does not follow it is refused.",
    )
    result.add_argument(
        "--image", type=input_path, required=True, metavar="RGB", help="color picture or volume"
    )
    result.add_argument(
        "--out",
        type=output_path,
        required=True,
        metavar="FILE",
        help="pictures (.png) get 8 bits, volumes (.nrrd, .nii.gz, .mha) floats; 1 is the table's end",
    )
    add_overwrite(result)
    table = result.add_mutually_exclusive_group(required=True)
    table.add_argument(
        "--colormap",
        metavar="NAME|FILE",
        help='"jet", "atlas" (Whole Brain Atlas), a color map of Slicer such as PET-Rainbow, a picture of a '
        f'color bar, a text file with three numbers a row, or "{FROM_IMAGE}": the image\'s own colors in '
        "order, for images without noise, JPEG and interpolation",
    )
    table.add_argument(
        "--color-bar",
        type=int,
        nargs=4,
        metavar=("COLUMN", "ROW", "WIDTH", "HEIGHT"),
        help="where the picture has its own color bar; low is left or at the bottom",
    )
    result.add_argument("--reverse", action="store_true", help="the table runs from high to low")
    result.add_argument(
        "--residual", type=output_path, metavar="FILE", help="write how far colors are off the table"
    )
    result.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.12,
        help="colors farther from the table become 0 (RGB from 0 to 1)",
    )
    return result


def _read(path: Path):
    """The image and its colors (…, 3)."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. Check the path.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as an image: give PNG, NRRD, NIfTI or MHA.") from error
    if image.GetNumberOfComponentsPerPixel() not in (3, 4):
        raise InputError(f"{path} is not a color image: it has one value a pixel already.")
    return image, sitk.GetArrayFromImage(image)[..., :3]


def _table(options, rgb: np.ndarray) -> np.ndarray:
    from ..training.uptake import NAMED_TABLES, table_from_bar, table_from_colors, table_from_file

    if options.color_bar:
        return table_from_bar(rgb[_window(options.color_bar, rgb)])
    name = options.colormap
    if name == FROM_IMAGE:
        return table_from_colors(rgb, str(options.image))
    if name.lower() in NAMED_TABLES:
        return NAMED_TABLES[name.lower()]()
    if Path(name).is_file():
        return table_from_file(Path(name))
    if Path(name).suffix:
        raise InputError(f"{name}: there is no such color table. Check the path.")
    from FunFuseSlicer.Logic.scene.color_maps import color_table

    from ..headless.boot import boot

    boot()
    return color_table(name)


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 2:  # the largest distance of two colors is the root of 3
        raise InputError(f"--tolerance must lie between 0 and 2, not {text}.")
    return value


def _window(bar, rgb: np.ndarray):
    """The rectangle of the color bar.

    :raises InputError: it is not inside the picture.
    """
    column, row, width, height = bar
    if rgb.ndim != 3:
        raise InputError("--color-bar is for pictures: a volume has none.")
    rows, columns = rgb.shape[:2]
    if not (0 <= column < column + width <= columns and 0 <= row < row + height <= rows):
        raise InputError(f"The color bar must lie inside the picture of {columns} × {rows} pixels.")
    return slice(row, row + height), slice(column, column + width)


def _write(array: np.ndarray, like: sitk.Image, path: Path) -> None:
    picture = path.suffix.lower() in (".png", ".bmp", ".tif", ".tiff")
    if picture and array.ndim != 2:
        raise InputError(f"{path}: a volume needs a file such as .nrrd, .nii.gz or .mha.")
    image = sitk.GetImageFromArray(np.rint(array * 255).astype(np.uint8) if picture else array)
    image.CopyInformation(like)
    try:
        sitk.WriteImage(image, str(path), useCompression=True)
    except RuntimeError as error:
        raise OutputError(
            f"{path.name} cannot be written: choose another name, with a usual ending."
        ) from error
