"""The comparison of methods: what is measured, what the page says of it, and that it claims nothing else."""

import csv
import json
import math
import re
import sys
import time
import types

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.studies import (
    evaluation,
    evaluation_findings,
    evaluation_measure,
    evaluation_paper,
    evaluation_sources,
)
from funfuse_cli.studies.evaluation_findings import Measured
from funfuse_cli.studies.evaluation_measure import COPY, METHOD, MODEL, MRI_COPY, PET_COPY, PROBE
from funfuse_cli.training.pairs import Pair
from FunFuseSlicer.Logic import methods
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.metrics import METRICS, evaluate_pair
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom

COPIES, PROBES = (MRI_COPY, PET_COPY), (evaluation_measure.VEIL_PROBE, evaluation_measure.STRETCH_PROBE)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the study's own processes; several would wait for each other on a busy computer."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fresh_candidates():
    """Forget what was prepared for the methods of another test."""
    for prepared in (evaluation_measure.candidates, evaluation_measure._ready):
        prepared.cache_clear()
    yield
    for prepared in (evaluation_measure.candidates, evaluation_measure._ready):
        prepared.cache_clear()


def gray_pair(seed=0, slice_number=5):
    """One 48 × 44 slice of the phantom, 8 bits."""
    mri, pet = (volume.array[slice_number] for volume in head_phantom((12, 48, 44), seed=seed))
    return Pair("phantom", np.uint8(mri / mri.max() * 255), np.uint8(pet / pet.max() * 255))


def made_up(values, deviations=0.0, key="test"):
    """A measured set from values by method and metric; b_P tells the methods apart.

    :param values: name -> (kind, value of each of the five metrics).
    """
    rows = []
    for pair in range(2):
        for name, (kind, numbers) in values.items():
            shift = deviations * (2 * pair - 1)
            row = {"pair": pair, "patient": f"p{pair}", "method": name, "kind": kind}
            row.update((metric, number + shift) for metric, number in zip(METRICS, numbers))
            rows.append({**row, "b_P": 0.5, "ms": math.nan if kind in (COPY, PROBE) else 10.0 * (pair + 1)})
    return Measured(key, "Made up", ("p0", "p1"), rows, evaluation_findings.summary(rows))


numbers = st.lists(st.integers(0, 9).map(lambda n: n / 10), min_size=5, max_size=5)


def test_table_1_is_the_papers(shared_data):
    text = next((shared_data.parent / "paper").glob("*.txt")).read_text(encoding="utf-8")
    start = text.index("Table 1: Assessment")
    rows = [line.strip("| ").split("|") for line in text[start:].splitlines() if line.startswith("|")][:8]
    head, _, *body = [[cell.strip() for cell in row] for row in rows]
    assert head[1:] == list(evaluation_paper.TABLE)
    for cells, name in zip(body, (*METRICS, "seconds")):
        assert re.sub(r"[${}_ ]", "", cells[0]).lower()[:4] in ("qie", "qg", "qfmi", "qssi", "qvif", "time")
        found = [evaluation_paper.TABLE[method][name] for method in evaluation_paper.TABLE]
        assert found == [float(cell) for cell in cells[1:]]


def test_our_methods_are_found_in_the_papers_table():
    ours = ["average", "guided filter", "LP-SR", "NSCT-PCDC", "Laplacian pyramid"]
    assert evaluation_paper.here("GF", ours) == "guided filter"
    assert evaluation_paper.here("LP-SR", ours) == "LP-SR"
    assert evaluation_paper.here("NSCT-PCDC", ["nsct_pcdc"]) == "nsct_pcdc"
    assert evaluation_paper.here("LP-CNN", ours) is None


