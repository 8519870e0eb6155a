"""From an MRI and a PET on the same grid to the fused image, its parts and its colors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, Generator, Optional, Tuple

import numpy as np

from ..color.colorize import MODES, NEED_PARTS
from ..color.sources import (
    ColorSource,
    Range,
    contribution_source,
    gradient_source,
    scale_of,
    uptake_source,
)
from ..color.tables import DEFAULT_MAP
from ..errors import InputError
from ..monitor import Monitor
from ..volumes.brain import estimate_brain
from ..volumes.geometry import Volume, axial_order, to_axial
from ..volumes.preprocessing import NORMALIZATIONS, full_range, to_unit, unit_range
from ..volumes.slabs import Index, slabs
from ..volumes.tracers import OTHER
from .engine import FusedSlices, Runner, fuse_slices_steps, processors, to_the_end
from .fuser import NETWORK, method_labels
from .models import DEFAULT_MODEL, DEVICES, is_device

# Options that mean something for the network only.
NETWORK_OPTIONS = ("lam", "balance", "device", "model")


@dataclass(frozen=True)
class FusionOptions:
    """What the user can choose about fusion and color.

    :param lam: λ in [0, 1], structure (1) against intensity (0) in the network's objective.
    :param omega: Ω in [0, 1], how strongly color shows.
    :param balance: β in [0, 1], anatomy (0) against function (1); 0.5 is the fused image.
    :param mode: what gives the hue: "contribution" (the PET part), "uptake" (the registered PET), "ordered"
        (the same by :func:`ordered.ordered_table`) or "gradient" (equation (5), with the value from the MRI's
        gradient); None for "contribution", or "uptake" for methods without parts.
    :param colormap: name of a color map. In the mode "ordered" it is that of the PET alone.
    :param uptake_range: what its two ends stand for, in the PET's unit; None for 0 and the robust maximum in
        the brain. Not for the mode "gradient".
    :param reference_at: above 0 to 100, the percent of the color map at which the mean of a reference region
        lies: a run that measures one makes the range of it, see :func:`regions.range_at`.
    :param pet_colormap: of the registered PET itself; None for the same.
    :param tracer: the preset that some of this came from, see :mod:`tracers`: it is noted, and does nothing.
    :param device: see :func:`models.is_device`.
    :param normalization: see :func:`preprocessing.normalize`.
    :param model: name of the weights, or path of a file of them, see :func:`models.load_model`.
    :param method: "funfuse", the network, or a name of :data:`methods.METHODS`. For these λ, balance, device
        and model have no meaning: they give the fused image alone, on the CPU.
    :raises InputError: a value outside its range, naming the option; a mode that the method cannot give.
    """

    lam: float = 0.8
    omega: float = 0.6
    balance: float = 0.5
    mode: Optional[str] = None
    colormap: str = DEFAULT_MAP
    uptake_range: Optional[Range] = None
    device: str = "auto"
    normalization: str = "robust"
    model: str = DEFAULT_MODEL
    method: str = NETWORK
    reference_at: Optional[float] = None
    pet_colormap: Optional[str] = None
    tracer: str = OTHER

    def __post_init__(self):
        if self.mode is None:
            object.__setattr__(self, "mode", "contribution" if self.uses_network else "uptake")
        for what, value in (("lambda", self.lam), ("omega", self.omega), ("balance", self.balance)):
            if not 0.0 <= value <= 1.0:
                raise InputError(f"{what} must lie between 0 and 1, not {value}.")
        if (
            self.uptake_range is not None
            and not -np.inf < self.uptake_range[0] < self.uptake_range[1] < np.inf
        ):
            low, high = self.uptake_range
            raise InputError(f"The range of uptake must be two numbers, low and high, not {low} and {high}.")
        if self.reference_at is not None and not 0.0 < self.reference_at <= 100.0:
            raise InputError(
                f"A reference region lies above 0 to 100 % of the scale, not at {self.reference_at}."
            )
        for what, choice, allowed in (
            ("method", self.method, tuple(method_labels())),
            ("mode", self.mode, MODES),
            ("device", self.device, DEVICES if not is_device(self.device) else (self.device,)),
            ("normalization", self.normalization, NORMALIZATIONS),
        ):
            if choice not in allowed:
                raise InputError(f'Unknown {what} "{choice}": choose one of {", ".join(allowed)}.')
        if self.mode in NEED_PARTS and not self.uses_network:
            raise _without_parts(self.mode, method_labels()[self.method])

    @property
    def uses_network(self) -> bool:
        """Whether the network fuses, not another method."""
        return self.method == NETWORK

    def facts(self) -> Dict[str, object]:
        """The options that mean something for the method, by name.

        A model of the user's by its file alone: folders often have the names of patients.
        """
        chosen = {**asdict(self), "model": Path(self.model).name}
        return {
            name: value for name, value in chosen.items() if self.uses_network or name not in NETWORK_OPTIONS
        }


def _without_parts(mode: str, label: str) -> InputError:
    return InputError(
        f'The mode "{mode}" shows what came from each image, which only the network tells: {label} gives the '
        'fused image alone. Choose the mode "uptake" or "ordered".'
    )


@dataclass(frozen=True)
class Fusion:
    """A fused pair; arrays are (k, j, i) on the MRI's grid, float32.

    :param fused: F; ``mri_part`` and ``pet_part`` are C1 and C2, F = C1 + C2. Not clipped. There are no parts
        where a method gives the fused image alone.
    :param uptake_slices: see :attr:`uptake`.
    :param scales: the intensities of MRI and PET that became 1.
    :param brain: see :class:`Prepared`.
    :param gradients: (∇F_I1, ∇F_I2) when they were asked for.
    :param slices: the run's facts (its arrays are those above, in slice order).
    """

    fused: np.ndarray
    mri_part: Optional[np.ndarray]
    pet_part: Optional[np.ndarray]
    uptake_slices: "UnitSlices"
    scales: Tuple[float, float]
    gradients: Optional[Tuple[np.ndarray, np.ndarray]]
    slices: FusedSlices
    brain: Optional[np.ndarray] = None

    @property
    def uptake(self) -> np.ndarray:
        """The PET in [0, 1], as the network saw it, (k, j, i); made when asked for."""
        return self.uptake_slices.volume()


@dataclass(frozen=True)
class UnitSlices:
    """Axial slices of a volume in [0, 1], each made when it is asked for: a copy would be a volume more.

    :param array: (k, j, i); ``mask`` likewise, or None.
    :param low: becomes 0; ``high`` becomes 1.
    :param order: see :func:`volume.axial_order`.
    """

    array: np.ndarray
    mask: Optional[np.ndarray]
    low: float
    high: float
    order: tuple

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(slices, rows, columns)."""
        return to_axial(self.array, self.order).shape

    def __getitem__(self, index: int) -> np.ndarray:
        """One slice, (rows, columns), float32."""
        return self._unit(lambda array: to_axial(array, self.order)[index])

    def there(self, index: int) -> np.ndarray:
        """Where one slice is not black, (rows, columns) of bool; faster than to make the slice."""
        there = to_axial(self.array, self.order)[index] > self.low
        return there if self.mask is None else there & (to_axial(self.mask, self.order)[index] > 0)

    def volume(self) -> np.ndarray:
        """All of it, (k, j, i), float32."""
        return self._unit(lambda array: array)

    def in_its_unit(self) -> np.ndarray:
        """All of it as it came, but for the mask, (k, j, i)."""
        return self.array if self.mask is None else np.where(self.mask > 0, self.array, 0)

    def _unit(self, part) -> np.ndarray:
        image = part(self.array)
        if self.mask is not None:
            image = np.where(part(self.mask) > 0, image, 0)
        return to_unit(image, self.low, self.high)


