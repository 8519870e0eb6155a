"""A channelized Hotelling observer of colors: how well a lesion at a known place can be told from none.

It sees L*, a* and b* through a few channels that are blind to a constant (the sparse differences of Gaussians
of Abbey and Barrett, J Opt Soc Am A 18, 473, 2001), adds noise of its own, and weighs what is left as is best
for a linear observer (Barrett et al., PNAS 90, 9758, 1993). Backgrounds differ from place to place, and it is
tested at places that it has not seen.
"""

from typing import NamedTuple, Sequence, Tuple

import numpy as np
from scipy.special import ndtr

# Channel j is exp(-½ (ρ / Q σj)²) - exp(-½ (ρ / σj)²), σj = SPARSEST · 2^j, in cycles per millimeter.
SPARSEST, STEP, Q, CHANNELS = 0.015, 2.0, 2.0, 3

# A just noticeable difference of colors in CIELAB (Mahy et al., Color Res Appl 19, 105, 1994) ...
NOTICEABLE = 2.3
# ... is what tells a disk of this diameter from none with d' = 1: that sets the noise of the observer.
DISK_MM = 8.0


class Channels(NamedTuple):
    """What the observer looks through at one spacing of pixels.

    :param weights: (pixels, channels), of a square of ``size`` pixels about the place.
    :param noise: (3 · channels, 3 · channels), covariance of its own noise in the channels of L*, a* and b*.
    """

    weights: np.ndarray
    noise: np.ndarray
    size: int

    def see(self, lab: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) L*, a*, b* to (n, 3 · channels), those of L* first."""
        pixels = lab.reshape(len(lab), -1, 3)
        return np.swapaxes(self.weights.T @ pixels, 1, 2).reshape(len(lab), -1)


def channels(size: int, spacing: Tuple[float, float]) -> Channels:
    """The channels for pixels of a spacing (rows, columns) in millimeters; the place is pixel size // 2."""
    rows, columns = ((np.arange(size) - size // 2) * step for step in spacing)
    distance = np.hypot(*np.meshgrid(rows, columns, indexing="ij")).ravel()
    area = spacing[0] * spacing[1]

    def gaussian(sigma: float) -> np.ndarray:
        # The Fourier transform of exp(-½ (ρ / σ)²).
        return 2 * np.pi * sigma**2 * np.exp(-2 * (np.pi * sigma * distance) ** 2) * area

    sigmas = SPARSEST * STEP ** np.arange(CHANNELS)
    weights = np.stack([gaussian(Q * sigma) - gaussian(sigma) for sigma in sigmas], axis=1)
    # What the square cuts off must not let a constant through.
    weights -= weights.mean(axis=0)
    unit = weights.T @ weights
    signal = NOTICEABLE * (distance <= DISK_MM / 2) @ weights
    # d'² = signal · noise⁻¹ · signal = 1, the noise being white in the image.
    variance = signal @ np.linalg.solve(unit, signal)
    return Channels(weights, np.kron(np.eye(3), variance * unit), size)


def aucs(seen: np.ndarray, noise: np.ndarray, kinds: Sequence[str], known: bool) -> np.ndarray:
    """How often the observer finds a lesion rather than none, for each pair of places.

    It has learned at all other places: how a lesion looks from those of the same kind, and what varies from
    all. Its own noise is averaged exactly.

    :param seen: (places, realizations, 1 + lesions, features), the first without a lesion; the noise of the
        PET is the same with all lesions of one realization.
    :param noise: (features, features), its own.
    :param kinds: (places,), what kind each place is of.
    :param known: whether it knows the place without the lesion, so that noise alone varies; else a lesion at
        one place competes with none at another.
    :return: (lesions, places, places), by where the lesion is and where none is; NaN for places of two
        kinds, and, as ``known`` says, where both are or are not the same. The mean is the AUC (Mann and
        Whitney); the mean over places drawn again, one of its bootstrap.
    """
    count, realizations, images, features = seen.shape
    kinds = np.asarray(kinds)
    apart = seen - seen.mean(axis=1, keepdims=True)
    if not known:
        for kind in np.unique(kinds):
            apart[kinds == kind] = seen[kinds == kind] - seen[kinds == kind].mean(axis=(0, 1))
    flat = apart.reshape(count, -1, features)
    spreads = np.einsum("pnf,png->pfg", flat, flat) / flat.shape[1]
    if known:
        spreads *= realizations / (realizations - 1)
    middles = seen.mean(axis=1)
    said = np.empty((count, realizations, 2, images - 1))
    own = np.empty((count, images - 1))
    for place in range(count):
        others = np.arange(count) != place
        total = spreads[others].mean(axis=0) + noise
        middle = middles[others & (kinds == kinds[place])].mean(axis=0)
        templates = np.linalg.solve(total, (middle[1:] - middle[0]).T)
        # Places have different teachers: one unit for all.
        templates /= np.sqrt(np.einsum("fl,fg,gl->l", templates, total, templates)) + 1e-12
        own[place] = np.einsum("fl,fg,gl->l", templates, noise, templates)
        from_none = seen[place] - middle[0]
        said[place, :, 0] = from_none[:, 0] @ templates
        said[place, :, 1] = np.einsum("rlf,fl->rl", from_none[:, 1:], templates)
    result = np.full((images - 1, count, count), np.nan)
    independent = ~np.eye(realizations, dtype=bool)
    for first in range(count):
        for second in np.flatnonzero((kinds == kinds[first]) & ((np.arange(count) == first) == known)):
            gap = said[first, :, None, 1] - said[second, None, :, 0]
            width = np.sqrt(own[first] + own[second])
            found = ndtr(gap / np.maximum(width, 1e-12))
            pairs = found[independent] if known else found.reshape(-1, images - 1)
            result[:, first, second] = pairs.mean(axis=0)
    return result
