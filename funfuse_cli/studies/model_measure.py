"""What can be measured without training. Images are (rows, columns) float32 in [0, 1]; loss is eq. (4)."""

from argparse import Namespace
from itertools import product
from typing import Callable, Dict, List, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import Model
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at
from FunFuseSlicer.Logic.methods import REFERENCES

from ..training.loss import fusion_loss, mean_square, ssim
from ..training.pairs import Pair

# The λ of tables with one λ only, the paper's; and those of tables with several.
LAMBDA, SHOWN, RANGE_LAMBDAS = 0.8, [0, 0.2, 0.5, 0.8, 1], [0, 0.5, 0.8, 1]
LAMBDAS = [index / 10 for index in range(11)]
TEST, HELD_OUT, AVERAGE = "test pairs", "held-out patients", "plain average"
METHODS = dict(zip((AVERAGE, "maximum", "Laplacian pyramid"), REFERENCES.values()))
TERMS = ["SSIM_MRI", "SSIM_PET", "MSE_MRI", "MSE_PET"]
# The fused image may leave [0, 1] by so much before a pixel counts as outside; a part may go so far below 0.
RANGE_SLACK, PART_SLACK = 0.01, 0.02
Tables = Dict[str, pd.DataFrame]


class Study(NamedTuple):
    """The data, unseen pairs by group, ``some`` of them, evenly spread; the models, the default one first.

    ``measured`` are those that are asked for, ``methods`` the simple ones that are measured beside them.
    """

    training: List[Pair]
    groups: Dict[str, List[Pair]]
    some: Dict[str, List[Pair]]
    models: List[Model]
    measured: List[Model]
    methods: Dict[str, Callable]
    options: Namespace


def losses(study: Study) -> Tables:
    """What was measured, who was trained on, and the loss at λ = 0.8 for every pair."""
    fuses = {**{model.name: fuse_with(model) for model in study.measured}, **study.methods}
    patients = pd.Series([pair.patient for pair in study.training], name="patient")
    training = patients.value_counts(sort=False).reset_index(name="pairs")
    models = pd.DataFrame([{"method": model.name, "sha256": model.sha256} for model in study.measured])
    return {"losses": _of_pairs(study, fuses), "training": training, "models": models}


def pixels(study: Study) -> Tables:
    """The same loss where the pixels themselves were optimized, which no model changes."""
    return {"pixels": _of_pairs(study, {"pixels directly": lambda *images: best_pixels(*images, LAMBDA)})}


def _of_pairs(study: Study, fuses) -> pd.DataFrame:
    """Rows of :func:`measured` for each group and method."""
    return pd.concat(
        measured(name, fuses[name], study.groups[group]).assign(group=group, method=name)
        for group, name in product(study.groups, fuses)
    )


def lambdas(study: Study) -> Tables:
    """The mean losses at every λ, and how far the pictures move from those at λ = 0.8."""
    rows = []
    for lam, (group, pairs) in product(LAMBDAS, study.groups.items()):
        fuses = {name: study.methods[name] for name in study.methods if name == AVERAGE}
        fuses.update({model.name: fuse_with(model, lam) for model in study.measured})
        for method, fuse in fuses.items():
            loss = measured(f"{method}, λ = {lam:g}", fuse, pairs, lam).loss.mean()
            rows.append({"λ": lam, "group": group, "method": method, "loss": loss})
    moved = [movement(model, pair)[1] for model in study.measured for pair in study.some[TEST]]
    means = pd.concat(moved).groupby(["method", "λ"], sort=False).mean().reset_index()
    return {"lambda": pd.DataFrame(rows), "moved": means}


def ranges(study: Study) -> Tables:
    """:func:`range_of` of every model at some λ for some pairs."""
    rows = []
    for model, lam, group in product(study.measured, RANGE_LAMBDAS, study.groups):
        network = network_of(model, lam)
        for pair in tqdm(study.some[group], f"{model.name}, range, λ = {lam:g}", leave=False, disable=None):
            facts = {"method": model.name, "λ": lam, "group": group, "patient": pair.patient}
            rows.append({**facts, **range_of(network, pair.mri, pair.pet)})
    return {"range": pd.DataFrame(rows)}


def measured(label: str, fuse, pairs: List[Pair], lam: float = LAMBDA) -> pd.DataFrame:
    """A row per pair: ``patient``, its number, ``loss`` and :data:`TERMS` of the picture, not clipped."""
    rows = []
    for number, pair in enumerate(tqdm(pairs, label, leave=False, disable=None)):
        fused, sources = tensor(fuse(pair.mri, pair.pet)), (tensor(pair.mri), tensor(pair.pet))
        terms = [float(term(source, fused)) for term in (ssim, mean_square) for source in sources]
        rows.append([pair.patient, number, float(fusion_loss(fused, *sources, lam)), *terms])
    return pd.DataFrame(rows, columns=["patient", "pair", "loss", *TERMS])


