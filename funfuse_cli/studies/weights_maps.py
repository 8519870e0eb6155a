"""The heat maps of the metrics over λ and Ω, and what they say in words."""

import math
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from FunFuseSlicer.Logic.metrics import METRICS

# The choice of the paper's section 3.3.
PAPER_CHOICE = (0.8, 0.6)

COLORS, WEIGHT_COLORS = "viridis", "cividis"
BEST_COLOR, PAPER_COLOR = "#e8112d", "#ffffff"


def grid(rows: List[dict], name: str) -> Tuple[List[float], List[float], np.ndarray]:
    """(values of λ, values of Ω, values (Ω, λ)) of one column; NaN where there is no row."""
    lambdas, omegas = (sorted({row[axis] for row in rows}) for axis in ("lambda", "omega"))
    values = np.full((len(omegas), len(lambdas)), math.nan)
    for row in rows:
        values[omegas.index(row["omega"]), lambdas.index(row["lambda"])] = row[name]
    return lambdas, omegas, values


def best(rows: List[dict], name: str) -> dict:
    """The row with the highest value among those with color, Ω above 0."""
    return max((row for row in rows if row["omega"] > 0), key=lambda row: row[name])


def findings(rows: List[dict]) -> List[str]:
    """Sentences about where the metrics are highest; all from the numbers."""
    names = list(METRICS)
    places: Dict[Tuple[float, float], List[str]] = {}
    for name in names:
        row = best(rows, name)
        places.setdefault((row["lambda"], row["omega"]), []).append(name)
    said = [
        f"Highest with color: {_list(where)} at λ = {lam:g}, Ω = {omega:g}."
        for (lam, omega), where in sorted(places.items(), key=lambda item: -len(item[1]))
    ]
    lam, omega = PAPER_CHOICE
    if any((row["lambda"], row["omega"]) == PAPER_CHOICE for row in rows):
        ours = len(places.get(PAPER_CHOICE, []))
        said.append(
            f"The paper reports λ = {lam:g} and Ω = {omega:g} as highest for three of the metrics; here "
            f"these weights are highest for {_count(ours, len(names))}."
        )
    gray = [row for row in rows if row["omega"] == 0]
    if gray:
        higher = [name for name in names if max(row[name] for row in gray) > best(rows, name)[name]]
        said.append(
            f"Without color (Ω = 0) {_list(higher)} {'is' if len(higher) == 1 else 'are'} higher than with "
            "any color: here the metrics speak against color, which they cannot see, and do not say how much "
            "of it to show."
            if higher
            else "No metric is highest without color (Ω = 0)."
        )
    spans = {name: _spans(rows, name) for name in names}
    by_omega = [name for name, (over_lambda, over_omega) in spans.items() if over_omega > over_lambda]
    flat = [
        name for name in names if np.ptp(grid(rows, name)[2]) < np.mean([row[f"{name} sd"] for row in rows])
    ]
    if flat:
        said.append(
            f"Over the whole grid {_list(flat)} change{'s' if len(flat) == 1 else ''} less than from image "
            "to image (one standard deviation): where exactly it is highest says little."
        )
    said.append(
        f"Ω changes {_list(by_omega)} more than λ does." if by_omega else "λ changes every metric more."
    )
    return said


def _spans(rows: List[dict], name: str) -> Tuple[float, float]:
    """How far a metric moves along λ at fixed Ω, and along Ω at fixed λ, in the mean."""
    _, omegas, values = grid(rows, name)
    values = values[[index for index, omega in enumerate(omegas) if omega > 0]]
    return float(np.ptp(values, axis=1).mean()), float(np.ptp(values, axis=0).mean())


