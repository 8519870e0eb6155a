"""A stand-in for the 3D Slicer application, for running the extension without a display.

The package `slicer-core` on PyPI holds Slicer's own libraries (MRML scene and nodes, module
logics, slice view pipelines, `slicer.util`), but not the application: no `slicer.app`, no
`slicer.mrmlScene`, no scripted module base classes and no Qt. `boot` supplies those missing
pieces, as thin as the module under test needs them, so that `FunFuseSlicer.py` imports and its
logic works on a real scene, with the real slice views. Qt comes from PySide6, and is started when
something first asks for it.

It is not Slicer. What it supplies behaves as in Slicer; what it does not supply raises a
`NotImplementedError` that names the missing thing: `NotAvailableHeadless`, or `NotInModuleHeadless` for
a name of a Python module such as `qt`.

Submodules:

- `boot`: the scene, the application logic, and the names added to the `slicer` package.
- `scene_files`: scene bundles (.mrb) and closing the scene.
- `rendering`: pictures of slice views and contact sheets.
- `module`: importing a scripted module the way Slicer does.
- `widgets`: PySide6 with the manners of PythonQt, and the ctk and qMRML widgets that a panel uses.
- `main_window`, `qt_events`, `screenshots`: a layout manager, Qt's events, and pictures of widgets.
- `cli`: command line modules as processes of their own.
- `messages`: collecting VTK's errors and warnings.
"""

from .boot import boot
from .unavailable import NotAvailableHeadless, NotInModuleHeadless

__all__ = ["boot", "NotAvailableHeadless", "NotInModuleHeadless"]
