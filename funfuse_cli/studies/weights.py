"""``funfuse.py study weights``: the paper's five metrics over λ and Ω (its section 3.3), with heat maps."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import List

import numpy as np

from FunFuseSlicer.Logic.color.colorize import MODES, jet_table
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import DEFAULT_MODEL, load_model

from ..training.pairs import Pair, fingerprint, read_pairs
from ..workflow import evaluation_report as report
from ..workflow.output_folder import check_writable
from ..workflow.progress import ProgressBars
from ..workflow.wording import count
from . import weights_grid
from .evaluation_jobs import Journal, run_all
from .evaluation_origin import code_fingerprint, versions
from .weights_grid import EXPLANATION, Task, grid_values, mean_rows, measure
from .weights_maps import findings, write_heat_maps

STAGE = "Evaluating"
JOURNAL = "weights_journal.jsonl"
RESULTS = ("weights.json", "weights.csv", "weights_per_pair.csv", "weights.png")


def main(arguments: List[str]) -> int:
    """Measure, then write the tables and the heat maps."""
    options = parser().parse_args(arguments)
    _check(options)
    model = load_model(options.model)
    values = grid_values(options.steps)
    if model.trained_lambda is not None and any(abs(lam - model.trained_lambda) > 1e-6 for lam in values):
        raise InputError(f'Model "{model.name}" serves one λ only: choose a model that serves every λ.')
    pairs = _read_pairs(options)[:: options.every]
    folder = check_writable(options.out)
    table = _color_table(options.colormap)
    settings = {
        "model": model.name,
        "sha256": model.sha256,
        "pairs": fingerprint(pairs),
        "lambdas": values,
        "omegas": [0.0, *values],
        "mode": options.mode,
        "colormap": options.colormap,
        "table": np.round(table, 6).tolist(),
        "code": code_fingerprint(weights_grid.__file__),
    }
    tasks = {
        f"{number} {lam:g}": Task(
            pair, model.name, lam, tuple(settings["omegas"]), options.mode, table.tolist()
        )
        for number, pair in enumerate(pairs)
        for lam in values
    }
    with ProgressBars() as monitor:
        journal = Journal(folder / JOURNAL, settings)
        results = run_all(measure, tasks, journal, options.jobs, monitor, STAGE)
    rows = [
        {"pair": int(key.split()[0]), "patient": pairs[int(key.split()[0])].patient, **row}
        for key, result in results.items()
        for row in result
    ]
    _write(folder, rows, settings, pairs)
    print(EXPLAINED)
    for sentence in findings(mean_rows(rows)):
        print(f"- {sentence}")
    print(f"\n{textwrap.fill(report.REWARDS, 100)}\n\nresults     {folder.resolve()}")
    return 0


EXPLAINED = "\n" + textwrap.fill(EXPLANATION, 100) + "\n"


def parser() -> argparse.ArgumentParser:
    """The study's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py study weights",
        description="The paper's five metrics, and the PET's weight, over λ and Ω: means over pairs, as "
        "tables and heat maps.",
        epilog=f"{EXPLANATION} An interrupted study goes on where it stopped when it is started again.",
    )
    result.add_argument("--pairs", type=Path, metavar="DIR", help="pairs, laid out as for train")
    result.add_argument("--mri", type=Path, metavar="A", help="one pair instead: pictures, or volumes")
    result.add_argument("--pet", type=Path, metavar="B", help="on the MRI's grid")
    result.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help=f"default: {DEFAULT_MODEL}")
    result.add_argument(
        "--steps", type=int, default=10, metavar="N", help="values of λ and of Ω (10: 0.1 to 1)"
    )
    result.add_argument("--mode", default="contribution", choices=MODES, help="what gives the hue")
    result.add_argument("--colormap", default="Jet", help="Jet, or a color map of Slicer")
    result.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th pair or slice")
    result.add_argument("--jobs", type=int, default=2, metavar="N", help="processes, one thread each")
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"for {', '.join(RESULTS)}")
    return result


def _check(options) -> None:
    """:raises InputError: options that do not go together or lie outside their range."""
    one = options.mri is not None or options.pet is not None
    if one == (options.pairs is not None):
        raise InputError("Give a folder of pairs with --pairs, or one pair with --mri and --pet.")
    if one and (options.mri is None or options.pet is None):
        raise InputError("One pair needs both --mri and --pet.")
    if options.pairs is not None and not options.pairs.is_dir():
        raise InputError(f"{options.pairs}: there is no such folder. Check the path.")
    for name in ("steps", "every", "jobs"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be 1 or more, not {getattr(options, name)}.")


def _read_pairs(options) -> List[Pair]:
    if options.pairs is not None:
        return read_pairs([options.pairs])
    from ..training.volumes import read_slices
    from ..workflow.files import is_picture, read_volume

    if not is_picture(options.mri):
        return read_slices(options.mri.name, options.mri, options.pet)
    images = [read_volume(path).array[0] for path in (options.mri, options.pet)]
    if images[0].shape != images[1].shape:
        raise InputError(f"{options.mri} and {options.pet} must have one size.")
    return [Pair(options.mri.stem, *images)]


def _color_table(name: str) -> np.ndarray:
    """Slicer's libraries are only started for a map of theirs."""
    if name.lower() == "jet":
        return jet_table()
    from FunFuseSlicer.Logic.scene.color_maps import color_table

    from ..headless.boot import boot

    boot()
    return color_table(name)


def _write(folder: Path, rows: List[dict], settings: dict, pairs: List[Pair]) -> None:
    """All results; each file is replaced in one go, the JSON, from which the others can be made, last."""
    means = mean_rows(rows)
    patients = len({pair.patient for pair in pairs})
    title = title_of(settings, len(pairs), patients)
    for name, content in (("weights_per_pair.csv", rows), ("weights.csv", means)):
        part = folder / f"{name}.part"
        report.write_csv(content, part)
        part.replace(folder / name)
    write_heat_maps(means, folder / "weights.png", title)
    facts = {key: value for key, value in settings.items() if key != "table"}
    content = {
        "explanation": EXPLANATION,
        "settings": facts,
        "count": {"pairs": len(pairs), "patients": patients},
        "versions": versions(),
        "findings": findings(means),
        "rows": means,
    }
    part = folder / "weights.json.part"
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(folder / "weights.json")


def title_of(settings: dict, pairs: int, patients: int) -> str:
    """What the heat maps show, above them."""
    return (
        f"Mean over {count(pairs, 'image')} of {count(patients, 'patient')}, "
        f'model "{settings["model"]}", hue from the '
        f"{settings['mode']}, "
        f"{settings['colormap']}. The metrics are taken on the luminance of the colored image.\n"
        "Red frame: highest with color. White dashes: the paper's choice, λ = 0.8 and Ω = 0.6. "
        "Every panel has a scale of its own."
    )
