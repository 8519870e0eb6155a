"""Widgets of CTK of which nothing but the class is needed."""

from PySide6 import QtWidgets

from .pythonqt import adapt_own


@adapt_own
class ctkCheckBox(QtWidgets.QCheckBox):
    """Qt's check box; CTK's icon for the indicator is not there."""
