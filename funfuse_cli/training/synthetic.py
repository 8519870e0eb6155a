"""MRI slices with made-up PETs of any tracer, for training.

A network that saw FDG alone has learned what FDG looks like. Here uptake is drawn at random: by tissue (gray
to white matter from 1:4 to 8:1), by region, with foci, cold and hot lesions, spill-out, noise and scalp; the
MRI's contrast is bent and inverted, with a bias field. Tissues are guessed from the MRI's own gray levels:
what matters is that edges of uptake follow edges of the MRI sometimes, and not always.
"""

from typing import List, Tuple

import numpy as np
from scipy import ndimage, special

from .augment import intensity, misregister, other_scale, turned
from .pair import Pair
from .pairs import to_unit

# Share of a crop that is head; after so many tries with less, the last crop is taken.
FILLED, TRIES = 0.3, 100


def synthetic_batch(
    pairs: List[List[Pair]],
    weights: np.ndarray,
    size: int,
    crop: int,
    rng,
    plateaus: bool = False,
    averages: bool = False,
):
    """Parameters and result as of :func:`augment.random_batch`; only the MRI of a pair is used.

    :param plateaus: see :func:`synthetic_pair`, likewise ``averages``.
    """
    made = [
        synthetic_pair(_head_crop(pairs, weights, crop, rng), rng, plateaus, averages) for _ in range(size)
    ]
    return tuple(np.stack([pair[modality] for pair in made])[:, None] for modality in (0, 1))


def synthetic_pair(
    mri: np.ndarray, rng: np.random.Generator, plateaus: bool = False, averages: bool = False
) -> Tuple[np.ndarray, np.ndarray]:
    """A slice, (rows, columns) in [0, 1] -> its variation and a PET of the same size, float32 in [0, 1].

    :param plateaus: now and then uptake much the same everywhere, or low throughout since what sets the
        volume's scale lies elsewhere, and a brain cut out of its head.
    :param averages: now and then images as of a group: both smooth, without skull as a rule, and uptake cut
        out by a mask of the brain's tissue.
    """
    head = ndimage.binary_fill_holes(mri > 0.05)
    gray, white = _tissues(mri, head, rng)
    pet = _uptake(gray, white, head, rng, plateaus)
    of_group = averages and rng.random() < 0.4
    if of_group:
        mri, pet = averaged(mri, pet, head, rng)
    else:
        pet = ndimage.gaussian_filter(pet, rng.uniform(1.0, 3.4))  # pixels of about 1 mm: 2.5 to 8 mm FWHM
    if rng.random() < 0.4:
        pet = _noise(pet, rng)
    if rng.random() < 0.8:
        pet = pet * head
    else:  # spill-out
        pet = np.where(pet < 0.003 * pet.max(), 0.0, pet)
    inside = pet[head] if head.any() else pet
    pet = np.clip(pet / (np.quantile(inside, rng.uniform(0.97, 0.999)) + 1e-6), 0.0, 1.0)
    if plateaus and rng.random() < 0.3:  # what sets the volume's scale lies in another slice
        pet = pet * rng.uniform(0.1, 1.0)
    mri, pet = intensity(_mri_contrast(mri, head, rng), rng), intensity(pet, rng)
    if (plateaus or of_group) and rng.random() < (0.7 if of_group else 0.25):  # a brain mask
        depth = ndimage.distance_transform_edt(head)
        brain = depth > min(rng.uniform(6.0, 20.0), depth.max() / 2)
        mri, pet = mri * brain, pet * brain
    if rng.random() < 0.2:
        mri = other_scale(mri, rng)
    if rng.random() < 0.2:
        pet = misregister(pet, rng)
    return turned((mri, pet), rng)


def averaged(mri: np.ndarray, pet: np.ndarray, head: np.ndarray, rng) -> Tuple[np.ndarray, np.ndarray]:
    """As if over many subjects: both smoother, and mostly no uptake where the MRI is darkest.

    That is fluid on a T1, which masks of the brain leave out.

    :param mri: (rows, columns) in [0, 1]; ``pet`` uptake of any scale, ``head`` their mask.
    """
    pet = ndimage.gaussian_filter(pet, rng.uniform(1.5, 5.5))
    if rng.random() < 0.7 and head.any():
        smooth = ndimage.gaussian_filter(mri, rng.uniform(0.7, 2.0))
        pet = pet * (smooth > np.quantile(smooth[head], rng.uniform(0.02, 0.2)))
    return np.where(mri > 0, ndimage.gaussian_filter(mri, rng.uniform(0.5, 1.8)), 0.0), pet


