"""What the page of a result shows and says, from its nodes in the scene: see :mod:`report.page`.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict, Mapping

from ..color.colorize import MODES, NEED_PARTS
from ..color.sources import scale_of
from ..fusion.fuser import method_labels
from ..report.contents import Contents, Facts
from ..volumes.preprocessing import clean
from ..volumes.tracers import OTHER, presets, research_note
from .attributes import MRI_REFERENCE, attribute, number_of, place_on_scale, range_of
from .color_maps import color_table
from .inputs import volume_from_node
from .live_colors import source_of
from .outputs import PART_ROLES

# Attributes of the nodes that stand on the page, and what they are called there.
SETTINGS = {
    "Method": "Method",
    "Model": "Model",
    "Lambda": "λ",
    "Omega": "Ω",
    "Balance": "Balance",
    "Mode": "Color shows",
    "Colormap": "Color map",
    "PETColormap": "Color map of the PET",
    "UptakeRange": "Range of colors",
    "Tracer": "Tracer",
    "Reference": "Reference region",
    "Normalization": "Intensities",
    "UsedDevice": "Computed on",
    "ModelSHA256": "SHA-256, model",
}

# Likewise of what was compared with the other side or with another study.
COMPARED = {
    "DifferenceKind": "Kind",
    "DifferenceFrom": "Other study",
    "MirrorPlane": "Mirror plane",
    "SmoothingMm": "Smoothing (mm)",
    "ShownFrom": "Shown from",
    "IncreasedMl": "More (ml)",
    "DecreasedMl": "Less (ml)",
    "Highest": "Highest",
    "Lowest": "Lowest",
}

# How the sentence on a registration begins, in scenes that have no word for it.
BEGINNINGS = {"Plausible:": "good", "Good:": "good", "Doubtful:": "doubtful", "Not plausible:": "wrong"}


def contents_of(nodes: Mapping[str, object], gradients=None, brain=None) -> Contents:
    """What is shown of a whole result, as it lies in the scene: see :func:`report.contents.ready`.

    :param nodes: by role, see :func:`.outputs.find_results`.
    :param gradients: equation (5)'s images of a run in that mode; they are not in the scene.
    :param brain: bool (k, j, i), where a run has estimated it already.
    :raises InputError: the MRI has been removed, or a volume cannot be used.
    """
    colored = nodes["colored"]
    mri = volume_from_node(colored.GetNodeReference(MRI_REFERENCE))
    pet = volume_from_node(nodes["pet_registered"])
    parts = [role for role in PART_ROLES if role in nodes]
    chosen, chosen_range = attribute(colored, "Mode"), range_of(colored, "UptakeRange")
    modes = [mode for mode in MODES if parts or mode not in NEED_PARTS]
    if gradients is None and "gradient" in modes:
        modes.remove("gradient")
    modes.sort(key=lambda mode: mode != chosen)
    return Contents(
        mri=mri,
        pet=pet.array,
        mri_scale=number_of(colored, "MRIScale") or scale_of(clean(mri, mri=True)[0].array),
        pet_range=chosen_range or (0.0, number_of(colored, "PETScale") or scale_of(pet.array)),
        range_is_chosen=chosen_range is not None,
        place_on_scale=place_on_scale(colored, number_of(colored, "ReferenceAt")),
        pet_unit=pet.unit,
        pet_name=attribute(colored, "PETName"),
        fused=[volume_from_node(nodes[role]).array for role in parts or ["fused"]],
        sources={mode: source_of(nodes, mode, chosen_range, gradients) for mode in modes},
        table=color_table(attribute(colored, "Colormap")),
        pet_table=color_table(attribute(colored, "PETColormap") or attribute(colored, "Colormap")),
        omega=float(attribute(colored, "Omega")),
        balance=float(attribute(colored, "Balance") or 0.5),
        judgement=_judgement(colored),
        version=attribute(colored, "Version"),
        brain=brain,
    )


def facts_of(nodes: Mapping[str, object]) -> Dict[str, Facts]:
    """What the nodes of a result say about it, by heading."""
    facts = {"Registration": _registration(nodes["colored"]), "Settings": _settings(nodes["colored"])}
    if "difference" in nodes:
        facts["Comparison"] = [
            (label, attribute(nodes["difference"], name)) for name, label in COMPARED.items()
        ]
    return facts


def _judgement(node) -> str:
    """A word for the registration: a key of :data:`report.contents.JUDGEMENTS`; "" where none is known."""
    if attribute(node, "Registration") == "none":
        return "none"
    said = attribute(node, "RegistrationSummary")
    begins = next((word for begin, word in BEGINNINGS.items() if begin in said), "")
    return attribute(node, "Judgement") or begins


def _registration(node) -> Facts:
    matrix = attribute(node, "RegistrationMatrix").split()
    lines = ["  ".join(f"{float(x):.4f}" for x in matrix[start : start + 4]) for start in range(0, 12, 4)]
    return [
        ("Result", attribute(node, "RegistrationSummary")),
        ("Movement", attribute(node, "RegistrationDetails")),
        ("Matrix", " / ".join(lines) + " (PET to MRI, RAS, mm)" if matrix else ""),
    ]


def _settings(node) -> Facts:
    said = {name: attribute(node, name) for name in SETTINGS}
    said["Method"] = method_labels().get(said["Method"], said["Method"])
    said["UptakeRange"] = " to ".join(f"{float(end):g}" for end in said["UptakeRange"].split())
    if said["Tracer"] == OTHER:
        said["Tracer"] = ""  # it sets nothing, and has no guide
    elif said["Tracer"]:
        known = presets().get(said["Tracer"])
        said["Tracer"] = f"{known.label}. {research_note()}" if known else said["Tracer"]
    return [(label, said[name]) for name, label in SETTINGS.items()]