def test_all_models_and_methods_are_measured(fresh_candidates, monkeypatch):
    later = methods.Method(
        "later", "later method", "Somebody, 2030", lambda mri, pet: 0.25 * mri + 0.75 * pet
    )
    monkeypatch.setitem(methods.METHODS, later.name, later)
    pair = gray_pair()
    rows = evaluation_measure.measure(evaluation_measure.Task(pair, model_names(), 0.8, 0.6))
    table = {row["method"]: row for row in rows}
    usable = [method for method in methods.METHODS.values() if method.problem() is None]
    assert len(table) == len(rows) == 2 * len(model_names()) + len(usable) + 4
    assert [row["method"] for row in rows if row["kind"] == MODEL] == [f"FunFuse {n}" for n in model_names()]
    fused = np.uint8(np.floor((0.25 * pair.mri + 0.75 * pair.pet) + 0.5))
    expected = evaluate_pair(pair.mri, pair.pet, fused)
    found = {name: table["later method"][name] for name in expected}
    # Halves are rounded from images in [0, 1], where they are not exact.
    assert found == pytest.approx(expected, abs=2e-3)
    copies = [table[name] for name in COPIES]
    assert [row["b_P"] for row in copies] == pytest.approx([0, 1], abs=1e-6)
    assert copies[0]["SSIM_MRI"] == pytest.approx(1) and copies[1]["SSIM_PET"] == pytest.approx(1)
    assert all(math.isnan(table[name]["ms"]) for name in (*COPIES, *PROBES))
    assert all(row["ms"] > 0 for row in rows if row["kind"] not in (COPY, PROBE))
    first = table[f"FunFuse {model_names()[0]}"]
    assert table[PROBES[0]]["Q_SSIM"] < first["Q_SSIM"], "a background that is not black"
    assert table[PROBES[1]]["Q_VIFF"] > first["Q_VIFF"], "contrast"
    assert table[f"{first['method']}, colored"]["Q_SSIM"] != first["Q_SSIM"]


def test_what_prepares_for_a_size_is_no_time_of_an_image(fresh_candidates, monkeypatch):
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
    monkeypatch.setattr(methods, "METHODS", {"slow": slow})
    rows = evaluation_measure.measure(evaluation_measure.Task(gray_pair(), model_names()[:1], 0.8, 0.6))
    assert next(row["ms"] for row in rows if row["method"] == "Slow") < 250
    assert prepared == {(48, 44)}


def test_methods_that_lack_a_package_are_left_out(fresh_candidates, monkeypatch):
    odd = methods.Method("odd", "Odd", "Somebody, 2030", np.maximum, needs=(("no_such_module", "nothing"),))
    monkeypatch.setattr(methods, "METHODS", {"odd": odd, "average": methods.METHODS["average"]})
    names = [candidate.name for candidate in evaluation_measure.candidates(model_names(), 0.8, 0.6)]
    assert "average" in names and "Odd" not in names
    (source,) = evaluation_sources.sources()
    assert source.label == "Odd" and "Odd needs the Python package nothing" in source.problem


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "One.\n\nLeft open:\n- a: b;\n- c, which\n  goes on;\n- d.\n\nMore.",
            ["a: b", "c, which goes on", "d"],
        ),
        ("One.\n\nLeft open:\n\n* a\n* b\n", ["a", "b"]),
        ("One.\n\nLeft open: the order of it;\ndegree 7.\nDiffers: in all.", ["the order of it; degree 7"]),
        ("One.\n\nDiffers: in this.\nLeft open: a.\n\nNote: b.", ["a"]),
        ("What is left open: nothing.", []),
        ("", []),
    ],
)
def test_what_is_left_open_is_read_from_the_module(text, expected):
    assert evaluation_sources.listed_under("Left open", text) == expected


def test_a_method_tells_what_the_modules_it_uses_leave_open(monkeypatch):
    """Its own module first, each point once; what is of no method does not count."""
    package = methods.__name__
    below, own = types.ModuleType(f"{package}.below"), types.ModuleType(f"{package}.own")
    below.__doc__ = "Below.\n\nLeft open:\n- the borders: mirrored.\n\nDiffers: one filter for two."
    own.__doc__ = "Own.\n\nLeft open:\n- the window: 3;\n- the borders: mirrored."
    own.below, own.np, own.Method = below, np, methods.Method
    for module in (own, below):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def fuse(mri, pet):
        return mri

    fuse.__module__ = own.__name__
    source = evaluation_sources.source_of(methods.Method("own", "Own", "Somebody, 2030", fuse))
    assert source.open == ["the window: 3", "the borders: mirrored"]
    assert source.differs == ["one filter for two"] and source.problem is None


def test_times_are_compared_on_the_same_image():
    rows = []
    for pair, (ours, other) in enumerate([(10, 20), (100, 300), (1000, 2000)]):
        for name, milliseconds in (("ours", ours), ("other", other), ("copy", math.nan)):
            rows.append({"pair": pair, "method": name, "kind": METHOD, "Q_G": 0.5, "ms": milliseconds})
    table = {row["method"]: row for row in evaluation_findings.summary(rows)}
    assert table["other"]["ratio"] == 2 and table["other"]["ms"] == 300
    assert table["ours"]["ratio"] == 1 and math.isnan(table["copy"]["ratio"])


