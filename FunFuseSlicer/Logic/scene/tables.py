"""Tables of Slicer's scene: filled from rows, and written as text.

Slicer and VTK are imported inside the functions, so that this module can be imported anywhere.
"""

import csv
import io
import math
import os
import tempfile
from pathlib import Path
from typing import Dict, Sequence

from ..errors import OutputError

# Significant digits: more than anybody reads, and few enough for a table.
DIGITS = 6


def fill_table(node, rows: Sequence[Dict[str, object]]) -> None:
    """New columns for the rows, at least one; the views hear of one change."""
    import vtk

    table = vtk.vtkTable()
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            column = vtk.vtkStringArray()
        elif isinstance(values[0], float):
            column, values = vtk.vtkDoubleArray(), [float(f"{value:.{DIGITS}g}") for value in values]
        else:
            column = vtk.vtkIntArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    # Results are read, not typed.
    node.SetLocked(True)


def show_table(table) -> bool:
    """Show it below the slice views.

    :return: whether it shows; not without a main window, where there is no layout manager.
    """
    import slicer

    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
    manager = slicer.app.layoutManager()
    if manager is None:
        return False
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    slicer.app.applicationLogic().PropagateTableSelection()
    return True


def as_text(table_node) -> str:
    """The table with its titles, for the clipboard: columns parted by tabs, as spreadsheets paste them."""
    return _written(table_node, "\t")


def export_csv(table_node, path) -> None:
    """The table as a CSV file in UTF-8, replaced in one go.

    :raises OutputError: it cannot be written; names the file.
    """
    path = Path(path)
    part = None
    try:
        handle, part = tempfile.mkstemp(prefix=".funfuse-", suffix=".csv", dir=str(path.parent))
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(_written(table_node, ","))
        # Made for this user alone; the file shall be as any other.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, str(path))
        part = None
    except OSError as error:
        raise OutputError(
            f"{path}: the table cannot be written there ({error.strerror or error}). Choose another place."
        ) from error
    finally:
        if part is not None:
            Path(part).unlink()


def _written(table_node, delimiter: str) -> str:
    table = table_node.GetTable()
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow([column.GetName() for column in columns])
    for row in range(table.GetNumberOfRows()):
        writer.writerow([_cell(column.GetValue(row)) for column in columns])
    return text.getvalue()


def _cell(value) -> object:
    """Empty where there is no value."""
    return "" if isinstance(value, float) and not math.isfinite(value) else value
