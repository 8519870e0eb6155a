"""What stands out: against the other side, or against another study."""

from importlib import import_module

import slicer
from slicer.i18n import tr as _

from ..scene.beside import beside
from ..scene.inputs import check_present
from ..scene.rollback import taken_back_after_an_error
from ..scene.views import COLORED
from ..volumes.differences import DifferenceOptions
from .choices import Comparison
from .enabling import enable
from .section import Section
from .work_section import reason_of


class DifferenceSection(Section):
    """Compares on demand, and shows what was found over the fused image.

    :param work: the section; ``settle`` as of :class:`.result_section.ResultSection`.
    :param end_check: called without arguments: ends a check of the alignment, which has the views.
    """

    def __init__(self, ui, session, work, settle, end_check):
        super().__init__(ui, session)
        self._work, self._settle, self._end_check, self._outdated = work, settle, end_check, False
        ui.compareButton.connect("clicked(bool)", self.onCompareButton)
        ui.showDifferenceButton.connect("clicked(bool)", self.onShowButton)

    def use_results(self) -> None:
        """A PET that changes leaves behind what was found in it."""
        self._outdated = False
        self.removeObservers(self._on_pet_modified)
        if self.session.choices.pet is not None:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            self.addObserver(self.session.choices.pet, event, self._on_pet_modified)

    def _on_pet_modified(self, _caller=None, _event=None):
        self._outdated = True

    def update(self) -> None:
        """What there must be to compare."""
        ui, chosen, missing = self.ui, self.session.choices, self.session.lacks_results()
        alone = (
            None
            if chosen.compareWith is Comparison.SUBTRACTION
            else _("The other side needs no other study.")
        )
        enable(ui.otherStudySelector, alone)
        if missing is None and alone is None and chosen.otherStudy is None:
            missing = _("Choose the other study.")
        enable(ui.compareButton, missing)
        found = "difference" in self.session.nodes
        enable(
            ui.showDifferenceButton,
            self.session.lacks_results() or (None if found else _("Press Compare first.")),
        )
        ui.showDifferenceButton.checked = found and _module().is_shown(self.session.nodes)

    def advice(self) -> str:
        """What was found is of another PET."""
        if self._outdated and "difference" in self.session.nodes:
            return _("Press Compare for the PET as it is now.")
        return ""

    def hide(self) -> None:
        """The views have the overlay again."""
        if "difference" in self.session.nodes:
            _module().show_difference(self.session.choices.mri, self.session.nodes, False)
            self.ui.showDifferenceButton.checked = False

    def forget(self, node) -> None:
        """A node leaves the scene: without it the views would show the fused image in gray."""
        if node is self.session.nodes.get("difference"):
            self.hide()

    def onCompareButton(self, _checked=False):
        """Find what stands out."""
        self._clear_views()
        said = _("Nothing was compared: {reason}")
        self._work.do(self._compare, lambda error: said.format(reason=reason_of(error)))

    def _compare(self, monitor) -> str:
        self._settle(monitor)
        module = beside(lambda told: _module(), monitor, "Preparing")
        chosen, nodes = self.session.choices, self.session.nodes
        options = DifferenceOptions(chosen.compareWith.value, chosen.smoothing, chosen.shownFrom or None)
        inputs = chosen.mri, chosen.pet
        found = module.find_difference(*inputs, nodes, options, chosen.otherStudy, chosen.mask, monitor)
        check_present([*inputs, *nodes.values()])
        old = nodes.get("difference")
        with taken_back_after_an_error([] if old is None else [old]):
            nodes["difference"] = module.push_difference(*inputs, nodes, found, chosen.legend)
            module.show_difference(chosen.mri, nodes, True)
        self._outdated = False
        return _("Red is more, in {more} ml; blue is less, in {less} ml.").format(
            more=f"{found.numbers['increased_ml']:.1f}", less=f"{found.numbers['decreased_ml']:.1f}"
        )

    def onShowButton(self, _checked=False):
        """Over the fused image, or the overlay of before."""
        module, nodes = _module(), self.session.nodes
        shown = module.is_shown(nodes)
        self._clear_views()
        module.show_difference(self.session.choices.mri, nodes, not shown)
        self.session.refresh()

    def _clear_views(self) -> None:
        """It takes the place of the colored volume, which neither a check nor the plain PET or MRI shows."""
        if self.session.ready:
            self._end_check()
            self.session.choices.blend = COLORED


def _module():
    """It takes a moment to load."""
    return import_module("..scene.difference", __package__)
