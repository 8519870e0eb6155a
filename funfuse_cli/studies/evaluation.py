"""``funfuse.py study evaluation``: every model and method on two sets of pairs, for docs/evaluation.md."""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import List

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import check_writable
from FunFuseSlicer.Logic.version import VERSION

from ..paths import input_path, output_path
from ..training.pairs import read_pairs, split_by_patient
from . import add_docs


def main(arguments: List[str]) -> int:
    """Measure, and write the data and the pictures."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study evaluation",
        description="Compare all models and fusion methods on the authors' test pairs and on patients held "
        "out from training. Writes docs/data/evaluation_*.csv and pictures. "
        "Started again after an interruption it goes on where it stopped.",
    )
    add = parser.add_argument
    add("--test", type=input_path, required=True, metavar="DIR", help="the authors' test pairs")
    add("--slices", type=input_path, required=True, metavar="DIR", help="pairs with the held-out patients")
    add("--hold-out", nargs="+", required=True, metavar="PATIENT", help="not trained on")
    add("--weights", type=input_path, metavar="DIR", help="results of the study weights, to show")
    text = "a registered pair of volumes that may be published, to show what every method makes of it"
    add("--picture", nargs=2, type=input_path, metavar=("MRI", "PET"), help=text)
    add_docs(parser)
    add(
        "--out",
        type=output_path,
        default="evaluation-study",
        metavar="DIR",
        help="remembers what is measured",
    )
    add("--lambda", dest="lam", type=float, default=0.8, help="of the models (default 0.8)")
    add("--omega", type=float, default=0.6, help="Ω of the colored images (default 0.6)")
    add("--every", type=int, default=1, metavar="N", help="only each N-th held-out image, for a trial")
    text = "models to measure (all); other rows stay, with their times"
    add("--model", nargs="+", metavar="NAME", help=text)
    add("--jobs", type=int, default=2, metavar="N", help="processes, one thread each")
    options = parser.parse_args(arguments)
    _study(options, *(check_writable(options.docs / name) for name in ("data", "images")))
    return 0


def _study(options, data: Path, pictures: Path) -> None:
    """:raises InputError: an option that cannot be used."""
    # Imported on use: they take seconds, which --help does not need.
    from FunFuseSlicer.Logic.fusion.models import load_model, model_names
    from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions

    from . import evaluation_measure as measuring
    from . import evaluation_plots as plots
    from . import weights
    from .evaluation_jobs import code_fingerprint, measure_all
    from .kept import with_kept
    from .model_sheet import middle_slice

    if min(options.every, options.jobs) < 1:
        raise InputError("--every and --jobs must be 1 or more.")
    FusionOptions(lam=options.lam, omega=options.omega)  # which checks them
    sets = {"test": read_pairs([options.test])}
    sets["held_out"] = split_by_patient(read_pairs([options.slices]), options.hold_out)[1][:: options.every]
    names, out = model_names(), check_writable(options.out)
    settings = names, options.lam, options.omega
    measured = tuple(load_model(name).name for name in options.model or names)
    # What is not made anew stays as it is.
    record = data / "evaluation_study.json"
    study = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    code = code_fingerprint(measuring.measure)
    study["kept_code"] = study.get("kept_code", study.get("code")) if options.model else code
    study.update(lam=options.lam, omega=options.omega, code=code)
    sums = {**study.get("models", {}), **{name: load_model(name).sha256 for name in measured}}
    study["models"] = {name: sums[name] for name in names if name in sums}
    study["versions"] = {name: version(name) for name in ("numpy", "scipy", "torch")}
    study["versions"].update(FunFuse=VERSION, Python=platform.python_version(), system=platform.system())
    if options.weights is not None:
        grid, study["weights"] = weights.read(options.weights)
        grid.to_csv(data / "evaluation_weights.csv", index=False)
        weights.draw(grid, study["weights"], pictures / "evaluation_weights.png")
    if options.picture is not None:
        mri, pet, study["slice"] = middle_slice(*options.picture)
        fusing = measuring.candidates(*settings, mri.shape)
        shown = {name: fuse for name, kind, fuse in fusing if kind in (measuring.MODEL, measuring.METHOD)}
        plots.write_sheet(mri, pet, shown, pictures / "evaluation_methods.png")
    pairs = [(name, number, pair) for name, found in sets.items() for number, pair in enumerate(found)]
    keys = [{"set": name, "image": number, "patient": pair.patient} for name, number, pair in pairs]
    tasks = [(pair, measured, *settings[1:], options.model is not None) for _, _, pair in pairs]
    images = measure_all(measuring.measure, tasks, keys, out, options.jobs)
    file = data / "evaluation_images.csv"
    images = with_kept(images, file, "method", measuring.order(names), ["set", "image"])
    means = measuring.means(images)
    # Rounding makes a weight of 0 that of -1e-17, which tables would print with its sign.
    means[measuring.MEASURED] = means[measuring.MEASURED].round(9) + 0.0
    for name in sets:
        path = pictures / f"evaluation_{name}.png"
        plots.write_bars(means[means.set == name], images[images.set == name], path)
    # Of the fusion methods, 1 for the highest; equals share a place.
    compared = means[means.kind.isin([measuring.MODEL, measuring.METHOD])].set_index(["set", "method"])
    places = compared[list(measuring.METRICS)].groupby("set").rank(ascending=False, method="min").astype(int)
    tables = {"images": images, "means": means, "places": places.reset_index()}
    tables["differences"] = measuring.differences(images)
    for name, table in tables.items():
        table.to_csv(data / f"evaluation_{name}.csv", index=False, float_format="%.7g")
    record.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
