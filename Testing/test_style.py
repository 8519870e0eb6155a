"""The code keeps the style that pyproject.toml sets."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "check", [["check", "--output-format=concise"], ["format", "--check"]], ids=["rules", "format"]
)
def test_ruff_has_nothing_to_say(check):
    command = [sys.executable, "-m", "ruff", *check, "--no-cache", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if result.returncode != 0:
        pytest.fail(f"ruff {check[0]}:\n{result.stdout}{result.stderr}", pytrace=False)
