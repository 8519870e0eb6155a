"""Start FunFuse from a command line: ``python3 funfuse.py COMMAND``.

The first start makes a virtual environment and installs the packages of ``requirements.lock`` into it;
every start then hands over to ``python -m funfuse_cli`` inside it. Only the standard library is
used, and the syntax stays readable for Python 3.6, so that an old Python can at least say what it lacks.
"""

import ast
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
LOCK_LIST = os.path.join(ROOT, "requirements.lock")
# Of these the first that can be had: pip alone would prefer the large one, whose checksum the index tells.
TORCH_LISTS = (
    os.path.join(ROOT, "requirements-torch-cpu.lock"),
    os.path.join(ROOT, "requirements-torch.lock"),
)
VERSION_FILE = os.path.join(ROOT, "FunFuseSlicer", "Logic", "version.py")
COMMAND_TABLE = os.path.join(ROOT, "funfuse_cli", "commands", "__init__.py")
OLDEST, NEWEST = (3, 10), (3, 13)
TAIL_LINES = 12

# Files inside the virtual environment. The lock file also marks the folder as made here: a folder
# without it, named by FUNFUSE_VENV, is never emptied.
LOCK_FILE = "funfuse.lock"
ORIGIN_FILE = "funfuse-origin.json"
STAMP_FILE = "funfuse-stamp"
LOG_FILE = "install.log"

# What "python -P -m funfuse_cli" does, for Python 3.10, which has no -P.
RUN_ON_PYTHON_310 = """\
import sys
del sys.path[0]
import runpy
runpy.run_module("funfuse_cli", run_name="__main__", alter_sys=True)
"""

# Static, so that it shows at once on any Python; a test compares its commands with COMMAND_TABLE.
HELP = """\
usage: python3 funfuse.py COMMAND [ARGS], or --version

FunFuse fuses an MRI and a PET (or SPECT) volume of the same brain. For research use, not for diagnosis.

commands:
  demo       fuse a real MRI-PET pair and write a scene for Slicer
  fuse       fuse your own MRI and PET
  evaluate   measure fused images, or compare methods
  train      train the fusion network on your own pairs
  learn      learn what comparison methods need
  uptake     turn a pseudo-colored PET back into uptake
  study      compute the figures of the pages in docs
  benchmark  measure how fast it is on this computer
  pictures   make the pictures of panel and views anew
  test       run the tests

"python3 funfuse.py fuse --help" tells more about fuse, and so for each command; what follows "test"
goes to pytest.

The first command makes a virtual environment in .venv beside funfuse.py and installs what
requirements.lock lists. That needs Python 3.10 to 3.13 and a network, and takes a few minutes and
some gigabytes of disk. Later starts use it as it is. Deleting .venv is safe: it is made again.

environment variables:
  FUNFUSE_VENV   another folder for the virtual environment, for instance when this one is read-only
  PIP_...        pip's own settings, such as PIP_PROXY, PIP_FIND_LINKS (a folder of wheels) or PIP_CERT
"""

DISK_FULL = (
    "The disk is full. Free some gigabytes (TMPDIR names the folder for temporary files), or set "
    "FUNFUSE_VENV to a folder on another disk."
)

NO_SUCH_PACKAGE = r"No matching distribution|Could not find a version|not a supported wheel"

