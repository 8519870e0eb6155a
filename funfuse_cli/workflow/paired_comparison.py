"""What the numbers of some pairs say about methods beyond these pairs: intervals, and paired tests.

Slices of one patient look alike, so what is drawn and tested are patients: each stands with the pairs that it
has. A row is as in :mod:`.evaluation_report`, with ``patient``, ``pair`` and ``method``.
"""

import itertools
import math
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

Row = Dict[str, object]

CONFIDENCE, DRAWS, SEED = 0.95, 10_000, 0
# What counts as more than chance, after Holm's correction.
SIGNIFICANT = 0.05


def intervals(rows: Sequence[Row], columns: Sequence[str]) -> List[Row]:
    """The mean of each method and column over the pairs where it is defined, and how sure it is.

    :return: rows of ``method``, ``metric``, ``mean``, ``low`` and ``high``, the middle 95 % of the means of
        patients drawn anew (bootstrap, always with the same draws), and ``pairs``; NaN where nothing is
        defined, and for the limits where there is one patient only.
    """
    values = _values(rows, columns)
    return [
        {"method": method, "metric": column, **summary}
        for method in values
        for column, summary in zip(columns, _summaries(values[method], _patients(rows)))
    ]


def comparisons(rows: Sequence[Row], columns: Sequence[str]) -> List[Row]:
    """Each two methods, pair by pair.

    :return: rows of ``metric``, ``first``, ``second``; ``difference``, ``low``, ``high`` and ``pairs`` as in
        :func:`intervals`, of the first minus the second; ``p``, Wilcoxon's signed-rank test of the patients'
        mean differences, two-sided; ``p_holm``, corrected for all couples of methods of the metric.
    """
    values, patients = _values(rows, columns), _patients(rows)
    couples = list(itertools.combinations(values, 2))
    result: Dict[str, List[Row]] = {column: [] for column in columns}
    for first, second in couples:
        gaps = values[first] - values[second]
        for column, summary, gap in zip(columns, _summaries(gaps, patients), gaps.T):
            row = {"metric": column, "first": first, "second": second, "difference": summary.pop("mean")}
            result[column].append({**row, **summary, "p": _wilcoxon(gap, patients)})
    for column_rows in result.values():
        for row, corrected in zip(column_rows, holm([row["p"] for row in column_rows])):
            row["p_holm"] = corrected
    return [row for column_rows in result.values() for row in column_rows]


def holm(probabilities: Sequence[float]) -> List[float]:
    """Holm's step-down correction: the chance of a single wrong finding among all is at most the level.

    S. Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6(2),
    1979. NaN stays, and is no test.
    """
    p = np.asarray(probabilities, float)
    order = [index for index in np.argsort(p, kind="stable") if not math.isnan(p[index])]
    corrected = np.maximum.accumulate([p[index] * (len(order) - rank) for rank, index in enumerate(order)])
    result = np.full(len(p), math.nan)
    result[order] = np.minimum(corrected, 1.0)
    return result.tolist()


def lowest_possible(patients: int, methods: int) -> float:
    """The lowest corrected p that so many patients and methods can have: one method is higher for each."""
    return min(1.0, 2.0 ** (1 - patients) * math.comb(methods, 2))


def leaders(
    means: Sequence[Row], compared: Sequence[Row], columns: Sequence[str], among: Sequence[str]
) -> Iterator[Tuple[str, str, List[str]]]:
    """(column, method with the highest mean, methods whose difference from it may be chance).

    :param means: of :func:`intervals`; ``compared`` of :func:`comparisons`.
    :param among: the methods that compete.
    """
    for column in columns:
        found = {
            row["method"]: row["mean"]
            for row in means
            if row["metric"] == column and row["method"] in among and not math.isnan(row["mean"])
        }
        if not found:
            continue
        best = max(found, key=found.get)
        alike = []
        for row in compared:
            names = {row["first"], row["second"]}
            if row["metric"] == column and best in names and names <= set(found):
                if not row["p_holm"] <= SIGNIFICANT:
                    alike += names - {best}
        yield column, best, sorted(alike, key=list(found).index)


def _patients(rows: Sequence[Row]) -> np.ndarray:
    """Of each pair, the number of its patient."""
    names = {row["pair"]: row["patient"] for row in rows}
    return np.unique([str(name) for name in names.values()], return_inverse=True)[1]


def _values(rows: Sequence[Row], columns: Sequence[str]) -> Dict[str, np.ndarray]:
    """method -> (pairs, columns)."""
    result: Dict[str, List[List[float]]] = {}
    for row in rows:
        result.setdefault(row["method"], []).append([row[column] for column in columns])
    return {method: np.array(values, float) for method, values in result.items()}


def _by_patient(values: np.ndarray, patients: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(sums, counts) of what is defined, each (patients, columns)."""
    member = np.float64(np.arange(patients.max() + 1)[:, None] == patients)
    return member @ np.nan_to_num(values), member @ ~np.isnan(values)


def _summaries(values: np.ndarray, patients: np.ndarray) -> Iterator[Row]:
    """Mean, limits and number of pairs of each column."""
    sums, counts = _by_patient(values, patients)
    size = len(sums)
    drawn = np.random.default_rng(SEED).multinomial(size, np.full(size, 1 / size), DRAWS)
    outside = 50 * (1 - CONFIDENCE)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
        means = sums.sum(axis=0) / counts.sum(axis=0)
        again = (drawn @ sums) / (drawn @ counts)
    for mean, sample, count in zip(means, again.T, counts.sum(axis=0)):
        limits = (math.nan, math.nan)
        sample = sample[~np.isnan(sample)]
        if size > 1 and len(sample):
            limits = np.percentile(sample, [outside, 100 - outside])
        yield {"mean": float(mean), "low": float(limits[0]), "high": float(limits[1]), "pairs": int(count)}


def _wilcoxon(gap: np.ndarray, patients: np.ndarray) -> float:
    from scipy import stats

    sums, counts = (each[:, 0] for each in _by_patient(gap[:, None], patients))
    gap = sums[counts > 0] / counts[counts > 0]
    if not len(gap):
        return math.nan
    return float(stats.wilcoxon(gap).pvalue) if gap.any() else 1.0
