"""Start-up in processes of their own: the module as Slicer loads it, and the first fused slice."""

import os
import subprocess
import sys
import time
from pathlib import Path

from . import Section, Settings
from .timing import interleaved

ROOT = Path(__file__).resolve().parents[2]

# Slicer is there already when it imports the module; PyTorch must not come with it.
MODULE = """\
import sys, time
from funfuse_cli.headless.boot import boot
from funfuse_cli.extension import load_module
boot()
start = time.perf_counter()
load_module()
seconds = time.perf_counter() - start
assert "torch" not in sys.modules, "the import of the module brought torch with it"
print(seconds)
"""

FIRST_SLICE = """\
import sys
import numpy as np
from FunFuseSlicer.Logic.fusion.engine import fuse_slices
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import load_model
images = np.random.default_rng(0).random((2, 1, {side}, {side}), dtype=np.float32)
result = fuse_slices(runner_of(load_model(), 0.8), images[0], images[1])
assert result.fused.any() and "torch" not in sys.modules
print("done")
"""


def measure(settings: Settings) -> Section:
    """Two rows; the first start of each, which reads files from the disk, is not counted."""
    section = Section()
    first_slice = FIRST_SLICE.format(side=settings.side)
    times = interleaved(
        {"module": lambda: float(_first_line(MODULE)[0]), "slice": lambda: _first_line(first_slice)[1]},
        settings.long_repeats,
    )
    side = f"{settings.side}×{settings.side}"
    section.add("import of the module in Slicer, without PyTorch", times["module"])
    section.add(
        f"from nothing to the first fused slice of {side}",
        times["slice"],
        "Python, NumPy, weights, one slice",
    )
    section.figures["module_import_ms"] = 1000 * times["module"]["median_s"]
    section.figures["first_slice_ms"] = 1000 * times["slice"]["median_s"]
    return section


def _first_line(program: str):
    """What a Python program prints first, and the seconds from its start until then.

    :raises RuntimeError: it failed; with what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        line = child.stdout.readline()
        seconds = time.perf_counter() - start
        said = child.communicate()[1]
    if child.returncode != 0:
        raise RuntimeError(f"A program of the benchmark failed:\n{said}")
    return line.strip(), seconds
