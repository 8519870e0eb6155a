"""What this installation has: packages that not everybody needs, and the repository around it."""

import sys
from pathlib import Path
from typing import Optional

from FunFuseSlicer.Logic.errors import InputError

# Package by the name of its import -> the extra of pyproject.toml that brings it.
EXTRAS = {
    "torch": "torch",
    "joblib": "bids",
    "submitit": "slurm",
    "sklearn": "train",
    "threadpoolctl": "train",
    "pandas": "studies",
    "tabulate": "studies",
    "PySide6": "test",
    "pytest": "test",
    "shiboken6": "test",
    "xdist": "test",
}
# Extra -> what the launcher has to install for it, if not the tools.
LISTS = {"torch": "torch", "bids": "fuse", "slurm": "fuse"}

ROOT = Path(__file__).resolve().parents[1]


def by_launcher() -> bool:
    """Whether this is a checkout in the virtual environment of its funfuse.py, not what pip installed."""
    return (ROOT / "funfuse.py").is_file() and (Path(sys.prefix) / "funfuse-origin.json").is_file()


def command(name: str) -> str:
    """How to call a command here."""
    return f"{'python3 funfuse.py' if by_launcher() else 'funfuse'} {name}"


def remedy(error: BaseException) -> Optional[str]:
    """What to do, as a sentence, about packages that are missing or damaged; None for other errors."""
    if by_launcher():
        from funfuse_launcher.environment import lacking

        names = ", ".join(sorted(lacking(sys.prefix)))
        if names:
            return (
                f"The virtual environment {sys.prefix} is damaged ({names}). "
                f"To repair it, run: {command('install')}"
            )
    package = error.name if isinstance(error, ModuleNotFoundError) else None
    if package not in EXTRAS:
        return None
    extra = EXTRAS[package]
    how = (
        command(f"install {LISTS.get(extra, 'tools')}")
        if by_launcher()
        else f'pip install "funfuse-slicer[{extra}]"'
    )
    return f"This needs the Python package {package}, which is not installed. Install it with: {how}"


def checkout() -> Path:
    """The repository's folder, for what is about the repository itself: its tests and its pages.

    :raises InputError: this was installed without it.
    """
    if not (ROOT / "pyproject.toml").is_file():
        raise InputError(
            "This command works on the repository itself, with its tests and pages: get a copy of it and run "
            "python3 funfuse.py there."
        )
    return ROOT
