"""The launcher, without network and without a real installation: pip and the interpreter are stand-ins."""

import ast
import errno
import hashlib
import importlib.util
import json
import os
import re
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

from funfuse_cli.commands import COMMANDS
from FunFuseSlicer.Logic.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = ROOT / "funfuse.py"

LISTS = ("requirements.lock", "requirements-torch-cpu.lock", "requirements-torch.lock")

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
elif "pip" in arguments:
    for cause in (root / "fail", root / ("fail-" + os.path.basename(arguments[-1]))):
        if cause.exists():
            print(cause.read_text(encoding="utf-8"))
            sys.exit(1)
    if (root / "slow").exists():
        print("Collecting patience", flush=True)
        time.sleep(60)
    print("Successfully installed nothing")
else:  # -P -m funfuse_cli.commands ARGUMENTS, or -c CODE ARGUMENTS
    if "-I" in arguments:
        sys.exit(0)
    print("RAN", arguments[3 if arguments[0] == "-P" else 2 :], os.getcwd())
    sys.exit(7)
"""

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")


def load(path):
    """Import a launcher file under a name of its own."""
    spec = importlib.util.spec_from_file_location("launcher_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the launcher in a folder with a space and umlauts, with stand-ins for all it starts."""
    root = tmp_path / "Ordner für Köpfe"
    (root / "funfuse_cli" / "commands").mkdir(parents=True)
    (root / "funfuse.py").write_bytes(LAUNCHER.read_bytes())
    table = Path("funfuse_cli", "commands", "__init__.py")
    (root / table).write_bytes((ROOT / table).read_bytes())
    for name in LISTS:
        (root / name).write_text("nothing==1\n", encoding="ascii")
    stand_in = STAND_IN.format(python=sys.executable, root=str(root))
    if len(sys.executable) > 100 or " " in sys.executable:
        # A #! line takes neither spaces nor long paths; the shell does.
        header = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
        stand_in = header + stand_in.split("\n", 1)[1]
    (root / "stand-in").write_text(stand_in, encoding="utf-8")
    (root / "stand-in").chmod(0o755)
    # A start of the real file, except that its Python is the stand-in.
    (root / "start.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(root)!r})\n"
        "import funfuse\n"
        f"sys.executable = {str(root / 'stand-in')!r}\n"
        "sys.exit(funfuse.main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    monkeypatch.delenv("FUNFUSE_VENV", raising=False)
    return root


def start(root, *arguments, **options):
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
    """How often the stand-in was called with this argument."""
    path = root / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if word in line.split("|")]


def installed(root):
    """The lists that pip was given, in order."""
    return [os.path.basename(line.split("|")[-1]) for line in calls(root, "pip")]


# --- Python versions, help, commands ------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13)])
def test_suitable_versions_are_accepted(version):
    assert load(LAUNCHER).why_unsuitable(version, "cpython", 64, False) is None


@pytest.mark.parametrize(
    "arguments, word",
    [
        (((3, 6), "cpython", 64, False), "Python 3.6"),
        (((3, 9), "cpython", 64, False), "Python 3.9"),
        (((3, 14), "cpython", 64, False), "Python 3.14"),
        (((3, 11), "pypy", 64, False), "pypy"),
        (((3, 11), "cpython", 32, False), "32-bit"),
        (((3, 13), "cpython", 64, True), "free-threaded"),
    ],
)
def test_unsuitable_python_is_refused_in_one_line(arguments, word, monkeypatch, capsys):
    launcher = load(LAUNCHER)
    reason = launcher.why_unsuitable(*arguments)
    monkeypatch.setattr(launcher, "why_unsuitable", lambda: reason)
    monkeypatch.setattr(launcher, "find_suitable_python", lambda: "python3.12")
    assert launcher.main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert word in err and "python3.12 funfuse.py" in err


