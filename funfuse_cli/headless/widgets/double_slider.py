"""ctkDoubleSlider, ctkDoubleSpinBox and ctkSliderWidget.

As in Slicer's Python, only properties, slots and signals are public: ranges are set by `minimum` and
`maximum`, and the parts of a ctkSliderWidget are its children "Slider" and "SpinBox". A ctkDoubleSlider in
turn holds a QSlider; `headless.qt_events.drag` moves it as the mouse does.

Facts: Libs/Widgets/ctkDoubleSlider.cpp and ctkSliderWidget.cpp of CTK.
"""

import logging
import math

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import adapt_own

# Values closer than this part of a step are the same.
_SAME = 1e-9
_MAX_INT = 2**31 - 1


def part(kind, child, name):
    """Return a property that is the property of the same name of a child.

    :param kind: type of the value.
    :param child: name of the attribute that holds the child.
    """
    return Property(
        kind,
        lambda self: getattr(getattr(self, child), name),
        lambda self, value: setattr(getattr(self, child), name, value),
    )


@adapt_own
class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider of floating point numbers: a QSlider whose positions are `singleStep` apart.

    A value set by program is kept, up to rounding, also when it lies between two positions.
    """

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._minimum, self._maximum = float(self._slider.minimum), float(self._slider.maximum)
        self._step, self._page, self._value, self._offset = 1.0, 10.0, 0.0, 0.0
        self._slider.connect("valueChanged(int)", self._on_position)
        self._slider.connect("sliderMoved(int)", lambda p: self.sliderMoved.emit(self._value_at(p)))
        self._slider.connect("sliderPressed()", self.sliderPressed.emit)
        self._slider.connect("sliderReleased()", self.sliderReleased.emit)
        self.sizePolicy = self._slider.sizePolicy

    def _position_of(self, value):
        return round(min(max(value / self._step, -_MAX_INT), _MAX_INT))

    def _value_at(self, position):
        return min(max(self._step * (self._offset + position), self._minimum), self._maximum)

    def _take_offset_of(self, value):
        # How far the value lies beside the grid of steps through 0.
        self._offset = value / self._step - self._position_of(value) if math.isfinite(value) else 0.0

    def _update_positions(self):
        low, high = self._position_of(self._minimum), self._position_of(self._maximum)
        # Both ends must be within reach, also when the offset has moved the grid.
        if self._step * (self._offset + low) > self._minimum:
            low -= 1
        if self._step * (self._offset + high) < self._maximum:
            high += 1
        self._slider.setRange(max(low, -_MAX_INT), min(high, _MAX_INT))

    def set_range(self, minimum, maximum):
        """Set both ends; not in Slicer's Python."""
        before = self._minimum, self._maximum
        self._minimum, self._maximum = sorted((minimum, maximum))
        if self._minimum >= self._value:
            self._take_offset_of(self._minimum)
        if self._maximum <= self._value:
            self._take_offset_of(self._maximum)
        self._update_positions()
        if before != (self._minimum, self._maximum):
            self.rangeChanged.emit(self._minimum, self._maximum)
        self.setValue(self._value)

    def setValue(self, value):
        """Set the value, limited to the range."""
        value = min(max(float(value), self._minimum), self._maximum)
        self._take_offset_of(value)
        position = self._position_of(value)
        if position != self._slider.value:
            self._slider.setValue(position)
            return
        change = abs(value - self._value)
        self._value = value
        if change > self._step * _SAME:
            self.valueChanged.emit(value)

    def _on_position(self, position):
        value = self._value_at(position)
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def accepts_step(self, step):
        """Return whether a step fits into the range; not in Slicer's Python."""
        if self._minimum == self._maximum:
            return True
        return 2.3e-16 <= step <= min(self._maximum - self._minimum, _MAX_INT)

    def _set_step(self, step):
        if not self.accepts_step(step):
            logging.warning("ctkDoubleSlider: a step of %s does not fit into the range", step)
            return
        self._step = step
        self._take_offset_of(self._value)
        self._slider.blockSignals(True)
        self._update_positions()
        self._slider.setValue(self._position_of(self._value))
        self._slider.pageStep = self._position_of(self._page)
        self._slider.blockSignals(False)

    def _set_page(self, step):
        self._page = step
        self._slider.pageStep = self._position_of(step)

    def setOrientation(self, orientation):
        """Lay the slider down, or stand it up."""
        if orientation != self._slider.orientation:
            policy = self.sizePolicy
            policy.transpose()
            self.sizePolicy = policy
            self._slider.setOrientation(orientation)

    value = Property(float, lambda self: self._value, setValue)
    minimum = Property(
        float, lambda self: self._minimum, lambda self, v: self.set_range(v, max(v, self._maximum))
    )
    maximum = Property(
        float, lambda self: self._maximum, lambda self, v: self.set_range(min(v, self._minimum), v)
    )
    singleStep = Property(float, lambda self: self._step, _set_step)
    pageStep = Property(float, lambda self: self._page, _set_page)
    sliderPosition = Property(
        float,
        lambda self: self._value_at(self._slider.sliderPosition),
        lambda self, value: self._slider.setSliderPosition(self._position_of(value)),
    )
    tickInterval = Property(
        float,
        lambda self: self._step * self._slider.tickInterval,
        lambda self, value: self._slider.setTickInterval(self._position_of(value)),
    )
    orientation = Property(QtCore.Qt.Orientation, lambda self: self._slider.orientation, setOrientation)
    tickPosition = part(QtWidgets.QSlider.TickPosition, "_slider", "tickPosition")
    tracking = part(bool, "_slider", "tracking")
    invertedAppearance = part(bool, "_slider", "invertedAppearance")
    invertedControls = part(bool, "_slider", "invertedControls")


