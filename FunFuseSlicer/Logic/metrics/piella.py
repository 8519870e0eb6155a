"""Q_SSIM: similarity of the fused image with the source that is livelier in each window.

G. Piella, H. Heijmans: A new quality metric for image fusion. International Conference on Image
Processing, 2003.
"""

import numpy as np

from .images import as_gray
from .structural_similarity import TAPS, WINDOW, ssim_of
from .windows import moments, slide

# Below this variance a window of gray levels is flat and what is left of it rounding. One pixel that
# differs by one gray level gives 1e-6 even in the corner of the window.
FLAT = 1e-9

UNIFORM_WINDOW = 8


def q_ssim(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Piella's metric with SSIM for the index Q0, as the authors' program and the paper's Q_SSIM.

    Rewards structure of the source that varies more, window by window. Where both sources are black the
    fused image must be black: SSIM falls to nearly 0 for a background of three gray levels. So close to
    the paper's loss that a network trained with it is favored.

    :param mri: (rows, columns), at least 11 × 11, gray levels 0 to 255.
    :param pet: same size, as is ``fused``.
    :return: -1 to 1. Where both sources are flat, one that is not black counts alone against black, else
        they count half and half; the authors' program does the same, thanks to rounding, but where
        neither is black its weight is arbitrary.
    :raises InputError: the images do not fit together.
    """
    a, b, f = as_gray("Q_SSIM", WINDOW, mri=mri, pet=pet, fused=fused)
    with_a, with_b = moments(a, f, TAPS), moments(b, f, TAPS)
    # Rounding leaves a variance in a flat window unless it is black.
    undecided = (1.0 + (with_a.mean_x != 0) - (with_b.mean_x != 0)) / 2
    weight = _share(with_a.variance_x, with_b.variance_x, FLAT, undecided)
    return float(np.mean(weight * ssim_of(with_a) + (1 - weight) * ssim_of(with_b)))


def q_piella(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """Piella's metric as published: index Q0 of Wang and Bovik (2002) in uniform windows of 8 × 8.

    Rewards the same as :func:`q_ssim`, but without constants that forgive: nearly flat and dark windows
    count as much as any other. Windows flat in both images compare by brightness alone.

    :param mri: (rows, columns), at least 8 × 8, gray levels 0 to 255.
    :param pet: same size, as is ``fused``.
    :return: -1 to 1 for gray levels that are not negative.
    :raises InputError: the images do not fit together.
    """
    images = as_gray("Q_Piella", UNIFORM_WINDOW, mri=mri, pet=pet, fused=fused)
    # Sums, not means: for whole gray levels they are exact, and so is what counts as flat.
    ones = np.ones(UNIFORM_WINDOW)
    count = UNIFORM_WINDOW**2
    flat = FLAT * count**2
    a, b, f = images
    sum_a, sum_b, sum_f = (slide(image, ones) for image in images)
    spread_a, spread_b, spread_f = (
        count * slide(image * image, ones) - total**2 for image, total in zip(images, (sum_a, sum_b, sum_f))
    )
    weight = _share(spread_a, spread_b, flat, np.full_like(spread_a, 0.5))
    result = np.zeros_like(weight)
    for share, image, total, spread in ((weight, a, sum_a, spread_a), (1 - weight, b, sum_b, spread_b)):
        joint = count * slide(image * f, ones) - total * sum_f
        brightness = _ratio(2 * total * sum_f, total**2 + sum_f**2, 0.0)
        structure = _ratio(2 * joint, spread + spread_f, flat)
        result += share * brightness * structure
    return float(result.mean())


def _share(x: np.ndarray, y: np.ndarray, flat: float, undecided: np.ndarray) -> np.ndarray:
    """x / (x + y), ``undecided`` where both are flat."""
    x, y = np.clip(x, 0, None), np.clip(y, 0, None)
    total = x + y
    return np.divide(x, total, out=undecided, where=total > flat)


def _ratio(top: np.ndarray, bottom: np.ndarray, smallest: float) -> np.ndarray:
    """top / bottom, 1 where the bottom is not above ``smallest``: nothing there differs."""
    return np.divide(top, bottom, out=np.ones_like(top), where=bottom > smallest)
