"""Types of the rooms of arrays and tensors: pyproject.toml has the settings, mypy checks them."""

import subprocess
import sys

import pytest

from Testing.conftest import ROOT


def test_mypy_has_nothing_to_say():
    command = [sys.executable, "-m", "mypy", "--no-error-summary"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
