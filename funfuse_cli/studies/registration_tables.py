"""What the study of the registration writes: its tables and pictures."""

import json
from pathlib import Path
from typing import Dict, List

import numpy as np
import pandas as pd
import SimpleITK as sitk
from matplotlib.figure import Figure

from FunFuseSlicer.Logic.registration import alignment_pictures as alignment
from FunFuseSlicer.Logic.registration import decompose
from FunFuseSlicer.Logic.registration.pair import JUDGE_MM
from FunFuseSlicer.Logic.registration.preparation import prepare
from FunFuseSlicer.Logic.volumes.geometry import resample
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..benchmarks.timing import machine
from . import registration_cases as cases


def write(records: List[dict], data: Path, docs: Path) -> None:
    """Write ``docs/data/registration_*.csv``, whose README explains them, and ``docs/images``."""
    runs = pd.DataFrame(records).sort_values(["family", "case", "seed", "engine"])
    found = runs[runs.family == "template"].set_index("case").loc[["rigid", "affine"]]
    matrices, pair = {"as given": np.eye(4), **found.matrix.map(np.array)}, cases.undisplaced(data, "affine")
    fixed, moving = prepare(pair.mri, JUDGE_MM), prepare(pair.pet, JUDGE_MM)
    sizes = pd.DataFrame([decompose(m).scale for m in matrices.values()], columns=list("RAS"))
    sizes.insert(0, "dice", [dice(fixed, moving, m) for m in matrices.values()])
    sizes.insert(0, "information", [found.similarity_before["affine"], *found.similarity_after])
    sizes.insert(0, "result", list(matrices))
    constants = {name.lower(): value for name, value in vars(cases).items() if isinstance(value, float)}
    facts = {**machine(), "simpleitk": sitk.Version.VersionString(), **constants}
    for folder in ("data", "images"):
        (docs / folder).mkdir(parents=True, exist_ok=True)
    for name, table in (("runs", runs.drop(columns="matrix")), ("template", sizes)):
        table.round(6).to_csv(docs / "data" / f"registration_{name}.csv", index=False, lineterminator="\n")
    path = docs / "data" / "registration_facts.json"
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    plot_errors(runs, docs / "images" / "registration_errors.png")
    plot_template(pair, matrices, docs / "images" / "registration_template.png")


def dice(fixed, moving, matrix: np.ndarray) -> float:
    """Dice overlap of the masks of two working images under a matrix (RAS, moving to fixed)."""
    inverse = np.linalg.inv(matrix)
    transform = sitk.AffineTransform(inverse[:3, :3].ravel().tolist(), inverse[:3, 3].tolist())
    moved = sitk.Resample(moving.mask, fixed.mask, transform, sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)
    first, second, whole = (sitk.GetArrayViewFromImage(m) > 0 for m in (fixed.mask, moved, moving.mask))
    # All of the moving head counts, also what lies outside of the fixed volume.
    volume = whole.sum() * abs(np.linalg.det(matrix[:3, :3]))
    return float(2.0 * (first & second).sum() / (first.sum() + volume))


def plot_errors(runs: pd.DataFrame, path: Path) -> None:
    """Which part of the displaced pairs, those without a result among them, has an error below a value."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    panel = figure.subplots()
    shown = runs[(runs.seed > 0) & runs.family.isin(["known truth", "FDG", "SPECT"])]
    for (family, engine), group in shown.groupby(["family", "engine"]):
        column = "error_mm" if family == "known truth" else "agreement_mm"
        label = f"{family}: {column.replace('_mm', '')}, {engine}, n = {len(group)}"
        errors, parts = np.sort(group[column].fillna(1e6)), np.linspace(0, 100, 1 + len(group))
        panel.step([0, *errors, 1e9], [*parts, 100], where="post", lw=2, label=label)
    panel.set(xlim=(0, 1), ylim=(0, 102), xlabel="mean error over the brain [mm]", ylabel="registrations [%]")
    panel.grid(alpha=0.3)
    panel.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def plot_template(pair: cases.Pair, matrices: Dict[str, np.ndarray], path: Path) -> None:
    """Edges of the MRI over the PET, and checkerboards, axial and coronal; a column for each transform."""
    unit = normalize(clean(pair.mri)[0].array)
    head = np.argwhere(unit > 0.05)
    low, high = np.maximum(head.min(axis=0) - 6, 0), head.max(axis=0) + 7
    (z, y, _), (height, depth, _), inside = (low + high) // 2, high - low, [*map(slice, low, high)]
    edges, gray = alignment.edge_map(unit, pair.mri.spacing), alignment.gray_color(unit)
    figure = Figure(figsize=(8.6, 13.2), layout="constrained", facecolor="0.1")
    panels = figure.subplots(4, len(matrices), height_ratios=[depth, height] * 2)
    for (name, matrix), column in zip(matrices.items(), panels.T):
        pet = normalize(np.maximum(resample(pair.pet, pair.mri, matrix).array, 0.0))
        hot = alignment.tinted(pet, alignment.hot_table())
        board = alignment.checkerboard(gray, hot, pair.mri.spacing)
        column[0].set_title(name, color="white")
        for row, picture in ((0, alignment.edges_over(edges, pet)), (2, board)):
            column[row].imshow(picture[z, inside[1], inside[2]], origin="lower")
            column[row + 1].imshow(picture[inside[0], y, inside[2]], origin="lower")
    for panel in figure.axes:
        panel.axis("off")
    figure.savefig(path, dpi=110)
