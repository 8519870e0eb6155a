"""What is installed together, how large it is, and which command needs what.

Each part needs those before it.
"""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from typing import Dict, Set, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


@dataclass(frozen=True)
class Build:
    """One way to get a part.

    :param what: what it is, for people.
    :param lists: files that pip gets, in the root folder.
    :param download: in MB, as is the space on disk; measured on Linux x86-64 with Python 3.11.
    :param minutes: about, on two cores.
    """

    what: str
    lists: Tuple[str, ...]
    download: int
    disk: int
    minutes: int

    def __str__(self):
        sizes = f"{_size(self.download)} to download, {_size(self.disk)} on disk"
        return f"{self.what} ({sizes}, {self.minutes} min)"


_FUSE = Build("what demo, fuse, bids, evaluate and uptake need", ("requirements.lock",), 320, 1460, 1)
_CPU = Build("PyTorch for the CPU", ("requirements-torch.lock", "requirements-torch-cpu.lock"), 200, 880, 2)
_CUDA_LISTS = ("requirements-torch.lock", "requirements-torch-cuda.lock")
_CUDA = (
    Build("PyTorch with CUDA", _CUDA_LISTS, 2750, 4900, 5)
    if sys.platform == "linux"
    # The package index has no CUDA for other systems.
    else Build("PyTorch", _CUDA_LISTS, _CPU.download, _CPU.disk, _CPU.minutes)
)
_TOOLS = Build("what tests and studies need", ("requirements-tools.lock",), 200, 650, 2)

# Part -> its builds. Of PyTorch the first that can be had is taken.
PARTS: Dict[str, Tuple[Build, ...]] = {"fuse": (_FUSE,), "torch": (_CPU, _CUDA), "tools": (_TOOLS,)}

# Command -> part; the others need the first.
NEEDS = {
    "train": "torch",
    "learn": "tools",
    "study": "tools",
    "benchmark": "tools",
    "pictures": "tools",
    "test": "tools",
}


def builds(part: str) -> Tuple[Build, ...]:
    """The builds of a part, the one to prefer first: with CUDA only where there is a use for it."""
    found = PARTS[part]
    return found[::-1] if has_nvidia_gpu() else found


def has_nvidia_gpu() -> bool:
    """Whether the driver of one is there."""
    return os.path.exists("/proc/driver/nvidia/version") or shutil.which("nvidia-smi") is not None


def up_to(part: str) -> Tuple[str, ...]:
    """A part and those that it needs."""
    names = tuple(PARTS)
    return names[: names.index(part) + 1]


def needed(arguments) -> Tuple[str, ...]:
    """The parts that a command line needs; help needs no more than the first."""
    command, *others = arguments
    wants_help = command != "test" and {"-h", "--help"} & set(others)
    return up_to("fuse" if wants_help else NEEDS.get(command, "fuse"))


def packages_of(lists) -> Set[str]:
    """Names of the packages in some lists that are for this Python and this system."""
    found = set()
    for name in lists:
        with open(os.path.join(ROOT, name), encoding="ascii") as file:
            for package, marker in re.findall(
                r"^([a-z0-9-]+)==\S+(?: ; (.+?))? \\$", file.read(), re.MULTILINE
            ):
                if all(_holds(condition) for condition in filter(None, marker.split(" and "))):
                    found.add(package)
    return found


def _holds(condition: str) -> bool:
    """Whether one comparison of a marker is true; the lists have these three only."""
    what, sign, value = condition.split()
    value = value.strip('"')
    if what == "sys_platform":
        return (sys.platform == value) == (sign == "==")
    version = tuple(int(number) for number in value.split("."))
    return (sys.version_info[:2] < version) == (sign == "<")


def _size(megabytes: int) -> str:
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
