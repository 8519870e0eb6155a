"""A small picture of each image, by which the eye sees at once whether the PET lies on the MRI."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from FunFuseSlicer.Logic.registration.alignment_pictures import edge_map, hot_table
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

TILE, GAP = 220, 4
EDGE_COLOR = (90, 230, 255)  # not in the table of the PET


def write_alignment(mri: Volume, pet: Volume, path: Path) -> None:
    """The PET in color with the edges of the MRI, in three planes through the center of the uptake.

    Axial, coronal and sagittal; the patient's right is on the left of the picture, as radiologists look.

    :param pet: on the grid of the MRI.
    """
    gray, uptake = (_upright(clean(volume, mri=volume is mri)[0]) for volume in (mri, pet))
    spacing = np.array(gray.GetSpacing())
    gray, uptake = (normalize(sitk.GetArrayFromImage(image)) for image in (gray, uptake))
    edges = edge_map(gray, spacing)
    table = np.rint(255 * hot_table()).astype(np.uint8)
    picture = table[np.rint(255 * uptake).astype(np.intp)]
    picture[edges] = EDGE_COLOR
    k, j, i = np.rint(_center(uptake)).astype(int)
    # Rows run down the picture: to the back in the axial plane, to the feet in the others.
    planes = (
        (picture[k], spacing[1], spacing[0]),
        (picture[::-1, j], spacing[2], spacing[0]),
        (picture[::-1, :, i], spacing[2], spacing[1]),
    )
    # All at one scale, as large as the tiles allow.
    scale = min(TILE / (extent * n) for plane, *s in planes for n, extent in zip(plane.shape, s))
    sheet = Image.new("RGB", (3 * TILE + 2 * GAP, TILE))
    for number, (plane, down, across) in enumerate(planes):
        size = [max(1, round(n * extent * scale)) for n, extent in zip(plane.shape, (down, across))][::-1]
        tile = Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR)
        place = (number * (TILE + GAP) + (TILE - size[0]) // 2, (TILE - size[1]) // 2)
        sheet.paste(tile, place)
    path.parent.mkdir(exist_ok=True)
    sheet.save(path)


def _upright(volume: Volume) -> sitk.Image:
    """Axes nearest to left, back and head."""
    return sitk.DICOMOrient(volume_to_sitk(volume), "LPS")


def _center(array: np.ndarray) -> np.ndarray:
    """Center of mass as (k, j, i)."""
    total = float(array.sum(dtype=float)) or 1.0
    sums = (array.sum(axis=tuple({0, 1, 2} - {axis}), dtype=float) for axis in range(3))
    return np.array([float(np.dot(s, np.arange(len(s)))) / total for s in sums])
