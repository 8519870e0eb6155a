"""FunFuseSlicer: fuses an MRI with a PET volume and shows in color what each contributed.

All that Slicer loads: the module, its panel, its logic and its self test. The work is done by the library
in the folder Logic.
"""

import os
from typing import Optional

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

from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.panel.parameters import Parameters
from FunFuseSlicer.Logic.panel.widget import Panel
from FunFuseSlicer.Logic.registration import RegistrationOptions
from FunFuseSlicer.Logic.scene.run import Run, fuse_nodes
from FunFuseSlicer.Logic.scene.sample_data import register_sample_data
from FunFuseSlicer.Logic.self_test import SelfTests
from FunFuseSlicer.Logic.volumes.regions import Regions


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
        region: Optional[Regions] = None,
        unit: str = "",
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
        :param region: a reference region, whose mean is measured on the PET's own grid.
        :param unit: turn the values of the PET into "SUV", "SUL", "SUVbsa", by its DICOM files, or "SUVR", by
            the reference region; "" for as they are.
        :raises Logic.errors.FunFuseError: with a sentence for the user.
        """
        return fuse_nodes(
            mriNode, petNode, options, registration, maskNode, monitor, show, matrix, region, unit
        )


class FunFuseSlicerWidget(Panel):
    """The panel, see :mod:`Logic.panel.widget`."""

    logicClass = FunFuseSlicerLogic


class FunFuseSlicerTest(SelfTests, ScriptedLoadableModuleTest):
    """The self test of the module, in Slicer and out of it; see :mod:`Logic.self_test`."""
