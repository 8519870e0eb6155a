"""The picture of a result: three planes of the scene, drawn by Slicer's own slice views."""

from pathlib import Path

import numpy as np
from PIL import Image

from FunFuseSlicer.Logic.color.colorize import colorize
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, value_and_function
from FunFuseSlicer.Logic.scene.color_maps import color_table
from FunFuseSlicer.Logic.scene.inputs import volume_from_node

from ..headless.rendering import compose, render_slice

PLANES = ("Axial", "Sagittal", "Coronal")
OMEGAS = (0.3, 0.6, 1.0)
TILE = 300


def write_preview(run, mri_node, options: FusionOptions, path: Path) -> None:
    """MRI, PET, fused and colored (three values of Ω) in three planes through the uptake's center."""
    import slicer

    table = color_table(options.colormap)
    columns = [("MRI", mri_node), ("PET", run.nodes.pet_registered), ("Fused", run.nodes.fused)]
    value, functional = value_and_function(run.fusion, options.mode, options.balance)
    temporary = []
    for omega in OMEGAS:
        colored = colorize(value, functional, table, omega)
        temporary.append(_copy_with_voxels(run.nodes.colored, colored))
        columns.append((f"Colored, Ω = {omega:g}", temporary[-1]))
    center = _center_of_uptake(run.nodes.fused, run.fusion.uptake)
    tiles = []
    for plane, offset in zip(PLANES, (center[2], center[0], center[1])):
        tiles.append(
            [
                render_slice(node, orientation=plane, offset_mm=offset, size=(TILE, TILE))
                for _, node in columns
            ]
        )
    for node in temporary:
        slicer.mrmlScene.RemoveNode(node)
    sheet = compose(tiles, row_labels=PLANES, column_labels=[title for title, _ in columns])
    Image.fromarray(sheet).save(path)


def _copy_with_voxels(node, array: np.ndarray):
    """A temporary colored node in the place of ``node``."""
    import slicer

    copy = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, node, "preview")
    slicer.util.updateVolumeFromArray(copy, array)
    return copy


def _center_of_uptake(node, uptake: np.ndarray) -> np.ndarray:
    """RAS position of the center of mass of the uptake: planes through it show the brain."""
    volume = volume_from_node(node)
    weights = uptake.astype(np.float64)
    index = [
        float(np.dot(weights.sum(axis=tuple({0, 1, 2} - {axis})), np.arange(weights.shape[axis])))
        / float(weights.sum())
        for axis in (2, 1, 0)
    ]
    return (volume.ijk_to_ras @ np.append(index, 1.0))[:3]
