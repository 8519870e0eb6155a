"""What every registration engine takes and gives.

An engine only proposes matrices, one per stage. Whether the inputs can be registered at all, which
proposal to trust, and what to tell the user is decided outside of it, alike for all engines.
"""

from dataclasses import dataclass, field
from typing import Callable, Optional, Sequence, Tuple

import numpy as np

from ..errors import InputError, RegistrationError
from ..monitor import Monitor
from .evidence import Evidence
from .judgement import GOOD
from .pair import ImagePair

STAGES = ("rigid", "scale", "affine")
MASK_MODES = ("automatic", "head", "none")

# The method of a result that was not searched for.
REUSED = "reused"


@dataclass(frozen=True)
class RegistrationOptions:
    """How to register; the defaults suit a brain PET or SPECT and an MRI.

    :param engine: a name in :func:`engine_names`.
    :param stages: what may change, in this order: ``"rigid"`` always, then ``"scale"`` (along the
        axes of the MRI) and ``"affine"`` where wanted.
    :param sampling_fraction: how densely to sample, as part of all cubes of 2 mm, in (0, 1].
    :param seed: of the sampling, above 0; same seed, same result (SimpleITK only).
    :param threads: for the metric. With SimpleITK only 1 gives the same bits in every run: with more,
        the order of sums varies, and results agree to about a micrometer. The starts of the rough search
        run side by side in as many threads, which changes no bit.
    :param masks: where to look. "automatic": the engine's own masks of the head (in BRAINS ROIAUTO);
        "head": the masks of the head that SimpleITK's engine uses; "none": everywhere, where large even
        backgrounds can draw the scale and affine stages far away.
    :param iterations: of each stage of BRAINS, at most.
    :param minimum_gain: by which part more mutual information a scaled or affine result must
        explain than the rigid one, else the rigid one is kept; 0 or more. None takes the last stage's result
        whatever it gains; else one is looked for only where the rigid one leaves parts of the brain apart.
    :param far_apart: accept volumes whose fields of view have no point in common, as from two scanners
        with different table positions.
    :param check_header: try whether a mirrored or turned over head fits better, and say so; takes some
        seconds.
    :param time_limit: seconds after which the work stops; what is found by then is used.
    :raises InputError: a value is out of range.
    """

    engine: str = "SimpleITK"
    stages: Tuple[str, ...] = STAGES
    sampling_fraction: float = 0.1
    seed: int = 1
    threads: int = 1
    masks: str = "automatic"
    iterations: int = 1500
    minimum_gain: Optional[float] = 0.1
    far_apart: bool = False
    check_header: bool = True
    time_limit: float = 600.0

    def __post_init__(self) -> None:
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
        if self.masks not in MASK_MODES:
            known = ", ".join(f"'{mode}'" for mode in MASK_MODES)
            raise InputError(f"There is no mask mode '{self.masks}' for registration; choose one of {known}.")
        if self.iterations < 1:
            raise InputError(f"The number of iterations is {self.iterations}; it must be at least 1.")
        if self.minimum_gain is not None and not self.minimum_gain >= 0.0:
            raise InputError(f"The minimum gain is {self.minimum_gain}; it must be 0 or more.")
        if not self.time_limit > 0.0:
            raise InputError(f"The time limit is {self.time_limit} s; it must be above 0.")


@dataclass(frozen=True)
class Candidate:
    """What an engine found in one stage.

    :param stage: one of ``STAGES``.
    :param matrix: 4×4 in RAS millimeters, moving (PET) to fixed (MRI).
    :param note: a sentence for the user when this stage did not go as usual, else empty.
    """

    stage: str
    matrix: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class RegistrationResult:
    """A transform, and what speaks for and against it.

    :param matrix: 4×4 in RAS millimeters, moving (PET) to fixed (MRI): Slicer's transform to parent
        of the PET, and what :func:`FunFuseSlicer.Logic.volumes.geometry.resample` takes.
    :param method: engine and kind of transform, such as ``"SimpleITK rigid"``, or ``"reused"``.
    :param stage: the stage whose matrix was kept, or ``"none"`` when the given position was best.
    :param similarity_before: mutual information in nats at the given position, 0 or more.
    :param similarity_after: the same at the result, over the same voxels of the MRI.
    :param seconds: wall-clock time.
    :param notes: sentences for the user, possibly none.
    :param description: rotation, translation, scale and shear in words.
    :param judgement: "good", "doubtful" or "wrong"; what is wrong must not be applied.
    :param verdict: one sentence that begins with this word, with the reasons.
    :param reasons: for "doubtful" and "wrong", in words.
    :param evidence: what the images say about the place, in numbers.
    :param rigid_matrix: the rigid result, where another one was kept: right for one patient whose head should
        not change its size.
    """

    matrix: np.ndarray
    method: str
    stage: str
    similarity_before: float
    similarity_after: float
    seconds: float
    notes: Tuple[str, ...] = field(default=())
    description: str = ""
    judgement: str = GOOD
    verdict: str = ""
    reasons: Tuple[str, ...] = field(default=())
    evidence: Optional[Evidence] = None
    rigid_matrix: Optional[np.ndarray] = None

    @property
    def trusted(self) -> bool:
        """Whether nothing at all speaks against the transform."""
        return self.judgement == GOOD


class ImplausibleRegistration(RegistrationError):
    """All that was found is judged wrong.

    :param result: the best of it, to be shown with its reasons; it must not be applied.
    """

    def __init__(self, message: str, result: RegistrationResult):
        super().__init__(message)
        self.result = result


class OutOfTime(RegistrationError):
    """The time limit of a registration is over; engines return what they have, or let it pass."""


# Returns candidates in stage order.
Engine = Callable[[ImagePair, RegistrationOptions, Monitor], Sequence[Candidate]]