# What pip's output tells about the cause, and what to do. Order matters: without a network pip also
# says that it found no matching distribution.
CAUSES = (
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "A file is not the one that the lists expect, and was not installed. Sources of packages "
        "of your own (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) may hold another build of it: "
        "leave them out. If it happens without them, the download was damaged or changed on its way.",
    ),
    (
        r"No space left on device|Errno 28|WinError 112|not enough space",
        DISK_FULL,
    ),
    (
        r"Retrying \(|ConnectionError|NewConnection|timed out|Timeout|name resolution|SSLError|"
        r"CERTIFICATE|ProxyError|Proxy Auth|Connection (refused|reset|aborted)|IncompleteRead",
        "The download failed. Check the network; behind a proxy set HTTPS_PROXY (or PIP_PROXY), and "
        "PIP_CERT if it has its own certificate; without a network set PIP_FIND_LINKS to a folder of "
        "wheels and PIP_NO_INDEX=1.",
    ),
    (
        NO_SUCH_PACKAGE,
        "There is no package for this computer: Linux x86-64 (glibc 2.28 or newer), macOS on Apple "
        "silicon or Windows x64 is needed. If it is one of these, check the network and the sources that "
        "pip is set to.",
    ),
    (
        r"Permission denied|Errno 13|WinError 5\b|Read-only file system",
        "A file cannot be written. Set FUNFUSE_VENV to a folder that you can write to.",
    ),
)
GENERAL_ADVICE = (
    "Check the network (behind a proxy set HTTPS_PROXY) and the free disk space. If it fails again, "
    "delete the folder of the virtual environment and start anew."
)


class LauncherError(Exception):
    """What the user has to know: a message that needs no traceback, and the exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def say(message):
    """Tell the user something; standard output belongs to the command."""
    sys.stderr.write(f"funfuse: {message}\n")
    sys.stderr.flush()


# --- This Python, this command ------------------------------------------------------------------------


def why_unsuitable(version=None, implementation=None, bits=None, free_threaded=None):
    """Why this Python cannot be used, as a noun phrase; None when it can."""
    version = tuple(version or sys.version_info[:2])[:2]
    implementation = implementation or sys.implementation.name
    bits = bits or (64 if sys.maxsize > 2**32 else 32)
    if free_threaded is None:
        free_threaded = "free-threading" in sys.version
    if not OLDEST <= version <= NEWEST:
        return "Python {}.{}".format(*version)
    if implementation != "cpython":
        return f"{implementation} instead of CPython"
    if bits != 64:
        return f"a {bits}-bit Python"
    if free_threaded:
        return "a free-threaded Python"
    return None


def find_suitable_python():
    """Name of a Python on the PATH that would do, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        if shutil.which(name) is None:
            continue
        # A name alone proves nothing: version managers put stand-ins on the PATH that only fail.
        try:
            with open(os.devnull, "w") as nowhere:
                code = subprocess.call([name, "-c", ""], stdout=nowhere, stderr=nowhere)
        except OSError:
            continue
        if code == 0:
            return name
    return None


def check_python():
    """Refuse a Python for which there are no packages."""
    reason = why_unsuitable()
    if reason is None:
        return
    other = find_suitable_python()
    remedy = f"run: {other} funfuse.py" if other else "install one and run funfuse.py with it"
    wanted = f"64-bit CPython 3.{OLDEST[1]} to 3.{NEWEST[1]}"
    raise LauncherError(f"this is {reason}, but FunFuse needs {wanted}; {remedy}", 2)


def known_commands(path=None):
    """Names in the command table, read without importing it; None when it cannot be read."""
    try:
        with open(path or COMMAND_TABLE, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    for node in tree.body:
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "COMMANDS" for target in targets):
            keys = getattr(node.value, "keys", [])
            return [key.value for key in keys if isinstance(key, ast.Constant)] or None
    return None


def version():
    """What the version file says, read without importing it."""
    found = re.search(r'^VERSION = "(.+)"', read_text(VERSION_FILE), re.MULTILINE)
    return found.group(1) if found else "of unknown version"


def check_command(name):
    """Refuse a mistyped command before minutes go into an installation."""
    names = known_commands()
    if names is not None and name not in names:
        raise LauncherError("there is no command {!r}; there is: {}".format(name, ", ".join(names)), 2)


# --- The virtual environment --------------------------------------------------------------------------


def venv_folder():
    """Where the virtual environment is or shall be."""
    named = os.environ.get("FUNFUSE_VENV", "")
    if named.strip():
        return os.path.realpath(os.path.expanduser(named))
    return os.path.join(ROOT, ".venv")


