"""What the panel is made of."""

import qt
from slicer.util import VTKObservationMixin


class Section(VTKObservationMixin):
    """One concern of the panel: its widgets, its timers, and what it observes.

    :param ui: the widgets of the form.
    :param session: see :class:`.session.Session`.
    """

    def __init__(self, ui, session):
        VTKObservationMixin.__init__(self)
        self.ui, self.session, self._timers = ui, session, []

    def update(self) -> None:
        """Show what is, and decide what can be pressed, and why not."""

    def advice(self) -> str:
        """What the user has to do or to know about the present choices, as a sentence; "" for nothing."""
        return ""

    def use_results(self) -> None:
        """Work on the session's results from now on: of another pair, with other nodes, or none."""

    def enter(self) -> None:
        """The user opened the module."""

    def leave(self) -> None:
        """The user went to another module, or the panel goes away: what is temporary ends."""

    def timer(self, action, milliseconds: int):
        """A timer that fires once after each start; it ends with the section."""
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", action)
        self._timers.append((timer, action))
        return timer

    def stop(self) -> None:
        """Nothing fires any more, unless it is started again."""
        for timer, _action in self._timers:
            timer.stop()

    def close(self) -> None:
        """The panel goes away, after all was stopped."""
        self.removeObservers()
        for timer, action in self._timers:
            # Else it would keep the panel, which keeps it, forever.
            timer.disconnect("timeout()", action)
        self._timers = []
