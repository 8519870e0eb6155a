"""The eight numbers that papers on fusion report, as a public evaluator computes them.

That is ``utils/Evaluator.py`` of the repository Zhaozixiang1228/MMIF-CDDFuse, of Z. Zhao et al., CDDFuse:
Correlation-driven dual-branch feature decomposition for multi-modality image fusion, CVPR 2023. It reads
pictures of 8 bits: here images are rounded to whole gray levels from 0 to 255 first.

Three of the eight look at the fused image alone, and an unfused copy of a source scores high on most others:
see :func:`.pet_weight.pet_weight`.
"""

import math
from typing import List

import numpy as np
from scipy import ndimage

from . import gradient
from .images import WHITE, as_gray
from .information_entropy import LEVELS, entropy, shared_information
from .visual_fidelity import SMALLEST, WINDOWS, fidelity
from .windows import gaussian_taps, slide

# VIF: variance of the eye's own noise. Q_VIFF has 325.
NOISE = 2.0
# SSIM: uniform windows; variances of samples; constants for gray levels from -1 to 1, though they run to 255.
WINDOW = 7
SAMPLES = WINDOW**2 / (WINDOW**2 - 1)
C1, C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2


def field_en(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """EN: entropy of the fused gray levels.

    Rewards gray levels that are used equally often. Noise raises it, and so does a background that is not
    black throughout. The sources do not count.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: 0 to 8 bits.
    :raises InputError: the images do not fit together.
    """
    *_, f = _pictures("EN", 1, mri, pet, fused)
    return entropy(np.bincount(f.astype(np.intp).ravel()) / f.size)


def field_sd(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """SD: standard deviation of the fused gray levels.

    Rewards bright tissue on a black background; the whole picture counts, so a smaller head scores less. The
    sources do not count.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: 0 to 127.5.
    :raises InputError: the images do not fit together.
    """
    *_, f = _pictures("SD", 1, mri, pet, fused)
    return float(f.std())


def field_sf(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """SF: spatial frequency, the root of the mean squared steps to the right plus that of steps downward.

    Rewards large steps between neighbors, noise like detail. The sources do not count.

    :param mri: (rows, columns), at least 2 × 2, gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the
        same size.
    :return: 0 to 255 √2.
    :raises InputError: the images do not fit together.
    """
    *_, f = _pictures("SF", 2, mri, pet, fused)
    return math.sqrt(sum(np.mean(np.diff(f, axis=axis) ** 2) for axis in (0, 1)))


def field_mi(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """MI: mutual information of fused gray levels and the MRI's, plus that with the PET's.

    Rewards gray levels from which those of either source can be guessed; nothing tells more about an image
    than a copy of it. Blind to inversion and to where things are.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: 0 to 11.09 nats, twice 8 bits.
    :raises InputError: the images do not fit together.
    """
    a, b, f = (image.astype(np.intp) for image in _pictures("MI", 1, mri, pet, fused))
    return math.log(LEVELS) * (shared_information(f, a) + shared_information(f, b))


def field_scd(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """SCD: correlation of MRI and fused - PET, plus that of PET and fused - MRI.

    Rewards what is added to one source for looking like the other: highest for the sum of both, however
    bright it becomes.

    V. Aslantas, E. Bendes: A new image quality metric for image fusion: the sum of the correlations of
    differences. AEU 69(12), 2015.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: -2 to 2. NaN where a source is constant, or the fused image is a source plus a constant, such as
        an unfused copy: what nobody added correlates with nothing.
    :raises InputError: the images do not fit together.
    """
    a, b, f = _pictures("SCD", 1, mri, pet, fused)
    return _correlation(a, f - b) + _correlation(b, f - a)


def field_vif(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """VIF: visual information fidelity of the fused image to the MRI, plus that to the PET.

    Rewards detail of either source; amplified contrast raises it without limit. A copy of one source has 1
    for that one alone, more than most fused images reach for both together.

    H. R. Sheikh, A. C. Bovik: Image information and visual quality. IEEE Transactions on Image Processing
    15(2), 2006; in the spatial domain, at four scales.

    :param mri: (rows, columns), at least 41 × 41, gray levels 0 to 255; ``pet`` and ``fused`` likewise, of
        the same size.
    :return: 0 and more; a source in which there is nothing to see counts as seen, 1.
    :raises InputError: the images do not fit together.
    """
    a, b, f = _pictures("VIF", SMALLEST, mri, pet, fused)
    return _vif(a, f) + _vif(b, f)


def field_qabf(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Qabf: edges kept, as :func:`.gradient.q_g_published` has them but for two rules.

    A horizontal edge has one orientation whether it is brighter above or below. And where an edge is exactly
    as strong as it was, its strength in gray levels stands for the ratio, which should be 1: for pictures of
    whole gray levels it is 1 or more, so that such an edge counts as kept a little better.

    :param mri: (rows, columns), gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the same size.
    :return: 0 to 0.9759. NaN where neither source has an edge: two black images.
    :raises InputError: the images do not fit together.
    """
    a, b, f = (_edges(image) for image in _pictures("Qabf", 1, mri, pet, fused))
    weight = np.sum(a.strength + b.strength)
    kept = sum(np.sum(gradient.kept_edge(source, f, f.strength) * source.strength) for source in (a, b))
    return float(kept / weight) if weight > 0 else math.nan


def field_ssim(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """SSIM: structural similarity of the fused image with the MRI, plus that with the PET.

    Rewards likeness to either source, and a background that is exactly black: the constants are those for
    gray levels from -1 to 1, so small here that a window of one gray level is not like a black one at all. A
    copy of one source has 1 for that one, and the background of the other.

    It is computed with single precision, as the evaluator does, whose rounding shows in the seventh digit.

    :param mri: (rows, columns), at least 7 × 7, gray levels 0 to 255; ``pet`` and ``fused`` likewise, of the
        same size.
    :return: about -2 to 2.
    :raises InputError: the images do not fit together.
    """
    a, b, f = (image.astype(np.float32) for image in _pictures("SSIM", WINDOW, mri, pet, fused))
    return _ssim(f, a) + _ssim(f, b)


def _pictures(
    metric: str, smallest: int, mri: np.ndarray, pet: np.ndarray, fused: np.ndarray
) -> List[np.ndarray]:
    """As pictures of 8 bits hold them, float64."""
    images = as_gray(metric, smallest, mri=mri, pet=pet, fused=fused)
    return [np.clip(np.round(image), 0, WHITE) for image in images]


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's; NaN where one of both is constant."""
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / scale) if scale > 0 else math.nan


def _vif(source: np.ndarray, fused: np.ndarray) -> float:
    images, kept, there = np.stack([source, fused]), 0.0, 0.0
    for scale, window in enumerate(WINDOWS):
        taps = gaussian_taps(window, window / 5)
        if scale > 0:
            images = slide(images, taps)[:, ::2, ::2]
        local = fidelity(images[0], images[1], taps, NOISE)
        kept, there = kept + local.kept.sum(), there + local.there.sum()
    return float(kept / there) if there > 0 else 1.0


def _edges(image: np.ndarray) -> gradient.Edges:
    right, down = gradient.sobel(image)
    with np.errstate(divide="ignore", invalid="ignore"):
        orientation = np.where(right == 0, -np.pi / 2, np.arctan(down / right))
    return gradient.Edges(np.sqrt(right**2 + down**2), orientation)


def _ssim(x: np.ndarray, y: np.ndarray) -> float:
    mean_x, mean_y, xx, yy, xy = (
        ndimage.uniform_filter(each, WINDOW) for each in (x, y, x * x, y * y, x * y)
    )
    spread = SAMPLES * (xx - mean_x * mean_x) + SAMPLES * (yy - mean_y * mean_y)
    top = (2 * mean_x * mean_y + C1) * (2 * SAMPLES * (xy - mean_x * mean_y) + C2)
    similarity = top / ((mean_x**2 + mean_y**2 + C1) * (spread + C2))
    inside = slice(WINDOW // 2, -(WINDOW // 2))
    return float(similarity[inside, inside].mean(dtype=np.float64))
