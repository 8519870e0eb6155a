"""FunFuseSlicer: fuses an MRI with a PET volume and shows in color what each contributed.

All that Slicer loads: the module, its panel, its logic and its self test. The work is done by the library
in the folder Logic.
"""

import logging
import os
import time
from dataclasses import dataclass
from typing import List, Optional

# Slicer adds the folder of every module to sys.path, so a bare "import Logic" could find another
# extension's. With this line the module is a package, too, and its library has a name of its own.
__path__ = [os.path.dirname(os.path.abspath(__file__))]

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

from FunFuseSlicer.Logic.color.sources import scale_of
from FunFuseSlicer.Logic.errors import DeviceError, InputError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.panel.parameters import Parameters
from FunFuseSlicer.Logic.panel.torch_setup import load_torch
from FunFuseSlicer.Logic.panel.widget import Panel
from FunFuseSlicer.Logic.registration import RegistrationOptions, RegistrationResult, register, reuse
from FunFuseSlicer.Logic.scene import (
    brains_engine,  # noqa: F401 (joins the engines)
    views,
)
from FunFuseSlicer.Logic.scene.attributes import matrix_text
from FunFuseSlicer.Logic.scene.color_maps import color_table
from FunFuseSlicer.Logic.scene.inputs import volume_from_node
from FunFuseSlicer.Logic.scene.outputs import OutputNodes, push_outputs
from FunFuseSlicer.Logic.scene.sample_data import register_sample_data
from FunFuseSlicer.Logic.self_test import SelfTests
from FunFuseSlicer.Logic.version import VERSION
from FunFuseSlicer.Logic.volumes import preprocessing
from FunFuseSlicer.Logic.volumes.geometry import Volume, resample


