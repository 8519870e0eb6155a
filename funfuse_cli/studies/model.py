"""``funfuse.py study model``: the evidence about the fusion network, as data, plots, and docs/model.md."""

import argparse
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import List

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.output_folder import Claim, check_writable, growing

from ..paths import input_path, output_path
from ..training.pairs import read_pairs, split_by_patient, to_unit
from . import add_docs, model_changes, model_measure, model_sheet, model_train, pages
from .kept import with_kept

# Quick before slow.
PARTS = {
    "losses": model_measure.losses,
    "inputs": model_changes.inputs,
    "range": model_measure.ranges,
    "lambda": model_measure.lambdas,
    "pictures": model_sheet.pictures,
    "runs": model_train.runs,
    "pixels": model_measure.pixels,
    "tuned": model_train.tuned,
    "ablation": model_train.ablation,
}
# No shipped model changes the first, the others train: only when asked for.
LONG = ("pixels", "tuned", "ablation")
# Tables with rows of the models, and the columns by which they are sorted first.
OF_MODELS = {"losses": ["group"], "models": [], "inputs": ["change", "group"], "range": []}
OF_MODELS.update({"lambda": ["λ", "group"], "moved": []})


def main(arguments: List[str]) -> int:
    """Measure what is asked for, each part into its data files; then the plots."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study model",
        description="Examine the shipped models, and train variants of the network on one budget: writes "
        "docs/data/model_*.csv and plots. A training that was interrupted goes on. Without "
        f"{', '.join(LONG)} it takes minutes, with them hours.",
    )
    add = parser.add_argument
    add(
        "--data",
        type=input_path,
        nargs="+",
        metavar="DIR",
        required=True,
        help="pairs to train on, laid out as for train",
    )
    add("--test", type=input_path, nargs="+", metavar="DIR", required=True, help="pairs never trained on")
    add("--hold-out", nargs="+", metavar="PATIENT", required=True, help="of --data, not trained on")
    add(
        "--out",
        type=output_path,
        default="model-study",
        metavar="RUNS",
        help="folder for the trainings (model-study)",
    )
    add("--models", type=input_path, metavar="DIR", help="models other than the shipped ones")
    add("--model", nargs="+", metavar="NAME", help="models to measure (all); other rows stay")
    add(
        "--runs",
        nargs="*",
        type=input_path,
        default=[],
        metavar="RUN",
        help="of train, such as several seeds",
    )
    add("--picture", nargs=2, type=input_path, metavar=("MRI", "PET"), help="registered volumes to be shown")
    add_docs(parser)
    short = [part for part in PARTS if part not in LONG]
    text = f"parts to measure (all but {', '.join(LONG)})"
    add("--only", nargs="+", choices=PARTS, default=short, help=text)
    add("--steps", type=int, default=400, help="of a variant; the paper's: × 3, tuning for one λ: × ½ (400)")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="each variant once with each (0 1 2)")
    add("--some", type=int, default=6, help="pairs of a group for changed inputs and range (6)")
    options = parser.parse_args(arguments)
    data, images = (check_writable(options.docs / name) for name in ("data", "images"))
    trains = {"tuned", "ablation"} & set(options.only)
    with growing(options.out, Claim(where="--out")) if trains else nullcontext():
        _measure(options, data)
    model_sheet.draw(pages.Data(data), images)
    return 0


def _measure(options, data: Path) -> None:
    for folder in options.runs:
        if not (folder / "log.csv").is_file():
            raise InputError(f"{folder} is no finished run: give folders that the command train wrote.")
    training, held_out = split_by_patient(read_pairs(options.data), options.hold_out)
    groups, some = {model_measure.TEST: read_pairs(options.test), model_measure.HELD_OUT: held_out}, {}
    for group, pairs in groups.items():
        groups[group] = [replace(pair, mri=to_unit(pair.mri), pet=to_unit(pair.pet)) for pair in pairs]
        evenly = np.linspace(0, len(pairs) - 1, min(len(pairs), options.some)).round()
        some[group] = [groups[group][int(index)] for index in evenly]
    models = [load_model(name, options.models) for name in model_names(options.models)]
    if not models:
        raise InputError(f"{options.models} holds no models: give a folder with .npz and .json files.")
    names = [model.name for model in models]
    for name in options.model or ():
        load_model(name, options.models)  # which says what there is
    measured = [model for model in models if model.name in (options.model or names)]
    methods = {} if options.model else model_measure.METHODS
    study = model_measure.Study(training, groups, some, models, measured, methods, options)
    given = {"pictures": options.picture, "runs": options.runs}
    for part in options.only:
        if given.get(part, True):
            for name, table in PARTS[part](study).items():
                path = data / f"model_{name}.csv"
                if name in OF_MODELS:
                    methods = [*names, *model_measure.METHODS]
                    table = with_kept(table, path, "method", methods, OF_MODELS[name])
                table.to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
