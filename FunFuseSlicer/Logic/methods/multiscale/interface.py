"""What a multi-scale, multi-directional transform is to the fusion methods."""

from typing import List, NamedTuple, Protocol

import numpy as np


class Bands(NamedTuple):
    """An image taken apart. Every array is float64 and has the size of the image.

    :param low: (rows, columns); what is smoother than the coarsest detail, in the units of the image.
    :param details: the scales from coarse to fine; each a list of directional bands, (rows, columns).
    """

    low: np.ndarray
    details: List[List[np.ndarray]]


class Transform(Protocol):
    """Linear and undone exactly; made by :func:`shearlets` or :func:`contourlets`."""

    def decompose(self, image: np.ndarray) -> Bands:
        """:param image: (rows, columns), any size from 1x1, any finite values."""

    def reconstruct(self, bands: Bands) -> np.ndarray:
        """The image, float64, of bands as :meth:`decompose` gives them, changed or not."""
