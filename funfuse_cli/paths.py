"""Paths as a user gives them: refused with a sentence where readers or writers would abort, hang or guess."""

import os
import stat
from pathlib import Path

from FunFuseSlicer.Logic.errors import InputError


def input_path(text) -> Path:
    """A path to read from: the type of an option. Whether it is there, the reader tells.

    :raises InputError: it is empty, no text, or no file or folder but a pipe or a device.
    """
    path = _path(text, str(text))
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return path
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path} is a pipe or a device: save what it gives as a file, and give that.")
    return path


def output_path(text) -> Path:
    """A path to write to: the type of an option.

    :raises InputError: it is empty, or no text.
    """
    return _path(text, os.path.abspath(text) if str(text) else "")


def _path(text, whole: str) -> Path:
    if not whole:
        raise InputError('A path is empty (""): give the path of a file or folder.')
    try:
        whole.encode("utf-8")
    except UnicodeEncodeError as error:
        # The libraries that read and write images end the process at such names.
        raise InputError(
            f"{text}: the path has bytes that are no text in UTF-8, as old names have. Rename it, or give a "
            "link with a plain name."
        ) from error
    if "\0" in whole:
        raise InputError("A path has a character of number 0: give the path of a file or folder.")
    return Path(text)
