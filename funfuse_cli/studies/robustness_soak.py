"""Many runs in one process, good ones and failing ones: does memory, the scene or anything else grow?"""

import contextlib
import time
from pathlib import Path
from typing import Dict, List

import numpy as np

from FunFuseSlicer.Logic.color.colorize import MODES
from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.fusion.models import model_names
from FunFuseSlicer.Logic.registration import STAGES

from ..benchmarks.timing import resident_mb
from .odd_inputs.cases import Case, synthetic_cases
from .odd_inputs.pairs import phantom
from .odd_inputs.watch import snapshot
from .robustness_run import add_nodes, process

BLOCK = 20
# All are small, so that two hundred take minutes.
SIZES = (((12, 28, 24), (6.5, 6.5, 11.0)), ((16, 36, 30), (5.0, 5.0, 8.0)), ((10, 48, 44), (4.0, 3.8, 13.0)))
# Every fourth run registers one of these, and the others are drawn from the longer list.
REGISTERED = ["plain pair", "infinite and hot voxels"]
CASES = REGISTERED + [
    *("mask on another grid", "all zero", "sheared axes", "non-linear transform", "nested transforms"),
    *("no overlap, registered", "memory full while resampling", "single slice to register"),
]


def soak(runs: int) -> List[Dict[str, float]]:
    """Call ``FunFuseSlicerLogic.process`` so many times, the scene cleaned by hand in between.

    :return: the figures after each block of runs; ``nodes`` of the scene are those left, results removed.
    :raises AssertionError: a run ended with something else than a result or a sentence.
    """
    from ..headless.boot import boot

    slicer = boot()
    slicer.mrmlScene.Clear(False)
    cases, draw = {case.name: case for case in synthetic_cases()}, np.random.default_rng(1)
    blocks, counts, start = [], dict(results=0, errors=0, registrations=0), time.perf_counter()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    for run in range(runs):
        register = run % 4 == 0
        case = cases[str(draw.choice(REGISTERED if register else CASES))]
        counts["results" if _run(case, register or case.register, draw) else "errors"] += 1
        counts["registrations"] += register or case.register
        if (run + 1) % BLOCK == 0 or run + 1 == runs:
            block = dict(runs=run + 1, **counts, seconds=round(time.perf_counter() - start, 1))
            block.update(memory_mb=round(resident_mb() or 0), nodes_before=nodes)
            nodes = slicer.mrmlScene.GetNumberOfNodes()
            block.update(nodes_after=nodes, files=_entries("fd"), threads=_entries("task"))
            blocks.append(block)
            print(block, flush=True)
    return blocks


def _run(case: Case, register: bool, draw) -> bool:
    """One run and the removal of all that it needed; whether it gave a result."""
    import slicer

    from FunFuseSlicer.Logic.scene.outputs import remove_volume

    pair = phantom(*SIZES[draw.integers(len(SIZES))]) if case.pair is phantom else case.pair()
    options = {"lam": float(draw.uniform()), "model": str(draw.choice(model_names()))}
    options.update(case.options, mode=str(draw.choice(MODES)))
    stages = register and STAGES[: draw.integers(1, 1 + len(STAGES))]
    registration = {"stages": stages, "check_header": bool(draw.integers(2))} if register else None
    before = set(snapshot())
    mri, pet, mask = add_nodes(case, pair)
    done = True
    try:
        with case.fault(Path()) if case.fault else contextlib.nullcontext():
            process(mri, pet, options, registration, mask)
            if draw.uniform() < 0.2:
                process(mri, pet, {**options, "lam": 0.5}, None, mask)  # again, in place
    except FunFuseError:
        done = False
    assert done == case.must.startswith("result"), f"{case.name}: result {done}"
    # As a user deletes them in the module Data: volumes with what belongs to them, then the transforms.
    removers = {"vtkMRMLVolumeNode": remove_volume, "vtkMRMLTransformNode": slicer.mrmlScene.RemoveNode}
    for kind, remove in removers.items():
        for node in slicer.util.getNodesByClass(kind):
            if node.GetID() not in before:
                remove(node)
    return done


def _entries(name: str) -> int:
    """How many open files ("fd") or threads ("task") there are; 0 where /proc does not tell."""
    folder = Path("/proc/self") / name
    return len(list(folder.iterdir())) if folder.is_dir() else 0
