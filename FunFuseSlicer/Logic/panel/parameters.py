"""All that the panel lets the user choose, kept in a node of the scene and saved with it."""

from typing import Annotated, Union

import slicer
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from ..fusion.fuser import NETWORK
from ..volumes.tracers import OTHER
from .choices import (
    AUTO,
    COLORMAPS,
    PET_COLORMAPS,
    SAME,
    Comparison,
    Device,
    ExportAs,
    Mode,
    ModelChoice,
    Registration,
    Unit,
)


@parameterNodeWrapper
class Parameters:
    """The panel's choices; see :class:`Logic.fusion.pipeline.FusionOptions` for those of fusion and color."""

    mri: slicer.vtkMRMLScalarVolumeNode
    pet: slicer.vtkMRMLScalarVolumeNode
    mask: slicer.vtkMRMLScalarVolumeNode

    # The name of a preset, or AUTO: by the PET's header. A name, as that of the method.
    tracer: str = AUTO
    unit: Unit = Unit.STORED
    reference: Union[
        slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLMarkupsROINode, None
    ]
    # A segment or label of it.
    referencePart: str = ""

    registration: Registration = Registration.BRAINS
    registerAgain: bool = False
    rigidOnly: bool = False
    headMasks: bool = True
    farApart: bool = False
    sampling: Annotated[float, WithinRange(0.01, 1.0)] = 0.1
    iterations: Annotated[int, WithinRange(100, 5000)] = 1500

    # A name, whichever: a scene of a version that has other methods must open.
    method: str = NETWORK
    model: ModelChoice = ModelChoice.FAITHFUL
    lam: Annotated[float, WithinRange(0.0, 1.0)] = 0.8
    device: Device = Device.AUTOMATIC
    autoUpdate: bool = False

    omega: Annotated[float, WithinRange(0.0, 1.0)] = 0.6
    balance: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    mode: Mode = Mode.CONTRIBUTION
    colormap: Annotated[str, Choice(COLORMAPS)] = COLORMAPS[0]
    petColormap: Annotated[str, Choice(PET_COLORMAPS)] = SAME
    automaticRange: bool = True
    # Percent of the automatic range at which the reference region lies; 0 for the range of the brain.
    referenceAt: float = 0.0
    rangeLow: float = 0.0
    rangeHigh: float = 1.0
    legend: bool = True
    blend: Annotated[float, WithinRange(0.0, 1.0)] = 0.5

    regions: Union[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLLabelMapVolumeNode, None] = None
    compareWith: Comparison = Comparison.PERCENT
    otherStudy: slicer.vtkMRMLScalarVolumeNode
    smoothing: Annotated[float, WithinRange(0.0, 40.0)] = 10.0
    shownFrom: Annotated[float, WithinRange(0.0, 100.0)] = 0.0

    exportAs: ExportAs = ExportAs.NRRD

    # Not chosen but noted: the mode that the network had before another method was chosen, and the blend
    # before the plain PET.
    modeOfNetwork: Mode = Mode.CONTRIBUTION
    blendBefore: float = 0.5
    # The preset whose look it is, and the look before it, as JSON.
    tracerInUse: str = OTHER
    lookBefore: str = ""
