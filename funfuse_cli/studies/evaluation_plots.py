"""The bars of the comparison: five metrics, the PET's weight, and time, a row per method."""

import math
from pathlib import Path
from typing import Dict, List

import numpy as np

from FunFuseSlicer.Logic.metrics import METRICS

from .evaluation_findings import Measured, compared
from .evaluation_measure import COLORED, COPY, METHOD, MODEL, PROBE

COLORS = {MODEL: "#1f77b4", METHOD: "#8c96a3", COLORED: "#9ecae1", COPY: "#d9d9d9"}
MEANINGS = {
    MODEL: "FunFuse",
    METHOD: "other fusion methods",
    COLORED: "luminance of FunFuse's colors",
    COPY: "not fused at all",
}
BEST = "#c0392b"
# Keeps the lines behind a number from crossing it.
PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def write_bars(measured: Measured, path: Path) -> None:
    """Means as bars, the standard deviation over images as a line; the file is replaced in one go."""
    # Imported on use: it takes a second. No pyplot: it would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    table = [row for row in measured.table if row["kind"] != PROBE]
    figure = Figure(figsize=(15.5, 1.5 + 0.33 * len(table)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(METRICS) + 2, sharey=True)
    places = _places(table)
    for panel, name in zip(panels, [*METRICS, "b_P"]):
        _bars(panel, measured, table, places, name)
    _times(panels[-1], table, places)
    panels[0].set_yticks(places, [row["method"] for row in table])
    for text, row in zip(panels[0].get_yticklabels(), table):
        text.set_fontweight("bold" if row["kind"] == MODEL else "normal")
    panels[0].set_ylim(max(places) + 0.6, min(places) - 0.6)
    handles = [Patch(color=COLORS[kind], label=text) for kind, text in MEANINGS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.suptitle(
        f"{measured.title}: mean over {measured.size}; lines: ± one standard deviation; red: best fusion "
        "method",
        fontsize=11,
    )
    part = Path(path).with_suffix(".part")
    figure.savefig(part, format="png", dpi=110, facecolor="white")
    part.replace(path)


def _places(table: List[Dict]) -> List[float]:
    """From top to bottom, with a gap where the kind changes."""
    places, y = [], 0.0
    for before, row in zip([table[0], *table], table):
        y += 0.4 if before["kind"] != row["kind"] else 0.0
        places.append(y)
        y += 1.0
    return places


def _bars(panel, measured: Measured, table: List[Dict], places: List[float], name: str) -> None:
    values = np.array([row[name] for row in table])
    spread = np.array(
        [np.std([row[name] for row in measured.rows if row["method"] == entry["method"]]) for entry in table]
    )
    # Q_IE begins at 0.802: from 0, all its bars would look the same.
    base = max(0.0, METRICS[name].low) if name in METRICS else 0.0
    panel.barh(places, values - base, left=base, color=[COLORS[row["kind"]] for row in table], height=0.78)
    panel.errorbar(values, places, xerr=spread, fmt="none", ecolor="0.25", elinewidth=0.9, zorder=3)
    low, high = min(base, (values - spread).min()), (values + spread).max()
    span = (high - low) or 1.0
    best = max(compared(measured.table), key=lambda row: row[name])["method"] if name in METRICS else None
    for row, y, value, deviation in zip(table, places, values, spread):
        is_best = row["method"] == best
        panel.text(
            max(value, base) + deviation + 0.03 * span,
            y,
            f"{value + 0.0:.4f}" if name == "Q_IE" else f"{round(value, 3) + 0.0:.3f}",
            va="center",
            fontsize=8.5,
            color=BEST if is_best else "0.15",
            fontweight="bold" if is_best else "normal",
            bbox=PATCH,
        )
    panel.set_xlim(low, high + 0.42 * span)
    panel.axvline(base, color="0.4", linewidth=0.8)
    if name == "b_P":
        panel.axvline(0.5, color="0.4", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
        _finish(panel, "b_P, weight of the PET")
    else:
        _finish(panel, f"{name} ↑" + (f"  (from {base:.3f})" if base else ""))


def _times(panel, table: List[Dict], places: List[float]) -> None:
    """Relative to the first model, on a logarithmic axis."""
    timed = [(row, y) for row, y in zip(table, places) if not math.isnan(row["ratio"])]
    logs = [math.log10(row["ratio"]) for row, _ in timed]
    low = min(0.0, *logs) - 0.35
    span = max(0.0, *logs) - low
    panel.barh(
        [y for _, y in timed],
        [value - low for value in logs],
        left=low,
        color=[COLORS[row["kind"]] for row, _ in timed],
        height=0.78,
    )
    for (row, y), value in zip(timed, logs):
        panel.text(
            value + 0.03 * span,
            y,
            times_text(row["ratio"]),
            va="center",
            fontsize=8.5,
            color="0.15",
            bbox=PATCH,
        )
    panel.set_xlim(low, low + 1.5 * span)
    panel.axvline(0, color="0.4", linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    _finish(panel, "time, relative (log) ↓")


def times_text(ratio: float) -> str:
    """A ratio of times: two digits are all that it is good for."""
    if not math.isfinite(ratio):
        return "–"
    return f"× {ratio:.0f}" if ratio >= 10 else f"× {float(f'{ratio:.2g}'):g}"


def _finish(panel, title: str) -> None:
    panel.set_title(title, fontsize=10)
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0, labelsize=9)
    panel.spines[:].set_visible(False)
