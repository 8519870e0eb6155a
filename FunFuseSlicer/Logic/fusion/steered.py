"""The network that steers a Laplacian pyramid, in NumPy: it weighs the bands of both images, place by place.

F = Σ up(wₗ · Lₗ(MRI)) + Σ up(vₗ · Lₗ(PET)): Lₗ are the bands of a pyramid with the five-tap binomial filter
(Burt and Adelson 1983), wₗ and vₗ weights in (0, 2) that a U-shaped network of convolutions makes of both
images at half, quarter and eighth resolution, or to a sixteenth. Given the weights each part is linear in its
own image, so the parts add up by construction, and follow their images. Weights of ½ give the plain average,
from which training starts.

Then two limits: what is negative of a part becomes 0, and where both parts together are brighter than the
brighter image by more than :data:`BRIGHTER`, both become darker in proportion.

It is not homogeneous, F(a·x) is not a·F(x): the weights see how bright the images are.

The same network in PyTorch, for training and for a GPU, is :mod:`pytorch.steered`; a test compares them.
"""

from collections import deque
from itertools import product
from typing import Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .engine import Runner

NEGATIVE_SLOPE = 0.2
SLOPE = np.float32(NEGATIVE_SLOPE)

# Bands, the low-pass image among them.
LEVELS = 4


class Channels(NamedTuple):
    """How many there are where a feature costs least and sees most of the head.

    :param eighth: at an eighth of the resolution.
    :param sixteenth: at a sixteenth; 0 for a network that ends at an eighth.
    """

    eighth: int = 24
    sixteenth: int = 0

    @property
    def alignment(self) -> int:
        """What slices are padded to a multiple of."""
        return 16 if self.sixteenth else 8

    @property
    def margin(self) -> int:
        """With so many black rows and columns around the head, the result is that of the whole slice."""
        return 112 if self.sixteenth else 64


USUAL = Channels()


def layers(channels: Channels = USUAL) -> Dict[str, Tuple[int, int]]:
    """Name -> (input channels, output channels) of the 3×3 convolutions, down and back to a half.

    What a sixteenth knows is added between both convolutions at an eighth.
    """
    eighth, sixteenth = channels
    below = {"sixteenth_1": (eighth, sixteenth), "sixteenth_2": (sixteenth, eighth)} if sixteenth else {}
    return {
        "half_1": (8, 16),
        "half_2": (16, 16),
        "quarter_1": (16, 24),
        "quarter_2": (24, 24),
        "eighth_1": (24, eighth),
        **below,
        "eighth_2": (eighth, eighth),
        "up_quarter_1": (24 + eighth, 24),
        "up_quarter_2": (24, 24),
        "up_half_1": (40, 16),
        "up_half_2": (16, 16),
    }


# Stage -> pixels of the slice to one of its features.
STAGES = {"half": 2, "quarter": 4, "eighth": 8, "sixteenth": 16, "up_quarter": 4, "up_half": 2}
# Band -> (where its weights are read, channels of that): the finest band's weights, 2 × 2 pixels at once.
HEADS = (("up_half_2", 8), ("up_half_2", 2), ("up_quarter_2", 2), ("eighth_2", 2))

