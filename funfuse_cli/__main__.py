"""Runs one command: ``python -m funfuse_cli COMMAND [ARGUMENTS]``.

Exit codes: 0 done; 2 the input or an option cannot be used; 3 the results cannot be written; 4 the network or
the computer cannot do it (weights, PyTorch, memory); 5 the registration failed; 130 interrupted; 1 all else.

An error is one line on standard error. ``--traceback`` after any command, or the environment variable
FUNFUSE_TRACEBACK, adds where in the program it happened, with the technical cause.
"""

import importlib
import os
import sys
import traceback
from typing import List

from FunFuseSlicer.Logic.errors import (
    Cancelled,
    DeviceError,
    FunFuseError,
    InputError,
    ModelError,
    OutputError,
    RegistrationError,
)

from .commands import COMMANDS

EXIT_CODES = {InputError: 2, OutputError: 3, ModelError: 4, DeviceError: 4, RegistrationError: 5}
FAILED, MISUSED, NO_MEMORY, INTERRUPTED = 1, 2, 4, 130

TRACEBACK, TRACEBACK_VARIABLE = "--traceback", "FUNFUSE_TRACEBACK"


def main(arguments: List[str]) -> int:
    """Dispatch to the command's ``main(arguments) -> exit code``."""
    shows_traceback = TRACEBACK in arguments or bool(os.environ.get(TRACEBACK_VARIABLE))
    arguments = [argument for argument in arguments if argument != TRACEBACK]
    if not arguments or arguments[0] not in COMMANDS:
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:<10} {text}", file=sys.stderr)
        return MISUSED
    try:
        return importlib.import_module(COMMANDS[arguments[0]][0]).main(arguments[1:])
    except Cancelled:
        return INTERRUPTED
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if shows_traceback:
            traceback.print_exc()
        code, sentence = _told(error)
        print(f"error: {sentence}", file=sys.stderr)
        return code


def _told(error: Exception):
    """The exit code and the sentence of an error."""
    if isinstance(error, FunFuseError):
        codes = [code for kind, code in EXIT_CODES.items() if isinstance(error, kind)]
        return (codes or [FAILED])[0], str(error)
    if isinstance(error, MemoryError):
        return NO_MEMORY, "There is not enough memory: close other programs, or take smaller images."
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return FAILED, f"Something unexpected happened ({what}). {TRACEBACK} shows where."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
