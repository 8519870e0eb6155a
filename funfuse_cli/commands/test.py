"""``funfuse test``: run the tests."""

import os
from typing import List

import pytest
import xdist  # noqa: F401  pytest finds it by itself, but would say no more than that it does not know -n

from ..installation import checkout

# Each process holds Slicer's libraries and PyTorch: about 1 GB.
MOST_PROCESSES = 4
# All tests on two cores, about.
MINUTES = 10


def main(arguments: List[str]) -> int:
    """Run pytest in the project's root folder, a test file to a process; what the user added goes to pytest.

    ``-n0`` runs all in this process, as a debugger wants it.
    """
    os.chdir(checkout())  # pytest looks for its settings in pyproject.toml from here
    processes = min(MOST_PROCESSES, os.cpu_count() or 1)
    if not arguments:
        print(f"All tests take about {MINUTES} minutes on two cores; here: {processes}.", flush=True)
    # Testing/conftest.py has the order of the files.
    spread = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    return int(pytest.main(["-q", *spread, *arguments]))
