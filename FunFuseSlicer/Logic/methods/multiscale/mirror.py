"""Filtering an image that continues as its own mirror image beyond its borders, with nothing cut off.

Reflected about its borders (the border pixels repeated), an image is a sum of cosines, whose amplitudes are
its discrete cosine transform: S. A. Martucci: Symmetric convolution and the discrete sine and cosine
transforms. IEEE Transactions on Signal Processing 42(5), 1994. A filter with a real response A and its
mirror image split into a part that is even along both axes and one that is odd along both; the even part maps
cosines on cosines, the odd part on sines. So a directional band is the difference of an inverse cosine and an
inverse sine transform, and the band of the mirrored direction their sum. There is no padding to choose, and
nothing wraps around.
"""

from typing import List, Sequence, Tuple

import numpy as np
from scipy import fft


def frequencies(shape: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """Angular frequencies of :func:`spectrum` along the rows' and the columns' index, in [0, pi).

    :param shape: of the image.
    :return: (rows, 1) and (1, columns), radians per pixel.
    """
    rows, columns = (np.pi * np.arange(size) / size for size in shape)
    return rows[:, None], columns[None, :]


def spectrum(image: np.ndarray) -> np.ndarray:
    """Amplitudes of the cosines, (rows, columns), that :func:`image` adds up."""
    return fft.dctn(image, norm="ortho", workers=1)


def image(amplitudes: np.ndarray) -> np.ndarray:
    """The image of a spectrum; undoes :func:`spectrum`."""
    return fft.idctn(amplitudes, norm="ortho", workers=1)


def analyze(amplitudes: np.ndarray, responses: np.ndarray, mirrored: Sequence[int]) -> List[np.ndarray]:
    """Directional bands of an image.

    :param amplitudes: (rows, columns), its spectrum.
    :param responses: (directions, rows, columns), at :func:`frequencies`.
    :param mirrored: for each direction the index of its mirror image (of which the response is
        A(rows, -columns)); its own where the filter is even along both axes.
    :return: a (rows, columns) band for each direction.
    """
    bands: List[np.ndarray] = [amplitudes] * len(responses)
    for direction, partner in enumerate(mirrored):
        if partner == direction:
            bands[direction] = image(responses[direction] * amplitudes)
        elif partner > direction:
            even = image((responses[direction] + responses[partner]) / 2 * amplitudes)
            odd = _of_sines((responses[direction] - responses[partner]) / 2 * amplitudes)
            bands[direction], bands[partner] = even - odd, even + odd
    return bands


def synthesize(bands: Sequence[np.ndarray], responses: np.ndarray, mirrored: Sequence[int]) -> np.ndarray:
    """Spectrum of the sum of all bands, each filtered once more; the transpose of :func:`analyze`.

    Beyond the borders a band continues as the mirror image of the band of the mirrored direction, as do those
    of an image.
    """
    amplitudes = np.zeros_like(bands[0])
    for direction, partner in enumerate(mirrored):
        if partner == direction:
            amplitudes += responses[direction] * spectrum(bands[direction])
        elif partner > direction:
            even = spectrum(bands[direction] + bands[partner])
            odd = _in_sines(bands[partner] - bands[direction])
            amplitudes += (responses[direction] + responses[partner]) / 2 * even
            amplitudes += (responses[direction] - responses[partner]) / 2 * odd
    return amplitudes


def _of_sines(amplitudes: np.ndarray) -> np.ndarray:
    """Sum of sines with these amplitudes in the places of cosines of the same frequencies."""
    # Sine transforms begin with the first frequency above 0 and end with pi, where there is no cosine.
    shifted = np.zeros_like(amplitudes)
    shifted[:-1, :-1] = amplitudes[1:, 1:]
    return fft.idstn(shifted, norm="ortho", workers=1)


def _in_sines(band: np.ndarray) -> np.ndarray:
    """Amplitudes of the sines of a band, in the places of cosines of the same frequencies."""
    amplitudes = np.zeros_like(band)
    amplitudes[1:, 1:] = fft.dstn(band, norm="ortho", workers=1)[:-1, :-1]
    return amplitudes
