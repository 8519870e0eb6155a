"""Q_G: how much of the sources' edges is left in the fused image.

C. S. Xydeas, V. Petrović: Objective image fusion performance measure. Electronics Letters 36(4), 2000.
"""

from typing import NamedTuple, Tuple, Union

import numpy as np

from .images import as_gray

# Stands for a strength or a horizontal derivative of exactly zero.
TINY = 1e-5


class Edges(NamedTuple):
    """Sobel edges of one image: strength, and orientation in (-π/2, π/2]."""

    strength: np.ndarray
    orientation: np.ndarray


class Sigmoid(NamedTuple):
    """gain / (1 + exp(-slope (x - center)))."""

    gain: float
    slope: float
    center: float

    def __call__(self, x: Union[float, np.ndarray]) -> np.ndarray:
        return self.gain / (1 + np.exp(-self.slope * (x - self.center)))


STRENGTH, ORIENTATION = Sigmoid(1.0, 10.0, 0.5), Sigmoid(1.0, 20.0, 0.75)
PUBLISHED_STRENGTH, PUBLISHED_ORIENTATION = Sigmoid(0.9994, 15.0, 0.5), Sigmoid(0.9879, 22.0, 0.8)

# What a pixel scores whose edges are kept perfectly, and one that has no edges at all.
HIGHEST = float(STRENGTH(1.0) * ORIENTATION(1.0))
PUBLISHED_HIGHEST = float(PUBLISHED_STRENGTH(1.0) * PUBLISHED_ORIENTATION(1.0))


def q_g(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Edge preservation as the authors' program computes it: the mean of a ratio taken in every pixel.

    Rewards edges of the stronger source that return with the same strength and orientation. A pixel
    without any edge scores the highest value, so black background lifts the result; since the MRI has
    most edges, an unfused copy of it scores above fused images. Outside of the image is black: where the
    border is not, it makes an edge.

    :param mri: (rows, columns).
    :param pet: same size, as is ``fused``.
    :return: 0 to 1 / (1 + exp(-5))² = 0.98665909.
    :raises InputError: the images do not fit together.
    """
    a, b, f = (_edges(image) for image in as_gray("Q_G", 1, mri=mri, pet=pet, fused=fused))
    # The MRI meets zeros in the fused strength as they are, the PET only after they were replaced: the
    # original works in place. Hence MRI and PET cannot be swapped exactly.
    fused_guarded = _guarded(f.strength)
    kept_a = STRENGTH(_strength_ratio(a.strength, f.strength, fused_guarded))
    kept_b = STRENGTH(_strength_ratio(b.strength, fused_guarded, fused_guarded))
    kept_a *= ORIENTATION(_same_line(a.orientation, f.orientation))
    kept_b *= ORIENTATION(_same_line(b.orientation, f.orientation))
    weight_a, weight_b = _guarded(a.strength), _guarded(b.strength)
    return float(np.mean((kept_a * weight_a + kept_b * weight_b) / (weight_a + weight_b)))


def q_g_published(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Edge preservation as published: one ratio of two sums over the image, the paper's constants.

    Pixels without edges have no weight, so the background does not count. Orientations are compared as
    numbers, so two nearly vertical lines that lean to either side count as far apart.

    :param mri: (rows, columns).
    :param pet: same size, as is ``fused``.
    :return: 0 to 0.9748. Sources without any edge have nothing to lose and give the highest value.
    :raises InputError: the images do not fit together.
    """
    a, b, f = (_edges(image) for image in as_gray("Q_G_published", 1, mri=mri, pet=pet, fused=fused))
    kept = weight = 0.0
    for source in (a, b):
        kept += np.sum(kept_edge(source, f, 1.0) * source.strength)
        weight += np.sum(source.strength)
    return float(kept / weight) if weight > 0 else PUBLISHED_HIGHEST


def kept_edge(source: Edges, fused: Edges, equal: Union[float, np.ndarray]) -> np.ndarray:
    """By the published constants, in every pixel.

    :param equal: the ratio of strengths where they are the same.
    """
    weaker = np.minimum(source.strength, fused.strength)
    stronger = np.maximum(source.strength, fused.strength)
    ratio = np.where(weaker == stronger, equal, weaker / _guarded(stronger))
    likeness = 1 - np.abs(source.orientation - fused.orientation) / (np.pi / 2)
    return PUBLISHED_STRENGTH(ratio) * PUBLISHED_ORIENTATION(likeness)


def _edges(image: np.ndarray) -> Edges:
    right, down = sobel(image)
    strength = np.sqrt(right**2 + down**2)
    return Edges(strength, np.arctan(down / _guarded(right)))


def sobel(image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Derivatives to the right and downward, with black around the image."""
    padded = np.pad(image, 1)
    # Differences before sums, so that flat regions give exactly zero for gray levels of any kind.
    right = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    return right[:-2] + 2 * right[1:-1] + right[2:], down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]


def _guarded(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, TINY, values)


def _strength_ratio(source: np.ndarray, fused: np.ndarray, fused_guarded: np.ndarray) -> np.ndarray:
    """The weaker strength over the stronger, 1 when both are zero."""
    guarded = _guarded(source)
    return np.where(source > fused, fused / guarded, guarded / fused_guarded)


def _same_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 for parallel, 0 for perpendicular; orientations near -π/2 and π/2 are neighbors."""
    return np.abs(np.abs(x - y) - np.pi / 2) * 2 / np.pi
