"""What this installation has: packages that not everybody needs, and the repository around it."""

from pathlib import Path
from typing import Optional

from FunFuseSlicer.Logic.errors import InputError

# Package by the name of its import -> the extra of pyproject.toml that brings it.
EXTRAS = {
    "torch": "torch",
    "joblib": "train",
    "sklearn": "train",
    "threadpoolctl": "train",
    "pandas": "studies",
    "tabulate": "studies",
    "PySide6": "test",
    "pytest": "test",
    "shiboken6": "test",
    "xdist": "test",
}


def remedy(error: BaseException) -> Optional[str]:
    """What to do, as a sentence, about a package of :data:`EXTRAS` that is missing; None for other errors."""
    package = error.name if isinstance(error, ModuleNotFoundError) else None
    if package not in EXTRAS:
        return None
    return (
        f"This needs the Python package {package}, which is not installed. "
        f'Install it with: pip install "funfuse-slicer[{EXTRAS[package]}]"'
    )


def checkout() -> Path:
    """The repository's folder, for what is about the repository itself: its tests and its pages.

    :raises InputError: this was installed without it.
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / "pyproject.toml").is_file():
        raise InputError(
            "This command works on the repository itself, with its tests and pages: get a copy of it and run "
            "python3 funfuse.py there."
        )
    return root
