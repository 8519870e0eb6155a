"""``funfuse evaluate``: the metrics of a fused image, or of several methods over a folder of pairs."""

import argparse
import json
import math
import sys
import time
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from FunFuseSlicer.Logic.errors import DeviceError, InputError
from FunFuseSlicer.Logic.metrics.images import to_8_bits
from FunFuseSlicer.Logic.output_folder import all_or_nothing
from FunFuseSlicer.Logic.volumes.geometry import Volume

from ..paths import input_path, output_path
from ..reading.options import add_frame_option
from ..reading.reader import FORMATS, is_flat, is_picture, read
from ..workflow import evaluation_report as report
from ..workflow import paired_comparison
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.progress import ProgressBars, count

STAGE = "Evaluating"
PAIRS_WRITE = ("per_pair.csv", "table.csv", "table.md", "intervals.csv", "comparisons.csv", "metrics.png")
MODEL_LABEL = "FunFuse"
COPIES = MRI_COPY, PET_COPY = "copy of the MRI", "copy of the PET"

# From MRI and PET, (rows, columns) float32 in [0, 1], to the fused image.
Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main(arguments: List[str]) -> int:
    """Parse, measure, and show."""
    options = parser().parse_args(arguments)
    _check(options)
    if options.pairs is not None:
        _evaluate_methods(options)
    else:
        _evaluate_one(options)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse evaluate",
        description="Measure how good a fused image is (--mri, --pet, --fused), or compare the network with "
        "other methods over a folder of registered pairs (--pairs).",
        epilog=f"Images may be: {FORMATS}. {report.REWARDS['paper']}",
    )
    one = result.add_argument_group("one fused image")
    one.add_argument("--mri", type=input_path, metavar="A", help="anatomical image")
    one.add_argument("--pet", type=input_path, metavar="B", help="functional image on the MRI's grid")
    one.add_argument("--fused", type=input_path, metavar="F", help="fused image; of floats 1 is white")
    add_frame_option(one)
    one.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    many = result.add_argument_group("several methods")
    many.add_argument("--pairs", type=input_path, metavar="DIR", help="pairs, laid out as for train")
    many.add_argument(
        "--others",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="fused images of another program, named like the pairs: X.png for X_mri.png; may be repeated",
    )
    text = "write 0 where both sources are 0 before measuring, for programs that leave a veil there"
    many.add_argument("--masked", action="store_true", help=text)
    many.add_argument(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
        help="of the network (default auto)",
    )
    both = result.add_argument_group("both")
    both.add_argument(
        "--metrics",
        default="paper",
        choices=("paper", "field", "all"),
        help="the five of the paper (default), the eight that other papers report, or all",
    )
    both.add_argument(
        "--out",
        type=output_path,
        metavar="DIR",
        help="folder for per_slice.csv, or with --pairs for table.csv and table.md (means), per_pair.csv, "
        "intervals.csv (where a mean may lie), comparisons.csv (tests of each two methods), metrics.png",
    )
    add_overwrite(both)
    both.add_argument(
        "--lambda",
        dest="lam",
        type=float,
        default=0.8,
        help="structure against intensity, 0-1: of the loss, and with --pairs of the network (default 0.8)",
    )
    return result


def _check(options) -> None:
    """:raises InputError: options that are missing or do not go together."""
    if not 0 <= options.lam <= 1:
        raise InputError(f"--lambda must lie between 0 and 1, not {options.lam}.")
    images = {f"--{name}": getattr(options, name) for name in ("mri", "pet", "fused")}
    missing = [name for name, path in images.items() if path is None]
    if options.pairs is None:
        if len(missing) == len(images):
            raise InputError("Give --mri, --pet and --fused, or a folder of pairs with --pairs and --out.")
        if missing:
            raise InputError(f"Give --mri, --pet and --fused: {' and '.join(missing)} is not given.")
        if options.others or options.masked:
            raise InputError("--others and --masked need a folder of pairs: give --pairs, or leave them out.")
        return
    if len(missing) < len(images) or options.frame is not None or options.json:
        raise InputError("--pairs does not go with --mri, --pet, --fused, --frame or --json: leave them out.")
    if options.out is None:
        raise InputError("--pairs needs a folder for its results: give --out.")


