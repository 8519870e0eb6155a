"""The views that tell whether the PET lies on the MRI."""

from slicer.i18n import tr as _

from ..scene import alignment
from .choices import AlignmentView
from .enabling import enable
from .section import Section
from .work_section import reason_of


class AlignmentSection(Section):
    """At most one such view at a time, of the pair that the panel works on.

    :param work: the section.
    """

    # Milliseconds between the images of the flicker.
    FLICKER = 600

    def __init__(self, ui, session, work):
        super().__init__(ui, session)
        self._work = work
        self._view, self._shows_pet, self._drawing = None, False, False
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
        self._close()

    def end(self) -> None:
        """Show what was there before."""
        self.ui.alignmentComboBox.currentIndex = 0

    leave = end

    def onAlignmentChanged(self, index):
        """Show or end one of them."""
        view = list(AlignmentView)[max(index, 0)]
        self._flicker_timer.stop()
        self._close()
        if view is AlignmentView.FLICKER:
            self._view = self._new_view(None)
            self.flicker()
        elif view is not AlignmentView.OFF:
            self._compare(view)

    def flicker(self) -> None:
        """The other of MRI and PET, again and again."""
        if self.active:
            self._shows_pet = not self._shows_pet
            self._view.show_flicker(self._shows_pet)
            self._flicker_timer.start()

    def _compare(self, view: AlignmentView) -> None:
        """Draw what takes a while; it can be cancelled."""
        said, failed = self.session.outcome, _("The alignment cannot be shown: {reason}")

        def job(monitor) -> str:
            drawn = self._new_view(monitor)
            if view is AlignmentView.CHECKERBOARD:
                drawn.show_checkerboard()
            else:
                drawn.show_edges()
            self._view = drawn
            return said

        self._drawing = True
        try:
            self._work.do(job, lambda error: failed.format(reason=reason_of(error)))
        finally:
            self._drawing = False

        if not self.active and self.session.choices is not None:
            self.end()

    def _new_view(self, monitor) -> alignment.AlignmentView:
        session = self.session
        return alignment.AlignmentView(session.choices.mri, session.nodes.get("pet_registered"), monitor)

    def _close(self) -> None:
        if self._drawing:
            # The user went on before it was done.
            self._work.cancel()
        if self._view is not None:
            self._view.close()
            self._view = None
            # What the views show again is what some buttons say.
            self.session.refresh()
