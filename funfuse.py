"""Start FunFuse from a command line: ``python3 funfuse.py COMMAND``.

Every Python from 2.7 on can run this file, so that an unsuitable one can say what it lacks. All else is in
funfuse_launcher, which only a suitable Python gets to read.
"""

import os
import platform
import subprocess
import sys

ROOT = os.path.dirname(os.path.realpath(__file__))
OLDEST, NEWEST = (3, 10), (3, 13)


def why_unsuitable(version, implementation, bits, free_threaded):
    """Why a Python cannot be used, as a noun phrase; None when it can."""
    if not OLDEST <= version <= NEWEST:
        return "Python {0}.{1}".format(*version)
    if implementation != "CPython":
        return implementation + " instead of CPython"
    if bits != 64:
        return "a {0}-bit Python".format(bits)
    if free_threaded:
        return "a free-threaded Python"
    return None


def this_python():
    """What :func:`why_unsuitable` asks about the Python that runs this."""
    bits = 64 if sys.maxsize > 2**32 else 32
    return sys.version_info[:2], platform.python_implementation(), bits, "free-threading" in sys.version


def find_suitable_python():
    """Name of a Python on the PATH that would do, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{0}".format(minor)
        # A name alone proves nothing: version managers put stand-ins on the PATH that only fail.
        with open(os.devnull, "w") as nowhere:
            try:
                if subprocess.call([name, "-c", ""], stdout=nowhere, stderr=nowhere) == 0:
                    return name
            except OSError:
                pass
    return None


def main(arguments):
    """Returns the exit code."""
    reason = why_unsuitable(*this_python())
    if reason is not None:
        other = find_suitable_python()
        remedy = "run: " + other + " funfuse.py" if other else "install one and run funfuse.py with it"
        sys.stderr.write(
            "funfuse: this is {0}, but FunFuse needs 64-bit CPython {1}.{2} to {3}.{4}; {5}\n".format(
                *(reason,) + OLDEST + NEWEST + (remedy,)
            )
        )
        return 2
    sys.path.insert(0, ROOT)
    from funfuse_launcher.start import main as start

    return start(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
