"""What a terminal can take: its encoding, its width, and whether it is there at all."""

import codecs
import errno
import io
import os
import shutil
import sys
import unicodedata

# What the texts use and ASCII has not. Greek letters become their names, "é" becomes "e", and others "?".
WORDS = {
    **{
        "∇": "grad ",
        "×": "x",
        "·": "*",
        "≤": "<=",
        "≥": ">=",
        "→": "->",
        "←": "<-",
        "↑": "(higher is better)",
    },
    **{
        "↓": "(lower is better)",
        "…": "...",
        "–": "-",
        "—": "-",
        "−": "-",
        "°": " degrees",
        "±": "+-",
        "≈": "~",
    },
    **{"“": '"', "”": '"', "’": "'", "∂": "d", "©": "(c)", "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"},
}
WIDEST = 100
# A reader that went away, a stream that was closed, a terminal that is gone.
_GONE = (errno.EPIPE, errno.EBADF, errno.EIO, *((errno.EINVAL,) if os.name == "nt" else ()))


def width() -> int:
    """Columns of the terminal, or what COLUMNS says; lines longer than 100 are hard to read."""
    return max(20, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def prepare() -> None:
    """Make standard output and error such that writing to them never fails, for the process's own start.

    What an encoding lacks is written in words, and where nobody listens any more, nothing is said: the work
    goes on.
    """
    _open_missing()
    codecs.register_error("words", _in_words)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            stream.reconfigure(errors="words")
            continue
        raw = _Listened(number, "wb", closefd=False)
        encoding = "utf-8" if stream is None else stream.encoding
        buffered = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding, "words", line_buffering=name == "stderr"
        )
        setattr(sys, name, buffered)


def _open_missing() -> None:
    """Else the first file that is opened would get the number of a closed stream, and all that is printed."""
    while True:
        file = os.open(os.devnull, os.O_RDWR)
        if file > 2:
            os.close(file)
            return


class _Listened(io.FileIO):
    """A file to which writing succeeds although nobody listens any more."""

    def write(self, data) -> int:
        """As of any file."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return len(data)


def _in_words(error: UnicodeError):
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_word, text)), error.end


def _word(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no text
        return f"\\x{number - 0xDC00:02x}"
    if character in WORDS:
        return WORDS[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK"):
        word = name.split(" WITH")[0].rsplit(" ")[-1].lower().replace("lamda", "lambda")
        return word.capitalize() if "CAPITAL" in name else word
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii") or "?"