def venv_python(folder):
    """The interpreter of a virtual environment."""
    if os.name == "nt":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")


def clean_environment():
    """The caller's environment without what would lead another Python astray.

    PYTHONPATH goes too: a numpy found through it would hide the one that was installed.
    """
    drop = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in drop}


def pip_environment():
    """Environment for pip: the user's PIP_ settings, except those that install elsewhere."""
    drop = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_PYTHON", "PIP_REQUIREMENT"}
    environment = {name: value for name, value in clean_environment().items() if name not in drop}
    environment["PIP_USER"] = "0"
    return environment


def origin(folder):
    """What a virtual environment depends on: the folder it was made for and the Python version."""
    return {"folder": os.path.realpath(folder), "python": "{}.{}".format(*sys.version_info[:2])}


def expected_stamp(folder):
    """Fingerprint of a finished installation."""
    digest = hashlib.sha256(json.dumps(origin(folder), sort_keys=True).encode("ascii"))
    for path in (LOCK_LIST, *TORCH_LISTS):
        try:
            with open(path, "rb") as file:
                digest.update(file.read().replace(b"\r\n", b"\n"))
        except OSError as error:
            raise LauncherError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


def read_text(path):
    """Content of a small file, or an empty string."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def write_text(path, text):
    """Write a small file so that it is there either wholly or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def is_ready(folder):
    """Whether the virtual environment is complete and was made from this list by this Python."""
    stamp = read_text(os.path.join(folder, STAMP_FILE))
    return stamp == expected_stamp(folder) and os.access(venv_python(folder), os.X_OK)


def remove_stamp(folder):
    """From here on the virtual environment is not complete."""
    try:
        os.remove(os.path.join(folder, STAMP_FILE))
    except FileNotFoundError:
        pass


