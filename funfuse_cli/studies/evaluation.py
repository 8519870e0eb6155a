"""``funfuse.py study evaluation``: every model and method on two sets of pairs, and docs/evaluation.md."""

import argparse
import json
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.monitor import Monitor

from ..training.pairs import Pair, fingerprint, read_pairs
from ..workflow import evaluation_report as report
from ..workflow.output_folder import check_writable
from ..workflow.progress import ProgressBars
from . import evaluation_measure
from .evaluation_findings import Measured, standing, summary
from .evaluation_jobs import Journal, run_all
from .evaluation_measure import Task, candidates, measure
from .evaluation_origin import code_fingerprint, versions
from .evaluation_page import Facts, Picture, page
from .evaluation_plots import write_bars
from .evaluation_sheet import SHEET, write_sheet
from .evaluation_sources import sources

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "evaluation.md"
JOURNAL = "evaluation_journal.jsonl"
TEST, HELD_OUT = "test", "held_out"
TITLES = {TEST: "Test pairs", HELD_OUT: "Held-out SPECT patients"}


def main(arguments: List[str]) -> int:
    """Measure, then write the tables, the pictures and the page."""
    options = parser().parse_args(arguments)
    _check(options)
    sets = {
        TEST: read_pairs([options.test]),
        HELD_OUT: held_out_pairs(options.slices, options.hold_out)[:: options.every],
    }
    weights = read_weights(options.weights)
    models = model_names()
    hashes = [(name, load_model(name).sha256) for name in models]
    folder = check_writable(options.out)
    images = check_writable(options.page.parent / "images")
    code = code_fingerprint(evaluation_measure.__file__)
    with ProgressBars() as monitor:
        measured = {
            key: _measure(key, pairs, models, hashes, code, options, folder, monitor)
            for key, pairs in sets.items()
        }
        rows = candidates(models, options.lam, options.omega)
        picture = None
        if options.picture is not None:
            number = write_sheet(*options.picture, rows, images / SHEET, monitor)
            picture = Picture(SHEET, number, options.credit)
    facts = Facts(
        _command(options),
        options.lam,
        options.omega,
        hashes,
        sources(),
        {key: _black(pairs) for key, pairs in sets.items()},
        versions(),
        code,
        weights,
        "images",
        picture,
    )
    for key, one in measured.items():
        _write_tables(one, folder)
        write_bars(one, images / f"evaluation_{key}.png")
    if weights is not None:
        _draw_weights(weights, images / "evaluation_weights.png")
    part = options.page.with_name(options.page.name + ".part")
    part.write_text(page(measured[TEST], measured[HELD_OUT], facts), encoding="utf-8")
    part.replace(options.page)
    for one in measured.values():
        print(f"\n{one.title}: {one.size}")
        for sentence in standing(one):
            print("- " + sentence.replace("**", ""))
    print(f"\npage        {options.page.resolve()}\ntables      {folder.resolve()}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The study's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py study evaluation",
        description="Compare all models and fusion methods on the authors' test pairs and on patients held "
        "out from training, and write the page. Started again after an interruption it goes on where it "
        "stopped.",
    )
    result.add_argument("--test", type=Path, required=True, metavar="DIR", help="the authors' test pairs")
    result.add_argument(
        "--slices", type=Path, required=True, metavar="DIR", help="pairs with the held-out patients"
    )
    result.add_argument("--hold-out", nargs="+", required=True, metavar="PATIENT", help="not trained on")
    result.add_argument("--weights", type=Path, metavar="DIR", help="results of the study weights, to show")
    result.add_argument(
        "--picture",
        nargs=2,
        type=Path,
        metavar=("MRI", "PET"),
        help="a registered pair of volumes that may be published, to show what every method makes of it",
    )
    result.add_argument(
        "--credit", default="", metavar="TEXT", help="whose images --picture shows, and license"
    )
    result.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="default: docs/evaluation.md")
    result.add_argument(
        "--out", type=Path, default=Path("evaluation-study"), metavar="DIR", help="for all numbers as CSV"
    )
    result.add_argument("--lambda", dest="lam", type=float, default=0.8, help="of the models (default 0.8)")
    result.add_argument("--omega", type=float, default=0.6, help="Ω of the colored images (default 0.6)")
    result.add_argument(
        "--every", type=int, default=1, metavar="N", help="only each N-th held-out image, for a trial"
    )
    result.add_argument("--jobs", type=int, default=2, metavar="N", help="processes, one thread each")
    return result


