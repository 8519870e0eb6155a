"""One slice of a pair that may be shown, fused by every model and method."""

from pathlib import Path
from typing import List, Tuple

import numpy as np

from FunFuseSlicer.Logic.monitor import Monitor

from .evaluation_measure import METHOD, MODEL, Candidate
from .model_sheet import middle_slice

SHEET = "evaluation_methods.png"
COLUMNS, MARGIN, INCHES = 5, 4, 2.4
STAGE = "Picture"


def write_sheet(mri: Path, pet: Path, candidates: List[Candidate], path: Path, monitor: Monitor) -> int:
    """MRI, PET and the fused images side by side; the file is replaced in one go.

    :param mri: a volume that may be published; ``pet`` likewise, registered to it, on the same grid.
    :return: the slice's number from the feet.
    :raises InputError: the volumes cannot be read or differ in their grid.
    """
    mri_slice, pet_slice, number = middle_slice(mri, pet)
    pictures = [("MRI", mri_slice), ("PET", pet_slice)]
    fusing = [candidate for candidate in candidates if candidate.kind in (MODEL, METHOD)]
    for done, candidate in enumerate(fusing):
        monitor.report(STAGE, done / len(fusing))
        pictures.append((candidate.name, np.clip(candidate.fuse(mri_slice, pet_slice), 0, 1)))
    monitor.report(STAGE, 1.0)
    _write(pictures, _head((mri_slice > 0) | (pet_slice > 0)), path)
    return number


def _head(there: np.ndarray) -> Tuple[slice, slice]:
    """The rows and columns with anything in them, and a margin."""
    lines = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, line[0] - MARGIN), line[-1] + MARGIN + 1) for line in lines)


def _write(pictures: List[Tuple[str, np.ndarray]], box: Tuple[slice, slice], path: Path) -> None:
    # No pyplot: it would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(pictures) // COLUMNS)
    height, width = pictures[0][1][box].shape
    figure = Figure(figsize=(INCHES * COLUMNS, (INCHES * height / width + 0.3) * rows), facecolor="black")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - 0.28 / figure.get_figheight(), wspace=0.02, hspace=0.1)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, (name, image) in zip(panels.flat, pictures):
        panel.imshow(image[box], cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
        panel.set_title(name, color="white", fontsize=10, pad=3)
    part = Path(path).with_suffix(".part")
    figure.savefig(part, format="png", dpi=110, facecolor="black")
    part.replace(path)
