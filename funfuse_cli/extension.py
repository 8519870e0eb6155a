"""The extension in the stand-in for Slicer: its module, and its panel."""

from importlib.util import find_spec
from pathlib import Path

from .headless import module

NAME = "FunFuseSlicer"
FOLDER = Path(next(iter(find_spec(f"{NAME}.Logic").submodule_search_locations))).parent


def load_module():
    """The Python module FunFuseSlicer, loaded as Slicer does; the same one at every call."""
    return module.load_module(FOLDER / f"{NAME}.py")


def open_panel():
    """The module's panel, set up and entered; see :func:`headless.module.open_widget`."""
    return module.open_widget(path=FOLDER / f"{NAME}.py")
