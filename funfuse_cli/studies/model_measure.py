"""The numbers of one network or method on a group of pairs.

Images are (rows, columns) float32 in [0, 1]; a *row* is a dictionary from column to number.
"""

from functools import cached_property
from typing import Callable, Dict, List, Optional

import numpy as np
import torch

from ..training.loss import fusion_loss, mean_square, ssim
from ..training.pairs import Pair, fingerprint, to_unit

TERMS = ("SSIM_MRI", "SSIM_PET", "MSE_MRI", "MSE_PET")

# The fused image may leave [0, 1] by so much before a pixel counts as outside; a part may go so far below 0.
RANGE_SLACK, PART_SLACK = 0.01, 0.02

# Adam on pixels: of what was tried (also L-BFGS) this ended lowest in 200 steps. Its ε is far above the noise
# of a background's gradient, which must not be blown up to whole steps: there SSIM is a cliff.
PIXEL_RATE, PIXEL_BETAS, PIXEL_EPSILON = 0.02, (0.9, 0.99), 1e-2

Row = Dict[str, object]
# From MRI and PET to the fused image, not clipped.
Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Group:
    """Pairs that are measured together.

    :param name: for tables and file names.
    :param pairs: not empty.
    """

    def __init__(self, name: str, pairs: List[Pair]):
        self.name, self.pairs = name, pairs

    @cached_property
    def fingerprint(self) -> str:
        """Tells these pairs from others."""
        return fingerprint(self.pairs)

    @property
    def patients(self) -> List[str]:
        """Whose pairs these are, each once."""
        return sorted({pair.patient for pair in self.pairs})

    def some(self, most: int) -> "Group":
        """At most so many of the pairs, evenly spread; itself where there are no more."""
        if len(self.pairs) <= most:
            return self
        chosen = np.linspace(0, len(self.pairs) - 1, most).round().astype(int)
        return Group(self.name, [self.pairs[index] for index in chosen])


def images_of(pair: Pair):
    """(MRI, PET) in [0, 1]."""
    return to_unit(pair.mri), to_unit(pair.pet)


def fuse_with(network) -> Fuse:
    """A network for one λ as a function of two arrays."""
    network = network.to(memory_format=torch.channels_last).eval()

    def fuse(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network.fuse(_tensor(mri), _tensor(pet))[0, 0].numpy()

    return fuse


def pair_terms(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> Row:
    """SSIM and mean squared difference with both sources, of the fused image as it is, not clipped."""
    fused, sources = _tensor(fused), (_tensor(mri), _tensor(pet))
    values = [float(term(source, fused)) for term in (ssim, mean_square) for source in sources]
    return dict(zip(TERMS, values))


def loss_of(row: Row, lam: float) -> float:
    """Equation (4) from :func:`pair_terms`; NaN where a term is not finite."""
    if any(row[name] is None for name in TERMS):
        return float("nan")
    structure = 2.0 - row["SSIM_MRI"] - row["SSIM_PET"]
    return lam * structure + (1 - lam) * (row["MSE_MRI"] + row["MSE_PET"])


def measure(fuse: Fuse, group: Group, report: Callable[[float], None] = lambda fraction: None) -> List[Row]:
    """:func:`pair_terms` of every pair, with its patient."""
    rows = []
    for number, pair in enumerate(group.pairs):
        report(number / len(group.pairs))
        mri, pet = images_of(pair)
        rows.append({"patient": pair.patient, **pair_terms(mri, pet, fuse(mri, pet))})
    return rows


def mean_row(rows: List[Row], lam: float) -> Row:
    """The loss at λ and the terms, means over pairs; NaN where one of them is not finite."""
    result = {"loss": float(np.mean([loss_of(row, lam) for row in rows]))}
    for name in TERMS:
        result[name] = float(np.mean([np.nan if row[name] is None else row[name] for row in rows]))
    return result


def best_pixels(mri: np.ndarray, pet: np.ndarray, lam: float, steps: int) -> np.ndarray:
    """The image with the lowest loss (4) that Adam finds from the plain average, pixel by pixel.

    No network can be expected to do better; since the loss is not convex, it is no proof of a bound. The
    image is free to leave [0, 1].

    :return: (rows, columns) float32.
    """
    sources = _tensor(mri), _tensor(pet)
    pixels = ((sources[0] + sources[1]) / 2).requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=PIXEL_RATE, betas=PIXEL_BETAS, eps=PIXEL_EPSILON)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    best, lowest = pixels.detach().clone(), float("inf")
    for step in range(steps + 1):
        loss = fusion_loss(pixels, *sources, lam).sum()
        if loss.item() < lowest:
            best, lowest = pixels.detach().clone(), loss.item()
        if step < steps:
            optimizer.zero_grad()
            # Times the number of pixels: gradients of about 1, whatever the size.
            (loss * pixels.numel()).backward()
            optimizer.step()
            schedule.step()
    return best[0, 0].numpy()


def range_of(network, mri: np.ndarray, pet: np.ndarray) -> Row:
    """How a network for one λ keeps to the range, and whether its parts add up.

    :return: ``outside``, the share of all pixels by more than 0.01 outside [0, 1]; of the pixels where a
        source is not 0, ``limited``, the share where the limits change the fused image by more than 0.01,
        ``C1_negative`` and ``C2_negative``, the shares where a part is below -0.02; ``lowest`` and
        ``highest`` value of the fused image; ``completeness``, the largest |C1 + C2 - F| with F from
        the ordinary one-lane pass.
    """
    with torch.no_grad():
        parts = network(_tensor(mri), _tensor(pet))
        mri_part, pet_part = parts.mri_part[0, 0].numpy(), parts.pet_part[0, 0].numpy()
        fused = network.fuse(_tensor(mri), _tensor(pet))[0, 0].numpy()
        # In training nothing is limited.
        free = network.train().fuse(_tensor(mri), _tensor(pet))[0, 0].numpy()
        network.eval()
    head = (mri > 0) | (pet > 0)
    outside = (fused < -RANGE_SLACK) | (fused > 1 + RANGE_SLACK)
    return {
        "outside": float(outside.mean()),
        "limited": _share(np.abs(free - fused) > RANGE_SLACK, head),
        "C1_negative": _share(mri_part < -PART_SLACK, head),
        "C2_negative": _share(pet_part < -PART_SLACK, head),
        "lowest": float(fused.min()),
        "highest": float(fused.max()),
        "completeness": float(np.abs(mri_part + pet_part - fused).max()),
    }


def worst_of(rows: List[Row], name: str) -> Optional[Row]:
    """The row with the largest value."""
    return max(rows, key=lambda row: row[name]) if rows else None


def _share(condition: np.ndarray, where: np.ndarray) -> float:
    return float(condition[where].mean()) if where.any() else 0.0


def _tensor(image: np.ndarray) -> torch.Tensor:
    """(rows, columns) -> (1, 1, rows, columns)."""
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
