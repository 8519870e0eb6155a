"""``funfuse learn``: the dictionary or the network of a comparison method, from registered pairs."""

import argparse
import io
import math
from pathlib import Path
from typing import List

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods import METHODS
from FunFuseSlicer.Logic.methods.learned import save_learned
from FunFuseSlicer.Logic.methods.lp_sr import SIDE
from FunFuseSlicer.Logic.output_folder import all_or_nothing

from ..paths import input_path, output_path
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.progress import ProgressBars

STAGE = "Learning"
# How many patches, of each kind, the result is measured on at most.
CHECKED = 2000
# Option -> the smallest and the largest value.
LIMITS = {
    "seed": (0, 2**32 - 1),
    "threads": (1, None),
    "patches": (1, None),
    "iterations": (1, None),
    # Patches of mean 0 have no more degrees of freedom.
    "atoms_per_patch": (1, SIDE**2 - 1),
    # The schedule rises and falls.
    "steps": (2, None),
    "batch": (1, None),
}


def main(arguments: List[str]) -> int:
    """Read the pairs, learn, save, and print how well patches of the pairs held out are served."""
    options = parser().parse_args(arguments)
    _check(options)
    method = METHODS[options.method.replace("-", "_")]
    problem = method.problem()
    if problem is not None:
        raise InputError(problem)

    from ..training.pairs import read_pairs, split_by_patient

    planned = claim((options.file, Path(options.file).stem + ".json"), options, *options.data)
    with all_or_nothing(options.out, planned) as folder:
        pairs, held_out = split_by_patient(read_pairs(options.data), options.hold_out)
        patients, others = (sorted({pair.patient for pair in some}) for some in (pairs, held_out))
        print(f"learning from {len(pairs)} pairs of {len(patients)} patients: {', '.join(patients)}")
        if held_out:
            print(f"held out {len(held_out)} pairs of {len(others)} patients: {', '.join(others)}")
        content, recipe, measured = options.learn(_images(pairs), _images(held_out), options)
        facts = {"method": method.label, "seed": options.seed, **recipe}
        facts.update(pairs=len(pairs), patients=patients, held_out=others, **measured)
        sha256 = save_learned(options.file, folder, content, facts)
    for what, value in measured.items():
        print(f"{what.replace('_', ' ')}: {value:.4f}")
    print(f"{options.out / options.file}   {len(content) / 1000:.0f} kB   sha256 {sha256[:16]}…")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse learn",
        description="Learn what the comparison methods LP-SR (a dictionary of image patches) and LP-CNN (a "
        "network that tells sharp from blurred) need. The files go into the folder --out; those that the "
        "extension ships are in FunFuseSlicer/Resources/Methods.",
        epilog="Pairs are laid out as for train. The same data, options and computer give the same file.",
    )
    methods = result.add_subparsers(dest="method", required=True, metavar="{lp-sr,lp-cnn}")
    lp_sr = methods.add_parser("lp-sr", help="the dictionary of LP-SR: lp_sr.npy")
    lp_sr.set_defaults(learn=_learn_dictionary, file="lp_sr.npy")
    lp_sr.set_defaults(counts=("patches", "iterations", "atoms_per_patch"))
    lp_cnn = methods.add_parser("lp-cnn", help="the network of LP-CNN: lp_cnn.pt")
    lp_cnn.set_defaults(learn=_learn_network, file="lp_cnn.pt")
    lp_cnn.set_defaults(counts=("patches", "steps", "batch"))
    for one in (lp_sr, lp_cnn):
        one.add_argument(
            "--data", type=input_path, nargs="+", required=True, metavar="DIR", help="folders of pairs"
        )
        one.add_argument("--out", type=output_path, required=True, metavar="FOLDER", help="for the results")
        add_overwrite(one)
        one.add_argument("--hold-out", nargs="*", default=[], metavar="PATIENT", help="not learned from")
        one.add_argument("--seed", type=int, default=0, help="of all that is drawn at random (%(default)s)")
        one.add_argument("--threads", type=int, help="processor threads (default: all)")
    lp_sr.add_argument("--patches", type=int, default=12000, help="learned from (%(default)s)")
    lp_sr.add_argument("--iterations", type=int, default=25, help="of K-SVD (%(default)s)")
    lp_sr.add_argument(
        "--atoms-per-patch",
        type=int,
        default=5,
        metavar="N",
        help="of the dictionary, summed up (%(default)s)",
    )
    lp_cnn.add_argument("--patches", type=int, default=20000, help="learned from (%(default)s)")
    lp_cnn.add_argument("--steps", type=int, default=400, help="of the optimizer (%(default)s)")
    lp_cnn.add_argument("--batch", type=int, default=64, help="pairs of patches a step (%(default)s)")
    lp_cnn.add_argument("--rate", type=float, default=1e-3, help="peak learning rate (%(default)s)")
    return result


def _check(options) -> None:
    """:raises InputError: a number is too small or too large."""
    for name, (lowest, highest) in LIMITS.items():
        value = getattr(options, name, None)
        said = f"--{name.replace('_', '-')} must be"
        if value is not None and value < lowest:
            raise InputError(f"{said} {lowest} at least.")
        if value is not None and highest is not None and value > highest:
            raise InputError(f"{said} {highest} at most.")
    if not 0 < getattr(options, "rate", 1) < math.inf:
        raise InputError("--rate must be larger than 0.")


def _images(pairs) -> List[np.ndarray]:
    from ..training.pairs import to_unit

    return [to_unit(image).astype(np.float64) for pair in pairs for image in (pair.mri, pair.pet)]


def _learn_dictionary(images, unseen, options):
    """(content, recipe, what was measured)."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    from ..training.learning.lp_sr import choose_patches, learn_dictionary, representation_error

    generator = np.random.default_rng(options.seed)
    patches = choose_patches(images, options.patches, generator)
    with ProgressBars() as monitor, threadpool_limits(options.threads):
        dictionary = learn_dictionary(
            patches,
            options.iterations,
            options.atoms_per_patch,
            generator,
            lambda fraction: monitor.report(STAGE, fraction),
        )
    content = io.BytesIO()
    np.save(content, dictionary.astype(np.float32), allow_pickle=False)
    measured = {}
    for what, some in (("error_learned_from", patches), ("error_held_out", unseen)):
        if what == "error_held_out":
            some = choose_patches(unseen, min(CHECKED, options.patches), generator) if unseen else []
        if len(some):
            measured[what] = representation_error(some[:CHECKED], dictionary, options.atoms_per_patch)
    recipe = {name: getattr(options, name) for name in options.counts}
    return content.getvalue(), {**recipe, "patches": len(patches)}, measured


def _learn_network(images, unseen, options):
    """(content, recipe, what was measured)."""
    import torch

    from ..training.learning.lp_cnn import choose_patches, learn_network, share_right

    if options.threads:
        torch.set_num_threads(options.threads)
    generator = np.random.default_rng(options.seed)
    sharp, blurred = choose_patches(images, options.patches, generator)
    with ProgressBars() as monitor:
        network = learn_network(
            sharp,
            blurred,
            options.steps,
            options.batch,
            options.rate,
            options.seed,
            lambda fraction: monitor.report(STAGE, fraction),
        )
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    measured = {"right_learned_from": share_right(network, sharp[:CHECKED], blurred[:CHECKED])}
    if unseen:
        unseen = choose_patches(unseen, min(CHECKED, options.patches), generator)
        measured["right_held_out"] = share_right(network, *unseen)
    recipe = {name: getattr(options, name) for name in (*options.counts, "rate")}
    return content.getvalue(), {**recipe, "patches": len(sharp)}, measured
