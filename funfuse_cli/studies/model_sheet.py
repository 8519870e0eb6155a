"""The pictures of the model page: plots of its numbers, and one slice that may be shown, over λ."""

from pathlib import Path
from typing import Mapping, Tuple

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.volumes.geometry import axial_order, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..reading.reader import read_volume
from ..training.pairs import Pair
from .model_measure import AVERAGE, HELD_OUT, LAMBDA, SHOWN, Study, Tables, movement

# Differences are shown so many times as strong; bars end at so many percent.
GAIN, WORST = 8, 12
DIFFERENCES = LinearSegmentedColormap.from_list("", ["#7fd4ff", "#1478c8", "black", "#d2691e", "#ffd08a"])


def draw(data: Mapping[str, pd.DataFrame], images: Path) -> None:
    """The plots, each of losses against the plain average's; over λ on the held-out patients."""
    losses = pd.concat([data["model_ablation"], data["model_losses"], data["model_pixels"]])
    losses = losses.pivot_table("loss", "method", "group", sort=False)
    curves = pd.concat(
        [data["model_lambda"], data["model_tuned"].assign(method="paper, tuned for this λ alone")]
    )
    curves = curves[curves.group == HELD_OUT].pivot_table("loss", "λ", "method", sort=False)
    inputs, bars = data["model_inputs"], {"kind": "barh", "ylabel": "", "width": 0.75}
    inputs = inputs.assign(share=inputs.loss / inputs.average)
    for name, shares, style in (
        ("model_ablation", losses[::-1] / losses.loc[AVERAGE], bars),
        ("model_generalization", inputs.pivot_table("share", "change", "method", sort=False)[::-1], bars),
        ("model_lambda", curves.div(curves[AVERAGE], axis=0), {"marker": "."}),
    ):
        figure, percent = Figure(figsize=(9.5, 6.5), layout="constrained"), 100 * (shares - 1)
        percent.clip(upper=WORST).plot(ax=figure.subplots(), grid=True, legend=False, **style)
        figure.legend(title="loss against the plain average's, %", loc="outside upper center", ncols=4)
        figure.savefig(images / f"{name}.png", dpi=110)


def pictures(study: Study) -> Tables:
    """How far the picture of one axial slice moves from that at λ = 0.8; and a sheet of it, drawn."""
    mri, pet, _ = middle_slice(*study.options.picture)
    rows, columns = np.nonzero((mri > 0) | (pet > 0))
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    lines, found = 2 * len(study.models), []
    figure = Figure((1.75 * (len(SHOWN) + 1), 2.3 * lines), facecolor="black", layout="constrained")
    panels = figure.subplots(lines, len(SHOWN) + 1)

    def show(panel, image, title: str, low=0, colors="gray") -> None:
        panel.imshow(image[box], cmap=colors, vmin=low, vmax=1, interpolation="bilinear")
        panel.set_title(title, color="white", fontsize=8.5)

    show(panels[0, 0], mri, "MRI")
    show(panels[1, 0], pet, "PET")
    for model, upper, lower in zip(study.models, panels[::2, 1:], panels[1::2, 1:]):
        fused, moved = movement(model, Pair("", mri, pet))
        found.append(moved)
        for (lam, image), level, above, below in zip(fused.items(), moved.gray_levels, upper, lower):
            show(above, image, f"{model.name}, λ = {lam:g}")
            away = GAIN * (image - fused[LAMBDA])
            show(below, away, f"× {GAIN}, mean {level:.1f} of 255", -1, DIFFERENCES)
    for panel in panels.flat:
        panel.axis("off")
    figure.savefig(study.options.docs / "images" / "model_pictures.png", dpi=120)
    return {"pictures": pd.concat(found)}


def middle_slice(mri_path: Path, pet_path: Path) -> Tuple[np.ndarray, np.ndarray, int]:
    """The axial slice through the center of the uptake: MRI and PET in [0, 1], and its number from the feet.

    Noses point up, the patient's left is on the right.

    :raises InputError: the volumes cannot be read, or are not registered, on one grid.
    """
    volumes = [read_volume(path) for path in (mri_path, pet_path)]
    if not volumes[0].same_grid(volumes[1]):
        raise InputError(f"{pet_path} and {mri_path} have different grids: give the registered PET of fuse.")
    order = axial_order(volumes[0].ijk_to_ras)
    mri, pet = (to_axial(normalize(clean(volume)[0].array), order) for volume in volumes)
    number = round(float(np.average(np.arange(len(pet)), weights=pet.sum(axis=(1, 2), dtype=np.float64))))
    return np.ascontiguousarray(mri[number]), np.ascontiguousarray(pet[number]), number
