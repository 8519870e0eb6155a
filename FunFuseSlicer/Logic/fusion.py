"""From an MRI and a PET on the same grid to the fused image, its parts and its colors."""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .color import MODES, balanced, colorize
from .device import DEVICES, choose_device
from .engine import FusedSlices, fuse_slices
from .errors import InputError
from .models import DEFAULT_MODEL
from .monitor import Monitor
from .preprocessing import NORMALIZATIONS, full_range, normalize, robust_scale
from .volume import Volume, axial_order, from_axial, to_axial


@dataclass(frozen=True)
class FusionOptions:
    """What the user can choose about fusion and color.

    :param lam: λ in [0, 1], structure (1) against intensity (0) in the network's objective.
    :param omega: Ω in [0, 1], how strongly color shows.
    :param balance: β in [0, 1], anatomy (0) against function (1); 0.5 is the fused image.
    :param mode: what gives the hue: "contribution" (the PET part), "uptake" (the registered PET) or
        "gradient" (equation (5), with the value from the MRI's gradient).
    :param colormap: name of a color map.
    :param device: "auto", "cpu", "cuda" or "mps".
    :param normalization: see :func:`preprocessing.normalize`.
    :param model: name of the weights, see :func:`models.model_names`.
    :raises InputError: a value outside its range, naming the option.
    """

    lam: float = 0.8
    omega: float = 0.6
    balance: float = 0.5
    mode: str = "contribution"
    colormap: str = "Jet"
    device: str = "auto"
    normalization: str = "robust"
    model: str = DEFAULT_MODEL

    def __post_init__(self):
        for what, value in (("λ", self.lam), ("Ω", self.omega), ("balance", self.balance)):
            if not 0.0 <= value <= 1.0:
                raise InputError(f"{what} must lie between 0 and 1, not {value}.")
        for what, value, allowed in (
            ("mode", self.mode, MODES),
            ("device", self.device, DEVICES),
            ("normalization", self.normalization, NORMALIZATIONS),
        ):
            if value not in allowed:
                raise InputError(f'Unknown {what} "{value}": choose one of {", ".join(allowed)}.')


@dataclass(frozen=True)
class Fusion:
    """A fused pair; arrays are (k, j, i) on the MRI's grid, float32.

    :param fused: F; ``mri_part`` and ``pet_part`` are C1 and C2, F = C1 + C2. Not clipped.
    :param uptake: the PET in [0, 1], as the network saw it.
    :param gradients: (∇F_I1, ∇F_I2) when they were asked for.
    :param slices: the run's facts (its arrays are those above, in slice order).
    """

    fused: np.ndarray
    mri_part: np.ndarray
    pet_part: np.ndarray
    uptake: np.ndarray
    gradients: Optional[Tuple[np.ndarray, np.ndarray]]
    slices: FusedSlices


def fuse_volumes(
    mri: Volume,
    pet: Volume,
    network,
    options: Optional[FusionOptions] = None,
    ranges: Tuple[np.dtype, np.dtype] = (np.dtype("float32"), np.dtype("float32")),
    mask: Optional[np.ndarray] = None,
    monitor: Optional[Monitor] = None,
) -> Fusion:
    """Normalize both volumes, run the network over the axial slices, and put the results back.

    :param mri: cleaned, see :func:`preprocessing.clean`; ``pet`` likewise, on the same grid.
    :param network: for one λ, see ``at_lambda``.
    :param ranges: the original dtypes of MRI and PET; only the normalization "none" needs them.
    :param mask: (k, j, i); voxels where it is 0 become background in both inputs.
    :raises Cancelled: through the monitor, between slices.
    """
    options = options or FusionOptions()
    images = []
    for volume, dtype in zip((mri, pet), ranges):
        image = volume.array if mask is None else np.where(mask > 0, volume.array, 0)
        if not image.any():
            raise InputError(f'"{volume.name}" is zero all over the mask: choose another mask, or none.')
        images.append(normalize(image, options.normalization, full_range(dtype)))
    order = axial_order(mri.ijk_to_ras)
    gradients = options.mode == "gradient"
    slices = fuse_slices(
        network,
        to_axial(images[0], order),
        to_axial(images[1], order),
        choose_device(options.device),
        gradients,
        monitor,
    )

    def back(array: np.ndarray) -> np.ndarray:
        array = np.ascontiguousarray(from_axial(array, order))
        if mask is not None:
            # The kernels reach a few pixels over the mask's edge; what the user masked stays black.
            array[mask == 0] = 0
        return array

    return Fusion(
        back(slices.fused),
        back(slices.mri_part),
        back(slices.pet_part),
        images[1],
        (back(slices.mri_gradient), back(slices.pet_gradient)) if gradients else None,
        slices,
    )


def value_and_function(fusion: Fusion, mode: str, balance: float) -> Tuple[np.ndarray, np.ndarray]:
    """What gives the brightness and what gives the hue, both in [0, 1], (k, j, i).

    Scales are robust percentiles of the whole volume, never of a slice.

    :raises InputError: mode "gradient" of a pair that was fused without gradients.
    """
    if mode == "gradient":
        if fusion.gradients is None:
            raise InputError("The gradient mode needs a run in that mode: press Apply again.")
        return tuple(_scaled(gradient) for gradient in fusion.gradients)
    value = balanced(fusion.mri_part, fusion.pet_part, balance)
    return np.clip(value, 0.0, 1.0), fusion.uptake if mode == "uptake" else _scaled(fusion.pet_part)


def color_volume(fusion: Fusion, options: FusionOptions, table: np.ndarray) -> np.ndarray:
    """The colored image, uint8 (k, j, i, 3).

    :param table: (n, 3) color table in [0, 1].
    """
    value, functional = value_and_function(fusion, options.mode, options.balance)
    return colorize(value, functional, table, options.omega)


def _scaled(array: np.ndarray) -> np.ndarray:
    """Non-negative part over its robust maximum, clipped to [0, 1]."""
    array = np.maximum(array, 0.0)
    return np.minimum(array / np.float32(robust_scale(array)), 1.0) if array.any() else array
