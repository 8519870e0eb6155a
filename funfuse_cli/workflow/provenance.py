"""Where results come from: when, by which command, from which files, with which versions."""

import datetime
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.output_folder import sha256_of
from FunFuseSlicer.Logic.version import VERSION

from ..installation import checkout

PACKAGES = ("numpy", "scipy", "SimpleITK", "vtk", "pydicom", "slicer-core", "torch")


def provenance(command: str, arguments: Sequence[str], inputs: Dict[str, object], dated: bool = True) -> dict:
    """For ``report.json``: date (UTC), command line, checksums of the inputs, versions, commit.

    :param inputs: role -> path of a file or folder.
    :param dated: without a date, equal runs have equal files.
    """
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    versions = {"FunFuse": VERSION, "Python": platform.python_version(), "system": platform.platform()}
    return {
        **({"date": date} if dated else {}),
        "command": [command, *without_folders(arguments)],
        "inputs": {role: checksum(Path(path)) for role, path in inputs.items()},
        "versions": {**versions, **_installed()},
        "commit": _commit(),
    }


def without_folders(arguments: Sequence[str]) -> List[str]:
    """The arguments with the names of files alone, as names of folders often are those of patients.

    The folder of the results is ".", which it is for who reads the report there.
    """
    result: List[str] = []
    for argument in map(str, arguments):
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        if result[-1:] == ["--out"] or option == "--out" and equals:
            value = "."
        elif os.sep in value or "/" in value:
            value = Path(value).name
        result.append(f"{option}{equals}{value}" if equals else option or value)
    return result


def checksum(path: Path) -> dict:
    """Of a file; of a folder that of its files' checksums, in the order of their names, and their number."""
    if path.is_file():
        return {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    files = sorted(file for file in path.iterdir() if file.is_file())
    text = "".join(f"{file.name} {sha256_of(file)}\n" for file in files)
    return {"sha256": hashlib.sha256(os.fsencode(text)).hexdigest(), "files": len(files)}


def _installed() -> Dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def _commit() -> Optional[str]:
    """The commit of the checkout, "-dirty" behind it when files differ from it; None where there is none."""
    try:
        command = ["git", "-C", str(checkout()), "describe", "--always", "--dirty", "--abbrev=40"]
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    except (InputError, OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
