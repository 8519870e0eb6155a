"""The results of a pair fused again in place: for another λ or model, or for a PET whose voxels change.

Nothing is registered, no node, subject-hierarchy item or display is made. What does not change is kept: for
another λ only the network runs, for another PET it is laid on the MRI once more. The colors are painted by
:mod:`live_colors`.
"""

from dataclasses import replace
from typing import Dict, Generator, NamedTuple, Optional

import numpy as np

from ..color.sources import scale_of
from ..errors import InputError
from ..fusion.engine import Runner
from ..fusion.fuser import load_fuser
from ..fusion.pipeline import FusionOptions, Prepared, fuse_prepared, prepare, unit_slices
from ..volumes.geometry import Volume, resample
from ..volumes.preprocessing import clean
from .attributes import ATTRIBUTE, attribute
from .beside import Task
from .inputs import volume_from_node
from .outputs import PART_ROLES, in_shown_unit, on_grid


class _Pair(NamedTuple):
    """What is known of the inputs.

    :param fixed: the MRI, cleaned; ``dtype`` what it was stored as.
    :param white: of the registered PET, what is shown white.
    """

    fixed: Volume
    dtype: np.dtype
    prepared: Prepared
    white: float


class LiveFusion:
    """Works on the results of one pair."""

    def __init__(self):
        self._mri, self._pet, self._mask, self._nodes = None, None, None, {}
        self.forget()

    def use(self, mri_node, pet_node, mask_node, nodes: Dict[str, object]) -> None:
        """The inputs, and the results of the network by role, see :func:`.outputs.find_results`."""
        self._mri, self._pet, self._mask, self._nodes = mri_node, pet_node, mask_node, nodes
        self.forget()

    def forget(self) -> None:
        """Whatever is known of the inputs' voxels is out of date."""
        self._pair: Optional[_Pair] = None
        self.forget_pet()
        self._fuser = self._fuser_of = None

    def forget_pet(self) -> None:
        """The PET's voxels changed, or where it lies."""
        self._reading: Optional[Task[_Pair]] = None
        self._pet_is_read = self._pet_is_written = False

    def steps(self, options: FusionOptions) -> Generator[float, None, None]:
        """Fuse in small steps, and put the results into the nodes at the end; yields the fraction done.

        What takes long goes on beside them, also when they end before.

        :raises FunFuseError: as a run would; the results stay as they are.
        """
        pair = yield from self._prepared(options)
        runner = yield from self._runner(options)
        yield 0.1
        fusion = yield from fuse_prepared(pair.prepared, runner)
        part_scale = yield from Task(lambda: scale_of(fusion.pet_part, fusion.brain)).turns()
        images = {"fused": fusion.fused, "mri_part": fusion.mri_part, "pet_part": fusion.pet_part}
        # Also after steps for this PET that were not driven to their end.
        if not self._pet_is_written:
            images["pet_registered"] = pair.prepared.pet.array
        self._write(images)
        if not self._pet_is_written:
            self._nodes["pet_registered"].GetDisplayNode().SetWindowLevelMinMax(0.0, pair.white)
            self._pet_is_written = True
        facts = {
            "Lambda": str(options.lam),
            "Model": options.model,
            "ModelSHA256": self._fuser.model_sha256,
            "Device": options.device,
            "UsedDevice": fusion.slices.device,
            "PETPartScale": repr(part_scale),
            "MRIScale": repr(fusion.scales[0]),
            "PETScale": repr(fusion.scales[1]),
            "Metrics": "",
        }
        for node in self._nodes.values():
            for name, value in facts.items():
                # Whoever observes a node is told of every attribute that is set.
                if attribute(node, name) != value:
                    node.SetAttribute(ATTRIBUTE.format(name), value)
        # Last: who sees the fused volume change finds all the rest in place.
        for role in (*PART_ROLES, "pet_registered", "fused"):
            if role in images:
                _modified(self._nodes[role])
        yield 1.0

    def _prepared(self, options: FusionOptions) -> Generator[float, None, _Pair]:
        """MRI and PET on one grid, ready to be fused."""
        while not self._pet_is_read:
            reading = self._reading = self._reading or self._start_reading(options)
            try:
                pair = yield from reading.turns()
            except Exception:
                self._reading = None
                raise
            # The PET may have changed meanwhile.
            if self._reading is reading:
                self._pair, self._reading, self._pet_is_read = pair, None, True
        assert self._pair is not None
        return self._pair

    def _start_reading(self, options: FusionOptions) -> "Task[_Pair]":
        """Begin with what is out of date."""
        known, matrix = self._pair, self._matrix()
        raw = volume_from_node(self._mri) if known is None else None
        # As the run did: also of another PET, which is another frame, by the reference region of the first.
        pet_raw = in_shown_unit(volume_from_node(self._pet), self._nodes["fused"])
        mask_raw = None if self._mask is None else volume_from_node(self._mask)

        def read() -> _Pair:
            if known is not None:
                fixed, dtype = known.fixed, known.dtype
            else:
                fixed, dtype = clean(raw, mri=True)[0], raw.array.dtype
            pet = on_grid(clean(pet_raw)[0], fixed, matrix)
            if known is not None:
                mask, order = known.prepared.mask, known.prepared.order
                brain = known.prepared.brain
                slices = unit_slices(pet, pet_raw.array.dtype, mask, order, options.normalization, brain)
                prepared = replace(known.prepared, pet=slices)
            else:
                mask = None if mask_raw is None else resample(mask_raw, fixed, nearest=True).array
                prepared = prepare(fixed, pet, options.normalization, (dtype, pet_raw.array.dtype), mask)
            # As a run does; what is known already is not measured again.
            as_run = options.normalization == "robust" and mask is None
            white = prepared.pet.high if as_run else scale_of(pet.array, prepared.brain)
            return _Pair(fixed, dtype, prepared, white)

        return Task(read)

    def _matrix(self) -> Optional[np.ndarray]:
        import slicer

        transform = self._nodes.get("transform")
        if transform is None:
            return None
        if not transform.IsLinear():
            raise InputError(f'"{transform.GetName()}" is not linear any more: press Apply.')
        return slicer.util.arrayFromTransformMatrix(transform)

    def _runner(self, options: FusionOptions) -> Generator[float, None, Runner]:
        asked = options.model, options.lam, options.device
        if self._fuser_of != asked:
            self._fuser = yield from Task(lambda: load_fuser(options)).turns()
            self._fuser_of = asked
        return self._fuser.runner

    def _write(self, images: Dict[str, np.ndarray]) -> None:
        import slicer

        arrays = {role: slicer.util.arrayFromVolume(self._nodes[role]) for role in images}
        if any(arrays[role].shape != image.shape for role, image in images.items()):
            raise InputError("The volumes have another size than the results: press Apply.")
        for role, image in images.items():
            arrays[role][:] = image


def _modified(node) -> None:
    import slicer

    slicer.util.arrayFromVolumeModified(node)
