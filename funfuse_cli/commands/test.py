"""``funfuse.py test``: run the tests."""

import os
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each process holds Slicer's libraries and PyTorch: about 1 GB.
MOST_PROCESSES = 4


def main(arguments: List[str]) -> int:
    """Run pytest in the project's root folder, a test file to a process; what the user added goes to pytest.

    ``-n0`` runs all in this process, as a debugger wants it.
    """
    os.chdir(ROOT)  # pytest looks for its settings in pyproject.toml from here
    processes = min(MOST_PROCESSES, os.cpu_count() or 1)
    return int(pytest.main(["-q", "-n", str(processes), "--dist", "loadfile", *arguments]))
