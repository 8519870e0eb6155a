"""Where a true BRAINSFit is, when there is one."""

import os
import shutil
from pathlib import Path
from typing import List, Optional

# Path of the program BRAINSFit, for tests and the study of the registration.
VARIABLE = "FUNFUSE_BRAINSFIT"


def find_brainsfit() -> Optional[List[str]]:
    """The command of a true BRAINSFit, or None.

    Looked for in the environment variable FUNFUSE_BRAINSFIT, on the PATH, and inside the Slicer that
    the variable SLICER_HOME or the PATH names. One inside a Slicer is started through it, since it
    needs its libraries.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return _command(Path(given))
    found = shutil.which("BRAINSFit")
    if found:
        return _command(Path(found))
    for home in _slicer_homes():
        for pattern in ("lib/Slicer-*/cli-modules/BRAINSFit*", "**/cli-modules/BRAINSFit"):
            for path in sorted(home.glob(pattern)):
                if path.is_file() and path.suffix in ("", ".exe"):
                    return _command(path)
    return None


def _slicer_homes() -> List[Path]:
    homes = [Path(os.environ["SLICER_HOME"])] if os.environ.get("SLICER_HOME") else []
    slicer = shutil.which("Slicer")
    if slicer:
        homes.append(Path(slicer).resolve().parent)
    return [home for home in homes if home.is_dir()]


def _command(path: Path) -> List[str]:
    """The program, behind the launcher of the Slicer it belongs to."""
    for folder in path.resolve().parents:
        for name in ("Slicer", "Slicer.exe", "Contents/MacOS/Slicer"):
            launcher = folder / name
            if launcher.is_file() and "cli-modules" in path.parts:
                return [str(launcher), "--launch", str(path)]
    return [str(path)]
