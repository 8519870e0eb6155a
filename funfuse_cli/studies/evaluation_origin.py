"""Where figures come from: the versions, and a fingerprint of the code that they depend on."""

import hashlib
import platform
from pathlib import Path

import FunFuseSlicer.Logic as logic_package

# Of the library, what a fused image and its metrics depend on.
PARTS = ("color/*.py", "fusion/*.py", "methods/**/*.py", "metrics/*.py", "volumes/*.py")
# What some methods learned, beside the library.
LEARNED = "Resources/Methods"


def code_fingerprint(module: str) -> str:
    """Changes when code that the figures depend on does.

    :param module: path of the file that measures, which counts as well.
    """
    root = Path(logic_package.__file__).resolve().parent
    files = {path for pattern in PARTS for path in root.glob(pattern)}
    files |= {path for path in (root.parent / LEARNED).glob("*") if path.is_file()}
    digest = hashlib.sha256()
    for path in [*sorted(files), Path(module)]:
        digest.update(f"{path.name} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def versions() -> dict:
    """Of FunFuse, Python, and the packages that compute."""
    import numpy
    import scipy
    import torch

    from FunFuseSlicer.Logic.version import VERSION

    return {
        "FunFuse": VERSION,
        "Python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
