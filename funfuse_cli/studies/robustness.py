"""``funfuse.py study robustness``: odd inputs and many runs, in tables for the page."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import List

import pandas as pd

from FunFuseSlicer.Logic.errors import Cancelled, InputError

from ..__main__ import EXIT_CODES, FAILED, INTERRUPTED, MISUSED
from ..benchmarks.timing import machine
from ..paths import input_path
from . import add_docs
from .odd_inputs.cases import real_cases, synthetic_cases
from .robustness_run import COMPLETENESS, run_case
from .robustness_soak import soak


def main(arguments: List[str]) -> int:
    """Run cases and soak, and write the tables; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study robustness",
        description="Give the program odd inputs, on the command line and as nodes of a scene, and many "
        "pairs one after the other.",
    )
    parser.add_argument(
        "--data", type=input_path, metavar="DIR", help="folder with 'volumes/awkward' (else none of it)"
    )
    add_docs(parser)
    parser.add_argument(
        "--soak", type=int, default=400, metavar="N", help="runs in a row (default 400; 0: none)"
    )
    options = parser.parse_args(arguments)
    if options.soak < 0:
        raise InputError("--soak must be 0 or more.")
    if options.data is not None and not (options.data / "volumes" / "awkward").is_dir():
        raise InputError(f"{options.data} has no folder 'volumes/awkward': give the data folder.")
    return 1 if measure(options.data, options.soak, options.docs / "data") else 0


def measure(data: Path, runs: int, folder: Path) -> int:
    """Write the tables, which the README beside them explains; the number of runs that went wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = synthetic_cases() + (real_cases(data) if data else [])
    lines = []
    for case in cases:
        for way in case.ways:
            with tempfile.TemporaryDirectory(prefix="funfuse-", ignore_cleanup_errors=True) as place:
                lines.append(run_case(case, way, Path(place)))
            print("{input} [{way}] {kind}: {sentence} {problems}".format(**lines[-1]), flush=True)
    codes = [(kind.__name__, code, kind.__doc__.strip()) for kind, code in EXIT_CODES.items()]
    codes.append((Cancelled.__name__, INTERRUPTED, Cancelled.__doc__.strip()))
    codes = pd.DataFrame(codes, columns=["class", "code", "meaning"]).sort_values("code", kind="stable")
    tables = {"runs": pd.DataFrame(lines), "codes": codes}
    if runs:
        tables["soak"] = pd.DataFrame(soak(runs))
    for name, table in tables.items():
        table.to_csv(folder / f"robustness_{name}.csv", index=False, lineterminator="\n")
    facts = {**machine(), "completeness": COMPLETENESS, "failed": FAILED, "misused": MISUSED}
    (folder / "robustness_facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return sum(bool(line["problems"]) for line in lines)