@dataclass(frozen=True)
class Prepared:
    """A pair ready to be fused, as often as wanted.

    :param mri: axial slices in [0, 1]; ``pet`` likewise.
    :param mask: (k, j, i); voxels where it is 0 stay black; or None.
    :param order: see :func:`volume.axial_order`.
    :param brain: bool (k, j, i): the voxels that set the scales of intensity and color; None for the head.
    """

    mri: UnitSlices
    pet: UnitSlices
    mask: Optional[np.ndarray]
    order: tuple
    brain: Optional[np.ndarray] = None


def prepare(
    mri: Volume,
    pet: Volume,
    normalization: str = "robust",
    ranges: Tuple[np.dtype, np.dtype] = (np.dtype("float32"), np.dtype("float32")),
    mask: Optional[np.ndarray] = None,
) -> Prepared:
    """Find the intensities that become 0 and 1, and the axial slices.

    Parameters as of :func:`fuse_volumes`.
    """
    order = axial_order(mri.ijk_to_ras)
    # A mask says what matters; other normalizations do not ask.
    brain = estimate_brain(mri) if mask is None and normalization == "robust" else None

    def slices(volume: Volume, dtype: np.dtype) -> UnitSlices:
        return unit_slices(volume, dtype, mask, order, normalization, brain)

    with ThreadPoolExecutor(2) as pool:
        mri_slices, pet_slices = pool.map(slices, (mri, pet), ranges)
    return Prepared(mri_slices, pet_slices, mask, order, brain)


