"""The metrics of a fused volume, slice by slice, and their table and plot in Slicer's scene.

Slicer is imported inside the functions, so that this module can be imported anywhere.
"""

import csv
import io
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..errors import InputError, OutputError
from ..monitor import Monitor
from ..volumes.geometry import Volume, axial_order, to_axial
from ..volumes.preprocessing import clean, normalize
from .nodes import (
    ATTRIBUTE,
    MRI_REFERENCE,
    PET_REFERENCE,
    ROLE_ATTRIBUTE,
    place_beside,
    volume_from_node,
    write_attributes,
)

STAGE = "Evaluating"

# A slice's columns beside the metrics: its number from the feet, from 0, and where it lies.
SLICE, PLACE = "slice", "S (mm)"

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
# What the numbers beside the five metrics mean; those say themselves what they reward.
MEANINGS = {
    "b_M": "weight of the blurred MRI; 1/2 for the plain average, 1 for a copy of the MRI",
    "b_P": "weight of the blurred PET; 1/2 for the plain average, about 0 for a copy of the MRI",
    "SSIM_MRI": "structural similarity with the MRI",
    "SSIM_PET": "structural similarity with the PET",
    "MSE_MRI": "mean squared difference from the MRI, white is 1; lower is better",
    "MSE_PET": "mean squared difference from the PET, white is 1; lower is better",
    "loss": "the paper's compromise between SSIM and MSE; lower is better",
    "rank_fused": "rank correlation with the PET: brighter where uptake is higher",
    "rank_PET_part": "the same of the PET's part",
    "completeness": "largest |MRI part + PET part - fused|; 0: the parts explain the fused image",
}
# Significant digits: more than anybody reads, and few enough for a table.
DIGITS = 6

Row = Dict[str, float]


@dataclass
class EvaluationNodes:
    """What :func:`push_evaluation` made: ``summary`` has a row per number, ``slices`` a row per slice."""

    summary: object
    slices: object
    series: Dict[str, object]
    chart: object


# --- Measuring ----------------------------------------------------------------------------------------


