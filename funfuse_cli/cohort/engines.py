"""Where the work is done: processes of this computer, or jobs of a cluster. Both tell what is done as it is.

Processes are handed functions and arguments as pickles, which go from process to process of one user and
are never read from files of others.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import as_completed
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Protocol, Sequence, Tuple

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from FunFuseSlicer.Logic.errors import InputError

# A function of a task, and what it gave; an exception where its process was lost.
Work = Callable[[object], object]
Results = Iterator[Tuple[object, object]]

# How many threads the libraries use; OpenBLAS and MKL of NumPy and SciPy, OpenMP, ITK and VTK.
THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "VTK_SMP_MAX_THREADS"),
)
EXTENSION = "FunFuseSlicer.py"
# Slurm's own default of MaxArraySize.
ARRAY_SIZE = 1001
POLL_SECONDS = 0.25


class Engine(Protocol):
    """Something that does tasks in other processes."""

    def run(self, work: Work, tasks: Sequence[object]) -> Results:
        """Each task with what ``work(task)`` returns, in the order in which they end.

        Instead of it an Exception, with a sentence, where the process was lost. Nothing of it goes on when
        the generator is closed.
        """


class Lost(Exception):
    """The process of a task came to an end without a word."""


def threads_each(processes: int, cores: int) -> int:
    """Threads of each process, so that all together are not more than the cores."""
    return max(1, cores // max(1, processes))


def cores() -> int:
    """Those that this process may use, by affinity, by the limits of a container or of a job."""
    return joblib.cpu_count()


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """What is started here uses so many threads."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(number)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _own_path() -> Iterator[None]:
    """What is started here finds the package, also where this process has loaded Slicer's modules.

    Slicer puts their folders on the path; FunFuse's holds a module of the package's name.
    """
    before = sys.path[:]
    sys.path[:] = [folder for folder in before if not os.path.isfile(os.path.join(folder, EXTENSION))]
    try:
        yield
    finally:
        sys.path[:] = before


# --- This computer ------------------------------------------------------------------------------------


class Local:
    """Processes of this computer, by loky.

    :param begun: tells of a task whether it began and did not end; asked when a process was lost.
    :param prepare: called first in each process, for imports that must not be interrupted by an exception.
    """

    def __init__(
        self, processes: int, begun: Callable[[object], bool], prepare: Optional[Callable[[], None]] = None
    ):
        self._processes, self._begun, self._prepare = processes, begun, prepare

    def run(self, work: Work, tasks: Sequence[object]) -> Results:
        """As :class:`Engine`. Those that were at work when a process was lost are tried once more, alone."""
        suspects: List[object] = []
        waiting = [*tasks]
        processes = max(1, min(self._processes, len(tasks)))
        threads = threads_each(processes, cores())
        while waiting:
            waiting, broken = yield from self._round(work, waiting, processes, threads)
            if not broken:
                break
            # One that was lost before it could say that it begins is among the first.
            suspects += [task for task in waiting if self._begun(task)] or waiting[:processes]
            waiting = [task for task in waiting if task not in suspects]
        for task in suspects:
            left, _ = yield from self._round(work, [task], 1, threads)
            if left:
                yield task, Lost("Its process was killed or crashed, twice. It may lack memory: see the log.")

    def _round(self, work: Work, tasks: Sequence[object], processes: int, threads: int):
        """All tasks, until a process is lost; returns those that are left, and whether one was."""
        left, broken = [*tasks], False
        with _threads(threads), _own_path():
            executor = ProcessPoolExecutor(
                processes,
                initializer=_start,
                initargs=(os.getpid(), self._prepare),
                env=dict.fromkeys(THREADS, str(threads)),
            )
            futures = {executor.submit(_unless_stopped, work, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                task = futures[future]
                try:
                    result = future.result()
                except TerminatedWorkerError:
                    broken = True
                    continue
                left.remove(task)
                yield task, result
        finally:
            for future in futures:
                future.cancel()
            if left and not broken:
                for process in multiprocessing.active_children():
                    process.terminate()
            executor.shutdown(wait=True, kill_workers=broken or os.name == "nt")
        return left, broken


_stopped = threading.Event()


def _start(parent: int, prepare: Optional[Callable[[], None]]) -> None:
    """In each process: end with the one that started it, and clear up when asked to end."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ["TQDM_DISABLE"] = "1"
    for handler in (signal.SIG_DFL, _stop):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, handler)
        if handler is signal.SIG_DFL and prepare is not None:
            prepare()


def _stop(*_) -> None:
    if not _stopped.is_set():
        _stopped.set()
        raise KeyboardInterrupt


def _unless_stopped(work: Work, task: object) -> object:
    if _stopped.is_set():
        raise KeyboardInterrupt
    return work(task)


def _end_with(parent: int) -> None:
    """Not even a kill -9 of the parent leaves a process that writes: what was begun is undone by the next.

    Windows does not tell that a parent is gone: there, the participant at work is finished.
    """
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


# --- A cluster ----------------------------------------------------------------------------------------


class Cluster:
    """Jobs of Slurm in arrays, by submitit.

    :param folder: for its scripts, pickles and logs, on a disk that all nodes see.
    :param parameters: of submitit's executors: "slurm_partition", "timeout_min", "mem_gb", "cpus_per_task";
        "cluster" is "local" to try it on this computer.
    :param at_once: how many jobs may run at a time; None for as many as submitit allows.
    """

    def __init__(self, folder: Path, parameters: Dict[str, object], at_once: Optional[int] = None):
        import submitit

        parameters = dict(parameters)
        cluster = str(parameters.pop("cluster", "slurm"))
        self._poll = POLL_SECONDS if cluster == "local" else 10.0
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            self._executor.update_parameters(**parameters)
            self._threads = int(parameters.get("cpus_per_task", 1))
            if cluster == "slurm" and at_once is not None:
                self._executor.update_parameters(slurm_array_parallelism=at_once)
        except (RuntimeError, ValueError, TypeError, AssertionError, NameError) as error:
            raise InputError(f"--slurm: {str(error).partition(chr(10))[0]}") from error
        self._chunk = array_size() if cluster == "slurm" else at_once or cores()

    def run(self, work: Work, tasks: Sequence[object]) -> Results:
        """As :class:`Engine`; arrays follow each other where one cannot hold all tasks."""
        jobs: Dict[object, object] = {}
        try:
            for start in range(0, len(tasks), self._chunk):
                chunk = tasks[start : start + self._chunk]
                with _threads(self._threads):
                    jobs = dict(zip(self._executor.map_array(work, chunk), chunk))
                while jobs:
                    ended = [job for job in jobs if job.done()]
                    for job in ended:
                        yield jobs.pop(job), _result(job)
                    time.sleep(0 if ended else self._poll)
        finally:
            for job in jobs:
                with contextlib.suppress(Exception):
                    job.cancel()


def _result(job) -> object:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError):
        return Lost(f"Job {job.job_id} ended without a result: see {job.paths.stderr}.")


def array_size() -> int:
    """How many jobs an array of this cluster may have."""
    try:
        done = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ARRAY_SIZE
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.MULTILINE)
    return max(1, int(found[1])) if found else ARRAY_SIZE
