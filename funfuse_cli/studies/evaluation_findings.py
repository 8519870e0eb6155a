"""What the numbers say, in tables and sentences; nothing is claimed that they do not hold."""

import math
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from FunFuseSlicer.Logic.metrics import METRICS

from ..workflow.evaluation_report import mean_of
from ..workflow.wording import count
from .evaluation_measure import METHOD, MODEL, MRI_COPY, PET_COPY, STRETCH_PROBE, VEIL_PROBE

Row = Dict[str, object]
NAMES = tuple(METRICS)


class Measured(NamedTuple):
    """One set of pairs, measured.

    :param key: short, for names of files.
    :param title: for people.
    :param patients: of each pair.
    :param rows: a row per pair and method, with the columns ``pair``, ``method``, ``kind``.
    :param table: a row per method: means, the median ``ms``, and ``ratio``, see :func:`summary`.
    """

    key: str
    title: str
    patients: Tuple[str, ...]
    rows: List[Row]
    table: List[Row]

    @property
    def size(self) -> str:
        """How many images of how many patients."""
        return f"{count(len(self.patients), 'image')} of {count(len(set(self.patients)), 'patient')}"


class Difference(NamedTuple):
    """A method against another, image by image: mean and standard deviation, and where it is higher."""

    mean: float
    deviation: float
    higher: int
    images: int


def summary(rows: List[Row]) -> List[Row]:
    """A row per method, in their order; the first method is the yardstick of time.

    ``ratio`` is the median over images of a method's time divided by the first method's on the same image.
    """
    groups: Dict[str, List[Row]] = {}
    for row in rows:
        groups.setdefault(row["method"], []).append(row)
    yardstick = {row["pair"]: row["ms"] for row in next(iter(groups.values()))}
    table = []
    for name, group in groups.items():
        ratios = [row["ms"] / yardstick[row["pair"]] for row in group]
        table.append(
            {
                "method": name,
                "kind": group[0]["kind"],
                **mean_of(group),
                "ratio": float(np.median(ratios)) if not math.isnan(ratios[0]) else math.nan,
            }
        )
    return table


def row_of(table: List[Row], method: str) -> Row:
    """The row of one method."""
    return next(row for row in table if row["method"] == method)


def compared(table: List[Row], kinds: Sequence[str] = (MODEL, METHOD)) -> List[Row]:
    """The rows that are fusion methods: neither copies, nor probes, nor colored images."""
    return [row for row in table if row["kind"] in kinds]


def rank(table: List[Row], method: str, metric: str) -> int:
    """Place among the fusion methods, 1 for the highest value; equals share a place."""
    value = row_of(table, method)[metric]
    return 1 + sum(row[metric] > value for row in compared(table))


def difference(rows: List[Row], method: str, other: str, metric: str) -> Difference:
    """``method`` minus ``other``, pair by pair."""
    values = [{row["pair"]: row[metric] for row in rows if row["method"] == name} for name in (method, other)]
    gaps = np.array([values[0][pair] - values[1][pair] for pair in values[0]])
    return Difference(float(gaps.mean()), float(gaps.std()), int((gaps > 0).sum()), len(gaps))


def standing(measured: Measured) -> List[str]:
    """Sentences: on which metrics each model is the best fusion method, and on which it is not."""
    table = measured.table
    total = len(compared(table))
    said = []
    for row in compared(table, (MODEL,)):
        name = row["method"]
        ranks = {metric: rank(table, name, metric) for metric in NAMES}
        first = [metric for metric in NAMES if ranks[metric] == 1]
        behind = [f"{metric} (place {ranks[metric]} of {total})" for metric in NAMES if ranks[metric] > 1]
        sentence = f"**{name}** is "
        sentence += f"the best fusion method on {listed(first)}" if first else "not the best on any metric"
        if behind:
            sentence += f", and not on {listed(behind)}" if first else f": {listed(behind)}"
        said.append(f"{sentence}.")
    ours = {row["method"] for row in compared(table, (MODEL,))}
    for metric in NAMES:
        best = max(compared(table), key=lambda row: row[metric])
        if best["method"] in ours:
            continue
        nearest = max(compared(table, (MODEL,)), key=lambda row: row[metric])
        gap = difference(measured.rows, best["method"], nearest["method"], metric)
        said.append(
            f"On {metric} {best['method']} ({number(best[metric])}, b_P {short(best['b_P'])}) is above "
            f"{nearest['method']} ({number(nearest[metric])}, b_P {short(nearest['b_P'])}), on {gap.higher} "
            f"of {count(gap.images, 'image')}."
        )
    return said


def copies(measured: Measured) -> List[str]:
    """Sentences: what unfused copies score."""
    table, said = measured.table, []
    methods = compared(table)
    for copy in (MRI_COPY, PET_COPY):
        row = row_of(table, copy)
        below = {metric: sum(other[metric] < row[metric] for other in methods) for metric in NAMES}
        beats = [metric for metric in NAMES if below[metric] == len(methods)]
        some = [f"{metric} ({below[metric]})" for metric in NAMES if 0 < below[metric] < len(methods)]
        parts = [f"every fusion method on {listed(beats)}"] if beats else []
        parts += [f"some of the {len(methods)} on {listed(some)}"] if some else []
        if parts:
            said.append(f"An unfused {copy} (b_P {short(row['b_P'])}) beats {', and '.join(parts)}.")
        else:
            said.append(f"An unfused {copy} beats no fusion method on any metric.")
    return said


def probes(measured: Measured) -> List[str]:
    """Sentences: what changes that help nobody do to the metrics of the first model."""
    table = measured.table
    before = compared(table)[0]
    said = []
    for name, what, metric in (
        (VEIL_PROBE, "Every pixel 3 of 255 gray levels brighter, which is hardly seen", "Q_SSIM"),
        (STRETCH_PROBE, "All gray levels times 1.25", "Q_VIFF"),
    ):
        after = row_of(table, name)
        others = [
            f"{other} by {after[other] - before[other]:+.3f}"
            for other in NAMES
            if other != metric and abs(after[other] - before[other]) >= 0.0005
        ]
        said.append(
            f"{what}: {metric} of {before['method']} goes from {number(before[metric])} to "
            f"{number(after[metric])}" + (f" ({listed(others)})." if others else ".")
        )
    return said


def between_sets(first: Measured, second: Measured) -> List[str]:
    """Sentences: how much the images alone decide, the same methods on two sets."""
    methods = [row["method"] for row in compared(first.table)]
    larger = []
    for metric in NAMES:
        spread = [
            max(values) - min(values) for values in (_values(s, methods, metric) for s in (first, second))
        ]
        shift = abs(np.mean(_values(first, methods, metric)) - np.mean(_values(second, methods, metric)))
        if shift > max(spread):
            larger.append(f"{metric} (by {shift:.3f}; the methods differ by at most {max(spread):.3f})")
    if not larger:
        return ["Between the two sets below, no metric moves more than it does between methods."]
    return [
        "How much the images alone decide: from one set below to the other, more than between the best and "
        f"the worst method, change {listed(larger)}."
    ]


def _values(measured: Measured, methods: List[str], metric: str) -> List[float]:
    return [row_of(measured.table, method)[metric] for method in methods]


def number(value: float) -> str:
    """Four decimals, which is what the differences of Q_IE need."""
    return "–" if not math.isfinite(value) else f"{round(value, 4) + 0.0:.4f}"


def short(value: float) -> str:
    """Two decimals."""
    return f"{round(value, 2) + 0.0:.2f}"


def listed(names: Sequence[str]) -> str:
    """ "a, b and c"."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
