"""QUiLoader: widgets from .ui files, with the stand-ins of CTK's and Slicer's among them.

PySide6 can neither connect the signals of classes written in Python by the C++ signatures that stand in a .ui
file, nor say that it does not know a class: the file is read first, and both are done here.
"""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools

from ..unavailable import NotAvailableHeadless
from .names import CTK, SLICER, widget_class
from .pythonqt import connect


class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader for `slicer.util.loadUI`."""

    def load(self, device, parent=None):
        """Make the widgets of a .ui file.

        :param device: the opened QFile.
        :return: the top widget.
        :raises NotAvailableHeadless: if the file has a class that does not exist here.
        :raises ValueError: if a connection names a signal, slot or object that does not exist.
        """
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        known = {*self.availableWidgets(), *CTK, *SLICER, "Line"}
        for element in root.iter("widget"):
            if element.get("class") not in known:
                raise NotAvailableHeadless(f"{element.get('class')} ({element.get('name')})")
        wires = [
            [wire.findtext(part) for part in ("sender", "signal", "receiver", "slot")]
            for wire in root.iterfind("connections/connection")
        ]
        for section in root.findall("connections"):
            root.remove(section)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root, encoding="utf-8"))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(f"the .ui file cannot be loaded: {self.errorString()}")
        for sender, signal, receiver, slot in wires:
            connect(_named(widget, sender), signal, _named(widget, receiver), slot)
        return widget

    def createWidget(self, class_name, parent=None, name=""):
        """Make one widget; Qt calls it for each of the file."""
        own = widget_class(class_name)
        if own is None:
            return super().createWidget(class_name, parent, name)
        widget = own(parent) if parent is not None else own()
        widget.name = name
        return widget


def _named(widget, name):
    found = widget if widget.name == name else widget.findChild(QtCore.QObject, name)
    if found is None:
        raise ValueError(f"a connection names {name}, which is not in the file")
    return found
