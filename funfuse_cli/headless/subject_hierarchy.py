"""Subject hierarchy items for nodes added to the scene.

In Slicer, plugins written in Qt put every data node into the subject hierarchy as it is added to the
scene, and take it out when it is removed. The tree itself is a MRML node, which works without Qt; this
module does the plugins' part for Slicer's core node types. Source:
Modules/Loadable/SubjectHierarchy/Widgets/qSlicerSubjectHierarchyPluginLogic.cxx, and
`canAddNodeToSubjectHierarchy` of Slicer's core plugins.
"""

import slicer
import vtk

# Class of a node and plugin that owns it; the first match counts, so derived classes come first.
_OWNERS = (
    ("vtkMRMLLabelMapVolumeNode", "LabelMaps"),
    ("vtkMRMLDiffusionTensorVolumeNode", "DiffusionTensorVolumes"),
    ("vtkMRMLScalarVolumeNode", "Volumes"),
    ("vtkMRMLSegmentationNode", "Segmentations"),
    ("vtkMRMLMarkupsNode", "Markups"),
    ("vtkMRMLModelNode", "Models"),
    ("vtkMRMLTransformNode", "Transforms"),
    ("vtkMRMLTableNode", "Tables"),
    ("vtkMRMLTextNode", "Texts"),
    ("vtkMRMLPlotChartNode", "Plots"),
    ("vtkMRMLPlotSeriesNode", "Plots"),
    ("vtkMRMLFolderDisplayNode", "Folder"),
)


def _owner(node):
    """Return the plugin name for a node, or None for nodes that stay out of the hierarchy."""
    # Reading the flag once is what Slicer does: hiding a node later does not take its item away.
    if node.GetHideFromEditors():
        return None
    return next((plugin for class_name, plugin in _OWNERS if node.IsA(class_name)), None)


def _add(scene, node):
    owner = _owner(node)
    if owner is None:
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is not None and not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node, owner)


def observe_subject_hierarchy(scene):
    """Keep the scene's subject hierarchy in step with its nodes from now on.

    :param scene: the MRML scene.
    """
    resolve = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_added(_scene, _event, node):
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            # A loaded hierarchy is merged into the one that exists.
            resolve(scene)
        elif not scene.IsImporting():
            # While importing, the file's own hierarchy is still to come.
            _add(scene, node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def on_node_about_to_be_removed(_scene, _event, node):
        if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
        if item:
            # Remove the item only: neither its node, which is on its way out, nor its children.
            hierarchy.RemoveItem(item, False, False)

    def on_import_ended(*_):
        resolve(scene)
        for index in range(scene.GetNumberOfNodes()):
            _add(scene, scene.GetNthNode(index))

    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, on_node_added)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, on_node_about_to_be_removed)
    scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, on_import_ended, 10.0)
