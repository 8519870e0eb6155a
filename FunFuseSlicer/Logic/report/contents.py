"""What is shown of a result, and all of it on the patient's own axes."""

from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..color.sources import ColorSource, Range
from ..volumes.brain import estimate_brain
from ..volumes.geometry import Volume
from ..volumes.preprocessing import clean
from .patient_grid import head_box, on_patient_grid, patient_grid
from .places import CENTER, HOTTEST, Index, places

# How a registration was judged, in a word.
JUDGEMENTS = {
    "good": "good",
    "doubtful": "doubtful",
    "wrong": "wrong",
    "none": "none, taken as it is",
}

# Rows of a name and what there is to say.
Facts = List[Tuple[str, str]]


@dataclass(frozen=True)
class Contents:
    """A fused pair, and how it is to look.

    :param mri: all arrays lie on its grid, (k, j, i).
    :param pet: not negative, in its own unit.
    :param mri_scale: the intensity shown white.
    :param pet_range: the uptake at the beginning and at the end of the color map.
    :param range_is_chosen: by the user, not found in the image.
    :param place_on_scale: of the reference region that set the range, in words; "" where none did.
    :param pet_unit: such as "Bq/ml"; "" where it is not known.
    :param fused: the parts of MRI and PET, or the fused image alone.
    :param sources: by mode, what the colors are made of; the first one is shown at the start.
    :param table: (n, 3) color table in [0, 1]; ``pet_table`` that of the PET itself.
    :param judgement: of the registration, a key of :data:`JUDGEMENTS`; "" where none is known.
    :param brain: (k, j, i) bool, where it is known.
    :param places: see :func:`.places.places`; known once all is :func:`ready`.
    """

    mri: Volume
    pet: np.ndarray
    mri_scale: float
    pet_range: Range
    range_is_chosen: bool
    pet_unit: str
    pet_name: str
    fused: Sequence[np.ndarray]
    sources: Dict[str, ColorSource]
    table: np.ndarray
    pet_table: np.ndarray
    omega: float
    balance: float
    judgement: str
    version: str
    brain: Optional[np.ndarray] = None
    place_on_scale: str = ""
    places: Dict[str, Index] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        """What the colors show at the start."""
        return next(iter(self.sources))

    @property
    def start(self) -> Index:
        """The voxel (i, j, k) where all planes meet at the start."""
        return self.places.get(HOTTEST) or self.places[CENTER]

    def pet_title(self) -> str:
        """What stands at the color scale of the PET."""
        place = f", {self.place_on_scale}" if self.place_on_scale else ""
        return f"{self.pet_name}, {self.pet_unit or 'unit not known'}{place}"

    def color_scale(self, mode: str) -> Tuple[str, Range, str]:
        """What stands at the color scale of a mode: a title, the numbers at its ends, and the unit."""
        if mode in ("uptake", "ordered"):
            return self.pet_title(), self.pet_range, self.pet_unit
        if mode == "contribution" and self.range_is_chosen:
            return f"{self.pet_title()}, by its part", self.pet_range, self.pet_unit
        if mode == "contribution":
            return f"{self.pet_name}, part in %", (0.0, 100.0 * self.sources[mode].scale), "%"
        return f"{self.pet_name}, sensitivity in %", (0.0, 100.0), "%"


def ready(contents: Contents) -> Contents:
    """To be shown: the MRI :func:`~preprocessing.clean`, its brain estimated where it is not known, and all
    :func:`straightened`.

    :raises InputError: the MRI cannot be used.
    """
    mri, _ = clean(contents.mri, mri=True)
    brain = estimate_brain(mri) if contents.brain is None else contents.brain
    return straightened(replace(contents, mri=mri, brain=brain))


def straightened(contents: Contents) -> Contents:
    """The same on isotropic voxels along the patient's axes, cropped to the head, with places to look at.

    An array that appears twice does so afterwards.
    """
    mri = contents.mri
    grid = patient_grid(mri, head_box(mri, contents.pet, contents.pet_range[1]))
    known: Dict[tuple, np.ndarray] = {}

    def on_grid(array: np.ndarray) -> np.ndarray:
        # Two views of the same voxels are one.
        place = array.__array_interface__["data"][0], array.shape
        if place not in known:
            known[place] = on_patient_grid(array, mri, grid)
        return known[place]

    sources = {
        mode: replace(source, value=tuple(map(on_grid, source.value)), functional=on_grid(source.functional))
        for mode, source in contents.sources.items()
    }
    brain = contents.brain
    if brain is not None:
        brain = on_patient_grid(brain.astype(np.float32), mri, grid) > 0.5
    mri_there, pet_there = on_grid(mri.array), on_grid(contents.pet)
    return replace(
        contents,
        mri=grid.with_array(mri_there, mri.name),
        pet=pet_there,
        fused=[on_grid(array) for array in contents.fused],
        sources=sources,
        brain=brain,
        places=places(mri_there, pet_there, float(grid.spacing[0]), brain),
    )
