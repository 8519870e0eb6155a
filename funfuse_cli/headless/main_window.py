"""Slicer with a main window: a layout manager, and a module selector.

By default Slicer runs here as without a main window: `slicer.app.layoutManager()` and
`slicer.util.mainWindow()` are None. Inside of `layout_manager` or `main_window` they are not.

Facts: Libs/MRML/Widgets/qMRMLLayoutManager.cxx and Base/QTApp/qSlicerMainWindow.cxx of Slicer.
"""

import contextlib

from .boot import boot, kept
from .unavailable import NotAvailableHeadless


class _Refusing:
    """Raises for what the stand-in does not have, instead of behaving in another way than Slicer."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotAvailableHeadless(f"{type(self).__name__}.{name}")


class SliceWidget(_Refusing):
    """What `sliceWidget` returns: the slice view's logic and node; there is nothing to see."""

    def __init__(self, logic):
        self._logic = logic

    def sliceLogic(self):
        """Return the vtkMRMLSliceLogic."""
        return self._logic

    def mrmlSliceNode(self):
        """Return the vtkMRMLSliceNode."""
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        """Return the vtkMRMLSliceCompositeNode."""
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        """Fit the view to the background volume."""
        self._logic.FitSliceToBackground()


class LayoutManager(_Refusing):
    """The layout, and the slice views, on Slicer's own vtkMRMLLayoutLogic and slice logics.

    There are no 3D, table and plot views: their counts are 0.
    """

    threeDViewCount = tableViewCount = plotViewCount = 0

    def __init__(self):
        self._views = kept("slice_views")
        self._callbacks = []
        self._tag = None

    @property
    def layout(self):
        """Number of the layout, such as `slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView`."""
        return self._node().GetViewArrangement()

    @layout.setter
    def layout(self, layout):
        self.setLayout(layout)

    def setLayout(self, layout):
        """Switch to a layout; to the conventional one if there is none of that number."""
        import slicer

        node = self._node()
        if layout != node.GetViewArrangement():
            if not node.IsLayoutDescription(layout):
                layout = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
            node.RemoveAllMaximizedViewNodes()
            node.SetViewArrangement(layout)

    def layoutLogic(self):
        """Return the vtkMRMLLayoutLogic."""
        return self._views.layout_logic

    def mrmlScene(self):
        """Return the scene."""
        import slicer

        return slicer.mrmlScene

    def mrmlSliceLogics(self):
        """Return the vtkCollection of slice logics."""
        return self._views.slice_logics

    def sliceViewNames(self):
        """Return the names of all slice views, also of those that the present layout does not show."""
        return tuple(widget.mrmlSliceNode().GetName() for widget in self._widgets())

    def sliceWidget(self, name):
        """Return the slice view of a name, or None."""
        for widget in self._widgets():
            if name in (widget.mrmlSliceNode().GetName(), widget.mrmlSliceNode().GetLayoutName()):
                return widget
        return None

    def resetSliceViews(self):
        """Fit all slice views to their background volumes."""
        for widget in self._widgets():
            widget.fitSliceToBackground()

    def connect(self, signal, callback):
        """Call a function with the layout's number when it has changed: "layoutChanged(int)".

        :raises NotAvailableHeadless: for any other signal.
        """
        self._check(signal)
        if self._tag is None:
            self._last = self.layout
            self._tag = self._node().AddObserver("ModifiedEvent", lambda *_: self._changed())
        self._callbacks.append(callback)
        return True

    def disconnect(self, signal, callback):
        """Undo `connect`; return whether there was something to undo."""
        self._check(signal)
        found = callback in self._callbacks
        if found:
            self._callbacks.remove(callback)
        return found

    def stop(self):
        """Stop watching the layout. Not part of Slicer."""
        if self._tag is not None:
            self._node().RemoveObserver(self._tag)

    def _check(self, signal):
        if signal != "layoutChanged(int)":
            raise NotAvailableHeadless(f'layoutManager().connect("{signal}")')

    def _changed(self):
        if self.layout != self._last:
            self._last = self.layout
            for callback in list(self._callbacks):
                callback(self.layout)

    def _node(self):
        return self._views.layout_logic.GetLayoutNode()

    def _widgets(self):
        logics = self._views.slice_logics
        return [SliceWidget(logics.GetItemAsObject(i)) for i in range(logics.GetNumberOfItems())]


@contextlib.contextmanager
def layout_manager():
    """Give `slicer.app` a layout manager meanwhile; the layout of before comes back at the end."""
    slicer = boot()
    manager = LayoutManager()
    before = manager.layout
    slicer.app.set_layout_manager(manager)
    try:
        yield manager
    finally:
        manager.stop()
        manager.setLayout(before)
        slicer.app.set_layout_manager(None)


@contextlib.contextmanager
def main_window():
    """Give Slicer a main window meanwhile, with a layout manager and a module selector. Starts Qt.

    `slicer.util.selectModule` leaves one module's panel and enters the other's; of a module written in C++
    only `slicer.util.selectedModule` shows that it was selected.
    """
    with layout_manager():
        from .widgets import start

        start.start()
        from .widgets.main_window import qSlicerMainWindow

        window = qSlicerMainWindow()
        try:
            yield window
        finally:
            window.moduleSelector().selectModule("")
            window.deleteLater()
            window.hide()
            window.name = "closed"
