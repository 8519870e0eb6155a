"""The two-lane network on a CPU, a strip of rows at a time.

The features of a whole slice are many times larger than a processor's cache: the plain forward pass spends
a third of its time moving them through memory. Here the slice runs through the layers in strips. Every
layer keeps the last rows of its input, so that nothing is computed twice and the result is that of the
plain pass; memory depends on the strip, not on the slice.
"""

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .limits import limit, limit_parts
from .two_lane import LAYERS, NEGATIVE_SLOPE, TwoLaneNetwork

# Few enough for the cache, and many enough that PyTorch takes its fast convolutions for images, too.
ROWS = 96

REACH = {name: kernel // 2 for name, (kernel, _, _) in LAYERS.items()}
STREAMS = {
    "mri_high": ("mri_high_1", "mri_high_2", "mri_high_3"),
    "pet_high": ("pet_high_1", "pet_high_2", "pet_high_3"),
    "mri_low": ("mri_low",),
    "pet_low": ("pet_low",),
}
LANE_LAYERS = ("rebuild_1", "rebuild_2", "output")


def _rows_ahead() -> Dict[str, int]:
    """By stream, how many rows of the image below a row of the output have a part in it."""
    after = {"high": sum(REACH[name] for name in LANE_LAYERS), "low": REACH["output"]}
    return {
        stream: sum(REACH[name] for name in names) + after[stream.split("_")[1]]
        for stream, names in STREAMS.items()
    }


AHEAD = _rows_ahead()

# A pixel of the output depends on inputs no farther than this: beyond it, black inputs give exactly black.
MARGIN = max(AHEAD.values())


class StripNetwork:
    """A network for one λ, for one thread at a time: its buffers are its own.

    :param network: for one λ, on the CPU, see :meth:`two_lane.TwoLaneNetwork.at_lambda`.
    """

    def __init__(self, network: TwoLaneNetwork):
        weights = {name: network.convolution(name).weight.detach() for name in LAYERS}
        weights["output"] = weights["output"] / 3.0
        self._weights = {
            # Rule 1 gives the larger feature 3/4 of its value and the other 1/4.
            "lanes": [self._fit(weights, 0.75), self._fit(weights, 0.25)],
            "fused": [self._fit(weights, 0.5)],
        }
        self._layers: Dict[str, List[_Layer]] = {}
        self._made_for: Optional[Tuple[int, int]] = None

    def __call__(self, mri: np.ndarray, pet: np.ndarray, parts: bool = True) -> List[np.ndarray]:
        """Fuse one slice.

        :param mri: (rows, columns) in [0, 1], float32; ``pet`` likewise.
        :param parts: also say how much came from which.
        :return: [fused, MRI part, PET part], or [fused]; each (rows, columns), float32.
        """
        lanes = 2 if parts else 1
        results = [np.empty(mri.shape, np.float32) for _ in range(lanes)]
        images = {"mri": _to_tensor(mri), "pet": _to_tensor(pet)}
        with torch.inference_mode():
            self._reset(mri.shape[1], lanes)
            rows = mri.shape[0]
            count = -(-rows // ROWS)
            position, done = dict.fromkeys(STREAMS, 0), 0
            for number in range(count):
                last = number == count - 1
                end = rows * (number + 1) // count
                features = {}
                for stream in STREAMS:
                    # Each stream is ahead by what the layers after it need: all meet at the same rows.
                    until = rows if last else min(rows, end + AHEAD[stream])
                    strip = images[stream.split("_")[0]][:, :, position[stream] : until]
                    position[stream] = until
                    features[stream] = self._stream(stream, strip, last)
                strips = (self._lanes if parts else self._fused)(features, last)
                for result, strip in zip(results, strips):
                    result[done : done + strip.shape[2]] = strip[0, 0].float().numpy()
                done += strips[0].shape[2]
            limited = self._limited([_to_tensor(result) for result in results], images)
        return [result[0, 0].numpy() for result in limited]

    def _limited(self, results: List[Tensor], images: Dict[str, Tensor]) -> Sequence[Tensor]:
        """[fused, MRI part, PET part] of both parts, or [fused]."""
        if len(results) == 2:
            return limit_parts(*results, **images)
        return [limit(*results, **images)]

    def _stream(self, stream: str, x: Tensor, last: bool) -> Tensor:
        """The layers of one stream; their features after LeakyReLU."""
        for name in STREAMS[stream]:
            (layer,) = self._layers[name]
            if name.endswith(("low", "1")):
                layer.room(x.shape[2]).copy_(x)
            else:
                _leaky_relu_into(layer.room(x.shape[2]), x)
            x = layer.convolve(x.shape[2], last)
        return functional.leaky_relu_(x, NEGATIVE_SLOPE)

    def _lanes(self, features: Dict[str, Tensor], last: bool) -> List[Tensor]:
        """Both parts of the output rows that these features complete, each (1, 1, rows, columns)."""
        mri, pet = features["mri_high"], features["pet_high"]
        difference, rows = mri - pet, mri.shape[2]
        rooms = [layer.room(rows) for layer in self._layers["rebuild_1"]]
        # Times 1 where the MRI's feature is larger, else times 1/3; the other way round times 1, else 3.
        _scale_by_sign(rooms[0], mri, difference, 1 / 3)
        _scale_by_sign(rooms[1], pet, difference, 3.0)
        for name, following in (("rebuild_1", "rebuild_2"), ("rebuild_2", "output")):
            lanes = [layer.convolve(rows, last) for layer in self._layers[name]]
            rows = lanes[0].shape[2]
            total = lanes[0] + lanes[1]
            for lane, layer in zip(lanes, self._layers[following]):
                _scale_by_sign(layer.room(rows), lane, total, NEGATIVE_SLOPE)
        for layer, low in zip(self._layers["output"], (features["mri_low"], features["pet_low"])):
            layer.room(rows).add_(low)
        return [layer.convolve(rows, last) for layer in self._layers["output"]]

    def _fused(self, features: Dict[str, Tensor], last: bool) -> List[Tensor]:
        """The fused image's rows that these features complete, (1, 1, rows, columns)."""
        mri, pet = features["mri_high"], features["pet_high"]
        rows = mri.shape[2]
        # Twice rule 1: max + mean is the sum and half of the distance.
        (layer,) = self._layers["rebuild_1"]
        torch.add(mri + pet, (mri.sub_(pet)).abs_(), alpha=0.5, out=layer.room(rows))
        for name, following in (("rebuild_1", "rebuild_2"), ("rebuild_2", "output")):
            x = self._layers[name][0].convolve(rows, last)
            rows = x.shape[2]
            _leaky_relu_into(self._layers[following][0].room(rows), x)
        (layer,) = self._layers["output"]
        layer.room(rows).add_(features["mri_low"]).add_(features["pet_low"])
        return [layer.convolve(rows, last)]

    def _reset(self, columns: int, lanes: int) -> None:
        """Layers for slices of this width, at the top of a slice."""
        if self._made_for != (columns, lanes):
            weights = self._weights["lanes" if lanes == 2 else "fused"]
            self._layers = {
                name: [_Layer(name, weights[lane], columns) for lane in range(lanes)]
                if name in LANE_LAYERS
                else [_Layer(name, weights[0], columns)]
                for name in LAYERS
            }
            self._made_for = (columns, lanes)
        for layers in self._layers.values():
            for layer in layers:
                layer.reset()

    def _fit(self, weights: Dict[str, Tensor], rule: float) -> Dict[str, Tensor]:
        """The weights as the convolutions want them, rule 1's factor among them."""
        return {
            name: (rule * weight if name == "rebuild_1" else weight).to(memory_format=torch.channels_last)
            for name, weight in weights.items()
        }


class _Layer:
    """One convolution that is given the rows of a slice from top to bottom.

    New rows are written into :meth:`room`, behind those kept from before, and then convolved.
    """

    def __init__(self, name: str, weights: Dict[str, Tensor], columns: int):
        self._weight, self._reach = weights[name], REACH[name]
        rows = ROWS + MARGIN + 3 * self._reach
        # One image in channels_last: any of its rows lie in memory as the convolution wants them.
        self._buffer = torch.empty(
            (1, LAYERS[name][1], rows, columns),
            dtype=self._weight.dtype,
            memory_format=torch.channels_last,
        )
        self._kept = 0

    def reset(self) -> None:
        """Above the first row there is black, as the plain pass pads."""
        self._kept = self._reach
        self._buffer[:, :, : self._kept] = 0

    def room(self, rows: int) -> Tensor:
        """Where that many rows of input go, (1, channels, rows, columns)."""
        return self._buffer[:, :, self._kept : self._kept + rows]

    def convolve(self, rows: int, last: bool) -> Tensor:
        """The rows of output that the rows just written complete.

        :param last: there are no more below: black is.
        """
        end = self._kept + rows
        if last:
            self._buffer[:, :, end : end + self._reach] = 0
            end += self._reach
        result = functional.conv2d(self._buffer[:, :, :end], self._weight, padding=(0, self._reach))
        if not last:
            self._kept = 2 * self._reach
            self._buffer[:, :, : self._kept] = self._buffer[:, :, end - self._kept : end]
        return result


def _to_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]


def _leaky_relu_into(out: Tensor, x: Tensor) -> None:
    torch.ops.aten.leaky_relu.out(x, NEGATIVE_SLOPE, out=out)


def _scale_by_sign(out: Tensor, x: Tensor, sign: Tensor, slope: float) -> None:
    """``x`` where ``sign`` is positive, else ``slope`` times ``x``: the backward pass of LeakyReLU."""
    torch.ops.aten.leaky_relu_backward.grad_input(x, sign, slope, False, grad_input=out)
