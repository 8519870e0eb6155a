"""ctkCollapsibleButton: a section of a panel with a header that shows and hides what is in it.

Facts: Libs/Widgets/ctkCollapsibleButton.cpp of CTK.
"""

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import adapt_own

# A child that was hidden by program, and not by collapsing, says so in this dynamic property.
_SHOWN = "visibilityToParent"
_INDICATOR = QtWidgets.QStyle.PM_IndicatorWidth
_SPACING = QtWidgets.QStyle.PM_CheckBoxLabelSpacing


@adapt_own
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """Checkable; checked is open. Children are hidden while it is collapsed.

    A child that is hidden or shown by program while the section is collapsed appears, or does not, when it
    is opened.
    """

    contentsCollapsed = Signal(bool)

    def __init__(self, text=None, parent=None):
        if isinstance(text, QtWidgets.QWidget):
            text, parent = None, text
        super().__init__(parent)
        self._collapsed, self._forcing, self._created = False, False, False
        self._height, self._flat = 14, False
        self._open_maximum = self.maximumHeight
        self.setCheckable(True)
        self.setChecked(True)
        policy = QtWidgets.QSizePolicy
        self.setSizePolicy(policy.Minimum, policy.Preferred)
        self.setBackgroundRole(QtGui.QPalette.Window)
        if text:
            self.setText(text)
        self._make_room_for_header()
        self.connect("toggled(bool)", lambda checked: self._collapse(not checked))

    def _make_room_for_header(self):
        self.setContentsMargins(0, self._header_size().height(), 0, 0)

    def _header_size(self):
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        style = self.style()
        indicator = style.pixelMetric(_INDICATOR, option, self)
        text = self.fontMetrics().size(QtCore.Qt.TextShowMnemonic, self.text or "XXXX")
        width = indicator + style.pixelMetric(_SPACING, option, self) + text.width()
        content = QtCore.QSize(width, max(indicator, text.height()))
        return style.sizeFromContents(QtWidgets.QStyle.CT_PushButton, option, content, self)

    # --- Collapsing ---

    def _set_collapsed(self, collapsed):
        if self.checkable:
            self.setChecked(not collapsed)
        else:
            self._collapse(collapsed)

    def _collapse(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._open_maximum = self.maximumHeight
            self.setMaximumHeight(self.sizeHint().height())
        else:
            self.setMaximumHeight(self._open_maximum)
        self._show_or_hide_children()
        parent = self.parentWidget()
        if not collapsed and (parent is None or parent.layout() is None):
            self.resize(self.sizeHint())
        else:
            self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def _show_or_hide_children(self):
        for child in self.children():
            if child.isWidgetType():
                self._show_or_hide(child)

    def _show_or_hide(self, child):
        # Until the button itself is shown, Qt would show the children with it all the same.
        if not self.testAttribute(QtCore.Qt.WA_WState_Created):
            return
        self._forcing = True
        wanted = child.property(_SHOWN) is not False
        child.setVisible(wanted and not self._collapsed)
        if wanted:
            # What happened here is not the program's own hiding or showing.
            child.setAttribute(QtCore.Qt.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def childEvent(self, event):
        """Watch the children's visibility."""
        child = event.child()
        if event.type() == QtCore.QEvent.ChildAdded and child.isWidgetType():
            hidden = child.testAttribute(QtCore.Qt.WA_WState_Hidden)
            if hidden and child.testAttribute(QtCore.Qt.WA_WState_ExplicitShowHide):
                child.setProperty(_SHOWN, False)
            child.installEventFilter(self)
            self._show_or_hide(child)
        super().childEvent(event)

    def eventFilter(self, child, event):
        """Note what the program wants of a child, and keep it hidden while collapsed."""
        kind = event.type()
        shown, hidden = QtCore.QEvent.ShowToParent, QtCore.QEvent.HideToParent
        if not self._forcing and kind in (shown, hidden):
            child.setProperty(_SHOWN, kind == shown)
            if kind == shown:
                self._show_or_hide(child)
        return False

    def setVisible(self, visible):
        """Show or hide the button with its contents."""
        self._forcing = True
        super().setVisible(visible)
        self._forcing = False
        if not self._created and self.testAttribute(QtCore.Qt.WA_WState_Created):
            self._created = True
            self._show_or_hide_children()

    # --- Size and look ---

    def event(self, event):
        """Follow the font."""
        if event.type() in (QtCore.QEvent.StyleChange, QtCore.QEvent.FontChange):
            self._make_room_for_header()
            if self._collapsed:
                self.setMaximumHeight(self.sizeHint().height())
        return super().event(event)

    def minimumSizeHint(self):
        """Return the size of the header, or what the contents need."""
        if self._collapsed:
            return self._header_size() + QtCore.QSize(0, self._height)
        if self.layout() is None:
            return self._header_size()
        return self._layout_size("minimumSize").expandedTo(self._header_size())

    def sizeHint(self):
        """Return the size of the header, or what the contents would like."""
        smallest = self._header_size() + QtCore.QSize(0, self._height)
        if self._collapsed or self.layout() is None:
            return smallest
        return self._layout_size("sizeHint").expandedTo(smallest)

    def _layout_size(self, which):
        # A layout's own sizes count the margins of its parent, in which the header has its place.
        return getattr(self.layout(), f"total{which[0].upper()}{which[1:]}")()

    def hitButton(self, position):
        """Return whether a click there hits the header."""
        return 0 <= position.y() < self._header_size().height() and self.rect.contains(position)

    def paintEvent(self, _event):
        """Paint the header: a button with an arrow and the text."""
        style = self.style()
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        height = self._header_size().height()
        option.rect.setHeight(height)
        option.state |= QtWidgets.QStyle.State_Sunken if self.down else QtWidgets.QStyle.State_Raised
        if self._flat:
            option.features |= QtWidgets.QStyleOptionButton.Flat
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)

        indicator = style.pixelMetric(_INDICATOR, option, self)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect((height - indicator) // 2, (height - indicator) // 2, indicator, indicator)
        kind = QtWidgets.QStyle.PE_IndicatorArrowRight
        if not self._collapsed:
            kind = QtWidgets.QStyle.PE_IndicatorArrowDown
        painter.drawPrimitive(kind, arrow)

        place = QtCore.QRect(option.rect)
        place.setLeft(arrow.rect.right() + style.pixelMetric(_SPACING, option, self))
        flags = QtCore.Qt.AlignLeft | QtCore.Qt.AlignVCenter | QtCore.Qt.TextShowMnemonic
        style.drawItemText(
            painter, place, flags, option.palette, self.enabled, self.text, QtGui.QPalette.ButtonText
        )

    def _set_collapsed_height(self, height):
        self._height = height
        self.updateGeometry()

    def _set_flat(self, flat):
        self._flat = flat
        self.update()

    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)
    collapsedHeight = Property(int, lambda self: self._height, _set_collapsed_height)
    flat = Property(bool, lambda self: self._flat, _set_flat)
