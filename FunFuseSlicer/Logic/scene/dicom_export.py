"""The results of a pair as DICOM: from nodes to what is written, and the series that nodes came from.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from pathlib import Path
from typing import Dict, Optional

import numpy as np

from ..dicom.series import Series, read_series
from ..dicom.write import Results, write_dicom
from ..monitor import Monitor
from ..volumes.geometry import Volume
from .attributes import attribute
from .color_maps import color_table
from .inputs import to_world, unit_of
from .pet_headers import files_of_node

# What the settings are called, and the attribute of the nodes.
_SETTINGS = (
    ("method", "Method"),
    ("model", "Model"),
    ("SHA-256", "ModelSHA256"),
    ("lambda", "Lambda"),
    ("balance", "Balance"),
    ("Omega", "Omega"),
    ("color shows", "Mode"),
    ("color map", "Colormap"),
    ("range of colors", "UptakeRange"),
    ("reference at %", "ReferenceAt"),
    ("reference mean", "ReferenceMean"),
    ("tracer", "Tracer"),
    ("intensities", "Normalization"),
    ("registration", "Registration"),
)


def series_of_node(node) -> Optional[Series]:
    """The series that Slicer loaded a volume from; None for a volume that came from elsewhere.

    :raises InputError: its files are not in Slicer's DICOM database any more.
    """
    files = files_of_node(node)
    return read_series(files, node.GetName()) if files else None


def export_dicom(
    mri_node,
    pet_node,
    nodes: Dict[str, object],
    mri: Series,
    pet: Optional[Series],
    folder: Path,
    monitor: Optional[Monitor] = None,
) -> None:
    """Write the results of a pair into a folder, see :func:`dicom.write.write_dicom`.

    :param nodes: by role, see :func:`.outputs.find_results`.
    :param mri: the series that the MRI came from; ``pet`` likewise, or None.
    :raises InputError: the MRI does not lie where its series does, or the PET is of another patient.
    :raises OSError: a file cannot be written.
    """
    import slicer

    colored = nodes["colored"]
    omega = float(attribute(colored, "Omega"))
    results = Results(
        Volume(slicer.util.arrayFromVolume(mri_node), _own_axes(mri_node), mri_node.GetName()),
        slicer.util.arrayFromVolume(nodes["fused"]),
        slicer.util.arrayFromVolume(colored),
        slicer.util.arrayFromVolume(nodes["pet_registered"]),
        _between_scanners(mri_node, pet_node, nodes.get("transform")),
        (_levels(mri_node), _levels(nodes["pet_registered"])),
        omega,
        color_table(attribute(colored, "Colormap")),
        _ascii(attribute(colored, "Registration")) if "transform" in nodes else "",
        _title(colored, omega),
        _settings(colored),
        unit_of(nodes["pet_registered"]),
    )
    write_dicom(results, mri, pet, folder, monitor)


def _own_axes(node) -> np.ndarray:
    """4×4, voxel index to the coordinates of the scanner: without the transforms that a node is under."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _between_scanners(mri_node, pet_node, transform) -> np.ndarray:
    """4×4 in RAS, the PET's scanner to the MRI's: the registration is between where the nodes are shown."""
    import slicer

    found = np.eye(4)
    if transform is not None:
        found = slicer.util.arrayFromTransformMatrix(transform)
    return np.linalg.inv(to_world(mri_node)) @ found @ to_world(pet_node)


def _levels(node) -> tuple:
    display = node.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def _title(colored, omega: float) -> str:
    """The settings in a few words."""
    if not attribute(colored, "Model"):
        return _ascii(f"colored, {attribute(colored, 'Method')}, Omega {omega:g}")
    lam = float(attribute(colored, "Lambda"))
    return _ascii(f"colored, {attribute(colored, 'Model')}, Omega {omega:g}, lambda {lam:g}")


def _settings(colored) -> str:
    """How the results were made; names of volumes, which often are those of patients, are left out."""
    told = [f"{name} {attribute(colored, key)}" for name, key in _SETTINGS if attribute(colored, key)]
    return _ascii(f"FunFuse {attribute(colored, 'Version')}: {'; '.join(told)}.")


def _ascii(text: str) -> str:
    """Text that any character set of DICOM can write."""
    return text.encode("ascii", "replace").decode("ascii")
