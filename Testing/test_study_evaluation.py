"""The comparison of methods: what is measured, the tables made of it, and that a second run remembers."""

import json
import math
import re
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from funfuse_cli.__main__ import main
from funfuse_cli.studies import evaluation_jobs, evaluation_measure
from funfuse_cli.studies.evaluation_measure import COPY, MEASURED, MODEL, PROBE, measure
from funfuse_cli.training.pairs import Pair
from FunFuseSlicer.Logic import methods
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.metrics import METRICS, evaluate_pair
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIRST = f"FunFuse {model_names()[0]}"
COPIES = ("copy of the MRI", "copy of the PET")
PROBES = (f"{FIRST}, 3 gray levels of veil", f"{FIRST}, contrast × 1.25")


@pytest.fixture(autouse=True)
def fresh_candidates():
    """Forget what was prepared for the methods of another test."""
    evaluation_measure.candidates.cache_clear()
    yield
    evaluation_measure.candidates.cache_clear()


def gray_pair(seed=0):
    """One 48 × 44 slice of the phantom, 8 bits."""
    mri, pet = (volume.array[5] for volume in head_phantom((12, 48, 44), seed=seed))
    return Pair("phantom", np.uint8(mri / mri.max() * 255), np.uint8(pet / pet.max() * 255))


def test_table_1_is_the_papers(shared_data):
    text = next((shared_data.parent / "paper").glob("*.txt")).read_text(encoding="utf-8")
    lines = text[text.index("Table 1: Assessment") :].splitlines()
    head, _, *body = ([c.strip() for c in line.strip("| ").split("|")] for line in lines if line[:1] == "|")
    table = pd.read_csv(DOCS / "data" / "evaluation_paper.csv").set_index("method")
    assert sorted(head[1:]) == sorted(table.index)
    for cells, name in zip(body, (*METRICS, "seconds")):
        assert re.sub(r"[${}_ ]", "", cells[0]).lower()[:4] in ("qie", "qg", "qfmi", "qssi", "qvif", "time")
        assert table.loc[head[1:], name].to_list() == [float(cell) for cell in cells[1:]]


def test_the_page_names_each_methods_publication():
    page = " ".join((DOCS / "evaluation.md").read_text(encoding="utf-8").split())
    for method in methods.METHODS.values():
        assert method.citation.rstrip(".") in page and method.label in page


def test_all_models_and_methods_are_measured(monkeypatch):
    later = methods.Method(
        "later", "later method", "Somebody, 2030", lambda mri, pet: 0.25 * mri + 0.75 * pet
    )
    monkeypatch.setitem(methods.METHODS, later.name, later)
    pair = gray_pair()
    table = pd.DataFrame(measure(pair, model_names(), 0.8, 0.6)).set_index("method")
    usable = [method.label for method in methods.METHODS.values() if method.problem() is None]
    models = [f"FunFuse {name}" for name in model_names()]
    colored = [f"{name}, colored" for name in models]
    assert list(table.index) == [*models, *usable, *colored, *COPIES, *PROBES]
    assert list(table.columns) == ["kind", *MEASURED, "ms", "black"]
    fused = np.uint8(np.floor((0.25 * pair.mri + 0.75 * pair.pet) + 0.5))
    expected = evaluate_pair(pair.mri, pair.pet, fused)
    # Halves are rounded from images in [0, 1], where they are not exact.
    assert {name: table[name]["later method"] for name in MEASURED} == pytest.approx(
        {name: expected[name] for name in MEASURED}, abs=2e-3
    )
    assert table.b_P[list(COPIES)].to_list() == pytest.approx([0, 1], abs=1e-6)
    assert table.rank_fused[COPIES[1]] == pytest.approx(1)
    untimed = table.kind.isin([COPY, PROBE])
    assert table.ms[untimed].isna().all() and (table.ms[~untimed] > 0).all()
    assert table.Q_SSIM[PROBES[0]] < table.Q_SSIM[FIRST], "a background that is not black"
    assert table.Q_VIFF[PROBES[1]] > table.Q_VIFF[FIRST], "contrast"
    assert table.Q_SSIM[f"{FIRST}, colored"] != table.Q_SSIM[FIRST]
    assert (table.black == ((pair.mri == 0) & (pair.pet == 0)).mean()).all()


