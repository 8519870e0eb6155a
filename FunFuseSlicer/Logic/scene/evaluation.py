"""Tables and a plot of the metrics of a fused volume in Slicer's scene.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

import numpy as np

from ..errors import InputError
from ..metrics.evaluation import METRICS
from ..metrics.slices import MEANINGS, PLACE, Row, evaluate_volumes, means, measured
from ..monitor import Monitor
from .attributes import MRI_REFERENCE, PET_REFERENCE, ROLE_ATTRIBUTE, facts_of_node, write_attributes
from .beside import beside
from .inputs import volume_from_node
from .outputs import place_beside
from .tables import fill_table

FUSED_REFERENCE = "FunFuse.Fused"
SUMMARY, SLICES, CHART, SERIES = (
    "evaluation_summary",
    "evaluation_slices",
    "evaluation_chart",
    "evaluation_series",
)

# Beside the five metrics the plot shows the weight of the PET, dashed: the metrics do not see it.
WEIGHT = "b_P"
# Tell lines apart for people who see colors differently: Okabe and Ito's palette.
COLORS = {
    "Q_IE": (0.0, 0.45, 0.70),
    "Q_G": (0.90, 0.62, 0.0),
    "Q_FMI": (0.0, 0.62, 0.45),
    "Q_SSIM": (0.80, 0.40, 0.0),
    "Q_VIFF": (0.80, 0.47, 0.65),
    WEIGHT: (0.35, 0.35, 0.35),
}


@dataclass
class EvaluationNodes:
    """What :func:`push_evaluation` made: ``summary`` has a row per number, ``slices`` a row per slice."""

    summary: object
    slices: object
    series: Dict[str, object]
    chart: object


def evaluate_nodes(
    mri_node, outputs: Dict[str, object], every: int = 1, monitor: Optional[Monitor] = None
) -> List[Row]:
    """:func:`evaluate_volumes` of what FunFuse made of an MRI; λ is that of the fused volume.

    :param outputs: nodes by role, see :func:`.outputs.find_outputs`.
    :raises InputError: there is nothing to evaluate, or it does not fit together.
    """
    _check_outputs(mri_node, outputs)
    fused = outputs["fused"]
    lam = float(fused.GetAttribute("FunFuse.Lambda") or 0.8)
    names = ("pet_registered", "fused", "mri_part", "pet_part")
    volumes = {name: volume_from_node(outputs[name]) for name in names if outputs.get(name) is not None}
    mri, images = volume_from_node(mri_node), [volumes.get(name) for name in names]
    return beside(
        lambda told: evaluate_volumes(mri, *images, lam, every, told), monitor or Monitor(), "Evaluating"
    )


def _check_outputs(mri_node, outputs: Dict[str, object]) -> None:
    """:raises InputError: no MRI, or no fused pair of it."""
    if mri_node is None:
        raise InputError("Choose an MRI and a PET volume first.")
    for role, what in (("fused", "fused volume"), ("pet_registered", "registered PET")):
        if outputs.get(role) is None:
            raise InputError(
                f'There is no {what} of "{mri_node.GetName()}" to evaluate: press Apply first, which makes '
                "it."
            )


def push_evaluation(mri_node, outputs: Dict[str, object], rows: Sequence[Row]) -> EvaluationNodes:
    """Two tables and a plot of the metrics over the slices; a rerun updates those of the run before.

    :param outputs: nodes by role, see :func:`.outputs.find_outputs`.
    :param rows: of :func:`evaluate_volumes`.
    :raises InputError: no rows, or nothing that they could be of.
    """
    _check_outputs(mri_node, outputs)
    if not rows:
        raise InputError(f'"{mri_node.GetName()}" and its PET have empty slices only: nothing to evaluate.')
    fused = outputs["fused"]
    old = _find(fused)
    name = f"{_input_name(fused, 'MRIName', mri_node)} + {_input_name(fused, 'PETName', None)} evaluation"
    slices = old.get(SLICES) or _new("vtkMRMLTableNode", f"{name} by slice")
    fill_table(slices, rows)
    summary = old.get(SUMMARY) or _new("vtkMRMLTableNode", name)
    fill_table(summary, _summary_rows(rows))
    chart = old.get(CHART) or _new("vtkMRMLPlotChartNode", f"{name} plot")
    series, counted = {}, {"EvaluatedSlices": str(len(rows))}
    for metric in COLORS:
        role = f"{SERIES}_{metric}"
        series[metric] = old.get(role) or _new("vtkMRMLPlotSeriesNode", metric)
        _style_series(series[metric], metric, slices)
        describe(series[metric], role, mri_node, fused, counted)
    _style_chart(chart, name, series, rows)
    for node, role in ((summary, SUMMARY), (slices, SLICES), (chart, CHART)):
        describe(node, role, mri_node, fused, counted)
    place_beside(mri_node, [summary, slices, chart, *series.values()])
    return EvaluationNodes(summary, slices, series, chart)


def find_evaluation(fused_node) -> Optional[EvaluationNodes]:
    """The nodes of an earlier evaluation of a fused volume; None when there are not all of them."""
    found = _find(fused_node)
    if not all(role in found for role in (SUMMARY, SLICES, CHART, *(f"{SERIES}_{m}" for m in COLORS))):
        return None
    series = {metric: found[f"{SERIES}_{metric}"] for metric in COLORS}
    return EvaluationNodes(found[SUMMARY], found[SLICES], series, found[CHART])


def add_series_again() -> None:
    """After a scene was loaded: Slicer loses a series of a chart when it loads a second scene."""
    import slicer

    for chart in slicer.util.getNodesByClass("vtkMRMLPlotChartNode"):
        fused = chart.GetNodeReference(FUSED_REFERENCE)
        if chart.GetAttribute(ROLE_ATTRIBUTE) == CHART and fused is not None:
            found = _find(fused)
            roles = {metric: f"{SERIES}_{metric}" for metric in COLORS}
            _add_series(chart, {metric: found[role] for metric, role in roles.items() if role in found})


def show_evaluation(chart, table) -> bool:
    """Show plot and table in a layout that has both.

    :return: whether they show; not without a main window, where there is no layout manager.
    """
    import slicer

    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActivePlotChartID(chart.GetID())
    selection.SetActiveTableID(table.GetID())
    manager = slicer.app.layoutManager()
    if manager is None:
        return False
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotTableView)
    # After the layout, which makes the views that these tell what to show.
    slicer.app.applicationLogic().PropagatePlotChartSelection()
    slicer.app.applicationLogic().PropagateTableSelection()
    return True


def _find(fused_node) -> Dict[str, object]:
    import slicer

    return {
        node.GetAttribute(ROLE_ATTRIBUTE): node
        for kind in ("vtkMRMLTableNode", "vtkMRMLPlotSeriesNode", "vtkMRMLPlotChartNode")
        for node in slicer.util.getNodesByClass(kind)
        if node.GetNodeReferenceID(FUSED_REFERENCE) == fused_node.GetID()
    }


def _new(kind: str, name: str):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))


def _input_name(fused, attribute: str, node) -> str:
    name = fused.GetAttribute(f"FunFuse.{attribute}")
    return name or (node.GetName() if node is not None else fused.GetName())


def _summary_rows(rows: Sequence[Row]) -> List[Dict[str, object]]:
    """A row per number: what it is over the slices, and what raises it."""
    result = []
    average = means(rows)
    for name in measured(rows):
        values = [row[name] for row in rows if not math.isnan(row[name])] or [math.nan]
        meaning = f"rewards {METRICS[name].rewards}" if name in METRICS else MEANINGS.get(name, "")
        result.append(
            {
                "number": name,
                "mean": average[name],
                "lowest": float(np.min(values)),
                "highest": float(np.max(values)),
                "meaning": meaning + (" (largest, not mean)" if name == "completeness" else ""),
            }
        )
    return result


def _style_series(node, metric: str, table) -> None:
    node.SetName(metric)  # what the legend says
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName(PLACE)
    node.SetYColumnName(metric)
    node.SetPlotType(node.PlotTypeScatter)
    node.SetColor(*COLORS[metric])
    node.SetLineStyle(node.LineStyleDash if metric == WEIGHT else node.LineStyleSolid)
    node.SetLineWidth(2)
    single = table.GetNumberOfRows() == 1  # which a line would not show
    node.SetMarkerStyle(node.MarkerStyleCircle if single else node.MarkerStyleNone)


def _style_chart(chart, name: str, series: Dict[str, object], rows: Sequence[Row]) -> None:
    if chart.GetNumberOfPlotSeriesNodes() != len(series) or any(
        not chart.HasPlotSeriesNodeID(node.GetID()) for node in series.values()
    ):
        _add_series(chart, series)
    chart.SetTitle(name)
    chart.SetXAxisTitle("S (mm), from feet to head")
    # As long as a quarter of the window is high.
    chart.SetYAxisTitle("metrics; dashed: b_P")
    chart.SetLegendVisibility(True)
    chart.SetGridVisibility(True)
    values = [row[metric] for metric in series for row in rows if not math.isnan(row[metric])]
    low, high = min(0.0, *values), max(1.0, *values)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(math.floor(10 * low) / 10, math.ceil(10 * high - 1e-9) / 10)
    # Room on the right, where Slicer puts the legend over the lines.
    first, last = min(row[PLACE] for row in rows), max(row[PLACE] for row in rows)
    span = (last - first) or 1.0
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(first - 0.03 * span, last + 0.25 * span)
    # A drag in the plot would move a point, and write it into the table.
    chart.SetEnablePointMoveAlongX(False)
    chart.SetEnablePointMoveAlongY(False)


def _add_series(chart, series: Dict[str, object]) -> None:
    import slicer

    with slicer.util.NodeModify(chart):
        chart.RemoveAllPlotSeriesNodeIDs()
        for node in series.values():
            chart.AddAndObservePlotSeriesNodeID(node.GetID())


def describe(node, role: str, mri_node, fused, more: Dict[str, str]) -> None:
    """The provenance of the fused volume holds for what is measured of it; with what there is more to say."""
    write_attributes(node, {**facts_of_node(fused), "Role": role, **more})
    node.SetNodeReferenceID(FUSED_REFERENCE, fused.GetID())
    node.SetNodeReferenceID(MRI_REFERENCE, mri_node.GetID())
    node.SetNodeReferenceID(PET_REFERENCE, fused.GetNodeReferenceID(PET_REFERENCE))
