"""``funfuse.py benchmark``: how fast it is on this computer."""

import argparse
import importlib
import json
from pathlib import Path
from typing import List

from ..benchmarks import BENCHMARKS
from ..benchmarks.timing import machine


def main(arguments: List[str]) -> int:
    """Measure, print a table, and write it as JSON where asked for."""
    options = parser().parse_args(arguments)
    facts = machine()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}")
    results = {}
    for name in options.only or BENCHMARKS:
        module, text = BENCHMARKS[name]
        print(f"\n{text} (median of {options.repeats} repeats; fastest and slowest)")
        results[name] = importlib.import_module(module).measure(options.repeats)
        for row in results[name]:
            times = [f"{1000 * row[key]:9.1f} ms" for key in ("median_s", "fastest_s", "slowest_s")]
            print(f"  {row['what']:<42}" + "".join(times), flush=True)
    if options.json:
        content = {"machine": facts, "repeats": options.repeats, "results": results}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog="funfuse.py benchmark", description="Measure on this computer how fast FunFuse is."
    )
    result.add_argument("--only", nargs="+", choices=list(BENCHMARKS), help="some of the measurements")
    result.add_argument("--repeats", type=_count, default=20, help="of each measurement")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines, too")
    return result


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
