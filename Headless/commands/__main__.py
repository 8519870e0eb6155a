"""Runs one command: ``python -m Headless.commands COMMAND [ARGUMENTS]``.

Exit codes: 0 done, 1 the computer's or the program's fault, 2 the input's, 130 interrupted.
"""

import importlib
import os
import sys
from typing import List

from FunFuseSlicer.Logic.errors import Cancelled, FunFuseError

from . import COMMANDS


def main(arguments: List[str]) -> int:
    """Dispatch to the command's ``main(arguments) -> exit code``."""
    if not arguments or arguments[0] not in COMMANDS:
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:<10} {text}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(COMMANDS[arguments[0]][0]).main(arguments[1:])
    except Cancelled:
        return 130
    except FunFuseError as error:
        if os.environ.get("FUNFUSE_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
