"""What a cohort consists of: participants with their PET images, and the MRI that goes with each."""

from dataclasses import dataclass, field
from typing import Dict, Iterator, Optional, Sequence, Tuple

from FunFuseSlicer.Logic.errors import InputError

# How many names a sentence lists.
SHOWN = 5


@dataclass(frozen=True)
class Image:
    """A PET or SPECT image, and what goes with it; paths are absolute.

    :param name: how the names of its results begin: "sub-01_ses-2_trc-FDG".
    :param session: and tracer: labels, "" for none.
    :param mri: None when there is none that fits.
    :param facts: what its side cars say, the inherited ones too.
    :param notes: sentences on how they were chosen.
    """

    pet: str
    name: str
    session: str = ""
    tracer: str = ""
    mri: Optional[str] = None
    mask: Optional[str] = None
    transform: Optional[str] = None
    facts: Dict[str, object] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()

    def files(self) -> Dict[str, str]:
        """Role -> path of all that is read."""
        roles = ("mri", "pet", "mask", "transform")
        return {role: getattr(self, role) for role in roles if getattr(self, role) is not None}


@dataclass(frozen=True)
class Participant:
    """The unit of work.

    :param label: without "sub-".
    """

    label: str
    images: Tuple[Image, ...] = ()

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"sub-{self.label}"


@dataclass(frozen=True)
class Choice:
    """What of a cohort is asked for; empty means all.

    :param anatomy: the suffix of the MRI in BIDS: "T1w", "T2w" or "FLAIR".
    """

    labels: Sequence[str] = ()
    sessions: Sequence[str] = ()
    tracers: Sequence[str] = ()
    anatomy: str = "T1w"

    def takes(self, image: Image) -> bool:
        """Whether session and tracer of an image are asked for."""
        return image.session in (self.sessions or (image.session,)) and image.tracer in (
            self.tracers or (image.tracer,)
        )

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


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
