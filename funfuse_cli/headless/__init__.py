"""A stand-in for the 3D Slicer application, to run an extension without a display: see README.md here.

`boot` completes the package `slicer` with what the application would add. What is not there raises
`NotAvailableHeadless`, or `NotInModuleHeadless` for a name of a Python module such as `qt`; both are
`NotImplementedError`s that name the missing thing.
"""

from .boot import boot
from .unavailable import NotAvailableHeadless, NotInModuleHeadless

__all__ = ["boot", "NotAvailableHeadless", "NotInModuleHeadless"]
