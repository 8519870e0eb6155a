"""Installs the packages of a list, each from a file whose checksum is in it, and explains what went wrong."""

import os
import re
import tempfile
from typing import Optional, Sequence, Set

from .lock import FolderLock
from .parts import ROOT
from .terminal import StepFailed, run_logged, say

LOG_FILE = "install.log"

DISK_FULL = (
    "The disk is full. Free some gigabytes (TMPDIR names the folder for temporary files), or set "
    "FUNFUSE_VENV to a folder on another disk."
)
CONSTRAINT = (
    "pip is given a constraint (by the environment variable PIP_CONSTRAINT, or by its own configuration) "
    f"that does not fit what FunFuse needs. With PIP_CONSTRAINT set to {os.devnull} for the same command it "
    "is left out, for this virtual environment alone."
)
NO_SUCH_PACKAGE = r"No matching distribution|Could not find a version|not a supported wheel"

# What the output tells about the cause, and what to do. Order matters: without a network pip also
# says that it found no matching distribution.
CAUSES = (
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "A file is not the one that the lists expect, and was not installed. Sources of packages "
        "of your own (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) may hold another build of it: "
        "leave them out. If it happens without them, the download was damaged or changed on its way.",
    ),
    (
        r"No space left on device|Errno 28|WinError 112|not enough space",
        DISK_FULL,
    ),
    (
        r"Retrying \(|ConnectionError|NewConnection|timed out|Timeout|name resolution|SSLError|"
        r"CERTIFICATE|ProxyError|Proxy Auth|Connection (refused|reset|aborted)|IncompleteRead",
        "The download failed. Check the network; behind a proxy set HTTPS_PROXY (or PIP_PROXY), and "
        "PIP_CERT if it has its own certificate; without a network set PIP_FIND_LINKS to a folder of "
        "wheels and PIP_NO_INDEX=1.",
    ),
    (r"[Cc]onstraint|Could not open requirements file", CONSTRAINT),
    (
        NO_SUCH_PACKAGE,
        "There is no package for this computer: Linux x86-64 (glibc 2.28 or newer), macOS on Apple "
        "silicon or Windows x64 is needed. If it is one of these, check the network and the sources that "
        "pip is set to.",
    ),
    (
        r"Permission denied|Errno 13|WinError 5\b|Read-only file system",
        "A file cannot be written. Set FUNFUSE_VENV to a folder that you can write to.",
    ),
)
GENERAL_ADVICE = (
    "Check the network (behind a proxy set HTTPS_PROXY) and the free disk space. If it fails again, "
    "delete the folder of the virtual environment and start anew."
)


def clean_environment():
    """The caller's environment without what would lead another Python astray.

    PYTHONPATH goes too: a numpy found through it would hide the one that was installed.
    """
    drop = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in drop}


def pip_environment():
    """Environment for pip: the user's PIP_ settings, except those that install elsewhere."""
    drop = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_PYTHON", "PIP_REQUIREMENT"}
    environment = {name: value for name, value in clean_environment().items() if name not in drop}
    environment["PIP_USER"] = "0"
    return environment


def run_step(command, folder: str, task: str, advice: Optional[str] = None) -> None:
    """Run a step of the installation.

    :param advice: what to do should it fail; by default what the output suggests.
    :raises StepFailed: with what failed, the end of its output, and the advice.
    """
    log_path = os.path.join(folder, LOG_FILE)
    code, lines = run_logged(command, log_path, task, pip_environment(), FolderLock.inheritable())
    if code == 0:
        return
    output = "\n".join(lines)
    suggested = (advice for pattern, advice in CAUSES if re.search(pattern, output))
    advice = advice or next(suggested, GENERAL_ADVICE)
    shown = "\n".join("    " + line for line in lines) or "    (none)"
    raise StepFailed(
        f"{task} failed (exit code {code}). The end of its output:\n\n{shown}\n\n"
        f"Full log: {log_path}\n{advice}\nThen start the same command again.",
        output,
    )


class Pip:
    """The pip of a virtual environment.

    :param python: its interpreter.
    :param folder: where the log goes.
    """

    def __init__(self, python: str, folder: str):
        self.python, self.folder = python, folder

    def command(self, *arguments: str):
        """A command line of pip."""
        return [self.python, "-I", "-X", "utf8", "-m", "pip", *arguments, "--disable-pip-version-check"]

    def install_command(self, *arguments: str):
        """Installs from wheels only: building torch or VTK from source is never what the user wants.

        What is installed is compiled later, see :meth:`compile`.
        """
        return self.command("install", "--no-input", "--only-binary", ":all:", "--no-compile", *arguments)

    def install(self, paths: Sequence[str], task: str) -> None:
        """Install lists of exact versions with checksums.

        A constraint of the user's (of a cluster, or in a container) that excludes some of these versions gets
        its way, where the whole fits together.
        """
        freed: Set[str] = set()
        while True:
            try:
                self._install_without(freed, paths, task)
                break
            except StepFailed as error:
                constrained = set(re.findall(r"\(constraint\) ([\w.-]+)", error.output))
                found = {re.sub(r"[-_.]+", "-", name).lower() for name in constrained} - freed
                if not found:
                    raise
                freed |= found
        if freed:
            say(
                "a constraint that pip is given (PIP_CONSTRAINT, or pip's configuration) excludes the listed "
                f"version of {', '.join(sorted(freed))}: taking what it allows, if that fits."
            )
            ranges = [allowed_range(name) for name in sorted(freed)]
            run_step(self.install_command(*ranges), self.folder, task, CONSTRAINT)
            run_step(self.command("check"), self.folder, "checking what the constraint allows", CONSTRAINT)

    def _install_without(self, freed: Set[str], paths: Sequence[str], task: str) -> None:
        """Install lists without some packages, and so without looking at what needs these."""
        if not freed:
            options = [option for path in paths for option in ("-r", path)]
            return run_step(self.install_command("--require-hashes", *options), self.folder, task)
        with tempfile.TemporaryDirectory() as folder:
            kept = os.path.join(folder, "kept.lock")
            with open(kept, "w", encoding="ascii") as file:
                for path in paths:
                    file.write(without(freed, path))
            options = ("--require-hashes", "--no-deps", "-r", kept)
            return run_step(self.install_command(*options), self.folder, task)

    def compile(self, site_packages: str) -> None:
        """Compile what was installed, but for the packages' own tests, on all cores.

        pip would compile everything, one file after the other.
        """
        command = [self.python, "-I", "-m", "compileall", "-q", "-j", "0", "-x", r"[\\/]tests[\\/]", "."]
        log_path = os.path.join(self.folder, LOG_FILE)
        # Packages hold templates that are no Python: what cannot be compiled does not matter.
        run_logged(command, log_path, "compiling", clean_environment(), cwd=site_packages)


def without(names: Set[str], path: str) -> str:
    """A list without some packages."""
    with open(path, encoding="ascii") as file:
        entries = re.split(r"^(?=[a-z0-9])", file.read(), flags=re.MULTILINE)
    return "".join(entry for entry in entries if entry.split("==")[0] not in names)


def allowed_range(name: str) -> str:
    """A package with the versions that pyproject.toml allows; any for what it does not mention."""
    pattern = rf'^    "({re.escape(name)}[<>=!~][^";]*)"'
    with open(os.path.join(ROOT, "pyproject.toml"), encoding="utf-8") as file:
        found = re.search(pattern, file.read(), re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else name
