"""What FunFuse writes into the nodes that it makes, so that a saved scene explains itself."""

from typing import Dict, Optional, Tuple

import numpy as np

# Every node that FunFuse makes says with this attribute what it is.
ATTRIBUTE = "FunFuse.{}"

ROLE_ATTRIBUTE = ATTRIBUTE.format("Role")

MRI_REFERENCE, PET_REFERENCE, TRANSFORM_REFERENCE = "FunFuse.MRI", "FunFuse.PET", "FunFuse.Transform"


def attribute(node, name: str) -> str:
    """A fact that a run wrote into an output node; "" when it is not there."""
    return node.GetAttribute(ATTRIBUTE.format(name)) or ""


def facts_of_node(node) -> Dict[str, str]:
    """All that a run wrote into an output node, by name."""
    prefix = ATTRIBUTE.format("")
    names = [name for name in node.GetAttributeNames() if name.startswith(prefix)]
    return {name[len(prefix) :]: node.GetAttribute(name) for name in names}


def attribute_name(fact: str) -> str:
    """What the attribute of a fact is called: of "uptake_range" it is "UptakeRange"."""
    words = {"lam": "Lambda", "model_sha256": "ModelSHA256", "pet_colormap": "PETColormap"}
    return words.get(fact, "".join(part.capitalize() for part in fact.split("_")))


def number_of(node, name: str) -> Optional[float]:
    """A number that a run wrote into an output node; None when it is not there, or 0."""
    try:
        return float(attribute(node, name) or 0) or None
    except ValueError:
        return None


def range_of(node, name: str) -> Optional[Tuple[float, float]]:
    """Two numbers that were written into an output node by :func:`range_text`; None when there are none."""
    numbers = attribute(node, name).split()
    return (float(numbers[0]), float(numbers[1])) if len(numbers) == 2 else None


def range_text(ends: Optional[Tuple[float, float]]) -> str:
    """A range as an attribute; "" for none."""
    return "" if ends is None else f"{ends[0]!r} {ends[1]!r}"


def place_on_scale(node, percent: Optional[float]) -> str:
    """Where on the color scale the reference region lies, in words; "" where it did not set the scale."""
    return f"{attribute(node, 'ReferenceName')} at {percent:g} %" if percent else ""


def name_of(node) -> str:
    """As attributes have it: "" for no node."""
    return "" if node is None else node.GetName()


def write_attributes(node, facts: Dict[str, str]) -> None:
    """All facts of a run, by name; what an earlier run wrote and this one does not have goes."""
    wanted = {ATTRIBUTE.format(name): value for name, value in facts.items()}
    for name in node.GetAttributeNames():
        if name.startswith(ATTRIBUTE.format("")) and name not in wanted:
            node.RemoveAttribute(name)
    for name, value in wanted.items():
        node.SetAttribute(name, value)


def matrix_of(node, name: str) -> Optional[np.ndarray]:
    """A 4×4 matrix that a run wrote into an output node by :func:`matrix_text`; None when there is none."""
    numbers = attribute(node, name).split()
    return np.array(numbers, dtype=float).reshape(4, 4) if len(numbers) == 16 else None


def matrix_text(matrix: Optional[np.ndarray]) -> str:
    """A matrix as an attribute: 16 numbers, row by row; "" for none."""
    return "" if matrix is None else " ".join(f"{x:.17g}" for x in np.ravel(matrix))
