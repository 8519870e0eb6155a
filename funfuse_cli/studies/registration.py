"""``funfuse.py study registration``: register known displacements; tables and pictures for the page."""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import SimpleITK as sitk

from FunFuseSlicer.Logic.errors import FunFuseError, InputError
from FunFuseSlicer.Logic.output_folder import Claim, growing, part_of
from FunFuseSlicer.Logic.registration import DOUBTFUL, RegistrationOptions, register

from ..benchmarks.timing import peak_resident_mb
from ..paths import input_path, output_path
from ..workflow.brainsfit import find_brainsfit, start_brainsfit
from ..workflow.demo_data import GRAY, T1, WHITE, fetch
from . import add_docs
from .registration_cases import FAMILIES, mean_distance, plan
from .registration_tables import write

OUT = Path("registration-study")


def main(arguments: List[str]) -> int:
    """Measure what is missing, and write tables and pictures."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study registration",
        description="Register PET volumes that were displaced by known motions, and measure the errors. "
        "Interrupted and started again, it goes on where it stopped.",
    )
    parser.add_argument(
        "--data", type=input_path, default=Path(), metavar="DIR", help="folder with 'volumes'"
    )
    parser.add_argument(
        "--out", type=output_path, default=OUT, metavar="DIR", help="for what is done already"
    )
    add_docs(parser)
    parser.add_argument("--count", type=int, default=50, help="displacements of each kind (default 50)")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each (default 2)")
    options = parser.parse_args(arguments)
    volumes = options.data / "volumes"
    if not volumes.is_dir():
        raise InputError(f"{options.data} has no folder 'volumes': give the data folder.")
    if options.count < 1 or options.jobs < 1:
        raise InputError("--count and --jobs must be at least 1.")
    with growing(options.out, Claim(where="--out")):
        write(measure_all(volumes, options.out, options.count, options.jobs), volumes, options.docs)
    return 0


def measure_all(data: Path, out: Path, count: int, jobs: int) -> List[dict]:
    """The records of all registrations of a study."""
    for image in (T1, GRAY, WHITE):
        fetch(image)
    # Side by side, so that any part of them is balanced.
    engines = ("SimpleITK", "BRAINS") if find_brainsfit() else ("SimpleITK",)
    tasks = sorted(plan(count, engines), key=lambda task: task[2])
    records, firsts = [], {}
    # New processes, so that each starts with one thread and little memory.
    one_thread = partial(sitk.ProcessObject.SetGlobalDefaultNumberOfThreads, 1)
    with ProcessPoolExecutor(jobs, get_context("spawn"), one_thread) as pool:
        # Those that are not displaced come first: the others are compared with them.
        for later in (False, True):
            some = [task for task in tasks if (task[2] > 0) == later]
            for task, record in zip(
                some, pool.map(partial(measure, data=data, out=out, firsts=firsts), some)
            ):
                print(f"[{len(records) + 1}/{len(tasks)}]", *task, record["outcome"], flush=True)
                records.append(record)
            firsts = {(*t[:2], t[3]): r["matrix"] for t, r in zip(some, records) if "matrix" in r}
    return records


def measure(task: Tuple[str, str, int, str], data: Path, out: Path, firsts: Dict[tuple, list]) -> dict:
    """Do one registration of :func:`plan`, or read its record, a file of ``out`` that is kept at once.

    :param firsts: by family, case and engine: the matrix that was found without displacement.
    :return: ``outcome`` is "good", "doubted" (a warning says so), "refused" (an error), or "crashed".
    """
    path = out / ("_".join(map(str, task)).replace(" ", "-") + ".json")
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    family, case, seed, engine = task
    if engine == "BRAINS":
        start_brainsfit()
    pair = FAMILIES[family][0](data, case, seed)
    record = dict(zip(("family", "case", "seed", "engine"), task))
    began, cpu_began = time.perf_counter(), time.process_time()
    try:
        result = register(pair.mri, pair.pet, RegistrationOptions(engine=engine, stages=pair.stages))
        record["outcome"] = {DOUBTFUL: "doubted"}.get(result.judgement, result.judgement)
        record.update(stage=result.stage, message=" ".join(result.notes), matrix=result.matrix.tolist())
        record.update(similarity_before=result.similarity_before, similarity_after=result.similarity_after)
    except FunFuseError as error:
        record.update(outcome="refused", message=str(error))
    except Exception as error:  # the study goes on, and shows it
        record.update(outcome="crashed", message=repr(error))
    record.update(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu_began)
    record["memory_mb"] = peak_resident_mb()
    if "matrix" in record and pair.nominal is not None:
        record["error_mm"] = mean_distance(result.matrix, pair.nominal, pair.points)
        if seed and (family, case, engine) in firsts:
            agreed = np.array(firsts[family, case, engine]) @ pair.nominal
            record["agreement_mm"] = mean_distance(result.matrix, agreed, pair.points)
    part = part_of(path)
    part.write_text(json.dumps(record), encoding="utf-8")
    part.replace(path)
    return record
