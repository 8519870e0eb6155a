"""What ``funfuse benchmark`` measures.

Each section is a module with ``measure(settings) -> Section``.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

BENCHMARKS = {
    "slices": (
        "funfuse_cli.benchmarks.slices",
        "One slice: the authors' way, the paper's network, and the default one",
    ),
    "volume": ("funfuse_cli.benchmarks.volume", "Whole volumes, from arrays in memory to colors"),
    "sliders": ("funfuse_cli.benchmarks.sliders", "Ω, balance and color map of a volume"),
    "stream": ("funfuse_cli.benchmarks.stream", "A PET that changes, through the scene to the slice views"),
    "start-up": ("funfuse_cli.benchmarks.start_up", "From nothing to the module, and to the first slice"),
}

LARGEST_OF_QUICK = (180, 256, 256)
# The model that the default one is compared with, and λ.
PAPER, LAMBDA = "paper", 0.8


@dataclass(frozen=True)
class Settings:
    """How much is measured; sizes are (k, j, i).

    :param repeats: of what takes less than seconds; ``long_repeats`` of what takes longer, and what takes
        minutes is done once.
    :param side: rows and columns of a slice; ``slices`` of them are fused in one call.
    :param volumes: the synthetic heads, smallest first; ``whole`` is the one in place of a real pair.
    :param sliders: the volume whose colors change, one of the heads.
    :param moving: the PET of the stream of volumes; ``fixed`` its MRI.
    :param device: "cpu", or a GPU to measure beside it.
    :param data: folder with ``volumes/patient_fdg``, a real pair; None for the synthetic head instead.
    """

    repeats: int = 10
    long_repeats: int = 3
    side: int = 256
    slices: int = 16
    volumes: Tuple[Tuple[int, int, int], ...] = (
        (90, 128, 128),
        (189, 233, 197),
        LARGEST_OF_QUICK,
        (270, 384, 384),
        (400, 512, 512),
    )
    whole: Tuple[int, int, int] = LARGEST_OF_QUICK
    sliders: Tuple[int, int, int] = (189, 233, 197)
    moving: Tuple[int, int, int] = (63, 128, 128)
    fixed: Tuple[int, int, int] = (94, 256, 256)
    device: str = "cpu"
    data: Optional[Path] = None

    def repeats_of(self, shape: Tuple[int, int, int]) -> int:
        """How often a volume of this size is fused."""
        voxels, limit = (a * b * c for a, b, c in (shape, LARGEST_OF_QUICK))
        return self.long_repeats if voxels <= limit else 1


@dataclass
class Section:
    """What a section found.

    :param rows: what the table shows: ``what``, ``median_s``, ``fastest_s``, ``slowest_s``, ``repeats``,
        and ``note`` where there is more to say.
    :param figures: keys of the JSON file; None for what could not be measured.
    :param notes: why, by key; and how something was measured.
    """

    rows: List[dict] = field(default_factory=list)
    figures: Dict[str, object] = field(default_factory=dict)
    notes: Dict[str, str] = field(default_factory=dict)

    def add(self, what: str, times: Dict[str, float], note: str = "", **more) -> None:
        """One row more."""
        self.rows.append({"what": what, **times, "note": note, **more})

    def cannot(self, reason: str, *keys: str) -> None:
        """These figures could not be measured."""
        self.figures.update(dict.fromkeys(keys))
        self.notes.update(dict.fromkeys(keys, reason))


def in_words(shape: Tuple[int, ...]) -> str:
    """The size (k, j, i) of a volume as users say it: columns × rows × slices."""
    return "×".join(str(n) for n in reversed(shape))