def evaluate_volumes(
    mri: Volume,
    pet: Volume,
    fused: Volume,
    mri_part: Optional[Volume] = None,
    pet_part: Optional[Volume] = None,
    lam: float = 0.8,
    every: int = 1,
    monitor: Optional[Monitor] = None,
) -> List[Row]:
    """The metrics of each axial slice that is not empty, as ``evaluate --mri --pet --fused`` has them.

    MRI and PET are brought to gray levels 0 to 255 by a robust percentile of the volume; of the fused
    volume 1 is white when it holds floats, else its values are gray levels. (The command takes PNG pictures
    of 8 bits as they are; here they are volumes like any other.)

    :param mri: ``pet`` and the others on its grid.
    :param lam: λ of the loss.
    :param every: only each n-th of the slices.
    :param monitor: progress and cancel, between slices.
    :return: a row per slice, from feet to head: ``slice``, ``S (mm)``, then :func:`metrics.evaluate_pair`;
        with both parts also ``rank_PET_part`` and ``completeness``, before any clipping.
    :raises InputError: volumes that do not fit together, have no contrast, or are too small; names them.
    :raises Cancelled: through the monitor.
    """
    from ..metrics import completeness, evaluate_pair, rank_correlation

    monitor = monitor or Monitor()
    if every < 1:
        raise InputError(f"Every {every}-th slice cannot be evaluated: choose 1 or more.")
    parts = () if mri_part is None or pet_part is None else (mri_part, pet_part)
    for other in (pet, fused, *parts):
        if not mri.same_grid(other):
            raise InputError(
                f'"{other.name}" and "{mri.name}" have different grids: run FunFuse again, and evaluate what '
                "it made."
            )
    order = axial_order(mri.ijk_to_ras)
    stacks = [to_axial(255 * normalize(clean(volume)[0].array), order) for volume in (mri, pet)]
    _check_size(mri.name, stacks[0].shape)
    stacks.append(to_axial(_fused_levels(fused), order))
    lanes = [to_axial(volume.array, order) for volume in (*parts, fused)] if parts else []
    places = _places(mri, order)
    filled = [k for k in range(len(stacks[0])) if stacks[0][k].any() or stacks[1][k].any()]
    # The middle of each stretch that is left out; also where there are fewer slices than ``every``.
    chosen = filled[(len(filled) - 1) % every // 2 :: every]
    rows = []
    for done, k in enumerate(chosen):
        monitor.report(STAGE, done / len(chosen))
        images = [stack[k] for stack in stacks]
        row = {SLICE: k, PLACE: float(places[k]), **evaluate_pair(*images, lam=lam)}
        if parts:
            row["rank_PET_part"] = rank_correlation(images[1], lanes[1][k])
            row["completeness"] = completeness(*(lane[k] for lane in lanes))
        rows.append(row)
    monitor.report(STAGE, 1.0)
    return rows


def evaluate_nodes(
    mri_node, outputs: Dict[str, object], every: int = 1, monitor: Optional[Monitor] = None
) -> List[Row]:
    """:func:`evaluate_volumes` of what FunFuse made of an MRI; λ is that of the fused volume.

    :param outputs: nodes by role, see :func:`scene.find_outputs`.
    :raises InputError: there is nothing to evaluate, or it does not fit together.
    """
    _check_outputs(mri_node, outputs)
    fused = outputs["fused"]
    lam = float(fused.GetAttribute("FunFuse.Lambda") or 0.8)
    names = ("pet_registered", "fused", "mri_part", "pet_part")
    volumes = {name: volume_from_node(outputs[name]) for name in names if outputs.get(name) is not None}
    return evaluate_volumes(
        volume_from_node(mri_node),
        volumes["pet_registered"],
        volumes["fused"],
        volumes.get("mri_part"),
        volumes.get("pet_part"),
        lam,
        every,
        monitor,
    )


def means(rows: Sequence[Row]) -> Row:
    """Mean of every column over the slices where it is defined; ``completeness``: the largest."""
    result = {}
    for name in _numbers(rows):
        values = [row[name] for row in rows if not math.isnan(row[name])]
        average = np.max if name == "completeness" else np.mean
        result[name] = float(average(values)) if values else math.nan
    return result


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


def _check_size(name: str, shape: Tuple[int, ...]) -> None:
    from ..metrics.visual_fidelity import SMALLEST

    if min(shape[1:]) < SMALLEST:
        raise InputError(
            f'"{name}": axial slices have {shape[1]} × {shape[2]} voxels, the metrics need {SMALLEST} × '
            f"{SMALLEST} at least. Resample it to smaller voxels first."
        )


def _fused_levels(fused: Volume) -> np.ndarray:
    """Gray levels 0 to 255, clipped; floats times 255.

    :raises InputError: values that cannot be what they should be.
    """
    array = fused.array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f'"{fused.name}" has voxels that are NaN or infinite: press Apply again.')
        return np.clip(array.astype(np.float32) * 255, 0, 255)
    if array.min() < 0 or array.max() > 255:
        raise InputError(
            f'"{fused.name}" has values from {array.min()} to {array.max()}: a fused volume has gray levels '
            "from 0 to 255, or floats from 0 to 1. Press Apply again."
        )
    return array


def _places(mri: Volume, order) -> np.ndarray:
    """S, in mm, of the center of each axial slice."""
    axes, flips = order
    center = (np.array(mri.dimensions) - 1) / 2
    axis = 2 - axes[0]  # of i, j, k: the one that slices follow each other along
    index = np.arange(mri.dimensions[axis])
    points = np.tile(np.append(center, 1.0)[:, None], len(index))
    points[axis] = index
    places = (mri.ijk_to_ras @ points)[2]
    return places[::-1] if flips[0] else places


# --- The scene ----------------------------------------------------------------------------------------


