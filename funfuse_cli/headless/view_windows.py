"""Slice views with Slicer's displayable managers, which draw over the picture: legends, rulers, markers.

A view has a render window, as in Slicer, but nothing is drawn in it before `picture` is called, which needs a
display, or EGL and the environment variable VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow. What a manager has
decided to show can be asked without.

Source: Libs/MRML/Widgets/qMRMLSliceView.cxx (initDisplayableManagers) of Slicer.
"""

import slicer
import vtk


class SliceViewWindow:
    """The window of one slice view, with some displayable managers.

    :param slice_node: the vtkMRMLSliceNode.
    :param managers: class names of displayable managers of slice views.
    :param size: (width, height) in pixels.
    """

    def __init__(self, slice_node, managers=("vtkMRMLColorLegendDisplayableManager",), size=(300, 300)):
        self._renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetSize(*size)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._group.SetMRMLDisplayableNode(slice_node)

    def manager(self, name):
        """Return the displayable manager of that class."""
        return self._group.GetDisplayableManagerByClassName(name)

    def shows_legend(self, legend_node):
        """Return whether the manager of color legends draws that legend here."""
        actor = self.manager("vtkMRMLColorLegendDisplayableManager").GetColorLegendActor(legend_node)
        return actor is not None and bool(actor.GetVisibility())

    def picture(self):
        """Return what is drawn, an array (height, width, 3) of uint8, first row on top; the slice is not."""
        from vtk.util.numpy_support import vtk_to_numpy

        self._window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()

    def close(self):
        """Leave the scene."""
        self._group.SetMRMLDisplayableNode(None)
        self._window.Finalize()
