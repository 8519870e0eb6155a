"""What ``evaluate`` shows and writes: tables for the terminal, CSV, Markdown, and bars.

A row is a dictionary from column to value: names of :func:`metrics.evaluate_pair`, ``ms`` (time per image in
milliseconds), and what tells rows apart, such as ``method`` or ``slice``. NaN stands for "not defined".
"""

import csv
import math
from pathlib import Path
from typing import Dict, Iterable, List, Optional

import numpy as np

from FunFuseSlicer.Logic.metrics import METRICS
from FunFuseSlicer.Logic.metrics.slices import MEANINGS as OTHER_MEANINGS

Row = Dict[str, object]

# What the columns beside the five metrics mean.
MEANINGS = {
    **{name: metric.rewards for name, metric in METRICS.items()},
    **OTHER_MEANINGS,
    "ms": "time per image, median",
}
LOWER = ("excess", "MSE_MRI", "MSE_PET", "loss", "ms")
UNDIRECTED = ("b_M", "b_P")

REWARDS = (
    "What the metrics reward: an unfused copy of the MRI beats, as a rule, every fusion method on Q_IE, "
    "Q_FMI and Q_G, so these do not show that the PET is in the image; b_P and rank_fused do. A background "
    "that is not black is punished heavily by Q_SSIM."
)

COPY_COLOR, REFERENCE_COLOR, MODEL_COLOR = "0.82", "0.6", "tab:blue"


def numbers(row: Row) -> Row:
    """The measured columns of a row, in its order."""
    return {name: value for name, value in row.items() if name in MEANINGS}


def mean_of(rows: List[Row]) -> Row:
    """Mean of every measured column over the rows where it is defined; for ``ms`` the median.

    NaN where no row defines it.
    """
    result = {}
    for name in numbers(rows[0]):
        values = [row[name] for row in rows if not math.isnan(row[name])]
        average = np.median if name == "ms" else np.mean
        result[name] = float(average(values)) if values else math.nan
    return result


def plain(row: Row) -> Row:
    """The row for JSON, which knows no NaN: None stands for it."""
    return {name: None if _missing(value) else value for name, value in row.items()}


def text_of_one(row: Row) -> str:
    """A line per number: name, value, and what it means."""
    return "\n".join(
        f"{name:<12}{_number(name, value):>9}  {MEANINGS[name]}" for name, value in numbers(row).items()
    )


def text_of_methods(rows: List[Row]) -> str:
    """A line per metric, a column per method."""
    names = [str(row["method"]) for row in rows]
    lines = [" " * 12 + "".join(f"{name:>{len(name) + 2}}" for name in names)]
    for column in numbers(rows[0]):
        cells = (f"{_number(column, row[column]):>{len(name) + 2}}" for name, row in zip(names, rows))
        lines.append(f"{column:<12}" + "".join(cells))
    return "\n".join(lines)


def write_csv(rows: List[Row], path: Path) -> None:
    """All columns of the rows; a cell is empty where there is no value."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain(row) for row in rows)


def write_markdown(rows: List[Row], path: Path, facts: Iterable[str]) -> None:
    """A row per method, then how to read it.

    :param facts: sentences to put above the table.
    """
    columns = list(numbers(rows[0]))
    lines = [*facts, ""]
    lines.append("| method | " + " | ".join(f"{name}{_arrow(name)}" for name in columns) + " |")
    lines.append("|---|" + "---:|" * len(columns))
    for row in rows:
        lines.append(f"| {row['method']} | " + " | ".join(_number(c, row[c]) for c in columns) + " |")
    lines += ["", REWARDS, "", *(f"- {name}: {MEANINGS[name]}" for name in columns)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_bars(rows: List[Row], path: Path, title: Optional[str] = None) -> None:
    """One panel per metric with a bar per method; methods run from top to bottom in each.

    The first method stands out, and those named "copy ..." stand back.
    """
    # Imported on use: it takes a second, and only this needs it. No pyplot: it would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = list(numbers(rows[0]))
    names = [str(row["method"]) for row in rows]
    across = 5
    down = -(-len(columns) // across)
    figure = Figure(figsize=(13, down * (0.9 + 0.27 * len(rows))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for panel, column in zip(panels, columns):
        _bars(panel, column, names, [float(row[column]) for row in rows])
    for panel in panels[len(columns) :]:
        panel.set_axis_off()
    panels[0].invert_yaxis()  # shared by all
    if title:
        figure.suptitle(title, fontsize="medium")
    figure.savefig(path, format="png", dpi=110)


def _bars(panel, column: str, names: List[str], values: List[float]) -> None:
    colors = [_color(name) for name in names]
    # Bars begin at the metric's lowest value where that is above 0: Q_IE's would all look the same.
    base = max(0.0, METRICS[column].low) if column in METRICS else 0.0
    lengths = np.round(np.nan_to_num(values, nan=base) - base, 6) + 0.0
    bars = panel.barh(names, lengths, left=base, color=colors, height=0.75)
    panel.bar_label(bars, [_number(column, value) for value in values], padding=3, fontsize="small")
    low, high = min(0.0, lengths.min()), max(0.0, lengths.max())
    span = (high - low) or 1.0
    # Room for the numbers, which stand beyond the bars.
    panel.set_xlim(base + low - (0.45 * span if low < 0 else 0), base + high + 0.45 * span)
    title = ("time (ms)" if column == "ms" else column) + _arrow(column)
    panel.set_title(title + (f"  (from {base:.3f})" if base else ""), fontsize=10)
    panel.axvline(base, color="0.4", linewidth=0.8)
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0, labelsize="small")
    panel.spines[:].set_visible(False)


def _color(name: str) -> str:
    if name.startswith("copy"):
        return COPY_COLOR
    return MODEL_COLOR if name.startswith("FunFuse") else REFERENCE_COLOR


def _arrow(name: str) -> str:
    """Which way is better."""
    return "" if name in UNDIRECTED else " ↓" if name in LOWER else " ↑"


def _number(name: str, value) -> str:
    if _missing(value):
        return "–"
    if name == "ms":
        return f"{value:.2g}" if value < 10 else f"{value:.0f}"
    return f"{round(value, 4) + 0.0:.4f}"  # no "-0.0000"


def _missing(value) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
