"""ctkRangeWidget: two handles on one line, and a spin box at each end.

As in Slicer's Python, `minimum` and `maximum` are the ends of the line, `minimumValue` and `maximumValue` the
places of the handles. Either is held back by the other, whichever is set first.

Facts: Libs/Widgets/ctkRangeWidget.cpp of CTK.
"""

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .double_slider import ctkDoubleSpinBox
from .pythonqt import adapt_own

_HANDLE = 8


@adapt_own
class ctkDoubleRangeSlider(QtWidgets.QWidget):
    """The line with its handles; each can be dragged."""

    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._ends, self._values, self._dragged = (0.0, 99.0), [0.0, 99.0], None
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self.setMinimumSize(4 * _HANDLE, 2 * _HANDLE)

    def place(self, ends, values):
        """Draw it so; tells nobody."""
        self._ends, self._values = tuple(ends), list(values)
        self.update()

    def _x(self, value):
        low, high = self._ends
        part = (value - low) / (high - low) if high > low else 0.0
        return _HANDLE / 2 + part * (self.size.width() - _HANDLE)

    def _value(self, x):
        low, high = self._ends
        part = (x - _HANDLE / 2) / max(1, self.size.width() - _HANDLE)
        return low + min(1.0, max(0.0, part)) * (high - low)

    def paintEvent(self, _event):
        """A line, between the handles in the color of what is selected."""
        painter, middle = QtGui.QPainter(self), self.size.height() // 2
        colors = self.palette
        painter.fillRect(0, middle - 2, self.size.width(), 4, colors.mid())
        first, second = (round(self._x(value)) for value in self._values)
        painter.fillRect(first, middle - 2, second - first, 4, colors.highlight())
        for x in (first, second):
            painter.setPen(QtGui.QPen(colors.dark(), 1))
            painter.setBrush(colors.button())
            painter.drawRect(x - _HANDLE // 2, 1, _HANDLE - 1, self.size.height() - 3)
        painter.end()

    def mousePressEvent(self, event):
        """Take the nearer handle."""
        x = event.position().x()
        apart = [abs(self._x(value) - x) for value in self._values]
        self._dragged = int(apart[1] < apart[0])

    def mouseMoveEvent(self, event):
        """Move the handle that was taken."""
        if self._dragged is not None:
            signal = (self.minimumValueChanged, self.maximumValueChanged)[self._dragged]
            signal.emit(self._value(event.position().x()))

    def mouseReleaseEvent(self, _event):
        """Let it go."""
        self._dragged = None


@adapt_own
class ctkRangeWidget(QtWidgets.QWidget):
    """Its signal tells both values, with every change of either."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._low, self._high = ctkDoubleSpinBox(self), ctkDoubleSpinBox(self)
        self._slider = ctkDoubleRangeSlider(self)
        names = {"MinimumSpinBox": self._low, "Slider": self._slider, "MaximumSpinBox": self._high}
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for name, child in names.items():
            child.name = name
            layout.addWidget(child)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._ends = 0.0, 99.0
        self.setRange(*self._ends)
        self._high.setValue(99.0)
        self._slider.connect("minimumValueChanged(double)", self.setMinimumValue)
        self._slider.connect("maximumValueChanged(double)", self.setMaximumValue)
        self._low.connect("valueChanged(double)", self._on_low)
        self._high.connect("valueChanged(double)", self._on_high)

    def _on_low(self, value):
        self._hold()
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._high.value)

    def _on_high(self, value):
        self._hold()
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._low.value, value)

    def _hold(self):
        """Each value is the end of what the other may be."""
        for box, low, high in (
            (self._low, self._ends[0], self._high.value),
            (self._high, self._low.value, self._ends[1]),
        ):
            blocked = box.blockSignals(True)
            box.setRange(low, high)
            box.blockSignals(blocked)
        self._slider.place(self._ends, (self._low.value, self._high.value))

    def setRange(self, minimum, maximum):
        """Set both ends; the values follow."""
        before, self._ends = self._ends, tuple(sorted((float(minimum), float(maximum))))
        for box in (self._low, self._high):
            box.setRange(*self._ends)
        self._hold()
        if before != self._ends:
            self.rangeChanged.emit(*self._ends)

    def setMinimumValue(self, value):
        """Move the lower handle, not beyond the upper one."""
        self._low.setValue(float(value))

    def setMaximumValue(self, value):
        """Move the upper handle, not beyond the lower one."""
        self._high.setValue(float(value))

    def setValues(self, minimum, maximum):
        """The lower handle, then the upper one."""
        self.setMinimumValue(minimum)
        self.setMaximumValue(maximum)

    def _set_both(name):
        def set_both(self, value):
            for box in (self._low, self._high):
                setattr(box, name, value)

        return set_both

    minimum = Property(float, lambda self: self._ends[0], lambda self, v: self.setRange(v, self._ends[1]))
    maximum = Property(float, lambda self: self._ends[1], lambda self, v: self.setRange(self._ends[0], v))
    minimumValue = Property(float, lambda self: self._low.value, setMinimumValue)
    maximumValue = Property(float, lambda self: self._high.value, setMaximumValue)
    decimals = Property(int, lambda self: self._low.decimals, _set_both("decimals"))
    singleStep = Property(float, lambda self: self._low.singleStep, _set_both("singleStep"))
    suffix = Property(str, lambda self: self._low.suffix, _set_both("suffix"))
