"""How much the fused image changes when its sources hardly do, as from slice to slice of a volume.

The network sees one slice at a time. Where it weighs a slice as a whole in one way or the other, its fused
slices lie like stripes in the other two planes.
"""

from typing import NamedTuple, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .loss import blur

# The next slice: larger or smaller by up to this share, up to so many pixels aside; and brighter or darker
# here and there, by a smooth field with so many knots a side and this standard deviation.
ZOOM, SHIFT, KNOTS, GAIN = 0.05, 4.0, 4, 0.04
# Level, not detail: changes are seen under a blur.
BLUR_WINDOW, BLUR = 33, 8.0


class Nearby(NamedTuple):
    """What makes slices that could be the next ones of some pairs.

    :param grid: (n, rows, columns, 2), where their pixels come from, in the coordinates of ``grid_sample``.
    :param gains: (n, 2, rows, columns), of MRI and PET.
    """

    grid: Tensor
    gains: Tensor

    def moved(self, images: Tensor) -> Tensor:
        """(n, 1, rows, columns), by the grid; 0 where they do not reach."""
        return functional.grid_sample(images, self.grid, align_corners=False)

    def pair(self, mri: Tensor, pet: Tensor) -> Tuple[Tensor, ...]:
        """The next slices of MRI and PET, in [0, 1]; black where they are."""
        return tuple(
            (self.moved(image) * self.gains[:, lane : lane + 1]).clamp(0, 1)
            for lane, image in enumerate((mri, pet))
        )


def draw_nearby(count: int, size: int, rng: np.random.Generator, device="cpu") -> Nearby:
    """At random, for so many square slices."""
    zoom, shift = 1 + rng.uniform(-ZOOM, ZOOM, count), rng.uniform(-SHIFT, SHIFT, (count, 2)) * 2 / size
    lines = np.zeros((count, 2, 3), np.float32)
    lines[:, 0, 0] = lines[:, 1, 1] = zoom
    lines[:, :, 2] = shift
    field = torch.from_numpy(rng.normal(0.0, GAIN, (count, 2, KNOTS, KNOTS)).astype(np.float32))
    grid = functional.affine_grid(torch.from_numpy(lines), [count, 1, size, size], align_corners=False)
    gains = 1 + functional.interpolate(field, size=(size, size), mode="bicubic")
    return Nearby(grid.to(device), gains.to(device))


def unsteadiness(network, fused: Tensor, mri: Tensor, pet: Tensor, lam, nearby: Nearby) -> Tensor:
    """Mean change of the fused image's level, beside that of the plain average, in the next slice; (n,).

    :param network: what fused the slices, with this λ (n,) or None.
    :param fused: (n, 1, rows, columns), at least 33 × 33; ``mri`` and ``pet`` likewise.
    """
    mri_next, pet_next = nearby.pair(mri, pet)
    here = nearby.moved(fused - (mri + pet) / 2)
    there = network.fuse(mri_next, pet_next, lam) - (mri_next + pet_next) / 2
    inside = nearby.moved(torch.ones_like(mri))
    return blur((there - here) * inside, BLUR_WINDOW, BLUR).abs().mean(dim=(1, 2, 3))
