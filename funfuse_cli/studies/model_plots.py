"""The plots of the model page: they hold numbers only, no images of patients."""

import textwrap
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from .model_measure import Row
from .model_study import HELD_OUT, TEST

GROUP_TEXT = {TEST: "test pairs", HELD_OUT: "held-out patients"}
GROUP_COLOR = {TEST: "tab:blue", HELD_OUT: "tab:orange"}
MODEL_COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red")
GROUP_LINE = {TEST: "--", HELD_OUT: "-"}
GROUP_MARK = {TEST: "o", HELD_OUT: "s"}


# Losses above this are drawn at the edge; the number beside the point is the true one.
HIGHEST_LOSS = 2.0

# Characters of a variant's name on one line, so that the plot and not the names takes the width.
NAME_WIDTH = 36


def plot_ablation(rows: List[Row], path: Path) -> None:
    """A line per variant with a point per group; the plain average as a vertical line.

    :param rows: see :func:`model_ablation.ablation`; those that diverged are named without a point.
    """
    figure = _figure((9.5, 1.3 + 0.4 * len(rows)))
    panel = figure.subplots()
    for group, color in GROUP_COLOR.items():
        points = [
            (row["groups"][group]["loss"], y) for y, row in enumerate(rows) if _loss(row, group) is not None
        ]
        if not points:
            continue
        shown = [(min(x, HIGHEST_LOSS), y) for x, y in points]
        panel.scatter(*zip(*shown), color=color, label=GROUP_TEXT[group], zorder=3, s=34)
        for x, y in points:
            above = group == TEST
            panel.annotate(
                f"{x:.3f}" if x < 100 else f"{x:.0e}",
                (min(x, HIGHEST_LOSS), y),
                xytext=(0, 5 if above else -5),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=6.5,
                color=color,
            )
        average = [row for row in rows if row["name"] == "average" and _loss(row, group) is not None]
        if average:
            panel.axvline(average[0]["groups"][group]["loss"], color=color, linewidth=0.8, linestyle=":")
    for y, row in enumerate(rows):
        if not row["groups"]:
            panel.annotate("diverged", (0.5, y), xycoords=("axes fraction", "data"), va="center", color="0.4")
    names = [textwrap.fill(row["label"], NAME_WIDTH) for row in rows]
    panel.set_yticks(range(len(rows)), names, fontsize="small")
    panel.set_ylim(len(rows) - 0.4, -0.6)
    losses = [row["groups"][g]["loss"] for row in rows for g in GROUP_COLOR if _loss(row, g) is not None]
    losses = [min(loss, HIGHEST_LOSS) for loss in losses]
    if losses and max(losses) > 2 * min(losses):
        panel.set_xscale("log")
        ticks = [t for t in (0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2) if min(losses) * 0.9 < t]
        ticks = [t for t in ticks if t < max(losses) * 1.1]
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.set_xticks([], minor=True)
    panel.set_xlabel("loss at λ = 0.8 (lower is better); dotted: plain average")
    _finish(panel, figure, "x")
    _save(figure, path)


def plot_lambda(rows: List[Row], models: Sequence[str], path: Path) -> None:
    """Left: loss against λ as a share of the plain average's. Right: gap to a network for that λ alone.

    :param rows: see :func:`model_lambda.lambdas`.
    :param models: names of the models, the one that was fine-tuned first.
    """
    figure = _figure((10.5, 3.9))
    gaps = [row for row in rows if "gap" in row]
    panels = figure.subplots(1, 2 if gaps else 1, squeeze=False)[0]
    panel = panels[0]
    for group in GROUP_LINE:
        for column, color in zip([*models, "alone"], [*MODEL_COLORS[: len(models)], "black"]):
            points = [
                (row["lambda"], row["groups"][group][column] / row["groups"][group]["average"])
                for row in rows
                if {column, "average"} <= row["groups"].get(group, {}).keys()
            ]
            if points:
                text = f"{models[0]}, tuned for this λ alone" if column == "alone" else column
                panel.plot(
                    *zip(*points),
                    color=color,
                    linestyle=GROUP_LINE[group],
                    linewidth=1.0 if column == "alone" else 1.8,
                    marker="o" if column != "alone" else "x",
                    markersize=4,
                    label=f"{text}, {GROUP_TEXT[group]}",
                )
    panel.axhline(1.0, color="0.5", linewidth=0.9)
    panel.set_xlabel("λ")
    panel.set_ylabel("loss / loss of the plain average")
    _finish(panel, None, "both")
    if gaps:
        panel = panels[1]
        x = [row["lambda"] for row in gaps]
        colors = ["tab:green" if row["kept"] else "tab:red" for row in gaps]
        panel.bar(x, [100 * row["gap"] for row in gaps], width=0.06, color=colors)
        panel.step([-0.05, 0.05, 1.05], [100 * gaps[0]["limit"], 100 * gaps[0]["limit"], 2], color="0.4")
        panel.axhline(0, color="0.5", linewidth=0.9)
        panel.set_xlabel("λ")
        panel.set_ylabel(f"{models[0]} above one for this λ alone, %")
        _finish(panel, None, "y")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize="small",
        handlelength=3.5,
    )
    _save(figure, path)


def plot_generalization(rows: List[Row], path: Path) -> None:
    """For each change, the model's loss relative to the plain average's on the same inputs, in percent.

    :param rows: see :func:`model_robust.generalization`.
    """
    changes: Dict[str, str] = {row["change"]: row["text"] for row in rows}
    models = list(dict.fromkeys(row["model"] for row in rows))
    order = list(changes)
    figure = _figure((9, 1.4 + 0.3 * len(changes)))
    panel = figure.subplots()
    for model, color in zip(models, MODEL_COLORS):
        for group, mark in GROUP_MARK.items():
            points = [
                (100 * (row["loss"] / row["average"] - 1), order.index(row["change"]))
                for row in rows
                if row["model"] == model and row["group"] == group
            ]
            if points:
                panel.scatter(
                    *zip(*points),
                    color=color,
                    marker=mark,
                    facecolors="none" if group == HELD_OUT else color,
                    label=f"{model}, {GROUP_TEXT[group]}",
                    s=34,
                    zorder=3,
                )
    panel.axvline(0, color="0.35", linewidth=1)
    panel.set_yticks(range(len(order)), list(changes.values()), fontsize="small")
    panel.set_ylim(len(order) - 0.4, -0.6)
    panel.set_xlabel("loss against the plain average's on the same inputs, % (left of 0: better)")
    _finish(panel, figure, "x")
    _save(figure, path)


def _loss(row: Row, group: str) -> Optional[float]:
    loss = row["groups"].get(group, {}).get("loss")
    return loss if loss is not None and loss == loss else None  # NaN differs from itself


def _figure(size):
    # Imported on use: it takes a second. No pyplot: it would look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish(panel, figure, grid: str) -> None:
    panel.grid(color="0.92", axis=grid)
    if figure is not None:
        panel.grid(color="0.96", axis="y")
        handles, labels = panel.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize="small")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    figure.savefig(part, format="png", dpi=120)
    part.replace(path)
