"""Color nodes: read as arrays, and laid over scalar volumes.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import List

import numpy as np

from ..color.colorize import least_shown, resampled_table
from ..color.difference import difference_table
from ..color.ordered import shown_colors
from ..color.tables import NAMES, named_table
from ..errors import InputError

# Of the mode, not to be chosen: one row of a table in two dimensions.
ORDERED_NAME = "FunFuse ordered"
# Likewise of what is compared with the other side or another study.
DIFFERENCE_NAME = "FunFuse difference"


def color_table(name: str) -> np.ndarray:
    """The colors of a color map, (256, 3) in [0, 1]; the scene is not changed.

    :param name: a color node of the scene, ignoring case, or one of :mod:`color.tables`.
    :raises InputError: there is none; the message lists some that there are.
    """
    import slicer

    node = _find_color_node(name)
    if node is not None:
        return _table_of(node)
    table = named_table(name)
    if table is not None:
        return resampled_table(table)
    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLColorNode")}
    known = sorted({*NAMES, *(name for name in names if name.startswith(("PET-", "Grey", "Inverted")))})
    raise InputError(f'There is no color map "{name}": choose {", ".join(known)} or another of Slicer\'s.')


def use_color_map(volumes: List[object], colormap: str) -> None:
    """Show scalar volumes in a color map."""
    color_node = color_node_of(colormap)
    least = least_shown(_table_of(color_node))
    for node in volumes:
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(color_node.GetID())
        # Nothing is not the lowest color: what is nearly 0 stays black.
        display.SetAutoThreshold(0)
        display.SetThreshold(least * display.GetWindowLevelMax(), np.finfo(np.float32).max)
        display.SetApplyThreshold(1 if least else 0)


def color_node_of(colormap: str):
    """The color node of a color map that there is; one that Slicer lacks, such as "Jet", is made."""
    return _find_color_node(colormap) or _add_color_node(colormap, color_table(colormap))


def ordered_node():
    """The color node that stands for the mode "ordered" in legends."""
    return _find_color_node(ORDERED_NAME) or _add_color_node(ORDERED_NAME, shown_colors())


def difference_node():
    """Blue for less, red for more, and transparent between: what is shown follows the window."""
    table = difference_table()
    shown = (table < 1.0).any(axis=1, keepdims=True)
    # Of what is transparent the legend shows the gray.
    colors = np.hstack([np.where(shown, table, 0.5), shown])
    return _find_color_node(DIFFERENCE_NAME) or _add_color_node(DIFFERENCE_NAME, colors)


def _find_color_node(name: str):
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLColorNode"):
        if node.GetName() and node.GetName().lower() == name.lower() and node.GetNumberOfColors() > 1:
            return node
    return None


def _add_color_node(name: str, table: np.ndarray):
    """:param table: (n, 3) in [0, 1], or (n, 4) with the opacity."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetHideFromEditors(False)
    node.SetNumberOfColors(len(table))
    for index, (red, green, blue, *opacity) in enumerate(table):
        node.SetColor(index, str(index), red, green, blue, *(opacity or [1.0]))
    node.SetAttribute("Category", "FunFuse")
    return node


def _table_of(node) -> np.ndarray:
    """The colors of a color node (tables and procedural ones alike) as (256, 3) in [0, 1]."""
    table = node.GetLookupTable() or node.GetScalarsToColors()
    low, high = table.GetRange()
    color = [0.0, 0.0, 0.0]
    rows = []
    for value in np.linspace(low, high, 256):
        table.GetColor(value, color)
        rows.append(list(color))
    return np.array(rows)