class FunFuseSlicer(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("FunFuse")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        parent.dependencies = []
        parent.contributors = ["The FunFuseSlicer developers"]
        parent.helpText = _(
            "Registers a PET (or SPECT) volume of a brain to an MRI, fuses both with a neural network, and "
            "shows in color what the PET contributed. Choose both volumes and press Apply. "
            "For research use, not for diagnosis."
        )
        parent.acknowledgementText = _(
            "The method follows N. Kumar, N. Hoffmann, M. Oelschlägel, E. Koch, M. Kirsch and S. Gumhold, "
            "Structural Similarity based Anatomical and Functional Brain Imaging Fusion, 2019."
        )
        icons = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Resources", "Icons")
        # The module Sample Data may be loaded after this one.
        slicer.app.connect("startupCompleted()", lambda: register_sample_data(icons))


@dataclass(frozen=True)
class Run:
    """What one run of :meth:`FunFuseSlicerLogic.process` made and found.

    :param nodes: the output nodes in the scene.
    :param registration: None when the pair was registered already.
    :param fusion: arrays and facts, see :class:`Logic.fusion.pipeline.Fusion`.
    :param fuser: what fused, see :class:`Logic.fusion.fuser.Fuser`.
    :param notes: sentences for the log: what was replaced, what was chosen.
    """

    nodes: OutputNodes
    registration: Optional[RegistrationResult]
    fusion: object
    fuser: object
    options: object
    notes: List[str]
    seconds: float


class FunFuseSlicerLogic(ScriptedLoadableModuleLogic):
    """Registration, fusion and coloring of MRML volumes, without any user interface."""

    def getParameterNode(self) -> Parameters:
        """The choices of the panel, in the scene."""
        return Parameters(super().getParameterNode())

    def process(
        self,
        mriNode,
        petNode,
        options=None,
        registration: Optional[RegistrationOptions] = RegistrationOptions(),  # noqa: B008 (frozen)
        maskNode=None,
        monitor: Optional[Monitor] = None,
        show: bool = True,
        matrix: Optional[np.ndarray] = None,
    ) -> Run:
        """Register, fuse, color, and put the results into the scene beside the MRI.

        All is computed before the first node is touched, and what a failure while results are put into the
        scene has touched is given back: after an error or a cancel the scene is as before.

        :param mriNode: scalar volume, the fixed image; all outputs lie on its grid.
        :param petNode: scalar volume, the moving image; it is not changed.
        :param options: :class:`Logic.fusion.pipeline.FusionOptions`.
        :param registration: None when the PET lies on the MRI already.
        :param maskNode: voxels where this volume is 0 become background; any grid.
        :param monitor: progress and cancel.
        :param show: lay the colored volume over the MRI in the slice views.
        :param matrix: 4×4 in RAS, PET to MRI, as an earlier run found it or the user corrected it: it is
            checked and used instead of registering.
        :raises Logic.errors.FunFuseError: with a sentence for the user.
        """
        load_torch()
        try:
            return self._process(mriNode, petNode, options, registration, maskNode, monitor, show, matrix)
        except Exception as error:
            from FunFuseSlicer.Logic.fusion.device import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            raise DeviceError(
                "There is not enough memory: close other programs or volumes, or choose an MRI with larger "
                "voxels."
            ) from error

    def _process(self, mriNode, petNode, options, registration, maskNode, monitor, show, matrix) -> Run:
        from FunFuseSlicer.Logic.fusion.fuser import load_fuser
        from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_volume, fuse_volumes

        start = time.perf_counter()
        options, monitor = options or FusionOptions(), monitor or Monitor()
        if mriNode is not None and mriNode is petNode:
            raise InputError(f'"{mriNode.GetName()}" is chosen as MRI and as PET: choose two volumes.')
        monitor.report("Preparing", 0.0)
        mriRaw, petRaw = volume_from_node(mriNode), volume_from_node(petNode)
        ranges = (mriRaw.array.dtype, petRaw.array.dtype)
        (mri, mriCounts), (pet, petCounts) = preprocessing.clean(mriRaw), preprocessing.clean(petRaw)
        notes = preprocessing.replaced_sentences([(mri.name, mriCounts), (pet.name, petCounts)])
        monitor.report("Preparing", 0.5)
        fuser = load_fuser(options)
        colorTable = color_table(options.colormap)
        monitor.report("Preparing", 1.0)

        result = None
        if matrix is not None:
            result = reuse(mri, pet, matrix)
        elif registration is not None:
            result = register(mri, pet, registration, monitor)
        matrix = None if result is None else result.matrix
        monitor.report("Resampling", 0.0)
        petOnGrid = self._onGrid(pet, mri, matrix)
        monitor.report("Resampling", 1.0)
        preprocessing.check_overlap(
            petOnGrid.array,
            mri,
            pet.name,
            "register them, or check the choice of volumes."
            if result is None
            else "check the choice of volumes.",
        )
        mask = None
        if maskNode is not None:
            mask = resample(volume_from_node(maskNode), mri, nearest=True).array
        fusion = fuse_volumes(mri, petOnGrid, fuser.network, options, ranges, mask, monitor)
        monitor.report("Coloring", 0.0)
        colored = color_volume(fusion, options, colorTable)
        monitor.report("Coloring", 1.0)
        for node in (mriNode, petNode):
            if not slicer.mrmlScene.IsNodePresent(node):
                raise InputError("The MRI or the PET was removed from the scene meanwhile: nothing was made.")
        arrays = {
            "pet_registered": petOnGrid.array,
            "fused": fusion.fused,
            "mri_part": fusion.mri_part,
            "pet_part": fusion.pet_part,
            "colored": colored,
        }
        nodes = push_outputs(
            mriNode,
            petNode,
            {role: array for role, array in arrays.items() if array is not None},
            matrix,
            self._display(petOnGrid.array),
            self._provenance(mri, pet, options, fuser, result, fusion),
            options.colormap,
            (lambda made: views.show_overlay(mriNode, made.colored)) if show else None,
        )
        run = Run(
            nodes,
            result,
            fusion,
            fuser,
            options,
            [*notes, *fusion.slices.notes],
            time.perf_counter() - start,
        )
        logging.info("FunFuse: fused %s with %s in %.1f s", mri.name, pet.name, run.seconds)
        return run

    def _onGrid(self, pet: Volume, mri: Volume, matrix: Optional[np.ndarray]) -> Volume:
        """The PET on the MRI's grid; voxels are copied, not interpolated, when they coincide."""
        if matrix is None and pet.same_grid(mri):
            return pet
        return resample(pet, mri, matrix)

    def _display(self, pet: np.ndarray) -> dict:
        """Black and white level of each scalar output."""
        unit = (0.0, 1.0)
        return {
            "pet_registered": (0.0, preprocessing.robust_scale(pet)),
            "fused": unit,
            "mri_part": (0.0, 0.5),
            "pet_part": (0.0, 0.5),
        }

    def _provenance(self, mri, pet, options, fuser, registration, fusion) -> dict:
        """The attributes by which a saved scene explains itself; all text, as MRML wants it."""
        facts = {"MRIName": mri.name, "PETName": pet.name, "Version": VERSION}
        chosen = {**options.facts(), **fuser.facts()}
        facts.update({_camel(name): str(value) for name, value in chosen.items()})
        if fusion.pet_part is not None:
            facts["PETPartScale"] = repr(scale_of(fusion.pet_part))
        facts.update(
            {
                "UsedDevice": fusion.slices.device,
                # What the panel needs, as PETPartScale, to repaint a saved scene without fusing again.
                "MRIScale": repr(fusion.scales[0]),
                "PETScale": repr(fusion.scales[1]),
                "Registration": "none" if registration is None else registration.method,
                "RegistrationSummary": _summary(registration),
                "RegistrationDetails": "" if registration is None else registration.description,
                # Of the images before; Evaluate fills it again.
                "Metrics": "",
            }
        )
        if registration is not None:
            facts["RegistrationMatrix"] = matrix_text(registration.matrix)
        # Where another result was kept: the panel offers this one.
        facts["RigidMatrix"] = matrix_text(None if registration is None else registration.rigid_matrix)
        return facts


def _summary(result: Optional[RegistrationResult]) -> str:
    """What the user wants to know about a registration."""
    if result is None:
        return _("The volumes were taken as registered already.")
    similarity = _("Mutual information {before} before, {after} after.").format(
        before=f"{result.similarity_before:.3f}", after=f"{result.similarity_after:.3f}"
    )
    sentences = [f"{result.method}.", result.verdict, similarity, *result.notes]
    return " ".join(sentence for sentence in sentences if sentence)


def _camel(name: str) -> str:
    return {"lam": "Lambda", "model_sha256": "ModelSHA256"}.get(name, name.capitalize())


class FunFuseSlicerWidget(Panel):
    """The panel, see :mod:`Logic.panel.widget`."""

    logicClass = FunFuseSlicerLogic


class FunFuseSlicerTest(SelfTests, ScriptedLoadableModuleTest):
    """The self test of the module, in Slicer and out of it; see :mod:`Logic.self_test`."""