# --- One fused image ----------------------------------------------------------------------------------


def _evaluate_one(options) -> None:
    if options.out is not None:
        planned = claim(["per_slice.csv"], options, options.mri, options.pet, options.fused)
        with all_or_nothing(options.out, planned) as folder:
            rows, is_volume = _measure_files(options)
            report.write_csv(rows, folder / "per_slice.csv")
    else:
        rows, is_volume = _measure_files(options)
    mean = report.mean_of(rows)
    if options.json:
        result = report.plain(mean)
        if is_volume:
            result["slices"] = [report.plain(row) for row in rows]
        print(json.dumps(result, allow_nan=False))
        return
    if is_volume:
        print(f"mean over {len(rows)} axial slices\n")
    print(report.text_of_one(mean))
    print("\n" + report.wrapped([report.REWARDS[options.metrics]]))
    if options.out is not None:
        print(f"\nper slice   {(options.out / 'per_slice.csv').resolve()}")


def _measure_files(options) -> Tuple[List[report.Row], bool]:
    """(a row per slice, whether they are of a volume)."""
    from FunFuseSlicer.Logic.metrics import SETS, evaluate_pair

    readings = [read(options.mri), read(options.pet, options.frame), read(options.fused)]
    for note in (note for reading in readings for note in reading.notes):
        print(f"  note: {note}", file=sys.stderr)
    # Errors shall name the file.
    paths = options.mri, options.pet, options.fused
    volumes = [r.volume.with_array(r.volume.array, name=str(path)) for r, path in zip(readings, paths)]
    # As ``fuse`` decides.
    pictures = is_picture(options.mri) and is_flat(volumes[0])
    _check_grids(*volumes, pictures)
    stacks = _gray_levels(*volumes, pictures)
    with ProgressBars() as monitor:
        rows = []
        filled = [k for k in range(len(stacks[0])) if pictures or stacks[0][k].any() or stacks[1][k].any()]
        for done, k in enumerate(filled):
            # A single picture is measured before a bar would show anything.
            if len(filled) > 1:
                monitor.report(STAGE, done / len(filled))
            images = (stack[k] for stack in stacks)
            values = evaluate_pair(*images, lam=options.lam, metrics=SETS[options.metrics])
            rows.append({"slice": k, **values})
        if len(filled) > 1:
            monitor.report(STAGE, 1.0)
    return rows, not pictures


def _check_grids(mri: Volume, pet: Volume, fused: Volume, pictures: bool) -> None:
    """:raises InputError: the images do not lie on one grid, or are too small."""
    if pictures:
        # A picture's place in space, if a file names one, does not matter.
        for other in (pet, fused):
            if other.array.shape != mri.array.shape:
                raise InputError(
                    f"{other.name} has {_size(other)}, {mri.name} has {_size(mri)}: give images of one size."
                )
    else:
        if not mri.same_grid(pet):
            raise InputError(
                f"{pet.name} and {mri.name} have different grids: give the registered PET (the command fuse "
                "writes pet_registered.nrrd)."
            )
        if not mri.same_grid(fused):
            raise InputError(
                f"{fused.name} and {mri.name} have different grids: give the fused image on the MRI's grid "
                "(the command fuse writes fused.nrrd)."
            )
    _check_size(mri.name, _axial(mri).shape[1:])


def _check_size(name: str, shape) -> None:
    from FunFuseSlicer.Logic.metrics.visual_fidelity import SMALLEST

    if min(shape) < SMALLEST:
        raise InputError(
            f"{name}: axial slices have {shape[0]} × {shape[1]} pixels, the metrics need {SMALLEST} × "
            f"{SMALLEST} at least. Give larger images."
        )


def _size(volume: Volume) -> str:
    slices, rows, columns = volume.array.shape
    return f"{rows} × {columns} pixels" + (f" in {slices} slices" if slices > 1 else "")


def _axial(volume: Volume, array: Optional[np.ndarray] = None) -> np.ndarray:
    from FunFuseSlicer.Logic.volumes.geometry import axial_order, to_axial

    return to_axial(volume.array if array is None else array, axial_order(volume.ijk_to_ras))


