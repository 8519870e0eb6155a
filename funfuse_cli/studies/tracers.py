"""``funfuse.py study tracers``: does the PET's part keep the order of uptake, whatever the tracer?"""

import argparse
import json
from typing import List

import numpy as np
import pandas as pd
import torch

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.metrics import rank_correlation
from FunFuseSlicer.Logic.output_folder import check_writable
from FunFuseSlicer.Logic.volumes.geometry import resample
from FunFuseSlicer.Logic.volumes.preprocessing import ROBUST_PERCENTILE, to_unit

from ..paths import input_path
from ..reading.reader import read_volume
from ..training.loss import fusion_loss
from ..workflow.demo_data import T1, fetch
from ..workflow.progress import bar
from . import add_docs
from .kept import with_kept

# How far a part is below 0, or the fused image above both images, to count.
NEGATIVE, EXCESS = -0.01, 0.02
LAMBDA = 0.8


def main(arguments: List[str]) -> int:
    """Measure every model on every map, and write the table."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study tracers",
        description="Fuse average maps of tracers with the ICBM152 T1 by every shipped model.",
    )
    add = parser.add_argument
    add(
        "--maps",
        type=input_path,
        required=True,
        metavar="DIR",
        help="maps in MNI space, .nii.gz, one a tracer",
    )
    add("--every", type=int, default=6, metavar="N", help="only each N-th axial slice (default 6)")
    add("--model", nargs="+", metavar="NAME", help="models to measure (all); rows of others stay")
    add_docs(parser)
    options = parser.parse_args(arguments)
    maps = sorted(options.maps.glob("*.nii.gz"))
    if not maps:
        raise InputError(f"{options.maps} holds no maps (.nii.gz): give a folder with some.")
    if options.every < 1:
        raise InputError("--every must be 1 or more.")
    folder, mri = check_writable(options.docs / "data"), read_volume(fetch(T1))
    names = model_names()
    models = [load_model(name) for name in options.model or names]
    fuses = {model.name: runner_of(model, LAMBDA, "cpu").fuse for model in models}
    head = mri.array > 0
    slices = np.flatnonzero(head.any(axis=(1, 2)))[:: options.every]
    mri_unit = _unit(mri.array, head)[slices]
    rows = []
    shown = bar(len(maps), "measuring", "map")
    for path in maps:
        pet = _unit(resample(read_volume(path), mri).array, head)[slices]
        for name, fuse in fuses.items():
            rows.append({"map": path.name[:-7], "model": name, **measure(fuse, mri_unit, pet, head[slices])})
        shown.update()
    shown.close()
    file, record = folder / "tracers.csv", folder / "tracers_facts.json"
    table = with_kept(pd.DataFrame(rows), file, "model", names, ["map"])
    table.to_csv(file, index=False, float_format="%.5g", lineterminator="\n")
    before = json.loads(record.read_text(encoding="utf-8"))["models"] if record.is_file() else {}
    sums = {**before, **{model.name: model.sha256 for model in models}}
    facts = {"every": options.every, "models": {name: sums[name] for name in names if name in sums}}
    record.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(fuse, mri: np.ndarray, pet: np.ndarray, head: np.ndarray) -> dict:
    """One model on one map.

    :param fuse: see :meth:`engine.Runner.fuse`.
    :param mri: (slices, rows, columns) in [0, 1]; ``pet`` likewise, ``head`` their mask.
    :return: ``rank``, Spearman's correlation of the PET part with the PET where there is uptake in the head;
        mean ``loss``, eq. (4), and that of the plain ``average``; shares of the head where a part is below 0
        (``negative_mri``, ``negative_pet``), and where the fused image is brighter than both sources
        (``excess``).
    """
    # A slice at a time: all at once would take gigabytes.
    fused_slices = (fuse(mri[n : n + 1], pet[n : n + 1], True) for n in range(len(mri)))
    fused, mri_part, pet_part = (np.concatenate(images) for images in zip(*fused_slices))

    def loss(image: np.ndarray) -> float:
        tensors = (torch.from_numpy(np.ascontiguousarray(each))[:, None] for each in (image, mri, pet))
        return fusion_loss(*tensors, LAMBDA).mean().item()

    def flat(stack: np.ndarray) -> np.ndarray:
        """All slices as one image."""
        return stack.reshape(-1, stack.shape[-1])

    return {
        "rank": rank_correlation(*(flat(image) for image in (255 * pet, pet_part, head))),
        "loss": loss(fused),
        "average": loss((mri + pet) / 2),
        "negative_mri": (mri_part[head] < NEGATIVE).mean(),
        "negative_pet": (pet_part[head] < NEGATIVE).mean(),
        "excess": (fused - np.maximum(mri, pet) > EXCESS)[head].mean(),
    }


def _unit(array: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Scaled by a percentile of the head, negatives to 0, float32 in [0, 1]."""
    array = np.nan_to_num(array.astype(np.float32))
    return to_unit(array, 0.0, np.percentile(array[head], ROBUST_PERCENTILE))
