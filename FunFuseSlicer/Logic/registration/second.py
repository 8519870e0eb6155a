"""Where a second PET or SPECT of the same patient lies, such as the interictal one beside the ictal."""

from typing import Optional

import numpy as np

from ..monitor import Monitor
from ..volumes.geometry import Volume
from .dispatch import register
from .interface import RegistrationOptions
from .pair import MIDDLE_MM
from .preparation import prepare_pet
from .simpleitk_engine import improve_rigid


def register_second(
    mri: Volume, pet: Volume, matrix: np.ndarray, second: Volume, monitor: Optional[Monitor] = None
) -> np.ndarray:
    """Registered rigidly to the MRI, as the first one, and from there to the first one, which it resembles.

    :param matrix: 4×4 in RAS, ``pet`` to the MRI.
    :return: 4×4 in RAS, ``second`` to the MRI; with the scale of ``matrix``, if it has one.
    :raises InputError, RegistrationError, Cancelled: see :func:`.dispatch.register`.
    """
    monitor, options = monitor or Monitor(), RegistrationOptions(stages=("rigid",), check_header=False)
    rough = register(mri, second, options, monitor)
    between = improve_rigid(
        prepare_pet(pet, MIDDLE_MM),
        prepare_pet(second, MIDDLE_MM),
        _rigid(np.linalg.inv(matrix) @ rough.matrix),
        options,
        lambda part: monitor.report("Registering", part),
    )
    return matrix @ between


def _rigid(matrix: np.ndarray) -> np.ndarray:
    """The nearest rigid one: a patient's head keeps its size between two studies."""
    result = matrix.copy()
    left, _, right = np.linalg.svd(matrix[:3, :3])
    result[:3, :3] = left @ right
    return result
