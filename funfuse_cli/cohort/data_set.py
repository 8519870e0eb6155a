"""Participants of a BIDS data set: its names, its folders, and the side cars that files inherit.

Brain Imaging Data Structure 1.10, "Common principles" and "Positron Emission Tomography".
"""

import json
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from FunFuseSlicer.Logic.errors import InputError

from .participants import Choice, Image, Participant

IMAGES = (".nii.gz", ".nii")
_NAME = re.compile(r"((?:[A-Za-z]+-[A-Za-z0-9+]+_)*)([A-Za-z0-9]+)(\.[A-Za-z0-9.]+)")


class Name(NamedTuple):
    """A file's name taken apart: "sub-01_trc-FDG_pet.nii.gz"."""

    entities: Dict[str, str]
    suffix: str
    ending: str


def parse(name: str) -> Optional[Name]:
    """The parts of a name; None for one that is not as BIDS has them, such as a hidden file's."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    entities = (entity.split("-") for entity in found[1].split("_")[:-1])
    return Name({key: value for key, value in entities}, found[2], found[3])


def read_data_set(root: Path, choice: Choice) -> List[Participant]:
    """All participants that are asked for, with those PET images that are; an image may lack its MRI.

    :raises InputError: the folder is no BIDS data set, or lacks what is asked for.
    """
    folders = {path.name[4:]: path for path in _ordered(root) if _is_participant(path)}
    if not folders:
        raise InputError(
            f"{root} is no BIDS data set: it has no folders sub-… Give the folder in which they are, or "
            "a table of pairs with --pairs."
        )
    found = [
        choice.participant(label, _images(folders[label], root, choice.anatomies))
        for label in choice.labels_among(list(folders), root)
    ]
    if not any(participant.images for participant in found):
        asked = choice.labels or choice.sessions or choice.tracers
        raise InputError(
            f"{root} has no PET image sub-…_pet.nii.gz in a folder pet"
            + (" of the participants, sessions and tracers that are asked for." if asked else ".")
        )
    return found


def _ordered(folder: Path) -> List[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be opened ({error.strerror}). Check the path.") from error


def _is_participant(path: Path) -> bool:
    return re.fullmatch(r"sub-[A-Za-z0-9+]+", path.name) is not None and path.is_dir()


def _images(folder: Path, root: Path, suffixes: Sequence[str]) -> List[Image]:
    scans = _files(folder, "pet", "pet")
    kinds = ((suffix, _files(folder, "anat", suffix)) for suffix in suffixes)
    anatomy, anatomies = next((kind for kind in kinds if kind[1]), (suffixes[0], []))
    found = []
    for path, entities in scans:
        facts, notes = side_cars(path, root)
        mri, note = _anatomy(entities, anatomies)
        if mri is None:
            wanted = " or ".join(suffixes)
            notes.append(f"There is no {wanted} image of {folder.name}: add one, or choose another --anat.")
        name = path.name.rpartition("_")[0]
        found.append(
            Image(
                pet=str(path),
                name=name,
                session=entities.get("ses", ""),
                tracer=entities.get("trc", ""),
                mri=mri and str(mri),
                anatomy=anatomy,
                facts=facts,
                notes=(*notes, *note),
            )
        )
    return found


def _files(folder: Path, kind: str, suffix: str) -> List[Tuple[Path, Dict[str, str]]]:
    """Images of a suffix in the folders of a kind, with or without sessions, and their entities."""
    found = []
    for pattern in (f"{kind}/*", f"ses-*/{kind}/*"):
        for path in sorted(folder.glob(pattern)):
            name = parse(path.name)
            if name and name.suffix == suffix and name.ending in IMAGES and "sub" in name.entities:
                found.append((path, name.entities))
    return found


def _anatomy(entities: Dict[str, str], anatomies) -> Tuple[Optional[Path], List[str]]:
    """The MRI of a PET: of its session, else of none, else of another; with the fewest entities, by name.

    :return: with a sentence where there was a choice.
    """

    def order(one):
        session = one[1].get("ses")
        near = 0 if session == entities.get("ses") else 1 if session is None else 2
        return near, len(one[1]), one[0].name

    if not anatomies:
        return None, []
    path, own = min(anatomies, key=order)
    others = [other for other, its in anatomies if its.get("ses") == own.get("ses") and other != path]
    notes = []
    if own.get("ses") != entities.get("ses"):
        notes.append(f"Its MRI is that of {'session ' + own['ses'] if 'ses' in own else 'no session'}.")
    if others:
        notes.append(f"Of {len(others) + 1} MRI images {path.name} was taken.")
    return path, notes


def side_cars(path: Path, root: Path) -> Tuple[Dict[str, object], List[str]]:
    """What the side cars of a file say, from the top of the data set down to its folder.

    The nearer one wins, and of two in one folder the one with more entities (inheritance principle).

    :return: with a sentence on each that cannot be read.
    """
    own = parse(path.name)
    inner = path.parent.relative_to(root).parts
    facts: Dict[str, object] = {}
    notes = []
    for folder in (root.joinpath(*inner[:depth]) for depth in range(len(inner) + 1)):
        names = {file: parse(file.name) for file in folder.glob("*.json")}
        fit = [
            file
            for file, name in names.items()
            if name and name.suffix == own.suffix and name.entities.items() <= own.entities.items()
        ]
        for file in sorted(fit, key=lambda file: (len(names[file].entities), file.name)):
            try:
                facts.update(json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                notes.append(f"{file.name} cannot be read as JSON and is left out.")
    return facts, notes
