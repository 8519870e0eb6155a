"""``funfuse.py study NAME``: measure what a page in docs says, and carry it into the pages."""

import importlib
import sys
from typing import List

from ..installation import checkout
from . import STUDIES, pages

UPDATE = "--update"
MODEL_CARD = "FunFuseSlicer/Resources/Models/MODEL_CARD.md"


def main(arguments: List[str]) -> int:
    """Dispatch to the study's ``main(arguments) -> exit code``, then refresh the pages.

    With ``--update`` nothing is measured. 1 when a page says what the data do not.
    """
    name = next(iter(arguments), "")
    if name in STUDIES:
        code = 0 if UPDATE in arguments else importlib.import_module(STUDIES[name][0]).main(arguments[1:])
        return max(code, refresh())
    if arguments == [UPDATE]:
        return refresh()
    wants_help = arguments[:1] in (["-h"], ["--help"])
    stream = sys.stdout if wants_help else sys.stderr
    print("usage: funfuse study NAME [ARGS]\n", file=stream)
    for name, (_, text) in STUDIES.items():
        print(f"  {name:<13} {text}", file=stream)
    print(f"\n{UPDATE} only carries docs/data into the pages, with or without a NAME.", file=stream)
    return 0 if wants_help else 2


def refresh() -> int:
    """Carry docs/data into every page, and tell what is no longer true; 1 if there is anything.

    :raises PageError: a marker that cannot be computed.
    """
    root = checkout()
    data, problems = root / "docs" / "data", []
    for page in [*sorted((root / "docs").glob("*.md")), root / MODEL_CARD]:
        if pages.update(page, data):
            print(f"{page.relative_to(root)}: refreshed")
        problems += pages.check(page, data)
    print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
    return 1 if problems else 0
