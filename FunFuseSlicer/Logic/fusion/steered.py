"""The network that steers a Laplacian pyramid, in NumPy: it weighs the bands of both images, place by place.

F = Σ up(wₗ · Lₗ(MRI)) + Σ up(vₗ · Lₗ(PET)): Lₗ are the bands of a pyramid with the five-tap binomial filter
(Burt and Adelson 1983), wₗ and vₗ weights in (0, 2) that a U-shaped network of convolutions makes of both
images at half, quarter and eighth resolution. Given the weights each part is linear in its own image, so
the parts add up by construction, and follow their images. Weights of ½ give the plain average, from which
training starts.

It is not homogeneous, F(a·x) is not a·F(x): the weights see how bright the images are.

The same network in PyTorch, for training and for a GPU, is :mod:`pytorch.steered`; a test compares them.
"""

import threading
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .engine import Runner

NEGATIVE_SLOPE = 0.2
SLOPE = np.float32(NEGATIVE_SLOPE)

# Bands, the low-pass image among them.
LEVELS = 4
# What slices are padded to a multiple of.
ALIGNMENT = 2 ** (LEVELS - 1)

# name -> (input channels, output channels) of the 3×3 convolutions; down to an eighth, then up to a half.
LAYERS = {
    "half_1": (8, 16),
    "half_2": (16, 16),
    "quarter_1": (16, 24),
    "quarter_2": (24, 24),
    "eighth_1": (24, 24),
    "eighth_2": (24, 24),
    "up_quarter_1": (48, 24),
    "up_quarter_2": (24, 24),
    "up_half_1": (40, 16),
    "up_half_2": (16, 16),
}
# Where features from below come to those that went down: pixels of the slice to one.
UP = {"up_quarter": 4, "up_half": 2}
# Band -> (where its weights are read, channels of that): the finest band's weights, 2 × 2 pixels at once.
HEADS = (("up_half_2", 8), ("up_half_2", 2), ("up_quarter_2", 2), ("eighth_2", 2))

# With so many black rows and columns around the head, the result is that of the whole slice.
MARGIN = 64

# 2·sigmoid(-OFFSET) = ½ to 1e-3.
OFFSET = 1.1

# The largest product, in multiply-accumulates, that OpenBLAS leaves in the thread that asks for it. Slices
# run in parallel: threads of its own, for each of many small products, would be in each other's way.
LARGEST_PRODUCT = 2**18
# Rows that are convolved at a time.
BLOCK = 32

State = Mapping[str, np.ndarray]


