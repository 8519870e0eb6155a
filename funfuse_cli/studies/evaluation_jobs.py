"""Runs many independent measurements in a few processes, and remembers those that are done."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Callable, Dict, Optional

from FunFuseSlicer.Logic.monitor import Monitor

# What the numeric libraries, torch among them, read when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Journal:
    """Results by key in a file of JSON lines, so that an interrupted study goes on where it stopped.

    :param path: the file; None keeps results in memory only.
    :param settings: all that the results depend on, as JSON. Results of other settings are dropped.
    """

    def __init__(self, path: Optional[Path], settings: dict):
        self._path = None if path is None else Path(path)
        self.results: Dict[str, object] = {}
        # As they come back from a file: a tuple would never equal the list that JSON makes of it.
        settings = json.loads(json.dumps(settings))
        if self._path is None:
            return
        lines = _lines(self._path)
        if lines and lines[0] == {"settings": settings}:
            self.results = {line["key"]: line["result"] for line in lines[1:] if "key" in line}
        # Written anew: what was cut off when an earlier run was killed must not stay in the middle.
        part = self._path.with_name(self._path.name + ".part")
        kept = [{"settings": settings}] + [{"key": k, "result": r} for k, r in self.results.items()]
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        part.replace(self._path)

    def add(self, key: str, result) -> None:
        """Keep one result, at once on disk."""
        self.results[key] = result
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "result": result}) + "\n")


def run_all(
    function: Callable, tasks: Dict[str, object], journal: Journal, jobs: int, monitor: Monitor, stage: str
) -> Dict[str, object]:
    """``function(task)`` for all tasks that are not in the journal yet, each on one thread.

    :param function: of a module, so that another process finds it; its result must fit into JSON.
    :param tasks: by key, which the journal remembers.
    :param jobs: processes; 1 works in this one.
    :return: the results by key, in the order of ``tasks``.
    :raises Cancelled: through the monitor, between tasks.
    """
    open_tasks = {key: task for key, task in tasks.items() if key not in journal.results}
    done = len(tasks) - len(open_tasks)
    monitor.report(stage, done / max(1, len(tasks)))
    for key, result in _results(function, open_tasks, min(jobs, len(open_tasks))):
        journal.add(key, result)
        done += 1
        monitor.report(stage, done / len(tasks))
    return {key: journal.results[key] for key in tasks}


def _results(function, tasks: Dict[str, object], jobs: int):
    if jobs <= 1:
        with _one_thread_here():
            for key, task in tasks.items():
                yield key, function(task)
        return
    # Forked processes inherit torch's locks and can hang; spawned ones start clean.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), _without_module_folder():
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)
        try:
            waiting = {pool.submit(function, task): key for key, task in tasks.items()}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _one_thread_here():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _one_thread_each():
    """Processes started inside use one thread each."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _without_module_folder():
    """Processes started inside find the library, not the module's file, under the name FunFuseSlicer.

    Loading the module puts its folder on the path, as Slicer does; a new process has no Slicer in it.
    """
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if not (Path(entry) / "FunFuseSlicer.py").is_file()]
    try:
        yield
    finally:
        sys.path[:] = before


def _start_worker() -> None:
    # Ctrl-C is for the process that waits; it stops the others in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process that waits for work would not notice that the one that gives it was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _lines(path: Path) -> list:
    """The whole lines of a journal, up to one that was cut off."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
