"""``funfuse.py study registration``: register known displacements, and write docs/registration.md.

Every registration is a line of a file, written as soon as it is done: a study that was interrupted
goes on where it stopped. The page is made from the lines that are there.
"""

import argparse
import csv
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np

from FunFuseSlicer.Logic.errors import FunFuseError, InputError
from FunFuseSlicer.Logic.registration import RegistrationOptions, register

from . import registration_cases as cases
from .registration_engines import find_brainsfit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "registration.md"
TABLE = "registrations.csv"
# Ways to turn a header over, tried on each patient: what the study calls "headers".
FLIPS = {
    "mirrored": (-1, 1, 1),
    "upside down": (1, 1, -1),
    "backwards": (1, -1, 1),
    "half a turn": (1, -1, -1),
}


@dataclass(frozen=True)
class Row:
    """One registration, as a line of the table.

    :param family: "simulated", "fdg", "spect", "template", "scanner", "headers" or "refused".
    :param case: which images; for "template" the stages.
    :param outcome: "good", "doubted" (a note says so), "refused" (an error), or "crashed".
    :param matrix: what was found, 16 numbers, row by row; empty when nothing was.
    :param expected: what is right by construction, likewise.
    """

    family: str
    case: str
    seed: int
    engine: str
    outcome: str
    stage: str
    before: float
    after: float
    seconds: float
    cpu_seconds: float
    memory_mb: float
    message: str
    matrix: str
    expected: str

    @property
    def key(self):
        """What tells it from the others."""
        return self.family, self.case, self.seed, self.engine

    def found(self) -> Optional[np.ndarray]:
        """The matrix, 4×4, or None."""
        return numbers(self.matrix)


def numbers(text: str) -> Optional[np.ndarray]:
    """A 4×4 matrix of a cell, or None."""
    return np.array(text.split(), dtype=float).reshape(4, 4) if text else None


@dataclass(frozen=True)
class Task:
    """One registration to do; the fields are those of :class:`Row`."""

    family: str
    case: str
    seed: int
    engine: str
    data: str


def main(arguments: List[str]) -> int:
    """Parse, measure what is missing, and write the page."""
    options = parser().parse_args(arguments)
    if not (options.data / "volumes").is_dir():
        raise InputError(f"{options.data} has no folder 'volumes': give the data folder.")
    if options.count < 1 or options.jobs < 1:
        raise InputError("--count and --jobs must be at least 1.")
    options.out.mkdir(parents=True, exist_ok=True)
    for image in (cases.T1, cases.GRAY, cases.WHITE):
        cases.fetch(image)
    table = options.out / TABLE
    rows = read_rows(table)
    todo = [task for task in plan(options) if (task.family, task.case, task.seed, task.engine) not in rows]
    print(f"{len(rows)} registrations are done, {len(todo)} to do", flush=True)
    if not options.page_only:
        _work(todo, table, options.jobs)
    from .registration_page import write_page

    write_page(list(read_rows(table).values()), options.data, options.page)
    print(f"wrote {options.page}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py study registration",
        description="Register PET volumes that were displaced by known motions, measure the errors, and "
        "write the page. Interrupted and started again, it goes on where it stopped.",
    )
    result.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with 'volumes'")
    result.add_argument(
        "--out", type=Path, default=Path("registration-study"), metavar="DIR", help="for the table"
    )
    result.add_argument(
        "--page", type=Path, default=PAGE, metavar="FILE", help="default: docs/registration.md"
    )
    result.add_argument("--count", type=int, default=50, help="displacements of each kind (default 50)")
    result.add_argument("--jobs", type=int, default=2, help="processes, one thread each (default 2)")
    result.add_argument("--quick", action="store_true", help="five displacements of each kind")
    result.add_argument("--page-only", action="store_true", help="measure nothing, only write the page")
    return result


