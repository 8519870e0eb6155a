"""LP-CNN: Laplacian pyramids, weighted by a network that tells sharp from blurred.

Y. Liu, X. Chen, J. Cheng, H. Peng: A medical image fusion method based on convolutional neural networks.
20th International Conference on Information Fusion, 2017. How the network is trained: Y. Liu, X. Chen,
H. Peng, Z. Wang: Multi-focus image fusion with a deep convolutional neural network. Information Fusion 36,
2017.

The weights were learned by ``funfuse.py learn lp-cnn``; see Resources/Methods/README.md.

Left open:
- the window of the local energy: 3 × 3;
- swapped inputs: the network's last layer is built so that the weights swap too (see lp_cnn_network.py);
- training images: MRI, PET and SPECT slices, not natural images;
- images smaller than a patch, odd sizes, borders: mirrored;
- bands that are 0 in both sources: alike.
"""

import functools
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np
from scipy import ndimage

from ..errors import ModelError
from .interface import Method
from .laplacian_pyramid import composed, decomposed, halved
from .learned import REMEDY, read_learned

if TYPE_CHECKING:
    from .lp_cnn_network import SharpnessNetwork

WEIGHTS_FILE = "lp_cnn.pt"
WINDOW = np.ones(3)


def lp_cnn(mri: np.ndarray, pet: np.ndarray, threshold: float) -> np.ndarray:
    """Section III of the publication.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :param threshold: t, the similarity from which on details are averaged, in [-1, 1].
    :return: same size; can leave the range of the sources slightly.
    :raises ModelError: the weights are missing or damaged.
    """
    levels = int(math.log2(min(mri.shape)))  # as many as there can be
    details_mri, rest_mri = decomposed(mri, levels)
    details_pet, rest_pet = decomposed(pet, levels)
    weight = weight_map(mri, pet)
    fused = []
    for a, b in zip([*details_mri, rest_mri], [*details_pet, rest_pet]):
        fused.append(fused_band(a, b, weight, threshold))
        weight = halved(weight)
    return composed(fused[:-1], fused[-1])


def weight_map(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
    """How much sharper the MRI is than the PET, near each pixel.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :return: same size, in [0, 1]; 0.5 where both are alike. That of swapped images is 1 minus it.
    :raises ModelError: the weights are missing or damaged.
    """
    import torch

    from .lp_cnn_network import PATCH, mean_over_patches

    network = load_network()
    rows, columns = mri.shape
    lacking = [(0, max(PATCH, size + size % 2) - size) for size in mri.shape]
    with torch.no_grad():
        scores = [
            network(torch.from_numpy(np.pad(image, lacking, "symmetric").astype(np.float32))[None, None])
            for image in (mri, pet)
        ]
        weights = torch.sigmoid(scores[0].double() - scores[1].double())
        return mean_over_patches(weights)[0, 0, :rows, :columns].numpy()


def fused_band(a: np.ndarray, b: np.ndarray, weight: np.ndarray, threshold: float) -> np.ndarray:
    """A band of the fused pyramid (eqs. (1) to (4)).

    Where the two bands are alike they are averaged by the weights, else the one with more energy is taken.

    :param a: (rows, columns), the MRI's.
    :param b: same size, the PET's.
    :param weight: same size, the MRI's share.
    """
    energy_a, energy_b, common = _local_sum(a * a), _local_sum(b * b), _local_sum(a * b)
    total = energy_a + energy_b
    similarity = np.divide(2 * common, total, out=np.ones_like(total), where=total > 0)
    stronger = np.where(energy_a >= energy_b, a, b)
    return np.where(similarity >= threshold, weight * a + (1 - weight) * b, stronger)


def _local_sum(image: np.ndarray) -> np.ndarray:
    rows = ndimage.correlate1d(image, WINDOW, 0, mode="reflect")
    return ndimage.correlate1d(rows, WINDOW, 1, mode="reflect")


@functools.lru_cache(maxsize=1)
def load_network(folder: Optional[Path] = None) -> "SharpnessNetwork":
    """The shipped network, ready to score.

    :raises ModelError: weights missing, damaged, or of another network.
    """
    import torch

    from .lp_cnn_network import SharpnessNetwork

    content = read_learned(WEIGHTS_FILE, folder)
    network = SharpnessNetwork()
    try:
        # The very bytes that were checked; weights_only refuses pickled code.
        network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except Exception as error:
        raise ModelError(f"{WEIGHTS_FILE} does not hold the weights of LP-CNN: {REMEDY}.") from error
    return network.eval()


LP_CNN = Method(
    "lp_cnn",
    "LP-CNN",
    "Y. Liu, X. Chen, J. Cheng, H. Peng: A medical image fusion method based on convolutional neural networks"
    ". 20th International Conference on Information Fusion, 2017",
    lp_cnn,
    {"threshold": 0.6},
    # Of two bands with the same energy that are not alike it takes the MRI's.
    symmetric=False,
    needs=(("torch", "torch"),),
)
