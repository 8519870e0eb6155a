"""One slice of a pair that may be shown: how its fused image changes with λ."""

import hashlib
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import Model
from FunFuseSlicer.Logic.volumes.geometry import axial_order, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..workflow.files import read_volume
from .model_measure import Row, fuse_with
from .model_study import LAMBDA, Study

LAMBDAS = (0.0, 0.2, 0.5, 0.8, 1.0)

# Differences are shown so many times as strong: darker than at λ = 0.8 is blue, brighter is orange.
AMPLIFIED = 8
DIFFERENCE_COLORS = ("#7fd4ff", "#1478c8", "black", "#d2691e", "#ffd08a")
MARGIN = 4
SHEET = "model_pictures.png"
KEPT = "pictures/sheet"


def sheet(study: Study, mri: Path, pet: Path) -> Optional[Row]:
    """Draw the sheet into the store's folder ``pictures``.

    :param mri: a volume that may be published; ``pet`` likewise, registered to it, on the same grid.
    :return: ``changes``: model -> λ -> mean difference from λ = 0.8 over the head, in gray levels; and
        ``slice``, its number from the feet; None when missing.
    :raises InputError: the volumes cannot be read or differ in their grid.
    """
    identity = {
        "files": [_sha256(mri), _sha256(pet)],
        "networks": {model.name: model.sha256 for model in study.models},
        "amplified": AMPLIFIED,
        "colors": DIFFERENCE_COLORS,
    }
    path = study.store.folder / "pictures" / SHEET
    # A result whose picture was deleted is no result.
    if not path.exists():
        if not study.store.computing:
            study.store.missing.append(KEPT)
            return None
        (study.store.folder / f"{KEPT}.json").unlink(missing_ok=True)

    def compute() -> Row:
        study.monitor.report("pictures", 0.0)
        return _draw(study, mri, pet, path)

    return study.store.once(KEPT, identity, compute)


def _draw(study: Study, mri_path: Path, pet_path: Path, path: Path) -> Row:
    mri, pet, number = middle_slice(mri_path, pet_path)
    head = (mri > 0) | (pet > 0)
    fused = {
        model.name: {lam: np.clip(fuse_with(model.at_lambda(lam))(mri, pet), 0, 1) for lam in LAMBDAS}
        for model in study.models
    }
    changes: Dict[str, Dict[str, float]] = {
        name: {f"{lam:g}": 255 * float(np.abs(at[lam] - at[LAMBDA])[head].mean()) for lam in LAMBDAS}
        for name, at in fused.items()
    }
    _write(mri, pet, fused, changes, _box(head), study.models, path)
    return {"changes": changes, "slice": number}


def middle_slice(mri_path: Path, pet_path: Path) -> Tuple[np.ndarray, np.ndarray, int]:
    """The axial slice through the center of the uptake: MRI and PET in [0, 1], and its number.

    Noses point up, the patient's left is on the right.
    """
    volumes = [read_volume(path) for path in (mri_path, pet_path)]
    if not volumes[0].same_grid(volumes[1]):
        raise InputError(
            f"{pet_path} and {mri_path} have different grids: give the registered PET (the command fuse "
            "writes pet_registered.nrrd)."
        )
    order = axial_order(volumes[0].ijk_to_ras)
    mri, pet = (to_axial(normalize(clean(volume)[0].array), order) for volume in volumes)
    weights = pet.sum(axis=(1, 2), dtype=np.float64)
    number = int(round(float(weights @ np.arange(len(weights)) / weights.sum())))
    return np.ascontiguousarray(mri[number]), np.ascontiguousarray(pet[number]), number


def _box(head: np.ndarray):
    rows, columns = (np.flatnonzero(head.any(axis=axis)) for axis in (1, 0))
    return tuple(slice(max(0, line[0] - MARGIN), line[-1] + MARGIN + 1) for line in (rows, columns))


def _write(mri, pet, fused, changes, box, models: List[Model], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    colors = LinearSegmentedColormap.from_list("difference", DIFFERENCE_COLORS)
    rows, columns = 2 * len(models), len(LAMBDAS) + 1
    height, width = mri[box].shape
    figure = Figure(figsize=(1.75 * columns, (1.75 * height / width + 0.22) * rows), facecolor="black")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.965, wspace=0.03, hspace=0.14)

    def show(row: int, column: int, image, title: str, low=0.0, high=1.0, cmap="gray") -> None:
        panel = panels[row, column]
        panel.imshow(image[box], cmap=cmap, vmin=low, vmax=high, interpolation="bilinear")
        panel.set_title(title, color="white", fontsize=8.5, pad=3)

    for panel in panels.flat:
        panel.set_axis_off()
    show(0, 0, mri, "MRI")
    show(1, 0, pet, "PET")
    limit = 1.0 / AMPLIFIED
    for number, model in enumerate(models):
        at = fused[model.name]
        for column, lam in enumerate(LAMBDAS, start=1):
            show(2 * number, column, at[lam], f"{model.name}, λ = {lam:g}")
            gray = changes[model.name][f"{lam:g}"]
            said = "reference" if lam == LAMBDA else f"× {AMPLIFIED}, mean {gray:.1f} of 255"
            show(2 * number + 1, column, at[lam] - at[LAMBDA], said, -limit, limit, colors)
    if rows > 2:
        legend = (
            (0.72, f"difference\nfrom λ = {LAMBDA:g}", "white"),
            (0.48, "orange: brighter", DIFFERENCE_COLORS[-1]),
            (0.36, "blue: darker", DIFFERENCE_COLORS[0]),
        )
        for height, text, color in legend:
            panels[3, 0].text(0.5, height, text, color=color, fontsize=9, ha="center", va="center")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    figure.savefig(part, format="png", dpi=120, facecolor="black")
    part.replace(path)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: check the path.") from error
