"""The code keeps the style that pyproject.toml sets."""

import ast
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


def test_no_array_is_a_view_of_an_image_that_nobody_keeps():
    """SimpleITK frees the image's memory: the array then holds whatever comes there next."""
    found = []
    for path in [*ROOT.glob("FunFuseSlicer/**/*.py"), *ROOT.glob("funfuse_cli/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "GetArrayViewFromImage":
                if not isinstance(node.args[0], (ast.Name, ast.Attribute)):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
