"""``funfuse.py study speed``: the data of docs/speed.md, which the command benchmark measures."""

import argparse
from typing import List

from ..commands import benchmark
from . import DOCS


def main(arguments: List[str]) -> int:
    """Run the command benchmark for the page."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study speed",
        description="Run the command benchmark (half an hour on two quiet cores), write "
        "docs/data/speed_* and the plot.",
    )
    parser.add_argument("--data", default=None, metavar="DIR", help="folder with 'volumes', for a real pair")
    options = parser.parse_args(arguments)
    return benchmark.main(["--docs", str(DOCS), *(["--data", options.data] if options.data else [])])
