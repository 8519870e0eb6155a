"""The pictures of the comparison: bars of the metrics, and one slice as every method fuses it."""

from pathlib import Path
from typing import Dict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure  # no pyplot: it would look for a display
from matplotlib.patches import Patch

from FunFuseSlicer.Logic.metrics import METRICS

from ..workflow.progress import count
from .evaluation_measure import COLORED, COPY, METHOD, MODEL, PROBE, Fuse

LOOKS = {
    MODEL: ("#1f77b4", "FunFuse"),
    METHOD: ("#8c96a3", "other fusion methods"),
    COLORED: ("#9ecae1", "luminance of FunFuse's colors"),
    COPY: ("#d9d9d9", "not fused at all"),
}
COLUMNS, MARGIN, INCHES = 5, 4, 2.4


def write_bars(means: pd.DataFrame, images: pd.DataFrame, path: Path) -> None:
    """Means as bars, the standard deviation over images as a line, the best fusion method in red.

    :param means: :func:`evaluation_measure.means` of one set; ``images`` the rows that they are of.
    """
    table = means[means.kind != PROBE].set_index("method")
    spread = images.groupby("method")[[*METRICS, "b_P"]].std(ddof=0).loc[table.index]
    # A gap where the kind changes.
    table["y"] = np.arange(len(table)) + 0.4 * (table.kind != table.kind.shift()).cumsum()
    figure = Figure(figsize=(15.5, 1.5 + 0.33 * len(table)), layout="constrained")
    panels = figure.subplots(1, len(METRICS) + 2, sharey=True)
    for panel, (name, metric) in zip(panels, METRICS.items()):
        # Q_IE begins at 0.802: from 0, all its bars would look the same.
        base = max(0.0, metric.low)
        title = f"{name} ↑" + (f"  (from {base:.3f})" if base else "")
        labels = _bars(panel, table, table[name], base, title, ".4f" if base else ".3f", spread[name])
        best = table[name].where(table.kind.isin([MODEL, METHOD])).argmax()
        labels[best].set(color="#c0392b", fontweight="bold")
    _bars(panels[-2], table, table.b_P, 0.0, "b_P, weight of the PET", ".3f", spread.b_P)
    panels[-2].axvline(0.5, color="0.4", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    time = np.log10(table.time)
    labels = _bars(panels[-1], table, time, time.min() - 0.35, "time, relative (log) ↓", ".3f")
    for label, ratio in zip(labels, table.time):
        label.set_text("" if np.isnan(ratio) else f"× {ratio:.3g}")
    panels[-1].axvline(0, color="0.4", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    panels[0].set_yticks(table.y, table.index)
    for text, kind in zip(panels[0].get_yticklabels(), table.kind):
        text.set_fontweight("bold" if kind == MODEL else "normal")
    panels[0].set_ylim(table.y.max() + 0.6, table.y.min() - 0.6)
    handles = [Patch(color=color, label=label) for color, label in LOOKS.values()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    size = f"{count(images.image.nunique(), 'image')} of {count(images.patient.nunique(), 'patient')}"
    figure.suptitle(f"Mean over {size}; lines: ± one standard deviation; red: best fusion method")
    figure.savefig(path, dpi=110, facecolor="white")


def _bars(panel, table: pd.DataFrame, values: pd.Series, base: float, title: str, digits: str, spread=None):
    """:return: the numbers beside the bars."""
    line = {"ecolor": "0.25", "elinewidth": 0.9}
    colors = [LOOKS[kind][0] for kind in table.kind]
    lengths = (values - base).round(6) + 0.0  # numbers of bars below 0 would stand on the left
    bars = panel.barh(table.y, lengths, 0.78, base, color=colors, xerr=spread, error_kw=line)
    low, high = panel.get_xlim()
    panel.set_xlim(low, high + 0.4 * (high - low))
    panel.axvline(base, color="0.4", linewidth=0.8)
    panel.set_title(title, fontsize=10)
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0, labelsize=9)
    panel.spines[:].set_visible(False)
    # White keeps the lines behind a number from crossing it.
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    texts = [format(round(value, 6) + 0.0, digits) for value in values]
    return panel.bar_label(bars, texts, padding=3, fontsize=8.5, color="0.15", bbox=box)


def write_sheet(mri: np.ndarray, pet: np.ndarray, methods: Dict[str, Fuse], path: Path) -> None:
    """MRI, PET and the fused image of each method side by side.

    :param mri: a slice that may be published, (rows, columns) float32 in [0, 1]; ``pet`` likewise.
    """
    pictures = {"MRI": mri, "PET": pet, **{name: fuse(mri, pet) for name, fuse in methods.items()}}
    head = (mri > 0) | (pet > 0)
    lines = (np.flatnonzero(head.any(axis=axis)) for axis in (1, 0))
    box = tuple(slice(max(0, line[0] - MARGIN), line[-1] + MARGIN + 1) for line in lines)
    rows = -(-len(pictures) // COLUMNS)
    height, width = head[box].shape
    figure = Figure(figsize=(INCHES * COLUMNS, (INCHES * height / width + 0.3) * rows), facecolor="black")
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    figure.subplots_adjust(0.004, 0.004, 0.996, 1 - 0.28 / figure.get_figheight(), wspace=0.02, hspace=0.1)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, (name, image) in zip(panels.flat, pictures.items()):
        panel.imshow(image[box], cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
        panel.set_title(name, color="white", fontsize=10, pad=3)
    figure.savefig(path, dpi=110)