def _gray_levels(mri: Volume, pet: Volume, fused: Volume, pictures: bool) -> List[np.ndarray]:
    """MRI, PET and fused image as axial slices, gray levels 0 to 255."""
    from FunFuseSlicer.Logic.volumes.preprocessing import clean, fills_range, normalize, replaced_sentences

    if pictures and all(fills_range(volume.array) for volume in (mri, pet)):
        # 65535 / 257 = 255
        levels = [v.array if v.array.dtype == np.uint8 else v.array / np.float32(257) for v in (mri, pet)]
        return [*levels, _fused_levels(fused)]
    stacks, notes = [], []
    for volume in (mri, pet):
        cleaned, replaced = clean(volume, mri=volume is mri)
        notes.append((volume.name, replaced))
        stacks.append(_axial(mri, 255 * normalize(cleaned.array)))
    for sentence in replaced_sentences(notes):
        print(f"  note: {sentence}", file=sys.stderr)
    return [*stacks, _axial(mri, _fused_levels(fused))]


def _fused_levels(fused: Volume) -> np.ndarray:
    """Floats times 255 and clipped; whole numbers are gray levels already.

    :raises InputError: values that cannot be what they should be.
    """
    array = fused.array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"{fused.name} has voxels that are NaN or infinite: set them to 0.")
        bright = array[array > 0]
        if bright.size and (bright > 1).mean() > 0.5:
            raise InputError(
                f"{fused.name}: most voxels are above 1, which is white in an image of floats. Divide it "
                "by its white, or store gray levels 0 to 255 as 8 bits."
            )
        return np.clip(array.astype(np.float32) * 255, 0, 255)
    if array.min() < 0 or array.max() > 255:
        raise InputError(
            f"{fused.name} has values from {array.min()} to {array.max()}: give gray levels from 0 to "
            "255, or floats from 0 to 1."
        )
    return array


# --- Several methods over a folder of pairs -----------------------------------------------------------


def _evaluate_methods(options) -> None:
    if not options.pairs.is_dir():
        raise InputError(f"{options.pairs}: there is no such folder. Check the path.")
    from FunFuseSlicer.Logic.fusion.fuser import runner_of
    from FunFuseSlicer.Logic.fusion.models import load_model, model_names
    from FunFuseSlicer.Logic.methods import METHODS
    from FunFuseSlicer.Logic.metrics import SETS

    from ..training.pairs import read_pairs
    from .other_programs import read_others

    models, problems = [], []
    for model in map(load_model, model_names()):
        try:
            runner_of(model, options.lam, options.device)
            models.append(model)
        except DeviceError as error:
            problems.append(str(error))
    problems += filter(None, (method.problem() for method in METHODS.values()))
    for problem in problems:
        print(f"  note: {problem}", file=sys.stderr)
    planned = claim(PAIRS_WRITE, options, options.pairs)
    with all_or_nothing(options.out, planned) as folder, ProgressBars() as monitor:
        methods = available_methods(models, options.lam, options.device)
        pairs = read_pairs([options.pairs])
        for pair in pairs:
            _check_size(f"{options.pairs}, {pair.patient}", pair.mri.shape)
        others = read_others(options.others, pairs)
        for name in [name for name in others if name in (*methods, *COPIES)]:
            raise InputError(f"--others {name}: a method here has this name. Choose another.")
        metrics = SETS[options.metrics]
        rows = _measure_pairs(pairs, methods, others, options.lam, metrics, options.masked, monitor)
        names = list(dict.fromkeys(row["method"] for row in rows))
        table = [
            {"method": name, **report.mean_of([row for row in rows if row["method"] == name])}
            for name in names
        ]
        patients = len({pair.patient for pair in pairs})
        said = f"Mean over {count(len(pairs), 'pair')} of {count(patients, 'patient')}, λ = {options.lam:g}"
        if options.masked:
            said += ", 0 where both sources are 0"
        means = paired_comparison.intervals(rows, [*metrics, "b_P", "rank_fused", "excess"])
        compared = paired_comparison.comparisons(rows, list(metrics))
        findings = report.undefined(rows)
        findings += report.beyond_chance(means, compared, list(metrics), [*methods, *others], patients)
        report.write_csv(rows, folder / "per_pair.csv")
        report.write_csv(table, folder / "table.csv")
        report.write_csv(means, folder / "intervals.csv")
        report.write_csv(compared, folder / "comparisons.csv")
        facts = [
            f"{said}.",
            *(f'Model "{model.name}": sha256 {model.sha256[:16]}….' for model in models),
            "All images are rounded to 8 bits before they are measured.",
            *(f"Left out: {problem}" for problem in problems),
        ]
        rewards = report.REWARDS[options.metrics]
        report.write_markdown(table, folder / "table.md", facts, findings, rewards)
        report.write_bars(table, folder / "metrics.png", said)
    print(f"{said}\n\n{report.text_of_methods(table)}\n")
    print(report.wrapped([*findings, "", rewards]))
    print(f"\nresults     {options.out.resolve()}")


