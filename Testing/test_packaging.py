"""What is shipped is whole, speaks of the product only, and stays light in Slicer."""

import ast
import json
import re
import struct
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from funfuse_cli import installation
from funfuse_launcher import parts
from FunFuseSlicer.Logic.version import VERSION
from Testing.conftest import ROOT

MODULE = ROOT / "FunFuseSlicer"


@pytest.fixture(scope="module")
def settings():
    """What pyproject.toml says."""
    tomllib = pytest.importorskip("tomllib")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def cmake_list(name: str):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8").replace("${MODULE_NAME}", "FunFuseSlicer")
    return re.search(rf"set\({name}\s+(.*?)\)", text, re.DOTALL).group(1).split()


def test_cmake_lists_every_file_of_the_library():
    scripts = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*.py")}
    assert scripts == set(cmake_list("MODULE_PYTHON_SCRIPTS"))
    resources = {path.relative_to(MODULE).as_posix() for path in (MODULE / "Resources").rglob("*.*")}
    assert resources == set(cmake_list("MODULE_PYTHON_RESOURCES"))


def test_no_loose_python_file_beside_the_module():
    """Slicer would try to load each as a module."""
    assert [path.name for path in MODULE.glob("*.py")] == ["FunFuseSlicer.py"]


def file_scope_imports(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize("path", sorted(MODULE.rglob("*.py")), ids=lambda path: path.name)
def test_library_needs_only_what_slicer_bundles_and_torch(path):
    allowed = {"numpy", "scipy", "SimpleITK", "torch", "FunFuseSlicer", "slicer"} | set(
        sys.stdlib_module_names
    )
    if path.parent.name == "panel":
        allowed |= {"qt", "vtk"}
    for name in file_scope_imports(path):
        assert name.split(".")[0] in allowed, f"{path.name} imports {name}"
        if path.parent.name == "Logic":
            assert not name.startswith(("slicer", "vtk")), f"{path.name} imports {name} at file scope"


def test_loading_the_module_imports_no_torch_and_needs_no_qt():
    """Slicer starts without PyTorch, and quickly; the command line loads it where PySide6 is missing, too."""
    code = (
        "import sys; sys.modules['PySide6'] = None;"
        "from funfuse_cli.headless.boot import boot; from funfuse_cli.extension import load_module;"
        "boot(); load_module(); sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_loading_the_module_again_gives_the_same():
    from funfuse_cli.extension import load_module

    module = load_module()
    assert module.__name__ == "FunFuseSlicer" and load_module() is module


def test_python_39_can_read_the_library():
    for path in MODULE.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("path", ["FunFuseSlicer.png", "FunFuseSlicer/Resources/Icons/FunFuseSlicer.png"])
def test_icons_are_128_pixels(path):
    header = (ROOT / path).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", header[16:24]) == (128, 128)


def test_extension_metadata(settings):
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "project(FunFuseSlicer)" in text
    fields = "HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS LICENSE_FILE README_FILE"
    for name in fields.split():
        assert re.search(rf'set\(EXTENSION_{name} "[^"]+"\)', text), name
    entry = json.loads((ROOT / "docs" / "FunFuseSlicer.json").read_text(encoding="utf-8"))
    assert re.search(r'EXTENSION_DEPENDS "(.+)"', text).group(1).split() == entry["build_dependencies"]
    homepage = re.search(r'EXTENSION_HOMEPAGE "(.+)"', text).group(1)
    assert homepage.endswith("/SlicerFunFuse"), "the index wants repositories whose names begin with Slicer"
    assert entry["scm_url"] == f"{homepage}.git" and set(settings["project"]["urls"].values()) == {homepage}
    assert (ROOT / "LICENSE.txt").is_file() and (ROOT / "README.md").is_file()


def test_the_citation_tells_the_version():
    citation = ROOT / "CITATION.cff"
    if not citation.is_file():
        pytest.skip("there is no CITATION.cff")
    found = re.search(r'^version: *"?([^"\s]+)"?$', citation.read_text(encoding="utf-8"), re.MULTILINE)
    assert found and found.group(1) == VERSION


def requirements(settings, *extras: str):
    """By name, what pip is asked for with these extras, and with those that they contain."""
    project = settings["project"]
    texts = sum((project["optional-dependencies"][extra] for extra in extras), project["dependencies"])
    found = {}
    for wanted in map(Requirement, texts):
        own = wanted.name == project["name"]
        found.update(requirements(settings, *wanted.extras) if own else {wanted.name.lower(): wanted})
    return found


def test_what_the_code_is_written_for_is_what_is_installed(settings):
    """The ranges of pyproject.toml against the exact versions of the lists."""
    lists = "".join(path.read_text(encoding="ascii") for path in ROOT.glob("requirements*.lock"))
    for name, wanted in requirements(settings, "test").items():
        found = re.findall(rf"^{name}==([\w.+]+)", lists, re.MULTILINE)
        assert found and all(wanted.specifier.contains(version) for version in found), name


def test_the_tests_have_all_extras_and_a_missing_package_is_named_with_its_own(settings, monkeypatch):
    extras = settings["project"]["optional-dependencies"]
    assert set(requirements(settings, *extras)) == set(requirements(settings, "test"))
    names = {"sklearn": "scikit-learn", "PySide6": "pyside6-essentials", "xdist": "pytest-xdist"}
    come_along = {
        "threadpoolctl": "scikit-learn",
        "shiboken6": "pyside6-essentials",
    }
    for package, extra in installation.EXTRAS.items():
        name = names.get(package) or come_along.get(package) or package
        assert name in requirements(settings, extra), package
        monkeypatch.setattr(installation, "by_launcher", lambda: False)
        told = installation.remedy(ModuleNotFoundError(name=package))
        assert package in told and f'pip install "funfuse-slicer[{extra}]"' in told
        monkeypatch.setattr(installation, "by_launcher", lambda: True)
        told = installation.remedy(ModuleNotFoundError(name=package))
        part = re.search(r"python3 funfuse\.py install (\w+)$", told).group(1)
        lists = [name for build in parts.PARTS[part] for name in build.lists]
        assert package in told and name in parts.packages_of(lists)
    assert installation.remedy(ModuleNotFoundError(name="elsewhere")) is None


def test_pre_commit_has_the_ruff_of_the_list():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = re.search(r"ruff-pre-commit\s+rev: v(\S+)", text).group(1)
    assert f"\nruff=={pinned} " in (ROOT / "requirements-tools.lock").read_text(encoding="ascii")


def test_results_of_the_demo_and_the_environment_are_not_for_git():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "demo-output/" in ignored and ".venv/" in ignored


def test_readme_names_the_two_commands_and_its_pictures_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python3 funfuse.py demo" in text and "python3 funfuse.py test" in text
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / link.partition("#")[0]).exists(), link