def test_what_prepares_for_a_size_is_no_time_of_an_image(monkeypatch):
    """As filters of an image's size, made at the first image and kept."""
    prepared = set()

    def slow_at_first(mri, pet):
        if mri.shape not in prepared:
            prepared.add(mri.shape)
            end = time.process_time() + 0.5
            while time.process_time() < end:
                pass
        return (mri + pet) / 2

    slow = methods.Method("slow", "Slow", "", slow_at_first)
    monkeypatch.setattr(evaluation_measure, "METHODS", {"slow": slow})
    rows = measure(gray_pair(), model_names()[:1], 0.8, 0.6)
    assert next(row["ms"] for row in rows if row["method"] == "Slow") < 250
    assert prepared == {(48, 44)}


def test_methods_that_lack_a_package_are_left_out(monkeypatch):
    odd = methods.Method("odd", "Odd", "Somebody, 2030", np.maximum, needs=(("no_such_module", "nothing"),))
    monkeypatch.setattr(evaluation_measure, "METHODS", {"odd": odd, "average": methods.METHODS["average"]})
    names = [name for name, _, _ in evaluation_measure.candidates(model_names(), 0.8, 0.6, (48, 44))]
    assert "average" in names and "Odd" not in names


def made_up():
    """Two images of a set, three methods; on the second image "other" is higher on Q_G."""
    rows = []
    for image, (ours, other) in enumerate([(10, 20), (100, 400)]):
        for name, kind, ms in (("ours", MODEL, ours), ("other", "method", other), ("copy", COPY, math.nan)):
            row = {
                "set": "test",
                "image": image,
                "method": name,
                "kind": kind,
                **dict.fromkeys(MEASURED, 0.5),
            }
            rows.append({**row, "Q_G": 0.9 if (name, image) == ("other", 1) else 0.4, "ms": ms})
    return pd.DataFrame(rows)


def test_times_are_compared_on_the_same_image():
    table = evaluation_measure.means(made_up()).set_index("method")
    assert list(table.index) == ["ours", "other", "copy"] and list(table.kind) == [MODEL, "method", COPY]
    assert table.time["other"] == 3 and table.ms["other"] == 210 and table.time["ours"] == 1
    assert math.isnan(table.time["copy"]) and table.Q_G["other"] == pytest.approx(0.65)


def test_differences_are_image_by_image():
    table = evaluation_measure.differences(made_up()).set_index(["method", "metric"])
    gap = table.loc[("other", "Q_G")]
    assert gap["mean"] == pytest.approx(0.25) and gap.sd == pytest.approx(0.25)
    assert (gap.higher, gap.images) == (1, 2)
    assert table.higher["ours"].sum() == 0 and len(table) == 3 * len(METRICS)


def test_processes_work_on_one_thread_and_failures_are_raised_here(tmp_path, monkeypatch):
    # Where another test has loaded the module, a new process would take its file for the package.
    usable = [entry for entry in sys.path if not (Path(entry) / "FunFuseSlicer.py").is_file()]
    monkeypatch.setattr(sys, "path", usable)
    keys = [{"image": number} for number in range(3)]
    tasks = [(name,) for name in "abc"]
    rows = evaluation_jobs.measure_all(threads, tasks, keys, tmp_path, 2)
    assert rows.image.to_list() == [0, 1, 2], "in order, whoever was first"
    assert rows.name.to_list() == ["a", "b", "c"] and set(rows.threads) == {1}
    with pytest.raises(ValueError, match="no name"):
        evaluation_jobs.measure_all(threads, [("",)], keys[:1], tmp_path, 2)


def threads(name):
    import torch

    if not name:
        raise ValueError("no name")
    return [{"name": name, "threads": torch.get_num_threads()}]


