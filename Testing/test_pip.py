"""What pip installs: built, unpacked and started away from the repository."""

import os
import subprocess
import sys
import zipfile

import pytest

from Testing.conftest import ROOT

FOLDERS = ("FunFuseSlicer", "funfuse_cli")

# Some packages are hidden from the program that then starts.
RUN = """\
import sys
sys.modules.update(dict.fromkeys({hidden}, None))
from funfuse_cli.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of an installation, and the names of the files in its wheel."""
    pytest.importorskip("hatchling")
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site packages")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        return site, archive.namelist()


@pytest.fixture
def funfuse(installed, tmp_path):
    """Starts a command of the installation, without some packages, in a folder of its own."""

    def start(*arguments, hidden=()):
        environment = {**os.environ, "PYTHONPATH": str(installed[0]), "PYTHONUTF8": "1"}
        command = [sys.executable, "-c", RUN.format(hidden=list(hidden)), *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8"
        )

    return start


def test_the_wheel_holds_program_data_and_license_and_nothing_else(installed):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a clone: git cannot tell which files belong to it")
    wanted = {name for name in listed.stdout.split() if (ROOT / name).exists()}
    own, facts = set(), set()
    for name in installed[1]:
        (facts if ".dist-info/" in name else own).add(name)
    assert own == {name for name in wanted if not name.endswith("CMakeLists.txt")}
    assert "FunFuseSlicer/__init__.py" not in own, "Slicer's module is a file of this name"
    assert {name.split("/", 1)[1] for name in facts} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE.txt",
    }


def test_the_installation_has_the_commands_and_its_models(installed, funfuse):
    (entry,) = [name for name in installed[1] if name.endswith("entry_points.txt")]
    assert "funfuse = funfuse_cli.__main__:main" in (installed[0] / entry).read_text(encoding="utf-8")
    done = funfuse("fuse", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: funfuse fuse"), done.stderr
    code = (
        "from funfuse_cli.headless.boot import boot; from funfuse_cli.extension import FOLDER, load_module;"
        "from FunFuseSlicer.Logic.fusion.models import load_model, model_names;"
        "boot(); load_module(); [load_model(name) for name in model_names()]; print(FOLDER)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed[0])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed[0].parent, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(installed[0] / "FunFuseSlicer"), done.stderr


@pytest.mark.parametrize(
    "arguments, package, extra",
    [
        (["train", "--data", "a", "--out", "b"], "torch", "torch"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_missing_package_is_one_line_with_the_remedy(funfuse, tmp_path, arguments, package, extra):
    done = funfuse(*arguments, hidden=[package])
    assert done.returncode == 4 and done.stdout == ""
    error = done.stderr.strip().replace("\r", "\n").splitlines()[-1]
    assert error.startswith(f"error: This needs the Python package {package}")
    assert f'pip install "funfuse-slicer[{extra}]"' in error
    assert not list(tmp_path.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("command", ["study", "test"])
def test_what_is_about_the_repository_says_so(funfuse, command):
    done = funfuse(command)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "repository" in done.stderr and "funfuse.py" in done.stderr
