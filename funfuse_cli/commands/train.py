"""``funfuse train``: train the fusion network on registered pairs."""

import argparse
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import List

import numpy as np

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import growing, putting

from ..paths import input_path, output_path
from ..workflow.output_folder import add_overwrite, claim
from ..workflow.progress import bar, count


def main(arguments: List[str]) -> int:
    """Train, save the weights, and print the losses on the pairs held out."""
    options = parser().parse_args(arguments)
    recipe = _recipe(options)
    recipe.check()
    name = _name(options)
    writes = ("checkpoint.pt", "log.csv", "loss.png", f"{name}.npz", f"{name}.json")
    planned = claim(writes, options, recipe.start_from, *options.data, *(options.test or ()))
    with growing(options.out, planned) as folder:
        _train(options, recipe, name, folder)
    return 0


def _train(options, recipe, model: str, folder: Path) -> None:
    import torch

    from ..training.pairs import choose_held_out, read_pairs, split_by_patient
    from ..training.trainer import LAMBDAS, average_losses, average_terms, losses, some_of, train
    from ..training.variants import save_network

    if options.threads:
        torch.set_num_threads(options.threads)
    pairs = read_pairs(options.data)
    names = options.hold_out
    if options.hold_out_share is not None:
        names = choose_held_out(pairs, options.hold_out_share, recipe.seed)
    pairs, held_out = split_by_patient(pairs, names)
    unseen = {"held-out": held_out} if held_out else {}
    if options.test:
        unseen["test"] = read_pairs(options.test)
    _say_patients("training on", pairs)
    for name, some in unseen.items():
        _say_patients(name, some)
    lambdas = LAMBDAS if recipe.lam is None else (recipe.lam,)
    average = next((average_terms(some_of(some)).mean(axis=0) for some in unseen.values()), None)
    with _Bar(folder / "loss.png", lambdas, list(unseen), average) as bar:
        network = train(pairs, recipe, folder, unseen, callbacks=bar.callbacks())
    with putting(folder) as work:
        sha256 = save_network(network, model, work, recipe.lam)
    for name, some in unseen.items():
        if recipe.minutes is not None:
            some = some_of(some)  # all of them could take longer than the training
            print(f"{name}: measured on {count(len(some), 'pair')}, so that it fits into the minutes")
        for lam in lambdas:
            ours, plain = np.mean(losses(network, some, lam)), np.mean(average_losses(some, lam))
            print(f"{name:<10} λ = {lam:<4} loss {ours:.4f}   plain average {plain:.4f}")
    print(f"weights    {folder / model}.npz   sha256 {sha256[:16]}…")


def _name(options) -> str:
    """The file name of the weights: what was given, or that of the model which the preset makes.

    :raises InputError: it is no name of a file.
    """
    name = options.name or options.preset
    if re.fullmatch(r"[\w][\w .+-]*", name) is None or name == "checkpoint":
        raise InputError(
            f'--name "{name}" is no file name for weights: use letters, digits, ".", "_", "+" and "-".'
        )
    return name


