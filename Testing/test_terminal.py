"""Whatever the terminal is: closed, of another encoding, narrow, or gone; and signals that end a process."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk

from funfuse_cli import terminal
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import ROOT, head_phantom

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and no closed streams")

# Encodings in which λ is no letter, by what a user's environment says.
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


def environment(**more) -> dict:
    drop = ("PYTHONIOENCODING", "PYTHONUTF8", "COLUMNS", "LC_ALL")
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def start(*arguments, **named) -> subprocess.Popen:
    command = [sys.executable, "-m", "funfuse_cli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen(command, **{**pipes, **named})


def run(*arguments, **more):
    """(exit code, standard output, standard error), both as bytes."""
    child = start(*arguments, env=environment(**more))
    out, err = child.communicate(timeout=300)
    return child.returncode, out, err


@pytest.fixture
def pair(tmp_path):
    """Arguments of a fusion that takes a second, but for the start."""
    result = []
    for option, volume in zip(("--mri", "--pet"), head_phantom((6, 20, 18), (7.0, 7.0, 14.0))):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{volume.name}.nii.gz"))
        result += [option, tmp_path / f"{volume.name}.nii.gz"]
    return ["fuse", *result, "--no-register", "--method", "laplacian_pyramid"]


# --- Encodings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_greek_letters_become_words_where_the_encoding_has_none(encoding):
    more = ENCODINGS[encoding]
    code, out, err = run("train", "--help", **more)
    assert code == 0 and b"lambda" in out and err == b""
    code, out, err = run("evaluate", "--lambda", "7", "--mri", "a", **more)
    assert code == 2 and out == b""
    assert err.rstrip() == b"error: --lambda must lie between 0 and 1, not 7.0."


def test_what_every_encoding_can_say():
    assert "".join(map(terminal._word, "λΩβ σΣ é² 8×8 a→b …")) == "lambdaOmegabeta sigmaSigma e2 8x8 a->b ..."
    assert terminal._word("測") == "?" and terminal._word("\udce9") == "\\xe9"


def test_the_ends_of_train_and_evaluate_in_another_encoding(tmp_path):
    """What they print after the work must not cost the work."""
    for number in range(2):
        mri, pet = head_phantom((8, 64, 56), seed=number)
        for kind, volume in (("mri", mri), ("pet", pet)):
            folder = tmp_path / "pairs" / f"patient{number}" / kind
            folder.mkdir(parents=True)
            image = np.uint8(np.clip(volume.array[4] / volume.array.max() * 255, 0, 255))
            sitk.WriteImage(sitk.GetImageFromArray(image), str(folder / "1.png"))
    arguments = ["train", "--data", tmp_path / "pairs", "--out", tmp_path / "run", "--steps", 2, "--crop", 24]
    code, out, err = run(*arguments, "--hold-out", "patient1", **ENCODINGS["cp1252"])
    assert code == 0, err
    assert b"lambda = 0.8" in out and b"sha256" in out
    arguments = ["evaluate", "--pairs", tmp_path / "pairs", "--out", tmp_path / "table"]
    code, out, err = run(*arguments, **ENCODINGS["cp1252"])
    assert code == 0, err
    assert b"lambda = 0.8" in out and (tmp_path / "table" / "table.csv").exists()


# --- Streams ------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("closed", ["1", "0 1 2"])
def test_closed_streams(pair, tmp_path, closed):
    """The work is done, and nothing that is printed ends in a file of the results."""
    command = [sys.executable, "-m", "funfuse_cli", *map(str, pair), "--out", str(tmp_path / "out")]
    shell = 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed.split())
    done = subprocess.run(["sh", "-c", shell, "sh", *command], env=environment(), capture_output=True)
    assert done.returncode == 0 and b"Traceback" not in done.stdout + done.stderr
    from funfuse_cli.workflow.output_folder import verify

    assert verify(tmp_path / "out") == []


@POSIX
def test_a_reader_that_goes_away(pair, tmp_path):
    child = start(*pair, "--out", tmp_path / "out")
    child.stdout.close()
    child.stderr.close()
    assert child.wait(timeout=120) == 0 and (tmp_path / "out" / "report.json").exists()


def test_output_that_is_piped_has_no_control_characters(pair, tmp_path):
    code, out, err = run(*pair, "--out", tmp_path / "out")
    assert code == 0
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", out + err), (out, err)


@POSIX
@pytest.mark.parametrize("columns", [40, 100])
def test_bars_fit_the_terminal(columns):
    """On a real terminal of that width no line is longer than it."""
    import fcntl
    import pty
    import struct
    import termios

    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    code = """
