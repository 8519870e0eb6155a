"""Where a PET lies on an MRI: rigid, scaled or affine, found by mutual information.

:func:`register` gives a checked :class:`RegistrationResult`, and :func:`reuse` checks a matrix that was
found before; more engines join by :func:`add_engine`, or call :func:`conclude` themselves when their
work runs on its own.
"""

from .dispatch import (
    add_engine,
    available_engines,
    default_engine,
    engine_names,
    register,
    register_and_resample,
    reuse,
)
from .interface import (
    MASK_MODES,
    REUSED,
    STAGES,
    Candidate,
    Engine,
    ImplausibleRegistration,
    OutOfTime,
    RegistrationOptions,
    RegistrationResult,
)
from .judgement import DOUBTFUL, GOOD, WRONG
from .plausibility import Decomposition, compose, decompose, describe, objections
from .preparation import check_volume
from .selection import conclude

__all__ = [
    "DOUBTFUL",
    "GOOD",
    "MASK_MODES",
    "REUSED",
    "STAGES",
    "WRONG",
    "Candidate",
    "Decomposition",
    "Engine",
    "ImplausibleRegistration",
    "OutOfTime",
    "RegistrationOptions",
    "RegistrationResult",
    "add_engine",
    "available_engines",
    "check_volume",
    "compose",
    "conclude",
    "decompose",
    "default_engine",
    "describe",
    "engine_names",
    "objections",
    "register",
    "register_and_resample",
    "reuse",
]
