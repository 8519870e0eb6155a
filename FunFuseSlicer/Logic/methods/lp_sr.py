"""LP-SR: a Laplacian pyramid whose low-pass band is fused by sparse representation.

Y. Liu, S. Liu, Z. Wang: A general framework for image fusion based on multi-scale transform and sparse
representation. Information Fusion 24, 2015. The check of consistency: H. Li, B. S. Manjunath, S. K. Mitra:
Multisensor image fusion using the wavelet transform. Graphical Models and Image Processing 57(3), 1995.

The dictionary was learned by ``funfuse.py learn lp-sr``; see Resources/Methods/README.md.

Left open:
- the unit of the tolerance: gray levels from 0 to 255;
- the dictionary's images: MRI, PET and SPECT slices and their low-pass bands, not natural images;
- step of the patches: 1 pixel;
- low-pass bands smaller than a patch: mirrored until one fits;
- equally strong details: the MRI's; equal sums of coefficients: the PET's patch.
"""

import functools
import io
import warnings
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np
from scipy import ndimage

from ..errors import ModelError
from .interface import Method
from .laplacian_pyramid import LEVELS, composed, decomposed
from .learned import REMEDY, read_learned

DICTIONARY_FILE = "lp_sr.npy"
SIDE, ATOMS = 8, 256
WHITE = 255.0
VOTES = 5  # of the nine pixels of a window: the majority


def lp_sr(mri: np.ndarray, pet: np.ndarray, levels: int, tolerance: float) -> np.ndarray:
    """Section 3 of the publication.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :param levels: of the pyramid.
    :param tolerance: ε, how far a patch and its code may be apart: the root of the sum of squares, in gray
        levels from 0 to 255.
    :return: same size; can leave the range of the sources slightly.
    :raises ModelError: the dictionary is missing or damaged.
    """
    details_mri, rest_mri = decomposed(mri, int(levels))
    details_pet, rest_pet = decomposed(pet, int(levels))
    details = [consistent_detail(a, b) for a, b in zip(details_mri, details_pet)]
    rest = sparse_fusion(WHITE * rest_mri, WHITE * rest_pet, load_dictionary(), tolerance)
    return composed(details, rest / WHITE)


def consistent_detail(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The stronger detail, or the other one where most of the 3 × 3 neighborhood takes from that source."""
    chosen = (np.abs(a) >= np.abs(b)).astype(np.int64)
    return np.where(ndimage.correlate(chosen, np.ones((3, 3), int), mode="reflect") >= VOTES, a, b)


def sparse_fusion(a: np.ndarray, b: np.ndarray, dictionary: np.ndarray, tolerance: float) -> np.ndarray:
    """Overlapping patches, each from the source with the larger sum of absolute coefficients (section 3.2).

    A patch is coded without its mean, which comes from the same source as the code; where both sums are
    equal it is the second one.

    :param a: (rows, columns), any size; gray levels.
    :param b: same size.
    :param dictionary: (SIDE², atoms), columns of norm 1.
    :param tolerance: see :func:`lp_sr`.
    :return: same size: at each pixel the mean of all patches that cover it.
    """
    shape = a.shape
    lacking = [(0, max(SIDE - size, 0)) for size in shape]
    (patches_a, means_a), (patches_b, means_b) = (_patches(np.pad(c, lacking, "symmetric")) for c in (a, b))
    codes_a, codes_b = (sparse_codes(p, dictionary, tolerance) for p in (patches_a, patches_b))
    first = np.abs(codes_a).sum(axis=1) > np.abs(codes_b).sum(axis=1)
    codes = np.where(first[:, None], codes_a, codes_b)
    fused = codes @ dictionary.T + np.where(first, means_a, means_b)[:, None]
    padded = tuple(size + after for size, (_, after) in zip(shape, lacking))
    return _mean_of_patches(fused, padded)[: shape[0], : shape[1]]


def sparse_codes(
    patches: np.ndarray,
    dictionary: np.ndarray,
    tolerance: Optional[float] = None,
    atoms: Optional[int] = None,
) -> np.ndarray:
    """Orthogonal matching pursuit: as few atoms as come near enough, or a fixed number of them.

    :param patches: (patches, SIDE²) of mean 0.
    :param dictionary: (SIDE², atoms), columns of norm 1.
    :param tolerance: largest norm of what is left; or
    :param atoms: how many each patch gets.
    :return: (patches, atoms) coefficients.
    """
    from sklearn.linear_model import orthogonal_mp_gram

    codes = np.zeros((len(patches), dictionary.shape[1]))
    squares = (patches**2).sum(axis=1)
    # What is near enough to 0 needs no atom; the pursuit would warn of it.
    coded = squares > (0 if tolerance is None else tolerance**2)
    if not coded.any():
        return codes
    stop: Dict[str, object] = {"n_nonzero_coefs": atoms}
    if tolerance is not None:
        stop = {"tol": tolerance**2, "norms_squared": squares[coded]}
    with warnings.catch_warnings():
        # It may end early, when no atom is left that adds anything: then the patch is met already.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = orthogonal_mp_gram(dictionary.T @ dictionary, dictionary.T @ patches[coded].T, **stop)
    codes[coded] = found.reshape(dictionary.shape[1], -1).T
    return codes


@functools.lru_cache(maxsize=1)
def load_dictionary(folder: Optional[Path] = None) -> np.ndarray:
    """The shipped dictionary, (SIDE², ATOMS), columns of norm 1.

    :raises ModelError: missing or damaged.
    """
    content = read_learned(DICTIONARY_FILE, folder)
    try:
        dictionary = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float64)
        if dictionary.shape != (SIDE**2, ATOMS):
            raise ValueError(f"a dictionary of {dictionary.shape}")
    except ValueError as error:
        raise ModelError(f"{DICTIONARY_FILE} does not hold the dictionary of LP-SR: {REMEDY}.") from error
    dictionary /= np.linalg.norm(dictionary, axis=0)
    dictionary.flags.writeable = False  # shared by all calls
    return dictionary


def _patches(image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """All patches without their means, (patches, SIDE²), and the means."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE))
    patches = windows.reshape(-1, SIDE**2)
    means = patches.mean(axis=1)
    return patches - means[:, None], means


def _mean_of_patches(patches: np.ndarray, shape: Tuple[int, int]) -> np.ndarray:
    """Patches of all places, in order, put back."""
    rows, columns = (size - SIDE + 1 for size in shape)
    patches = patches.reshape(rows, columns, SIDE, SIDE)
    total, count = np.zeros(shape), np.zeros(shape)
    for i in range(SIDE):
        for j in range(SIDE):
            total[i : i + rows, j : j + columns] += patches[:, :, i, j]
            count[i : i + rows, j : j + columns] += 1
    return total / count


LP_SR = Method(
    "lp_sr",
    "LP-SR",
    "Y. Liu, S. Liu, Z. Wang: A general framework for image fusion based on multi-scale transform and sparse "
    "representation. Information Fusion 24, 2015",
    lp_sr,
    {"levels": LEVELS, "tolerance": 0.1},
    # Where details or sums of coefficients are equal it prefers one source.
    symmetric=False,
    needs=(("sklearn", "scikit-learn"),),
)
