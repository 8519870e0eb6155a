"""The folder of the virtual environment: made, completed, repaired, never lost before there is a new one."""

import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Dict, Iterable, Iterator, Set

from . import packages
from .lock import FolderLock
from .parts import PARTS, ROOT, Build, builds, packages_of
from .pip import DISK_FULL, LOG_FILE, NO_SUCH_PACKAGE, Pip, clean_environment, run_step
from .terminal import LauncherError, StepFailed, say

# Files inside the virtual environment. The lock file also marks the folder as made here: a folder
# without it, named by FUNFUSE_VENV, is never emptied.
LOCK_FILE = "funfuse.lock"
ORIGIN_FILE = "funfuse-origin.json"
STAMP_FILE = "funfuse-stamp-{}.json"
STAY = (LOCK_FILE, LOG_FILE)

# Folders in it, while another Python makes it anew: the one of before on its way there, whole, and
# superseded.
MOVING, ASIDE, SUPERSEDED = "funfuse-moving", "funfuse-previous", "funfuse-superseded"


def venv_folder() -> str:
    """Where the virtual environment is or shall be."""
    named = os.environ.get("FUNFUSE_VENV", "")
    if named.strip():
        return os.path.realpath(os.path.expanduser(named))
    return os.path.join(ROOT, ".venv")


def venv_python(folder: str) -> str:
    """The interpreter of a virtual environment."""
    if os.name == "nt":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


# --- What it is ---------------------------------------------------------------------------------------


def origin(folder: str) -> Dict[str, str]:
    """What a virtual environment depends on: the folder it was made for and the Python version."""
    return {"folder": os.path.realpath(folder), "python": "{}.{}".format(*sys.version_info[:2])}


def is_own(folder: str) -> bool:
    """Whether the virtual environment was made for this folder by this Python, and nothing is half done."""
    return _read_json(folder, ORIGIN_FILE) == origin(folder) and not any(
        os.path.exists(os.path.join(folder, name)) for name in (MOVING, ASIDE)
    )


def stamp(build: Build) -> Dict[str, str]:
    """Fingerprint of an installed build: its lists with their checksums."""
    return {name: _checksum(os.path.join(ROOT, name)) for name in build.lists}


def has_part(folder: str, part: str) -> bool:
    """Whether a part was installed completely, from the lists as they are now."""
    found = _read_json(folder, STAMP_FILE.format(part))
    return found in [stamp(build) for build in PARTS[part]]


def parts_begun(folder: str) -> Set[str]:
    """The parts that were installed completely, if from other lists or by another Python."""
    return {part for part in PARTS if os.path.exists(os.path.join(folder, STAMP_FILE.format(part)))}


def is_ready(folder: str, parts: Iterable[str]) -> bool:
    """Whether the virtual environment has these parts and can be started."""
    return (
        is_own(folder)
        and os.path.exists(os.path.join(folder, "pyvenv.cfg"))
        and os.access(venv_python(folder), os.X_OK)
        and all(has_part(folder, part) for part in parts)
    )


def lacking(folder: str) -> Set[str]:
    """Names of packages that were installed and are now missing or damaged."""
    stamps = (_read_json(folder, STAMP_FILE.format(part)) or {} for part in PARTS)
    lists = [name for found in stamps for name in found if os.path.exists(os.path.join(ROOT, name))]
    return packages.damaged(folder) | (packages_of(lists) - set(packages.records(folder)))


def is_sound(folder: str) -> bool:
    """Whether a virtual environment, complete or not, can be built upon: right place, Python and pip."""
    return is_own(folder) and "pip" not in packages.damaged(folder) and _runs(folder, "import pip._internal")


# --- Making and completing it -------------------------------------------------------------------------


def prepare(folder: str, parts: Iterable[str], check: bool = False) -> None:
    """Make sure that the virtual environment has these parts.

    :param check: find and repair what is missing or damaged, even where all seems to be there.
    :raises LauncherError: it could not be made; one of another Python is then as it was.
    """
    if not check and is_ready(folder, parts):
        return
    try:
        os.makedirs(folder, exist_ok=True)
        _check_removable(folder)
        with FolderLock(os.path.join(folder, LOCK_FILE)), _heard_when_terminated():
            put_back(folder)
            had = parts_begun(folder)
            if check and is_own(folder):
                _forget_lacking(folder)
            # Another launcher may have finished the work while this one waited.
            if not is_ready(folder, parts):
                _install(folder, parts, had)
    except OSError as error:
        raise LauncherError(_describe_os_error(error, folder)) from None


class Terminated(BaseException):
    """The system or a scheduler ends the launcher, which undoes what it was about, as after Ctrl-C."""


