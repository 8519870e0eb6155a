"""What the panel's combo boxes offer. Saved scenes hold the names of the members."""

import enum

from slicer.i18n import tr as _

from ..color.tables import DEFAULT_MAP


class _Choice(enum.Enum):
    """What all have that a combo box offers; Slicer asks for the label."""

    def label(self) -> str:
        """The text of the combo box."""
        return _labels()[self]


class Registration(_Choice):
    """How the PET gets onto the MRI; the value is the name of the engine, if any."""

    BRAINS = "BRAINS"
    SIMPLEITK = "SimpleITK"
    ALIGNED = ""


class ModelChoice(_Choice):
    """Which weights; the value is the name in Resources/Models."""

    FAITHFUL = "faithful"
    DETAIL = "detail"
    CONTRAST = "contrast"
    PAPER = "paper"
    PAPER_DETAIL = "paper-detail"


# Those that fuse a volume in about a second, without PyTorch.
LIVE_MODELS = (ModelChoice.FAITHFUL, ModelChoice.DETAIL, ModelChoice.CONTRAST)


class Device(_Choice):
    """Where the network runs; the value is the one of FusionOptions, GPU stands for CUDA or Apple's."""

    AUTOMATIC = "auto"
    CPU = "cpu"
    GPU = "gpu"


class Mode(_Choice):
    """What the color shows; the value is the one of FusionOptions."""

    CONTRIBUTION = "contribution"
    UPTAKE = "uptake"
    ORDERED = "ordered"
    GRADIENT = "gradient"


# The tracer that the PET's header tells.
AUTO = "auto"

# Color maps that are in every Slicer from 5.8 on, or made here; the first is the default.
COLORMAPS = (
    DEFAULT_MAP,
    "Jet",
    "PET-Heat",
    "PET-HotMetalBlue",
    "PET-Rainbow",
    "PET-Rainbow2",
    "PET-DICOM",
    "Iron",
    "Cividis",
    "Rainbow",
    "Grey",
    "InvertedGrey",
)
# Of the PET itself; the first is that of the colored volume.
SAME = "Same"
PET_COLORMAPS = (SAME, *COLORMAPS)


class Unit(_Choice):
    """What the values of the PET are turned into; the value is the one of ``process``."""

    STORED = ""
    SUV = "SUV"
    SUL = "SUL"
    SUVBSA = "SUVbsa"
    SUVR = "SUVR"


class AlignmentView(_Choice):
    """How the slice views show whether PET and MRI lie on each other."""

    OFF = "off"
    FLICKER = "flicker"
    CHECKERBOARD = "checkerboard"
    EDGES = "edges"


class Comparison(_Choice):
    """What the PET is compared with; the value is the kind of DifferenceOptions."""

    PERCENT = "asymmetry-percent"
    Z = "asymmetry-z"
    SUBTRACTION = "subtraction"


class ExportAs(_Choice):
    """What Export writes."""

    NRRD = "nrrd"
    NIFTI = "nifti"
    DICOM = "dicom"
    SLICES = "slices"
    SHEETS = "sheets"


def _labels() -> dict:
    # Not a constant: the language may be set after this file is loaded.
    return {
        Registration.BRAINS: _("BRAINS affine (recommended)"),
        Registration.SIMPLEITK: _("SimpleITK affine"),
        Registration.ALIGNED: _("Already registered"),
        ModelChoice.FAITHFUL: _("Faithful: gray levels close to both images"),
        ModelChoice.DETAIL: _("Detail: more contrast at edges"),
        ModelChoice.CONTRAST: _("Contrast: nearly as bright as the brighter image"),
        ModelChoice.PAPER: _("Paper's network, faithful (PyTorch)"),
        ModelChoice.PAPER_DETAIL: _("Paper's network, detail (PyTorch)"),
        Device.AUTOMATIC: _("Automatic"),
        Device.CPU: _("CPU"),
        Device.GPU: _("GPU"),
        Unit.STORED: _("As stored"),
        Unit.SUV: _("SUV (body weight)"),
        Unit.SUL: _("SUL (lean mass)"),
        Unit.SUVBSA: _("SUVbsa (body surface)"),
        Unit.SUVR: _("SUVR (reference region)"),
        Mode.CONTRIBUTION: _("PET's part in the fused image"),
        Mode.UPTAKE: _("PET uptake"),
        Mode.ORDERED: _("PET uptake, equal lightness"),
        Mode.GRADIENT: _("Sensitivity (paper, eq. 5)"),
        AlignmentView.OFF: _("Off"),
        AlignmentView.FLICKER: _("Flicker: MRI and PET in turn"),
        AlignmentView.CHECKERBOARD: _("Checkerboard of MRI and PET"),
        AlignmentView.EDGES: _("Edges of the MRI on the PET"),
        Comparison.PERCENT: _("The other side, in %"),
        Comparison.Z: _("The other side, as z"),
        Comparison.SUBTRACTION: _("Another study, as z"),
        ExportAs.NRRD: _("Volumes (NRRD), transform, metrics"),
        ExportAs.NIFTI: _("Volumes (NIfTI), transform, metrics"),
        ExportAs.DICOM: _("DICOM, into the MRI's study"),
        ExportAs.SLICES: _("Picture of each slice (PNG)"),
        ExportAs.SHEETS: _("All slices on a sheet (PNG)"),
    }
