"""``funfuse.py study model``: the evidence about the fusion network, and docs/model.md from it."""

import argparse
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

from FunFuseSlicer.Logic.errors import InputError

from ..workflow.output_folder import check_writable
from ..workflow.progress import ProgressBars
from .model_store import Store, plain, write_json

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ablation", "seeds", "lambda", "generalization", "range", "pictures")


def main(arguments: List[str]) -> int:
    """Compute what is asked for and not there yet; write results.json and the page, whatever happens."""
    options = parser().parse_args(arguments)
    _check(options)
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    folder = check_writable(options.out)
    check_writable(options.page.parent)
    _check_runs(options)
    with ProgressBars() as monitor:
        study = _study(options, Store(folder), monitor)
        try:
            for part in PARTS:
                if part in options.parts:
                    _compute(part, study, options)
        finally:
            # Also after Ctrl-C: what is there already shall be seen.
            results = collect(study, options)
            write_page(results, folder, options.page)
    for part, what in results["missing"].items():
        print(f"not computed  {part}: {what}")
    print(f"results       {(folder / 'results.json').resolve()}")
    print(f"page          {options.page.resolve()}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py study model",
        description="Train the network's variants on one budget, examine the shipped models, and write the "
        "page. Everything that is finished stays in RUNS and is never computed twice; an interrupted "
        "training goes on where it stopped. The page and RUNS/results.json are written at the end of every "
        "call, from all that RUNS holds for these options; what is missing is named.",
        epilog="Results are told apart by data, options and weights. After a change of the training's code "
        "choose another --out.",
    )
    data = result.add_argument_group("data (laid out as for train)")
    data.add_argument("--data", nargs="+", required=True, metavar="DIR", help="folders of pairs to train on")
    data.add_argument("--test", nargs="+", required=True, metavar="DIR", help="pairs never trained on")
    data.add_argument(
        "--hold-out", nargs="*", default=[], metavar="PATIENT", help="of --data, not trained on"
    )
    data.add_argument(
        "--describe",
        nargs="*",
        default=[],
        metavar="PATIENT=TEXT",
        help='what a patient\'s images are, for the tables, such as 01="T1, FDG"',
    )
    files = result.add_argument_group("what is examined")
    files.add_argument("--models", type=Path, metavar="DIR", help="models other than the shipped ones")
    files.add_argument(
        "--seed-runs",
        nargs="*",
        type=Path,
        default=[],
        metavar="RUN",
        help="runs of train: one recipe, several seeds",
    )
    files.add_argument(
        "--preset-runs",
        nargs="*",
        type=Path,
        default=[],
        metavar="RUN",
        help="runs of train with the default preset, to compare with the shipped models",
    )
    files.add_argument(
        "--picture",
        nargs=2,
        type=Path,
        metavar=("MRI", "PET"),
        help="a registered pair of volumes that may be published, for the pictures",
    )
    files.add_argument(
        "--credit", default="", metavar="TEXT", help="whose images --picture shows, and license"
    )
    output = result.add_argument_group("results")
    output.add_argument("--out", type=Path, required=True, metavar="RUNS", help="folder for all results")
    output.add_argument(
        "--page",
        type=Path,
        default=ROOT / "docs" / "model.md",
        help="the page; pictures go to images/ beside it",
    )
    output.add_argument(
        "--parts", type=_parts, default=PARTS, metavar="P,P", help=f"what to compute: {','.join(PARTS)} (all)"
    )
    output.add_argument("--machine", default="", metavar="TEXT", help="the computer, for the page")
    budget = result.add_argument_group("budget")
    budget.add_argument("--steps", type=int, default=900, help="training steps of every variant (900)")
    budget.add_argument("--paper-steps", type=int, help="those of the paper's preset (as --steps)")
    budget.add_argument("--tune-steps", type=int, default=300, help="fine-tuning for one λ (300)")
    budget.add_argument("--tune-rate", type=float, default=5e-4, help="its peak learning rate (0.0005)")
    budget.add_argument("--bound-steps", type=int, default=200, help="optimization of pixels (200)")
    budget.add_argument("--seeds", type=int, nargs="+", default=[0], help="each variant once with each (0)")
    budget.add_argument(
        "--some",
        type=int,
        default=12,
        help="held-out pairs, evenly spread, for changed inputs and range (12); all are used elsewhere",
    )
    budget.add_argument("--batch", type=int, help="images a step, for quick trials")
    budget.add_argument("--crop", type=int, help="side of the crops, for quick trials")
    budget.add_argument("--threads", type=int, help="processor threads")
    return result


