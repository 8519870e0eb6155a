"""What is installed in a virtual environment, and whether it is whole."""

import csv
import os
import re
import shutil
import sys
from typing import Dict, Set


def site_packages(folder: str) -> str:
    """Where a virtual environment of this Python has its packages."""
    if os.name == "nt":
        return os.path.join(folder, "Lib", "site-packages")
    return os.path.join(folder, "lib", "python{}.{}".format(*sys.version_info[:2]), "site-packages")


def records(folder: str) -> Dict[str, str]:
    """Package -> the folder that pip keeps about it, as far as there is one."""
    site, found = site_packages(folder), {}
    for entry in os.listdir(site) if os.path.isdir(site) else ():
        if entry.endswith(".dist-info"):
            name = re.sub(r"[-_.]+", "-", entry.split("-")[0]).lower()
            found[name] = os.path.join(site, entry)
    return found


def damaged(folder: str) -> Set[str]:
    """Names of packages of which a file is missing or cut short."""
    return {name for name, record in records(folder).items() if not _is_whole(record)}


def forget_damaged(folder: str) -> None:
    """Let pip no longer take damaged packages for installed."""
    known = records(folder)
    for name in damaged(folder):
        shutil.rmtree(known[name])


def _is_whole(record: str) -> bool:
    """Compare the list of files, which pip writes last, with what is on disk."""
    site = os.path.dirname(record)
    try:
        with open(os.path.join(record, "RECORD"), encoding="utf-8", newline="") as file:
            for path, _, size in csv.reader(file):
                # Python writes compiled files anew, also those that a package brought.
                if not size or path.endswith(".pyc"):
                    continue
                if os.stat(os.path.join(site, path)).st_size != int(size):
                    return False
    except (OSError, ValueError):
        return False
    return True