def movement(model: Model, pair: Pair):
    """By λ the fused images; and rows with their mean distance over the head from λ = 0.8, of 255 levels."""
    fused = {lam: fuse_with(model, lam)(pair.mri, pair.pet).clip(0, 1) for lam in SHOWN}
    head = (pair.mri > 0) | (pair.pet > 0)
    levels = [255 * np.abs(image - fused[LAMBDA])[head].mean() for image in fused.values()]
    return fused, pd.DataFrame({"method": model.name, "λ": SHOWN, "gray_levels": levels})


def best_pixels(mri: np.ndarray, pet: np.ndarray, lam: float, steps: int = 200) -> np.ndarray:
    """The image with the lowest loss that Adam finds from the plain average: no proven bound."""
    sources = tensor(mri), tensor(pet)
    pixels = ((sources[0] + sources[1]) / 2).requires_grad_(True)
    # The lowest of what was tried. ε keeps a background's noise from whole steps: there SSIM is a cliff.
    optimizer = torch.optim.Adam([pixels], lr=0.02, betas=(0.9, 0.99), eps=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, lowest = pixels, float("inf")
    for _ in range(steps + 1):
        loss = fusion_loss(pixels, *sources, lam).sum()
        if loss.item() < lowest:
            best, lowest = pixels.detach().clone(), loss.item()
        optimizer.zero_grad()
        # Times the number of pixels: gradients of about 1, whatever the size.
        (loss * pixels.numel()).backward()
        optimizer.step()
        schedule.step()
    return best[0, 0].numpy()


@torch.no_grad()
def range_of(network, mri: np.ndarray, pet: np.ndarray) -> Dict[str, float]:
    """How a network for one λ keeps to the range, and whether its parts add up.

    :return: ``outside``, the share of all pixels outside [0, 1]; of the pixels where a source is not 0, the
        shares where the limits change the fused image (``limited``) and where a part is negative; extremes
        of the fused image; ``incomplete``, the largest difference of the parts' sum from it; and ``scaled``,
        the mean over the head of |2 F(x / 2) - F(x)| in gray levels of 255, which is 0 if F is homogeneous.
    """
    _, mri_part, pet_part = parts_of(network, mri, pet)
    # In training nothing is limited.
    free = network.train().fuse(tensor(mri), tensor(pet))[0, 0].numpy()
    fused = network.eval().fuse(tensor(mri), tensor(pet))[0, 0].numpy()
    halves = network.fuse(tensor(mri / 2), tensor(pet / 2))[0, 0].numpy()
    head = (mri > 0) | (pet > 0)
    return {
        "outside": ((fused < -RANGE_SLACK) | (fused > 1 + RANGE_SLACK)).mean(),
        "limited": (np.abs(free - fused) > RANGE_SLACK)[head].mean(),
        "MRI_negative": (mri_part < -PART_SLACK)[head].mean(),
        "PET_negative": (pet_part < -PART_SLACK)[head].mean(),
        "lowest": fused.min(),
        "highest": fused.max(),
        "incomplete": np.abs(mri_part + pet_part - fused).max(),
        "scaled": 255 * np.abs(2 * halves - fused)[head].mean(),
    }


def network_of(model, lam: float = LAMBDA):
    """The network for one λ of a shipped model, or of a network that serves several."""
    network = network_at(model, lam) if isinstance(model, Model) else model.at_lambda(lam)
    return network.to(memory_format=torch.channels_last).eval()


def fuse_with(model, lam: float = LAMBDA):
    """The same as a function of MRI and PET; a shipped model as it fuses for users."""
    if isinstance(model, Model):
        return runner_of(model, lam, "cpu").fuse_pair
    network = network_of(model, lam)
    return torch.no_grad()(lambda mri, pet: network.fuse(tensor(mri), tensor(pet))[0, 0].numpy())


@torch.no_grad()
def parts_of(network, mri: np.ndarray, pet: np.ndarray) -> List[np.ndarray]:
    """Fused image, MRI part and PET part."""
    return [image[0, 0].numpy() for image in network(tensor(mri), tensor(pet))]


def tensor(image: np.ndarray) -> torch.Tensor:
    """(rows, columns) -> (1, 1, rows, columns)."""
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