def plan(options) -> List[Task]:
    """All registrations of a study, the seeds of all kinds side by side, so that any part is balanced."""
    count = 5 if options.quick else options.count
    data = str(options.data)
    per_case = -(-count // len(cases.SPECT_CASES))
    engines = ["SimpleITK"] + (["BRAINS"] if find_brainsfit() else [])
    tasks = [Task("scanner", "FDG", 0, engine, data) for engine in engines]
    tasks += [Task("template", stages, 0, "SimpleITK", data) for stages in ("rigid", "affine")]
    tasks += [Task("refused", name, 0, "SimpleITK", data) for name in ("fdg_no_overlap", "all_zero")]
    for seed in range(count + 1):
        for engine in engines:
            tasks += [Task(family, "", seed, engine, data) for family in ("simulated", "fdg")]
        if seed <= per_case:
            tasks += [Task("spect", case, seed, "SimpleITK", data) for case in cases.SPECT_CASES]
    names = ["fdg", *(f"spect{case}" for case in cases.SPECT_CASES)]
    tasks += [Task("headers", f"{name}, {flip}", 1, "SimpleITK", data) for name in names for flip in FLIPS]
    return tasks


def _work(todo: List[Task], table: Path, jobs: int) -> None:
    """Do the tasks, each line written when it is ready."""
    if not todo:
        return
    is_new = not table.exists()
    with open(table, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if is_new:
            writer.writeheader()
        # New processes, so that each starts with one thread and little memory.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            futures = [pool.submit(measure, task) for task in todo]
            try:
                for number, future in enumerate(as_completed(futures)):
                    row = future.result()
                    writer.writerow({field.name: getattr(row, field.name) for field in fields(Row)})
                    file.flush()
                    name = " ".join(
                        part for part in (row.family, row.case, str(row.seed), row.engine) if part
                    )
                    print(
                        f"[{number + 1}/{len(todo)}] {name}: {row.outcome} {row.stage}, {row.seconds:.1f} s",
                        flush=True,
                    )
            except BaseException:
                for future in futures:
                    future.cancel()
                raise


def _one_thread() -> None:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def read_rows(table: Path) -> Dict[tuple, Row]:
    """The lines of a table by their keys; the last of a key counts, and a broken last line is left out."""
    rows: Dict[tuple, Row] = {}
    if not table.exists():
        return rows
    kinds = {field.name: field.type for field in fields(Row)}
    with open(table, newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            try:
                row = Row(**{name: kind(line[name]) for name, kind in kinds.items()})
            except (TypeError, ValueError):
                continue
            rows[row.key] = row
    return rows


def measure(task: Task) -> Row:
    """Do one registration."""
    data = Path(task.data)
    options = RegistrationOptions(engine=task.engine, check_header=True)
    if task.engine == "BRAINS":
        _boot_brainsfit()
    expected = np.eye(4)
    if task.family == "template":
        mri, pet = cases.template(data)
        stages = ("rigid",) if task.case == "rigid" else options.stages
        options = RegistrationOptions(engine=task.engine, stages=stages)
    elif task.family == "refused":
        mri = cases.scanner_fdg(data).mri
        pet = cases.read_volume(data / "volumes" / "awkward" / f"{task.case}.nii.gz")
    else:
        pair = _pair(task, data)
        mri, pet, expected = pair.mri, pair.pet, pair.nominal
    result, outcome, message = None, "good", ""
    began, cpu_began = time.perf_counter(), time.process_time()
    try:
        result = register(mri, pet, options)
        message = " ".join(result.notes)
        if result.verdict.startswith("Doubtful"):
            outcome = "doubted"
    except FunFuseError as error:
        outcome, message = "refused", str(error)
    except Exception as error:  # the study goes on, and shows it
        outcome, message = "crashed", repr(error)
    return Row(
        family=task.family,
        case=task.case,
        seed=task.seed,
        engine=task.engine,
        outcome=outcome,
        stage=result.stage if result else "",
        before=result.similarity_before if result else 0.0,
        after=result.similarity_after if result else 0.0,
        seconds=round(time.perf_counter() - began, 2),
        cpu_seconds=round(time.process_time() - cpu_began, 2),
        memory_mb=_peak_memory_mb(),
        message=message,
        matrix=_cell(result.matrix) if result else "",
        expected=_cell(expected),
    )


def _pair(task: Task, data: Path) -> cases.Pair:
    if task.family == "simulated":
        return cases.simulated(data, task.seed)
    if task.family == "fdg":
        return cases.patient_fdg(data, task.seed)
    if task.family == "spect":
        return cases.patient_spect(data, task.seed, task.case)
    if task.family == "headers":
        name, flip = task.case.split(", ")
        return cases.turned_over(cases.cases()[name](data, task.seed), FLIPS[flip])
    return cases.scanner_fdg(data)


def _cell(matrix: np.ndarray) -> str:
    return " ".join(f"{x:.9g}" for x in np.asarray(matrix).ravel())


def _peak_memory_mb() -> float:
    """The most memory that this process ever held; 0 where that is not known."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)


def _boot_brainsfit() -> None:
    from ..headless.boot import boot
    from ..headless.cli import add_cli_module

    slicer = boot()
    if not hasattr(slicer.modules, "brainsfit"):
        add_cli_module(find_brainsfit(), "BRAINSFit")
