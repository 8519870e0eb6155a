"""Pictures of widgets, as they look without a display: Qt's style Fusion, light, in DejaVu Sans."""

import pathlib

from . import qt_events


def grab(widget, path, width=None, height=None):
    """Write a picture of a widget; the widget has its old size again afterwards.

    :param widget: a widget, shown or not. What `headless.module.open_widget` returns is laid out like
        Slicer's module panel: as high as its contents.
    :param path: the PNG file.
    :param width: in pixels; by default the widget's own.
    :param height: in pixels; by default as high as the contents need at that width.
    :return: the path.
    :raises OSError: if the file cannot be written.
    """
    path = pathlib.Path(path)
    shown, before = widget.visible, widget.size
    width = width or widget.width
    widget.show()
    widget.resize(width, height or before.height())
    qt_events.process()
    if height is None:
        # Twice: the first layout may tell texts that break into lines their width.
        for _ in range(2):
            widget.resize(width, needed_height(widget, width))
            qt_events.process()
    picture = widget.grab()
    widget.resize(before)
    if not shown:
        widget.hide()
    if not picture.save(str(path), "PNG"):
        raise OSError(f"the picture {path} cannot be written")
    return path


def needed_height(widget, width):
    """How high a widget must be at a width, in pixels, so that nothing is cut off."""
    layout = widget.layout()
    needed = widget.sizeHint.height() if hasattr(widget.sizeHint, "height") else widget.sizeHint().height()
    if layout is not None and layout.hasHeightForWidth():
        needed = max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())
    return max(needed, 1)