def collect(study, options) -> dict:
    """All results that are there for these options, and by part what is not; nothing is computed.

    :return: plain values, as in results.json.
    """
    from . import model_ablation, model_lambda, model_robust, model_runs

    study = replace(study, store=Store(study.store.folder, computing=False))
    results = {
        "command": _command(options),
        "machine": options.machine,
        "budget": study.budget_facts(),
        "ablation": model_ablation.ablation(study),
        "patients": model_ablation.per_patient(study),
        "won": model_ablation.won_pairs(study),
        "seeds": model_runs.runs(study, options.seed_runs),
        "preset": model_runs.runs(study, options.preset_runs),
        "lambda": model_lambda.lambdas(study),
        "picture_change": model_lambda.picture_change(study),
        "generalization": model_robust.generalization(study),
        "range": model_robust.ranges(study),
        "pictures": _sheet(study, options),
        "credit": options.credit,
        "descriptions": _descriptions(options.describe),
    }
    results["missing"] = _missing(study, options, results)
    return plain(results)


def write_page(results: dict, folder: Path, page_path: Path) -> None:
    """results.json, the plots, and the page."""
    from . import model_page, model_plots
    from .model_sheet import SHEET

    write_json(results, folder / "results.json")
    images = page_path.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, rows, draw in (
        (model_page.ABLATION_PLOT, results["ablation"], model_plots.plot_ablation),
        (
            model_page.LAMBDA_PLOT,
            results["lambda"],
            lambda rows, path: model_plots.plot_lambda(rows, list(results["budget"]["models"]), path),
        ),
        (model_page.CHANGES_PLOT, results["generalization"], model_plots.plot_generalization),
    ):
        if rows:
            draw(rows, images / name)
        else:
            (images / name).unlink(missing_ok=True)
    if results["pictures"]:
        shutil.copyfile(folder / "pictures" / SHEET, images / SHEET)
    else:
        (images / SHEET).unlink(missing_ok=True)
    part = page_path.with_name(page_path.name + ".part")
    part.write_text(model_page.page(results), encoding="utf-8")
    part.replace(page_path)


def _compute(part: str, study, options) -> None:
    from . import model_ablation, model_lambda, model_robust, model_runs

    if part == "ablation":
        model_ablation.ablation(study)
    elif part == "seeds":
        model_runs.runs(study, [*options.seed_runs, *options.preset_runs])
    elif part == "lambda":
        model_lambda.picture_change(study)
        model_lambda.lambdas(study)
    elif part == "generalization":
        model_robust.generalization(study)
    elif part == "range":
        model_robust.ranges(study)
    elif part == "pictures":
        _sheet(study, options)


def _sheet(study, options):
    from .model_sheet import AMPLIFIED, sheet

    if options.picture is None:
        return None
    found = sheet(study, *options.picture)
    return None if found is None else {**found, "amplified": AMPLIFIED}


def _missing(study, options, results: dict) -> Dict[str, str]:
    """What is not there, in words, by part."""
    from .model_ablation import BOUND_LABEL, VARIANTS
    from .model_changes import CHANGES
    from .model_lambda import LAMBDAS
    from .model_robust import RANGE_LAMBDAS
    from .model_study import METHOD_LABELS

    missing = {}
    there = {row["label"]: row for row in results["ablation"]}
    lacking = []
    for variant in VARIANTS.values():
        seeds = len(there.get(variant.label, {"seeds": ()})["seeds"])
        if seeds < len(study.budget.seeds):
            lacking.append(f"{variant.label} ({seeds} of {len(study.budget.seeds)} seeds)")
    for label in (
        *METHOD_LABELS.values(),
        BOUND_LABEL,
        *(f"shipped: {model.name}" for model in study.models),
    ):
        groups = len(there.get(label, {"groups": ()})["groups"])
        if groups < len(study.groups):
            lacking.append(label)
    if lacking:
        missing["ablation"] = "; ".join(lacking)
    for name, folders, flag in (
        ("seeds", options.seed_runs, "--seed-runs"),
        ("preset", options.preset_runs, "--preset-runs"),
    ):
        if not folders:
            missing[name] = f"no runs were given ({flag})"
        elif len(results[name]) < len(folders):
            missing[name] = f"{len(folders) - len(results[name])} of {len(folders)} runs not measured"
    known = {row["lambda"] for row in results["lambda"] if "gap" in row or row["diverged"]}
    if known < set(LAMBDAS):
        missing["lambda"] = "λ = " + ", ".join(f"{lam:g}" for lam in LAMBDAS if lam not in known)
    for name, count in (("generalization", len(CHANGES)), ("range", len(RANGE_LAMBDAS))):
        expected = count * len(study.models) * len(study.groups)
        if len(results[name]) < expected:
            missing[name] = f"{expected - len(results[name])} of {expected} rows"
    if results["pictures"] is None:
        given = options.picture is not None
        missing["pictures"] = "not drawn yet" if given else "no pair was given (--picture)"
    return missing


