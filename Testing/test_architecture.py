"""Which room may import which: pyproject.toml has the contracts, import-linter checks them."""

import os
import subprocess
import sys

import pytest

from Testing.conftest import ROOT

LINTER = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports({}))"


def lint(how: str = "") -> subprocess.CompletedProcess:
    # Without a width, lines of the report end where those of a terminal would.
    environment = {**os.environ, "COLUMNS": "150", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", LINTER.format(f"no_cache=True, no_logo=True{how}")]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


def test_the_rooms_keep_their_contracts():
    done = lint()
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_a_contract_that_is_not_kept_is_noticed(tmp_path):
    """The other way round: what the contracts say of two rooms is not true of these."""
    (tmp_path / "wrong.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["FunFuseSlicer.Logic"]\n[[tool.importlinter.contracts]]\n'
        'name = "upside down"\ntype = "layers"\ncontainers = ["FunFuseSlicer.Logic"]\n'
        'layers = ["errors", "scene"]\n',
        encoding="utf-8",
    )
    done = lint(f", config_filename={str(tmp_path / 'wrong.toml')!r}")
    assert done.returncode == 1 and "upside down BROKEN" in done.stdout, done.stdout + done.stderr
