"""Participants of a table, for people whose images are in no BIDS data set."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Dict, List

from FunFuseSlicer.Logic.errors import InputError

from .participants import Choice, Image, Participant

NEEDED = ("id", "mri", "pet")
OPTIONAL = ("mask", "transform", "session", "tracer")


def read_pairs(table: Path, choice: Choice) -> List[Participant]:
    """The participants of a table with a line for each pair; paths in it count from its folder.

    :raises InputError: it cannot be read, lacks columns or values, or two of its names become one.
    """
    lines = _lines(table)
    participants: Dict[str, List[Image]] = {}
    ids: Dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        lacking = [name for name in NEEDED if not line[name]]
        if lacking:
            raise InputError(f"{table}, line {number}: {' and '.join(lacking)} is empty.")
        label = _label(line["id"].removeprefix("sub-"), table, number)
        if ids.setdefault(label, line["id"]) != line["id"]:
            raise InputError(
                f"{table}, line {number}: the ids {ids[label]} and {line['id']} both become sub-{label}, "
                "since names in BIDS have letters and digits only. Change one of them."
            )
        session, tracer = (line[key] and _label(line[key], table, number) for key in ("session", "tracer"))
        parts = (f"sub-{label}", session and f"ses-{session}", tracer and f"trc-{tracer}")
        files = {role: str(table.parent.absolute() / line[role]) for role in OPTIONAL[:2] if line[role]}
        mri, pet = (str(table.parent.absolute() / line[role]) for role in NEEDED[1:])
        name = "_".join(filter(None, parts))
        image = Image(pet, name, session, tracer, mri, choice.anatomies[0], **files)
        participants.setdefault(label, []).append(image)
    labels = choice.labels_among(list(participants), table)
    found = [choice.participant(label, _numbered(participants[label])) for label in labels]
    found = [participant for participant in found if participant.images]
    if not found:
        raise InputError(f"{table} has no pair of the sessions and tracers that are asked for.")
    return found


def _lines(table: Path) -> List[Dict[str, str]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"{table} cannot be read ({reason}). Check the path.") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count), restval="")
    names = {name: (name or "").strip().lower() for name in reader.fieldnames or ()}
    lacking = [name for name in NEEDED if name not in names.values()]
    if lacking:
        raise InputError(
            f"{table} lacks the column {' and '.join(lacking)}: its first line must be {','.join(NEEDED)}, "
            f"and may have {', '.join(OPTIONAL)} besides."
        )
    lines = [{names[name]: value.strip() for name, value in line.items() if name in names} for line in reader]
    lines = [{**dict.fromkeys(OPTIONAL, ""), **line} for line in lines if any(line.values())]
    if not lines:
        raise InputError(f"{table} has no pairs below its first line.")
    return lines


def _label(text: str, table: Path, number: int) -> str:
    label = re.sub(r"[^A-Za-z0-9+]", "", text)
    if not label:
        raise InputError(f'{table}, line {number}: "{text}" has no letter or digit to name its results by.')
    return label


def _numbered(images: List[Image]) -> List[Image]:
    """Images of one name get the number of a run."""
    names = [image.name for image in images]
    return [
        replace(image, name=f"{image.name}_run-{names[: place + 1].count(image.name)}")
        if names.count(image.name) > 1
        else image
        for place, image in enumerate(images)
    ]