# The fused image may be so much brighter than both images, which nobody sees: five gray levels of 255.
BRIGHTER = 5 / 255
# Less than any gray level: 0 / LEAST is 0.
LEAST = 1e-30

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

    parts = parts_add_up = quick = True

    def __init__(self, state: State, lam: Optional[float] = None):
        size = channels_of(state)
        folded, self._sizes = at_lambda(state, lam), layers(size)
        self.margin, self._alignment = size.margin, size.alignment
        for name, (inputs, outputs) in self._sizes.items():
            if folded[name][0].shape != (outputs, inputs, 3, 3):
                raise ValueError(f"The layer {name} has another size.")
        self._layers = {name: _Convolution(*folded[name]) for name in self._sizes}
        self._rooms: Deque[_Room] = deque()
        self._heads = []
        for band, (source, channels) in enumerate(HEADS):
            weight, bias = (folded[f"head_{band}"][part] for part in (0, 1))
            # Half: 2·sigmoid(t) = 1 + tanh(t / 2), which NumPy is faster at.
            weight = weight.reshape(channels, self._sizes[source][1]) / 2
            self._heads.append((source, weight.astype(np.float32), ((bias - OFFSET) / 2).astype(np.float32)))

    def fuse(self, mri: np.ndarray, pet: np.ndarray, parts: bool = True) -> List[np.ndarray]:
        """Fuse slices.

        :param mri: (slices, rows, columns), float32, 0 is background, nominally in [0, 1]; ``pet`` likewise.
        :return: fused, MRI part, PET part, or fused alone; never negative, never brighter than the brighter
            image by more than :data:`BRIGHTER`, exactly 0 where both are.
        """
        room = self._room(mri.shape[1:])
        results = [np.empty(mri.shape, np.float32) for _ in range(3 if parts else 1)]
        for index, images in enumerate(zip(mri, pet)):
            for result, image in zip(results, self._fuse(*images, room)):
                result[index] = image
        self._rooms.append(room)
        return results

    def _room(self, shape: Tuple[int, ...]) -> "_Room":
        """One that no other thread is working in."""
        try:
            room = self._rooms.pop()
        except IndexError:
            return _Room(shape)
        return room if room.shape == shape else _Room(shape)

    def _fuse(self, mri: np.ndarray, pet: np.ndarray, room: "_Room") -> Tuple[np.ndarray, ...]:
        """Fused image and parts; the next call writes over them."""
        rows, columns = mri.shape
        size = rows + -rows % self._alignment, columns + -columns % self._alignment
        images = room.empty("images", (2, *size))
        images[0, :rows, :columns], images[1, :rows, :columns] = mri, pet
        bands = pyramid(images, room)
        for band, weight in zip(bands, self._weights(images, room)):
            band *= weight
        parts = collapse(bands, room)
        np.maximum(parts, 0, out=parts)
        # Where the parts together are brighter than both images, both become darker. The pyramid leaks over
        # the edge of the head; there this leaves 0.
        most, total = room.empty("most", size), room.empty("total", size)
        np.maximum(images[0], images[1], out=most)
        np.minimum(np.add(most, most, out=total), np.add(most, BRIGHTER, out=most), out=most)
        np.add(parts[0], parts[1], out=total)
        np.maximum(total, most, out=total)
        total += LEAST
        parts *= np.divide(most, total, out=most)
        fused = np.add(parts[0], parts[1], out=total)
        return tuple(image[:rows, :columns] for image in (fused, *parts))

    def _weights(self, images: np.ndarray, room: "_Room") -> Iterator[np.ndarray]:
        """By band, fine to coarse, the weights of MRI and PET, (2, rows, columns) in (0, 2)."""
        size = np.array(images.shape[1:])
        deeper = "sixteenth_1" in self._sizes

        def room_of(stage: str) -> np.ndarray:
            """For what comes into a stage."""
            return room.padded(stage, self._sizes[f"{stage}_1"][0], size // STAGES[stage])

        def run(stage: str, out: Optional[np.ndarray] = None) -> np.ndarray:
            """Features of a stage, (rows, channels, columns)."""
            shape = size // STAGES[stage]
            between, channels = self._sizes[f"{stage}_2"]
            middle = room.padded(f"{stage} middle", between, shape)
            if out is None:
                out = room.empty(f"{stage} out", (shape[0], channels, shape[1]))
            self._layers[f"{stage}_1"](room_of(stage), _inner(middle), room)
            if stage == "eighth" and deeper:
                _halve(_inner(middle), room_of("sixteenth"), room)
                _add_doubled(run("sixteenth"), _inner(middle))
            self._layers[f"{stage}_2"](middle, out, room)
            return out

        # What comes up from below is joined with what went down: both are written to their places at once.
        up_half, up_quarter = _inner(room_of("up_half")), _inner(room_of("up_quarter"))
        half, quarter = (
            joined[:, : self._sizes[f"{stage}_2"][1]]
            for joined, stage in ((up_half, "half"), (up_quarter, "quarter"))
        )
        _unshuffle(images, room_of("half"))
        _halve(run("half", half), room_of("quarter"), room)
        _halve(run("quarter", quarter), room_of("eighth"), room)
        eighth = run("eighth")
        _double(eighth, up_quarter[:, quarter.shape[1] :])
        quarter = run("up_quarter")
        _double(quarter, up_half[:, half.shape[1] :])
        features = {"eighth_2": eighth, "up_quarter_2": quarter, "up_half_2": run("up_half")}
        for band, (source, weight, bias) in enumerate(self._heads):
            rows, _, columns = features[source].shape
            steering = room.empty(f"head {band}", (rows, len(weight), columns))
            np.matmul(weight, features[source], out=steering)
            steering += bias[:, None]
            np.tanh(steering, out=steering)
            steering += 1.0
            steering = np.moveaxis(steering, 1, 0)
            yield steering if band else _shuffled(steering, room.empty("shuffled", images.shape))


def channels_of(state: State) -> Channels:
    """Of the network whose weights these are.

    :raises KeyError: they are not those of this network.
    """
    deeper = state.get("convolutions.sixteenth_1.bias", ())
    return Channels(len(state["convolutions.eighth_1.bias"]), len(deeper))


def at_lambda(state: State, lam: Optional[float]) -> Dict[str, Tuple[np.ndarray, np.ndarray]]:
    """By layer, and "head_" with the number of its band, kernel and bias for one λ.

    :raises KeyError: a weight is missing, or the network needs a λ.
    :raises ValueError: λ outside [0, 1].
    """
    sizes = layers(channels_of(state))
    folded = {
        name: (state[f"convolutions.{name}.weight"], state[f"convolutions.{name}.bias"]) for name in sizes
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
        ends = np.cumsum([outputs for _, outputs in sizes.values()])
        scales, shifts = (np.split(values, ends[:-1]) for values in np.split(both, 2))
        for name, scale, shift in zip(sizes, scales, shifts):
            kernel, bias = folded[name]
            folded[name] = kernel * (1.0 + scale)[:, None, None, None], bias * (1.0 + scale) + shift
    for band in range(len(HEADS)):
        folded[f"head_{band}"] = state[f"heads.{band}.weight"], state[f"heads.{band}.bias"]
    return folded


class _Room:
    """Arrays that are used again for every slice: new memory costs a third of the time.

    :param shape: of the slices.
    """

    def __init__(self, shape: Tuple[int, ...] = ()):
        self.shape = shape
        self._arrays: Dict[tuple, np.ndarray] = {}

    def empty(self, name: str, shape: Tuple[int, ...]) -> np.ndarray:
        """An array with any content, float32, 0 at first; the same one for the same name and shape."""
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

    def __call__(self, padded: np.ndarray, out: np.ndarray, room: _Room) -> None:
        """:param out: filled, (rows, channels, columns), without border."""
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
                total, one = room.empty("total", shape), room.empty("one", shape)
                np.matmul(self._columns[0], block[:, :, first:last], out=total)
                for shift in (1, 2):
                    np.matmul(self._columns[shift], block[:, :, first + shift : last + shift], out=one)
                    total += one
                total += self._bias
                np.multiply(total, SLOPE, out=one)
                np.maximum(total, one, out=out[top : top + BLOCK, :, first:last])


def pyramid(images: np.ndarray, room: Optional[_Room] = None) -> List[np.ndarray]:
    """The bands of (images, rows, columns), fine to coarse, the low-pass image last; borders are repeated.

    :param images: rows and columns are multiples of eight; they stay as they are.
    :param room: where the bands are; they are new arrays if there is none.
    """
    room, bands = room or _Room(), []
    for _ in range(LEVELS - 1):
        low = _reduced(images, room)
        bands.append(np.subtract(images, _expanded(low, room), out=room.empty("band", images.shape)))
        images = low
    return [*bands, images]


def collapse(bands: List[np.ndarray], room: Optional[_Room] = None) -> np.ndarray:
    """Inverse of :func:`pyramid`, in the memory of the finest band."""
    room, images = room or _Room(), bands[-1]
    for band in reversed(bands[:-1]):
        band += _expanded(images, room)
        images = band
    return images


def _reduced(images: np.ndarray, room: _Room) -> np.ndarray:
    """Smoothed by (1, 4, 6, 4, 1) / 16 along rows and columns, every second pixel."""
    for axis in (1, 2):
        places = (images[_along(axis, slice(first, None, 2))] for first in (0, 1))
        even, odd = (
            np.positive(part, out=room.empty(f"place {n}", part.shape)) for n, part in enumerate(places)
        )
        low = room.empty("low", even.shape)
        np.multiply(even, 6.0, out=low)
        _add_before(low, even, axis, even[_along(axis, FIRST)])
        _add_after(low, even, axis, odd[_along(axis, LAST)])
        odd *= 4.0
        low += odd
        _add_before(low, odd, axis, 4.0 * even[_along(axis, FIRST)])
        low *= 1.0 / 16.0
        images = low
    return images


def _expanded(images: np.ndarray, room: _Room) -> np.ndarray:
    """Twice the rows and columns, by the same filter: (1, 6, 1) / 8 at old places, (1, 1) / 2 between."""
    for axis in (2, 1):
        first, last = images[_along(axis, FIRST)], images[_along(axis, LAST)]
        one, shape = room.empty("one", images.shape), list(images.shape)
        shape[axis] *= 2
        expanded = room.empty("expanded", tuple(shape))
        np.multiply(images, 6.0, out=one)
        _add_before(one, images, axis, first)
        _add_after(one, images, axis, last)
        np.multiply(one, 1.0 / 8.0, out=expanded[_along(axis, slice(0, None, 2))])
        np.positive(images, out=one)
        _add_after(one, images, axis, last)
        np.multiply(one, 0.5, out=expanded[_along(axis, slice(1, None, 2))])
        images = expanded
    return images


# Parts of an axis.
FIRST, LAST = slice(0, 1), slice(-1, None)


def _along(axis: int, part: slice) -> tuple:
    return (slice(None),) * axis + (part,)


def _add_before(total: np.ndarray, images: np.ndarray, axis: int, edge: np.ndarray) -> None:
    """To each pixel the one before it in ``images``, to the first ``edge``."""
    total[_along(axis, slice(1, None))] += images[_along(axis, slice(None, -1))]
    total[_along(axis, FIRST)] += edge


def _add_after(total: np.ndarray, images: np.ndarray, axis: int, edge: np.ndarray) -> None:
    """Likewise the one after it, and to the last ``edge``."""
    total[_along(axis, slice(None, -1))] += images[_along(axis, slice(1, None))]
    total[_along(axis, LAST)] += edge


# Features are (rows, channels, columns), those to be convolved with a border of zeros.


def _inner(padded: np.ndarray) -> np.ndarray:
    return padded[1:-1, :, 1:-1]


def _phases() -> Iterator[Tuple[int, int]]:
    """Row and column of each of 2 × 2 pixels."""
    return product((0, 1), (0, 1))


def _unshuffle(images: np.ndarray, padded: np.ndarray) -> None:
    """(2, rows, columns) into padded features of half the size, a channel for each of 2 × 2 pixels."""
    for (image, pixels), (row, column) in product(enumerate(images), _phases()):
        _inner(padded)[:, 4 * image + 2 * row + column] = pixels[row::2, column::2]


def _shuffled(channels: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The other way round, (channels, rows, columns) -> (channels / 4, 2·rows, 2·columns)."""
    for row, column in _phases():
        images[:, row::2, column::2] = channels[2 * row + column :: 4]
    return images


def _halve(features: np.ndarray, padded: np.ndarray, room: _Room) -> None:
    """The mean of 2 × 2 pixels each."""
    rows, channels, columns = features.shape
    total = np.add(features[::2], features[1::2], out=room.empty("two", (rows // 2, channels, columns)))
    mean = _inner(padded)
    np.add(total[:, :, ::2], total[:, :, 1::2], out=mean)
    mean *= 0.25


def _double(features: np.ndarray, twice: np.ndarray) -> None:
    """Every pixel four times."""
    for row, column in _phases():
        twice[row::2, :, column::2] = features


def _add_doubled(features: np.ndarray, total: np.ndarray) -> None:
    """Likewise, to what is there."""
    for row, column in _phases():
        total[row::2, :, column::2] += features
