"""The registration: how the PET gets onto the MRI, and what came of it."""

from typing import Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..registration import RegistrationOptions, available_engines
from ..scene.attributes import attribute
from .choices import Registration
from .enabling import enable
from .section import Section


class RegistrationSection(Section):
    """The engine and its options, or the transform of an earlier run."""

    def use_available_engine(self) -> None:
        """Where BRAINS is not, it is not chosen."""
        chosen = self.session.choices
        if chosen.registration is Registration.BRAINS and "BRAINS" not in available_engines():
            chosen.registration = Registration.SIMPLEITK

    def options(self) -> Optional[RegistrationOptions]:
        """What is chosen; None when the PET lies on the MRI already."""
        chosen = self.session.choices
        if chosen.registration is Registration.ALIGNED:
            return None
        return RegistrationOptions(
            engine=chosen.registration.value,
            stages=("rigid",) if chosen.rigidOnly else ("rigid", "scale", "affine"),
            sampling_fraction=chosen.sampling,
            masks="automatic" if chosen.headMasks else "none",
            iterations=chosen.iterations,
            far_apart=chosen.farApart,
        )

    def matrix_to_reuse(self) -> Optional[np.ndarray]:
        """The transform of an earlier run, perhaps corrected by hand; None to register."""
        chosen, transform = self.session.choices, self.session.nodes.get("transform")
        if transform is None or chosen.registerAgain or chosen.registration is Registration.ALIGNED:
            return None
        matrix = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToParent(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)

    def update(self) -> None:
        """Which options mean something, and what the last registration found."""
        ui, registration = self.ui, self.session.choices.registration
        idle = _("Nothing is registered.") if registration is Registration.ALIGNED else None
        enable(ui.registerAgainCheckBox, idle or self.session.lacks_transform())
        enable(ui.advancedCollapsibleButton, idle)
        brains = registration is Registration.BRAINS
        enable(ui.iterationsSpinBox, None if brains else _("Only BRAINS takes a number of iterations."))
        fused = self.session.nodes.get("fused")
        if fused is None:
            ui.registrationLabel.text = _("Not registered yet.")
        else:
            ui.registrationLabel.text = attribute(fused, "RegistrationSummary")
            ui.registrationLabel.toolTip = attribute(fused, "RegistrationDetails")
