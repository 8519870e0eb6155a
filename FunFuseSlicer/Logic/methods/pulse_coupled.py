"""Pulse-coupled neural networks: a neuron for each pixel, which fires the more often the stronger the stimuli
of itself and its neighborhood are.

Simplified model and its parameters: Y. Chen, S.-K. Park, Y. Ma, R. Ala: A new automatic parameter setting
method of a simplified PCNN for image segmentation. IEEE Transactions on Neural Networks 22(6), 2011.
"""

from typing import NamedTuple

import numpy as np

LEVELS = 256


class Parameters(NamedTuple):
    """Of a simplified network.

    :param retention: share of its activity that a neuron keeps to the next iteration, exp(-alpha_f).
    :param linking: weight of the neighbors' pulses, beta V_L.
    :param decay: share of its threshold that a neuron keeps, exp(-alpha_e).
    :param rise: what a pulse adds to the threshold, V_E.
    :param corner: weight of the diagonal neighbors; that of the others is 1.
    :param threshold: of all neurons in the beginning.
    """

    retention: float
    linking: float
    decay: float
    rise: float
    corner: float = 0.5
    threshold: float = 1.0


def firings(stimulus: np.ndarray, parameters: Parameters, iterations: int) -> np.ndarray:
    """How often each neuron fires.

    In each iteration U = retention U + S (1 + linking K), where K adds up the eight neighbors' last pulses; a
    neuron fires where U is above its threshold E; then E = decay E + rise, or decay E where it did not fire.
    There are no neurons beyond the borders.

    :param stimulus: (rows, columns), not negative.
    :param iterations: how many.
    :return: (rows, columns) float32, whole numbers from 0 to iterations.
    """
    retention, linking, decay, rise, corner, start = (np.float32(value) for value in parameters)
    stimulus = stimulus.astype(np.float32)
    rows, columns = stimulus.shape
    activity = np.zeros_like(stimulus)
    threshold = np.full_like(stimulus, start)
    counts = np.zeros_like(stimulus)
    # All in place, since there are a hundred iterations for each of some hundred bands.
    padded = np.zeros((rows + 2, columns + 2), np.float32)
    pulses = padded[1:-1, 1:-1]
    upright = np.empty((rows, columns + 2), np.float32)
    links, part = np.empty_like(stimulus), np.empty_like(stimulus)
    for _ in range(iterations):
        np.add(padded[:-2], padded[2:], out=upright)
        np.add(upright[:, :-2], upright[:, 2:], out=links)
        links *= corner
        links += upright[:, 1:-1]
        links += padded[1:-1, :-2]
        links += padded[1:-1, 2:]
        links *= linking
        links += 1
        links *= stimulus
        activity *= retention
        activity += links
        np.greater(activity, threshold, out=pulses)
        threshold *= decay
        np.multiply(pulses, rise, out=part)
        threshold += part
        counts += pulses
    return counts


def adapted(stimulus: np.ndarray) -> Parameters:
    """Parameters for a stimulus, from its deviation, its maximum and Otsu's threshold.

    Chen et al. 2011, section III, and Yin et al. 2019, section III-A.

    :param stimulus: (rows, columns), not negative.
    """
    highest = float(stimulus.max())
    if highest == 0:
        # Never fires, whatever the parameters are.
        return Parameters(0.0, 0.0, 0.0, 1.0)
    split = otsu(stimulus)
    # exp(-alpha_f), alpha_f = log10(1 / deviation).
    kept = float(np.std(stimulus)) ** np.log10(np.e)
    linking = (highest / split - 1) / 6
    rise = kept + 1 + 6 * linking
    # Activity of the weakest of the bright neurons, whose neighbors fire, in the third iteration.
    third = (1 + kept + kept**2 + 6 * linking * kept) * split
    # A stimulus far above 1 would make thresholds grow.
    return Parameters(kept, linking, min(third / rise, 1.0), rise)


def otsu(stimulus: np.ndarray) -> float:
    """The threshold that separates weak from strong values best.

    N. Otsu: A threshold selection method from gray-level histograms. IEEE Transactions on Systems, Man, and
    Cybernetics 9(1), 1979.

    :param stimulus: any size, not negative, not all zero.
    :return: above 0, at most the maximum; the maximum where there is but one value. Histogram of 256 bins
        from 0 to the maximum.
    """
    highest = float(stimulus.max())
    # The last bin holds the maximum only if it were alone: values are scaled to whole bins, as gray levels.
    bins = np.rint(stimulus / highest * (LEVELS - 1)).astype(np.intp)
    shares = np.bincount(bins.ravel(), minlength=LEVELS) / bins.size
    below = np.cumsum(shares)[:-1]
    sums = np.cumsum(shares * np.arange(LEVELS))
    both = below * (1 - below)
    between = np.zeros(LEVELS - 1)
    np.divide(np.square(sums[-1] * below - sums[:-1]), both, out=between, where=both > 1e-12)
    if between.max() == 0:
        return highest
    # Mean of equally good ones. A threshold of zero would divide by it: half a level.
    level = float(np.mean(np.flatnonzero(between >= between.max() * (1 - 1e-12))))
    return max(level, 0.5) / (LEVELS - 1) * highest
