"""``funfuse.py study robustness``: odd inputs and many runs, and docs/robustness.md about them."""

import argparse
import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import List

from FunFuseSlicer.Logic.errors import InputError, OutputError

from ..workflow.output_folder import check_writable
from .robustness_cases import real_cases, synthetic_cases
from .robustness_run import Outcome, run_case
from .robustness_soak import Block, soak

PAGE = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
RESULTS = "robustness.json"


def main(arguments: List[str]) -> int:
    """Run all cases and the soak, and write the page; 1 when something is not as it must be."""
    options = parser().parse_args(arguments)
    if options.soak < 0:
        raise InputError("--soak must be 0 or more.")
    if options.data is not None and not (options.data / "volumes" / "awkward").is_dir():
        raise InputError(f"{options.data} has no folder 'volumes/awkward': give the data folder.")
    check_writable(options.out)
    cases = synthetic_cases() + (real_cases(options.data) if options.data else [])
    outcomes = []
    for case in cases:
        for way in case.ways:
            outcomes.append(_run(case, way))
            print(_line(outcomes[-1]), flush=True)
    blocks = soak(options.soak, _print) if options.soak else []
    figures = {
        "cases": [
            {
                "name": o.case.name,
                "way": o.way,
                "kind": o.kind,
                "sentence": o.sentence,
                "problems": o.problems,
            }
            for o in outcomes
        ],
        "soak": [dataclasses.asdict(block) for block in blocks],
    }
    (options.out / RESULTS).write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    from .robustness_page import write_page

    try:
        write_page(outcomes, blocks, options.page)
    except OSError as error:
        raise OutputError(
            f"{options.page} cannot be written ({error.strerror}): choose another --page."
        ) from error
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    print(f"{len(outcomes)} runs of {len(cases)} cases, {wrong} not as they must be; wrote {options.page}")
    return 1 if wrong else 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py study robustness",
        description="Give the program odd inputs, on the command line and as nodes of a scene, and many "
        "pairs one after the other; write the page.",
    )
    result.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with 'volumes/awkward' (else none of it)"
    )
    result.add_argument(
        "--out", type=Path, default=Path("robustness-study"), metavar="DIR", help=f"for {RESULTS}"
    )
    result.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="default: docs/robustness.md")
    result.add_argument("--soak", type=int, default=200, metavar="N", help="runs in a row (default 200)")
    return result


def _run(case, way: str) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="funfuse-robustness-"))
    try:
        return run_case(case, way, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _line(outcome: Outcome) -> str:
    problems = "".join(f"\n  WRONG: {problem}" for problem in outcome.problems)
    return f"{outcome.case.name} [{outcome.way}] {outcome.kind}: {outcome.sentence}{problems}"


def _print(block: Block) -> None:
    print(
        f"{block.runs} runs ({block.results} results, {block.errors} errors, {block.registrations} "
        f"registered): {block.memory_mb:.0f} MB, nodes {block.nodes[0]} -> {block.nodes[1]}, "
        f"{block.files} files, {block.threads} threads, {block.seconds:.0f} s",
        flush=True,
    )
