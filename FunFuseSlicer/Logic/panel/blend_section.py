"""The plain PET, always one key away, and all that lies between it, the colored fusion and the MRI."""

from typing import Callable

import qt
import slicer

from ..scene import views
from ..scene.legend import part_legends
from .enabling import enable
from .section import Section


class BlendSection(Section):
    """The slider, and the key that goes from any place of it to the plain PET and back.

    :param end_check: called without arguments: ends a check of the alignment, which has the views.
    """

    # Slicer's views and modules do nothing at this key (5.8 to 5.12). The button names it.
    KEY = "P"

    def __init__(self, ui, session, end_check: Callable[[], None]):
        super().__init__(ui, session)
        self._end_check, self._shortcut = end_check, None
        ui.plainButton.connect("clicked(bool)", self.onPlainButton)

    def enter(self) -> None:
        """The key works while the module is open; in fields for text it is a letter."""
        window = slicer.util.mainWindow()
        if window is not None and self._shortcut is None:
            self._shortcut = qt.QShortcut(qt.QKeySequence(self.KEY), window)
            # Nothing happens where the button is gray.
            self._shortcut.connect("activated()", self.onKey)

    def leave(self) -> None:
        """The key belongs to other modules again."""
        if self._shortcut is not None:
            self._shortcut.disconnect("activated()", self.onKey)
            self._shortcut.setParent(None)
            self._shortcut.deleteLater()
            self._shortcut = None

    def update(self) -> None:
        """There must be results to blend."""
        missing = self.session.lacks_results()
        enable(self.ui.blendSlider, missing)
        enable(self.ui.plainButton, missing)
        self.ui.plainButton.checked = self.session.choices.blend == views.PLAIN_PET

    def show(self) -> None:
        """Show the blend that is chosen."""
        nodes, chosen = self.session.nodes, self.session.choices
        self.ui.plainButton.checked = chosen.blend == views.PLAIN_PET
        if nodes:
            self._end_check()
            views.blend_overlay(chosen.mri, nodes["pet_registered"], nodes["colored"], chosen.blend)
            part_legends(nodes)

    def onKey(self):
        """The key was pressed."""
        self.ui.plainButton.click()

    def onPlainButton(self, _checked=False):
        """To the plain PET, or back to where the slider was."""
        chosen = self.session.choices
        with slicer.util.NodeModify(chosen.parameterNode):
            if chosen.blend > views.PLAIN_PET:
                chosen.blendBefore, chosen.blend = chosen.blend, views.PLAIN_PET
            else:
                chosen.blend = chosen.blendBefore
