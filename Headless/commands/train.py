"""``funfuse.py train``: train the fusion network on registered pairs."""

import argparse
from pathlib import Path
from typing import List

import numpy as np
from tqdm import tqdm

from ..output_folder import check_writable


def main(arguments: List[str]) -> int:
    """Train, save the weights, and print the losses on the pairs held out."""
    options = parser().parse_args(arguments)
    import torch

    from FunFuseSlicer.Logic.models import save_model
    from FunFuseSlicer.Logic.training.pairs import read_pairs, split_by_patient
    from FunFuseSlicer.Logic.training.trainer import (
        LAMBDAS,
        TrainingOptions,
        average_losses,
        losses,
        train,
    )

    folder = check_writable(options.out)
    if options.threads:
        torch.set_num_threads(options.threads)
    pairs, held_out = split_by_patient(read_pairs(options.data), options.hold_out)
    unseen = {"held-out": held_out} if held_out else {}
    if options.test:
        unseen["test"] = read_pairs(options.test)
    recipe = TrainingOptions(
        options.steps, options.batch, options.crop, options.rate, options.seed, options.lam, options.device
    )
    patients = sorted({pair.patient for pair in pairs})
    print(f"training on {len(pairs)} pairs of {len(patients)} patients: {', '.join(patients)}")
    with tqdm(total=recipe.steps, unit="step") as bar:
        smooth = []

        def on_step(step: int, loss: float) -> None:
            if not smooth:
                bar.initial = step - 1  # a run that goes on
            smooth.append(loss)
            bar.n = step
            bar.set_postfix(loss=f"{np.mean(smooth[-100:]):.4f}", refresh=False)
            bar.update(0)

        network = train(pairs, recipe, folder, unseen, on_step)
    sha256 = save_model(network, options.name, folder, recipe.lam)
    for name, some in unseen.items():
        for lam in LAMBDAS if recipe.lam is None else (recipe.lam,):
            ours, average = np.mean(losses(network, some, lam)), np.mean(average_losses(some, lam))
            print(f"{name:<10} λ = {lam:<4} loss {ours:.4f}   plain average {average:.4f}")
    print(f"weights    {folder / options.name}.pt   sha256 {sha256[:16]}…")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(prog="funfuse.py train", description=__doc__.splitlines()[0])
    result.add_argument("--data", nargs="+", required=True, metavar="DIR", help="folders of pairs")
    result.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for this run")
    result.add_argument("--hold-out", nargs="*", default=[], metavar="PATIENT", help="not trained on")
    result.add_argument("--test", nargs="*", metavar="DIR", help="more pairs to measure only")
    result.add_argument("--lambda", dest="lam", type=float, help="a fixed λ (default: every λ)")
    result.add_argument("--steps", type=int, default=5000)
    result.add_argument("--batch", type=int, default=4)
    result.add_argument("--crop", type=int, default=96)
    result.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--device", default="cpu")
    result.add_argument("--threads", type=int, help="processor threads")
    result.add_argument("--name", default="funfuse", help="file name of the weights")
    return result
