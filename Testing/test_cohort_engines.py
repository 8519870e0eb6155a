"""Processes that work, are lost, and are stopped."""

import os
import signal
import stat
import time
from functools import partial
from types import SimpleNamespace

import pytest

from funfuse_cli.cohort import engines
from funfuse_cli.cohort.engines import THREADS, Cluster, Local, Lost, array_size, threads_each
from FunFuseSlicer.Logic.errors import InputError

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")


def work(number, folder):
    """Says that it begins; 3 dies whenever it is tried, and 5 the first time."""
    began = folder / f"began-{number}"
    again = began.exists()
    began.touch()
    if number == 3 or number == 5 and not again:
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"ended-{number}").touch()
    return number * number, os.environ["OMP_NUM_THREADS"], os.getpid()


def begun(number, folder):
    return (folder / f"began-{number}").exists() and not (folder / f"ended-{number}").exists()


def wait_long(number, folder):
    (folder / f"began-{number}").touch()
    try:
        time.sleep(60)
    finally:
        (folder / f"cleared-{number}").touch()


@posix_only
@pytest.mark.parametrize("processes, tasks", [(1, [5]), (2, range(7))])
def test_a_process_that_dies_does_not_stop_the_others(tmp_path, processes, tasks):
    engine = Local(processes, partial(begun, folder=tmp_path))
    results = dict(engine.run(partial(work, folder=tmp_path), tasks))
    assert sorted(results) == list(tasks)
    if 3 not in tasks:
        assert results[5][0] == 25 and results[5][2] != os.getpid(), "another process, even of one"
        return
    assert isinstance(results.pop(3), Lost), "it was lost twice"
    assert {number: result[0] for number, result in results.items()} == {n: n * n for n in tasks if n != 3}


@posix_only
def test_stopping_ends_what_is_at_work_cleanly_and_begins_nothing_else(tmp_path):
    started = time.monotonic()
    results = Local(2, lambda task: False).run(partial(_mixed, folder=tmp_path), range(6))
    assert next(results)[0] == 0
    while not any(tmp_path.glob("began-*")):
        assert time.monotonic() - started < 40, "no process began"
        time.sleep(0.05)
    results.close()
    began, cleared = (
        {path.name.split("-")[1] for path in tmp_path.glob(f"{what}-*")} for what in ("began", "cleared")
    )
    assert began and began == cleared and len(began) <= 3
    assert time.monotonic() - started < 50


def _mixed(number, folder):
    return 0 if number == 0 else wait_long(number, folder)


def test_threads_come_from_the_cores():
    assert [threads_each(processes, 8) for processes in (1, 3, 8, 20)] == [8, 2, 1, 1]
    before = {name: os.environ.get(name) for name in THREADS}
    with engines._threads(7):
        assert {os.environ[name] for name in THREADS} == {"7"}
    assert {name: os.environ.get(name) for name in THREADS} == before


def test_an_array_is_as_large_as_the_cluster_allows(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert array_size() == engines.ARRAY_SIZE
    if os.name == "nt":
        return
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho 'MaxArraySize            = 12'\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert array_size() == 12


def short_work(number):
    return number + 10, os.environ["OMP_NUM_THREADS"]


@posix_only
def test_jobs_of_a_cluster_by_its_local_stand_in(tmp_path):
    pytest.importorskip("submitit", reason="submitit, the extra slurm")
    engine = Cluster(tmp_path, {"cluster": "local", "timeout_min": 2, "cpus_per_task": 3}, 2)
    assert dict(engine.run(short_work, range(2))) == {0: (10, "3"), 1: (11, "3")}


def test_a_job_that_a_cluster_lost_is_told():
    core = pytest.importorskip("submitit.core.utils", reason="submitit, the extra slurm")

    class Job:
        job_id, paths = "17", SimpleNamespace(stderr="17.err")

        def result(self):
            raise core.UncompletedJobError("killed")

    lost = engines._result(Job())
    assert isinstance(lost, Lost) and "Job 17 ended without a result: see 17.err" in str(lost)


def test_options_that_a_cluster_does_not_know_are_said(tmp_path):
    pytest.importorskip("submitit", reason="submitit, the extra slurm")
    for parameters in ({"cluster": "local", "nonsense": 1}, {"cluster": "elsewhere"}):
        with pytest.raises(InputError, match="--slurm"):
            Cluster(tmp_path, parameters, 1)