@contextmanager
def _heard_when_terminated() -> Iterator[None]:
    def hear(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def disown(folder: str) -> None:
    """The virtual environment cannot be built upon: the next start makes it anew."""
    _remove(os.path.join(folder, ORIGIN_FILE))


def _forget_lacking(folder: str) -> None:
    names = lacking(folder)
    if names:
        say(f"missing or damaged: {', '.join(sorted(names))}.")
        for part in PARTS:
            _remove(os.path.join(folder, STAMP_FILE.format(part)))


def _install(folder: str, parts: Iterable[str], had: Set[str]) -> None:
    """Install parts, in the virtual environment that is there if it can be built upon.

    :param had: what was installed before, and shall be afterwards if all is made anew.
    """
    started = time.monotonic()
    if is_sound(folder):
        packages.forget_damaged(folder)
        _complete(folder, parts)
    else:
        with _kept_until_done(folder, bool(had)):
            _make_venv(folder)
            _complete(folder, {*parts, *had})
    say(f"ready after {time.monotonic() - started:.0f} s.")


def _make_venv(folder: str) -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise LauncherError(
                "this Python lacks the module {}. On Debian and Ubuntu: apt install python3-venv (or "
                "python{}.{}-venv). Then start again.".format(module, *sys.version_info[:2])
            )
    # Where this is the Python of the virtual environment itself: the one that it was made from.
    python = getattr(sys, "_base_executable", None) or sys.executable
    run_step([python, "-I", "-m", "venv", folder], folder, "making the virtual environment")
    _write_json(folder, ORIGIN_FILE, origin(folder))


def _complete(folder: str, parts: Iterable[str]) -> None:
    """Install those parts that are not there, in their order."""
    pip = Pip(venv_python(folder), folder)
    for part in PARTS:
        if part in parts and not has_part(folder, part):
            _remove(os.path.join(folder, STAMP_FILE.format(part)))
            build = _install_part(pip, part)
            pip.compile(packages.site_packages(folder))
            _write_json(folder, STAMP_FILE.format(part), stamp(build))


def _install_part(pip: Pip, part: str) -> Build:
    """Install the first build of a part that can be had."""
    *others, last = builds(part)
    for build in others:
        try:
            return _install_build(pip, build)
        except StepFailed as error:
            if not re.search(NO_SUCH_PACKAGE, error.output):
                raise
            say(f"there is no {build.what} in the sources of packages that pip is set to.")
    return _install_build(pip, last)


def _install_build(pip: Pip, build: Build) -> Build:
    say(f"installing {build} into {pip.folder}; Ctrl-C is safe.")
    pip.install([os.path.join(ROOT, name) for name in build.lists], f"installing {build.what}")
    return build


# --- Keeping it ---------------------------------------------------------------------------------------


@contextmanager
def _kept_until_done(folder: str, complete: bool) -> Iterator[None]:
    """A block that makes the virtual environment anew; should it fail, the one that works is there again."""
    if not (complete and _runs(folder, "")):
        _empty(folder)
        yield
        return
    say("the virtual environment that is there is kept until the new one is complete.")
    try:
        _set_aside(folder)
        yield
    except BaseException:
        put_back(folder)
        raise
    os.rename(os.path.join(folder, ASIDE), os.path.join(folder, SUPERSEDED))
    put_back(folder)


def _set_aside(folder: str) -> None:
    """Move all into a folder in it. A virtual environment works in its own place only, so the new one,
    too, is made there."""
    moving = os.path.join(folder, MOVING)
    os.mkdir(moving)
    for name in os.listdir(folder):
        if name not in (*STAY, MOVING):
            os.rename(os.path.join(folder, name), os.path.join(moving, name))
    os.rename(moving, os.path.join(folder, ASIDE))


def put_back(folder: str) -> None:
    """Undo what a launcher began that did not come to its end, wherever it was interrupted."""
    moving, aside = os.path.join(folder, MOVING), os.path.join(folder, ASIDE)
    shutil.rmtree(os.path.join(folder, SUPERSEDED), ignore_errors=True)
    if os.path.exists(aside):
        _empty(folder, ASIDE)
        os.rename(aside, moving)
    if os.path.exists(moving):
        for name in os.listdir(moving):
            os.rename(os.path.join(moving, name), os.path.join(folder, name))
        os.rmdir(moving)
        made_by = (_read_json(folder, ORIGIN_FILE) or {}).get("python", "another")
        say(f"the virtual environment of before, for Python {made_by}, is as it was.")


def _empty(folder: str, *but: str) -> None:
    """Remove all but lock, log and what is named."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name in (*STAY, *but):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def _check_removable(folder: str) -> None:
    """Refuse to empty a folder that is not ours: FUNFUSE_VENV may name anything."""
    if folder == os.path.join(ROOT, ".venv") and os.path.exists(os.path.join(folder, "pyvenv.cfg")):
        return
    if os.listdir(folder) and not os.path.exists(os.path.join(folder, LOCK_FILE)):
        raise LauncherError(
            f"{folder} has content that funfuse.py did not make. Delete it, or set FUNFUSE_VENV to a new or "
            "empty folder."
        )


def _describe_os_error(error: OSError, folder: str) -> str:
    """A sentence for a folder that cannot be used."""
    text = f"cannot write to {error.filename or folder}: {error.strerror or error}."
    if error.errno == errno.ENOSPC:
        return text + " " + DISK_FULL
    return text + (
        " Set the environment variable FUNFUSE_VENV to a folder that you can write to, for instance "
        "one in your home folder."
    )


# --- Small things -------------------------------------------------------------------------------------


def _runs(folder: str, code: str) -> bool:
    """Whether the virtual environment's Python runs some code."""
    try:
        done = subprocess.run(
            [venv_python(folder), "-I", "-c", code],
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return done.returncode == 0


def _checksum(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read().replace(b"\r\n", b"\n")).hexdigest()
    except OSError as error:
        raise LauncherError(f"cannot read {path}: {error.strerror}") from None


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except FileNotFoundError:
        pass


def _read_json(folder: str, name: str):
    """Content of a small file; None when there is none, or only part of one."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _write_json(folder: str, name: str, content) -> None:
    """Write a small file so that it is there either wholly or not at all."""
    path = os.path.join(folder, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
