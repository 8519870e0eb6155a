"""The way from two volumes to a checked transform, through the engine that the options name."""

import time
from typing import Callable, Dict, Optional, Tuple

import numpy as np

from ..errors import InputError
from ..monitor import Monitor
from ..volumes.geometry import Volume, resample
from . import simpleitk_engine
from .interface import REUSED, Candidate, Engine, OutOfTime, RegistrationOptions, RegistrationResult
from .pair import ImagePair
from .preparation import check_volume, check_within_reach
from .selection import applicable, conclude, judged

BRAINS, SIMPLEITK = "BRAINS", "SimpleITK"

# An engine, and whether it can run here. Slicer's own joins when the room that knows Slicer is imported.
_engines: Dict[str, Tuple[Engine, Callable[[], bool]]] = {SIMPLEITK: (simpleitk_engine.run, lambda: True)}


def add_engine(name: str, engine: Engine, available: Callable[[], bool] = lambda: True) -> None:
    """Offer an engine under a name, replacing any of the same name.

    :param available: whether it can run here, asked each time.
    """
    _engines[name] = engine, available


def engine_names() -> Tuple[str, ...]:
    """The names that ``RegistrationOptions.engine`` may have, here or elsewhere."""
    return tuple(_engines)


def available_engines() -> Tuple[str, ...]:
    """The engines that can run here: BRAINS only in a Slicer that has its module."""
    return tuple(name for name, (_, available) in _engines.items() if available())


def default_engine() -> str:
    """BRAINS where it can run, else SimpleITK."""
    return BRAINS if BRAINS in available_engines() else SIMPLEITK


def _engine(name: str) -> Engine:
    if name not in _engines:
        known = ", ".join(f"'{known}'" for known in _engines)
        raise InputError(f"There is no registration engine '{name}'; choose one of {known}.")
    return _engines[name][0]


def register(
    fixed: Volume,
    moving: Volume,
    options: Optional[RegistrationOptions] = None,
    monitor: Optional[Monitor] = None,
    aside: Optional[Callable[..., RegistrationResult]] = None,
) -> RegistrationResult:
    """Find where the PET lies on the MRI.

    :param fixed: the MRI, 3-D, finite.
    :param moving: the PET, 3-D, finite, anywhere within some centimeters and 20°.
    :param options: defaults when None.
    :param monitor: told the stages "Registering" and "Checking the registration" with their fractions, and
        asked whether to stop.
    :param aside: how an application that has to answer meanwhile does what follows the engine: called with
        a function of a monitor, the monitor and the stage, returns what the function does.
    :raises InputError: a volume or option that cannot be used, or volumes that lie apart in space.
    :raises ImplausibleRegistration: what was found contradicts what a head can do; it carries it.
    :raises RegistrationError: nothing was found, or not within the time limit.
    :raises Cancelled: the monitor was asked to stop.
    """
    began = time.monotonic()
    options = RegistrationOptions() if options is None else options
    monitor = Monitor() if monitor is None else monitor
    engine = _engine(options.engine)
    for volume in (fixed, moving):
        check_volume(volume)
    if not options.far_apart:
        check_within_reach(fixed, moving)
    monitor.check()
    pair = ImagePair(fixed, moving)
    candidates = engine(pair, options, _Deadline(monitor, moving, fixed, began + options.time_limit))
    monitor.report("Registering", 1.0)

    def rest(told: Monitor) -> RegistrationResult:
        return conclude(pair, candidates, options, began, told)

    return rest(monitor) if aside is None else aside(rest, monitor, "Checking the registration")


def reuse(fixed: Volume, moving: Volume, matrix: np.ndarray) -> RegistrationResult:
    """A matrix found before, perhaps nudged by hand since, judged, as a result with the method "reused".

    :param matrix: 4×4 in RAS millimeters, moving (PET) to fixed (MRI).
    :raises InputError: a volume that cannot be used, or a matrix that cannot be inverted.
    :raises ImplausibleRegistration: it is judged wrong; it carries it.
    """
    began = time.monotonic()
    for volume in (fixed, moving):
        check_volume(volume)
    matrix = np.array(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(
            f"The transform from '{moving.name}' to '{fixed.name}' cannot be used: it flattens space. "
            "Register them anew."
        )
    pair = ImagePair(fixed, moving)
    return applicable(judged(pair, Candidate("none", matrix), REUSED, began), pair)


class _Deadline(Monitor):
    """Passes everything on to another monitor, until the time is over."""

    def __init__(self, monitor: Monitor, moving: Volume, fixed: Volume, end: float):
        super().__init__()
        self._monitor, self._names, self._end = monitor, (moving.name, fixed.name), end

    def report(self, stage: str, fraction: Optional[float]) -> None:
        """As the other; :raises OutOfTime: the time is over."""
        self._monitor.report(stage, fraction)
        self._check_time()

    def cancel(self) -> None:
        """As the other."""
        self._monitor.cancel()

    @property
    def cancelled(self) -> bool:
        """As the other."""
        return self._monitor.cancelled

    def check(self) -> None:
        """As the other; :raises OutOfTime: the time is over."""
        self._monitor.check()
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise OutOfTime(
                f"Registering '{self._names[0]}' to '{self._names[1]}' took longer than its time limit; "
                "choose rigid only, or allow more time."
            )


def register_and_resample(
    fixed: Volume,
    moving: Volume,
    options: Optional[RegistrationOptions] = None,
    monitor: Optional[Monitor] = None,
) -> Tuple[RegistrationResult, Volume]:
    """:func:`register`, and the PET on the grid of the MRI at the found place (float32, linear)."""
    result = register(fixed, moving, options, monitor)
    return result, resample(moving, fixed, result.matrix)
