"""Runs one command: ``funfuse COMMAND [ARGUMENTS]``, or ``python -m funfuse_cli`` and the same.

Exit codes: 0 done; 2 the input or an option cannot be used; 3 the results cannot be written; 4 the network or
the computer cannot do it (weights, PyTorch, memory); 5 the registration failed; 130 interrupted; 1 all else.

An error is one line on standard error. ``--traceback`` after any command, or the environment variable
FUNFUSE_TRACEBACK, adds where in the program it happened, with the technical cause.
"""

import importlib
import os
import sys
import traceback
from typing import List, Optional

from FunFuseSlicer.Logic.errors import (
    Cancelled,
    DeviceError,
    FunFuseError,
    InputError,
    ModelError,
    OutputError,
    RegistrationError,
)
from FunFuseSlicer.Logic.version import VERSION

from .commands import COMMANDS, OF_THE_REPOSITORY
from .installation import checkout, remedy

EXIT_CODES = {InputError: 2, OutputError: 3, ModelError: 4, DeviceError: 4, RegistrationError: 5}
FAILED, MISUSED, NO_MEMORY, NO_PACKAGE, INTERRUPTED = 1, 2, 4, 4, 130

TRACEBACK, TRACEBACK_VARIABLE = "--traceback", "FUNFUSE_TRACEBACK"


def main(arguments: Optional[List[str]] = None) -> int:
    """Dispatch to the command's ``main(arguments) -> exit code``; without arguments those of the process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    shows_traceback = TRACEBACK in arguments or bool(os.environ.get(TRACEBACK_VARIABLE))
    arguments = [argument for argument in arguments if argument != TRACEBACK]
    if "--version" in arguments[:2]:
        print(f"funfuse {VERSION}")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        wants_help = arguments[:1] in (["-h"], ["--help"])
        _usage(sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else MISUSED
    try:
        if arguments[0] in OF_THE_REPOSITORY:
            checkout()
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


def _usage(stream) -> None:
    print("usage: funfuse COMMAND [ARGUMENTS], or --version\n", file=stream)
    for name, (_, text) in COMMANDS.items():
        print(f"  {name:<10} {text}", file=stream)
    print('\n"funfuse fuse --help" tells more about fuse, and so for each command.', file=stream)


def _told(error: Exception):
    """The exit code and the sentence of an error."""
    if isinstance(error, FunFuseError):
        codes = [code for kind, code in EXIT_CODES.items() if isinstance(error, kind)]
        return (codes or [FAILED])[0], str(error)
    lacking = remedy(error)
    if lacking is not None:
        return NO_PACKAGE, lacking
    if isinstance(error, MemoryError):
        return NO_MEMORY, "There is not enough memory: close other programs, or take smaller images."
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return FAILED, f"Something unexpected happened ({what}). {TRACEBACK} shows where."


if __name__ == "__main__":
    sys.exit(main())
