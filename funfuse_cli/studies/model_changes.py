"""Controlled changes of a registered pair: what another scanner, tracer, patient or registration does."""

from itertools import product

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from ..training.pairs import Pair
from .model_measure import AVERAGE, METHODS, Study, Tables, fuse_with, measured, network_of, parts_of


def _inside(image: np.ndarray, changed: np.ndarray) -> np.ndarray:
    return np.where(image > 0, changed.clip(0, 1), 0).astype(np.float32)


def _noisy(mri: np.ndarray, pet: np.ndarray):
    # The same noise at every call: a change is a function.
    rng = np.random.default_rng(0)
    return tuple(_inside(image, image + rng.normal(0, 0.02, image.shape)) for image in (mri, pet))


def blob(pet: np.ndarray) -> np.ndarray:
    """A smooth blob, 1 at its center, half way between the middle of the uptake and its right edge."""
    (rows, columns), (y, x) = np.nonzero(pet > 0), np.indices(pet.shape)
    row, column = rows.mean(), (columns.mean() + columns.max()) / 2
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 5.0**2)).astype(np.float32)


# Background, where both images are 0, stays exactly 0 unless the change moves the PET over it.
CHANGES = {
    "as it is": lambda mri, pet: (mri, pet),
    "PET × 0.5": lambda mri, pet: (mri, pet * 0.5),
    "MRI × 0.5": lambda mri, pet: (mri * 0.5, pet),
    "MRI, gamma 0.7": lambda mri, pet: (mri**0.7, pet),
    "MRI, gamma 1.4": lambda mri, pet: (mri**1.4, pet),
    "PET, gamma 0.7": lambda mri, pet: (mri, pet**0.7),
    "PET, gamma 1.4": lambda mri, pet: (mri, pet**1.4),
    "noise in both, σ 0.02, inside the head": _noisy,
    "MRI blurred, σ 1 pixel": lambda mri, pet: (_inside(mri, gaussian_filter(mri, 1.0)), pet),
    "PET blurred, σ 1 pixel": lambda mri, pet: (mri, _inside(pet, gaussian_filter(pet, 1.0))),
    "PET shifted by 1 pixel": lambda mri, pet: (mri, np.pad(pet, ((0, 0), (1, 0)))[:, :-1]),
    "PET shifted by 2 pixels": lambda mri, pet: (mri, np.pad(pet, ((0, 0), (2, 0)))[:, :-2]),
    "hot lesion in the PET, +0.6": lambda mri, pet: (mri, _inside(pet, pet + 0.6 * blob(pet))),
    "cold lesion in the PET, × 0.2": lambda mri, pet: (mri, pet * (1 - 0.8 * blob(pet))),
    # Bright tissue dark and dark tissue bright, as between T1 and T2; the darkest tissue becomes brightest.
    "MRI contrast inverted inside the head": lambda mri, pet: (_inside(mri, mri.max() - mri + 1 / 255), pet),
}


def inputs(study: Study) -> Tables:
    """A row per change, group and model: mean losses at λ = 0.8 of the model and of the plain ``average``."""
    rows = []
    for (change, apply), group in product(CHANGES.items(), study.groups):
        before = study.some[group]
        after = [Pair(pair.patient, *apply(pair.mri, pair.pet)) for pair in before]
        average = measured(AVERAGE, METHODS[AVERAGE], after).loss
        for model in study.measured:
            loss = measured(f"{model.name}, {change}", fuse_with(model), after).loss
            facts = {"change": change, "group": group, "method": model.name, "pairs": len(loss)}
            row = {**facts, "loss": loss.mean(), "average": average.mean(), "better": (loss < average).sum()}
            if "lesion" in change:
                kept = [contrast_kept(network_of(model), *pairs) for pairs in zip(before, after)]
                row["lesion_fused"], _, row["lesion_part"] = np.mean(kept, axis=0)
            rows.append(row)
    return {"inputs": pd.DataFrame(rows)}


def contrast_kept(network, before: Pair, after: Pair):
    """The shares of a change of the PET that arrive in fused image, MRI part and PET part, by regression."""
    asked = after.pet - before.pet
    images = zip(*(parts_of(network, pair.mri, pair.pet) for pair in (before, after)))
    return [float(np.vdot(asked, new - old) / np.vdot(asked, asked)) for old, new in images]