def is_sound(folder):
    """Whether a virtual environment, complete or not, can be built upon: right place, Python and pip."""
    try:
        recorded = json.loads(read_text(os.path.join(folder, ORIGIN_FILE)))
    except ValueError:
        return False
    if recorded != origin(folder):
        return False
    try:
        code = subprocess.call(
            [venv_python(folder), "-I", "-c", "import pip._internal"],
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return code == 0


def check_removable(folder):
    """Refuse to empty a folder that is not ours: FUNFUSE_VENV may name anything."""
    if folder == os.path.join(ROOT, ".venv") and os.path.exists(os.path.join(folder, "pyvenv.cfg")):
        return
    if os.listdir(folder) and not os.path.exists(os.path.join(folder, LOCK_FILE)):
        raise LauncherError(
            f"{folder} has content that funfuse.py did not make. Delete it, or set FUNFUSE_VENV to a new or "
            "empty folder."
        )


def empty_folder(folder):
    """Remove all but the lock file, which is in use."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name == LOCK_FILE:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def make_venv(folder):
    """Make the virtual environment anew."""
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise LauncherError(
                "this Python lacks the module {}. On Debian and Ubuntu: apt install python3-venv (or "
                "python{}.{}-venv). Then start again.".format(module, *sys.version_info[:2])
            )
    empty_folder(folder)
    run_logged([sys.executable, "-I", "-m", "venv", folder], folder, "making the virtual environment")
    write_text(os.path.join(folder, ORIGIN_FILE), json.dumps(origin(folder)))


def remove_half_installed(folder):
    """Remove the records of packages whose installation was cut short, or pip takes them for complete.

    pip writes a package's RECORD last.
    """
    for parent, names, _ in os.walk(folder):
        for name in [name for name in names if name.endswith(".dist-info")]:
            names.remove(name)
            if not os.path.exists(os.path.join(parent, name, "RECORD")):
                shutil.rmtree(os.path.join(parent, name))
        if os.path.basename(parent) == "site-packages":
            names[:] = []


def install_command(folder, requirements):
    """pip's command that installs the packages of a list, each from a file whose checksum is in it."""
    pip = [venv_python(folder), "-I", "-X", "utf8", "-m", "pip", "install"]
    options = ["--disable-pip-version-check", "--no-input", "--require-hashes"]
    # Wheels only: building torch or VTK from source is never what the user wants.
    return pip + options + ["--only-binary", ":all:", "-r", requirements]


def install_torch(folder):
    """Install PyTorch: the build for the CPU where the user's sources of packages have it."""
    small, whole = TORCH_LISTS
    try:
        run_logged(install_command(folder, small), folder, "looking for PyTorch for the CPU")
    except LauncherError as error:
        if not re.search(NO_SUCH_PACKAGE, str(error)):
            raise
        run_logged(install_command(folder, whole), folder, "installing PyTorch")


def install(folder):
    """Bring the virtual environment to what requirements.lock lists."""
    say(
        f"installing what requirements.lock lists into {folder}. This happens once and takes a few "
        "minutes; Ctrl-C is safe."
    )
    started = time.monotonic()
    remove_stamp(folder)
    if is_sound(folder):
        remove_half_installed(folder)
    else:
        make_venv(folder)
    run_logged(install_command(folder, LOCK_LIST), folder, "installing packages")
    install_torch(folder)
    write_text(os.path.join(folder, STAMP_FILE), expected_stamp(folder))
    say(f"ready after {time.monotonic() - started:.0f} s.")


def prepare(folder):
    """Make sure that the virtual environment is ready."""
    if is_ready(folder):
        return
    try:
        os.makedirs(folder, exist_ok=True)
        check_removable(folder)
        with FolderLock(os.path.join(folder, LOCK_FILE)):
            # Another launcher may have finished the work while this one waited.
            if not is_ready(folder):
                install(folder)
    except OSError as error:
        raise LauncherError(describe_os_error(error, folder)) from None


def describe_os_error(error, folder):
    """A sentence for a folder that cannot be used."""
    text = f"cannot write to {error.filename or folder}: {error.strerror or error}."
    if error.errno == errno.ENOSPC:
        return text + " " + DISK_FULL
    return text + (
        " Set the environment variable FUNFUSE_VENV to a folder that you can write to, for instance "
        "one in your home folder."
    )


class FolderLock:
    """Lets one launcher at a time work on a virtual environment; the others wait for it.

    The lock belongs to the open file, and the pip that is started inherits it (see ``run_logged``):
    should the launcher be killed, nobody else starts before that pip has ended too.
    """

    held = None

    def __init__(self, path):
        self.path = path
        self.file = None

    def __enter__(self):
        self.file = open(self.path, "a+")
        told = False
        while not self.try_lock():
            if not told:
                say("another start of funfuse.py is preparing the virtual environment; waiting for it.")
                told = True
            time.sleep(0.3)
        FolderLock.held = self.file
        return self

    def __exit__(self, *_):
        FolderLock.held = None
        self.file.close()

    def try_lock(self):
        """Take the lock if nobody has it."""
        try:
            if os.name == "nt":
                import msvcrt

                self.file.seek(0)
                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; working without one beats not working.
            return error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
        return True


# --- Running ------------------------------------------------------------------------------------------


class Progress:
    """Shows that something goes on: a moving line on a terminal, pip's main steps elsewhere."""

    def __init__(self, task):
        self.task = task
        self.line = ""
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self, line):
        """A new line of output."""
        self.line = line.strip()
        if not self.terminal and re.match(r"\s*(Downloading|Installing|Successfully)\b", line):
            say(self.shorten(self.line, 100))

    def tick(self):
        """Redraw; called several times a second."""
        if self.terminal:
            seconds = time.monotonic() - self.started
            sign = "|/-\\"[int(seconds * 5) % 4]
            self.draw(f"{sign} {self.task} ({seconds:.0f} s) {self.line}")

    def close(self):
        """Leave a clean line."""
        if self.terminal:
            self.draw("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def draw(self, text):
        """Overwrite the line. Spaces rather than an escape code, which not every console knows."""
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + self.shorten(text, width).ljust(width))
        sys.stderr.flush()

    @staticmethod
    def shorten(text, width):
        """Fit a text into one line."""
        return text if len(text) <= width else text[: max(width - 3, 0)] + "..."


