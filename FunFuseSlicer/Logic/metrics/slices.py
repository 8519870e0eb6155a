"""The metrics of a fused volume, axial slice by axial slice."""

import math
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volumes.geometry import Order, Volume, axial_order, to_axial
from ..volumes.preprocessing import clean, normalize
from .evaluation import evaluate_pair
from .parts import completeness, rank_correlation
from .visual_fidelity import SMALLEST

STAGE = "Evaluating"

# A slice's columns beside the metrics: its number from the feet, from 0, and where it lies.
SLICE, PLACE = "slice", "S (mm)"

# What the numbers beside the five metrics mean; those say themselves what they reward.
MEANINGS = {
    "b_M": "weight of the blurred MRI; 1/2 for the plain average, 1 for a copy of the MRI",
    "b_P": "weight of the blurred PET; 1/2 for the plain average, about 0 for a copy of the MRI",
    "excess": "share of the head brighter than both sources by more than 2 % of white; lower is better",
    "SSIM_MRI": "structural similarity with the MRI",
    "SSIM_PET": "structural similarity with the PET",
    "MSE_MRI": "mean squared difference from the MRI, white is 1; lower is better",
    "MSE_PET": "mean squared difference from the PET, white is 1; lower is better",
    "loss": "the paper's compromise between SSIM and MSE; lower is better",
    "rank_fused": "rank correlation with the PET: brighter where uptake is higher",
    "rank_PET_part": "the same of the PET's part",
    "completeness": "largest |MRI part + PET part - fused|; 0: the parts explain the fused image",
}

Row = Dict[str, float]


def evaluate_volumes(
    mri: Volume,
    pet: Volume,
    fused: Volume,
    mri_part: Optional[Volume] = None,
    pet_part: Optional[Volume] = None,
    lam: float = 0.8,
    every: int = 1,
    monitor: Optional[Monitor] = None,
) -> List[Row]:
    """The metrics of each axial slice that is not empty, as ``evaluate --mri --pet --fused`` has them.

    MRI and PET are brought to gray levels 0 to 255 by a robust percentile of the volume; of the fused
    volume 1 is white when it holds floats, else its values are gray levels. (The command takes PNG pictures
    of 8 bits as they are; here they are volumes like any other.)

    :param mri: ``pet`` and the others on its grid.
    :param lam: λ of the loss.
    :param every: only each n-th of the slices.
    :param monitor: progress and cancel, between slices.
    :return: a row per slice, from feet to head: ``slice``, ``S (mm)``, then those of
        :func:`.evaluation.evaluate_pair`; with both parts also ``rank_PET_part`` and ``completeness``, before
        any clipping.
    :raises InputError: volumes that do not fit together, have no contrast, or are too small; names them.
    :raises Cancelled: through the monitor.
    """
    monitor = monitor or Monitor()
    if every < 1:
        raise InputError(f"Every {every}-th slice cannot be evaluated: choose 1 or more.")
    parts = () if mri_part is None or pet_part is None else (mri_part, pet_part)
    for other in (pet, fused, *parts):
        if not mri.same_grid(other):
            raise InputError(
                f'"{other.name}" and "{mri.name}" have different grids: run FunFuse again, and evaluate what '
                "it made."
            )
    order = axial_order(mri.ijk_to_ras)
    stacks = [
        to_axial(255 * normalize(clean(volume, mri=volume is mri)[0].array), order) for volume in (mri, pet)
    ]
    _check_size(mri.name, stacks[0].shape)
    stacks.append(to_axial(_fused_levels(fused), order))
    lanes = [to_axial(volume.array, order) for volume in (*parts, fused)] if parts else []
    places = _places(mri, order)
    filled = [k for k in range(len(stacks[0])) if stacks[0][k].any() or stacks[1][k].any()]
    # The middle of each stretch that is left out; also where there are fewer slices than ``every``.
    chosen = filled[(len(filled) - 1) % every // 2 :: every]
    rows = []
    for done, k in enumerate(chosen):
        monitor.report(STAGE, done / len(chosen))
        mri_slice, pet_slice, fused_slice = (stack[k] for stack in stacks)
        row = {SLICE: k, PLACE: float(places[k]), **evaluate_pair(mri_slice, pet_slice, fused_slice, lam=lam)}
        if parts:
            row["rank_PET_part"] = rank_correlation(pet_slice, lanes[1][k])
            row["completeness"] = completeness(*(lane[k] for lane in lanes))
        rows.append(row)
    monitor.report(STAGE, 1.0)
    return rows


def means(rows: Sequence[Row]) -> Row:
    """Mean of every column over the slices where it is defined; ``completeness``: the largest."""
    result = {}
    for name in measured(rows):
        values = [row[name] for row in rows if not math.isnan(row[name])]
        average = np.max if name == "completeness" else np.mean
        result[name] = float(average(values)) if values else math.nan
    return result


def measured(rows: Sequence[Row]) -> List[str]:
    """The columns that are measured, in order: all but those that say which slice it is."""
    return [name for name in rows[0] if name not in (SLICE, PLACE)]


def _check_size(name: str, shape: Tuple[int, ...]) -> None:
    if min(shape[1:]) < SMALLEST:
        raise InputError(
            f'"{name}": axial slices have {shape[1]} × {shape[2]} voxels, the metrics need {SMALLEST} × '
            f"{SMALLEST} at least. Resample it to smaller voxels first."
        )


def _fused_levels(fused: Volume) -> np.ndarray:
    """Gray levels 0 to 255, clipped; floats times 255.

    :raises InputError: values that cannot be what they should be.
    """
    array = fused.array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f'"{fused.name}" has voxels that are NaN or infinite: press Apply again.')
        return np.clip(array.astype(np.float32) * 255, 0, 255)
    if array.min() < 0 or array.max() > 255:
        raise InputError(
            f'"{fused.name}" has values from {array.min()} to {array.max()}: a fused volume has gray levels '
            "from 0 to 255, or floats from 0 to 1. Press Apply again."
        )
    return array


def _places(mri: Volume, order: Order) -> np.ndarray:
    """S, in mm, of the center of each axial slice."""
    axes, flips = order
    center = (np.array(mri.dimensions) - 1) / 2
    axis = 2 - axes[0]  # of i, j, k: the one that slices follow each other along
    index = np.arange(mri.dimensions[axis])
    points = np.tile(np.append(center, 1.0)[:, None], len(index))
    points[axis] = index
    places = (mri.ijk_to_ras @ points)[2]
    return places[::-1] if flips[0] else places
