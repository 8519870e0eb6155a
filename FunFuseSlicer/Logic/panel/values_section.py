"""Numbers: what lies under the cursor, and what is in regions."""

from importlib import import_module

import vtk
from slicer.i18n import tr as _

from ..scene.beside import beside
from ..scene.cursor import crosshair, values_at, voxel_under_cursor
from ..scene.inputs import unit_of
from ..scene.rollback import taken_back_after_an_error
from ..scene.tables import show_table
from .enabling import enable
from .section import Section
from .work_section import reason_of


class ValuesSection(Section):
    """A line that follows the mouse while the module is open, and the table of regions.

    :param work: the section; ``settle`` as of :class:`.result_section.ResultSection`.
    """

    def __init__(self, ui, session, work, settle):
        super().__init__(ui, session)
        self._work, self._settle, self._voxel = work, settle, None
        ui.measureButton.connect("clicked(bool)", self.onMeasureButton)

    def enter(self) -> None:
        """Follow the mouse."""
        node = crosshair()
        if node is not None and not self.hasObserver(node, node.CursorPositionModifiedEvent, self.onCursor):
            self.addObserver(node, node.CursorPositionModifiedEvent, self.onCursor)

    def leave(self) -> None:
        """Nothing is looked at while another module is open."""
        self.removeObservers(self.onCursor)
        self._show(None)

    def use_results(self) -> None:
        """The values are of these; those of other voxels do not hold."""
        self._show(None)
        self.removeObservers(self._forget)
        if self.session.nodes:
            self.addObserver(self.session.nodes["fused"], vtk.vtkCommand.ModifiedEvent, self._forget)

    def update(self) -> None:
        """Regions are measured in results."""
        missing = self.session.lacks_results()
        if missing is None and self.session.choices.regions is None:
            missing = _("Choose a segmentation or a label map.")
        enable(self.ui.measureButton, missing)

    # The cursor

    def onCursor(self, _caller=None, _event=None):
        """The mouse moved: read the voxel, if it is another one."""
        if self.session.ready:
            voxel = voxel_under_cursor(self.session.nodes["fused"])
            if voxel != self._voxel:
                self._show(voxel)

    def _forget(self, _caller=None, _event=None):
        """The voxels have other values now."""
        self._show(None)

    def _show(self, voxel) -> None:
        self._voxel = voxel
        self.ui.cursorLabel.text = _("Values under the cursor: –") if voxel is None else self._line(voxel)

    def _line(self, voxel) -> str:
        nodes = self.session.nodes
        volumes = {"mri": self.session.choices.mri, **nodes}
        roles = ("pet_registered", "mri", "fused", "mri_part", "pet_part")
        values = values_at({role: volumes[role] for role in roles if role in volumes}, voxel)
        line = _("PET {pet} · MRI {mri} · fused {fused:.2f}").format(
            pet=f"{number(values['pet_registered'])} {unit_of(nodes['pet_registered'])}".strip(),
            mri=number(values["mri"]),
            fused=values["fused"],
        )
        if "pet_part" not in values:
            return line
        return line + _(" = {mri:.2f} + {pet:.2f}").format(mri=values["mri_part"], pet=values["pet_part"])

    # Regions

    def onMeasureButton(self, _checked=False):
        """Fill the table of the regions."""
        said = _("The regions were not measured: {reason}")
        self._work.do(self._measure, lambda error: said.format(reason=reason_of(error)))

    def _measure(self, monitor) -> str:
        self._settle(monitor)
        # With the metrics, which take a moment to load.
        regions = beside(lambda _: import_module("..scene.region_values", __package__), monitor, "Preparing")
        chosen, nodes = self.session.choices, self.session.nodes
        rows = regions.region_values(chosen.regions, chosen.mri, chosen.pet, nodes, monitor)
        with taken_back_after_an_error(regions.find_region_values(nodes["fused"])):
            table = regions.push_region_values(chosen.regions, chosen.mri, nodes, rows)
        show_table(table)
        return _('The values are in the table "{name}".').format(name=table.GetName())


def number(value: float) -> str:
    """As short as a line wants it: four digits, or the whole number."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
