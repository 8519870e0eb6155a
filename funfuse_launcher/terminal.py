"""What the user sees while something takes long, and processes whose output goes to a log."""

import re
import shutil
import subprocess
import sys
import threading
import time

TAIL_LINES = 12


class LauncherError(Exception):
    """What the user has to know: a message that needs no traceback, and the exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


class StepFailed(LauncherError):
    """A process of the installation failed; ``output`` is the end of what it said."""

    def __init__(self, message, output):
        super().__init__(message)
        self.output = output


def say(message):
    """Tell the user something; standard output belongs to the command."""
    sys.stderr.write(f"funfuse: {message}\n")
    sys.stderr.flush()


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


def run_logged(command, log_path, task, env, inherited=(), cwd=None):
    """Run a process with its output in the log.

    :param inherited: open files that the process gets, too.
    :return: the exit code and the last lines of the output.
    """
    progress = Progress(task)
    with open(log_path, "a", encoding="utf-8", errors="replace") as log:
        log.write("\n=== {}: {}\n".format(time.strftime("%Y-%m-%d %H:%M:%S"), task))
        child = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
        )
        try:
            lines = follow(child, log, progress)
        finally:
            stop(child)
            progress.close()
    return child.returncode, lines
