"""A pyramid with directional filters in each scale, applied to images.

All filters of an image's size are computed once and kept, as the two images of a pair and the slices of a
volume have one size.
"""

from functools import lru_cache
from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

from . import mirror, pyramid
from .interface import Bands

# responses(shape, directions, scale), scale 0 the finest -> (directions, rows, columns)
Wedges = Callable[[Tuple[int, int], int, int], np.ndarray]


class FilterBank:
    """A :class:`.interface.Transform`.

    :param directions: of each scale, coarse to fine; powers of two from 2.
    :param wedges: the directional filters' responses.
    :param filtered_synthesis: whether bands are filtered once more before they are added up (then the squares
        of the directional responses have the sum 1), else just added (then the responses have).
    :raises ValueError: other numbers of directions, or no scale.
    """

    def __init__(self, directions: Sequence[int], wedges: Wedges, filtered_synthesis: bool):
        self._directions = tuple(int(count) for count in directions)
        if not self._directions or any(count < 2 or count & (count - 1) for count in self._directions):
            raise ValueError(f"Directions are powers of two from 2, one for each scale, not {directions}.")
        self._wedges = wedges
        self._filtered_synthesis = filtered_synthesis

    def decompose(self, image: np.ndarray) -> Bands:
        """:param image: (rows, columns), any size from 1x1, any finite values."""
        spectrum = mirror.spectrum(np.asarray(image, dtype=np.float64))
        filters = _filters(self._wedges, self._directions, spectrum.shape)
        details = [
            mirror.analyze(spectrum * passed, directional, mirrored(count))
            for passed, directional, count in zip(
                filters.analysis.details, filters.directional, reversed(self._directions)
            )
        ]
        return Bands(mirror.image(spectrum * filters.analysis.low), details[::-1])

    def reconstruct(self, bands: Bands) -> np.ndarray:
        """The image, float64, of bands as :meth:`decompose` gives them, changed or not.

        :raises ValueError: other numbers of scales or directions than the transform's.
        """
        if tuple(len(scale) for scale in bands.details) != self._directions:
            raise ValueError("The bands are not those of this transform.")
        filters = _filters(self._wedges, self._directions, bands.low.shape)
        spectrum = mirror.spectrum(bands.low) * filters.synthesis.low
        for passed, directional, scale in zip(
            filters.synthesis.details, filters.directional, reversed(bands.details)
        ):
            if self._filtered_synthesis:
                detail = mirror.synthesize(scale, directional, mirrored(len(scale)))
            else:
                detail = mirror.spectrum(sum(scale))
            spectrum += passed * detail
        return mirror.image(spectrum)


def mirrored(directions: int) -> Tuple[int, ...]:
    """For each wedge the index of its mirror image."""
    return (0, 1) if directions == 2 else tuple(reversed(range(directions)))


class _Filters(NamedTuple):
    """Responses for one size of images; lists from fine to coarse."""

    analysis: pyramid.Pyramid
    synthesis: pyramid.Pyramid
    directional: List[np.ndarray]


@lru_cache(maxsize=2)
def _filters(wedges: Wedges, directions: Tuple[int, ...], shape: Tuple[int, int]) -> _Filters:
    scales = len(directions)
    return _Filters(
        pyramid.analysis(shape, scales),
        pyramid.synthesis(shape, scales),
        [wedges(shape, count, scale) for scale, count in enumerate(reversed(directions))],
    )
