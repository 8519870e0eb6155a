"""The picture of a training run in the manner of the paper's Fig. 3: L_SSIM and L_l2 against step."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

from FunFuseSlicer.Logic.output_folder import part_of, put

PANELS = (("L_SSIM", "$L_{SSIM}$"), ("L_l2", r"$L_{\ell_2}$"))
TRAINING_COLOR, AVERAGE_COLOR = "0.65", "0.35"
GROUP_STYLES = ("-", "--", ":")


def write_loss_curve(
    rows: List[Dict],
    path: Path,
    lambdas: Sequence[float],
    groups: Sequence[str] = (),
    average: Optional[Sequence[float]] = None,
) -> None:
    """Draw the rows of a run's log; the file is replaced in one go.

    :param rows: see :func:`trainer.train`.
    :param lambdas: the λ at which held-out pairs were measured.
    :param groups: their names.
    :param average: L_SSIM and L_l2 of the plain average of the first group's pairs, for comparison.
    """
    # Imported on use: it takes a second, and only this needs it. No pyplot: it would look for a display.
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    colors = colormaps["viridis"]
    panels = figure.subplots(1, len(PANELS))
    for number, (panel, (column, title)) in enumerate(zip(panels, PANELS)):
        steps = [row["step"] for row in rows if column in row]
        values = [row[column] for row in rows if column in row]
        fixed = len(lambdas) == 1
        label = "training" if fixed else "training, random λ"
        panel.plot(steps, values, color=TRAINING_COLOR, linewidth=1.5, label=label)
        shown = list(values)
        for group, style in zip(groups, GROUP_STYLES):
            for index, lam in enumerate(lambdas):
                name = f"{group} λ={lam} {column}"
                points = [(row["step"], row[name]) for row in rows if row.get(name) not in (None, "")]
                if not points:
                    continue
                # The bright end of the color map does not show on white.
                color = colors(0.85 * index / max(1, len(lambdas) - 1)) if not fixed else "tab:blue"
                panel.plot(
                    *zip(*points),
                    color=color,
                    linestyle=style,
                    linewidth=1.5,
                    marker="o",
                    markersize=3,
                    label=f"{group}, λ = {lam:g}",
                )
                shown += [value for _, value in points]
        if average is not None:
            panel.axhline(
                average[number],
                color=AVERAGE_COLOR,
                linestyle=(0, (1, 2)),
                linewidth=1.2,
                label=f"plain average, {groups[0]}",
            )
            shown.append(average[number])
        panel.set_xlabel("step")
        panel.set_ylabel(title)
        _set_range(panel, shown)
        panel.set_xlim(left=0)
        panel.grid(color="0.92")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize="small")
    part = part_of(Path(path))
    figure.savefig(part, format="png", dpi=130)
    put(part, Path(path))


def _set_range(panel, values: List[float]) -> None:
    """A logarithmic axis where the losses fall by much: the first steps would hide all the rest."""
    if values and min(values) > 0 and max(values) > 6 * min(values):
        panel.set_yscale("log")
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
