"""What the user typed: the environment for it is made ready, and then the command runs there."""

import os
import subprocess
import sys

from funfuse_cli.commands import COMMANDS
from FunFuseSlicer.Logic.version import VERSION

from . import environment
from .parts import PARTS, ROOT, builds, needed, up_to
from .pip import clean_environment
from .terminal import LauncherError, say

# What "python -P -m funfuse_cli" does, for Python 3.10, which has no -P.
RUN_ON_PYTHON_310 = """\
import sys
del sys.path[0]
import runpy
runpy.run_module("funfuse_cli", run_name="__main__", alter_sys=True)
"""

INSTALL = "install"
TABLE = {
    **{name: text for name, (_, text) in COMMANDS.items()},
    INSTALL: "add PyTorch, or repair what is there",
}

HELP = """\
usage: python3 funfuse.py COMMAND [ARGS], or --version

FunFuse fuses an MRI and a PET (or SPECT) volume of the same brain. For research use, not for diagnosis.

commands:
{commands}

"help fuse" or "fuse --help" tells more about fuse, and so for each command. After any but test: -q for
results and errors only, -v for what it runs on and where an error comes from. What follows "test" goes
to pytest.

The first command makes a virtual environment in .venv beside funfuse.py and installs what it needs:
{parts}
That needs a network. Later starts use it as it is. Deleting .venv is safe: it is made again.

environment variables:
  FUNFUSE_VENV   another folder for the virtual environment, for instance when this one is read-only
  FUNFUSE_CACHE  another folder for the images of the demo
  PIP_...        pip's own settings, such as PIP_PROXY, PIP_FIND_LINKS (a folder of wheels) or PIP_CERT
"""

INSTALL_HELP = """\
usage: python3 funfuse.py install [PART]

Looks whether what was installed is whole, repairs what is not, and adds PART with all parts before it:
{parts}

Commands add by themselves what they cannot do without. PyTorch is for GPUs and for the paper's network.
"""


def main(arguments) -> int:
    """Returns the exit code."""
    for stream in ("stdout", "stderr"):  # None where the caller closed them
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))
    try:
        return _main(list(arguments))
    except LauncherError as error:
        say(error)
        return error.code
    except KeyboardInterrupt:
        say("interrupted. Start the same command again to continue.")
        return 130
    except environment.Terminated:
        return 143


def _main(arguments) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP.format(commands=_table(TABLE), parts=_parts()), end="")
        return 0
    if "--version" in arguments[:2]:
        print("funfuse", VERSION)
        return 0
    command, *others = arguments
    # Before minutes go into an installation for a mistyped command.
    if command not in TABLE:
        raise LauncherError(f"there is no command {command!r}; there is: {', '.join(TABLE)}", 2)
    if command == INSTALL:
        return _install(others)
    folder = environment.venv_folder()
    environment.prepare(folder, needed(arguments))
    return _start(folder, arguments)


def _install(names) -> int:
    """The command ``install``."""
    if {"-h", "--help"} & set(names):
        print(INSTALL_HELP.format(parts=_parts()), end="")
        return 0
    if len(names) > 1 or not set(names) <= set(PARTS):
        raise LauncherError(
            f"install takes one of: {', '.join(PARTS)}; or nothing, to repair what is there", 2
        )
    folder = environment.venv_folder()
    parts = {*environment.parts_begun(folder), *up_to(names[0] if names else next(iter(PARTS)))}
    environment.prepare(folder, parts, check=True)
    say(f"{folder} is whole; it has {', '.join(part for part in PARTS if part in parts)}.")
    return 0


def _table(texts) -> str:
    width = max(map(len, texts))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in texts.items())


def _parts() -> str:
    width = max(map(len, PARTS))
    return _table({part: f"\n  {'':<{width}}  or ".join(map(str, builds(part))) for part in PARTS})


def command_line(folder: str, arguments):
    """The command that runs FunFuse inside the virtual environment."""
    # The current folder must stay off the module path, or a user's random.py there would be imported.
    if sys.version_info >= (3, 11):
        how = ["-P", "-m", "funfuse_cli"]
    else:
        how = ["-c", RUN_ON_PYTHON_310]
    return [environment.venv_python(folder), *how, *arguments]


def _start(folder: str, arguments) -> int:
    """Run FunFuse, and should its Python not start, have it made anew the next time."""
    try:
        return hand_over(folder, arguments)
    except OSError as error:
        try:
            environment.disown(folder)
        except OSError:
            pass
        raise LauncherError(
            f"the virtual environment's Python does not start ({error.strerror or error}). Start the same "
            "command again: it will be made anew."
        ) from None


def hand_over(folder: str, arguments) -> int:
    """Run FunFuse in place of this process, or where that is not possible return its exit code."""
    env = clean_environment()
    env["PYTHONPATH"] = ROOT
    command = command_line(folder, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(command[0], command, env)
    # Windows has no exec that keeps the console and the exit code.
    child = subprocess.Popen(command, env=env)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the command hears Ctrl-C as well and ends in its own way