@given(st.lists(numbers, min_size=5, max_size=5))
def test_sentences_hold_for_any_numbers(values):
    names = ("FunFuse a", "FunFuse b", "average", MRI_COPY, PET_COPY)
    kinds = (MODEL, MODEL, METHOD, COPY, COPY)
    measured = made_up(dict(zip(names, zip(kinds, values))))
    by_name = dict(zip(names, values))
    fusion = [by_name[name] for name in names[:3]]
    said = evaluation_findings.standing(measured)
    for name, sentence in zip(names[:2], said):
        match = re.search(
            r"is the best fusion method on ([^,(]*(?:, [^,(]*)* ?and [^,(]*|[^,(]*?)(, and not|\.)", sentence
        )
        first = re.findall(r"Q_\w+", match.group(1)) if match else []
        expected = [m for i, m in enumerate(METRICS) if by_name[name][i] >= max(v[i] for v in fusion)]
        assert first == expected, sentence
        for metric, place in re.findall(r"(Q_\w+) \(place (\d) of 3\)", sentence):
            i = list(METRICS).index(metric)
            assert int(place) == 1 + sum(v[i] > by_name[name][i] for v in fusion)
        assert len(first) + sentence.count("(place") == 5
    for copy, sentence in zip((MRI_COPY, PET_COPY), evaluation_findings.copies(measured)):
        every = sentence.split("some of")[0]
        found = re.findall(r"Q_\w+", every) if "every fusion method" in every else []
        assert found == [m for i, m in enumerate(METRICS) if by_name[copy][i] > max(v[i] for v in fusion)]


def test_differences_are_image_by_image():
    measured = made_up({"FunFuse a": (MODEL, [0.5] * 5), "average": (METHOD, [0.4] * 5)})
    for row in measured.rows:
        if row["method"] == "average" and row["pair"] == 1:
            row["Q_G"] = 0.9
    gap = evaluation_findings.difference(measured.rows, "average", "FunFuse a", "Q_G")
    assert gap.mean == pytest.approx(0.15) and gap.deviation == pytest.approx(0.25)
    assert (gap.higher, gap.images) == (1, 2)


def test_how_much_the_images_decide():
    methods_of = {
        "FunFuse a": (MODEL, [0.5, 0.5, 0.5, 0.5, 0.5]),
        "average": (METHOD, [0.4, 0.6, 0.5, 0.5, 0.5]),
    }
    other = {name: (kind, [values[0] + 0.3, *values[1:]]) for name, (kind, values) in methods_of.items()}
    (sentence,) = evaluation_findings.between_sets(made_up(methods_of), made_up(other))
    assert "Q_IE (by 0.300; the methods differ by at most 0.100)" in sentence and "Q_G" not in sentence
    (sentence,) = evaluation_findings.between_sets(made_up(methods_of), made_up(methods_of))
    assert "no metric moves more" in sentence


@pytest.fixture
def data(tmp_path):
    """(test pairs, slices of two patients, results of the other study)."""
    test, slices, weights = (tmp_path / name for name in ("pairs", "slices", "weights"))
    for path in (test, slices, weights):
        path.mkdir()

    def write(image, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.GetImageFromArray(image), str(path))

    for number in range(2):
        pair = gray_pair(number)
        write(pair.mri, test / f"0{number}_mri.png")
        write(pair.pet, test / f"0{number}_pet.png")
        write(pair.mri, slices / f"patient{number}" / "mri" / "1.png")
        write(pair.pet, slices / f"patient{number}" / "spect" / "1.png")
    rows = [
        {
            "lambda": lam,
            "omega": omega,
            "pairs": 1,
            **{name: lam - omega for name in METRICS},
            **{f"{name} sd": 0.1 for name in METRICS},
            "b_P": 0.4,
        }
        for lam in (0.4, 0.8)
        for omega in (0.0, 0.6)
    ]
    settings = {
        "model": "faithful",
        "sha256": "0" * 64,
        "lambdas": [0.4, 0.8],
        "mode": "uptake",
        "colormap": "Jet",
    }
    content = {"explanation": "Where Ω enters.", "settings": settings, "rows": rows}
    content.update(count={"pairs": 1, "patients": 1}, findings=[], versions={})
    (weights / "weights.json").write_text(json.dumps(content), encoding="utf-8")
    return test, slices, weights


def study(*arguments):
    return main(["study", "evaluation", *map(str, arguments)])


@pytest.fixture
def published(tmp_path):
    """A registered pair of volumes to show: (MRI file, PET file)."""
    paths = tmp_path / "T1.nii.gz", tmp_path / "FDG.nii.gz"
    for volume, path in zip(head_phantom((9, 48, 44)), paths):
        sitk.WriteImage(volume_to_sitk(volume), str(path))
    return paths