def available_methods(models: Iterable, lam: float, device: str) -> Dict[str, Fuse]:
    """The methods that can be used here, by their name in the tables, the given models at this λ first."""
    from FunFuseSlicer.Logic.fusion.fuser import runner_of
    from FunFuseSlicer.Logic.methods import METHODS

    others = {method.label: method for method in METHODS.values() if method.problem() is None}
    return {**{name_of(model): runner_of(model, lam, device).fuse_pair for model in models}, **others}


def name_of(model) -> str:
    """Its name in the tables."""
    return f"{MODEL_LABEL} {model.name}"


def _measure_pairs(
    pairs,
    methods: Dict[str, Fuse],
    others: Dict[str, List[np.ndarray]],
    lam: float,
    metrics,
    masked: bool,
    monitor,
) -> List[report.Row]:
    """A row per pair and method, other program or copy."""
    from FunFuseSlicer.Logic.metrics import evaluate_pair

    rows, total = [], len(pairs) * (len(methods) + len(others) + len(COPIES))
    for number, pair in enumerate(pairs):
        key = {"pair": number, "image": pair.name, "patient": pair.patient}
        sources = sources_of(pair)
        given = {name: images[number] for name, images in others.items()}
        # The first call of each method prepares what later ones use: it must not count as its time.
        for name, fused, milliseconds in fused_images(pair, methods, given, rehearse=number == 0):
            monitor.report(STAGE, len(rows) / total)
            if masked:
                fused = outside_black(*sources, fused)
            values = evaluate_pair(*sources, fused, lam=lam, metrics=metrics)
            rows.append({**key, "method": name, **values, "ms": milliseconds})
    monitor.report(STAGE, 1.0)
    return rows


def sources_of(pair) -> Tuple[np.ndarray, np.ndarray]:
    """MRI and PET as pictures on disk have them, (rows, columns) uint8."""
    from ..training.pairs import to_unit

    return to_8_bits(to_unit(pair.mri)), to_8_bits(to_unit(pair.pet))


def fused_images(
    pair, methods: Mapping[str, Fuse], given: Mapping[str, np.ndarray], rehearse: bool = False
) -> Iterator[Tuple[str, np.ndarray, float]]:
    """(name, image, milliseconds) of each method, of what is given, and of the unfused copies.

    Images are (rows, columns) uint8; the time is NaN where nothing worked.

    :param given: name -> fused image of another program.
    :param rehearse: fuse once before the time is taken.
    """
    from ..training.pairs import to_unit

    mri, pet = to_unit(pair.mri), to_unit(pair.pet)
    for fuse in methods.values() if rehearse else ():
        fuse(mri, pet)
    for name, fuse in methods.items():
        start = time.perf_counter()
        fused = fuse(mri, pet)
        milliseconds = 1000 * (time.perf_counter() - start)
        yield name, to_8_bits(fused), milliseconds
    for name, fused in {**given, **dict(zip(COPIES, sources_of(pair)))}.items():
        yield name, fused, math.nan


def outside_black(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> np.ndarray:
    """The fused image with 0 where both sources are 0."""
    return np.where((mri > 0) | (pet > 0), fused, 0)
