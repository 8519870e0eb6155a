"""What another λ would look like, on the planes of the views only, before the volume is computed.

Every view gets thin volumes of its own, one voxel thick, fused by the network in the plane of the view.
In views across the axial slices this is close to, but not exactly, what Apply will compute there.
The results in the scene stay as they are.
"""

from typing import Dict, List, NamedTuple

import numpy as np

from ..color.sources import ColorSource
from ..volumes.geometry import Volume, resample
from . import views
from .attributes import ATTRIBUTE
from .color_maps import color_table
from .inputs import volume_from_node
from .live_colors import Look, number_of
from .outputs import display_as_color, display_as_gray, remove_volume

PREVIEW = ATTRIBUTE.format("Preview")


class _Thin(NamedTuple):
    """The two volumes of one view."""

    fused: object
    colored: object


class LambdaPreview:
    """Shows thin volumes instead of the results until it is ended."""

    def __init__(self):
        self._thin: Dict[str, _Thin] = {}
        self._volumes, self._nodes = None, None

    @property
    def active(self) -> bool:
        """Whether views show a preview."""
        return bool(self._thin)

    def use(self, mri, nodes) -> None:
        """The MRI and the output nodes, by role, of the pair; ends a preview of another one."""
        self.end()
        self._nodes, self._mri, self._volumes = nodes, mri, None

    def views(self) -> List[object]:
        """The logics of the views on screen that show a result or a preview of it."""
        thin = [node for pair in self._thin.values() for node in pair]
        return views.shown_logics(self._nodes["fused"], self._nodes["colored"], *thin)

    def show(self, logic, network, look: Look) -> None:
        """Fuse the plane of one view and show it there.

        :param network: for one λ, see ``at_lambda``.
        """
        import torch

        mri, pet = self._planes(logic)
        images = [torch.from_numpy(plane.array)[:, None] for plane in (mri, pet)]
        with torch.no_grad():
            fused, mri_part, pet_part = (part[:, 0].numpy() for part in network(*images))
        uptake = look.mode == "uptake"
        source = ColorSource(
            (mri_part, pet_part),
            pet.array if uptake else pet_part,
            1.0 if uptake else number_of(self._nodes["colored"], "PETPartScale") or 1.0,
        )
        colors = source.colors(color_table(look.colormap), look.omega, look.balance)
        self._put(logic, mri, fused, colors)

    def end(self) -> None:
        """Show the results again."""
        import slicer

        ended, self._thin = self._thin, {}
        for logic in views.slice_logics():
            thin = ended.get(logic.GetSliceNode().GetID())
            if thin is not None:
                self._exchange(logic, thin, _Thin(self._nodes["fused"], self._nodes["colored"]))
        # Last: whoever hears of it may come here again, or bring other results.
        for node in [node for thin in ended.values() for node in thin]:
            if slicer.mrmlScene.IsNodePresent(node):
                remove_volume(node)

    def _planes(self, logic):
        """MRI and PET in [0, 1] on the plane of a view, at the MRI's resolution, (1, rows, columns)."""
        if self._volumes is None:
            colored, pet = self._nodes["colored"], self._nodes["pet_registered"]
            self._volumes = [
                (volume_from_node(node), number_of(colored, name) or 1.0)
                for node, name in ((self._mri, "MRIScale"), (pet, "PETScale"))
            ]
        plane = _plane_grid(self._volumes[0][0], logic.GetSliceNode())
        result = []
        for volume, scale in self._volumes:
            thin = resample(volume, plane)
            values = np.nan_to_num(thin.array, nan=0.0, posinf=0.0, neginf=0.0) / np.float32(scale)
            result.append(thin.with_array(np.clip(values, 0.0, 1.0).astype(np.float32)))
        return result

    def _put(self, logic, plane: Volume, fused: np.ndarray, colors: np.ndarray) -> None:
        import slicer

        slice_id = logic.GetSliceNode().GetID()
        if slice_id not in self._thin:
            self._thin[slice_id] = _Thin(
                _new_thin("vtkMRMLScalarVolumeNode", "FunFuse preview fused"),
                _new_thin("vtkMRMLVectorVolumeNode", "FunFuse preview colored"),
            )
        thin = self._thin[slice_id]
        for node, array in ((thin.fused, fused), (thin.colored, colors)):
            node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(plane.ijk_to_ras))
            slicer.util.updateVolumeFromArray(node, array)
            node.CreateDefaultDisplayNodes()
        display_as_gray(thin.fused, 0.0, 1.0)
        display_as_color(thin.colored)
        for node in thin:
            for index in range(node.GetNumberOfDisplayNodes()):
                node.GetNthDisplayNode(index).SetSaveWithScene(False)
        self._exchange(logic, _Thin(self._nodes["fused"], self._nodes["colored"]), thin)

    def _exchange(self, logic, old: _Thin, new: _Thin) -> None:
        """Show ``new`` in the layers where ``old`` is."""
        layers = views.layers_of(logic)
        names = {a.GetID(): b.GetID() for a, b in zip(old, new)}
        views.set_layers(
            logic,
            layers._replace(
                background=names.get(layers.background, layers.background),
                foreground=names.get(layers.foreground, layers.foreground),
            ),
        )


def _new_thin(kind: str, name: str):
    import slicer

    node = slicer.mrmlScene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(PREVIEW, "1")
    return slicer.mrmlScene.AddNode(node)


def _plane_grid(volume: Volume, slice_node) -> Volume:
    """An empty volume one voxel thick, in the plane of a view, that covers all of ``volume``."""
    import slicer

    axes = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())
    # Views mirror their axes to the user's habit; any right angle will do here.
    across, down, normal, point = (axes[:3, column] for column in range(4))
    spacing = float(np.min(volume.spacing))
    shape = np.array(volume.array.shape)[::-1]
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    corners = corners @ volume.ijk_to_ras[:3, :3].T + volume.ijk_to_ras[:3, 3] - point
    low = np.array([(corners @ axis).min() for axis in (across, down)])
    high = np.array([(corners @ axis).max() for axis in (across, down)])
    columns, rows = np.maximum(np.ceil((high - low) / spacing).astype(int), 1)
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = np.stack([across, down, normal], axis=1) * spacing
    ijk_to_ras[:3, 3] = point + (low[0] + spacing / 2) * across + (low[1] + spacing / 2) * down
    return Volume(np.zeros((1, rows, columns), np.float32), ijk_to_ras, "plane")