def test_old_python_can_parse_the_launcher():
    ast.parse(LAUNCHER.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_launcher_uses_the_standard_library_only():
    tree = ast.parse(LAUNCHER.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all(isinstance(node, ast.Import) for node in imports)
    names = {alias.name.split(".")[0] for node in imports for alias in node.names}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_needs_no_installation(project, arguments):
    result = start(project, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "FUNFUSE_VENV" in result.stdout
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("arguments", [["--version"], ["fuse", "--version"]])
def test_the_version_needs_no_installation(project, arguments):
    path = Path("FunFuseSlicer", "Logic", "version.py")
    (project / path).parent.mkdir(parents=True)
    (project / path).write_bytes((ROOT / path).read_bytes())
    result = start(project, *arguments)
    assert (result.returncode, result.stdout) == (0, f"funfuse {VERSION}\n")
    assert not (project / ".venv").exists()
    (project / path).unlink()
    assert start(project, *arguments).returncode == 0


def test_help_lists_the_command_table():
    listed = re.findall(r"^  ([a-z]\w*) {2,}(.+)$", load(LAUNCHER).HELP.split("environment")[0], re.M)
    assert dict(listed) == {name: text for name, (_, text) in COMMANDS.items()}


def test_command_table_is_read_without_importing_it():
    assert load(LAUNCHER).known_commands() == list(COMMANDS)


def test_mistyped_command_installs_nothing(project):
    result = start(project, "dmeo")
    assert result.returncode == 2
    assert "'dmeo'" in result.stderr and "demo" in result.stderr
    assert not (project / ".venv").exists()


# --- Stamp --------------------------------------------------------------------------------------------


def test_stamp_depends_on_list_python_and_folder(project, monkeypatch):
    launcher = load(project / "funfuse.py")
    folder = str(project / ".venv")
    first = launcher.expected_stamp(folder)
    assert launcher.expected_stamp(folder) == first
    assert launcher.expected_stamp(folder + "2") != first
    with monkeypatch.context() as patch:
        patch.setattr(launcher.sys, "version_info", (3, 99, 0))
        assert launcher.expected_stamp(folder) != first
    (project / "requirements.lock").write_bytes(b"nothing==1\r\n")
    assert launcher.expected_stamp(folder) == first, "line ends are no reason to install anew"
    for name in LISTS:
        before = (project / name).read_bytes()
        (project / name).write_bytes(b"nothing==2\n")
        assert launcher.expected_stamp(folder) != first
        (project / name).write_bytes(before)


@pytest.mark.parametrize("name", LISTS)
def test_missing_list_is_said(project, name):
    (project / name).unlink()
    result = start(project, "demo")
    assert result.returncode == 1
    assert name in result.stderr and "Traceback" not in result.stderr


# --- Installation -------------------------------------------------------------------------------------


@posix_only
def test_first_start_installs_and_later_starts_do_not(project):
    first = start(project, "demo", "--out", "a b", cwd=project.parent)
    assert first.returncode == 7, first.stderr
    assert "few minutes" in first.stderr
    assert first.stdout == f"RAN ['demo', '--out', 'a b'] {project.parent}\n"
    second = start(project, "fuse")
    assert (second.returncode, second.stderr) == (7, "")
    assert len(calls(project, "venv")) == 1
    assert installed(project) == ["requirements.lock", "requirements-torch-cpu.lock"]
    assert "Successfully installed nothing" in (project / ".venv" / "install.log").read_text()


@posix_only
def test_changed_list_runs_pip_in_the_same_environment(project):
    start(project, "demo")
    (project / "requirements.lock").write_text("nothing==2\n", encoding="ascii")
    assert start(project, "demo").returncode == 7
    assert len(calls(project, "venv")) == 1
    assert installed(project) == ["requirements.lock", "requirements-torch-cpu.lock"] * 2


@posix_only
def test_without_a_torch_for_the_cpu_the_whole_one_is_installed(project):
    text = "ERROR: No matching distribution found for torch==2.13.0+cpu"
    (project / "fail-requirements-torch-cpu.lock").write_text(text, encoding="utf-8")
    result = start(project, "demo")
    assert result.returncode == 7 and text not in result.stderr
    assert installed(project) == list(LISTS)


@posix_only
def test_a_torch_that_was_tampered_with_is_not_passed_over(project):
    text = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    (project / "fail-requirements-torch-cpu.lock").write_text(text, encoding="utf-8")
    result = start(project, "demo")
    assert result.returncode == 1 and text in result.stderr
    assert "requirements-torch.lock" not in installed(project)


@posix_only
@pytest.mark.parametrize(
    "output, advice",
    [
        ("Retrying (Retry(total=4)) after connection broken\nERROR: No matching distribution", "proxy"),
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch", "Linux x86-64"),
        ("ERROR: [Errno 13] Permission denied", "FUNFUSE_VENV"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "was not installed"),
        ("ERROR: something else", "network"),
    ],
)
def test_failing_pip_is_explained_and_a_rerun_recovers(project, output, advice):
    (project / "fail").write_text(output, encoding="utf-8")
    result = start(project, "demo")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for part in (*output.splitlines(), "install.log", advice):
        assert part in result.stderr
    assert not (project / ".venv" / "funfuse-stamp").exists()
    (project / "fail").unlink()
    assert start(project, "demo").returncode == 7
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
    assert not (project / ".venv" / "funfuse-stamp").exists()
    (project / "slow").unlink()
    assert start(project, "demo").returncode == 7


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
    assert installed(project) == ["requirements.lock", "requirements.lock", "requirements-torch-cpu.lock"]


def start_interruptible(command):
    """A process that hears Ctrl-C even where the tests run in the background, which ignores it."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, seconds=120):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@posix_only
@pytest.mark.parametrize("damage", ["python missing", "other Python", "origin lost", "moved"])
def test_broken_environment_is_made_anew(project, damage):
    start(project, "demo")
    venv = project / ".venv"
    (venv / "left-over").touch()
    if damage == "python missing":
        (venv / "bin" / "python").unlink()
    elif damage == "other Python":
        (venv / "funfuse-origin.json").write_text(json.dumps({"folder": str(venv), "python": "3.1"}))
        (venv / "funfuse-stamp").write_text("that of another Python")
    elif damage == "origin lost":
        (venv / "funfuse-origin.json").unlink()
        (venv / "funfuse-stamp").unlink()
    else:
        (venv / "funfuse-origin.json").write_text(
            (venv / "funfuse-origin.json").read_text().replace("Ordner", "Anderer Ordner")
        )
        (venv / "funfuse-stamp").write_text("that of another folder")
    assert start(project, "demo").returncode == 7
    assert len(calls(project, "venv")) == 2
    assert not (venv / "left-over").exists()


@posix_only
def test_python_that_does_not_start_is_said_and_repaired(project):
    start(project, "demo")
    (project / ".venv" / "bin" / "python").write_bytes(b"\x7fnot a program")
    result = start(project, "demo")
    assert result.returncode == 1
    assert "made anew" in result.stderr and "Traceback" not in result.stderr
    assert start(project, "demo").returncode == 7


def test_missing_venv_module_names_the_debian_package(project, monkeypatch, capsys):
    launcher = load(project / "funfuse.py")
    monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None)
    assert launcher.main(["demo"]) == 1
    assert "apt install python3-venv" in capsys.readouterr().err


def test_records_of_half_installed_packages_are_removed(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in ("whole-1.dist-info", "half-1.dist-info"):
        (packages / name).mkdir(parents=True)
    (packages / "whole-1.dist-info" / "RECORD").touch()
    load(LAUNCHER).remove_half_installed(str(tmp_path))
    assert [path.name for path in packages.iterdir()] == ["whole-1.dist-info"]


# --- Folders and environment --------------------------------------------------------------------------


@posix_only
def test_other_folder_for_the_environment(project, tmp_path):
    other = tmp_path / "anderswo für alle"
    result = start(project, "demo", env={**os.environ, "FUNFUSE_VENV": str(other)})
    assert result.returncode == 7
    assert (other / "funfuse-stamp").exists()
    assert not (project / ".venv").exists()


def test_foreign_folder_is_never_emptied(project, tmp_path):
    other = tmp_path / "documents"
    other.mkdir()
    (other / "thesis.txt").touch()
    result = start(project, "demo", env={**os.environ, "FUNFUSE_VENV": str(other)})
    assert result.returncode == 1
    assert "did not make" in result.stderr
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_read_only_folder_is_explained(project, monkeypatch, capsys, code):
    launcher = load(project / "funfuse.py")

    def refuse(path, **_):
        raise OSError(code, os.strerror(code), path)

    monkeypatch.setattr(launcher.os, "makedirs", refuse)
    assert launcher.main(["demo"]) == 1
    err = capsys.readouterr().err
    assert ".venv" in err and "FUNFUSE_VENV" in err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who can be refused")
def test_ready_environment_in_a_read_only_folder_works(project):
    start(project, "demo")
    for folder in (project / ".venv", project):
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        result = start(project, "demo")
    finally:
        project.chmod(stat.S_IRWXU)
        (project / ".venv").chmod(stat.S_IRWXU)
    assert result.returncode == 7, result.stderr


@posix_only
def test_environment_of_the_caller_does_not_leak(project, tmp_path):
    foreign = {"PYTHONPATH": str(tmp_path), "VIRTUAL_ENV": str(tmp_path), "PIP_FIND_LINKS": "wheels"}
    assert start(project, "demo", env={**os.environ, **foreign}).returncode == 7
    assert calls(project, "pip")[0].startswith("PYTHONPATH=|")
    assert calls(project, "demo")[0].startswith(f"PYTHONPATH={project}|")


@pytest.mark.parametrize("version", [sys.version_info[:2], (3, 10)])
def test_current_folder_cannot_shadow_modules(project, tmp_path, monkeypatch, version):
    launcher = load(project / "funfuse.py")
    monkeypatch.setattr(launcher.sys, "version_info", version)
    monkeypatch.setattr(launcher, "venv_python", lambda folder: sys.executable)
    command = launcher.command_line("", ["one", "two words"])
    monkeypatch.undo()
    (project / "funfuse_cli" / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    for name in ("runpy.py", "funfuse_cli.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    environment = {**os.environ, "PYTHONPATH": str(project)}
    output = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    assert output == "['one', 'two words']\n"


def test_settings_of_pip_pass_through(monkeypatch):
    launcher = load(LAUNCHER)
    for name in ("PIP_FIND_LINKS", "PIP_TARGET", "PYTHONHOME", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "x")
    environment = launcher.pip_environment()
    assert environment["PIP_FIND_LINKS"] == environment["HTTPS_PROXY"] == "x"
    assert not {"PIP_TARGET", "PYTHONHOME"} & set(environment)


def test_windows_passes_the_exit_code_on(monkeypatch):
    launcher = load(LAUNCHER)
    answers = iter([KeyboardInterrupt, 5])

    def wait():
        answer = next(answers)
        if answer is KeyboardInterrupt:
            raise answer
        return answer

    monkeypatch.setattr(launcher, "os", SimpleNamespace(name="nt", path=os.path, environ=os.environ))
    monkeypatch.setattr(launcher.subprocess, "Popen", lambda *_, **__: SimpleNamespace(wait=wait))
    assert launcher.hand_over("venv", ["demo"]) == 5


def test_lock_is_taken_once(tmp_path):
    launcher = load(LAUNCHER)
    path = str(tmp_path / "funfuse.lock")
    taken = threading.Event()

    def second():
        with launcher.FolderLock(path):
            taken.set()

    with launcher.FolderLock(path):
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
    found = versions((LISTS[0], LISTS[2]), python, platform)
    assert all(len(numbers) == 1 for numbers in found.values()), found
    assert any(name.startswith("nvidia-") for name in found) == (platform == "linux")
    named = {name for list_name in LISTS for name, _, _ in requirements(list_name)}
    missing = named - set(found)
    only_elsewhere = {"colorama", "exceptiongroup", "narwhals", "pytz", "six", "tomli", "triton"}
    assert all(name in only_elsewhere or name.startswith(("nvidia-", "cuda-")) for name in missing)


def test_torch_is_in_its_own_lists_only_and_of_one_version():
    assert not [name for name, _, _ in requirements(LISTS[0]) if name.startswith(("torch", "nvidia", "cuda"))]
    assert requirements(LISTS[1]) == [("torch", requirements(LISTS[2])[0][1] + "+cpu", "")]


def test_the_lists_are_complete():
    """What an installed package of the lists asks for is in the lists, in the version it wants."""
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found = versions((LISTS[0], LISTS[2]), "{}.{}".format(*sys.version_info[:2]), sys.platform)
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
        pytest.skip("too few packages of the lists are installed")


def wheel(folder, name, content):
    """A tiny package of version 1.0; returns the checksum of its file."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "case, words",
    [("right", ""), ("changed", "DO NOT MATCH THE HASHES"), ("without", "Hashes are required")],
)
def test_pip_takes_only_files_with_the_listed_checksum(tmp_path, monkeypatch, case, words):
    """The launcher's own command, with the real pip, on tiny packages and without a network."""
    pytest.importorskip("pip")
    launcher = load(LAUNCHER)
    line = f"tiny==1.0 --hash=sha256:{wheel(tmp_path, 'tiny', 'one')}\n"
    if case == "changed":
        wheel(tmp_path, "tiny", "two")
    elif case == "without":
        line = "tiny==1.0\n"
    (tmp_path / "list").write_text(line, encoding="ascii")
    monkeypatch.setattr(launcher, "venv_python", lambda folder: sys.executable)
    command = launcher.install_command("", str(tmp_path / "list")) + ["--target", str(tmp_path / "out")]
    environment = {**launcher.pip_environment(), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert words in done.stdout + done.stderr
    assert (done.returncode == 0) == (tmp_path / "out" / "tiny.py").exists() == (case == "right")