@pytest.fixture
def data(tmp_path):
    """(test pairs, slices of two patients)."""

    def write(image, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(image), str(path))

    for number in range(2):
        pair = gray_pair(number)
        for name, image in (("mri", pair.mri), ("pet", pair.pet)):
            write(image, tmp_path / "pairs" / f"0{number}_{name}.png")
            write(image, tmp_path / "slices" / f"patient{number}" / name / "1.png")
    return tmp_path / "pairs", tmp_path / "slices"


def study(*arguments):
    return main(["study", "evaluation", *map(str, arguments)])


def test_one_command_writes_data_and_pictures_and_remembers(data, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(evaluation_measure, "METHODS", methods.REFERENCES)
    docs, volumes = tmp_path / "docs", (tmp_path / "T1.nii.gz", tmp_path / "FDG.nii.gz")
    for volume, path in zip(head_phantom((9, 48, 44)), volumes):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    arguments = ("--test", data[0], "--slices", data[1], "--hold-out", "patient1", "--jobs", 1)
    arguments += ("--docs", docs, "--out", tmp_path / "out")
    assert study(*arguments, "--picture", *volumes) == 0
    tables = {
        name: docs / "data" / f"evaluation_{name}.csv"
        for name in ("images", "means", "differences", "places")
    }
    images, means, differences, places = (pd.read_csv(path) for path in tables.values())
    methods_here = means.method.nunique()
    assert list(images.groupby("set", sort=False).size()) == [2 * methods_here, methods_here]
    assert set(images[images.set == "held_out"].patient) == {"patient1"}
    assert len(differences) == 2 * methods_here * len(METRICS)
    assert len(places) == 2 * (len(model_names()) + len(methods.REFERENCES))
    assert (places.groupby("set")[list(METRICS)].min() == 1).all(axis=None)
    facts = json.loads((docs / "data" / "evaluation_study.json").read_text(encoding="utf-8"))
    assert facts["models"] == {name: load_model(name).sha256 for name in model_names()}
    for name in ("test", "held_out", "methods"):
        assert min(Image.open(docs / "images" / f"evaluation_{name}.png").size) > 300
    # Again, from what is remembered; what is not made anew stays.
    before = {path: path.read_bytes() for path in tables.values()}
    monkeypatch.setattr("funfuse_cli.studies.evaluation_plots.write_bars", lambda *arguments: None)
    assert study(*arguments) == 0
    assert {path: path.read_bytes() for path in before} == before, "even the times"
    again = json.loads((docs / "data" / "evaluation_study.json").read_text(encoding="utf-8"))
    assert again == facts and "slice" in again
    # One model anew; the other rows stay, in their places.
    pd.read_csv(tables["images"]).assign(Q_G=7.0).to_csv(tables["images"], index=False)
    assert study(*arguments, "--model", "detail", "--overwrite") == 0
    rows = pd.read_csv(tables["images"])
    assert list(rows.method) == list(images.method)
    assert set(rows.method[rows.Q_G < 7]) == {"FunFuse detail", "FunFuse detail, colored"}
    one = pd.read_csv(tables["means"]).set_index(["set", "method"]).Q_SSIM
    pd.testing.assert_series_equal(one, means.set_index(["set", "method"]).Q_SSIM, rtol=1e-5)


def test_what_cannot_be_used_is_said(data, tmp_path, capsys):
    good = {"--test": data[0], "--slices": data[1], "--hold-out": "patient1", "--out": tmp_path / "out"}
    good["--docs"] = tmp_path / "docs"
    for name, value, words in (
        ("--test", tmp_path / "none", "holds no MRI-PET pairs"),
        ("--hold-out", "patient7", "no patient patient7"),
        ("--weights", data[1], "run the study weights"),
        ("--lambda", 1.5, "1.5"),
        ("--jobs", 0, "--jobs"),
    ):
        options = {**good, name: value}
        assert study(*(word for option in options.items() for word in option)) == 2
        assert words in capsys.readouterr().err
