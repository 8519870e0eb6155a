"""Intervals and tests between methods, against SciPy's own, and what patients change."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from funfuse_cli.workflow.evaluation_report import beyond_chance
from funfuse_cli.workflow.paired_comparison import (
    comparisons,
    holm,
    intervals,
    leaders,
    lowest_possible,
)


def rows_of(values, patients=None):
    """:param values: method -> a value of each pair."""
    return [
        {"method": method, "pair": pair, "patient": patients[pair] if patients else f"p{pair}", "Q": value}
        for method, series in values.items()
        for pair, value in enumerate(series)
    ]


def made_up(pairs=21, seed=0):
    generator = np.random.default_rng(seed)
    base = generator.normal(2, 0.3, pairs)
    return {
        "ours": base + 0.02,
        "theirs": base + generator.normal(0.015, 0.01, pairs),
        "other": base - generator.normal(0.5, 0.01, pairs),
    }


def test_intervals_are_the_bootstraps():
    values = made_up()
    found = {row["method"]: row for row in intervals(rows_of(values), ["Q"])}
    for method, series in values.items():
        row = found[method]
        rng = np.random.default_rng(1)
        limits = stats.bootstrap(
            (series,), np.mean, method="percentile", random_state=rng
        ).confidence_interval
        assert row["mean"] == pytest.approx(series.mean()) and row["pairs"] == 21
        assert (row["low"], row["high"]) == pytest.approx(tuple(limits), abs=0.05 * np.ptp(limits))
    assert found == {row["method"]: row for row in intervals(rows_of(values), ["Q"])}, "the same again"


def test_tests_are_wilcoxons_of_paired_differences():
    values = made_up()
    found = comparisons(rows_of(values), ["Q"])
    assert [(row["first"], row["second"]) for row in found] == [
        ("ours", "theirs"),
        ("ours", "other"),
        ("theirs", "other"),
    ]
    for row in found:
        gap = values[row["first"]] - values[row["second"]]
        assert row["p"] == pytest.approx(stats.wilcoxon(gap).pvalue)
        assert row["difference"] == pytest.approx(gap.mean()) and row["low"] < gap.mean() < row["high"]
    assert [row["p_holm"] for row in found] == holm([row["p"] for row in found])


def test_a_difference_may_be_sure_where_the_means_are_not():
    rows = rows_of(made_up())
    means = {row["method"]: row for row in intervals(rows, ["Q"])}
    assert means["theirs"]["low"] < means["ours"]["mean"] < means["theirs"]["high"]
    first = comparisons(rows, ["Q"])[1]
    assert first["second"] == "other" and 0.4 < first["low"] < first["high"] < 0.6 and first["p_holm"] < 1e-4


def test_slices_of_a_patient_do_not_count_as_many():
    generator = np.random.default_rng(0)
    patients = [name for name in "abcd" for _ in range(10)]
    level = {name: generator.normal() for name in "abcd"}
    values = {"one": [level[name] + generator.normal(0, 0.01) for name in patients], "two": [0.0] * 40}
    single = intervals(rows_of(values), ["Q"])[0]
    grouped = intervals(rows_of(values, patients), ["Q"])[0]
    assert grouped["mean"] == pytest.approx(single["mean"]) and grouped["pairs"] == 40
    assert grouped["high"] - grouped["low"] > 2 * (single["high"] - single["low"])
    assert comparisons(rows_of(values, patients), ["Q"])[0]["p"] >= 0.125, "four patients"


def test_what_is_not_defined_is_left_out():
    values = {"one": [1.0, math.nan, 3.0, 5.0], "copy": [math.nan] * 4, "two": [1.0, 2.0, 3.0, 4.0]}
    rows = {row["method"]: row for row in intervals(rows_of(values), ["Q"])}
    assert rows["one"]["mean"] == 3 and rows["one"]["pairs"] == 3 and 1 <= rows["one"]["low"] < 3
    assert math.isnan(rows["copy"]["mean"]) and math.isnan(rows["copy"]["low"]) and rows["copy"]["pairs"] == 0
    found = {(row["first"], row["second"]): row for row in comparisons(rows_of(values), ["Q"])}
    assert found["one", "two"]["difference"] == pytest.approx(1 / 3) and found["one", "two"]["pairs"] == 3
    assert math.isnan(found["one", "copy"]["p"]) and math.isnan(found["one", "copy"]["p_holm"])
    assert found["one", "two"]["p_holm"] == found["one", "two"]["p"], "the only test of three"


def test_one_patient_and_equal_methods():
    same = rows_of({"one": [0.5, 0.5], "two": [0.5, 0.5]})
    assert comparisons(same, ["Q"])[0]["p"] == 1 and intervals(same, ["Q"])[0]["low"] == 0.5
    alone = intervals(rows_of({"one": [0.5]}), ["Q"])[0]
    assert alone["mean"] == 0.5 and math.isnan(alone["low"]) and math.isnan(alone["high"])
    assert comparisons(rows_of({"one": [0.5], "two": [0.4]}), ["Q"])[0]["p"] == 1


def test_holms_correction():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, math.nan, 0.02]) == pytest.approx([0.5, math.nan, 0.04], nan_ok=True)
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p):
    corrected = holm(p)
    assert all(a <= b <= min(1, a * len(p)) for a, b in zip(p, corrected))
    order = np.argsort(p, kind="stable")
    assert all(np.diff(np.array(corrected)[order]) >= 0)


def test_leaders_and_what_may_be_as_high():
    rows = rows_of({**made_up(), "copy": made_up()["ours"] + 1})
    means, compared = intervals(rows, ["Q"]), comparisons(rows, ["Q"])
    among = ["ours", "theirs", "other"]
    for row in compared:
        if {row["first"], row["second"]} == {"ours", "theirs"}:
            row["p_holm"] = 0.051
    assert list(leaders(means, compared, ["Q"], among)) == [("Q", "ours", ["theirs"])]
    assert beyond_chance(means, compared, ["Q"], among, 21)[1:] == ["Q: ours; theirs."]
    assert "5 patients are too few" in beyond_chance(means, compared, ["Q"], among, 5)[0]
    assert list(leaders(means, compared, ["Q"], ["nobody"])) == []


def test_the_lowest_possible_p():
    for patients, methods in ((6, 2), (9, 4)):
        levels = np.arange(methods)[:, None] ** 2 * 100.0
        values = dict(enumerate(levels + np.random.default_rng(0).random((methods, patients))))
        rows = comparisons(rows_of(values), ["Q"])
        assert min(row["p_holm"] for row in rows) == pytest.approx(lowest_possible(patients, methods))
    assert lowest_possible(3, 10) == 1
