"""GF: two scales, weighted by saliency maps that a guided filter brings into line with the images.

S. Li, X. Kang, J. Hu: Image fusion with guided filtering. IEEE Transactions on Image Processing 22(7), 2013.
The filter itself: K. He, J. Sun, X. Tang: Guided image filtering. European Conference on Computer Vision,
2010.

Left open:
- the Laplacian filter: that of the four neighbors;
- equal saliency: both sources count there, so that swapping them changes nothing;
- refined weights outside [0, 1]: clipped before they are normalized; where all are 0, equal weights;
- borders: mirrored.
"""

import numpy as np
from scipy import ndimage

from .interface import Method

BASE_SIZE = 31
SALIENCY_RADIUS, SALIENCY_SIGMA = 5, 5.0
# Saliency that differs by less is rounding; one gray level of 8 bits makes a million times as much.
TIE = 1e-9
# Keeps the normalization defined where no source has weight.
SMALLEST_WEIGHT = 1e-12


def guided_filter_fusion(
    mri: np.ndarray,
    pet: np.ndarray,
    base_radius: int,
    base_epsilon: float,
    detail_radius: int,
    detail_epsilon: float,
) -> np.ndarray:
    """Section III of the publication.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :param base_radius: r1, pixels; of the filter for the base layer's weights.
    :param base_epsilon: ε1, in squared intensities.
    :param detail_radius: r2, for the detail layer's weights.
    :param detail_epsilon: ε2.
    :return: same size; can leave the range of the sources slightly.
    """
    images = np.stack([mri, pet])
    # Eqs. (6) and (7): the layers.
    bases = np.stack([ndimage.uniform_filter(image, BASE_SIZE, mode="reflect") for image in images])
    # Eqs. (8) to (10): who is the more salient.
    saliency = np.stack([_saliency(image) for image in images])
    salient = (saliency >= saliency.max(axis=0) - TIE).astype(np.float64)
    # Eqs. (11) and (12), and those for the fused layers.
    base_weights = _weights(images, salient, base_radius, base_epsilon)
    detail_weights = _weights(images, salient, detail_radius, detail_epsilon)
    return (base_weights * bases + detail_weights * (images - bases)).sum(axis=0)


def guided_filter(image: np.ndarray, guide: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """An image smoothed except across the edges of another (eqs. (1) to (5)).

    In windows around each pixel the result is a linear function of the guide.

    :param image: (rows, columns), what is smoothed.
    :param guide: same size.
    :param radius: windows have 2 · radius + 1 pixels a side; borders are mirrored.
    :param epsilon: variance of the guide, in its squared units, below which it counts as flat.
    :return: same size.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, 2 * int(radius) + 1, mode="reflect")

    mean_guide, mean_image = mean(guide), mean(image)
    # Rounding can leave it a little below 0.
    variance = np.maximum(mean(guide * guide) - mean_guide**2, 0)
    slope = (mean(guide * image) - mean_guide * mean_image) / (variance + epsilon)
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)


def _saliency(image: np.ndarray) -> np.ndarray:
    edges = np.abs(ndimage.laplace(image, mode="reflect"))
    truncate = SALIENCY_RADIUS / SALIENCY_SIGMA
    return ndimage.gaussian_filter(edges, SALIENCY_SIGMA, mode="reflect", truncate=truncate)


def _weights(images: np.ndarray, salient: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """(sources, rows, columns); at each pixel they add up to 1."""
    refined = np.stack([guided_filter(s, image, radius, epsilon) for s, image in zip(salient, images)])
    refined = np.clip(refined, 0, 1) + SMALLEST_WEIGHT
    return refined / refined.sum(axis=0)


GUIDED_FILTER = Method(
    "gf",
    "GF",
    "S. Li, X. Kang, J. Hu: Image fusion with guided filtering. IEEE Transactions on Image Processing 22(7), "
    "2013",
    guided_filter_fusion,
    {"base_radius": 45, "base_epsilon": 0.3, "detail_radius": 7, "detail_epsilon": 1e-6},
)
