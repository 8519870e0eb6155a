"""One slice: the authors' way, the paper's network, and the default network in NumPy and in PyTorch."""

import time
from typing import Callable, Dict, Tuple

import numpy as np
import torch

from FunFuseSlicer.Logic.fusion.engine import Runner, fuse_slices
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at
from FunFuseSlicer.Logic.fusion.pytorch.runner import TorchRunner
from FunFuseSlicer.Logic.fusion.pytorch.sensitivity import input_gradients

from ..training.paper_network import Architecture, PaperNetwork, ResearchNetwork
from . import LAMBDA, PAPER, Section, Settings
from .timing import interleaved

# The rows of the table.
FORWARD = "authors' network, forward"
BACKWARD = "authors' network, forward + backward (eq. 5)"
SUM_FORWARD = "authors' network with the sum as rule 1, forward"
SUM_BACKWARD = "authors' network with the sum as rule 1, forward + backward"
OF_PAPER, OF_PAPER_ONE = "paper's network with parts", "paper's network with parts, one thread"
IN_NUMPY, IN_NUMPY_ONE = "faithful with parts, NumPy", "faithful with parts, NumPy, one thread"
IN_TORCH_ONE = "faithful with parts, PyTorch, one thread"
FUSED = "faithful without parts, NumPy"

Action = Callable[[], float]


def measure(settings: Settings) -> Section:
    """Milliseconds a slice without background."""
    threads = torch.get_num_threads()
    try:
        rows = _rows(settings, threads)
        times = interleaved({name: action for name, (_, action) in rows.items()}, settings.repeats)
    finally:
        torch.set_num_threads(threads)
    section = Section()
    for name, (note, _) in rows.items():
        section.add(name, times[name], note)
    milliseconds = {name: 1000 * row["median_s"] for name, row in times.items()}
    section.figures = {
        "authors_forward_ms": milliseconds[FORWARD],
        "authors_forward_backward_ms": milliseconds[BACKWARD],
        "paper_ms": milliseconds[OF_PAPER],
        "paper_one_thread_ms": milliseconds[OF_PAPER_ONE],
        "fused_parts_ms": milliseconds[IN_NUMPY],
        "fused_parts_one_thread_ms": milliseconds[IN_NUMPY_ONE],
        "fused_parts_pytorch_one_thread_ms": milliseconds[IN_TORCH_ONE],
        "fused_ms": milliseconds[FUSED],
    }
    return section


def _rows(settings: Settings, threads: int) -> Dict[str, Tuple[str, Action]]:
    """Row -> how it is done, and a call that returns the seconds of a slice."""
    faithful, paper_model = load_model(), load_model(PAPER)
    numpy, paper = runner_of(faithful, LAMBDA, "cpu"), runner_of(paper_model, LAMBDA, "cpu")
    pytorch = TorchRunner(network_at(faithful, LAMBDA), "cpu")
    rng, shape = np.random.default_rng(0), (settings.slices, settings.side, settings.side)
    stack = [rng.uniform(0.05, 1.0, shape).astype(np.float32) for _ in range(2)]
    pair = [torch.from_numpy(image[:1])[None] for image in stack]
    authors = PaperNetwork("batch")
    notebook = ResearchNetwork(Architecture("sum", "batch", bias=True, tanh=True))

    def alone(call) -> Tuple[str, Action]:
        return f"one slice at a time, {_count(threads, 'thread')}", _timed(threads, lambda: call(*pair))

    def ours(runner: Runner, workers: int = threads, **how) -> Tuple[str, Action]:
        action = _timed(threads, lambda: fuse_slices(runner, *stack, workers=workers, **how), len(stack[0]))
        return f"{_count(workers, 'slice')} at a time, one thread each", action

    # A call computes three of its slices once more, to report that the parts add up: a hundredth of a volume,
    # but a fifth of so few slices.
    for runner in (numpy, paper, pytorch):
        runner.parts_add_up = False
    rows = {
        FORWARD: alone(torch.no_grad()(authors.fuse)),
        BACKWARD: alone(lambda *images: input_gradients(authors, *images)),
        SUM_FORWARD: alone(torch.no_grad()(notebook.fuse)),
        SUM_BACKWARD: alone(lambda *images: input_gradients(notebook, *images)),
        OF_PAPER: ours(paper),
        OF_PAPER_ONE: ours(paper, 1),
        IN_NUMPY: ours(numpy),
        IN_NUMPY_ONE: ours(numpy, 1),
        IN_TORCH_ONE: ours(pytorch, 1),
        FUSED: ours(numpy, parts=False),
    }
    if settings.device != "cpu":
        for name, model in (("faithful", faithful), ("paper's network", paper_model)):
            runner = runner_of(model, LAMBDA, settings.device)
            runner.parts_add_up = False
            rows[f"{name} with parts, {settings.device}"] = "several slices at once", ours(runner)[1]
    return rows


def _timed(threads: int, call: Callable[[], object], count: int = 1) -> Action:
    def run() -> float:
        torch.set_num_threads(threads)
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) / count

    return run


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