def follow(child, log, progress):
    """Copy a process's output to the log until it ends; returns its last lines."""
    lines = []

    def read():
        for raw in child.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            try:
                log.write(line + "\n")
                log.flush()
            except OSError:
                pass  # a full disk: the process's own message matters more than the log
            if line and not line.startswith("Ignoring "):  # lines of the list for another Python
                lines[:] = lines[-TAIL_LINES + 1 :] + [line]
            progress.step(line)

    # Reading blocks, so it has a thread of its own; the main one draws and hears Ctrl-C.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while reader.is_alive():
        progress.tick()
        reader.join(0.2)
    child.wait()
    return lines


def stop(child):
    """End a process, kindly first."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def run_logged(command, folder, task):
    """Run a step of the installation with its output in the log; raises LauncherError if it fails."""
    log_path = os.path.join(folder, LOG_FILE)
    options = {}
    if os.name != "nt" and FolderLock.held is not None:
        options["pass_fds"] = (FolderLock.held.fileno(),)
    progress = Progress(task)
    with open(log_path, "a", encoding="utf-8", errors="replace") as log:
        log.write("\n=== {}: {}\n".format(time.strftime("%Y-%m-%d %H:%M:%S"), task))
        child = subprocess.Popen(
            command,
            env=pip_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        try:
            lines = follow(child, log, progress)
        finally:
            stop(child)
            progress.close()
    if child.returncode != 0:
        raise LauncherError(describe_failure(task, child.returncode, lines, log_path))


def describe_failure(task, code, lines, log_path):
    """What failed, the end of its output, and what to do."""
    text = "\n".join(lines)
    advice = next((advice for pattern, advice in CAUSES if re.search(pattern, text)), GENERAL_ADVICE)
    return "{} failed (exit code {}). The end of its output:\n\n{}\n\n{}\n{}\n{}".format(
        task,
        code,
        "\n".join("    " + line for line in lines) or "    (none)",
        f"Full log: {log_path}",
        advice,
        "Then start the same command again: it continues from here.",
    )


def command_line(folder, arguments):
    """The command that runs FunFuse inside the virtual environment."""
    # The current folder must stay off the module path, or a user's random.py there would be imported.
    if sys.version_info >= (3, 11):
        how = ["-P", "-m", "funfuse_cli"]
    else:
        how = ["-c", RUN_ON_PYTHON_310]
    return [venv_python(folder), *how, *arguments]


def hand_over(folder, arguments):
    """Run FunFuse in place of this process, or where that is not possible return its exit code."""
    environment = clean_environment()
    environment["PYTHONPATH"] = ROOT
    command = command_line(folder, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(command[0], command, environment)
    # Windows has no exec that keeps the console and the exit code.
    child = subprocess.Popen(command, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the command hears Ctrl-C as well and ends in its own way


def launch(arguments):
    """Prepare the virtual environment and run the command in it."""
    folder = venv_folder()
    prepare(folder)
    try:
        return hand_over(folder, arguments)
    except OSError as error:
        try:
            remove_stamp(folder)
        except OSError:
            pass
        raise LauncherError(
            f"the virtual environment's Python does not start ({error.strerror or error}). Start the same "
            "command again: it will be made anew."
        ) from None


def main(arguments):
    """Returns the exit code."""
    if arguments[:1] in (["-h"], ["--help"], ["help"]):
        print(HELP, end="")
        return 0
    if "--version" in arguments[:2]:
        print("funfuse", version())
        return 0
    try:
        check_python()
        if not arguments:
            print(HELP, end="")
            return 0
        check_command(arguments[0])
        return launch(arguments)
    except LauncherError as error:
        say(error)
        return error.code
    except KeyboardInterrupt:
        say("interrupted. Start the same command again to continue.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
