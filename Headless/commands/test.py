"""``funfuse.py test``: run the tests."""

import os
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: List[str]) -> int:
    """Run pytest in the project's root folder; what the user added goes to pytest."""
    os.chdir(ROOT)  # pytest looks for its settings in pyproject.toml from here
    return int(pytest.main(["-q", *arguments]))
