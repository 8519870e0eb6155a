"""The way from two volumes to a checked transform, through the engine that the options name."""

import time
from importlib import import_module
from typing import Dict, Optional, Tuple, Union

from ..errors import InputError
from ..monitor import Monitor
from ..volume import Volume, resample
from .interface import Engine, RegistrationOptions, RegistrationResult
from .preparation import check_volume
from .selection import conclude

# An engine, or "module:function" relative to this package, so that its imports wait until needed.
_engines: Dict[str, Union[Engine, str]] = {"SimpleITK": ".simpleitk_engine:run"}


def add_engine(name: str, engine: Union[Engine, str]) -> None:
    """Offer an engine under a name, replacing any of the same name."""
    _engines[name] = engine


def engine_names() -> Tuple[str, ...]:
    """The names that ``RegistrationOptions.engine`` may have."""
    return tuple(_engines)


def _engine(name: str) -> Engine:
    if name not in _engines:
        known = ", ".join(f"'{known}'" for known in _engines)
        raise InputError(f"There is no registration engine '{name}'; choose one of {known}.")
    engine = _engines[name]
    if isinstance(engine, str):
        module, function = engine.split(":")
        engine = getattr(import_module(module, __package__), function)
    return engine


def register(
    fixed: Volume,
    moving: Volume,
    options: Optional[RegistrationOptions] = None,
    monitor: Optional[Monitor] = None,
) -> RegistrationResult:
    """Find where the PET lies on the MRI.

    :param fixed: the MRI, 3-D, finite.
    :param moving: the PET, 3-D, finite, anywhere within some centimeters and 20°.
    :param options: defaults when None.
    :param monitor: told the stage "Registering" with its fraction, and asked whether to stop.
    :raises InputError: a volume or option that cannot be used.
    :raises RegistrationError: no plausible transform was found.
    :raises Cancelled: the monitor was asked to stop.
    """
    began = time.monotonic()
    options = RegistrationOptions() if options is None else options
    monitor = Monitor() if monitor is None else monitor
    engine = _engine(options.engine)
    for volume in (fixed, moving):
        check_volume(volume)
    monitor.check()
    candidates = engine(fixed, moving, options, monitor)
    monitor.check()
    result = conclude(fixed, moving, candidates, options, began)
    monitor.report("Registering", 1.0)
    return result


def register_and_resample(
    fixed: Volume,
    moving: Volume,
    options: Optional[RegistrationOptions] = None,
    monitor: Optional[Monitor] = None,
) -> Tuple[RegistrationResult, Volume]:
    """:func:`register`, and the PET on the grid of the MRI at the found place (float32, linear)."""
    result = register(fixed, moving, options, monitor)
    return result, resample(moving, fixed, result.matrix)
