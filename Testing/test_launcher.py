"""The launcher, without network: pip and the interpreter are stand-ins, or real with tiny packages."""

import ast
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import funfuse
from funfuse_cli.commands import COMMANDS
from funfuse_launcher import environment, packages, parts, pip, start
from funfuse_launcher.lock import FolderLock
from funfuse_launcher.terminal import StepFailed
from FunFuseSlicer.Logic.version import VERSION
from Testing.conftest import ROOT

LAUNCHER = ROOT / "funfuse.py"
FUSE, TORCH, CPU, CUDA, TOOLS = LISTS = (
    "requirements.lock",
    "requirements-torch.lock",
    "requirements-torch-cpu.lock",
    "requirements-torch-cuda.lock",
    "requirements-tools.lock",
)

# Acts as ``python -m venv FOLDER``, as the interpreter of that environment, and as its pip. A file
# "fail" beside the launcher makes pip fail with that text, a file "slow" makes it hang; a file
# "fail-" and the name of a list does so for that list only.
STAND_IN = """\
#!{python}
import os, pathlib, sys, time
root = pathlib.Path({root!r})
arguments = sys.argv[1:]
with open(root / "calls", "a", encoding="utf-8") as calls:
    line = "|".join(["PYTHONPATH=" + os.environ.get("PYTHONPATH", ""), *arguments])
    print(line.replace(chr(10), " "), file=calls)
if "venv" in arguments:
    target = pathlib.Path(arguments[-1]) / "bin" / "python"
    target.parent.mkdir()
    target.write_text((root / "stand-in").read_text(encoding="utf-8"), encoding="utf-8")
    target.chmod(0o755)
    (target.parent.parent / "pyvenv.cfg").touch()
    packages = target.parent.parent / "lib" / "python{version}" / "site-packages"
    packages.mkdir(parents=True)
elif "pip" in arguments:
    lists = [os.path.basename(argument) for argument in arguments if argument.endswith(".lock")]
    for cause in (root / "fail", *(root / ("fail-" + name) for name in lists)):
        if cause.exists():
            print(cause.read_text(encoding="utf-8"))
            sys.exit(1)
    if (root / "slow").exists():
        print("Collecting patience", flush=True)
        time.sleep(60)
    print("Successfully installed nothing")
elif "compileall" in arguments:
    pass
else:  # -P -m funfuse_cli.commands ARGUMENTS, or -c CODE ARGUMENTS
    if "-I" in arguments:
        sys.exit(0)
    print("RAN", arguments[3 if arguments[0] == "-P" else 2 :], os.getcwd())
    sys.exit(7)
"""