def _study(options, store: Store, monitor):
    from FunFuseSlicer.Logic.fusion.models import load_model, model_names

    from ..training.pairs import read_pairs, split_by_patient
    from .model_measure import Group
    from .model_study import HELD_OUT, TEST, Budget, Study

    names = model_names(options.models)
    if not names:
        raise InputError(f"{options.models} holds no models: give a folder with .pt and .json files.")
    training, held_out = split_by_patient(read_pairs(options.data), options.hold_out)
    groups = {TEST: Group(TEST, read_pairs(options.test))}
    if held_out:
        groups[HELD_OUT] = Group(HELD_OUT, held_out)
    budget = Budget(
        steps=options.steps,
        paper_steps=options.paper_steps or options.steps,
        tune_steps=options.tune_steps,
        tune_rate=options.tune_rate,
        bound_steps=options.bound_steps,
        seeds=tuple(dict.fromkeys(options.seeds)),
        some=options.some,
        batch=options.batch,
        crop=options.crop,
    )
    models = [load_model(name, options.models) for name in names]
    return Study(training, groups, models, budget, store, monitor)


def _check(options) -> None:
    """:raises InputError: an option that cannot be used."""
    for name in ("steps", "paper_steps", "tune_steps", "tune_rate", "bound_steps", "some"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise InputError(f"--{name.replace('_', '-')} must be positive, not {value}.")
    if options.picture is not None and not options.credit:
        raise InputError("--picture needs --credit: whose images they are and under which license.")
    for path in options.picture or ():
        if not path.exists():
            raise InputError(f"{path}: there is no such file. Check the path.")
    _descriptions(options.describe)


def _check_runs(options) -> None:
    """Before hours of work: are all runs finished?"""
    from .model_runs import read_run

    for folder in (*options.seed_runs, *options.preset_runs):
        read_run(folder)


def _descriptions(texts: List[str]) -> Dict[str, str]:
    result = {}
    for text in texts:
        patient, equals, what = text.partition("=")
        if not equals:
            raise InputError(f"--describe needs PATIENT=TEXT, not {text}.")
        result[patient] = what
    return result


def _command(options) -> str:
    """What was asked for, without the paths of this computer."""
    words = ["python3 funfuse.py study model --data SLICES --test TEST_PAIRS"]
    if options.hold_out:
        words.append("--hold-out " + " ".join(shlex.quote(name) for name in options.hold_out))
    for name, value in (("seed-runs", options.seed_runs), ("preset-runs", options.preset_runs)):
        if value:
            words.append(f"--{name} " + " ".join(folder.resolve().name for folder in value))
    if options.models:
        words.append("--models MODELS")
    if options.picture:
        words.append("--picture MRI PET --credit TEXT")
    defaults = parser()
    for name in ("steps", "paper_steps", "tune_steps", "tune_rate", "bound_steps", "some", "batch", "crop"):
        value = getattr(options, name)
        if name in ("steps", "tune_steps") or value != defaults.get_default(name):
            words.append(f"--{name.replace('_', '-')} {value}")
    words.append("--seeds " + " ".join(str(seed) for seed in options.seeds))
    return " ".join([*words, "--out RUNS"])


def _parts(text: str):
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise InputError(f"--parts {text}: choose from {', '.join(PARTS)}.")
    return parts
