"""``funfuse.py study speed``: docs/speed.md, from what the command benchmark measures."""

import argparse
from pathlib import Path
from typing import List

from .pages import update

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: List[str]) -> int:
    """Measure, unless only the page is wanted, and refresh the page."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study speed",
        description="Run the command benchmark (half an hour on two quiet cores), write "
        "docs/data/speed_* and the plot, and refresh docs/speed.md.",
    )
    parser.add_argument("--update", action="store_true", help="only refresh the page from docs/data")
    options = parser.parse_args(arguments)
    if not options.update:
        from ..commands import benchmark

        benchmark.main(["--docs", str(DOCS)])
    update(DOCS / "speed.md", DOCS / "data")
    return 0
