"""What lies under the mouse in the slice views, as Slicer's crosshair node tells where it is.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from .inputs import ijk_to_world


def crosshair():
    """The vtkMRMLCrosshairNode, which knows where the cursor is; None where there is none."""
    import slicer

    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")


def voxel_under_cursor(volume) -> Optional[Tuple[int, int, int]]:
    """The voxel (i, j, k) of a volume node; None beside it, and while the cursor is in no view."""
    position = [0.0, 0.0, 0.0]
    image = volume.GetImageData()
    if image is None or not crosshair().GetCursorPositionRAS(position):
        return None
    index = np.rint(np.linalg.inv(ijk_to_world(volume)) @ [*position, 1.0])[:3].astype(int)
    if (index < 0).any() or (index >= image.GetDimensions()).any():
        return None
    i, j, k = index
    return int(i), int(j), int(k)


def values_at(volumes: Mapping[str, object], voxel: Tuple[int, int, int]) -> Dict[str, float]:
    """The values of scalar volume nodes, all on one grid, by name."""
    return {
        name: node.GetImageData().GetScalarComponentAsDouble(*voxel, 0)
        for name, node in volumes.items()
        if node.GetImageData() is not None
    }
