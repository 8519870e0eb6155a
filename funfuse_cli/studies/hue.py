"""``funfuse.py study hue``: at equal uptake, does the color of the PET's part depend on the MRI?"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import pandas as pd

from FunFuseSlicer.Logic.color.sources import contribution_source
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.output_folder import check_writable
from FunFuseSlicer.Logic.volumes.geometry import axial_order, resample, to_axial
from FunFuseSlicer.Logic.volumes.preprocessing import clean, normalize

from ..paths import input_path
from ..reading.reader import read_volume
from ..training.pair import Pair
from ..training.pairs import read_pairs, to_unit
from ..workflow.demo_data import T1, fetch
from ..workflow.progress import bar
from . import add_docs
from .kept import with_kept

# Uptake is equal within one of these; below, color fades out.
BANDS = np.round(np.arange(0.3, 0.95, 0.1), 1)
WIDTH = 0.1
QUARTERS = 4
# Fewer voxels of a band tell nothing.
LEAST = 400


# Axial slices of MRI and PET, each (slices, rows, columns) float32 in [0, 1].
Images = Tuple[np.ndarray, np.ndarray]


class Subject(NamedTuple):
    """A patient or a map, and what reads each N-th slice of it."""

    set: str
    name: str
    read: Callable[[int], Images]


def main(arguments: List[str]) -> int:
    """Measure every model on all images, and write the table."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study hue",
        description='Measure how much the hue of the mode "contribution" differs between dark and bright '
        "places of the MRI where uptake is equal.",
    )
    text = "folder with volumes/patient_fdg, volumes/patients_spect, tracers, slices, test_pairs, field_pairs"
    parser.add_argument("--data", type=input_path, required=True, metavar="DIR", help=text)
    text = "only each N-th axial slice of volumes, and each N-th picture of a patient (default 8)"
    parser.add_argument("--every", type=int, default=8, metavar="N", help=text)
    parser.add_argument(
        "--model", nargs="+", metavar="NAME", help="models to measure (all); rows of others stay"
    )
    add_docs(parser)
    options = parser.parse_args(arguments)
    if options.every < 1:
        raise InputError("--every must be 1 or more.")
    names, folder = model_names(), check_writable(options.docs / "data")
    models = [load_model(name) for name in options.model or names]
    fuses = {model.name: runner_of(model, FusionOptions().lam, "cpu").fuse for model in models}
    found = everybody(options.data)
    if not found:
        raise InputError(f"{options.data} has none of the folders of the study: give the data folder.")
    rows, shown = [], bar(len(found), "measuring", "subject")
    for group, subject, read in found:
        mri, pet = read(options.every)
        for name, fuse in fuses.items():
            about = {"set": group, "subject": subject, "model": name}
            rows += [{**about, **row} for row in measure(fuse, mri, pet)]
        shown.update()
    shown.close()
    file, record = folder / "hue.csv", folder / "hue_facts.json"
    table = with_kept(pd.DataFrame(rows), file, "model", names, ["set", "subject"])
    table.to_csv(file, index=False, float_format="%.4g", lineterminator="\n")
    before = json.loads(record.read_text(encoding="utf-8"))["models"] if record.is_file() else {}
    sums = {**before, **{model.name: model.sha256 for model in models}}
    facts = {"every": options.every, "models": {name: sums[name] for name in names if name in sums}}
    record.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(fuse, mri: np.ndarray, pet: np.ndarray) -> List[dict]:
    """One model on one patient or map, a row for each band of uptake that has enough voxels.

    :param fuse: see :meth:`engine.Runner.fuse`.
    :param mri: (slices, rows, columns) in [0, 1]; ``pet`` likewise.
    :return: ``uptake``, the band's lower end; its ``voxels``; ``dark`` and ``bright``, the hue (place on the
        color map, in [0, 1]) less the uptake, in the mean over the darkest and the brightest quarter of them
        in the MRI; ``spread``, the largest of the four quarters' means less the smallest.
    """
    # A slice at a time: all at once would take gigabytes.
    parts = (fuse(mri[n : n + 1], pet[n : n + 1], True)[1:] for n in range(len(mri)))
    hue = contribution_source(*(np.concatenate(part) for part in zip(*parts))).function()
    rows = []
    for low in BANDS:
        # An uptake of 1 may be any above.
        there = (pet >= low) & (pet < min(low + WIDTH, 1.0)) & (mri > 0)
        if there.sum() < LEAST:
            continue
        brightness, above = mri[there], hue[there] - pet[there]
        edges = np.quantile(brightness, np.arange(1, QUARTERS) / QUARTERS)
        quarter = np.digitize(brightness, edges)
        means = [float(above[quarter == n].mean()) for n in np.unique(quarter)]
        rows.append(
            {
                "uptake": low,
                "voxels": int(there.sum()),
                "dark": means[0],
                "bright": means[-1],
                "spread": max(means) - min(means),
            }
        )
    return rows


def everybody(data: Path) -> List[Subject]:
    """All that the folder has: pairs of volumes, maps on the ICBM152 T1, and pictures, by patient."""
    volumes, found = data / "volumes", []
    pairs = [("FDG", path, path.with_name("FDG.nii.gz")) for path in volumes.glob("patient_fdg/T1.nii.gz")]
    for path in sorted(volumes.glob("patients_spect/*_T2.nii.gz")):
        pairs.append(("SPECT", path, path.with_name(path.name.replace("_T2.", "_SPECT."))))
    pairs += [("tracers", None, path) for path in sorted((data / "tracers").glob("*.nii.gz"))]
    for group, mri, pet in pairs:
        found.append(Subject(group, pet.name[:-7], partial(_volumes, mri, pet)))
    for folder in ("slices", "test_pairs", "field_pairs"):
        patients: Dict[str, List[Pair]] = {}
        for pair in read_pairs([data / folder]) if (data / folder).is_dir() else []:
            patients.setdefault(pair.patient, []).append(pair)
        found += [Subject(folder, name, partial(_pictures, pairs)) for name, pairs in patients.items()]
    return found


def _volumes(mri_path: Optional[Path], pet_path: Path, every: int) -> Images:
    """As a run prepares them; without an MRI, that of the ICBM152."""
    mri = clean(read_volume(mri_path or fetch(T1)), mri=True)[0]
    pet = clean(read_volume(pet_path))[0]
    if not pet.same_grid(mri):
        pet = resample(pet, mri)
    order = axial_order(mri.ijk_to_ras)
    mri_slices, pet_slices = (to_axial(normalize(v.array), order)[::every] for v in (mri, pet))
    return mri_slices, pet_slices


def _pictures(pairs: List[Pair], every: int) -> Images:
    some = pairs[::every]
    return np.stack([to_unit(pair.mri) for pair in some]), np.stack([to_unit(pair.pet) for pair in some])
