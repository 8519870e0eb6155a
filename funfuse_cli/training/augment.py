"""Random crops of pairs, changed as scanners, tracers and registrations change them.

The background stays exactly 0 throughout: half of all pixels are background, and the network must map
them to 0.
"""

from typing import List, Tuple

import numpy as np
from scipy import ndimage

from FunFuseSlicer.Logic.errors import InputError

from .pair import Pair
from .pairs import to_unit
from .uptake import atlas_table

MINIMUM_FILLED = 0.25

# Of red, green and blue (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114])

# Share of PETs that are the luminance of their colors, and of the others those of another gray scale.
LUMINANCES, OTHER_SCALES = 0.2, 0.375

# Knots of a random gray scale, and how far they stray.
KNOTS, STRAY = 6, 0.15

# So many windows are tried before the data are called unfit; one in three is good enough as a rule.
MAXIMUM_TRIES = 10_000


def random_batch(
    pairs: List[List[Pair]], weights: np.ndarray, size: int, crop: int, rng, luminance: float = LUMINANCES
):
    """A batch of augmented crops.

    :param pairs: pairs grouped by patient; ``weights`` is the probability of each patient.
    :param luminance: see :func:`augment`.
    :return: MRI and PET, each (size, 1, crop, crop) float32 in [0, 1].
    :raises InputError: the slices are smaller than the crop, or nearly empty.
    """
    crops = [_random_crop(pairs, weights, crop, rng, luminance) for _ in range(size)]
    return tuple(np.stack([pair[modality] for pair in crops])[:, None] for modality in (0, 1))


def whole_batch(pairs: List[Pair], size: int, step: int, seed: int):
    """The slices whose turn it is, whole and unchanged: each once an epoch, in an order of its own.

    :return: MRI and PET, each (size, 1, rows, columns) float32 in [0, 1].
    """
    chosen = []
    for number in range(step * size, (step + 1) * size):
        epoch, position = divmod(number, len(pairs))
        # The third number keeps this generator apart from those of the steps.
        order = np.random.default_rng([seed, epoch, 1]).permutation(len(pairs))
        chosen.append(pairs[order[position]])
    return tuple(
        np.stack([to_unit(getattr(pair, modality)) for pair in chosen])[:, None]
        for modality in ("mri", "pet")
    )


def patient_weights(pairs: List[List[Pair]]) -> np.ndarray:
    """Probability of each patient: by the root of the number of slices, so that none dominates."""
    weights = np.sqrt([len(group) for group in pairs])
    return weights / weights.sum()


def _random_crop(pairs, weights, crop, rng, luminance: float) -> Tuple[np.ndarray, np.ndarray]:
    for _ in range(MAXIMUM_TRIES):
        group = pairs[rng.choice(len(pairs), p=weights)]
        pair = group[rng.integers(len(group))]
        rows, columns = pair.mri.shape
        if rows < crop or columns < crop:
            continue
        row, column = rng.integers(rows - crop + 1), rng.integers(columns - crop + 1)
        window = (slice(row, row + crop), slice(column, column + crop))
        if ((pair.mri[window] > 0) | (pair.pet[window] > 0)).mean() < MINIMUM_FILLED:
            continue
        return augment(to_unit(pair.mri[window]), to_unit(pair.pet[window]), rng, luminance)
    raise InputError(
        f"The slices have no windows of {crop} × {crop} pixels that are a quarter filled: "
        "choose a smaller --crop."
    )


def augment(
    mri: np.ndarray, pet: np.ndarray, rng: np.random.Generator, luminance: float = LUMINANCES
) -> Tuple[np.ndarray, np.ndarray]:
    """One random variation of a pair, (rows, columns) in [0, 1] -> the same.

    :param luminance: share of PETs that become the luminance of their pseudo-color, as the paper's are.
    """
    if rng.random() < 0.3:
        pet = misregister(pet, rng)
    if rng.random() < 0.15:
        pet = _blur(pet, rng.uniform(0.5, 2.0))
    if rng.random() < 0.1:
        mri = _blur(mri, rng.uniform(0.3, 0.8))
    if rng.random() < 0.1:
        mri, pet = _lesion(mri, rng), _lesion(pet, rng)
    mri, pet = intensity(mri, rng), intensity(pet, rng)
    scale = rng.random()
    if scale < luminance:
        pet = _pseudo_color_turned_gray(pet)
    elif scale < luminance + (1 - luminance) * OTHER_SCALES:
        pet = other_scale(pet, rng)
    if rng.random() < 0.2:
        mri = other_scale(mri, rng)
    return turned((mri, pet), rng)


def turned(images, rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Both turned by a random number of right angles, perhaps mirrored; float32 in [0, 1]."""
    turns, mirror = rng.integers(4), rng.random() < 0.5
    result = []
    for image in images:
        image = np.rot90(image, turns)
        image = image[:, ::-1] if mirror else image
        result.append(np.ascontiguousarray(np.clip(image, 0.0, 1.0), dtype=np.float32))
    return result[0], result[1]


def misregister(image: np.ndarray, rng) -> np.ndarray:
    """A registration error of up to two pixels."""
    return ndimage.shift(image, rng.uniform(-2.0, 2.0, 2), order=1, mode="constant")


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """What resampling does; inside the head only."""
    return np.where(image > 0, ndimage.gaussian_filter(image, sigma), 0.0)


def _lesion(image: np.ndarray, rng) -> np.ndarray:
    """A smooth blob, brighter or darker than its surroundings."""
    rows, columns = np.indices(image.shape)
    center, radius = rng.uniform(0, image.shape[0], 2), rng.uniform(2.0, 10.0)
    blob = np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (2 * radius**2))
    return np.clip(image * (1.0 + rng.uniform(-0.8, 1.5) * blob), 0.0, 1.0)


def _pseudo_color_turned_gray(image: np.ndarray) -> np.ndarray:
    """The luminance of its colors, as in the paper: many published PET slices exist in that form only."""
    luminance = atlas_table() @ LUMINANCE
    return np.interp(image, np.linspace(0.0, 1.0, len(luminance)), luminance)


def other_scale(image: np.ndarray, rng) -> np.ndarray:
    """Another gray scale: a bent line from 0 that need not rise everywhere."""
    knots = np.linspace(0.0, 1.0, KNOTS)
    values = np.clip(knots + np.r_[0.0, rng.normal(0.0, STRAY, KNOTS - 1)], 0.0, 1.0)
    return np.interp(image, knots, values)


def intensity(image: np.ndarray, rng) -> np.ndarray:
    """Gamma, scale and noise."""
    if rng.random() < 0.4:
        image = image ** float(np.exp(rng.uniform(-0.35, 0.35)))
    if rng.random() < 0.4:
        image = image * rng.uniform(0.6, 1.0)
    if rng.random() < 0.1:
        image = np.where(image > 0, image + rng.normal(0.0, rng.uniform(0.005, 0.02), image.shape), 0.0)
    return np.clip(image, 0.0, 1.0)
