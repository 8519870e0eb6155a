"""The results of a pair fused again in place: for another λ or model, or for a PET whose voxels change.

Nothing is registered, no node, subject-hierarchy item or display is made. What does not change is kept: for
another λ only the network runs, for another PET it is laid on the MRI once more. The colors are painted by
:mod:`live_colors`.
"""

from dataclasses import replace
from typing import Dict, Iterator, Optional

import numpy as np

from ..color.sources import scale_of
from ..errors import InputError
from ..fusion.fuser import load_fuser
from ..fusion.pipeline import FusionOptions, Prepared, fuse_prepared, prepare, unit_slices
from ..volumes.geometry import Volume, resample
from ..volumes.preprocessing import clean
from .attributes import ATTRIBUTE
from .inputs import volume_from_node
from .outputs import PART_ROLES, on_grid


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
        self._fixed: Optional[Volume] = None
        self._pair: Optional[Prepared] = None
        self.forget_pet()
        self._fuser = self._fuser_of = None

    def forget_pet(self) -> None:
        """The PET's voxels changed, or where it lies."""
        self._pet_is_read = self._pet_is_written = False

    def steps(self, options: FusionOptions) -> Iterator[float]:
        """Fuse in small steps, and put the results into the nodes at the end; yields the fraction done.

        :raises FunFuseError: as a run would; the results stay as they are.
        """
        pair = self._prepared(options)
        yield 0.1
        fusion = yield from fuse_prepared(pair, self._runner(options))
        images = {"fused": fusion.fused, "mri_part": fusion.mri_part, "pet_part": fusion.pet_part}
        # Also after steps for this PET that were not driven to their end.
        if not self._pet_is_written:
            images["pet_registered"] = pair.pet.array
        self._write(images)
        self._pet_is_written = True
        facts = {
            "Lambda": str(options.lam),
            "Model": options.model,
            "ModelSHA256": self._fuser.model_sha256,
            "Device": options.device,
            "UsedDevice": fusion.slices.device,
            "PETPartScale": repr(scale_of(fusion.pet_part, fusion.brain)),
            "MRIScale": repr(fusion.scales[0]),
            "PETScale": repr(fusion.scales[1]),
            "Metrics": "",
        }
        for node in self._nodes.values():
            for name, value in facts.items():
                node.SetAttribute(ATTRIBUTE.format(name), value)
        # Last: who sees the fused volume change finds all the rest in place.
        for role in (*PART_ROLES, "pet_registered", "fused"):
            if role in images:
                _modified(self._nodes[role])
        yield 1.0

    def _prepared(self, options: FusionOptions) -> Prepared:
        """MRI and PET on one grid, ready to be fused."""
        if self._fixed is None:
            raw = volume_from_node(self._mri)
            self._fixed, self._range = clean(raw, mri=True)[0], raw.array.dtype
        if not self._pet_is_read:
            raw = volume_from_node(self._pet)
            pet = on_grid(clean(raw)[0], self._fixed, self._matrix())
            if self._pair is None:
                mask = None
                if self._mask is not None:
                    mask = resample(volume_from_node(self._mask), self._fixed, nearest=True).array
                ranges = (self._range, raw.array.dtype)
                self._pair = prepare(self._fixed, pet, options.normalization, ranges, mask)
            else:
                mask, order = self._pair.mask, self._pair.order
                brain = self._pair.brain
                slices = unit_slices(pet, raw.array.dtype, mask, order, options.normalization, brain)
                self._pair = replace(self._pair, pet=slices)
            self._pet_is_read = True
        return self._pair

    def _matrix(self) -> Optional[np.ndarray]:
        import slicer

        transform = self._nodes.get("transform")
        if transform is None:
            return None
        if not transform.IsLinear():
            raise InputError(f'"{transform.GetName()}" is not linear any more: press Apply.')
        return slicer.util.arrayFromTransformMatrix(transform)

    def _runner(self, options: FusionOptions):
        asked = options.model, options.lam, options.device
        if self._fuser_of != asked:
            self._fuser, self._fuser_of = load_fuser(options), asked
        return self._fuser.runner

    def _write(self, images: Dict[str, np.ndarray]) -> None:
        import slicer

        arrays = {role: slicer.util.arrayFromVolume(self._nodes[role]) for role in images}
        if any(arrays[role].shape != image.shape for role, image in images.items()):
            raise InputError("The volumes have another size than the results: press Apply.")
        for role, image in images.items():
            arrays[role][:] = image
        if "pet_registered" in images:
            white = scale_of(images["pet_registered"], self._pair.brain)
            self._nodes["pet_registered"].GetDisplayNode().SetWindowLevelMinMax(0.0, white)


def _modified(node) -> None:
    import slicer

    slicer.util.arrayFromVolumeModified(node)