def _head_crop(pairs, weights, crop: int, rng) -> np.ndarray:
    for _ in range(TRIES):
        group = pairs[rng.choice(len(pairs), p=weights)]
        mri = to_unit(group[rng.integers(len(group))].mri)
        missing = [max(0, crop - size) for size in mri.shape]
        mri = np.pad(mri, [(0, size) for size in missing])
        row, column = (rng.integers(size - crop + 1) for size in mri.shape)
        mri = mri[row : row + crop, column : column + crop]
        if (mri > 0.05).mean() > FILLED:
            break
    return mri


def _tissues(mri: np.ndarray, head: np.ndarray, rng) -> Tuple[np.ndarray, np.ndarray]:
    """Shares of two tissues by two random gray levels; little of either near the skin."""
    low, high = np.sort(np.quantile(mri[head], rng.uniform(0.2, 0.8, 2))) if head.any() else (0.3, 0.6)
    above_low, above_high = special.expit((mri - low) / 0.04), special.expit((mri - high) / 0.04)
    inner = np.clip(ndimage.distance_transform_edt(head) / rng.uniform(4.0, 14.0), 0.0, 1.0) ** 2
    return (above_low - above_high) * inner, above_high * inner


def _uptake(gray: np.ndarray, white: np.ndarray, head: np.ndarray, rng, plateaus: bool) -> np.ndarray:
    ratio = np.exp(rng.uniform(np.log(0.25), np.log(8.0)))
    levels = np.array([min(ratio, 1.0), min(1.0 / ratio, 1.0)])
    background = rng.uniform(0.0, 0.3)
    if rng.random() < 0.35:  # a focal tracer
        levels, background = levels * rng.uniform(0.05, 0.6, 2), 0.3 * background
    elif plateaus and rng.random() < 0.35:  # much the same everywhere
        levels, background = levels * rng.uniform(0.0, 0.3), rng.uniform(0.3, 1.0)
    regions = np.exp(rng.uniform(0.0, 0.6) * _field(head.shape, rng.uniform(6.0, 25.0), rng))
    pet = (levels[0] * gray + levels[1] * white + background * head) * regions
    for _ in range(rng.integers(0, 7)):
        focus = _ellipse(head.shape, rng)
        if rng.random() < 0.3:
            pet = pet * (1.0 - rng.uniform(0.0, 0.9) * focus)
        else:
            where = gray if rng.random() < 0.4 else head
            pet = pet + rng.uniform(0.2, 4.0) * rng.uniform(0.2, 1.0) * focus * where
    if rng.random() < 0.2:  # scalp and mucosa
        depth = ndimage.distance_transform_edt(head)
        pet = pet + rng.uniform(0.1, 1.0) * np.exp(-depth / rng.uniform(2.0, 6.0)) * head
    return np.clip(pet, 0.0, None)


def _ellipse(shape, rng) -> np.ndarray:
    """1 inside, 0 outside, with an edge of random sharpness."""
    rows, columns = np.indices(shape)
    rows, columns = rows - rng.uniform(0, shape[0]), columns - rng.uniform(0, shape[1])
    radii, angle = np.exp(rng.uniform(np.log(2.0), np.log(22.0), 2)), rng.uniform(0.0, np.pi)
    along = rows * np.cos(angle) + columns * np.sin(angle)
    across = columns * np.cos(angle) - rows * np.sin(angle)
    return special.expit((1.0 - (along / radii[0]) ** 2 - (across / radii[1]) ** 2) * rng.uniform(2.0, 8.0))


def _field(shape, sigma: float, rng) -> np.ndarray:
    """A smooth random field of mean about 0 and standard deviation 1."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="nearest")
    return field / (field.std() + 1e-9)


def _noise(pet: np.ndarray, rng) -> np.ndarray:
    """Counts of a Poisson process, smoothed as reconstructions are."""
    counts = np.exp(rng.uniform(np.log(30.0), np.log(2000.0)))
    noisy = rng.poisson(pet / (pet.max() + 1e-6) * counts) / counts
    return ndimage.gaussian_filter(noisy, rng.uniform(0.8, 1.8))


def _mri_contrast(mri: np.ndarray, head: np.ndarray, rng) -> np.ndarray:
    if rng.random() < 0.25:  # as between T1 and T2
        inverted = ndimage.gaussian_filter(rng.uniform(0.8, 1.1) - mri * rng.uniform(0.6, 1.0), 0.5)
        mri = np.where(head & (mri > 0), np.clip(inverted, 0.02, 1.0), 0.0)
    if rng.random() < 0.3:  # the bias field of a coil
        mri = np.clip(
            mri * np.exp(rng.uniform(0.0, 0.35) * _field(mri.shape, rng.uniform(20.0, 50.0), rng)), 0, 1
        )
    return mri * rng.uniform(0.4, 1.0) if rng.random() < 0.3 else mri
