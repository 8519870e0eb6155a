"""``funfuse.py study weights``: the paper's five metrics over λ and Ω (its section 3.3), with heat maps."""

import argparse
import json
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure  # no pyplot: it would look for a display
from matplotlib.patches import Rectangle

from FunFuseSlicer.Logic.color.colorize import MODES, jet_table
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import DEFAULT_MODEL, load_model
from FunFuseSlicer.Logic.metrics import METRICS, pet_weight
from FunFuseSlicer.Logic.metrics.images import to_8_bits
from FunFuseSlicer.Logic.output_folder import growing, putting

from ..paths import input_path, output_path
from ..training.pairs import Pair, read_pairs, to_unit
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.progress import count
from .evaluation_jobs import measure_all
from .evaluation_measure import colored_luminances

PAPER_CHOICE = (0.8, 0.6)


def main(arguments: List[str]) -> int:
    """Measure, then write the table, its settings and the heat maps."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study weights",
        description="The paper's five metrics, and the PET's weight, over λ and Ω, taken on the luminance of "
        "the colored image. Started again after an interruption it goes on where it stopped.",
    )
    add = parser.add_argument
    add("--pairs", type=input_path, required=True, metavar="DIR", help="pairs, laid out as for train")
    add("--model", default=DEFAULT_MODEL, metavar="NAME", help=f"default: {DEFAULT_MODEL}")
    add("--steps", type=int, default=10, metavar="N", help="values of λ and of Ω (10: 0.1 to 1)")
    add("--mode", default="contribution", choices=MODES, help="what gives the hue")
    add("--jobs", type=int, default=2, metavar="N", help="processes, one thread each")
    add("--out", type=output_path, required=True, metavar="DIR", help="for weights.csv, .json and .png")
    add_overwrite(parser)
    options = parser.parse_args(arguments)
    if min(options.steps, options.jobs) < 1:
        raise InputError("--steps and --jobs must be 1 or more.")
    # Ten steps from 0.1 to 1 hold the paper's own choice. Ω = 0 is the image without color.
    lambdas = [round((step + 1) / options.steps, 12) for step in range(options.steps)]
    pairs = list(enumerate(read_pairs([options.pairs])))
    settings = {"model": options.model, "mode": options.mode, "sha256": load_model(options.model).sha256}
    omegas = [0.0, *lambdas]
    tasks = [(pair, options.model, lam, omegas, options.mode) for _, pair in pairs for lam in lambdas]
    keys = [{"image": number, "patient": pair.patient} for number, pair in pairs for _ in lambdas]
    planned = claim(("weights.csv", "weights.png", "weights.json"), options, options.pairs)
    with growing(options.out, planned) as folder:
        rows = measure_all(measure, tasks, keys, folder, options.jobs)
        with putting(folder) as work:
            rows.to_csv(work / "weights.csv", index=False, float_format="%.7g")
            draw(rows, settings, work / "weights.png")
            (work / "weights.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")
    print(f"results     {options.out.resolve()}")
    return 0


def measure(pair: Pair, model: str, lam: float, omegas: Sequence[float], mode: str) -> List[dict]:
    """A row for each Ω: ``lam``, ``omega``, the five metrics, and the weight ``b_P`` of the PET.

    :raises ModelError: the model serves another λ only.
    """
    mri, pet = to_unit(pair.mri), to_unit(pair.pet)
    runner = runner_of(load_model(model), lam, "cpu", mode == "gradient")
    images = colored_luminances(mri, pet, runner, omegas, jet_table(), mode)
    sources = to_8_bits(mri), to_8_bits(pet)
    rows = []
    for omega, image in zip(omegas, images):
        values = {name: metric(*sources, image) for name, metric in METRICS.items()}
        rows.append({"lam": lam, "omega": omega, **values, "b_P": pet_weight(*sources, image)[1]})
    return rows


def read(folder: Path) -> Tuple[pd.DataFrame, dict]:
    """The rows and the settings that this study left in a folder.

    :raises InputError: there are none.
    """
    settings = folder / "weights.json"
    if not settings.is_file():
        raise InputError(f"There is no {settings}: run the study weights with --out {folder} first.")
    return pd.read_csv(folder / "weights.csv"), json.loads(settings.read_text(encoding="utf-8"))


def draw(rows: pd.DataFrame, settings: dict, path: Path) -> None:
    """Means over the images as heat maps: one panel for each metric, and one for the PET's weight."""
    figure = Figure(figsize=(15.5, 9.6), layout="constrained")
    for panel, name in zip(figure.subplots(2, 3).flat, [*METRICS, "b_P"]):
        _heat_map(panel, rows.pivot_table(name, "omega", "lam"), name)
    size = f"{count(rows.image.nunique(), 'image')} of {count(rows.patient.nunique(), 'patient')}"
    figure.suptitle(
        f'Mean over {size}, model "{settings["model"]}", hue from the {settings["mode"]}: metrics of the '
        "luminance of the colored image\n"
        "Red frame: highest with color. White dots: the paper's choice, λ = 0.8, Ω = 0.6. Scales differ."
    )
    figure.savefig(path, dpi=110)


def _heat_map(panel, grid: pd.DataFrame, name: str) -> None:
    """:param grid: a row per Ω, the first without color, and a column per λ."""
    picture = panel.imshow(grid, "viridis" if name in METRICS else "cividis", aspect="auto", origin="lower")
    panel.axhline(0.5, color="white", linewidth=7)
    span = np.ptp(grid.to_numpy())
    digits = 3 if span > 0.05 else 4 if span > 0.002 else 5
    for (row, column), value in np.ndenumerate(grid):
        # Without the leading zero, which would repeat a hundred times.
        text = f"{value:.{digits}f}".removeprefix("0")
        color = "black" if picture.norm(value) > 0.6 else "white"
        panel.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    omega, lam = grid[grid.index > 0].stack().idxmax()
    title = f"{name} ↑   best {grid.loc[omega, lam]:.{digits}f}"
    frames = [(PAPER_CHOICE, "white", ":"), ((lam, omega), "#e8112d", "-")]
    if name not in METRICS:
        title, frames = "b_P, weight of the PET (1/2: plain average)", frames[:1]
    for (lam, omega), color, style in frames:
        if lam in grid.columns and omega in grid.index:
            corner = grid.columns.get_loc(lam) - 0.45, grid.index.get_loc(omega) - 0.45
            panel.add_patch(Rectangle(corner, 0.9, 0.9, fill=False, color=color, lw=2.2, ls=style, zorder=3))
    panel.set_xticks(range(len(grid.columns)), [f"{lam:g}" for lam in grid.columns])
    panel.set_yticks(range(len(grid)), [f"{omega:g}" for omega in grid.index])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set(xlabel="λ, structure against intensity", ylabel="Ω, strength of color (0: gray)")
    panel.set_title(title, fontsize=11.5, fontweight="bold", loc="left")
    panel.figure.colorbar(picture, ax=panel, pad=0.015, fraction=0.045, aspect=30).outline.set_visible(False)