@adapt_own
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """CTK's spin box in its default modes, in which it is much like Qt's."""

    decimalsChanged = Signal(int)

    def setDecimals(self, decimals):
        """Set the number of decimals; value and range are rounded to it."""
        changed = decimals != self.decimals
        super().setDecimals(decimals)
        if changed:
            self.decimalsChanged.emit(self.decimals)


@adapt_own
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box that show one number.

    With `tracking` (the default) `valueChanged` comes with every change. Without, while the slider is
    dragged, `valueIsChanging` comes instead and `value` stays what it was; `valueChanged` comes once, on
    release, if the value is another one. A value set by program or typed emits both without tracking.
    """

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._tracking, self._changing, self._before, self._blocked = True, False, 0.0, False
        self._slider = ctkDoubleSlider(self)
        self._slider.name = "Slider"
        self._slider.setOrientation(QtCore.Qt.Horizontal)
        self._spin_box = ctkDoubleSpinBox(self)
        self._spin_box.name = "SpinBox"
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin_box)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._slider.set_range(self._spin_box.minimum, self._spin_box.maximum)
        self._spin_box.connect("valueChanged(double)", self._on_spin_box)
        self._slider.connect("sliderPressed()", self._start_changing)
        self._slider.connect("sliderReleased()", self._stop_changing)
        self._slider.connect("valueChanged(double)", self._on_slider)
        self._spin_box.installEventFilter(self)

    def _on_spin_box(self, value):
        if not self._blocked:
            self._slider.setValue(value)

    def _on_slider(self, value):
        self._with_blocked(self._spin_box.setValue, value)
        if not self._tracking:
            self.valueIsChanging.emit(value)
        if not self._changing:
            self.valueChanged.emit(value)

    def _with_blocked(self, function, *args):
        blocked, self._blocked = self._blocked, True
        function(*args)
        self._blocked = blocked

    def _start_changing(self):
        if not self._tracking:
            self._before = self.value
            self._changing = True

    def _stop_changing(self):
        if self._tracking:
            return
        self._changing = False
        if abs(self.value - self._before) > self.singleStep * _SAME:
            self.valueChanged.emit(self.value)

    def eventFilter(self, watched, event):
        """See pressing and releasing the spin box's arrows."""
        kind = event.type()
        pressed, released = QtCore.QEvent.MouseButtonPress, QtCore.QEvent.MouseButtonRelease
        if kind in (pressed, released) and event.button() == QtCore.Qt.LeftButton:
            self._start_changing() if kind == pressed else self._stop_changing()
        return super().eventFilter(watched, event)

    def _set_end(self, name, value):
        self._with_blocked(setattr, self._spin_box, name, value)
        # The spin box has rounded the end to its decimals.
        self._slider.set_range(self._spin_box.minimum, self._spin_box.maximum)
        self._align_spin_boxes()

    def _align_spin_boxes(self):
        """Give the spin boxes of all sliders of one parent the width of the widest."""
        parent = self.parentWidget()
        siblings = parent.findChildren(ctkSliderWidget) if parent is not None else [self]
        width = max(sibling._spin_box.sizeHint.width() for sibling in [self, *siblings])
        for sibling in [self, *siblings]:
            sibling._spin_box.setMinimumWidth(width)

    def setValue(self, value):
        """Set the value; it is rounded to the decimals and limited to the range."""
        changing, self._changing = self._changing, False
        self._spin_box.setValue(float(value))
        self._changing = changing

    def setDecimals(self, decimals):
        """Set the number of decimals that the spin box shows and takes."""
        self._spin_box.setDecimals(decimals)
        self._slider.set_range(self._spin_box.minimum, self._spin_box.maximum)
        # The slider never rounds: with more decimals the spin box can show its value better.
        self._on_slider(self._slider.value)
        self.decimalsChanged.emit(self._spin_box.decimals)

    def reset(self):
        """Set the value to 0, or what of the range is nearest to it."""
        self.setValue(0.0)

    def setSpinBoxVisible(self, visible):
        """Show or hide the spin box."""
        self._spin_box.setVisible(visible)

    def _set_step(self, step):
        if not self._slider.accepts_step(step):
            logging.warning("ctkSliderWidget: a step of %s does not fit into the range", step)
            return
        self._spin_box.singleStep = step
        self._slider.singleStep = self._spin_box.singleStep

    def _set_text(name):
        def set_text(self, text):
            setattr(self._spin_box, name, text)
            self._align_spin_boxes()

        return set_text

    def _set_inverted(self, inverted):
        self._slider.invertedControls = inverted

    def _set_tracking(self, tracking):
        self._tracking = tracking

    value = Property(float, lambda self: self._before if self._changing else self._slider.value, setValue)
    minimum = Property(float, lambda self: self._slider.minimum, lambda self, v: self._set_end("minimum", v))
    maximum = Property(float, lambda self: self._slider.maximum, lambda self, v: self._set_end("maximum", v))
    singleStep = Property(float, lambda self: self._slider.singleStep, _set_step)
    decimals = Property(int, lambda self: self._spin_box.decimals, setDecimals)
    prefix = Property(str, lambda self: self._spin_box.prefix, _set_text("prefix"))
    suffix = Property(str, lambda self: self._spin_box.suffix, _set_text("suffix"))
    spinBoxVisible = Property(bool, lambda self: self._spin_box.isVisibleTo(self), setSpinBoxVisible)
    tracking = Property(bool, lambda self: self._tracking, _set_tracking)
    pageStep = part(float, "_slider", "pageStep")
    tickInterval = part(float, "_slider", "tickInterval")
    tickPosition = part(QtWidgets.QSlider.TickPosition, "_slider", "tickPosition")
    spinBoxAlignment = part(QtCore.Qt.AlignmentFlag, "_spin_box", "alignment")
    invertedAppearance = part(bool, "_slider", "invertedAppearance")
    invertedControls = Property(bool, lambda self: self._slider.invertedControls, _set_inverted)
