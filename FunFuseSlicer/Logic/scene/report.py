"""The page of a result in the scene, made of what its nodes hold and say: see :mod:`report.page`.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict, Mapping, Optional, Sequence

import numpy as np

from ..color.colorize import NEED_PARTS
from ..color.sources import scale_of
from ..fusion.fuser import method_labels
from ..report.page import Contents, Facts, page
from ..volumes.preprocessing import clean
from .attributes import MRI_REFERENCE, attribute, number_of
from .color_maps import color_table
from .inputs import volume_from_node
from .live_colors import source_of
from .outputs import PART_ROLES

FILE_NAME = "report.html"

# Attributes of the nodes that stand on the page, and what they are called there.
SETTINGS = {
    "Method": "Method",
    "Model": "Model",
    "Lambda": "λ",
    "Omega": "Ω",
    "Balance": "Balance",
    "Mode": "Color shows",
    "Colormap": "Color map",
    "Normalization": "Intensities",
    "UsedDevice": "Computed on",
    "ModelSHA256": "SHA-256, model",
}


def page_of(
    nodes: Mapping[str, object],
    gradients=None,
    more: Optional[Dict[str, Facts]] = None,
    notes: Sequence[str] = (),
) -> str:
    """The page of a whole result, HTML.

    :param nodes: by role, see :func:`.outputs.find_results`.
    :param gradients: equation (5)'s images of a run in that mode; they are not in the scene.
    :param more: facts that the nodes do not tell; :param notes: sentences for the user.
    :raises InputError: the MRI has been removed, or a volume cannot be used.
    """
    colored = nodes["colored"]
    mri, _ = clean(volume_from_node(colored.GetNodeReference(MRI_REFERENCE)), mri=True)
    pet = volume_from_node(nodes["pet_registered"])
    parts = [role for role in PART_ROLES if role in nodes]
    chosen = attribute(colored, "Mode")
    modes = [mode for mode in ("contribution", "uptake") if parts or mode not in NEED_PARTS]
    modes += ["gradient"] if gradients is not None else []
    sources = {mode: source_of(nodes, mode, gradients) for mode in sorted(modes, key=lambda m: m != chosen)}
    return page(
        Contents(
            mri=mri,
            pet=np.asarray(pet.array, dtype=np.float32),
            mri_scale=number_of(colored, "MRIScale") or scale_of(mri.array),
            pet_scale=number_of(colored, "PETScale") or scale_of(pet.array),
            pet_unit=attribute(colored, "PETUnit"),
            pet_name=attribute(colored, "PETName"),
            fused=[volume_from_node(nodes[role]).array for role in parts or ["fused"]],
            sources=sources,
            table=color_table(attribute(colored, "Colormap")),
            omega=float(attribute(colored, "Omega")),
            balance=float(attribute(colored, "Balance") or 0.5),
            judgement=_judgement(colored),
            version=attribute(colored, "Version"),
            facts={"Registration": _registration(colored), "Settings": _settings(colored), **(more or {})},
            notes=notes,
        )
    )


def _judgement(node) -> str:
    """A word for the registration: a key of :data:`report.page.JUDGEMENTS`."""
    method, said = attribute(node, "Registration"), attribute(node, "RegistrationSummary")
    if method == "none":
        return "none"
    if attribute(node, "RegistrationJudgement"):
        return attribute(node, "RegistrationJudgement")
    words = {"Plausible:": "good", "Doubtful:": "doubtful", "Not plausible:": "wrong"}
    return next((judgement for word, judgement in words.items() if word in said), "")


def _registration(node) -> Facts:
    matrix = attribute(node, "RegistrationMatrix").split()
    lines = ["  ".join(f"{float(x):.4f}" for x in matrix[start : start + 4]) for start in range(0, 12, 4)]
    return [
        ("Result", attribute(node, "RegistrationSummary")),
        ("Movement", attribute(node, "RegistrationDetails")),
        ("Matrix", " / ".join(lines) + " (PET to MRI, RAS, mm)" if matrix else ""),
    ]


def _settings(node) -> Facts:
    rows = [(label, attribute(node, name)) for name, label in SETTINGS.items()]
    labels = method_labels()
    return [(label, labels.get(text, text) if label == "Method" else text) for label, text in rows]