def push_evaluation(mri_node, outputs: Dict[str, object], rows: Sequence[Row]) -> EvaluationNodes:
    """Two tables and a plot of the metrics over the slices; a rerun updates those of the run before.

    :param outputs: nodes by role, see :func:`scene.find_outputs`.
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
    _fill_table(slices, rows)
    summary = old.get(SUMMARY) or _new("vtkMRMLTableNode", name)
    _fill_table(summary, _summary_rows(rows))
    chart = old.get(CHART) or _new("vtkMRMLPlotChartNode", f"{name} plot")
    series = {}
    for metric in COLORS:
        role = f"{SERIES}_{metric}"
        series[metric] = old.get(role) or _new("vtkMRMLPlotSeriesNode", metric)
        _style_series(series[metric], metric, slices)
        _describe(series[metric], role, mri_node, fused, len(rows))
    _style_chart(chart, name, series, rows)
    for node, role in ((summary, SUMMARY), (slices, SLICES), (chart, CHART)):
        _describe(node, role, mri_node, fused, len(rows))
    place_beside(mri_node, [summary, slices, chart, *series.values()])
    return EvaluationNodes(summary, slices, series, chart)


def find_evaluation(fused_node) -> Optional[EvaluationNodes]:
    """The nodes of an earlier evaluation of a fused volume; None when there are not all of them."""
    found = _find(fused_node)
    if not all(role in found for role in (SUMMARY, SLICES, CHART, *(f"{SERIES}_{m}" for m in COLORS))):
        return None
    series = {metric: found[f"{SERIES}_{metric}"] for metric in COLORS}
    return EvaluationNodes(found[SUMMARY], found[SLICES], series, found[CHART])


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


def as_text(table_node) -> str:
    """The table with its titles, for the clipboard: columns parted by tabs, as spreadsheets paste them."""
    return _written(table_node, "\t")


def export_csv(table_node, path) -> None:
    """The table as a CSV file in UTF-8, replaced in one go.

    :raises OutputError: it cannot be written; names the file.
    """
    path = Path(path)
    part = None
    try:
        handle, part = tempfile.mkstemp(prefix=".funfuse-", suffix=".csv", dir=str(path.parent))
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(_written(table_node, ","))
        # Made for this user alone; the file shall be as any other.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, str(path))
        part = None
    except OSError as error:
        raise OutputError(
            f"{path}: the table cannot be written there ({error.strerror or error}). Choose another place."
        ) from error
    finally:
        if part is not None:
            Path(part).unlink()


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


def _numbers(rows: Sequence[Row]) -> List[str]:
    return [name for name in rows[0] if name not in (SLICE, PLACE)]


def _summary_rows(rows: Sequence[Row]) -> List[Dict[str, object]]:
    """A row per number: what it is over the slices, and what raises it."""
    from ..metrics import METRICS

    result = []
    average = means(rows)
    for name in _numbers(rows):
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


def _fill_table(node, rows: Sequence[Dict[str, object]]) -> None:
    """New columns for the rows; the views hear of one change."""
    import vtk

    table = vtk.vtkTable()
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            column = vtk.vtkStringArray()
        elif isinstance(values[0], float):
            column, values = vtk.vtkDoubleArray(), [float(f"{value:.{DIGITS}g}") for value in values]
        else:
            column = vtk.vtkIntArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    # Results are read, not typed.
    node.SetLocked(True)


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
        chart.RemoveAllPlotSeriesNodeIDs()
        for node in series.values():
            chart.AddAndObservePlotSeriesNodeID(node.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle("S (mm), from feet to head")
    chart.SetYAxisTitle("metric, and weight of the PET (dashed)")
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


def _describe(node, role: str, mri_node, fused, slices: int) -> None:
    """The provenance of the fused volume holds for its evaluation."""
    prefix = ATTRIBUTE.format("")
    names = [name for name in fused.GetAttributeNames() if name.startswith(prefix)]
    facts = {name[len(prefix) :]: fused.GetAttribute(name) for name in names}
    write_attributes(node, {**facts, "Role": role, "EvaluatedSlices": str(slices)})
    node.SetNodeReferenceID(FUSED_REFERENCE, fused.GetID())
    node.SetNodeReferenceID(MRI_REFERENCE, mri_node.GetID())
    node.SetNodeReferenceID(PET_REFERENCE, fused.GetNodeReferenceID(PET_REFERENCE))


def _written(table_node, delimiter: str) -> str:
    table = table_node.GetTable()
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow([column.GetName() for column in columns])
    for row in range(table.GetNumberOfRows()):
        writer.writerow([_cell(column.GetValue(row)) for column in columns])
    return text.getvalue()


def _cell(value) -> object:
    """Empty where there is no value."""
    return "" if isinstance(value, float) and not math.isfinite(value) else value
