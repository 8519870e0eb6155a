"""``funfuse.py study speed``: the data of docs/speed.md, which the command benchmark measures."""

import argparse
from typing import List

from ..commands import benchmark
from ..paths import input_path
from . import add_docs


def main(arguments: List[str]) -> int:
    """Run the command benchmark for the page."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study speed",
        description="Run the command benchmark (ten minutes on two quiet cores), write "
        "data/speed_* and the plot.",
    )
    parser.add_argument(
        "--data", type=input_path, default=None, metavar="DIR", help="folder with 'volumes', for a real pair"
    )
    add_docs(parser)
    options = parser.parse_args(arguments)
    data = ["--data", str(options.data)] if options.data else []
    # Not its main: the study has claimed the files already, and its work folder holds those of before.
    asked = benchmark.parser().parse_args(["--docs", str(options.docs), *data])
    return benchmark.run(benchmark.settings_of(asked), asked)
