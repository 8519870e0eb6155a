"""The scene as it was, after an error.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

from contextlib import contextmanager
from typing import Dict, Iterator, List

from . import views


@contextmanager
def taken_back_after_an_error(outputs) -> Iterator[None]:
    """A block that may add nodes, and change these outputs, their display and what the views show.

    Voxels may be replaced, as :func:`fill` does, but not be written into. Nothing may be removed.
    """
    import slicer

    scene, outputs = slicer.mrmlScene, list(outputs)
    before = set(_ids())
    displays = [node.GetDisplayNode() for node in outputs if node.IsA("vtkMRMLDisplayableNode")]
    view_nodes = [
        node
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode")
        for node in slicer.util.getNodesByClass(kind)
    ]
    # Displays before volumes: getting its voxels back, a volume connects its displays to them. Volumes from
    # the last to the first: each goes before the one that followed it in the subject hierarchy.
    nodes = [*displays, *reversed(outputs), *view_nodes]
    memories = [_Memory(node) for node in nodes if node is not None]
    try:
        yield
    except BaseException:
        for memory in memories:
            memory.give_back()
        for node_id in [node_id for node_id in _ids() if node_id not in before]:
            scene.RemoveNode(scene.GetNodeByID(node_id))
        views.announce_layers()
        raise


class _Memory:
    """What a node holds and refers to, and where it is in the subject hierarchy.

    Voxels are not copied, only their object is kept: :func:`fill` gives a node a new one.
    """

    def __init__(self, node):
        import slicer

        self._node, self._deep = node, not node.IsA("vtkMRMLVolumeNode")
        self._content = slicer.mrmlScene.CreateNodeByClass(node.GetClassName())
        self._content.UnRegister(None)
        self._content.CopyContent(node, self._deep)
        self._references = _references(node)
        self._hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        self._item = self._hierarchy.GetItemByDataNode(node) if self._hierarchy is not None else 0
        if self._item:
            self._parent = self._hierarchy.GetItemParent(self._item)
            place = self._hierarchy.GetItemPositionUnderParent(self._item) + 1
            last = place == self._hierarchy.GetNumberOfItemChildren(self._parent)
            self._next = 0 if last else self._hierarchy.GetItemByPositionUnderParent(self._parent, place)

    def give_back(self) -> None:
        """Make the node what it was."""
        import slicer

        node = self._node
        with slicer.util.NodeModify(node):
            if node.IsA("vtkMRMLScalarVolumeDisplayNode"):
                # In Slicer 5.8 copying adds to those that there are.
                node.ResetWindowLevelPresets()
            node.CopyContent(self._content, self._deep)
            for role, now in _references(node).items():
                then = self._references.get(role, [])
                for index in reversed(range(len(then), len(now))):
                    node.RemoveNthNodeReferenceID(role, index)
            for role, then in self._references.items():
                for index, node_id in enumerate(then):
                    if node.GetNthNodeReferenceID(role, index) != node_id:
                        node.SetNthNodeReferenceID(role, index, node_id)
        if self._item and self._hierarchy.GetItemParent(self._item) != self._parent:
            self._hierarchy.SetItemParent(self._item, self._parent)
            self._hierarchy.MoveItem(self._item, self._next)


def _references(node) -> Dict[str, List[str]]:
    """The IDs of referenced nodes by role."""
    roles = [node.GetNthNodeReferenceRole(n) for n in range(node.GetNumberOfNodeReferenceRoles())]
    return {
        role: [node.GetNthNodeReferenceID(role, n) for n in range(node.GetNumberOfNodeReferences(role))]
        for role in roles
    }


def _ids() -> List[str]:
    import slicer

    scene = slicer.mrmlScene
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]
