"""What is shipped is whole, speaks of the product only, and stays light in Slicer."""

import ast
import re
import struct
import subprocess
import sys

import pytest

from Testing.conftest import ROOT

MODULE = ROOT / "FunFuseSlicer"


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


# What works on a scene; all else is arrays and tensors.
KNOW_SLICER = {
    "scene.py",
    "views.py",
    "export.py",
    "alignment_views.py",
    "evaluation_nodes.py",
    "sample_data.py",
    "self_test.py",
}


def test_the_core_does_not_know_slicer():
    """Only some modules may name it, and those in Logic only inside functions."""
    for path in (MODULE / "Logic").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^\s*(import|from) (slicer|vtk|qt|ctk)\b", text, re.MULTILINE):
            assert path.name in KNOW_SLICER or path.parent.name in ("registration", "panel")


def test_loading_the_module_does_not_import_torch():
    """Slicer starts without PyTorch, and quickly."""
    code = (
        "import sys; from funfuse_cli.extension import load_module; load_module();"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
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


def test_extension_metadata():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "project(FunFuseSlicer)" in text
    fields = "HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS LICENSE_FILE README_FILE"
    for name in fields.split():
        assert re.search(rf'set\(EXTENSION_{name} "[^"]+"\)', text), name
    assert (ROOT / "LICENSE.txt").is_file() and (ROOT / "README.md").is_file()


def test_versions_agree():
    from FunFuseSlicer.Logic.version import VERSION

    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_what_the_code_is_written_for_is_what_is_installed():
    """The ranges of pyproject.toml against the exact versions of the lists."""
    tomllib = pytest.importorskip("tomllib")
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = "".join(path.read_text(encoding="ascii") for path in ROOT.glob("requirements*.lock"))
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        wanted = Requirement(text)
        found = re.findall(rf"^{wanted.name.lower()}==([\w.+]+)", lists, re.MULTILINE)
        assert found and all(wanted.specifier.contains(version) for version in found), text


def test_readme_names_the_two_commands_and_its_pictures_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "python3 funfuse.py demo" in text and "python3 funfuse.py test" in text
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / link).exists(), link
