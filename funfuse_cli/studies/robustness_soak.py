"""Many runs in one process, good ones and failing ones: does memory, the scene or anything else grow?"""

import gc
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional

import numpy as np

from FunFuseSlicer.Logic.errors import FunFuseError
from FunFuseSlicer.Logic.fusion.models import model_names

from .robustness_cases import Case, synthetic_cases
from .robustness_pairs import Pair, phantom
from .robustness_run import process

BLOCK = 20
# All are small, so that two hundred take minutes.
SIZES = (((12, 28, 24), (6.5, 6.5, 11.0)), ((16, 36, 30), (5.0, 5.0, 8.0)), ((10, 48, 44), (4.0, 3.8, 13.0)))
# Every fourth run registers one of these ...
REGISTERED = ("plain pair", "infinite and hot voxels")
# ... and the others are drawn from these.
CASES = (
    "plain pair",
    "infinite and hot voxels",
    "mask on another grid",
    "all zero",
    "sheared axes",
    "non-linear transform",
    "nested transforms",
    "no overlap, registered",
    "memory full while resampling",
    "single slice to register",
)


@dataclass(frozen=True)
class Block:
    """The figures after some runs.

    :param memory_mb: resident memory; 0 where the system does not tell.
    :param nodes: of the scene, before the first run of the block and after its last, results removed.
    :param files: open file handles; 0 where the system does not tell.
    """

    runs: int
    results: int
    errors: int
    registrations: int
    seconds: float
    memory_mb: float
    nodes: tuple
    files: int
    threads: int


def soak(runs: int, report: Callable[[Block], None] = lambda block: None) -> List[Block]:
    """Call ``FunFuseSlicerLogic.process`` so many times, the scene cleaned by hand in between.

    :raises AssertionError: a run ended with something else than a result or a sentence.
    """
    from ..headless.boot import boot

    slicer = boot()
    slicer.mrmlScene.Clear(False)
    cases = {case.name: case for case in synthetic_cases()}
    draw = np.random.default_rng(1)
    blocks: List[Block] = []
    results = errors = registrations = 0
    start, nodes = time.perf_counter(), _nodes()
    for run in range(runs):
        register = run % 4 == 0
        case = cases[str(draw.choice(REGISTERED if register else CASES))]
        done = _run(case, register or case.register, draw)
        results, errors = results + done, errors + (not done)
        registrations += register or case.register
        if (run + 1) % BLOCK == 0 or run + 1 == runs:
            gc.collect()
            blocks.append(
                Block(
                    run + 1,
                    results,
                    errors,
                    registrations,
                    time.perf_counter() - start,
                    memory_mb(),
                    (nodes, _nodes()),
                    _open_files(),
                    _threads(),
                )
            )
            report(blocks[-1])
            nodes = _nodes()
    return blocks


def growth(blocks: List[Block]) -> Optional[float]:
    """Resident memory at the end against that after the first block, as a fraction; None without both."""
    if len(blocks) < 2 or not blocks[0].memory_mb:
        return None
    return blocks[-1].memory_mb / blocks[0].memory_mb - 1.0


def _run(case: Case, register: bool, draw) -> bool:
    """One run and the removal of all that it needed; whether it gave a result."""
    import contextlib

    import slicer

    from FunFuseSlicer.Logic.color.colorize import MODES
    from FunFuseSlicer.Logic.registration import STAGES
    from FunFuseSlicer.Logic.scene import outputs

    pair = case.pair()
    if case.pair is phantom:
        pair = phantom(*SIZES[draw.integers(len(SIZES))])
    options = {
        **case.options,
        "lam": float(draw.uniform()),
        "model": str(draw.choice(model_names())),
        "mode": str(draw.choice(MODES)),
    }
    registration = None
    if register:
        stages = STAGES[: draw.integers(1, 1 + len(STAGES))]
        registration = {"stages": stages, "check_header": bool(draw.integers(2))}
    before = set(_ids())
    mri, pet, mask = _add(pair)
    mri, pet = case.nodes(mri, pet) if case.nodes else (mri, pet)
    done = True
    try:
        with case.fault(Path()) if case.fault else contextlib.nullcontext():
            process(mri, pet, options, registration, mask)
            if draw.uniform() < 0.2:
                process(mri, pet, {**options, "lam": 0.5}, None, mask)  # again, in place
    except FunFuseError:
        done = False
    assert done == (case.expected is None), f"{case.name}: result {done}"
    # As a user deletes them in the module Data: volumes with what belongs to them, then the transforms.
    for kind, remove in (
        ("vtkMRMLVolumeNode", outputs.remove_volume),
        ("vtkMRMLTransformNode", slicer.mrmlScene.RemoveNode),
    ):
        for node in slicer.util.getNodesByClass(kind):
            if node.GetID() not in before:
                remove(node)
    return done


def _add(pair: Pair):
    from FunFuseSlicer.Logic.scene import inputs

    return [inputs.add_volume_node(v) if v is not None else None for v in (pair.mri, pair.pet, pair.mask)]


def _ids() -> List[str]:
    import slicer

    return [slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())]


def _nodes() -> int:
    import slicer

    return slicer.mrmlScene.GetNumberOfNodes()


def memory_mb() -> float:
    """Resident memory of this process; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError):
        return 0.0


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()
