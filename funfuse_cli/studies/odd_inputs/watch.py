"""What a run says and changes besides its result."""

import contextlib
import io
import os
import sys
import tempfile
from typing import Dict, Iterator, List


@contextlib.contextmanager
def overheard() -> Iterator[List[str]]:
    """Standard output is hushed; gives a list that then has the lines of standard error, without bars.

    Libraries write to the file descriptor, Python to its own object: both are caught.
    """
    lines: List[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", buffering=1) as file:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(file), contextlib.redirect_stdout(io.StringIO()):
                yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.flush()
            file.seek(0)
            text = file.read().replace("\r", "\n").splitlines()
            lines += [line for line in text if line.strip() and "|" not in line]


def snapshot() -> Dict[str, tuple]:
    """Every node of the scene by its ID: class, name, parent transform, layers, voxels."""
    import slicer

    found = {}
    for node in (slicer.mrmlScene.GetNthNode(n) for n in range(slicer.mrmlScene.GetNumberOfNodes())):
        parent = node.GetTransformNodeID() if node.IsA("vtkMRMLTransformableNode") else None
        layers = voxels = None
        if node.IsA("vtkMRMLSliceCompositeNode"):
            layers = node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()
        if node.IsA("vtkMRMLVolumeNode") and node.GetImageData() is not None:
            voxels = slicer.util.arrayFromVolume(node).tobytes()
        found[node.GetID()] = (node.GetClassName(), node.GetName(), parent, layers, voxels)
    return found
