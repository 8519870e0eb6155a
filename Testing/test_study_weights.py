"""The study of λ and Ω: what is measured, where Ω enters, resuming, and what is written."""

import csv
import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.studies import evaluation_jobs, weights, weights_grid, weights_maps
from funfuse_cli.training.pairs import Pair
from FunFuseSlicer.Logic.color.colorize import chroma_table, colorize, jet_table
from FunFuseSlicer.Logic.fusion.models import DEFAULT_MODEL, load_model
from FunFuseSlicer.Logic.metrics import METRICS, pet_weight
from FunFuseSlicer.Logic.monitor import Monitor
from Testing.conftest import head_phantom

JET = jet_table().tolist()


def gray_pair(seed=0):
    """One 48 × 44 slice of the phantom, 8 bits."""
    mri, pet = (volume.array[5] for volume in head_phantom((12, 48, 44), seed=seed))
    return Pair("phantom", np.uint8(mri / mri.max() * 255), np.uint8(pet / pet.max() * 255))


def task(omegas, mode="contribution", lam=0.8):
    return weights_grid.Task(gray_pair(), DEFAULT_MODEL, lam, tuple(omegas), mode, JET)


@pytest.fixture(autouse=True)
def one_thread():
    """As in the study's own processes; several would wait for each other on a busy computer."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    """Two pairs as pictures."""
    data = tmp_path / "pairs"
    data.mkdir()
    for number in range(2):
        pair = gray_pair(number)
        for name, image in (("mri", pair.mri), ("pet", pair.pet)):
            sitk.WriteImage(sitk.GetImageFromArray(image), str(data / f"{number}_{name}.png"))
    return data


def study(*arguments):
    return main(["study", "weights", *map(str, arguments)])


def test_ten_values_hold_the_papers_own():
    values = weights_grid.grid_values(10)
    assert values == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert set(weights_maps.PAPER_CHOICE) < set(values)
    assert weights_grid.grid_values(1) == [1.0]


@given(st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_luminance_is_linear_in_omega_and_color_only_darkens(omega, pixels):
    value, functional = np.array(pixels).T
    found = weights_grid.luminance(colorize(value, functional, jet_table(), omega)).astype(float)
    chroma = chroma_table(jet_table())[np.rint(functional * 255).astype(int)]
    darkening = (1 - omega) + omega * (chroma @ weights_grid.LUMA)
    assert np.abs(found - 255 * value * darkening).max() <= 1.001, "three channels and the sum are rounded"
    gray = weights_grid.luminance(colorize(value, functional, jet_table(), 0.0))
    np.testing.assert_array_equal(gray, np.rint(value.astype(np.float32) * np.float32(255)))
    assert (found <= gray + 0.5).all()


def test_without_color_the_fused_image_is_measured():
    import torch

    pair = gray_pair()
    network = load_model(DEFAULT_MODEL).at_lambda(0.8)
    with torch.no_grad():
        images = [
            torch.from_numpy(image.astype(np.float32) / 255)[None, None] for image in (pair.mri, pair.pet)
        ]
        fused = np.rint(255 * np.clip(network.fuse(*images)[0, 0].numpy(), 0, 1)).astype(np.uint8)
    (row,) = weights_grid.measure(task([0.0]))
    assert list(row) == ["lambda", "omega", *METRICS, "b_M", "b_P"]
    for name, metric in METRICS.items():
        # A pixel that lies between two gray levels can fall to either side.
        assert row[name] == pytest.approx(metric(pair.mri, pair.pet, fused), abs=2e-3)
    assert row["b_P"] == pytest.approx(pet_weight(pair.mri, pair.pet, fused)[1], abs=1e-3)


def test_omega_and_lambda_matter():
    gray, color = weights_grid.measure(task([0.0, 1.0]))
    assert color["omega"] == 1 and color["Q_SSIM"] != gray["Q_SSIM"]
    (other,) = weights_grid.measure(task([0.0], lam=0.1))
    assert other["lambda"] == 0.1 and other["Q_SSIM"] != gray["Q_SSIM"]
    values = [
        weights_grid.measure(task([1.0], mode))[0]["Q_VIFF"]
        for mode in ("contribution", "uptake", "gradient")
    ]
    assert len(set(values)) == 3


def test_means_and_findings():
    rows = [
        {"lambda": lam, "omega": omega, **dict.fromkeys(METRICS, 0.0), "b_M": 0.5, "b_P": 0.5, "pair": pair}
        for pair in range(2)
        for lam in (0.4, 0.8)
        for omega in (0.0, 0.3, 0.6)
    ]
    for row in rows:
        row["Q_G"] = row["lambda"] - row["omega"] + 0.1 * row["pair"]
        row["Q_IE"] = row["Q_FMI"] = row["Q_VIFF"] = row["omega"] + 0.1 * row["lambda"]
        row["Q_SSIM"] = 10.0 * row["pair"] + 1e-3 * row["omega"]
    means = weights_grid.mean_rows(rows)
    assert len(means) == 6 and all(row["pairs"] == 2 for row in means)
    best = weights_maps.best(means, "Q_G")
    assert (best["lambda"], best["omega"]) == (0.8, 0.3), "without color does not count"
    assert best["Q_G"] == pytest.approx(0.55) and best["Q_G sd"] == pytest.approx(0.05)
    said = " ".join(weights_maps.findings(means))
    assert "Q_IE, Q_FMI and Q_VIFF at λ = 0.8, Ω = 0.6" in said and "Q_G at λ = 0.8, Ω = 0.3" in said
    assert "Without color (Ω = 0) Q_G is higher" in said
    assert "highest for 3 of 5" in said and "Over the whole grid Q_SSIM changes less" in said
    without = weights_maps.findings([row for row in means if row["lambda"] != 0.8])
    assert not any("The paper reports" in sentence for sentence in without)
    lambdas, omegas, values = weights_maps.grid(means, "Q_G")
    assert values.shape == (3, 2) and values[omegas.index(0.6), lambdas.index(0.8)] == pytest.approx(0.25)


def test_command_writes_tables_and_maps(folder, tmp_path, capsys):
    from PIL import Image

    out = tmp_path / "Ausgabe ü"
    assert study("--pairs", folder, "--steps", 2, "--jobs", 1, "--out", out) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "0.299 R + 0.587 G + 0.114 B" in text and "What the metrics reward" in text
    assert {path.name for path in out.iterdir()} == {weights.JOURNAL, *weights.RESULTS}
    content = json.loads((out / "weights.json").read_text(encoding="utf-8"))
    assert content["settings"]["lambdas"] == [0.5, 1.0] and content["settings"]["omegas"] == [0, 0.5, 1.0]
    assert content["settings"]["sha256"] == load_model(DEFAULT_MODEL).sha256
    assert "luminance of the colored image" in content["explanation"]
    assert content["count"] == {"pairs": 2, "patients": 2}
    assert len(content["rows"]) == 6
    with (out / "weights_per_pair.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for mean in content["rows"]:
        cells = [
            row
            for row in rows
            if (float(row["lambda"]), float(row["omega"])) == (mean["lambda"], mean["omega"])
        ]
        for name in (*METRICS, "b_P"):
            assert mean[name] == pytest.approx(np.mean([float(row[name]) for row in cells]))
    assert min(Image.open(out / "weights.png").size) > 900


def test_goes_on_where_it_stopped(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(weights, "write_heat_maps", lambda *arguments: None)
    arguments = ("--pairs", folder, "--steps", 2, "--jobs", 1, "--out", out)
    assert study(*arguments) == 0
    expected = {name: (out / name).read_bytes() for name in ("weights.csv", "weights_per_pair.csv")}
    journal = out / weights.JOURNAL
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == 1 + 4
    # Killed while it wrote the third result.
    journal.write_text("".join(lines[:3]) + lines[3][:40], encoding="utf-8")
    calls = []
    original = weights.measure

    def counting(task):
        calls.append(task.lam)
        return original(task)

    monkeypatch.setattr(weights, "measure", counting)
    assert study(*arguments) == 0
    assert len(calls) == 2
    assert {name: (out / name).read_bytes() for name in expected} == expected
    assert study(*arguments, "--mode", "uptake") == 0
    assert len(calls) == 6, "results of other settings do not count"


def test_processes_have_one_thread_each():
    before = dict(os.environ)
    seen = []
    tasks = {name: name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "nothing")}
    results = evaluation_jobs.run_all(
        os.getenv,
        tasks,
        evaluation_jobs.Journal(None, {}),
        2,
        Monitor(lambda *report: seen.append(report)),
        "Evaluating",
    )
    assert results == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "nothing": None}
    assert list(results) == list(tasks), "in order, whoever was first"
    assert seen == [("Evaluating", fraction) for fraction in (0.0, 1 / 3, 2 / 3, 1.0)]
    assert dict(os.environ) == before


def test_a_failure_in_a_process_is_raised_here():
    with pytest.raises(ValueError, match="invalid literal"):
        tasks = {"a": "1", "b": "one"}
        evaluation_jobs.run_all(int, tasks, evaluation_jobs.Journal(None, {}), 2, Monitor(), "Evaluating")


def test_one_pair_and_options_that_do_not_go_together(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(weights, "write_heat_maps", lambda *arguments: None)
    pair = ("--mri", folder / "0_mri.png", "--pet", folder / "0_pet.png")
    out = tmp_path / "out"
    assert study(*pair, "--steps", 1, "--jobs", 1, "--out", out) == 0
    content = json.loads((out / "weights.json").read_text(encoding="utf-8"))
    assert content["count"]["pairs"] == 1 and content["settings"]["omegas"] == [0, 1]
    capsys.readouterr()
    for arguments, word in (
        ((), "--pairs"),
        ((*pair, "--pairs", folder), "--pairs"),
        (pair[:2], "needs both"),
        (("--pairs", tmp_path / "none"), "no such folder"),
        (("--pairs", folder, "--steps", 0), "--steps"),
        (("--pairs", folder, "--model", "nobody"), "nobody"),
        (("--pairs", folder, "--colormap", "plaid"), "plaid"),
    ):
        assert study(*arguments, "--out", tmp_path / "other") == 2
        assert word in capsys.readouterr().err