def _check(options) -> None:
    """:raises InputError: an option that cannot be used."""
    for name, folder in (("--test", options.test), ("--slices", options.slices)):
        if not folder.is_dir():
            raise InputError(f"{name} {folder}: there is no such folder. Check the path.")
    if options.picture is not None and not options.credit:
        raise InputError("--picture needs --credit: whose images they are and under which license.")
    for path in options.picture or ():
        if not path.is_file():
            raise InputError(f"--picture {path}: there is no such file. Check the path.")
    for name in ("lam", "omega"):
        if not 0 <= getattr(options, name) <= 1:
            raise InputError(f"λ and Ω must lie between 0 and 1, not {getattr(options, name)}.")
    for name in ("every", "jobs"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name} must be 1 or more, not {getattr(options, name)}.")


def held_out_pairs(folder: Path, patients: List[str]) -> List[Pair]:
    """The pairs of some patients.

    :raises InputError: a patient is not there.
    """
    pairs = read_pairs([folder])
    there = {pair.patient for pair in pairs}
    missing = sorted(set(patients) - there)
    if missing:
        raise InputError(
            f"{folder} holds no patient {', '.join(missing)}: choose of {', '.join(sorted(there))}."
        )
    return [pair for pair in pairs if pair.patient in patients]


def read_weights(folder: Optional[Path]) -> Optional[dict]:
    """The results of the study of λ and Ω.

    :raises InputError: there are none.
    """
    if folder is None:
        return None
    path = Path(folder) / "weights.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: run the study weights with --out {folder} first."
        ) from error


def _measure(key, pairs, models, hashes, code, options, folder: Path, monitor: Monitor) -> Measured:
    names = [candidate.name for candidate in candidates(models, options.lam, options.omega)]
    settings = {
        "pairs": fingerprint(pairs),
        "models": hashes,
        "methods": names,
        "lambda": options.lam,
        "omega": options.omega,
        "code": code,
    }
    tasks = {f"{number}": Task(pair, models, options.lam, options.omega) for number, pair in enumerate(pairs)}
    journal = Journal(folder / f"{key}_{JOURNAL}", settings)
    results = run_all(measure, tasks, journal, options.jobs, monitor, TITLES[key])
    rows: List[Dict] = [
        {"pair": number, "patient": pairs[number].patient, **row}
        for number in range(len(pairs))
        for row in results[f"{number}"]
    ]
    return Measured(key, TITLES[key], tuple(pair.patient for pair in pairs), rows, summary(rows))


def _write_tables(measured: Measured, folder: Path) -> None:
    """CSV of all rows and of the means; each file is replaced in one go."""
    for name, rows in (("per_image", measured.rows), ("table", measured.table)):
        path = folder / f"{measured.key}_{name}.csv"
        part = path.with_name(path.name + ".part")
        report.write_csv(rows, part)
        part.replace(path)


def _draw_weights(content: dict, path: Path) -> None:
    from .weights import title_of
    from .weights_maps import write_heat_maps

    size = content["count"]
    write_heat_maps(content["rows"], path, title_of(content["settings"], size["pairs"], size["patients"]))


def _command(options) -> str:
    """The command with placeholders: where somebody keeps data says nothing to others."""
    words = ["python3 funfuse.py study evaluation --test TEST_PAIRS --slices SLICES --hold-out"]
    words += options.hold_out
    if options.weights is not None:
        words.append("--weights WEIGHTS")
    if options.picture is not None:
        words.append("--picture MRI PET --credit TEXT")
    for name, value, default in (("lambda", options.lam, 0.8), ("omega", options.omega, 0.6)):
        words += [f"--{name} {value:g}"] if value != default else []
    words += [f"--every {options.every}"] if options.every != 1 else []
    return " ".join(words)


def _black(pairs: List[Pair]) -> float:
    """Share of the pixels that are black in both sources, mean over the pairs."""
    return float(np.mean([((pair.mri == 0) & (pair.pet == 0)).mean() for pair in pairs]))
