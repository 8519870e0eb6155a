"""One slice: the authors' way, ours, and the convolutions alone as the ceiling."""

import time
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
import torch
from torch.nn import functional

from FunFuseSlicer.Logic.fusion.device import bfloat16_runs_fast
from FunFuseSlicer.Logic.fusion.engine import fuse_slices
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.network import LAYERS
from FunFuseSlicer.Logic.fusion.sensitivity import input_gradients

from ..training.paper_network import Architecture, PaperNetwork, ResearchNetwork
from . import Section, Settings, heads
from .timing import interleaved

CPU = torch.device("cpu")
LANES = {"rebuild_1": 2, "rebuild_2": 2, "output": 2}
NO_BFLOAT16 = "This processor has no bfloat16 arithmetic of its own (AVX512_BF16 or AMX)."
NO_PROFILE = "PyTorch's profiler does not see the threads of the workers."

# How PyTorch calls what convolves, or what could do so in its place.
CONVOLVING = ("conv", "aten::mm", "aten::addmm", "aten::bmm")

# The rows of the table.
FORWARD = "authors' network, forward"
GRAPH = "authors' network, forward with autograd's graph"
BACKWARD = "authors' network, forward + backward (eq. 5)"
SUM_FORWARD = "authors' network with the sum as rule 1, forward"
SUM_BACKWARD = "authors' network with the sum as rule 1, forward + backward"
FUSED = "fused"
PARTS = "fused + contributions"
HEAD = "fused + contributions, slices of a head: black margins left out"
LOWER = ", bfloat16"
ONE = "fused + contributions, one worker"
INSIDE = "of that, in convolutions"
MATRIX = "matrix product"
ALONE = "convolutions alone, two lanes"

Action = Callable[[], float]


def measure(settings: Settings) -> Section:
    """Milliseconds a slice without background, unless a row says otherwise."""
    threads = torch.get_num_threads()
    try:
        rows = _rows(settings, threads)
        alone = _convolutions_alone(settings.side)
        actions = {name: action for name, (_, action) in rows.items()}
        times = interleaved({**actions, **alone}, settings.repeats)
    finally:
        torch.set_num_threads(threads)
    section, notes = Section(), {name: note for name, (note, _) in rows.items()}
    times[ALONE], notes[ALONE] = _ceiling(times, settings)
    notes[MATRIX] += f"; {2e-9 * settings.matrix**3 / times[MATRIX]['median_s']:.0f} GFLOP/s"
    for name, note in notes.items():
        if np.isfinite(times[name]["median_s"]):
            section.add(name, times[name], note)
    _figures(section, {name: times[name]["median_s"] for name in notes})
    return section


def _rows(settings: Settings, threads: int) -> Dict[str, Tuple[str, Action]]:
    """Row -> how it is done, and a call that returns the seconds of a slice."""
    network = load_model().at_lambda(0.8)
    # A call computes three of its slices once more, to report that the parts add up: a hundredth of a volume,
    # but a fifth of so few slices.
    network.parts_add_up = False
    rng, shape = np.random.default_rng(0), (settings.slices, settings.side, settings.side)
    stack = [rng.uniform(0.05, 1.0, shape).astype(np.float32) for _ in range(2)]
    pair = [torch.from_numpy(image[:1])[None] for image in stack]
    paper = PaperNetwork("batch")
    notebook = ResearchNetwork(Architecture("sum", "batch", bias=True, tanh=True))
    matrix = torch.rand(settings.matrix, settings.matrix)

    def authors(call) -> Tuple[str, Action]:
        return f"one slice at a time, {_count(threads, 'thread')}", _timed(threads, lambda: call(*pair))

    def ours(images=stack, **how) -> Tuple[str, Action]:
        return f"{_count(threads, 'slice')} at a time, one thread each", _fuse(
            network, images, threads, **how
        )

    one = _fuse(network, stack, threads, workers=1)
    rows = {
        FORWARD: authors(torch.no_grad()(paper.fuse)),
        GRAPH: authors(paper.fuse),
        BACKWARD: authors(lambda *images: input_gradients(paper, *images)),
        SUM_FORWARD: authors(torch.no_grad()(notebook.fuse)),
        SUM_BACKWARD: authors(lambda *images: input_gradients(notebook, *images)),
        FUSED: ours(parts=False),
        PARTS: ours(),
        HEAD: ours(_head_slices(settings)),
        ONE: ("one thread", one),
        INSIDE: ("by PyTorch's profiler", lambda: _convolution_seconds(one) / settings.slices),
        MATRIX: (f"{settings.matrix} × {settings.matrix}, one thread", _timed(1, lambda: matrix @ matrix)),
    }
    if bfloat16_runs_fast(CPU):
        # Each call tries on three slices whether bfloat16 will do: they must be few among many here, too.
        many = [np.concatenate([image] * 6) for image in stack]
        rows[FUSED + LOWER] = ours(many, parts=False, precision="bfloat16")
        rows[PARTS + LOWER] = ours(many, precision="bfloat16")
    return rows