def write_heat_maps(rows: List[dict], path: Path, title: str) -> None:
    """One panel per metric, and one for the PET's weight; the file is replaced in one go.

    The row Ω = 0, if there is one, stands apart below the others: it is the image without color.

    :param rows: see :func:`weights_grid.mean_rows`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.5, 9.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    panels = figure.subplots(2, 3).ravel()
    for panel, name in zip(panels, [*METRICS, "b_P"]):
        _heat_map(figure, panel, rows, name)
    figure.suptitle(title, fontsize=13)
    part = Path(path).with_suffix(".part")
    figure.savefig(part, format="png", dpi=110, facecolor="white")
    part.replace(path)


def _heat_map(figure, panel, rows: List[dict], name: str) -> None:
    from matplotlib import colormaps

    is_metric = name in METRICS
    lambdas, omegas, values = grid(rows, name)
    # Places on the y axis: the gray row stands half a cell apart.
    places = [index - (0.35 if omega == 0 else 0) for index, omega in enumerate(omegas)]
    low, high = np.nanmin(values), np.nanmax(values)
    colors = colormaps[COLORS if is_metric else WEIGHT_COLORS]
    scale = (values - low) / ((high - low) or 1.0)
    digits = _digits(high - low)
    for row, y in enumerate(places):
        panel.imshow(
            values[row : row + 1],
            extent=(-0.5, len(lambdas) - 0.5, y - 0.5, y + 0.5),
            cmap=colors,
            vmin=low,
            vmax=high if high > low else low + 1,
            aspect="auto",
            origin="lower",
        )
        for column in range(len(lambdas)):
            red, green, blue, _ = colors(scale[row, column])
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            text = _cell(values[row, column], digits, low)
            panel.text(
                column,
                y,
                text,
                ha="center",
                va="center",
                fontsize=7.5 if digits < 5 else 6.8,
                color="white" if dark else "black",
            )
    panel.set_xlim(-0.5, len(lambdas) - 0.5)
    panel.set_ylim(places[0] - 0.5, places[-1] + 0.5)
    panel.set_xticks(range(len(lambdas)), [f"{lam:g}" for lam in lambdas])
    labels = [f"{omega:g}" if omega else "0 (gray)" for omega in omegas]
    panel.set_yticks(places, labels)
    panel.tick_params(length=0, labelsize=9)
    panel.spines[:].set_visible(False)
    panel.set_xlabel("λ, structure against intensity", fontsize=9.5)
    panel.set_ylabel("Ω, strength of color", fontsize=9.5)
    title = name
    if is_metric:
        row = best(rows, name)
        title += f" ↑   best {row[name]:.{digits}f}"
        _frame(panel, lambdas, omegas, places, (row["lambda"], row["omega"]), BEST_COLOR, "-")
    else:
        title += ", weight of the PET (1/2: plain average)"
    _frame(panel, lambdas, omegas, places, PAPER_CHOICE, PAPER_COLOR, (0, (2, 1.4)))
    panel.set_title(title, fontsize=11.5, fontweight="bold", loc="left")
    bar = figure.colorbar(panel.images[0], ax=panel, pad=0.015, fraction=0.045, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=8)


def _frame(panel, lambdas, omegas, places, where, color, style) -> None:
    """A frame around one cell, if the grid has it."""
    from matplotlib.patches import Rectangle

    if where[0] not in lambdas or where[1] not in omegas:
        return
    x, y = lambdas.index(where[0]), places[omegas.index(where[1])]
    inset = 0.45
    panel.add_patch(
        Rectangle(
            (x - inset, y - inset), 2 * inset, 2 * inset, fill=False, color=color, lw=2.2, ls=style, zorder=3
        )
    )


def _digits(span: float) -> int:
    """Decimals that let the cells differ."""
    return 3 if span > 0.05 else 4 if span > 0.002 else 5


def _cell(value: float, digits: int, low: float) -> str:
    """Without the leading zero, which would repeat a hundred times."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") and low >= 0 else text


def _list(names: List[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _count(number: int, of: int) -> str:
    return "none of them" if number == 0 else f"{number} of {of}"