posix_only = pytest.mark.skipif(os.name == "nt", reason="the launcher's stand-in, a script with a #! line")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The same computer everywhere."""
    monkeypatch.setattr(parts, "has_nvidia_gpu", lambda: False)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the launcher in a folder with a space and umlauts, with stand-ins for all it starts."""
    root = tmp_path / "Ordner für Köpfe"
    copied = ["funfuse.py", "pyproject.toml", "funfuse_cli/__init__.py", "funfuse_cli/commands/__init__.py"]
    copied += ["FunFuseSlicer/Logic/__init__.py", "FunFuseSlicer/Logic/version.py"]
    copied += [f"funfuse_launcher/{path.name}" for path in (ROOT / "funfuse_launcher").glob("*.py")]
    for name in copied:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
    for name in LISTS:
        (root / name).write_text("# nothing\n", encoding="ascii")
    stand_in = STAND_IN.format(
        python=sys.executable, root=str(root), version="{}.{}".format(*sys.version_info[:2])
    )
    if len(sys.executable) > 100 or " " in sys.executable:
        # A #! line takes neither spaces nor long paths; the shell does.
        header = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
        stand_in = header + stand_in.split("\n", 1)[1]
    (root / "stand-in").write_text(stand_in, encoding="utf-8")
    (root / "stand-in").chmod(0o755)
    # A start of the real file, except that its Python is the stand-in, and that there is no GPU.
    (root / "start.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(root)!r})\n"
        "import funfuse\n"
        "from funfuse_launcher import parts\n"
        "parts.has_nvidia_gpu = lambda: False\n"
        f"sys.executable = sys._base_executable = {str(root / 'stand-in')!r}\n"
        "sys.exit(funfuse.main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    monkeypatch.delenv("FUNFUSE_VENV", raising=False)
    return root


def run(root, *arguments, **options):
    """Start the launcher as a process."""
    return subprocess.run(
        [sys.executable, str(root / "start.py"), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        timeout=180,
        **options,
    )


def calls(root, word):
    """The calls of the stand-in with this argument."""
    path = root / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if word in line.split("|")]


def installed(root):
    """The lists that pip was given, in order."""
    given = (line.split("|") for line in calls(root, "pip"))
    return [os.path.basename(word) for words in given for word in words if word.endswith(".lock")]


# --- Python versions, help, commands ------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13)])
def test_suitable_versions_are_accepted(version):
    assert funfuse.why_unsuitable(version, "CPython", 64, False) is None
    assert funfuse.why_unsuitable(*funfuse.this_python()) is None


@pytest.mark.parametrize(
    "python, word",
    [
        (((2, 7), "CPython", 64, False), "Python 2.7"),
        (((3, 6), "CPython", 64, False), "Python 3.6"),
        (((3, 9), "CPython", 64, False), "Python 3.9"),
        (((3, 14), "CPython", 64, False), "Python 3.14"),
        (((3, 11), "PyPy", 64, False), "PyPy"),
        (((3, 11), "CPython", 32, False), "32-bit"),
        (((3, 13), "CPython", 64, True), "free-threaded"),
    ],
)
def test_unsuitable_python_is_refused_in_one_line(python, word, monkeypatch, capsys):
    monkeypatch.setattr(funfuse, "this_python", lambda: python)
    monkeypatch.setattr(funfuse, "find_suitable_python", lambda: "python3.12")
    assert funfuse.main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert word in err and "python3.12 funfuse.py" in err


def test_old_python_can_read_the_launcher():
    """Python 2.7, too: what it cannot is not in the grammar of 3.6, or is one of these."""
    text = LAUNCHER.read_bytes().decode("ascii")
    newer = (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.AsyncFunctionDef, ast.YieldFrom)
    for node in ast.walk(ast.parse(text, feature_version=(3, 6))):
        assert not isinstance(node, newer), node.lineno
        if isinstance(node, ast.Raise):
            assert node.cause is None
        elif isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in ("print", "super"), node.lineno
        elif isinstance(node, ast.arguments):
            assert not node.kwonlyargs and not any(argument.annotation for argument in node.args)
        elif isinstance(node, ast.ClassDef):
            assert not node.keywords
    # A comma after the last of *arguments.
    assert not re.search(r"\*\w+,\s*\)", text)


def find_old_python(version):
    """A Python of this version that starts, on the PATH or of pyenv; None when there is none."""
    name = f"python{version}"
    candidates = [shutil.which(name), *Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}")]
    for candidate in filter(None, candidates):
        done = subprocess.run([str(candidate), "-c", ""], capture_output=True)
        if done.returncode == 0:
            return str(candidate)
    return None


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.9", "3.14"])
def test_a_python_that_does_not_suit_says_so_itself(version):
    python = find_old_python(version)
    if python is None:
        pytest.skip("the sentence of Pythons that do not suit, by themselves, where they are not installed")
    done = subprocess.run([python, str(LAUNCHER), "demo"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"funfuse: this is Python {version}, but FunFuse needs 64-bit CPython 3.10")
    assert done.stderr.count("\n") == 1


def test_launcher_uses_the_standard_library_only():
    """Also what it imports of the rest: nothing else is there when it starts first."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import funfuse_launcher.start"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"], ["install", "--help"]])
def test_help_needs_no_installation(project, arguments):
    result = run(project, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "to download" in result.stdout and "PyTorch" in result.stdout
    if arguments[:1] != ["install"]:
        assert "FUNFUSE_VENV" in result.stdout and all(name in result.stdout for name in COMMANDS)
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("arguments", [["--version"], ["fuse", "--version"]])
def test_the_version_needs_no_installation(project, arguments):
    result = run(project, *arguments)
    assert (result.returncode, result.stdout) == (0, f"funfuse {VERSION}\n")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("arguments, word", [(["dmeo"], "'dmeo'"), (["install", "pytorch"], "torch, tools")])
def test_mistyped_command_installs_nothing(project, arguments, word):
    result = run(project, *arguments)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert word in result.stderr
    assert not (project / ".venv").exists()


@posix_only
def test_streams_that_are_closed_are_no_reason_to_fail(project):
    command = f'"{sys.executable}" "{project / "start.py"}"'
    for arguments in ("help", "dmeo", "install", "fuse"):
        code = subprocess.run(f"{command} {arguments} >&- 2>&-", shell=True).returncode
        assert code == {"help": 0, "dmeo": 2, "install": 0, "fuse": 7}[arguments]


@posix_only
def test_help_of_a_command_comes_from_the_command(project):
    assert "RAN ['fuse', '--help']" in run(project, "help", "fuse").stdout
    assert "RAN ['train', '--help']" in run(project, "train", "--help").stdout
    assert installed(project) == [FUSE], "help needs no PyTorch"


# --- What is installed when ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_imports_is_in_the_parts_that_it_gets(command):
    """By its own imports; those that it makes later, when asked for PyTorch, say what is missing."""
    needs = {"torch": "torch", "sklearn": "tools", "joblib": "fuse", "submitit": "fuse"}
    needs.update(threadpoolctl="tools", pandas="tools", pytest="tools", xdist="tools", PySide6="tools")
    path = ROOT / (COMMANDS[command][0].replace(".", "/") + ".py")
    imported = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
        imported |= {name.split(".")[0] for name in names}
    assert {needs[name] for name in imported & set(needs)} <= set(parts.needed([command, "--some"]))


def test_only_commands_that_are_there_need_something():
    assert set(parts.NEEDS) <= set(COMMANDS) and set(parts.NEEDS.values()) <= set(parts.PARTS)
    assert parts.needed(["demo"]) == parts.needed(["fuse"]) == ("fuse",)
    assert parts.needed(["test", "--help"]) == tuple(parts.PARTS), "pytest's own help"


@posix_only
def test_first_start_installs_and_later_starts_do_not(project):
    first = run(project, "demo", "--out", "a b", cwd=project.parent)
    assert first.returncode == 7, first.stderr
    assert "to download" in first.stderr and "on disk" in first.stderr
    assert first.stdout == f"RAN ['demo', '--out', 'a b'] {project.parent}\n"
    second = run(project, "fuse")
    assert (second.returncode, second.stderr) == (7, "")
    assert len(calls(project, "venv")) == 1
    assert installed(project) == [FUSE], "no PyTorch and no tools"
    assert "Successfully installed nothing" in (project / ".venv" / "install.log").read_text()


@posix_only
def test_a_command_adds_what_it_needs(project):
    run(project, "fuse")
    assert run(project, "train").returncode == 7
    assert installed(project) == [FUSE, TORCH, CPU]
    assert run(project, "test").returncode == 7
    assert installed(project) == [FUSE, TORCH, CPU, TOOLS]
    again = run(project, "study")
    assert (again.returncode, again.stderr) == (7, "")
    assert len(calls(project, "venv")) == 1


@posix_only
def test_pytorch_can_be_added_by_name(project):
    result = run(project, "install", "torch")
    assert result.returncode == 0, result.stderr
    assert "PyTorch for the CPU (" in result.stderr and result.stderr.endswith("it has fuse, torch.\n")
    assert installed(project) == [FUSE, TORCH, CPU]
    again = run(project, "install")
    assert again.returncode == 0 and again.stderr == result.stderr.splitlines(keepends=True)[-1]
    assert installed(project) == [FUSE, TORCH, CPU]


@posix_only
def test_changed_list_runs_pip_in_the_same_environment(project):
    run(project, "test")
    for changed in (FUSE, CPU):
        (project / changed).write_text("# something\n", encoding="ascii")
        assert run(project, "test").returncode == 7
    assert len(calls(project, "venv")) == 1
    assert installed(project) == [FUSE, TORCH, CPU, TOOLS, FUSE, TORCH, CPU]


@posix_only
def test_without_a_torch_for_the_cpu_the_whole_one_is_installed(project):
    text = "ERROR: No matching distribution found for torch==2.13.0+cpu"
    (project / f"fail-{CPU}").write_text(text, encoding="utf-8")
    result = run(project, "install", "torch")
    assert result.returncode == 0 and text not in result.stderr
    assert installed(project) == [FUSE, TORCH, CPU, TORCH, CUDA]
    assert run(project, "train").stderr == ""


def test_with_a_gpu_the_build_for_it_comes_first(monkeypatch):
    assert [CPU in build.lists for build in parts.builds("torch")] == [True, False]
    monkeypatch.setattr(parts, "has_nvidia_gpu", lambda: True)
    assert [CUDA in build.lists for build in parts.builds("torch")] == [True, False]


@posix_only
def test_a_torch_that_was_tampered_with_is_not_passed_over(project):
    text = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    (project / f"fail-{CPU}").write_text(text, encoding="utf-8")
    result = run(project, "install", "torch")
    assert result.returncode == 1 and text in result.stderr
    assert CUDA not in installed(project)


def test_stamp_depends_on_the_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    (tmp_path / FUSE).write_bytes(b"nothing==1\n")
    build = parts.PARTS["fuse"][0]
    first = environment.stamp(build)
    (tmp_path / FUSE).write_bytes(b"nothing==1\r\n")
    assert environment.stamp(build) == first, "line ends are no reason to install anew"
    (tmp_path / FUSE).write_bytes(b"nothing==2\n")
    assert environment.stamp(build) != first


@pytest.mark.parametrize("name", LISTS)
def test_missing_list_is_said(project, name):
    (project / name).unlink()
    result = run(project, "test")
    assert result.returncode == 1
    assert name in result.stderr and "Traceback" not in result.stderr


# --- Failures -----------------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize(
    "output, advice",
    [
        ("Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution", "proxy"),
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch", "Linux x86-64"),
        ("ERROR: [Errno 13] Permission denied", "FUNFUSE_VENV"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "was not installed"),
        ("ERROR: Could not open requirements file: [Errno 2] No such file: 'gone.txt'", "PIP_CONSTRAINT"),
        ("ERROR: something else", "network"),
    ],
)
def test_failing_pip_is_explained_and_a_rerun_recovers(project, output, advice):
    (project / "fail").write_text(output, encoding="utf-8")
    result = run(project, "demo")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for part in (*output.splitlines(), "install.log", advice):
        assert part in result.stderr
    assert not list((project / ".venv").glob("funfuse-stamp*"))
    (project / "fail").unlink()
    assert run(project, "demo").returncode == 7
    assert len(calls(project, "venv")) == 1, "the same environment is used on"


@posix_only
def test_interrupted_installation_leaves_no_stamp_and_a_rerun_recovers(project):
    (project / "slow").touch()
    command = [sys.executable, str(project / "start.py"), "demo"]
    child = start_interruptible(command)
    wait_for(lambda: calls(project, "pip"))
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert b"Traceback" not in err and b"interrupted" in err
    assert not list((project / ".venv").glob("funfuse-stamp*"))
    (project / "slow").unlink()
    assert run(project, "demo").returncode == 7
    assert len(calls(project, "venv")) == 1


@posix_only
def test_second_launcher_waits_for_the_first(project):
    (project / "slow").touch()
    command = [sys.executable, str(project / "start.py"), "demo"]
    first = start_interruptible(command)
    wait_for(lambda: calls(project, "pip"))
    (project / "slow").unlink()
    second = start_interruptible(command)
    time.sleep(1)
    assert second.poll() is None
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    _, err = second.communicate(timeout=120)
    assert second.returncode == 7
    assert b"waiting" in err
    assert installed(project) == [FUSE, FUSE]


@posix_only
def test_launchers_at_once_install_once(project):
    command = [sys.executable, str(project / "start.py"), "demo"]
    children = [start_interruptible(command) for _ in range(4)]
    assert [child.communicate(timeout=120) and child.returncode for child in children] == [7] * 4
    assert installed(project) == [FUSE] and len(calls(project, "venv")) == 1


def start_interruptible(command):
    """A process that hears Ctrl-C even where the tests run in the background, which ignores it."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, seconds=120):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_missing_venv_module_names_the_debian_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FUNFUSE_VENV", str(tmp_path / "new"))
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    assert start.main(["demo"]) == 1
    assert "apt install python3-venv" in capsys.readouterr().err


# --- Nothing is lost ----------------------------------------------------------------------------------


def of_another_python(root, *commands):
    """Make the environment, and then as if another Python had made it."""
    for command in commands or ("demo",):
        run(root, command)
    venv = root / ".venv"
    (venv / "left-over").write_text("of before")
    (venv / "funfuse-origin.json").write_text(json.dumps({"folder": str(venv), "python": "3.1"}))
    return venv


@posix_only
@pytest.mark.parametrize("damage", ["python missing", "other Python", "origin lost", "moved", "pip broken"])
def test_environment_that_does_not_serve_is_made_anew_with_all_its_parts(project, damage):
    venv = of_another_python(project, "train")
    own = json.dumps(environment.origin(str(venv)))
    if damage == "python missing":
        (venv / "funfuse-origin.json").write_text(own)
        (venv / "bin" / "python").unlink()
    elif damage == "origin lost":
        (venv / "funfuse-origin.json").unlink()
    elif damage == "moved":
        (venv / "funfuse-origin.json").write_text(own.replace("Ordner", "Anderer Ordner"))
    elif damage == "pip broken":
        (venv / "funfuse-origin.json").write_text(own)
        (venv / "funfuse-stamp-fuse.json").write_text("")
        (Path(packages.site_packages(str(venv))) / "pip-1.dist-info").mkdir()
    assert run(project, "demo").returncode == 7
    assert len(calls(project, "venv")) == 2
    assert not (venv / "left-over").exists() and not (venv / environment.ASIDE).exists()
    assert installed(project) == [FUSE, TORCH, CPU] * 2


@posix_only
def test_environment_of_another_python_is_kept_until_the_new_one_is_complete(project):
    venv = of_another_python(project, "test")
    before = contents(venv)
    (project / f"fail-{TOOLS}").write_text("ERROR: something", encoding="utf-8")
    result = run(project, "demo")
    assert result.returncode == 1 and "for Python 3.1, is as it was" in result.stderr
    assert contents(venv) == before
    (project / f"fail-{TOOLS}").unlink()
    assert run(project, "demo").returncode == 7
    assert not (venv / "left-over").exists()
    assert installed(project)[4:] == [FUSE, TORCH, CPU, TOOLS] * 2


@posix_only
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_environment_of_another_python_survives_a_launcher_that_is_stopped(project, how):
    venv = of_another_python(project)
    before = contents(venv)
    (project / "slow").touch()
    child = start_interruptible([sys.executable, str(project / "start.py"), "demo"])
    wait_for(lambda: len(calls(project, "pip")) == 2)
    if how != "SIGKILL":
        child.send_signal(getattr(signal, how))
        assert child.wait(timeout=120) == (130 if how == "SIGINT" else 143)
    else:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert (venv / environment.ASIDE / "left-over").exists()
        # The next launcher, of whatever Python.
        (project / "fail").write_text("ERROR: something", encoding="utf-8")
        assert run(project, "demo").returncode == 1
    child.communicate(timeout=120)
    assert contents(venv) == before


def contents(folder):
    """Path -> content of all files, without lock and log."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in environment.STAY)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("moment", range(12))
def test_whenever_it_is_stopped_all_comes_back(tmp_path, monkeypatch, moment):
    """The process ends at some rename, in the middle of making anew or of undoing that."""
    for name in ("bin", "lib", "pyvenv.cfg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    before, renamed, rename = contents(tmp_path), [], os.rename

    def stopped(*arguments):
        renamed.append(arguments)
        if len(renamed) > moment:
            raise SystemExit
        rename(*arguments)

    monkeypatch.setattr(environment, "_runs", lambda folder, code: True)
    with monkeypatch.context() as patch:
        patch.setattr(environment.os, "rename", stopped)
        with pytest.raises((SystemExit, ZeroDivisionError)):
            with environment._kept_until_done(str(tmp_path), True):
                (tmp_path / "bin").mkdir()
                (tmp_path / "bin" / "file").write_text("new")
                raise ZeroDivisionError
    environment.put_back(str(tmp_path))
    assert contents(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "lib", "pyvenv.cfg"}


@posix_only
def test_python_that_does_not_start_is_said_and_repaired(project):
    run(project, "demo")
    (project / ".venv" / "bin" / "python").write_bytes(b"\x7fnot a program")
    result = run(project, "demo")
    assert result.returncode == 1
    assert "made anew" in result.stderr and "Traceback" not in result.stderr
    assert run(project, "demo").returncode == 7


# --- Damage -------------------------------------------------------------------------------------------


def package(folder, name, *files, record=True):
    """An installed package in a virtual environment; returns the folder of its packages."""
    site = Path(packages.site_packages(str(folder)))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    for file in files:
        (site / file).write_text("content")
    lines = [f"{file},sha256=abc,7" for file in files] + [f"{info.name}/RECORD,,", "compiled.pyc,sha256=a,9"]
    if record:
        (info / "RECORD").write_text("\n".join(lines))
    return site


def test_damaged_packages_are_found_and_forgotten(tmp_path):
    site = package(tmp_path, "whole", "whole.py")
    package(tmp_path, "Cut_short", "short.py")
    package(tmp_path, "deleted", "gone.py")
    package(tmp_path, "interrupted", record=False)
    (site / "short.py").write_text("con")
    (site / "gone.py").unlink()
    assert packages.damaged(str(tmp_path)) == {"cut-short", "deleted", "interrupted"}
    packages.forget_damaged(str(tmp_path))
    assert set(packages.records(str(tmp_path))) == {"whole"}
    assert packages.damaged(str(tmp_path)) == set() == packages.damaged(str(tmp_path / "nowhere"))


def test_missing_packages_are_those_of_the_lists_that_were_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    monkeypatch.setattr(parts, "ROOT", str(tmp_path))
    for name in LISTS:
        (tmp_path / name).write_text("")
    here, elsewhere = sys.platform, "win32" if sys.platform != "win32" else "linux"
    (tmp_path / FUSE).write_text(
        "there==1 \\\n    --hash=sha256:a\n"
        f'lost==2 ; python_version >= "3.2" and sys_platform == "{here}" \\\n    --hash=sha256:b\n'
        'older==2 ; python_version < "3.2" \\\n    --hash=sha256:b\n'
        f'other==2 ; sys_platform == "{elsewhere}" \\\n    --hash=sha256:b\n'
    )
    (tmp_path / TOOLS).write_text("tool==2 \\\n    --hash=sha256:b\n")
    package(tmp_path, "there")
    assert environment.lacking(str(tmp_path)) == set(), "nothing is known to be installed"
    stamp = environment.stamp(parts.PARTS["fuse"][0])
    (tmp_path / "funfuse-stamp-fuse.json").write_text(json.dumps(stamp))
    assert environment.lacking(str(tmp_path)) == {"lost"}


@posix_only
def test_install_repairs_what_is_missing(project):
    (project / FUSE).write_text("tiny==1 \\\n    --hash=sha256:a\n", encoding="ascii")
    run(project, "train")
    site = package(project / ".venv", "tiny", "tiny.py")
    package(project / ".venv", "pip")
    assert run(project, "install").stderr.count("\n") == 1
    (site / "tiny.py").unlink()
    result = run(project, "install")
    assert result.returncode == 0 and "missing or damaged: tiny." in result.stderr
    assert installed(project) == [FUSE, TORCH, CPU] * 2
    assert not (site / "tiny-1.0.dist-info").exists(), "or pip takes it for installed"


# --- Folders and environment --------------------------------------------------------------------------


@posix_only
def test_other_folder_for_the_environment(project, tmp_path):
    other = tmp_path / "anderswo für alle"
    result = run(project, "demo", env={**os.environ, "FUNFUSE_VENV": str(other)})
    assert result.returncode == 7
    assert (other / "funfuse-stamp-fuse.json").exists()
    assert not (project / ".venv").exists()


def test_foreign_folder_is_never_emptied(project, tmp_path):
    other = tmp_path / "documents"
    other.mkdir()
    (other / "thesis.txt").touch()
    result = run(project, "demo", env={**os.environ, "FUNFUSE_VENV": str(other)})
    assert result.returncode == 1
    assert "did not make" in result.stderr
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_read_only_folder_is_explained(tmp_path, monkeypatch, capsys, code):
    def refuse(path, **_):
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setenv("FUNFUSE_VENV", str(tmp_path / "new"))
    monkeypatch.setattr(environment.os, "makedirs", refuse)
    assert start.main(["demo"]) == 1
    err = capsys.readouterr().err
    assert "new" in err and "FUNFUSE_VENV" in err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="read-only folders, as root")
def test_ready_environment_in_a_read_only_folder_works(project):
    run(project, "demo")
    for folder in (project / ".venv", project):
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        result = run(project, "demo")
    finally:
        project.chmod(stat.S_IRWXU)
        (project / ".venv").chmod(stat.S_IRWXU)
    assert result.returncode == 7, result.stderr


@posix_only
def test_environment_of_the_caller_does_not_leak(project, tmp_path):
    foreign = {"PYTHONPATH": str(tmp_path), "VIRTUAL_ENV": str(tmp_path), "PIP_FIND_LINKS": "wheels"}
    assert run(project, "demo", env={**os.environ, **foreign}).returncode == 7
    assert calls(project, "pip")[0].startswith("PYTHONPATH=|")
    assert calls(project, "demo")[0].startswith(f"PYTHONPATH={project}|")


@pytest.mark.parametrize("version", [sys.version_info[:2], (3, 10)])
def test_current_folder_cannot_shadow_modules(project, tmp_path, monkeypatch, version):
    monkeypatch.setattr(start.sys, "version_info", version)
    monkeypatch.setattr(environment, "venv_python", lambda folder: sys.executable)
    command = start.command_line("", ["one", "two words"])
    monkeypatch.undo()
    (project / "funfuse_cli" / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    for name in ("runpy.py", "funfuse_cli.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    env = {**os.environ, "PYTHONPATH": str(project)}
    output = subprocess.check_output(command, cwd=tmp_path, env=env, text=True)
    assert output == "['one', 'two words']\n"


def test_settings_of_pip_pass_through(monkeypatch):
    for name in ("PIP_FIND_LINKS", "PIP_TARGET", "PYTHONHOME", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "x")
    env = pip.pip_environment()
    assert env["PIP_FIND_LINKS"] == env["HTTPS_PROXY"] == "x"
    assert not {"PIP_TARGET", "PYTHONHOME"} & set(env)


def test_windows_passes_the_exit_code_on(monkeypatch):
    answers = iter([KeyboardInterrupt, 5])

    def wait():
        answer = next(answers)
        if answer is KeyboardInterrupt:
            raise answer
        return answer

    monkeypatch.setattr(start, "os", SimpleNamespace(name="nt", path=os.path, environ=os.environ))
    monkeypatch.setattr(start.subprocess, "Popen", lambda *_, **__: SimpleNamespace(wait=wait))
    assert start.hand_over("venv", ["demo"]) == 5


def test_lock_is_taken_once(tmp_path):
    path = str(tmp_path / "funfuse.lock")
    taken = threading.Event()

    def second():
        with FolderLock(path):
            taken.set()

    with FolderLock(path):
        other = threading.Thread(target=second)
        other.start()
        assert not taken.wait(0.5)
    assert taken.wait(5)
    other.join()


# --- The lists ----------------------------------------------------------------------------------------

HASH = r" \\\n    --hash=sha256:[0-9a-f]{64}"
MARK = r'(python_version (?:<|>=) "3\.\d+"|sys_platform == "\w+")'
REQUIREMENT = rf"([a-z0-9-]+)==([\w.+]+)(?: ; ({MARK}(?: and {MARK})?))?(?:{HASH})+"

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = ("linux", "darwin", "win32")


def requirements(name):
    """What a list says: tuples of name, version and marker ("" for none)."""
    text = (ROOT / name).read_text(encoding="ascii")
    text = re.sub(r"^(#.*)?\n", "", text, flags=re.MULTILINE)
    wrong = re.sub(rf"^{REQUIREMENT}\n", "", text, flags=re.MULTILINE)
    assert wrong == "", "exact versions with checksums, and no option such as a source"
    return [found.groups()[:2] + (found[3] or "",) for found in re.finditer(REQUIREMENT, text)]


def versions(names, python, platform):
    """name -> versions that pip would install from these lists."""
    from packaging.markers import Marker

    environment = {"python_version": python, "sys_platform": platform}
    found = {}
    for name, version, marker in (item for path in names for item in requirements(path)):
        if not marker or Marker(marker).evaluate(environment):
            found.setdefault(name, []).append(version)
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_has_one_exact_version_on_each_python_and_platform(python, platform):
    found = versions((FUSE, TORCH, CUDA, TOOLS), python, platform)
    assert all(len(numbers) == 1 for numbers in found.values()), found
    assert any(name.startswith("nvidia-") for name in found) == (platform == "linux")
    named = {name for list_name in LISTS for name, _, _ in requirements(list_name)}
    missing = named - set(found)
    only_elsewhere = {"colorama", "exceptiongroup", "importlib-resources", "narwhals"}
    only_elsewhere |= {"pytz", "six", "tomli", "triton"}
    assert all(name in only_elsewhere or name.startswith(("nvidia-", "cuda-")) for name in missing)


def test_every_package_is_in_one_list_but_for_torch():
    names = [name for path in LISTS for name in {name for name, _, _ in requirements(path)}]
    assert {name for name in names if names.count(name) > 1} == {"torch"}
    assert requirements(CPU) == [("torch", requirements(CUDA)[0][1] + "+cpu", "")]
    assert not [name for name, _, _ in requirements(FUSE) if name.startswith(("torch", "nvidia", "pytest"))]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_launcher_reads_markers_as_pip_does(python, platform, monkeypatch):
    monkeypatch.setattr(parts.sys, "platform", platform)
    monkeypatch.setattr(parts.sys, "version_info", tuple(int(number) for number in python.split(".")))
    assert parts.packages_of(LISTS) == set(versions(LISTS, python, platform))


@pytest.mark.parametrize("part", parts.PARTS)
def test_the_lists_are_complete(part):
    """What an installed package of a part asks for is in it, or in those before, in the version it wants."""
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lists = [name for before in parts.up_to(part) for name in parts.PARTS[before][-1].lists]
    found = versions(lists, "{}.{}".format(*sys.version_info[:2]), sys.platform)
    checked = 0
    for name, (version,) in found.items():
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if package.version.split("+")[0] != version:
            continue
        checked += 1
        for text in package.requires or ():
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                listed = found.get(canonicalize_name(need.name), ["none"])[0]
                assert listed != "none" and need.specifier.contains(listed), f"{name} needs {text}"
    if checked < 10:
        pytest.skip("that the lists are complete, without the packages of the lists")


# --- With the real pip --------------------------------------------------------------------------------


def wheel(folder, name, version="1.0", content="", needs=""):
    """A tiny package; returns its line in a list."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", content)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def real_venv(tmp_path_factory):
    """A real virtual environment, with pip alone."""
    folder = tmp_path_factory.mktemp("real") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def real_pip(real_venv, tmp_path, monkeypatch):
    """The launcher's pip on a folder of wheels, tmp_path; what is installed is gone afterwards."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    python = environment.venv_python(str(real_venv))
    before = set(packages.records(str(real_venv)))
    yield pip.Pip(python, str(tmp_path))
    added = set(packages.records(str(real_venv))) - before
    if added:
        subprocess.run([python, "-m", "pip", "uninstall", "-y", "-q", *added], check=True)


def versions_in(folder):
    """Package -> version, of a virtual environment."""
    return {
        name: Path(path).name.split("-")[1][: -len(".dist")]
        for name, path in packages.records(folder).items()
    }


@pytest.mark.parametrize(
    "case, words",
    [("right", ""), ("changed", "DO NOT MATCH THE HASHES"), ("without", "Hashes are required")],
)
def test_pip_takes_only_files_with_the_listed_checksum(real_pip, real_venv, tmp_path, case, words):
    line = wheel(tmp_path, "tiny", content="one")
    if case == "changed":
        wheel(tmp_path, "tiny", content="two")
    elif case == "without":
        line = "tiny==1.0\n"
    (tmp_path / "list").write_text(line, encoding="ascii")
    if case == "right":
        real_pip.install([str(tmp_path / "list")], "installing")
    else:
        with pytest.raises(StepFailed, match=words):
            real_pip.install([str(tmp_path / "list")], "installing")
    assert ("tiny" in packages.records(str(real_venv))) == (case == "right")


@pytest.mark.parametrize("how", ["variable", "configuration"])
def test_a_constraint_gets_its_way_where_it_fits(real_pip, real_venv, tmp_path, monkeypatch, capsys, how):
    lines = wheel(tmp_path, "tiny"), wheel(tmp_path, "other", needs="tiny<3"), wheel(tmp_path, "third")
    wheel(tmp_path, "tiny", "2.0")
    wheel(tmp_path, "third", "2.0")
    (tmp_path / "list").write_text("# Comment\n" + "".join(lines), encoding="ascii")
    (tmp_path / "constraint").write_text("tiny==2.0\nthird>1\nother<9\n", encoding="ascii")
    if how == "variable":
        monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraint"))
    else:
        (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path / 'constraint'}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    real_pip.install([str(tmp_path / "list")], "installing")
    found = versions_in(str(real_venv))
    assert (found["tiny"], found["other"], found["third"]) == ("2.0", "1.0", "2.0")
    assert "constraint" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["does not fit", "is not to be had", "outside of pyproject.toml"])
def test_a_constraint_that_does_not_fit_is_named_and_can_be_left_out(
    real_pip, real_venv, tmp_path, monkeypatch, case
):
    name = "pydicom" if case == "outside of pyproject.toml" else "tiny"
    lines = wheel(tmp_path, name, "2.9"), wheel(tmp_path, "other", needs=f"{name}>2")
    wheel(tmp_path, name, "2.0")
    (tmp_path / "list").write_text("".join(lines), encoding="ascii")
    version = "1.5" if case == "is not to be had" else "2.0"
    (tmp_path / "constraint").write_text(f"{name}=={version}\n", encoding="ascii")
    (tmp_path / "pip.conf").write_text(f"[install]\nconstraint = {tmp_path / 'constraint'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with pytest.raises(StepFailed) as caught:
        real_pip.install([str(tmp_path / "list")], "installing")
    assert "constraint" in str(caught.value) and "network" not in str(caught.value)
    assert f"PIP_CONSTRAINT set to {os.devnull}" in str(caught.value)
    monkeypatch.setenv("PIP_CONSTRAINT", os.devnull)
    real_pip.install([str(tmp_path / "list")], "installing")
    assert versions_in(str(real_venv))[name] == "2.9"


def test_what_is_installed_is_compiled_but_for_tests(real_pip, real_venv, tmp_path):
    site = Path(packages.site_packages(str(real_venv)))
    (site / "big" / "tests").mkdir(parents=True)
    for path in (site / "big" / "module.py", site / "big" / "tests" / "module.py"):
        path.write_text("1\n")
    (site / "big" / "template.py").write_text("{{no Python}}\n")
    real_pip.compile(str(site))
    assert [path.parent.parent.name for path in (site / "big").rglob("*.pyc")] == ["big"]


@pytest.mark.parametrize("damage", ["deleted", "never there"])
def test_a_damaged_environment_is_recognized_where_a_command_fails(real_venv, tmp_path, damage):
    """A command in a virtual environment that once had everything, or has only the base."""
    stamp = environment.stamp(parts.PARTS["fuse"][0]) if damage == "deleted" else {}
    (real_venv / "funfuse-origin.json").write_text("{}")
    (real_venv / "funfuse-stamp-fuse.json").write_text(json.dumps(stamp))
    try:
        command = [environment.venv_python(str(real_venv)), "-m", "funfuse_cli", "test"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    finally:
        (real_venv / "funfuse-origin.json").unlink()
        (real_venv / "funfuse-stamp-fuse.json").unlink()
    assert done.returncode == 4 and done.stderr.count("\n") == 1, done.stderr
    if damage == "deleted":
        assert "is damaged" in done.stderr and "numpy" in done.stderr
        assert done.stderr.endswith("run: python3 funfuse.py install\n")
    else:
        assert "pytest" in done.stderr and "python3 funfuse.py install tools" in done.stderr
