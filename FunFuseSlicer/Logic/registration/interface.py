"""What every registration engine takes and gives.

An engine only proposes matrices, one per stage. Whether the inputs can be registered at all, which
proposal to trust, and what to tell the user is decided outside of it, alike for all engines.
"""

from dataclasses import dataclass, field
from typing import Callable, Sequence, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volume import Volume

STAGES = ("rigid", "scale", "affine")


@dataclass(frozen=True)
class RegistrationOptions:
    """How to register; the defaults suit a brain PET or SPECT and an MRI.

    :param engine: a name in :func:`engine_names`.
    :param stages: what may change, in this order: ``"rigid"`` always, then ``"scale"`` (along the
        axes of the MRI) and ``"affine"`` where wanted.
    :param sampling_fraction: part of the voxels that the finest level uses, in (0, 1]; coarser
        levels use about as many samples, at most all voxels.
    :param seed: of the sampling, above 0; same seed, same result.
    :param threads: for the metric. Only 1 gives the same bits in every run: with more, the order of
        sums varies, and results agree to about a micrometer.
    :param head_masks: look only at the head and a narrow margin. Without, large even backgrounds
        can draw the scale and affine stages far away.
    :param minimum_gain: by which part more mutual information a scaled or affine result must
        explain than the rigid one, else the rigid one is kept; 0 or more.
    :raises InputError: a value is out of range.
    """

    engine: str = "SimpleITK"
    stages: Tuple[str, ...] = STAGES
    sampling_fraction: float = 0.1
    seed: int = 1
    threads: int = 1
    head_masks: bool = True
    minimum_gain: float = 0.1

    def __post_init__(self):
        stages = tuple(self.stages)
        if stages[:1] != ("rigid",) or stages != tuple(s for s in STAGES if s in stages):
            raise InputError(
                f"The registration stages {list(stages)} cannot be used: they start with 'rigid', and "
                "'scale' and 'affine' may follow, in this order."
            )
        object.__setattr__(self, "stages", stages)
        if not 0.0 < self.sampling_fraction <= 1.0:
            raise InputError(f"The sampling fraction is {self.sampling_fraction}; it must be in (0, 1].")
        if self.seed < 1 or self.threads < 1:
            raise InputError("The seed and the number of threads of a registration must be at least 1.")
        if not self.minimum_gain >= 0.0:
            raise InputError(f"The minimum gain is {self.minimum_gain}; it must be 0 or more.")


@dataclass(frozen=True)
class Candidate:
    """What an engine found in one stage.

    :param stage: one of ``STAGES``.
    :param matrix: 4×4 in RAS millimeters, moving (PET) to fixed (MRI).
    """

    stage: str
    matrix: np.ndarray


@dataclass(frozen=True)
class RegistrationResult:
    """A transform that passed all checks.

    :param matrix: 4×4 in RAS millimeters, moving (PET) to fixed (MRI): Slicer's transform to parent
        of the PET, and what :func:`FunFuseSlicer.Logic.volume.resample` takes.
    :param method: engine and kind of transform, such as ``"SimpleITK rigid"``.
    :param stage: the stage whose matrix was kept, or ``"none"`` when the given position was best.
    :param similarity_before: mutual information in nats at the given position, 0 or more.
    :param similarity_after: the same at the result, over the same voxels of the MRI.
    :param seconds: wall-clock time.
    :param notes: sentences for the user, possibly none.
    :param description: rotation, translation, scale and shear in words.
    """

    matrix: np.ndarray
    method: str
    stage: str
    similarity_before: float
    similarity_after: float
    seconds: float
    notes: Tuple[str, ...] = field(default=())
    description: str = ""


# Takes (fixed, moving, options, monitor), both volumes checked; returns candidates in stage order.
Engine = Callable[[Volume, Volume, RegistrationOptions, Monitor], Sequence[Candidate]]
