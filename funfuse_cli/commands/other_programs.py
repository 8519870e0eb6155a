"""Fused images that another program wrote, to be measured beside the methods that are here."""

from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.metrics.images import luminance, to_8_bits

from ..training.pair import Pair
from ..training.pairs import PICTURES, to_unit
from ..workflow.progress import count

# Missing pictures that a message names.
NAMED = 3


def read_others(options: Sequence[str], pairs: Sequence[Pair]) -> Dict[str, List[np.ndarray]]:
    """name -> the fused image of each pair, (rows, columns) uint8.

    :param options: of NAME=FOLDER. A picture has the name of its pair, ``X.png`` for ``X_mri.png`` and
        ``X_pet.png``, and lies in the folder, or in one of the patient's name in it. Colored pictures count
        by their luminance.
    :raises InputError: an option that is none, a picture that is missing, damaged, or not of the pair's size.
    """
    result: Dict[str, List[np.ndarray]] = {}
    for option in options:
        name, _, folder = (part.strip() for part in option.partition("="))
        if not name or not folder:
            raise InputError(f'--others {option}: give a name and a folder, as in --others "NAME=FOLDER".')
        if name in result:
            raise InputError(f"--others {name}: this name is given twice. Give each program its own.")
        if not Path(folder).is_dir():
            raise InputError(f"--others {name}: {folder} is no folder. Check the path.")
        result[name] = _read_all(name, Path(folder), pairs)
    return result


def _read_all(name: str, folder: Path, pairs: Sequence[Pair]) -> List[np.ndarray]:
    unnamed = sum(not pair.name for pair in pairs)
    if unnamed:
        raise InputError(
            f"--others {name}: {count(unnamed, 'pair')} of {len(pairs)} come from volumes, whose slices have "
            "no file names. Give --pairs a folder of pictures."
        )
    names = [pair.name for pair in pairs]
    paths = [_find(folder, pair, alone=names.count(pair.name) == 1) for pair in pairs]
    missing = [_expected(pair, names) for pair, path in zip(pairs, paths) if path is None]
    if missing:
        some = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
        raise InputError(
            f"--others {name}: {folder} lacks {len(missing)} of {count(len(pairs), 'fused image')}: {some}. "
            "Name each like its pair."
        )
    return [_read(path, pair) for path, pair in zip(paths, pairs)]


def _find(folder: Path, pair: Pair, alone: bool):
    """The picture of a pair, or None; not in the folder itself where another pair has the same name."""
    for place in (folder / pair.patient, *([folder] if alone else [])):
        found = [path for path in sorted(place.glob("*")) if path.stem == pair.name]
        found = [path for path in found if path.suffix.lower() in PICTURES]
        if len(found) > 1:
            raise InputError(f"{found[0]} and {found[1].name} are both of the pair {pair.name}: keep one.")
        if found:
            return found[0]
    return None


def _expected(pair: Pair, names: Sequence[str]) -> str:
    return f"{pair.name}.png" if names.count(pair.name) == 1 else f"{pair.patient}/{pair.name}.png"


def _read(path: Path, pair: Pair) -> np.ndarray:
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as an image. Copy it again.") from error
    if array.ndim == 3 and array.shape[-1] in (3, 4) and array.dtype == np.uint8:
        array = luminance(array[..., :3])
    if array.dtype.kind != "u" or array.ndim != 2:
        raise InputError(f"{path}: give a picture of 8 bits, gray or colored, or of 16 bits, gray.")
    if array.shape != pair.mri.shape:
        raise InputError(
            f"{path} has {_pixels(array)}, the pair {pair.name} {_pixels(pair.mri)}: give images of one size."
        )
    return to_8_bits(to_unit(array))


def _pixels(image: np.ndarray) -> str:
    return f"{image.shape[0]} × {image.shape[1]} pixels"