import time
from funfuse_cli.workflow.progress import ProgressBars, bar
with ProgressBars() as monitor:
    for step in range(4):
        monitor.report("Registering", step / 4)
        time.sleep(0.15)
shown = bar(5000, "training", "step")
shown.set_note("loss 0.1234")
time.sleep(0.2)
shown.update(2500)
shown.close()
"""
    child = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdout=other, stderr=other)
    os.close(other)
    seen = b""
    while True:
        try:
            some = os.read(main, 4096)
        except OSError:
            break
        if not some:
            break
        seen += some
    os.close(main)
    assert child.wait() == 0, seen
    lines = [line for line in re.split(r"[\r\n]+", seen.decode("utf-8")) if line]
    assert any("75%" in line for line in lines) and any("50%" in line for line in lines)
    assert max(map(len, lines)) <= columns, lines


# --- Signals ------------------------------------------------------------------------------------------


def left_in(folder) -> list:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


# The stages of a fusion; at the first report of one of them the process is as busy as a user's.
AT_A_STAGE = """
import os, signal, sys
from FunFuseSlicer.Logic import monitor
report = monitor.Monitor.report
def told(self, stage, fraction):
    if stage == wanted:
        os.kill(os.getpid(), int(number))
    report(self, stage, fraction)
monitor.Monitor.report = told
_, wanted, number, *sys.argv[1:] = sys.argv
from funfuse_cli.__main__ import main
sys.exit(main())
"""


@POSIX
@pytest.mark.parametrize(
    "stage, name, code",
    [
        ("Starting", "SIGTERM", 143),
        ("Fusing", "SIGTERM", 143),
        ("Writing", "SIGTERM", 143),
        ("Writing", "SIGHUP", 129),
        ("Writing", "SIGINT", 130),
    ],
)
def test_a_signal_ends_a_run_and_leaves_nothing(pair, tmp_path, stage, name, code):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    code_and_signal = [AT_A_STAGE, stage, str(int(getattr(signal, name)))]
    command = [sys.executable, "-c", *code_and_signal, *map(str, pair), "--out", str(out)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and left_in(out) == ["notes.txt"]


@POSIX
def test_sigterm_ends_the_children(tmp_path):
    """Processes that measure: a signal to the one that started them is none to them."""
    code = """
import concurrent.futures, multiprocessing, os, sys, time
from funfuse_cli import __main__ as program
from funfuse_cli.commands import uptake
def work(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)
def command(arguments):
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        list(pool.map(work, [600, 600]))
uptake.main = command
sys.argv[1:] = ["uptake"]
sys.exit(program.main())
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    children = [int(child.stdout.readline()) for _ in range(2)]
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=60) == 143, child.stderr.read()
    end = time.monotonic() + 20
    while time.monotonic() < end and any(map(_is_alive, children)):
        time.sleep(0.05)
    assert not any(map(_is_alive, children))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@POSIX
def test_ctrl_c_while_the_program_is_still_being_imported():
    code = """
import os, runpy, signal, sys
class Hook:
    def find_spec(self, name, *_):
        if name == "FunFuseSlicer.Logic.errors":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Hook())
sys.argv[1:] = ["fuse", "--help"]
runpy.run_module("funfuse_cli", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode in (-signal.SIGINT, 130) and done.stderr == done.stdout == ""
