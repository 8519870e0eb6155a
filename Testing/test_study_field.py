"""The study by the field's metrics: what it writes, and that other programs' numbers are those measured."""

import json

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies import field
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.metrics import FIELD, METRICS, evaluate_pair
from Testing.conftest import ROOT, head_phantom

DATA = ROOT / "docs" / "data"
COPIES = ["copy of the MRI", "copy of the PET"]


@pytest.fixture
def pairs(tmp_path):
    """Two folders of pairs as pictures: three, and one."""
    folders = []
    for name, numbers in (("field", (1, 2, 3)), ("test", (4,))):
        (tmp_path / name).mkdir()
        for number in numbers:
            for kind, volume in zip(("mri", "pet"), head_phantom((12, 48, 44), seed=number)):
                image = np.uint8(volume.array[5] / volume.array.max() * 255)
                sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / name / f"{number}_{kind}.png"))
        folders += [f"--{name}", tmp_path / name]
    return folders


def study(*arguments):
    return main(["study", "field", *map(str, arguments)])


def read(folder):
    names = ("images", "means", "masked", "test", "intervals", "comparisons", "leaders")
    paths = [folder / f"field_{name}.csv" for name in names]
    return {
        name: pd.read_csv(path, keep_default_na=False, na_values=[""]) for name, path in zip(names, paths)
    }


def veiled(mri, pet):
    """An average whose background is not black."""
    return np.maximum((mri + pet) / 2, 0.02)


def test_one_command_writes_every_table(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(field, "METHODS_HERE", ["average", "maximum"])
    monkeypatch.setattr("funfuse_cli.studies.command.refresh", lambda: 0)
    assert study(*pairs, "--docs", tmp_path / "docs") == 0
    assert "minutes on one core" in capsys.readouterr().out
    tables = read(tmp_path / "docs" / "data")
    models = [f"FunFuse {name}" for name in model_names()]
    names = [*models, "average", "maximum", *COPIES]
    images = tables["images"]
    assert len(images) == 2 * (3 + 1) * len(names) and set(images.image) == {1, 2, 3, 4}
    columns = [*FIELD, "b_P", "rank_fused", "excess"]
    for table, group, masked, wanted, pairs_there in (
        ("means", "field", False, columns, 3),
        ("masked", "field", True, columns, 3),
        ("test", "test", False, [*METRICS, *columns], 1),
        ("test", "test", True, [*METRICS, *columns], 1),
    ):
        means = tables[table][tables[table].masked == masked]
        assert list(means.method) == names and set(means.pairs) == {pairs_there}
        rows = images[(images.set == group) & (images.masked == masked) & (images.method == "average")]
        row = means[means.method == "average"].iloc[0]
        assert list(means.columns[3:-1]) == wanted
        for column in wanted:
            assert row[column] == pytest.approx(rows[column].mean(), rel=1e-5)
        kinds = means.set_index("method").kind
        assert set(kinds[models]) == {"model"} and set(kinds[COPIES]) == {"copy"}
        assert kinds["average"] == "method" and means[means.kind == "copy"].SCD.isna().all()
    mri, pet = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(pairs[1] / f"2_{kind}.png"))) for kind in ("mri", "pet")
    )
    expected = evaluate_pair(mri, pet, np.maximum(mri, pet), metrics=FIELD)
    row = images[(images.image == 2) & (images.method == "maximum") & ~images.masked].iloc[0]
    assert {column: row[column] for column in columns} == pytest.approx(
        {column: expected[column] for column in columns}, rel=1e-5, nan_ok=True
    )
    assert list(tables["intervals"].metric.unique()) == columns
    assert set(tables["comparisons"]["first"]) == set(models)
    assert list(tables["leaders"].metric) == list(FIELD) and not tables["leaders"].highest.isin(COPIES).any()
    facts = json.loads((tmp_path / "docs" / "data" / "field_facts.json").read_text(encoding="utf-8"))
    assert facts["models"] == {name: load_model(name).sha256 for name in model_names()}


def test_images_are_measured_as_written_and_masked(pairs):
    class Silent:
        def report(self, *_):
            pass

    found = field.read_pairs([pairs[1]])
    rows = field.measure(found, {"veiled": veiled}, ["SSIM", "excess"], "field", Silent())
    values = {(row["method"], row["masked"]): row for row in rows if row["pair"] == 0}
    assert values["veiled", True]["SSIM"] > values["veiled", False]["SSIM"] + 0.15
    copies = [values[COPIES[0], masked] for masked in (False, True)]
    assert copies[0]["SSIM"] == copies[1]["SSIM"] and copies[0]["image"] == "1"
    assert len(rows) == 3 * 2 * 3


def test_couples_are_seen_from_the_models():
    row = {"metric": "EN", "difference": 0.2, "low": 0.1, "high": 0.4, "pairs": 3, "p": 0.25, "p_holm": 0.5}
    couples = [
        {**row, "first": first, "second": second} for first, second in (("A", "B"), ("A", "x"), ("x", "y"))
    ]
    found = {(each["first"], each["second"]): each for each in field.from_models(couples, ["A", "B"])}
    assert set(found) == {("A", "B"), ("B", "A"), ("A", "x")}
    assert found["A", "B"] == couples[0]
    turned = {**row, "first": "B", "second": "A", "difference": -0.2, "low": -0.4, "high": -0.1}
    assert found["B", "A"] == turned


def test_the_numbers_of_other_programs_are_those_measured(shared_data):
    """Names apart, which the pages write out."""
    results = shared_data / "field_results"
    measured = pd.read_csv(results / "eight_metrics_42_pairs.csv")
    tables = [pd.read_csv(DATA / f"field_programs{part}.csv") for part in ("", "_subset")]
    rows = {tuple(row) for row in measured[["pairs", *FIELD]].fillna(-1).itertuples(index=False)}
    ours = pd.concat(tables)[["pairs", *FIELD]].fillna(-1)
    assert len(ours) == 14 and {tuple(row) for row in ours.itertuples(index=False)} <= rows
    measured = pd.read_csv(results / "paper_metrics_five_test_pairs.csv")
    columns = [*METRICS, "b_P", "rank_fused", "loss", "EN", "SD", "SF", "SCD"]
    rows = {(row[0] == "yes", *row[1:]) for row in measured[["masked", *columns]].itertuples(index=False)}
    ours = pd.read_csv(DATA / "field_programs_test.csv")[["masked", *columns]]
    assert {tuple(row) for row in ours.itertuples(index=False)} <= rows


def test_every_program_of_the_tables_has_its_source():
    sources = set(pd.read_csv(DATA / "field_sources.csv").program)
    for table in ("field_programs", "field_programs_test"):
        names = {name.partition(",")[0] for name in pd.read_csv(DATA / f"{table}.csv").method}
        assert names <= sources