def fuse_volumes(
    mri: Volume,
    pet: Volume,
    runner: Runner,
    options: Optional[FusionOptions] = None,
    ranges: Tuple[np.dtype, np.dtype] = (np.dtype("float32"), np.dtype("float32")),
    mask: Optional[np.ndarray] = None,
    monitor: Optional[Monitor] = None,
) -> Fusion:
    """Normalize both volumes, fuse their axial slices, and put the results back.

    :param mri: cleaned, see :func:`preprocessing.clean`; ``pet`` likewise, on the same grid.
    :param runner: see :func:`fuser.load_fuser`. Of the options only the normalization counts here.
    :param ranges: the original dtypes of MRI and PET; only the normalization "none" needs them.
    :param mask: (k, j, i); voxels where it is 0 become background in both inputs.
    :raises Cancelled: through the monitor, between slices.
    """
    options = options or FusionOptions()
    pair = prepare(mri, pet, options.normalization, ranges, mask)
    return to_the_end(fuse_prepared(pair, runner), monitor)


def fuse_prepared(pair: Prepared, runner: Runner) -> Generator[float, None, Fusion]:
    """Fuse a pair while an event loop runs between the steps.

    :return: yields the fraction done, in [0, 1]; returns the :class:`Fusion`.
    """
    parts, gradients = runner.parts, runner.gradients
    shape = pair.mri.array.shape
    outputs = [np.zeros(shape, np.float32) for _ in range(1 + 2 * parts + 2 * gradients)]
    axial = [to_axial(output, pair.order) for output in outputs]
    slices = yield from fuse_slices_steps(runner, pair.mri, pair.pet, parts=parts, outputs=axial)
    if pair.mask is not None:
        for output in outputs:
            # The kernels reach a few pixels over the mask's edge; what the user masked stays black.
            output[pair.mask == 0] = 0
    return Fusion(
        outputs[0],
        outputs[1] if parts else None,
        outputs[2] if parts else None,
        pair.pet,
        (pair.mri.high - pair.mri.low, pair.pet.high - pair.pet.low),
        (outputs[-2], outputs[-1]) if gradients else None,
        slices,
        pair.brain,
    )


def unit_slices(
    volume: Volume, dtype: np.dtype, mask, order, normalization: str, brain: Optional[np.ndarray] = None
) -> UnitSlices:
    """Slices of a volume, see :func:`prepare`.

    :raises InputError: nothing of the volume is left inside the mask."""
    inside = volume.array if mask is None else volume.array[mask > 0]
    if not inside.any():
        raise InputError(f'"{volume.name}" is zero all over the mask: choose another mask, or none.')
    if inside.size < volume.array.size:
        inside = np.append(inside, np.float32(0))  # the masked voxels
    low, high = unit_range(inside, normalization, full_range(dtype), brain)
    return UnitSlices(volume.array, mask, low, high, order)


def color_source(fusion: Fusion, mode: str, uptake_range: Optional[Range] = None) -> ColorSource:
    """What the colored volume of a run is made of.

    :param uptake_range: see :class:`FusionOptions`.
    :raises InputError: mode "gradient" of a pair that was fused without gradients, or a mode that needs the
        parts of one that was fused without them.
    """
    parts = None
    if fusion.mri_part is not None and fusion.pet_part is not None:
        parts = fusion.mri_part, fusion.pet_part
    if parts is None and mode in NEED_PARTS:
        raise _without_parts(mode, "the method of this pair")
    if mode == "gradient":
        if fusion.gradients is None:
            raise InputError("The gradient mode needs a run in that mode: press Apply again.")
        return gradient_source(*fusion.gradients)
    if parts is None or mode != "contribution":
        low, high = uptake_range or (0.0, 1.0)
        uptake = fusion.uptake if uptake_range is None else fusion.uptake_slices.in_its_unit()
        return uptake_source(parts or (fusion.fused,), uptake, high, low, mode == "ordered")
    return contribution_source(*parts, scale_of(parts[1], fusion.brain), uptake_range, fusion.scales[1])


def color_volume(fusion: Fusion, options: FusionOptions, table: np.ndarray) -> np.ndarray:
    """The colored image, uint8 (k, j, i, 3).

    :param table: (n, 3) color table in [0, 1].
    """
    assert options.mode is not None  # chosen when the options were made
    source = color_source(fusion, options.mode, options.uptake_range)
    result = np.empty((*fusion.fused.shape, 3), np.uint8)

    def paint(where: Index) -> None:
        result[where] = source.colors(table, options.omega, options.balance, where)

    with ThreadPoolExecutor(processors()) as pool:
        # A list: an error in any of them is raised.
        list(pool.map(paint, slabs(result.shape[:3])))
    return result
