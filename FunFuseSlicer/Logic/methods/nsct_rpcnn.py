"""Fusion of contourlet bands by reduced pulse-coupled neural networks and spatial frequency (NSCT-RPCNN).

S. Das, M. K. Kundu: NSCT-based multimodal medical image fusion using pulse-coupled neural network and
modified spatial frequency. Medical & Biological Engineering & Computing 50(10), 2012; the reduced network,
without leaking feeding and linking: the same, A neuro-fuzzy approach for medical image fusion. IEEE
Transactions on Biomedical Engineering 60(12), 2013. Low-pass image: the larger coefficient. Details: the
coefficient whose neuron, stimulated by the band's modified spatial frequency, fires more often.

Left open:
- window of the spatial frequency: 3 x 3;
- scale of the stimulus: the larger of the two bands' maxima is 1;
- parameters of the network: alpha_theta 0.2, V_theta 20, diagonal links 0.707, thresholds 0 at first, 200
  iterations;
- equal numbers of pulses: the larger spatial frequency, where this is equal too the mean;
- directions: 4, 8, 8, 16 from coarse to fine.

Differs: linking strength 0.2 for all neurons; in 2013 it is a fuzzy characteristic of the neighborhood.
"""

from typing import Tuple

import numpy as np

from . import focus_measures, pulse_coupled
from .interface import Method
from .multiscale import fans
from .multiscale.interface import Bands
from .selection import more_active

# Coarse to fine.
DIRECTIONS = (4, 8, 8, 16)
ITERATIONS = 200
REDUCED = pulse_coupled.Parameters(
    retention=0.0, linking=0.2, decay=float(np.exp(-0.2)), rise=20.0, corner=0.707, threshold=0.0
)


def nsct_rpcnn(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
    """2012, section "Proposed method".

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :return: same size; can leave the range of the sources slightly.
    """
    transform = fans.contourlets(DIRECTIONS)
    bands_mri, bands_pet = transform.decompose(mri), transform.decompose(pet)
    details = [
        [more_active(a, b, *_activities(a, b)) for a, b in zip(scale_mri, scale_pet)]
        for scale_mri, scale_pet in zip(bands_mri.details, bands_pet.details)
    ]
    return transform.reconstruct(Bands(np.maximum(bands_mri.low, bands_pet.low), details))


def _activities(first: np.ndarray, second: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of two bands: firings, and a part below one pulse by which equal numbers are told apart."""
    frequencies = [focus_measures.modified_spatial_frequency(band) for band in (first, second)]
    highest = max(frequency.max() for frequency in frequencies)
    if highest == 0:
        return frequencies[0], frequencies[1]
    stimuli = [frequency / highest for frequency in frequencies]
    counts = [pulse_coupled.firings(stimulus, REDUCED, ITERATIONS) for stimulus in stimuli]
    return counts[0] + stimuli[0] / 2, counts[1] + stimuli[1] / 2


NSCT_RPCNN = Method(
    "nsct_rpcnn",
    "NSCT-RPCNN",
    "S. Das, M. K. Kundu: NSCT-based multimodal medical image fusion using pulse-coupled neural network and "
    "modified spatial frequency. Medical & Biological Engineering & Computing 50(10), 2012; A neuro-fuzzy "
    "approach for medical image fusion. IEEE Transactions on Biomedical Engineering 60(12), 2013",
    nsct_rpcnn,
)
