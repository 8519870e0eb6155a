"""The results: what they are, how good they are, and where they go."""

from importlib import import_module
from typing import List

import qt
import slicer
from slicer.i18n import tr as _

from ..fusion.fuser import NETWORK, method_problem
from ..scene.attributes import ATTRIBUTE, attribute
from ..scene.beside import beside
from ..scene.export import export_dicom_of_nodes, export_outputs, export_slices
from ..scene.inputs import check_present
from ..scene.pet_headers import came_from_dicom
from ..scene.rollback import taken_back_after_an_error
from .choices import ExportAs
from .enabling import enable, enable_item
from .section import Section
from .session import label_of
from .work_section import reason_of

# In the panel; the tables have all of them. b_P is the weight of the PET in the fused image.
METRICS_SHOWN = ("Q_IE", "Q_G", "Q_FMI", "Q_SSIM", "Q_VIFF", "b_P")


class ResultSection(Section):
    """Evaluate, copy, export, adjust.

    :param work: the section.
    :param settle: called before results are read: brings them up to date with the choices.
    :param parent: the widget over which a dialog opens.
    """

    def __init__(self, ui, session, work, settle, parent):
        super().__init__(ui, session)
        self._work, self._settle, self._parent = work, settle, parent
        ui.evaluateButton.connect("clicked(bool)", self.onEvaluateButton)
        ui.copyButton.connect("clicked(bool)", self.onCopyButton)
        ui.exportButton.connect("clicked(bool)", self.onExportButton)
        ui.transformsButton.connect("clicked(bool)", self.onTransformsButton)

    def update(self) -> None:
        """What can be done with the results, and what they are."""
        ui, missing = self.ui, self.session.lacks_results()
        chosen, no_dicom = self.session.choices.exportAs, None
        if not came_from_dicom(self.session.choices.mri):
            no_dicom = _("The MRI did not come from DICOM: there is no study that results could join.")
        enable_item(ui.exportComboBox, list(ExportAs).index(ExportAs.DICOM), no_dicom)
        enable(ui.exportButton, missing or (no_dicom if chosen is ExportAs.DICOM else None))
        enable(ui.evaluateButton, missing)
        enable(ui.copyButton, missing or (None if self.tables() else _("Press Evaluate first.")))
        enable(ui.transformsButton, self.session.lacks_transform())
        ui.resultLabel.text = self._description() if self.session.nodes else _("No results yet.")

    def _description(self) -> str:
        fused = self.session.nodes["fused"]
        method, metrics = self.session.method_of_results, attribute(fused, "Metrics")
        if method == NETWORK:
            text = _('"{name}": model {model}, λ = {lam}.').format(
                name=fused.GetName(), model=attribute(fused, "Model"), lam=attribute(fused, "Lambda")
            )
        else:
            text = _('"{name}": {method}.').format(name=fused.GetName(), method=label_of(method))
        if metrics:
            text += " " + _(
                "Mean over the slices: {metrics}. (An unfused MRI scores high on some of them, too.)"
            ).format(metrics=metrics)
        return text

    def advice(self) -> str:
        """What the user has to do for another method."""
        if not self.session.nodes:
            return ""
        chosen = self.session.choices.method
        if chosen == self.session.method_of_results or method_problem(chosen) is not None:
            return ""
        return _("Press Apply for {method}.").format(method=label_of(chosen))

    def onEvaluateButton(self, _checked=False):
        """Fill the table and the chart of the metrics."""
        said = _("The evaluation failed: {reason}")
        self._work.do(self._evaluate, lambda error: said.format(reason=reason_of(error)))

    def _evaluate(self, monitor) -> str:
        # The metrics take a moment to load.
        evaluation = beside(lambda _: import_module("..scene.evaluation", __package__), monitor, "Preparing")
        self._settle(monitor)
        mri, nodes = self.session.choices.mri, self.session.nodes
        rows = evaluation.evaluate_nodes(mri, nodes, monitor=monitor)
        check_present([mri, *nodes.values()])
        old = evaluation.find_evaluation(nodes["fused"])
        with taken_back_after_an_error(
            [] if old is None else [old.summary, old.slices, old.chart, *old.series.values()]
        ):
            made = evaluation.push_evaluation(mri, nodes, rows)
        means = evaluation.means(rows)
        shown = [f"{name} {means[name]:.3f}" for name in METRICS_SHOWN if name in means]
        nodes["fused"].SetAttribute(ATTRIBUTE.format("Metrics"), ", ".join(shown))
        evaluation.show_evaluation(made.chart, made.summary)
        return _('The metrics are in the tables "{summary}" and "{slices}".').format(
            summary=made.summary.GetName(), slices=made.slices.GetName()
        )

    def add_series_again(self) -> None:
        """A scene was loaded."""
        if slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"):
            from ..scene import evaluation

            evaluation.add_series_again()

    def tables(self) -> List[object]:
        """The tables of Evaluate, if it was pressed since the last run: the means, and the slices."""
        if not self.session.nodes or not attribute(self.session.nodes["fused"], "Metrics"):
            return []
        from ..scene.evaluation import find_evaluation

        found = find_evaluation(self.session.nodes["fused"])
        return [] if found is None else [found.summary, found.slices]

    def onCopyButton(self, _checked=False):
        """Put the metrics on the clipboard, means first."""
        from ..scene.tables import as_text

        qt.QApplication.clipboard().setText("\n".join(as_text(table) for table in self.tables()))
        self.session.say(_("The metrics are on the clipboard."))

    def onExportButton(self, _checked=False):
        """Write the results into a folder that the user chooses."""
        folder = qt.QFileDialog.getExistingDirectory(self._parent, _("Folder for the results"))
        if folder:
            self.export_to(folder)

    def export_to(self, folder: str) -> None:
        """Write the results into a folder."""
        said = _("The results were not written: {reason}")
        job = lambda monitor: self._export(folder, monitor)  # noqa: E731
        self._work.do(job, lambda error: said.format(reason=reason_of(error)))

    def _export(self, folder: str, monitor) -> str:
        self._settle(monitor)
        chosen, nodes = self.session.choices, self.session.nodes
        if chosen.exportAs is ExportAs.DICOM:
            files = export_dicom_of_nodes(chosen.mri, chosen.pet, nodes, folder, monitor)
        elif chosen.exportAs in (ExportAs.SLICES, ExportAs.SHEETS):
            files = export_slices(folder, chosen.exportAs is ExportAs.SHEETS, monitor)
        else:
            from ..scene.region_values import find_region_values

            tables = [*self.tables(), *find_region_values(nodes["fused"])]
            files = export_outputs(nodes, folder, tables, chosen.exportAs.value, monitor)
        return _("{count} files written to {folder}.").format(count=len(files), folder=folder)

    def onTransformsButton(self, _checked=False):
        """Open the PET's transform in the module Transforms."""
        slicer.app.openNodeModule(self.session.nodes["transform"])
