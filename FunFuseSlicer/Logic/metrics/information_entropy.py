"""Q_IE: nonlinear correlation information entropy.

Q. Wang, Y. Shen, J. Jin: Performance evaluation of image fusion techniques. In: Image Fusion: Algorithms
and Applications, Academic Press 2008.
"""

import numpy as np

from .images import as_gray

LEVELS = 256


def q_ie(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """How strongly the three images depend on each other, judged from their joint histograms.

    Rewards shared information, and wants only one good partner: an unfused copy of the MRI shares
    everything with the MRI and scores above fused images. Blind to where things are, to inversion and to any
    one-to-one change of gray levels. The dependence between MRI and PET counts as well, though no method
    can change it.

    :param mri: (rows, columns), any gray scale: each image is stretched to 256 levels by itself.
    :param pet: same size, as is ``fused``.
    :return: from 1 - log256(3) = 0.80188, no dependence, to 1. An image of one gray level depends on
        nothing; the authors' program stops there unless the level is 0.
    :raises InputError: the images do not fit together.
    """
    images = [_stretched(image) for image in as_gray("Q_IE", 1, mri=mri, pet=pet, fused=fused)]
    correlations = np.eye(3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        correlations[i, j] = correlations[j, i] = shared_information(images[i], images[j])
    # The matrix is positive semidefinite, since 1 - I(X, Y) / 8 bits obeys the triangle inequality; only
    # rounding makes an eigenvalue negative, and 0 log 0 is 0.
    shares = np.clip(np.linalg.eigvalsh(correlations) / 3, 0, None)
    return float(1 - entropy(shares) / np.log2(LEVELS))


def _stretched(image: np.ndarray) -> np.ndarray:
    """Gray levels 0 to 255 as integers; a constant image is 0 everywhere."""
    low, high = image.min(), image.max()
    if low == high:
        return np.zeros(image.shape, dtype=np.intp)
    return np.floor((image - low) / (high - low) * (LEVELS - 1) + 0.5).astype(np.intp)


def shared_information(x: np.ndarray, y: np.ndarray) -> float:
    """Mutual information of whole gray levels, in units of the 8 bits that 256 levels can hold."""
    joint = np.bincount((x * LEVELS + y).ravel(), minlength=LEVELS**2).reshape(LEVELS, LEVELS) / x.size
    bits = entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint)
    return bits / np.log2(LEVELS)


def entropy(shares: np.ndarray) -> float:
    """In bits."""
    some = shares[shares > 0]
    return float(-np.sum(some * np.log2(some)))