class _Bar:
    """The progress bar with smoothed loss and time left, and the picture of the losses."""

    def __init__(self, picture: Path, lambdas, groups, average):
        self._picture = (picture, lambdas, groups, average)
        self._bar, self._smooth = None, None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def callbacks(self):
        """What the trainer calls."""
        from ..training.trainer import Callbacks

        return Callbacks(self._start, self._step, self._row)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def _start(self, first: int, steps: int) -> None:
        if first:
            print(f"going on after step {first} of {steps}")
        self._bar = bar(steps, "training", "step", first)

    def _step(self, step: int, loss: float) -> None:
        self._smooth = loss if self._smooth is None else 0.98 * self._smooth + 0.02 * loss
        self._bar.set_note(f"loss {self._smooth:.4f}")
        self._bar.update()

    def _row(self, rows) -> None:
        from ..training.loss_curve import write_loss_curve

        picture, lambdas, groups, average = self._picture
        write_loss_curve(rows, picture, lambdas, groups, average)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse train",
        description="Train the fusion network on registered pairs. The folder of the run gets a checkpoint, "
        "log.csv, loss.png and the weights; the same command again continues an interrupted run.",
        epilog="Pairs are: folders mri/ and pet/ (or spect/, fdg/) with equally named pictures, below a "
        "folder per patient; pictures X_mri.png and X_pet.png; volumes on one grid as PATIENT/T1.nii.gz and "
        "PATIENT/FDG.nii.gz, or X_T2.nii.gz and X_SPECT.nii.gz.",
    )
    data = result.add_argument_group("data")
    data.add_argument(
        "--data", type=input_path, nargs="+", required=True, metavar="DIR", help="folders of pairs"
    )
    data.add_argument("--out", type=output_path, required=True, metavar="RUN", help="folder for this run")
    add_overwrite(data)
    split = data.add_mutually_exclusive_group()
    split.add_argument("--hold-out", nargs="*", default=[], metavar="PATIENT", help="not trained on")
    split.add_argument("--hold-out-share", type=float, metavar="S", help="hold out a share of the patients")
    data.add_argument("--test", type=input_path, nargs="*", metavar="DIR", help="more pairs to measure only")
    data.add_argument("--name", help="file name of the weights (default: the model that the preset makes)")
    recipe = result.add_argument_group("recipe (the preset says what is not given)")
    recipe.add_argument(
        "--preset",
        default="start",
        choices=("start", "faithful", "detail", "contrast", "paper", "paper-detail", "as-printed"),
        help="start makes a network from scratch (default); from it (--start-from) faithful, and from "
        "that detail and contrast make the models of these names; paper and paper-detail those with the "
        "paper's network; as-printed is what the paper describes",
    )
    recipe.add_argument(
        "--lambda", dest="lam", type=_lambda, help='a fixed λ, or "all" for one network that serves every λ'
    )
    recipe.add_argument(
        "--near-default", type=float, metavar="S", help="share of samples with a λ near 0.8, the default one"
    )
    length = recipe.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="of the optimizer")
    length.add_argument("--epochs", type=int, help="as many steps as show each slice so often")
    length.add_argument(
        "--minutes", type=float, help="a time budget: becomes a number of steps once the first are measured"
    )
    recipe.add_argument("--batch", type=int, help="images a step")
    recipe.add_argument("--crop", type=int, help="side of the crops; 0 for whole slices, each once an epoch")
    recipe.add_argument("--rate", type=float, help="(peak) learning rate of Adam; Muon's is ten times that")
    recipe.add_argument("--optimizer", choices=("muon", "adam"), help="what changes the weights")
    recipe.add_argument("--seed", type=int, help="of all that is drawn at random")
    recipe.add_argument(
        "--start-from", type=input_path, metavar="NPZ", help="weights of an earlier run to start from"
    )
    objective = result.add_argument_group("objective")
    objective.add_argument(
        "--objective", choices=("faithful", "detail"), help="the paper's loss, or more detail"
    )
    objective.add_argument("--structure-weight", type=float, metavar="W", help="of livelier structure")
    objective.add_argument("--information-weight", type=float, metavar="W", help="of visual information")
    objective.add_argument("--gradient-weight", type=float, metavar="W", help="of edges kept")
    objective.add_argument(
        "--brightness-weight",
        type=float,
        metavar="W",
        help="of pixels as bright as in the brighter image",
    )
    objective.add_argument(
        "--average-weight", type=float, metavar="W", help="of a loss above that of the plain average"
    )
    objective.add_argument(
        "--parts-weight", type=float, metavar="W", help="price of parts below 0; takes a quarter more time"
    )
    objective.add_argument(
        "--order-weight", type=float, metavar="W", help="price of a PET part that loses the order of uptake"
    )
    objective.add_argument(
        "--excess-weight", type=float, metavar="W", help="price of what is brighter than both sources"
    )
    objective.add_argument(
        "--share-weight", type=float, metavar="W", help="price of a PET that hardly shows beside bright scalp"
    )
    objective.add_argument(
        "--steady-weight", type=float, metavar="W", help="price of what changes from slice to slice"
    )
    objective.add_argument(
        "--limited",
        action=argparse.BooleanOptionalAction,
        help="train the steered network with its limits: no negative parts, nothing brighter than both",
    )
    objective.add_argument(
        "--luminance", type=float, metavar="S", help="share of PETs turned to the luminance of their colors"
    )
    objective.add_argument("--synthetic", type=float, metavar="S", help="share of pairs with a made up PET")
    objective.add_argument(
        "--plateaus",
        action=argparse.BooleanOptionalAction,
        help="made up PETs that are flat or dark, too, and brain masks",
    )
    objective.add_argument(
        "--averages",
        action=argparse.BooleanOptionalAction,
        help="made up averages of groups, too: smooth, uptake cut out by a mask",
    )
    network = result.add_argument_group("network (other than the shipped one: for research)")
    network.add_argument("--eighth", type=int, metavar="N", help="channels of the steered one at an eighth")
    network.add_argument("--sixteenth", type=int, metavar="N", help="likewise at a sixteenth (none: 0)")
    network.add_argument("--rule", choices=("max-average", "sum", "guarded-ratio"), help="rule 1")
    network.add_argument(
        "--batch-norm",
        choices=("none", "running", "batch"),
        help="none, or normalization by running statistics or by those of the batch",
    )
    network.add_argument("--bias", action=argparse.BooleanOptionalAction, help="biases of convolutions")
    network.add_argument("--tanh", action=argparse.BooleanOptionalAction, help="at the end of the network")
    machine = result.add_argument_group("computer")
    machine.add_argument(
        "--device", default="cpu", choices=("auto", "cpu", "cuda", "mps"), help="default cpu"
    )
    machine.add_argument("--threads", type=int, help="processor threads (default: what PyTorch takes)")
    return result


def _recipe(options):
    """The preset with what the user gave in place of it."""
    from FunFuseSlicer.Logic.fusion.pytorch.device import choose_device

    from ..training.options import CONTINUED, preset, with_length

    if options.preset in CONTINUED and options.start_from is None:
        raise InputError(
            f"The preset {options.preset} goes on from weights: give those of the model before it with "
            "--start-from."
        )
    recipe = with_length(preset(options.preset), options.steps, options.epochs, options.minutes)
    if options.lam is not None:
        recipe = replace(recipe, lam=None if options.lam == "all" else options.lam)
    # These are not taken as they are given.
    apart = ("steps", "epochs", "minutes", "lam", "device", "architecture")
    names = [field.name for field in fields(recipe) if field.name in options and field.name not in apart]
    recipe = replace(recipe, **_given(options, names))
    architecture = replace(recipe.architecture, **_given(options, ("rule", "batch_norm", "bias", "tanh")))
    return replace(recipe, architecture=architecture, device=str(choose_device(options.device)))


def _given(options, names) -> dict:
    values = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _lambda(text: str):
    if text == "all":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f'--lambda must be a number from 0 to 1 or "all", not {text}.') from None


def _say_patients(what: str, pairs) -> None:
    patients = sorted({pair.patient for pair in pairs})
    print(f"{what} {len(pairs)} pairs of {len(patients)} patients: {', '.join(patients)}")