def test_one_command_writes_the_page(data, published, tmp_path, capsys, monkeypatch, fresh_candidates):
    from PIL import Image

    odd = methods.Method("odd", "LP-SR", "Somebody, 2030", np.maximum, needs=(("no_such_module", "nothing"),))
    monkeypatch.setattr(methods, "METHODS", {**methods.REFERENCES, "odd": odd})
    test, slices, weights = data
    page, out = tmp_path / "docs" / "evaluation.md", tmp_path / "out"
    arguments = ("--test", test, "--slices", slices, "--hold-out", "patient1", "--jobs", 1)
    arguments += ("--page", page, "--out", out)
    picture = ("--picture", *published, "--credit", "By somebody, free.")
    assert study(*arguments, *picture, "--weights", weights) == 0
    assert "is " in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert str(tmp_path) not in text and "--hold-out patient1 --weights WEIGHTS" in text
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    names = ("test", "held_out", "methods", "weights")
    assert pictures == [f"images/evaluation_{name}.png" for name in names]
    assert "By somebody, free." in text and "--picture MRI PET --credit TEXT" in text
    assert text.count("LP-SR needs the Python package nothing") == 2 and "Somebody, 2030" in text
    assert "Not measured in this run: LP-SR." in text
    assert "LP-SR" not in re.search(r"Not implemented here: ([^.]*)", text).group(1)
    assert methods.METHODS["laplacian_pyramid"].citation in text
    for picture in pictures:
        assert min(Image.open(page.parent / picture).size) > 300
    for key, size in (("test", 2), ("held_out", 1)):
        with (out / f"{key}_table.csv").open(encoding="utf-8") as file:
            table = {row["method"]: row for row in csv.DictReader(file)}
        with (out / f"{key}_per_image.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == size * len(table)
        title = f"## {evaluation.TITLES[key]}\n"
        section = text[text.index(title) :].split("\n## ")[0]
        for name, row in table.items():
            if row["kind"] == PROBE:
                name = f"FunFuse {model_names()[0]}, {name}"
            line = next(
                line for line in section.splitlines() if line.startswith((f"| {name} |", f"| *{name}* |"))
            )
            cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
            expected = [float(row[metric]) for metric in (*METRICS, "b_P")]
            assert [float(cell) for cell in cells[1:7]] == pytest.approx(expected, abs=5.1e-5)
            is_method = row["kind"] in (MODEL, METHOD)
            for metric, cell in zip(METRICS, line.strip("|").split("|")[1:]):
                highest = max(float(r[metric]) for r in table.values() if r["kind"] in (MODEL, METHOD))
                assert ("**" in cell) == (is_method and float(row[metric]) == highest)
    for method, values in evaluation_paper.TABLE.items():
        assert all(f"{values[name]:.4f} /" in text for name in METRICS), method
    for model in model_names():
        assert load_model(model).sha256 in text
    assert "earlier" in text, "the maps are of weights that are not there any more"
    for words in ("unfused", "b_P", "ADNI", "must not be subtracted", "not black", "luminance"):
        assert words in text
    # Again, from what is remembered; and without the other study.
    before = (out / "test_per_image.csv").read_bytes()
    monkeypatch.setattr(evaluation, "write_bars", lambda *arguments: None)
    assert study(*arguments) == 0
    assert (out / "test_per_image.csv").read_bytes() == before, "even the times"
    text = page.read_text(encoding="utf-8")
    assert "evaluation_weights" not in text and "evaluation_methods" not in text


def test_what_cannot_be_used_is_said(data, tmp_path, capsys):
    test, slices, weights = data
    good = {"--test": test, "--slices": slices, "--hold-out": "patient1", "--out": tmp_path / "out"}
    good["--page"] = tmp_path / "page.md"
    for name, value, words in (
        ("--test", tmp_path / "none", "no such folder"),
        ("--hold-out", "patient7", "no patient patient7: choose of patient0, patient1"),
        ("--weights", slices, "run the study weights"),
        ("--lambda", 1.5, "between 0 and 1"),
        ("--jobs", 0, "--jobs"),
        ("--picture", (test / "00_mri.png", test / "00_pet.png"), "--picture needs --credit"),
        ("--picture", (test / "00_mri.png", test / "none.png", "--credit", "me"), "none.png"),
    ):
        arguments = []
        for word, values in {**good, name: value}.items():
            arguments += [word, *(values if isinstance(values, tuple) else (values,))]
        assert study(*arguments) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
