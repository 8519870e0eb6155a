"""Phase congruency: where the waves that make up an image are in step, as at edges and lines of any contrast.

P. Kovesi: Image features from phase congruency. Videre: Journal of Computer Vision Research 1(3), 1999.
Filtered by logarithmic Gabor functions, which have no response to a constant.

Left open: the filters of phase congruency: 6 orientations, 6 scales from 3 pixels by factors of 2.1, which
    reach the waves of a low-pass image.
"""

import numpy as np
from scipy import fft

SCALES, ORIENTATIONS = 6, 6
# Wavelength of the finest filter in pixels, and from scale to scale.
WAVELENGTH, FACTOR = 3.0, 2.1
# Deviation of the logarithmic Gaussian over its center frequency; of the angle over the spacing of angles.
RADIAL_WIDTH, ANGULAR_WIDTH = 0.55, 1 / 1.2
# Deviations above the mean that noise is taken to reach.
NOISE_DEVIATIONS = 2.0
# Spread over the scales below which a response counts less, and how sharply.
CUTOFF, SHARPNESS = 0.4, 10.0
# Against division by zero; 0.0001 gray levels.
EPSILON = 1e-4 / 255


def phase_congruency(image: np.ndarray) -> np.ndarray:
    """Sum over the orientations of weighted local energy without noise, over the sum of all amplitudes.

    Kovesi 1999, equation 14 and section 5 (two-dimensional images). Mirrored at the borders.

    :param image: (rows, columns), any size; in [0, 1].
    :return: same size, from 0 to 1; where amplitudes are well above 1e-6 the same at any contrast.
    """
    rows, columns = image.shape
    spectrum = fft.fft2(np.pad(image, ((0, rows), (0, columns)), mode="symmetric"))
    vertical, horizontal = (fft.fftfreq(size) for size in spectrum.shape)
    radius = np.hypot(vertical[:, None], horizontal[None, :])
    angle = np.arctan2(vertical[:, None], horizontal[None, :])
    radial = [_log_gabor(radius, WAVELENGTH * FACTOR**scale) for scale in range(SCALES)]
    energy, amplitude = np.zeros((2, rows, columns))
    for orientation in range(ORIENTATIONS):
        directed = spectrum * _wedge(angle, np.pi * orientation / ORIENTATIONS)
        responses = np.stack([fft.ifft2(directed * band)[:rows, :columns] for band in radial])
        amplitudes = np.abs(responses)
        clean = np.maximum(_local_energy(responses) - _noise(amplitudes[0]), 0)
        energy += _spread_weight(amplitudes) * clean
        amplitude += amplitudes.sum(axis=0)
    return energy / (amplitude + EPSILON)


def _log_gabor(radius: np.ndarray, wavelength: float) -> np.ndarray:
    relative = np.where(radius > 0, radius, 1) * wavelength
    response = np.exp(-(np.log(relative) ** 2) / (2 * np.log(RADIAL_WIDTH) ** 2))
    return np.where(radius > 0, response, 0)


def _wedge(angle: np.ndarray, center: float) -> np.ndarray:
    """One side of the plane only, so that the filtered image's imaginary part is the odd response."""
    apart = np.abs((angle - center + np.pi) % (2 * np.pi) - np.pi)
    deviation = ANGULAR_WIDTH * np.pi / ORIENTATIONS
    return np.exp(-(apart**2) / (2 * deviation**2))


def _local_energy(responses: np.ndarray) -> np.ndarray:
    """Sum over the scales of A (cos d - |sin d|), d a response's deviation from the mean phase."""
    total = responses.sum(axis=0)
    length = np.abs(total)
    # The inverse of a length below this overflows; responses that small count for nothing.
    there = length > np.finfo(length.dtype).tiny
    direction = np.divide(total, length, out=np.ones_like(total), where=there)
    turned = responses * np.conj(direction)
    return (turned.real - np.abs(turned.imag)).sum(axis=0)


def _noise(finest: np.ndarray) -> float:
    """What noise adds to the energy: of a Rayleigh distribution with the finest amplitudes' median."""
    mode = np.median(finest) / np.sqrt(np.log(4))
    # The bandwidths, and with them the noise of the scales, fall as their frequencies.
    mode *= (1 - FACTOR**-SCALES) / (1 - 1 / FACTOR)
    return mode * (np.sqrt(np.pi / 2) + NOISE_DEVIATIONS * np.sqrt((4 - np.pi) / 2))


def _spread_weight(amplitudes: np.ndarray) -> np.ndarray:
    """Small where few scales respond: a wave alone is always in step with itself."""
    spread = amplitudes.mean(axis=0) / (amplitudes.max(axis=0) + EPSILON)
    return 1 / (1 + np.exp(SHARPNESS * (CUTOFF - spread)))
