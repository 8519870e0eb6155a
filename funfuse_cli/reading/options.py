"""The option that chooses frames, for every command that reads a PET."""

import argparse

from .source import FrameChoice

HELP = (
    "frame of a dynamic PET, from 0, or the mean of several as A-B (default: mean of all); frames weigh as "
    "long as they took, where the file or its JSON side car tells"
)


def add_frame_option(group) -> None:
    """``--frame`` or ``--frames``, as ``frame`` of the namespace."""
    group.add_argument("--frame", "--frames", dest="frame", type=frame_choice, metavar="N or A-B", help=HELP)


def frame_choice(text: str) -> FrameChoice:
    """ "7" or "3-7".

    :raises ArgumentTypeError: it is neither.
    """
    first, dash, last = text.partition("-")
    try:
        return (int(first), int(last)) if dash and first else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no frame: give a number, such as 7, or the first and the last, such as 3-7'
        ) from None
