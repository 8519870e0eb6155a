"""The panel's choice among the views that tell whether the PET lies on the MRI."""

from ..scene import alignment as alignment_views
from .choices import AlignmentView


class AlignmentCheck:
    """At most one such view at a time, of the pair that the panel works on."""

    def __init__(self):
        self._mri = self._pet = self._view = None
        self._shows_pet = False

    @property
    def active(self) -> bool:
        """Whether the views show it."""
        return self._view is not None

    def use(self, mri, pet) -> None:
        """The pair to look at: the MRI and the PET on its grid; ends a view of another pair."""
        self.show(AlignmentView.OFF)
        self._mri, self._pet = mri, pet

    def show(self, view: AlignmentView) -> None:
        """Show one of the views in all slice views, or what was there before.

        :raises InputError: a volume that cannot be used.
        """
        if self._view is not None:
            self._view.close()
            self._view = None
        if view is AlignmentView.OFF:
            return
        self._view = alignment_views.AlignmentView(self._mri, self._pet)
        if view is AlignmentView.FLICKER:
            self.flicker()
        elif view is AlignmentView.CHECKERBOARD:
            self._view.show_checkerboard()
        else:
            self._view.show_edges()

    def flicker(self) -> None:
        """The other of MRI and PET."""
        self._shows_pet = not self._shows_pet
        self._view.show_flicker(self._shows_pet)
