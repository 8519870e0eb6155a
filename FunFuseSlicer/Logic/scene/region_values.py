"""The table of what is in regions of the scene.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from typing import Dict, List, Mapping, Optional, Sequence

from ..metrics.regions import Row, region_rows
from ..monitor import Monitor
from .attributes import ROLE_ATTRIBUTE, matrix_of
from .beside import beside
from .evaluation import FUSED_REFERENCE, describe
from .inputs import volume_from_node
from .outputs import PART_ROLES, in_shown_unit, place_beside
from .regions import regions_of_node
from .tables import fill_table

ROLE = "region_values"
REGIONS_REFERENCE = "FunFuse.Regions"


def region_values(
    node, mri_node, pet_node, outputs: Mapping[str, object], monitor: Optional[Monitor] = None
) -> List[Row]:
    """:func:`.metrics.regions.region_rows` of what FunFuse made of a pair, and of the MRI.

    :param node: a segmentation or a label map, see :func:`.regions.region_of_node`.
    :param outputs: nodes by role, see :func:`.outputs.find_results`.
    :raises InputError: there is no region, or a volume that cannot be used.
    """
    roles = [role for role in ("fused", *PART_ROLES) if role in outputs]
    regions = regions_of_node(node, mri_node, pet_node)
    pet = in_shown_unit(volume_from_node(pet_node), outputs["fused"])
    on_grid = {"MRI": volume_from_node(mri_node)}
    on_grid.update({role.replace("_", " "): volume_from_node(outputs[role]) for role in roles})
    matrix = matrix_of(outputs["fused"], "RegistrationMatrix")
    return beside(
        lambda told: region_rows(regions, pet, matrix, on_grid, told), monitor or Monitor(), "Measuring"
    )


def push_region_values(node, mri_node, outputs: Dict[str, object], rows: Sequence[Row]):
    """A table of the rows; a rerun updates that of the run before.

    :return: the vtkMRMLTableNode.
    """
    import slicer

    fused = outputs["fused"]
    old = [
        table
        for table in find_region_values(fused)
        if table.GetNodeReferenceID(REGIONS_REFERENCE) == node.GetID()
    ]
    if old:
        table = old[0]
    else:
        name = slicer.mrmlScene.GenerateUniqueName(f"{node.GetName()} values")
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
    fill_table(table, rows)
    describe(table, ROLE, mri_node, fused, {"Regions": node.GetName()})
    table.SetNodeReferenceID(REGIONS_REFERENCE, node.GetID())
    place_beside(mri_node, [table])
    return table


def find_region_values(fused_node) -> List[object]:
    """The tables of what was measured of a fused volume, one for each node of regions."""
    import slicer

    return [
        table
        for table in slicer.util.getNodesByClass("vtkMRMLTableNode")
        if table.GetAttribute(ROLE_ATTRIBUTE) == ROLE
        and table.GetNodeReferenceID(FUSED_REFERENCE) == fused_node.GetID()
    ]
