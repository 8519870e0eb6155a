"""Where a PET lies on an MRI: rigid, scaled or affine, found by mutual information.

:func:`register` gives a checked :class:`RegistrationResult`; more engines join by
:func:`add_engine`, or call :func:`conclude` themselves when their work runs on its own.
"""

from .dispatch import add_engine, engine_names, register, register_and_resample
from .interface import STAGES, Candidate, Engine, RegistrationOptions, RegistrationResult
from .plausibility import Decomposition, compose, decompose, describe, objections
from .preparation import check_volume
from .selection import conclude

__all__ = [
    "STAGES",
    "Candidate",
    "Decomposition",
    "Engine",
    "RegistrationOptions",
    "RegistrationResult",
    "add_engine",
    "check_volume",
    "compose",
    "conclude",
    "decompose",
    "describe",
    "engine_names",
    "objections",
    "register",
    "register_and_resample",
]
