"""The views that tell whether the PET lies on the MRI."""

import slicer
from slicer.i18n import tr as _

from ..scene import alignment
from .choices import AlignmentView
from .enabling import enable
from .section import Section


class AlignmentSection(Section):
    """At most one such view at a time, of the pair that the panel works on."""

    # Milliseconds between the images of the flicker.
    FLICKER = 600

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._view, self._shows_pet = None, False
        self._flicker_timer = self.timer(self.flicker, self.FLICKER)
        ui.alignmentComboBox.addItems([choice.label() for choice in AlignmentView])
        ui.alignmentComboBox.connect("currentIndexChanged(int)", self.onAlignmentChanged)

    @property
    def active(self) -> bool:
        """Whether the views show it."""
        return self._view is not None

    def update(self) -> None:
        """It needs a registered PET."""
        enable(self.ui.alignmentComboBox, self.session.lacks_results())

    def use_results(self) -> None:
        """Ends a view of another pair."""
        self._show(AlignmentView.OFF)

    def end(self) -> None:
        """Show what was there before."""
        self.ui.alignmentComboBox.currentIndex = 0

    def onAlignmentChanged(self, index):
        """Show or end one of them."""
        view = list(AlignmentView)[max(index, 0)]
        self._flicker_timer.stop()
        with slicer.util.tryWithErrorDisplay(_("The alignment cannot be shown.")):
            self._show(view)

    def flicker(self) -> None:
        """The other of MRI and PET, again and again."""
        if self.active:
            self._shows_pet = not self._shows_pet
            self._view.show_flicker(self._shows_pet)
            self._flicker_timer.start()

    def _show(self, view: AlignmentView) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None
        if view is AlignmentView.OFF:
            return
        session = self.session
        self._view = alignment.AlignmentView(session.choices.mri, session.nodes.get("pet_registered"))
        if view is AlignmentView.FLICKER:
            self.flicker()
        elif view is AlignmentView.CHECKERBOARD:
            self._view.show_checkerboard()
        else:
            self._view.show_edges()
