"""ctkComboBox: a QComboBox with a text for "nothing chosen".

Facts: Libs/Widgets/ctkComboBox.cpp of CTK.
"""

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property

from .pythonqt import adapt_own


@adapt_own
class ctkComboBox(QtWidgets.QComboBox):
    """Shows `defaultText` when no item is current; too long texts are shortened by `elideMode`."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._default_text = ""
        self._elide_mode = QtCore.Qt.ElideNone

    def paintEvent(self, _event):
        """Paint with the text that is due."""
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        if self.currentIndex == -1:
            option.currentText = self._default_text
            option.palette.setColor(
                QtGui.QPalette.ButtonText, option.palette.color(QtGui.QPalette.PlaceholderText)
            )
        field = style.subControlRect(
            QtWidgets.QStyle.CC_ComboBox, option, QtWidgets.QStyle.SC_ComboBoxEditField, self
        )
        option.currentText = option.fontMetrics.elidedText(
            option.currentText, self._elide_mode, field.width()
        )
        painter.drawComplexControl(QtWidgets.QStyle.CC_ComboBox, option)
        painter.drawControl(QtWidgets.QStyle.CE_ComboBoxLabel, option)

    def _set_default_text(self, text):
        self._default_text = text
        self.update()

    def _set_elide_mode(self, mode):
        self._elide_mode = mode
        self.update()

    defaultText = Property(str, lambda self: self._default_text, _set_default_text)
    elideMode = Property(QtCore.Qt.TextElideMode, lambda self: self._elide_mode, _set_elide_mode)