class SteeredRunner(Runner):
    """Fuses slices by the network, on the CPU.

    :param state: weights by name, as :class:`pytorch.steered.SteeredNetwork` calls them.
    :param lam: λ in [0, 1] of a conditioned network.
    :raises KeyError, ValueError: the weights are not those of this network.
    """

    parts = parts_add_up = True
    margin = MARGIN

    def __init__(self, state: State, lam: Optional[float] = None):
        folded = at_lambda(state, lam)
        for name, (inputs, outputs) in LAYERS.items():
            if folded[name][0].shape != (outputs, inputs, 3, 3):
                raise ValueError(f"The layer {name} has another size.")
        self._layers = {name: _Convolution(*folded[name]) for name in LAYERS}
        self._of_thread = threading.local()
        self._heads = []
        for band, (source, channels) in enumerate(HEADS):
            weight, bias = (folded[f"head_{band}"][part] for part in (0, 1))
            # Half: 2·sigmoid(t) = 1 + tanh(t / 2), which NumPy is faster at.
            weight = weight.reshape(channels, LAYERS[source][1]) / 2
            self._heads.append((source, weight.astype(np.float32), ((bias - OFFSET) / 2).astype(np.float32)))

    def fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool = True) -> List[np.ndarray]:
        """Fuse slices.

        :param mri: (slices, rows, columns), float32, 0 is background, nominally in [0, 1]; ``pet`` likewise.
        :return: fused, MRI part, PET part, or fused alone; exactly 0 where both images are.
        """
        done = [self._fuse(*pair, parts) for pair in zip(mri, pet)]
        return [np.stack(images) for images in zip(*done)]

    def _fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool) -> List[np.ndarray]:
        rows, columns = mri.shape
        images = np.zeros((2, rows + -rows % ALIGNMENT, columns + -columns % ALIGNMENT), np.float32)
        images[0, :rows, :columns], images[1, :rows, :columns] = mri, pet
        bands = pyramid(images)
        for band, weight in zip(bands, self._weights(images)):
            band *= weight
        if not parts:
            bands = [band.sum(axis=0, keepdims=True) for band in bands]
        # The pyramid leaks over the edge of the head.
        results = collapse(bands)[:, :rows, :columns] * ((mri != 0) | (pet != 0))
        return [results[0] + results[1], *results] if parts else [results[0]]

    def _weights(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """By band, fine to coarse, the weights of MRI and PET, (2, rows, columns) in (0, 2)."""
        if not hasattr(self._of_thread, "room"):
            self._of_thread.room = _Room()
        room, size = self._of_thread.room, np.array(images.shape[1:])
        features: Dict[str, np.ndarray] = {}
        # What comes up from below is joined with what went down: both are written to their places at once.
        joined = {name: room.padded(name, LAYERS[f"{name}_1"][0], size // step) for name, step in UP.items()}

        def run(stage: str, padded: np.ndarray, out: np.ndarray) -> np.ndarray:
            middle = room.padded(f"{stage}_2", out.shape[1], (out.shape[0], out.shape[2]))
            self._layers[f"{stage}_1"](padded, _inner(middle), room)
            return self._layers[f"{stage}_2"](middle, out, room)

        def read_by_heads(stage: str, padded: np.ndarray) -> None:
            rows, _, columns = padded.shape
            out = room.empty(stage, (rows - 2, LAYERS[f"{stage}_2"][1], columns - 2))
            features[f"{stage}_2"] = run(stage, padded, out)

        half = run("half", _unshuffled(images, room), _inner(joined["up_half"])[:, : LAYERS["half_2"][1]])
        quarter = _inner(joined["up_quarter"])[:, : LAYERS["quarter_2"][1]]
        run("quarter", _halved(half, room, "quarter"), quarter)
        read_by_heads("eighth", _halved(quarter, room, "eighth"))
        read_by_heads("up_quarter", _joined(joined["up_quarter"], features["eighth_2"]))
        read_by_heads("up_half", _joined(joined["up_half"], features["up_quarter_2"]))
        for band, (source, weight, bias) in enumerate(self._heads):
            steering = weight @ features[source]
            steering += bias[:, None]
            np.tanh(steering, out=steering)
            steering += 1.0
            steering = np.moveaxis(steering, 1, 0)
            yield steering if band else _shuffled(steering)


def at_lambda(state: State, lam: Optional[float]) -> Dict[str, Tuple[np.ndarray, np.ndarray]]:
    """By layer, and "head_" with the number of its band, kernel and bias for one λ.

    :raises KeyError: a weight is missing, or the network needs a λ.
    :raises ValueError: λ outside [0, 1].
    """
    layers = {
        name: (state[f"convolutions.{name}.weight"], state[f"convolutions.{name}.bias"]) for name in LAYERS
    }
    if "modulation.hidden.weight" in state:
        if lam is None:
            raise KeyError("This network needs a λ.")
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"λ must lie in [0, 1], not {lam}.")
        # As pytorch.steered.LambdaModulation.
        hidden = (
            state["modulation.hidden.weight"] @ [lam, lam * lam, lam**0.5] + state["modulation.hidden.bias"]
        )
        hidden = np.maximum(hidden, NEGATIVE_SLOPE * hidden)
        both = state["modulation.modulation.weight"] @ hidden + state["modulation.modulation.bias"]
        ends = np.cumsum([outputs for _, outputs in LAYERS.values()])
        scales, shifts = (np.split(values, ends[:-1]) for values in np.split(both, 2))
        for name, scale, shift in zip(LAYERS, scales, shifts):
            kernel, bias = layers[name]
            layers[name] = kernel * (1.0 + scale)[:, None, None, None], bias * (1.0 + scale) + shift
    for band in range(len(HEADS)):
        layers[f"head_{band}"] = state[f"heads.{band}.weight"], state[f"heads.{band}.bias"]
    return layers


class _Room:
    """Arrays that are used again for every slice of a thread: new memory costs a third of the time."""

    def __init__(self):
        self._arrays: Dict[tuple, np.ndarray] = {}

    def empty(self, name: str, shape: Tuple[int, ...]) -> np.ndarray:
        """An array with any content, float32; the same one for the same name and shape."""
        key = (name, shape)
        if key not in self._arrays:
            self._arrays[key] = np.zeros(shape, np.float32)
        return self._arrays[key]

    def padded(self, name: str, channels: int, size) -> np.ndarray:
        """Room for features (rows, channels, columns) within a border of zeros, which nobody writes to."""
        rows, columns = (int(number) for number in size)
        return self.empty(f"padded {name}", (rows + 2, channels, columns + 2))


class _Convolution:
    """3×3 and LeakyReLU, of features (rows, channels, columns) that have a border of one pixel.

    So laid out, three rows lie one behind the other in memory, as a matrix with three times the channels:
    three products, one for each column of the kernel, without copying neighborhoods.
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray):
        outputs = len(bias)
        self._columns = [
            np.ascontiguousarray(kernel[:, :, :, column].transpose(0, 2, 1), np.float32).reshape(outputs, -1)
            for column in range(3)
        ]
        self._bias = np.asarray(bias, np.float32)[:, None]

    def __call__(self, padded: np.ndarray, out: np.ndarray, room: _Room) -> np.ndarray:
        """:param out: filled and returned, (rows, channels, columns), without border."""
        rows, inputs, columns = padded.shape
        rows, columns = rows - 2, columns - 2
        three = as_strided(padded, (rows, 3 * inputs, columns + 2), padded.strides, writeable=False)
        outputs, work = self._columns[0].shape
        pieces = -(-columns * outputs * work // LARGEST_PRODUCT)
        width = -(-columns // pieces)
        # A block of rows at a time, which stays in the processor's cache.
        for top in range(0, rows, BLOCK):
            block = three[top : top + BLOCK]
            for first in range(0, columns, width):
                last = min(columns, first + width)
                shape = (len(block), outputs, last - first)
                total, product = room.empty("total", shape), room.empty("product", shape)
                np.matmul(self._columns[0], block[:, :, first:last], out=total)
                for shift in (1, 2):
                    np.matmul(self._columns[shift], block[:, :, first + shift : last + shift], out=product)
                    total += product
                total += self._bias
                np.multiply(total, SLOPE, out=product)
                np.maximum(total, product, out=out[top : top + BLOCK, :, first:last])
        return out


def pyramid(images: np.ndarray) -> List[np.ndarray]:
    """The bands of (images, rows, columns), fine to coarse, the low-pass image last; borders are repeated.

    :param images: rows and columns are multiples of :data:`ALIGNMENT`.
    """
    bands = []
    for _ in range(LEVELS - 1):
        low = _reduce(images)
        bands.append(images - _expand(low))
        images = low
    return [*bands, images]


def collapse(bands: List[np.ndarray]) -> np.ndarray:
    """Inverse of :func:`pyramid`."""
    images = bands[-1]
    for band in reversed(bands[:-1]):
        images = _expand(images)
        images += band
    return images


def _reduce(images: np.ndarray) -> np.ndarray:
    """Smoothed by (1, 4, 6, 4, 1) / 16 along rows and columns, every second pixel."""
    for axis in (1, 2):
        padded, size = _with_borders(images, axis, 2), images.shape[axis]
        a, b, c, d, e = (padded[_along(axis, slice(start, start + size, 2))] for start in range(5))
        images = b + d
        images *= 4.0
        images += 6.0 * c
        images += a
        images += e
        images *= 1.0 / 16.0
    return images


def _expand(images: np.ndarray) -> np.ndarray:
    """Twice the rows and columns, by the same filter: (1, 6, 1) / 8 at old places, (1, 1) / 2 between."""
    for axis in (1, 2):
        padded, size = _with_borders(images, axis, 1), images.shape[axis]
        before, here, after = (padded[_along(axis, slice(start, start + size))] for start in range(3))
        shape = list(images.shape)
        shape[axis] *= 2
        images = np.empty(shape, np.float32)
        old = 6.0 * here
        old += before
        old += after
        np.multiply(old, 1.0 / 8.0, out=images[_along(axis, slice(0, None, 2))])
        np.multiply(here + after, 0.5, out=images[_along(axis, slice(1, None, 2))])
    return images


def _along(axis: int, part: slice) -> tuple:
    return (slice(None),) * axis + (part,)


def _with_borders(images: np.ndarray, axis: int, size: int) -> np.ndarray:
    ends = (np.repeat(images[_along(axis, part)], size, axis) for part in (slice(0, 1), slice(-1, None)))
    first, last = ends
    return np.concatenate([first, images, last], axis)


# Features are (rows, channels, columns), those to be convolved with a border of zeros.


def _inner(padded: np.ndarray) -> np.ndarray:
    return padded[1:-1, :, 1:-1]


def _phases() -> Iterator[Tuple[int, slice, slice]]:
    """The pixels of 2 × 2: their number, and where their rows and columns are."""
    for row in (0, 1):
        for column in (0, 1):
            yield 2 * row + column, slice(row, None, 2), slice(column, None, 2)


def _unshuffled(images: np.ndarray, room: _Room) -> np.ndarray:
    """(2, rows, columns) -> padded features of half the size, a channel for each of 2 × 2 pixels."""
    count, rows, columns = images.shape
    padded = room.padded("half", 4 * count, (rows // 2, columns // 2))
    for image in range(count):
        for phase, down, across in _phases():
            _inner(padded)[:, 4 * image + phase] = images[image, down, across]
    return padded


def _shuffled(channels: np.ndarray) -> np.ndarray:
    """The other way round, (channels, rows, columns) -> (channels / 4, 2·rows, 2·columns)."""
    count, rows, columns = channels.shape
    images = np.empty((count // 4, 2 * rows, 2 * columns), np.float32)
    for phase, down, across in _phases():
        images[:, down, across] = channels[phase::4]
    return images


def _halved(features: np.ndarray, room: _Room, name: str) -> np.ndarray:
    """The mean of 2 × 2 pixels each, padded."""
    rows, channels, columns = features.shape
    padded = room.padded(name, channels, (rows // 2, columns // 2))
    total = features[::2] + features[1::2]
    np.multiply(total[:, :, ::2] + total[:, :, 1::2], np.float32(0.25), out=_inner(padded))
    return padded


def _joined(padded: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Beside the features that are there those of half the size, with every pixel four times."""
    upper = _inner(padded)[:, -coarse.shape[1] :]
    for _, down, across in _phases():
        upper[down, :, across] = coarse
    return padded
