"""Collecting what VTK complains about.

VTK's errors and warnings, and those of Slicer's C++ classes, go to `vtkOutputWindow`, which prints
them to the standard error stream and lets the program go on. Inside `collect_vtk_messages` they are
listed too, so that a test can assert that there were none.
"""

import contextlib
from typing import NamedTuple


class VtkMessage(NamedTuple):
    """One message: kind is "error" or "warning", text is what VTK prints."""

    kind: str
    text: str


@contextlib.contextmanager
def collect_vtk_messages():
    """Collect the errors and warnings reported inside the `with` block.

    They are still printed. Not collected: ITK's own messages, and errors of an object that has an
    observer for its ErrorEvent, because VTK hands those to that observer only.

    :return: context manager giving a list of `VtkMessage`, filled as messages come.
    """
    import vtk

    messages = []

    def recorder(kind):
        @vtk.calldata_type(vtk.VTK_STRING)
        def record(_caller, _event, text):
            messages.append(VtkMessage(kind, text))

        return record

    window = vtk.vtkOutputWindow.GetInstance()
    tags = [
        window.AddObserver(vtk.vtkCommand.ErrorEvent, recorder("error")),
        window.AddObserver(vtk.vtkCommand.WarningEvent, recorder("warning")),
    ]
    try:
        yield messages
    finally:
        for tag in tags:
            window.RemoveObserver(tag)
