"""``funfuse.py study NAME``: measure what a page in docs says, and carry it into the pages."""

import argparse
import importlib
import shutil
import sys
import time
from typing import List

from FunFuseSlicer.Logic.output_folder import all_or_nothing

from ..installation import checkout
from ..workflow.output_folder import claim
from . import DOCS, STUDIES, add_docs, pages

UPDATE = "--update"
MODEL_CARD = "FunFuseSlicer/Resources/Models/MODEL_CARD.md"


def main(arguments: List[str]) -> int:
    """Dispatch to the study's ``main(arguments) -> exit code``; refresh the pages where it wrote their data.

    With ``--update`` nothing is measured. 1 when a page says what the data do not.
    """
    name = next(iter(arguments), "")
    if name in STUDIES and UPDATE not in arguments:
        return _measure(name, arguments[1:])
    if arguments in ([UPDATE], [name, UPDATE]):
        return refresh()
    wants_help = arguments[:1] in (["-h"], ["--help"])
    stream = sys.stdout if wants_help else sys.stderr
    print("usage: funfuse study NAME [ARGS]\n", file=stream)
    for name, (_, text) in STUDIES.items():
        print(f"  {name:<13} {text}", file=stream)
    print(f"\n{UPDATE} only carries docs/data into the pages, with or without a NAME.", file=stream)
    return 0 if wants_help else 2


def _measure(name: str, arguments: List[str]) -> int:
    """Run a study on copies of its data and images; what it changed moves into --docs when it ends well."""
    study, start = importlib.import_module(STUDIES[name][0]), time.monotonic()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_docs(parser)
    options, rest = parser.parse_known_args(arguments)
    if name == "weights" or {"-h", "--help"} & set(arguments):
        return study.main(arguments)  # it has a folder of its own
    own = [f"{folder}/{name}*" for folder in ("data", "images")]
    with all_or_nothing(options.docs, claim(own, options, where="--docs")) as work:
        before = {}
        for path in (path for pattern in own for path in options.docs.glob(pattern)):
            copy = work / path.relative_to(options.docs)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
            before[copy] = copy.read_bytes()
        code = study.main([*rest, "--docs", str(work)])
        for copy, content in before.items():
            if copy.exists() and copy.read_bytes() == content:
                copy.unlink()
    print(f"results     {options.docs.resolve()}, in {(time.monotonic() - start) / 60:.1f} minutes")
    return max(code, refresh() if options.docs.resolve() == DOCS else 0)


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
