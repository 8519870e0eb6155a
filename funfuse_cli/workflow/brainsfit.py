"""Where a true BRAINSFit is, when there is one: for the study of the registration, and for tests."""

import os
import shutil
from pathlib import Path
from typing import List, Optional


def find_brainsfit() -> Optional[List[str]]:
    """The command of a true BRAINSFit, or None.

    Looked for in the environment variable FUNFUSE_BRAINSFIT, on the PATH, and inside the Slicer that
    the variable SLICER_HOME or the PATH names. One inside a Slicer is started through it, since it
    needs its libraries.
    """
    given = os.environ.get("FUNFUSE_BRAINSFIT") or shutil.which("BRAINSFit")
    if given:
        return _command(Path(given))
    slicer = shutil.which("Slicer")
    for home in (os.environ.get("SLICER_HOME"), slicer and Path(slicer).resolve().parent):
        for pattern in ("lib/Slicer-*/cli-modules/BRAINSFit*", "**/cli-modules/BRAINSFit"):
            for path in sorted(Path(home).glob(pattern)) if home else ():
                if path.is_file() and path.suffix in ("", ".exe"):
                    return _command(path)
    return None


def start_brainsfit() -> None:
    """Make it a module of the headless Slicer."""
    from ..headless.boot import boot
    from ..headless.cli import add_cli_module

    if not hasattr(boot().modules, "brainsfit"):
        add_cli_module(find_brainsfit(), "BRAINSFit")


def _command(path: Path) -> List[str]:
    """The program, behind the launcher of the Slicer it belongs to."""
    for folder in path.resolve().parents:
        for name in ("Slicer", "Slicer.exe", "Contents/MacOS/Slicer"):
            if (folder / name).is_file() and "cli-modules" in path.parts:
                return [str(folder / name), "--launch", str(path)]
    return [str(path)]
