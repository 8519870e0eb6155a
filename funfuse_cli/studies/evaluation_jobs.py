"""Measures images in several processes, and remembers what is measured: an interrupted study goes on."""

import hashlib
from pathlib import Path
from typing import Callable, List

import joblib
import pandas as pd
import threadpoolctl

from FunFuseSlicer import Logic

from ..workflow.progress import ProgressBars

# Of the extension, what a fused image and its metrics depend on.
PARTS = ("Logic/color", "Logic/fusion", "Logic/methods", "Logic/metrics", "Logic/volumes", "Resources/M*s")


def measure_all(measure, tasks: List[tuple], keys: List[dict], out: Path, jobs: int) -> pd.DataFrame:
    """All rows of ``measure(*task)``, a list of dictionaries, task after task.

    :param measure: of a module, so that another process finds it.
    :param keys: per task, the columns that go before its rows.
    :param out: folder of the cache. It knows a task by its arguments and by the code that it depends on.
    :param jobs: processes, one thread each; 1 works in this one.
    """
    run = joblib.Memory(out / "cache", verbose=0).cache(_on_one_thread, ignore=["measure"])
    name, code = f"{measure.__module__}.{measure.__qualname__}", code_fingerprint(measure)
    calls = (joblib.delayed(run)(measure, name, code, task) for task in tasks)
    results, rows = joblib.Parallel(n_jobs=jobs, return_as="generator")(calls), []
    with ProgressBars() as monitor:
        for done, (key, result) in enumerate(zip(keys, results), 1):
            rows += [{**key, **row} for row in result]
            monitor.report("Measuring", done / len(tasks))
    return pd.DataFrame(rows)


def code_fingerprint(measure: Callable) -> str:
    """Changes with the code and the learned files that figures depend on, and with the measuring module."""
    root = Path(Logic.__file__).parents[1]
    paths = (path for part in PARTS for folder in root.glob(part) for path in folder.rglob("*.*"))
    files = sorted(path for path in paths if path.suffix not in (".pyc", ".md"))
    digest = hashlib.sha256()
    for path in [*files, Path(measure.__code__.co_filename)]:
        digest.update(f"{path.name} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _on_one_thread(measure: Callable, name: str, code: str, task: tuple) -> List[dict]:
    """``name`` and ``code`` tell the cache what was measured, and by which code."""
    with threadpoolctl.threadpool_limits(1):
        return measure(*task)
