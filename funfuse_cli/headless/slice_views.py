"""Slice views without windows.

In Slicer the layout manager makes a slice widget for every slice node, and the widget owns the slice
logic, which computes the picture. Here the real `vtkMRMLLayoutLogic` makes the slice nodes Red, Yellow
and Green, and this module gives every slice node its `vtkMRMLSliceLogic`, also those that a custom
layout adds later. Source: Libs/MRML/Widgets/qMRMLLayoutManager.cxx of Slicer.
"""

import slicer
import vtk


class SliceViews:
    """The layout, and one slice logic per slice node of the scene.

    :param scene: the MRML scene.
    :param application_logic: the vtkSlicerApplicationLogic; its slice and view logics are set here.
    """

    def __init__(self, scene, application_logic):
        self._application_logic = application_logic
        self._scene = scene
        self._paused = False
        self.slice_logics = vtk.vtkCollection()
        # Without the presets a slice node does not know what "Axial" means.
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        application_logic.SetSliceLogics(self.slice_logics)
        application_logic.SetViewLogics(vtk.vtkCollection())

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_node_added(_scene, _event, node):
            if isinstance(node, slicer.vtkMRMLSliceNode) and not self._paused:
                self._add_slice_logic(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_node_removed(_scene, _event, node):
            if isinstance(node, slicer.vtkMRMLSliceNode):
                self._remove_slice_logic(node)

        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, on_node_added)
        scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, on_node_removed)
        self.layout_logic = slicer.vtkMRMLLayoutLogic()
        self.layout_logic.SetMRMLScene(scene)
        layout = self.layout_logic.GetLayoutNode()
        layout.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._map_views())
        for event in (slicer.vtkMRMLScene.EndCloseEvent, slicer.vtkMRMLScene.EndImportEvent):
            scene.AddObserver(event, lambda *_: self._show_default_layout())
        self._show_default_layout()

    def _show_default_layout(self):
        # Slicer's main window starts with the conventional layout: three slice views and a 3D view.
        layout = self.layout_logic.GetLayoutNode()
        if layout.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutNone:
            layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self._map_views()

    def _map_views(self):
        # A view node knows whether the current layout shows it; the layout manager tells it so.
        views = self.layout_logic.GetViewNodes()
        shown = {views.GetItemAsObject(index) for index in range(views.GetNumberOfItems())}
        for index in range(self._scene.GetNumberOfNodesByClass("vtkMRMLAbstractViewNode")):
            view = self._scene.GetNthNodeByClass(index, "vtkMRMLAbstractViewNode")
            view.SetMappedInLayout(view in shown)

    def _logics(self):
        return [self.slice_logics.GetItemAsObject(i) for i in range(self.slice_logics.GetNumberOfItems())]

    def _add_slice_logic(self, slice_node):
        if any(logic.GetSliceNode() is slice_node for logic in self._logics()):
            return
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application_logic)
        # The node goes first: the logic names its model and transform nodes after it.
        logic.SetSliceNode(slice_node)
        logic.SetMRMLScene(self._scene)
        self.slice_logics.AddItem(logic)

    def _remove_slice_logic(self, slice_node):
        for logic in self._logics():
            if logic.GetSliceNode() is slice_node:
                self.slice_logics.RemoveItem(logic)

    def pause(self, paused):
        """Stop or restart making a slice logic for every added slice node."""
        self._paused = paused
