"""``funfuse.py study field``: the models by metrics and on images of other papers, for docs/field.md."""

import argparse
import json
import platform
import time
from importlib.metadata import version
from typing import Dict, List, Sequence

import numpy as np
import pandas as pd
import threadpoolctl

from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.methods import METHODS, REFERENCES
from FunFuseSlicer.Logic.metrics import FIELD, METRICS, evaluate_pair
from FunFuseSlicer.Logic.output_folder import check_writable
from FunFuseSlicer.Logic.version import VERSION

from ..commands.evaluate import (
    COPIES,
    Fuse,
    available_methods,
    fused_images,
    name_of,
    outside_black,
    sources_of,
)
from ..paths import input_path
from ..training.pair import Pair
from ..training.pairs import read_pairs
from ..workflow.paired_comparison import comparisons, intervals, leaders
from ..workflow.progress import ProgressBars
from . import add_docs
from .evaluation_measure import COPY, METHOD, MODEL

LAMBDA = 0.8
# Of the methods to compare with, those that need no minutes.
METHODS_HERE = [method.label for method in (*REFERENCES.values(), METHODS["gf"])]
BESIDE = ["b_P", "rank_fused", "excess"]
# What is measured on which pairs.
COLUMNS = {"field": [*FIELD, *BESIDE], "test": [*METRICS, *FIELD, *BESIDE]}


def main(arguments: List[str]) -> int:
    """Measure every model, some methods and the copies, and write the tables."""
    parser = argparse.ArgumentParser(
        prog="funfuse.py study field",
        description="Measure the models, simple methods and unfused copies by the eight metrics of other "
        "papers, as written and with 0 where both sources are 0. Writes docs/data/field_*.csv.",
    )
    add = parser.add_argument
    add(
        "--field", type=input_path, required=True, metavar="DIR", help="MRI-PET pairs of the field's test set"
    )
    add(
        "--test",
        type=input_path,
        required=True,
        metavar="DIR",
        help="the test pairs of the authors of FunFuseAn",
    )
    add_docs(parser)
    options = parser.parse_args(arguments)
    start, folder = time.process_time(), check_writable(options.docs / "data")
    models = [load_model(name) for name in model_names()]
    names = [name_of(model) for model in models]
    methods = available_methods(models, LAMBDA, "cpu")
    methods = {name: fuse for name, fuse in methods.items() if name in (*names, *METHODS_HERE)}
    kinds = {**dict.fromkeys(methods, METHOD), **dict.fromkeys(names, MODEL)}
    kinds.update(dict.fromkeys(COPIES, COPY))
    with ProgressBars() as monitor, threadpoolctl.threadpool_limits(1):
        rows = {
            name: measure(read_pairs([getattr(options, name)]), methods, columns, name, monitor)
            for name, columns in COLUMNS.items()
        }
    written = [row for row in rows["field"] if not row["masked"]]
    found, couples = intervals(written, COLUMNS["field"]), comparisons(written, list(FIELD))
    best = leaders(found, couples, list(FIELD), list(methods))
    means = means_of(rows["field"], COLUMNS["field"], kinds)
    tables = {
        "images": pd.DataFrame([{"set": name, **row} for name in rows for row in rows[name]]),
        "means": means[~means.masked],
        "masked": means[means.masked],
        "test": means_of(rows["test"], COLUMNS["test"], kinds),
        "intervals": pd.DataFrame(found),
        "comparisons": pd.DataFrame(from_models(couples, names)),
        "leaders": pd.DataFrame([(*some, ", ".join(alike) or "none") for *some, alike in best]),
    }
    tables["leaders"].columns = ["metric", "highest", "alike"]
    for name, table in tables.items():
        table.to_csv(folder / f"field_{name}.csv", index=False, float_format="%.6g")
    minutes = round((time.process_time() - start) / 60, 1)
    facts = {"lam": LAMBDA, "models": {model.name: model.sha256 for model in models}, "minutes": minutes}
    facts["versions"] = {name: version(name) for name in ("numpy", "scipy")}
    facts["versions"].update(FunFuse=VERSION, Python=platform.python_version(), system=platform.system())
    (folder / "field_facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"measured in {minutes} minutes on one core")
    return 0


def measure(
    pairs: Sequence[Pair], methods: Dict[str, Fuse], columns: Sequence[str], stage: str, monitor
) -> List[dict]:
    """Rows of ``pair``, ``image``, ``patient``, ``masked``, ``method``, and the columns.

    Each image twice: as it is written, and masked, with 0 where both sources are 0.
    """
    metrics = {name: metric for name, metric in {**METRICS, **FIELD}.items() if name in columns}
    rows = []
    for number, pair in enumerate(pairs):
        monitor.report(f"{stage} pairs", number / len(pairs))
        key = {"pair": number, "image": pair.name, "patient": pair.patient}
        sources = sources_of(pair)
        for name, fused, _ in fused_images(pair, methods, {}):
            values = {}
            for masked in (False, True):
                image = outside_black(*sources, fused) if masked else fused
                if not values or not np.array_equal(image, fused):
                    values = evaluate_pair(*sources, image, lam=LAMBDA, metrics=metrics)
                # Rounding makes a weight of 0 that of -1e-17, which tables would print with its sign.
                measured = {column: round(values[column], 9) + 0.0 for column in columns}
                rows.append({**key, "masked": masked, "method": name, **measured})
    monitor.report(f"{stage} pairs", 1.0)
    return rows


def means_of(rows: Sequence[dict], columns: Sequence[str], kinds: Dict[str, str]) -> pd.DataFrame:
    """A row for each method, as written and masked: number of ``pairs``, means where defined, ``kind``."""
    groups = pd.DataFrame(rows).groupby(["masked", "method"], sort=False)
    table = groups[list(columns)].mean()
    table.insert(0, "pairs", groups.size())
    table = table.reset_index().sort_values("masked", kind="stable")
    return table.assign(kind=table.method.map(kinds))


def from_models(couples: Sequence[dict], models: Sequence[str]) -> List[dict]:
    """Each model minus each other method: the couples that have one, turned round where it stands second."""
    result = []
    for row in couples:
        turned = {"first": row["second"], "second": row["first"], "difference": -row["difference"]}
        turned.update(low=-row["high"], high=-row["low"])
        result += [each for each in (row, {**row, **turned}) if each["first"] in models]
    return result
