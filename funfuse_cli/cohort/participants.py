"""What a cohort consists of: participants with their PET images, and the MRI that goes with each."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from FunFuseSlicer.Logic.errors import InputError

# How many names a sentence lists.
SHOWN = 5


@dataclass(frozen=True)
class Image:
    """A PET or SPECT image, and what goes with it; paths are absolute.

    :param name: how the names of its results begin: "sub-01_ses-2_trc-FDG".
    :param session: and tracer: labels, "" for none.
    :param mri: None when there is none that fits; ``anatomy`` is its suffix in BIDS, such as "T1w".
    :param facts: what its side cars say, the inherited ones too.
    :param notes: sentences on how they were chosen.
    """

    pet: str
    name: str
    session: str = ""
    tracer: str = ""
    mri: Optional[str] = None
    anatomy: str = "T1w"
    mask: Optional[str] = None
    transform: Optional[str] = None
    facts: Dict[str, object] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()

    @property
    def transform_name(self) -> str:
        """How the file is named that tells where it lies on the MRI."""
        return f"{self.name}_from-pet_to-{self.anatomy}_mode-image_xfm.txt"

    def files(self) -> Dict[str, str]:
        """Role -> path of all that is read."""
        roles = ("mri", "pet", "mask", "transform")
        return {role: getattr(self, role) for role in roles if getattr(self, role) is not None}


@dataclass(frozen=True)
class Participant:
    """The unit of work.

    :param label: without "sub-".
    :param others: names of images that there are, but are not asked for: their results stay.
    """

    label: str
    images: Tuple[Image, ...] = ()
    others: Tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"sub-{self.label}"


@dataclass(frozen=True)
class Choice:
    """What of a cohort is asked for; empty means all.

    :param anatomies: suffixes of an MRI in BIDS, the one to prefer first.
    """

    labels: Sequence[str] = ()
    sessions: Sequence[str] = ()
    tracers: Sequence[str] = ()
    anatomies: Sequence[str] = ("T1w",)

    def participant(self, label: str, images: Sequence[Image]) -> Participant:
        """With those images of which session and tracer are asked for."""
        asked = [
            image.session in (self.sessions or (image.session,))
            and image.tracer in (self.tracers or (image.tracer,))
            for image in images
        ]
        taken = tuple(image for image, is_asked in zip(images, asked) if is_asked)
        return Participant(label, taken, tuple(image.name for image in images if image not in taken))

    def labels_among(self, there: Sequence[str], where: object) -> Iterator[str]:
        """The labels that are asked for, with or without "sub-", in the order of those that are there.

        :raises InputError: some are not there.
        """
        wanted = {label[4:] if label.startswith("sub-") else label for label in self.labels} or set(there)
        if wanted - set(there):
            raise InputError(
                f"{where} has no participant {_some(sorted(wanted - set(there)))}; there are {_some(there)}."
            )
        return (label for label in there if label in wanted)


def with_transforms(participants: Iterable[Participant], folder: Path) -> List[Participant]:
    """The participants with those transforms that are in a folder under the names of their results.

    :raises InputError: none of the files is for any of them.
    """
    found, used = [], 0
    for participant in participants:
        images = []
        for image in participant.images:
            path = folder / image.transform_name
            used += path.is_file()
            images.append(replace(image, transform=str(path)) if path.is_file() else image)
        found.append(replace(participant, images=tuple(images)))
    if not used:
        raise InputError(
            f"{folder} has no transform of these participants: their names are like those of the results, "
            "sub-…_from-pet_to-T1w_mode-image_xfm.txt."
        )
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
