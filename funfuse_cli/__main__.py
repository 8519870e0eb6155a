"""Runs one command: ``funfuse COMMAND [ARGUMENTS]``, or ``python -m funfuse_cli`` and the same.

Exit codes: 0 done; 2 the input or an option cannot be used; 3 the results cannot be written; 4 the network or
the computer cannot do it (weights, PyTorch, memory); 5 the registration failed; 130 interrupted; 143 stopped
(SIGTERM), 129 because the terminal was closed (SIGHUP); 1 all else.

An error is one line on standard error. ``--traceback`` after any command, or the environment variable
FUNFUSE_TRACEBACK, adds where in the program it happened, with the technical cause. So does ``--verbose``,
which first says what all runs on; ``--quiet`` leaves results and errors.
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until there is a main that could say a word, Ctrl-C ends the process and nothing else.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import importlib
import importlib.metadata
import io
import os
import platform
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from typing import List, Optional, Set, Tuple

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

from . import terminal
from .commands import COMMANDS, OF_THE_REPOSITORY, PRINT_RESULTS
from .installation import checkout, remedy

EXIT_CODES = {InputError: 2, OutputError: 3, ModelError: 4, DeviceError: 4, RegistrationError: 5}
FAILED, MISUSED, NO_MEMORY, NO_PACKAGE, INTERRUPTED = 1, 2, 4, 4, 130

TRACEBACK, TRACEBACK_VARIABLE = "--traceback", "FUNFUSE_TRACEBACK"
QUIET, VERBOSE = ("-q", "--quiet"), ("-v", "--verbose")
TOLD_OF = ("numpy", "scipy", "SimpleITK", "vtk", "slicer-core", "torch")


class Stopped(KeyboardInterrupt):
    """A signal that ends the process: as Ctrl-C does, but for the exit code."""

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number


def main(arguments: Optional[List[str]] = None) -> int:
    """Dispatch to the command's ``main(arguments) -> exit code``.

    Without arguments it is the start of the process: it takes those of the process, and looks after its
    streams and signals.
    """
    if arguments is not None:
        return _run(arguments)
    try:
        terminal.prepare()
        _listen()
        return _run(sys.argv[1:])
    except KeyboardInterrupt as error:
        return getattr(error, "code", INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to end


def _listen() -> None:
    """Let the signals by which schedulers, containers and systems stop a program end it as Ctrl-C does."""
    for name, handler in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", _stop),
        ("SIGHUP", _stop),
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # else it is to be ignored
            signal.signal(number, handler)


def _stop(number: int, _frame) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut short what the first one began
    # Ctrl-C reaches every process of the terminal, but this only the one.
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.terminate()
    raise Stopped(number)


def _run(arguments: List[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if "--version" in arguments[:2]:
        print(f"funfuse {VERSION}")
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        wants_help = arguments[:1] in (["-h"], ["--help"])
        _usage(sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else MISUSED
    name, *others = arguments
    given, others = _common_options(name, others)
    shows_traceback = bool(given & {TRACEBACK, *VERBOSE} or os.environ.get(TRACEBACK_VARIABLE))
    if given & set(VERBOSE):
        print(_facts(), file=sys.stderr)
    quiet = bool(given & set(QUIET))
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"
    output = redirect_stdout(io.StringIO()) if quiet and name not in PRINT_RESULTS else nullcontext()
    try:
        if name in OF_THE_REPOSITORY:
            checkout()
        with output:
            return importlib.import_module(COMMANDS[name][0]).main(others)
    except Cancelled:
        return INTERRUPTED
    except Stopped as error:
        print("\nstopped", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if shows_traceback:
            traceback.print_exc()
        code, sentence = _told(error)
        print(f"error: {sentence}", file=sys.stderr)
        return code


def _common_options(name: str, arguments: List[str]) -> Tuple[Set[str], List[str]]:
    """The options of every command, and what is left; what pytest knows as well is left to ``test``."""
    common = {TRACEBACK} if name == "test" else {TRACEBACK, *QUIET, *VERBOSE}
    return common & set(arguments), [argument for argument in arguments if argument not in common]


def _usage(stream) -> None:
    print("usage: funfuse COMMAND [ARGUMENTS], or --version\n", file=stream)
    for name, (_, text) in COMMANDS.items():
        print(f"  {name:<10} {text}", file=stream)
    print(
        '\n"funfuse help fuse" tells more about fuse, and so for each command. After any but test:\n'
        "-q, --quiet for results and errors only; -v, --verbose for what it runs on and where errors arise.\n"
        f"{TRACEBACK}, or the environment variable {TRACEBACK_VARIABLE}, for where an error arises alone.",
        file=stream,
    )


def _facts() -> str:
    """What all runs on, in one line."""
    installed = []
    for package in TOLD_OF:
        try:
            installed.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            installed.append(f"no {package}")
    return (
        f"funfuse {VERSION}, Python {platform.python_version()} on {platform.platform()} in {sys.prefix}; "
        + ", ".join(installed)
    )


def _told(error: Exception):
    """The exit code and the sentence of an error."""
    if isinstance(error, FunFuseError):
        codes = [code for kind, code in EXIT_CODES.items() if isinstance(error, kind)]
        lacking = None if error.__cause__ is None else remedy(error.__cause__)
        return (codes or [FAILED])[0], " ".join(filter(None, [str(error), lacking]))
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
