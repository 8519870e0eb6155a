"""The display of the results: their colors, which follow the sliders, the legend, and the four panes."""

import math
import time
from typing import Callable, Optional

import slicer
import vtk
from slicer.i18n import tr as _

from ..color.colorize import NEED_PARTS
from ..errors import FunFuseError
from ..monitor import Monitor
from ..scene import views
from ..scene.attributes import number_of
from ..scene.inputs import unit_of
from ..scene.legend import show_legends
from ..scene.live_colors import LiveColors
from ..scene.outputs import use_color_maps
from ..scene.run import Run
from .choices import Mode
from .enabling import enable, enable_item
from .section import Section
from .session import label_of


class DisplaySection(Section):
    """Paints the shown slices at once, and the whole volume in small steps when the slider rests.

    :param follow_results: called a moment after results were computed anew, perhaps by a script.
    """

    # Milliseconds until the whole volume is painted after the last touch of a slider.
    SETTLE = 250

    def __init__(self, ui, session, follow_results: Callable[[], None]):
        super().__init__(ui, session)
        self._live, self.painting, self._layout_before = LiveColors(), None, None
        # Why the shown slices cannot be painted as chosen, as a sentence.
        self._in_the_way = ""
        self.settle_timer = self.timer(self.paint_all, self.SETTLE)
        self._step_timer = self.timer(self._paint_step, 0)
        self._results_timer = self.timer(follow_results, 0)
        self._layout_timer = self.timer(self.follow_layout, 0)
        ui.fourPanesButton.connect("toggled(bool)", self.onFourPanesButton)
        ui.rangeWidget.connect("valuesChanged(double,double)", self.onRangeChanged)
        self._shown_range, self._showing_range = None, False
        layout = views.layout_node()
        if layout is not None:
            self.addObserver(layout, vtk.vtkCommand.ModifiedEvent, self._on_layout_modified)

    def update(self) -> None:
        """What needs the parts, which only the network gives."""
        alone = None
        if not self.session.uses_network:
            alone = _("Only FunFuse tells what came from each image; {method} does not.")
            alone = alone.format(method=label_of(self.session.choices.method))
        enable(self.ui.balanceSlider, alone)
        self._show_range()
        for index, mode in enumerate(Mode):
            enable_item(self.ui.modeComboBox, index, alone if mode.value in NEED_PARTS else None)

    def use_results(self) -> None:
        """Paint these, and forget their voxels when they change."""
        nodes, self._in_the_way = self.session.nodes, ""
        self._live.use(nodes)
        self.removeObservers(self._on_results_modified)
        if nodes:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            self.addObserver(nodes["fused"], event, self._on_results_modified)

    def show_result(self, result: Run) -> None:
        """What a run has made; the session's results are those already."""
        self._live.keep_gradients(result.nodes.colored, result.fusion.gradients)
        self.show_legend()
        if self.ui.fourPanesButton.checked:
            self._fill_panes()
        # While nobody does anything.
        self.painting = self._live.get_ready(self.session.seen.look)
        self._step_timer.start()

    def _on_results_modified(self, _caller=None, _event=None):
        self.painting = None
        self._live.use(self.session.nodes)
        self._results_timer.start()

    # Colors: live, without the network

    def paint_shown(self) -> bool:
        """Color the shown slices now, the whole volume when the slider rests; whether that is possible."""
        if not self.session.ready:
            return False
        self.painting = None
        try:
            if self.session.seen.look.uptake_range != self._shown_range:
                self._show_range()
            self._live.paint_shown(self.session.seen.look)
        except FunFuseError as error:
            # What was on its way is not chosen any more.
            self.settle_timer.stop()
            self._in_the_way = str(error)
            self.session.refresh()
            return False
        if self._in_the_way:
            self._in_the_way = ""
            self.session.refresh()
        self.settle_timer.start()
        return True

    def advice(self) -> str:
        """Why the colors are not those that are chosen."""
        return self._in_the_way if self.session.nodes else ""

    def paint_all(self) -> None:
        """Begin with the whole volume."""
        nodes, look = self.session.nodes, self.session.seen.look
        if nodes:
            scale = number_of(nodes["colored"], "PETScale") or 1.0
            ends = look.uptake_range or (0.0, scale)
            nodes["pet_registered"].GetDisplayNode().SetWindowLevelMinMax(*ends)
            use_color_maps(nodes, look.colormap, look.pet_colormap)
            self.show_legend()
            self.painting = self._live.paint_all(look)
            self._step_timer.start()

    def _paint_step(self):
        if self.painting is None:
            return
        # As many small steps as fit between two frames of the screen.
        end = time.monotonic() + 0.015
        while time.monotonic() < end:
            if next(self.painting, None) is None:
                self.painting = None
                return
        self._step_timer.start()

    def finish_painting(self, monitor: Optional[Monitor] = None) -> None:
        """Bring the colored volume up to date now, if it still is there; told to the monitor.

        :raises Cancelled: through the monitor; the painting goes on by itself.
        """
        monitor = monitor or Monitor()
        if not self.session.results_are_there():
            self.settle_timer.stop()
            self.painting = None
        if self.settle_timer.active:
            self.settle_timer.stop()
            self.paint_all()
        for fraction in self.painting or ():
            monitor.report("Coloring", fraction)
        self.painting = None

    # The range of uptake that the colors show

    def _show_range(self) -> None:
        """The ends and the handles of the range, in the PET's unit."""
        chosen, nodes, widget = self.session.choices, self.session.nodes, self.ui.rangeWidget
        reason = None
        if not nodes:
            reason = _("The range is that of results: press Apply.")
        elif chosen.mode is Mode.GRADIENT:
            reason = _("The sensitivity has no unit: choose another color.")
        enable(widget, reason)
        enable(self.ui.automaticRangeCheckBox, reason)
        if not nodes:
            self._showing_range = True
            widget.setRange(0.0, 0.0)
            self._showing_range = False
            return
        scale = number_of(nodes["colored"], "PETScale") or 1.0
        self._shown_range = self.session.uptake_range
        low, high = self._shown_range or (0.0, scale)
        highest = max(nodes["pet_registered"].GetImageData().GetScalarRange()[1], 2.0 * scale, high)
        self._showing_range = True
        widget.decimals = max(0, 2 - math.floor(math.log10(scale)))
        widget.singleStep = 10.0 ** (math.floor(math.log10(scale)) - 1)
        unit = unit_of(nodes["pet_registered"])
        widget.suffix = f" {unit}" if unit else ""
        widget.setRange(min(0.0, low), highest)
        # Either holds the other back, so that the first may not come through at once.
        widget.setMaximumValue(high)
        widget.setMinimumValue(low)
        widget.setMaximumValue(high)
        self._showing_range = False

    def onRangeChanged(self, low, high):
        """A handle was moved, or a number typed."""
        chosen = self.session.choices
        if chosen is None or self._showing_range or not low < high:
            return
        with slicer.util.NodeModify(chosen.parameterNode):
            chosen.automaticRange, chosen.rangeLow, chosen.rangeHigh = False, low, high

    # Legend and panes

    def show_legend(self) -> None:
        """The legend of the colors, or none, as chosen."""
        if self.session.nodes:
            chosen = self.session.choices
            show_legends(self.session.nodes, self.session.seen.look, chosen.pet.GetName(), chosen.legend)

    def _on_layout_modified(self, _caller=None, _event=None):
        # When Slicer has made the views.
        self._layout_timer.start()

    def follow_layout(self) -> None:
        """The layout is part of the scene, and can be chosen elsewhere; new views have no legend yet."""
        if self.session.choices is None:
            return
        self.ui.fourPanesButton.checked = views.four_panes_are_open()
        views.announce_layers()

    def onFourPanesButton(self, checked):
        """MRI, PET, fused and colored side by side, or one overlay."""
        if checked:
            place = views.place_shown()
            self._layout_before = views.open_four_panes() or self._layout_before
            self._fill_panes()
            views.go_to(place)
            views.link_four_panes()
        else:
            views.close_four_panes(self._layout_before)

    def _fill_panes(self):
        chosen, nodes = self.session.choices, self.session.nodes
        pet = nodes.get("pet_registered", chosen.pet)
        views.show_in_panes(chosen.mri, pet, nodes.get("fused"), nodes.get("colored"))
