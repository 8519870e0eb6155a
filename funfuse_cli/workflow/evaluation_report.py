"""What ``evaluate`` shows and writes: tables for the terminal, CSV, Markdown, and bars.

A row is a dictionary from column to value: names of :func:`metrics.evaluate_pair`, ``ms`` (time per image in
milliseconds), and what tells rows apart, such as ``method`` or ``slice``. NaN stands for "not defined".
"""

import csv
import math
import textwrap
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

import numpy as np

from FunFuseSlicer.Logic.metrics import FIELD, SETS
from FunFuseSlicer.Logic.metrics.slices import MEANINGS as OTHER_MEANINGS

from .. import terminal
from .paired_comparison import SIGNIFICANT, leaders, lowest_possible
from .progress import count

Row = Dict[str, object]

# Columns of a terminal at most, and of them for the names of methods. A longer name has a line of its own.
WIDTH, ROOM = 80, 20

# What the columns mean.
MEANINGS = {
    **{name: metric.rewards for name, metric in SETS["all"].items()},
    **OTHER_MEANINGS,
    "ms": "time per image, median",
}
LOWER = ("excess", "MSE_MRI", "MSE_PET", "loss", "ms")
UNDIRECTED = ("b_M", "b_P")
# What says beside the metrics whether the PET is in an image, and its head in a narrow table.
BESIDE = {"b_P": "b_P", "rank_fused": "rank"}
# Where a value is not defined.
UNDEFINED = {name: metric.undefined for name, metric in SETS["all"].items() if metric.undefined}
UNDEFINED["rank_fused"] = "too little of the PET is above 5 % of white, or one image is constant there"

# For people who read a table, by the set of metrics.
REWARDS = {
    "paper": "What the metrics reward: an unfused copy of the MRI beats, as a rule, every fusion method on "
    "Q_IE, Q_FMI and Q_G, so these do not show that the PET is in the image; b_P and rank_fused do. A "
    "background that is not black is punished heavily by Q_SSIM.",
    "field": "What the metrics reward: an unfused copy of the MRI beats, as a rule, most fusion methods on "
    "MI, VIF, Qabf and SSIM, so these do not show that the PET is in the image; b_P and rank_fused do. EN, "
    "SD and SF look at the fused image alone: more contrast than the sources have raises them, and shows as "
    "excess. A background that is not black costs SSIM all of it.",
}
REWARDS["all"] = "\n\n".join(REWARDS.values())

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
    """A line per number: name, value, and what it means, or why there is none."""
    lines = []
    for name, value in numbers(row).items():
        missing = _missing(value) and name in UNDEFINED
        meaning = f"not defined where {UNDEFINED[name]}" if missing else MEANINGS[name]
        lines.append(f"{name:<12}{_number(name, value):>9}  {meaning}")
    return "\n".join(lines)


def text_of_methods(rows: List[Row]) -> str:
    """A line per method; as many blocks of columns as a terminal needs, the metrics before the rest."""
    names = [str(row["method"]) for row in rows]
    room = min(ROOM, max(map(len, names)))
    starts = [f"{name:<{room}}" if len(name) <= room else f"{name}\n{'':<{room}}" for name in ["", *names]]
    blocks: List[List[str]] = []
    widest = width = min(WIDTH, terminal.width())
    for column in sorted(numbers(rows[0]), key=lambda name: name not in SETS["all"] and name not in BESIDE):
        cells = [BESIDE.get(column, column), *(_number(column, row[column]) for row in rows)]
        wide = 1 + max(map(len, cells))
        if width + wide > widest:
            blocks.append(starts)
            width = room
        width += wide
        blocks[-1] = [f"{line}{cell:>{wide}}" for line, cell in zip(blocks[-1], cells)]
    return "\n\n".join("\n".join(block) for block in blocks)


def undefined(rows: List[Row]) -> List[str]:
    """A sentence for each metric that is not defined for every row: for which methods, and why."""
    sentences = []
    for column, why in UNDEFINED.items():
        missing = [str(row["method"]) for row in rows if _missing(row.get(column))]
        if missing:
            found = ", ".join(
                f"{name} ({count(missing.count(name), 'image')})" for name in dict.fromkeys(missing)
            )
            sentences.append(f"{column} is not defined where {why}: {found}. Means are over the rest.")
    return sentences


def beyond_chance(
    means: List[Row], compared: List[Row], columns: Sequence[str], among: Sequence[str], patients: int
) -> List[str]:
    """Sentences: the highest method of each column, and those whose difference from it may be chance.

    :param means: of :func:`.paired_comparison.intervals`; ``compared`` of ``comparisons``.
    :param among: the methods that compete.
    """
    tests = "paired Wilcoxon tests, corrected by Holm for all couples"
    methods = len({row["method"] for row in means})
    if lowest_possible(patients, methods) > SIGNIFICANT:
        # Not even a method that is higher for every patient would be told from another.
        return [f"{count(patients, 'patient')} are too few to tell any of {methods} methods apart ({tests})."]
    sentences = [f"Highest, and what may be as high but for chance ({tests}):"]
    for column, best, alike in leaders(means, compared, columns, among):
        sentences.append(f"{column}: {best}" + (f"; {', '.join(alike)}" if alike else "") + ".")
    return sentences


def wrapped(sentences: Iterable[str]) -> str:
    """For the terminal, each sentence on lines of its own."""
    width = min(WIDTH, terminal.width())
    return "\n".join(textwrap.fill(sentence, width, subsequent_indent="  ") for sentence in sentences)


def write_csv(rows: List[Row], path: Path) -> None:
    """All columns of the rows; a cell is empty where there is no value."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain(row) for row in rows)


def write_markdown(
    rows: List[Row], path: Path, facts: Iterable[str], findings: Iterable[str], rewards: str
) -> None:
    """A row per method, then how to read it.

    :param facts: sentences to put above the table; ``findings`` below.
    :param rewards: of :data:`REWARDS`.
    """
    columns = list(numbers(rows[0]))
    lines = [*facts, ""]
    lines.append("| method | " + " | ".join(f"{name}{_arrow(name)}" for name in columns) + " |")
    lines.append("|---|" + "---:|" * len(columns))
    for row in rows:
        lines.append(f"| {row['method']} | " + " | ".join(_number(c, row[c]) for c in columns) + " |")
    lines += ["", *(f"- {sentence}" for sentence in findings), "", rewards, ""]
    lines += [*(f"- {name}: {MEANINGS[name]}" for name in columns)]
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
    base = max(0.0, SETS["all"][column].low) if column in SETS["all"] else 0.0
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
    digits = 2 if name in ("SD", "SF", "b_M", *BESIDE) else 3 if name in FIELD or name == "excess" else 4
    return f"{round(value, digits) + 0.0:.{digits}f}"  # no "-0.000"


def _missing(value) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
