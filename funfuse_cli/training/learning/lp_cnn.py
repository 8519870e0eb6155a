"""The network of LP-CNN, from sharp patches and blurred copies of them.

Y. Liu, X. Chen, H. Peng, Z. Wang: Multi-focus image fusion with a deep convolutional neural network.
Information Fusion 36, 2017, section 3: five blurred versions of each image, each made from the one before
by a Gaussian of standard deviation 2 in a window of 7 × 7. Other than there, the images are of the kind that
is fused and not photographs, pairs of patches are made fainter by a random factor, and Adam with a one-cycle
schedule takes the place of plain gradient descent: minutes instead of days.
"""

from typing import Callable, List, Tuple

import numpy as np
from scipy import ndimage

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods.lp_cnn_network import PATCH

BLUR_SIGMA, BLUR_RADIUS, BLUR_LEVELS = 2.0, 3, 5
# Standard deviation, in [0, 1], below which a sharp patch is flat: blurring it changes nothing.
SMALLEST_DEVIATION = 0.02
FAINTEST = 0.5  # the smallest random factor of a pair of patches
SHARE_OF_WARM_UP = 0.2
AT_ONCE = 200  # patches


def choose_patches(
    images: List[np.ndarray], count: int, generator: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """Sharp patches from random places, and each blurred to a random one of the five levels.

    :param images: (rows, columns) in [0, 1].
    :param count: how many at most.
    :return: sharp and blurred, (patches, PATCH, PATCH) float32 in [0, 1].
    :raises InputError: no patch that is not flat.
    """
    sharp, blurred = [], []
    fitting = [image for image in images if min(image.shape) >= PATCH]
    for image in fitting:
        versions = [image]
        for _ in range(BLUR_LEVELS):
            versions.append(
                ndimage.gaussian_filter(versions[-1], BLUR_SIGMA, truncate=BLUR_RADIUS / BLUR_SIGMA)
            )
        windows = [np.lib.stride_tricks.sliding_window_view(v, (PATCH, PATCH)) for v in versions]
        # Twice as many as needed: many are flat.
        tries = -(-2 * count // len(fitting))
        places = [generator.integers(size, size=tries) for size in windows[0].shape[:2]]
        levels = generator.integers(1, BLUR_LEVELS + 1, size=tries)
        for row, column, level in zip(*places, levels):
            if windows[0][row, column].std() >= SMALLEST_DEVIATION:
                # Copies: views would keep all versions of all images in memory.
                sharp.append(windows[0][row, column].astype(np.float32))
                blurred.append(windows[level][row, column].astype(np.float32))
    if not sharp:
        raise InputError(
            f"There is no patch of {PATCH} × {PATCH} pixels that is not flat: give more or larger images."
        )
    kept = generator.permutation(len(sharp))[:count]
    return tuple(np.stack([some[i] for i in kept]) for some in (sharp, blurred))


def learn_network(
    sharp: np.ndarray,
    blurred: np.ndarray,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    report: Callable[[float], None],
):
    """Train the network to give sharp patches the larger score.

    Since swapping its inputs swaps its outputs, each pair is shown in one order.

    :param sharp: (patches, PATCH, PATCH) in [0, 1].
    :param blurred: same size.
    :param batch: pairs a step.
    :param rate: peak learning rate.
    :param report: called with the fraction done.
    """
    import torch

    from FunFuseSlicer.Logic.methods.lp_cnn_network import SharpnessNetwork

    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network = SharpnessNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        # Half a step of warming up at least: with none the schedule divides by zero.
        optimizer,
        rate,
        total_steps=steps,
        pct_start=max(SHARE_OF_WARM_UP, 1.5 / steps),
    )
    for step in range(steps):
        report(step / steps)
        chosen = generator.integers(len(sharp), size=batch)
        # Turned and mirrored in the eight ways, and made fainter.
        patches = np.rot90(np.concatenate([sharp[chosen], blurred[chosen]]), step % 4, (1, 2))
        patches = patches[:, :, :: (1, -1)[step // 4 % 2]] * np.float32(generator.uniform(FAINTEST, 1))
        scores = network(torch.from_numpy(np.ascontiguousarray(patches))[:, None]).flatten()
        # The cross entropy of the softmax of both neurons.
        loss = torch.nn.functional.softplus(scores[batch:] - scores[:batch]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    report(1.0)
    return network.eval()


def share_right(network, sharp: np.ndarray, blurred: np.ndarray) -> float:
    """The share of pairs whose sharp patch gets the larger score."""
    import torch

    right = 0
    with torch.no_grad():
        # In parts, for the memory.
        for start in range(0, len(sharp), AT_ONCE):
            parts = [
                torch.from_numpy(patches[start : start + AT_ONCE])[:, None] for patches in (sharp, blurred)
            ]
            right += int((network(parts[0]) > network(parts[1])).sum())
    return right / len(sharp)
