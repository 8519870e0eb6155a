"""``funfuse.py study NAME``: compute the figures of a page in docs, and write the page."""

import importlib
import sys
from typing import List

from . import STUDIES


def main(arguments: List[str]) -> int:
    """Dispatch to the study's ``main(arguments) -> exit code``."""
    wants_help = arguments[:1] in (["-h"], ["--help"])
    if not wants_help and arguments and arguments[0] in STUDIES:
        return importlib.import_module(STUDIES[arguments[0]][0]).main(arguments[1:])
    stream = sys.stdout if wants_help else sys.stderr
    print("usage: python3 funfuse.py study NAME [ARGS]\n", file=stream)
    for name, (_, text) in STUDIES.items():
        print(f"  {name:<13} {text}", file=stream)
    return 0 if wants_help else 2