def _timed(threads: int, call: Callable[[], object], count: int = 1) -> Action:
    def run() -> float:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) / count

    return run


def _fuse(network, stack, threads: int, **how) -> Action:
    return _timed(threads, lambda: fuse_slices(network, *stack, CPU, **how), len(stack[0]))


def _head_slices(settings: Settings) -> List[np.ndarray]:
    """As many slices, spread over a head."""
    shape = (settings.slices + 2, settings.side, settings.side)
    images = heads.axial_images(*(heads.real(settings.data) if settings.data else heads.synthetic(shape)))
    filled = np.flatnonzero(images[0].any(axis=(1, 2)))
    chosen = filled[np.linspace(0, len(filled) - 1, settings.slices).astype(int)]
    return [image[chosen] for image in images]


def _convolutions_alone(side: int) -> Dict[Tuple[str, str], Action]:
    """(layer, path) -> call that runs a layer's convolutions of one slice, with one thread."""
    actions = {}
    for name, (kernel, inputs, outputs) in LAYERS.items():
        x, weight = (
            torch.rand(shape).contiguous(memory_format=torch.channels_last)
            for shape in ((1, inputs, side, side), (outputs, inputs, kernel, kernel))
        )
        paths = {
            "conv2d": lambda x=x, weight=weight, pad=kernel // 2: functional.conv2d(x, weight, padding=pad)
        }
        packed = _prepacked(x, weight, kernel // 2)
        if packed:
            paths["prepacked"] = packed
        for path, call in paths.items():

            @torch.inference_mode()
            def lanes(call=call, name=name):
                for _ in range(LANES.get(name, 1)):
                    call()

            actions[name, path] = _timed(1, lanes)
    return actions


def _prepacked(x, weight, pad: int) -> Optional[Callable[[], torch.Tensor]]:
    """The convolution with weights in oneDNN's own order; None where PyTorch has none or it goes wrong."""
    around, step = (pad, pad), (1, 1)
    try:
        packed = torch._C._nn.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), around, step, step, 1, x.shape)

        def run():
            return torch.ops.mkldnn._convolution_pointwise(
                x, packed, None, around, step, step, 1, "none", [], ""
            )

        right = torch.allclose(run(), functional.conv2d(x, weight, padding=pad), rtol=1e-3, atol=1e-3)
        return run if right else None
    except (AttributeError, RuntimeError, TypeError):
        return None


def _convolution_seconds(run: Callable[[], object]) -> float:
    """The processor's time inside convolutions, by PyTorch's profiler; NaN where it sees none."""
    everywhere = None
    try:
        # The workers are threads of their own.
        everywhere = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    except (AttributeError, TypeError):
        pass
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, experimental_config=everywhere) as profile:
        run()
    events = [event for event in profile.key_averages() if any(part in event.key for part in CONVOLVING)]
    return sum(event.self_cpu_time_total for event in events) * 1e-6 if events else float("nan")


def _ceiling(times, settings: Settings) -> Tuple[Dict[str, float], str]:
    """All convolutions of a slice, of each layer by the faster path; and how it was done."""
    keys = [key for key in times if isinstance(key, tuple)]
    fastest = [
        min((times[key] for key in keys if key[0] == name), key=lambda row: row["median_s"])
        for name in LAYERS
    ]
    total = {key: sum(row[key] for row in fastest) for key in fastest[0]}
    total["repeats"] = settings.repeats
    flops = sum(
        2 * settings.side**2 * kernel**2 * inputs * outputs * LANES.get(name, 1)
        for name, (kernel, inputs, outputs) in LAYERS.items()
    )
    how = "the faster of conv2d and prepacked weights" if len(keys) > len(LAYERS) else "conv2d"
    return total, f"one thread, {how}; {1e-9 * flops / total['median_s']:.0f} GFLOP/s"


def _figures(section: Section, seconds: Dict[str, float]) -> None:
    section.figures = {
        "authors_forward_ms": 1000 * min(seconds[FORWARD], seconds[GRAPH]),
        "authors_forward_backward_ms": 1000 * seconds[BACKWARD],
        "fused_ms": 1000 * seconds[FUSED],
        "fused_contributions_ms": 1000 * seconds[PARTS],
        "convolutions_alone_ms": 1000 * seconds[ALONE],
        "engine_fraction": seconds[ALONE] / seconds[ONE],
    }
    faster = "without" if seconds[FORWARD] <= seconds[GRAPH] else "with"
    section.notes["authors_forward_ms"] = f"The faster of two ways: {faster} autograd's graph."
    for name, key in ((FUSED, "fused_bf16_ms"), (PARTS, "fused_contributions_bf16_ms")):
        if name + LOWER in seconds:
            section.figures[key] = 1000 * seconds[name + LOWER]
        else:
            section.cannot(NO_BFLOAT16, key)
    if np.isfinite(seconds[INSIDE]):
        section.figures["ceiling_fraction"] = seconds[ALONE] / seconds[INSIDE]
    else:
        section.cannot(NO_PROFILE, "ceiling_fraction")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
