"""The commands benchmark and pictures do their work on a small scale."""

import json
import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from funfuse_cli.benchmarks import BENCHMARKS, Section, Settings, heads, report, slices, start_up, volume
from funfuse_cli.benchmarks.timing import interleaved, peak_resident_mb, resident_mb, summary
from funfuse_cli.commands import benchmark, pictures
from funfuse_cli.studies import command as study
from funfuse_cli.studies.pages import Data
from FunFuseSlicer.Logic.self_test import synthetic_head
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk

DOCS = Path(__file__).resolve().parents[1] / "docs"

TINY = Settings(
    repeats=2,
    long_repeats=1,
    side=32,
    slices=2,
    volumes=((4, 24, 24), (6, 40, 40)),
    whole=(4, 24, 24),
    sliders=(20, 22, 24),
    moving=(4, 12, 12),
    fixed=(4, 24, 24),
)


def test_all_sections_into_tables_and_json(slicer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "settings_of", lambda options: TINY)
    file, docs = tmp_path / "figures.json", tmp_path / "docs"
    threads = torch.get_num_threads()
    assert benchmark.main(["--json", str(file), "--docs", str(docs)]) == 0
    assert torch.get_num_threads() == threads
    content = json.loads(file.read_text(encoding="utf-8"))
    printed = capsys.readouterr().out
    assert set(content) >= {*report.KEYS, "threads", "cpu", "notes"}
    assert content["threads"] == threads and content["machine"]["cores"] >= 1
    for key in report.KEYS:
        # What is missing has a reason, and nothing else is null.
        assert np.isfinite(content[key]) if content[key] is not None else content["notes"][key], key
    assert list(content["results"]) == list(BENCHMARKS)
    rows = [row for rows in content["results"].values() for row in rows]
    assert all(0 < row["fastest_s"] <= row["median_s"] <= row["slowest_s"] for row in rows)
    assert all(row["what"] in printed for row in [*rows, *content["required"]])
    # Three views were on screen, else nothing was painted.
    assert "Ω, shown slices of 3 views" in printed
    data = Data(docs / "data")
    assert list(data["speed_times"].what) == [row["what"] for row in rows]
    assert data["speed_times"].median_ms.to_numpy() == pytest.approx(
        [1000 * row["median_s"] for row in rows], abs=0.06
    )
    assert data["speed_times"]["size"].dropna().to_list() == ["24×24×4", "40×40×6"]
    assert list(data["speed_promises"].what) == [row["what"] for row in content["required"]]
    assert vars(data["speed_machine"]) == content["machine"]
    assert Image.open(docs / "images" / "speed.png").width > 500
    committed = Data(DOCS / "data")
    for name in ("speed_times", "speed_promises"):
        assert list(data[name].columns) == list(committed[name].columns)
    assert vars(data["speed_machine"]).keys() == vars(committed["speed_machine"]).keys()


def test_the_page_has_the_promises_of_the_program():
    promises = Data(DOCS / "data")["speed_promises"]
    for column in ("what", "sign", "wanted"):
        assert promises[column].to_list() == report.PROMISES[column].to_list()
    tested = promises.dropna(subset=["value"])
    reached = (tested.value >= tested.wanted).where(tested.sign == "≥", tested.value <= tested.wanted)
    assert reached.to_list() == tested.kept.to_list()


@pytest.fixture
def known_costs(monkeypatch):
    """The section on slices with a clock that knows what everything costs."""
    seconds = {slices.IN_NUMPY_ONE: 0.02, slices.OF_PAPER_ONE: 0.5}

    def known(actions, repeats, **_):
        return {name: summary([seconds.get(name, 0.6)] * repeats) for name in actions}

    monkeypatch.setattr(slices, "interleaved", known)


def test_figures_follow_from_the_times(known_costs):
    section = slices.measure(TINY)
    assert section.figures["fused_parts_one_thread_ms"] == pytest.approx(20)
    assert section.figures["authors_forward_ms"] == pytest.approx(600)
    promises = report.promises(section.figures, section.notes).set_index("what")
    assert promises.value["times as fast as the paper's network, one thread"] == pytest.approx(25)


def test_the_way_of_a_gpu(known_costs, monkeypatch):
    """Rows beside the others; run on the CPU, which a test has."""
    asked, real = [], slices.runner_of
    monkeypatch.setattr(
        slices, "runner_of", lambda model, lam, device: asked.append(device) or real(model, lam, "cpu")
    )
    rows = slices.measure(replace(TINY, device="cuda")).rows
    assert [row["what"] for row in rows[-2:]] == [
        "faithful with parts, cuda",
        "paper's network with parts, cuda",
    ]
    assert asked.count("cuda") == 2


@pytest.mark.parametrize(
    "figures, value, kept, why",
    [
        ({"omega_ms": 30.0, "rgb_copy_ms": 10.0}, 3.0, True, None),
        ({"omega_ms": 31.0, "rgb_copy_ms": 10.0}, 3.1, False, None),
        ({"omega_ms": 31.0, "rgb_copy_ms": None}, None, None, "the reason"),
        ({"omega_ms": 31.0}, None, None, "the reason"),
        ({"core_scaling": 1.8}, 1.8, True, None),
        ({"core_scaling": 1.5}, 1.5, False, None),
        ({"core_scaling": None}, None, None, report.LEFT_OUT),
        ({"shown_slices_ms": 5.1}, 5.1, False, None),
    ],
)
def test_promises_are_kept_or_not_or_unknown(figures, value, kept, why):
    promises = report.promises(figures, {"rgb_copy_ms": "the reason"})
    row = promises[report.PROMISES.figure == next(iter(figures))].iloc[0]
    assert (row.value, row.kept, row.why) == (value, kept, why)


def test_rounds_run_every_action_and_leave_the_warm_up_out():
    calls = []
    times = interleaved(
        {"a": lambda: calls.append("a"), "own": lambda: calls.append("own") or 3.0}, repeats=3, warm_up=1
    )
    assert calls == ["a", "own"] * 4
    assert times["own"] == {"median_s": 3.0, "fastest_s": 3.0, "slowest_s": 3.0, "repeats": 3}
    assert 0 <= times["a"]["fastest_s"] < 3


def test_memory_above_the_volumes_is_seen():
    before = resident_mb()
    if before is None:
        pytest.skip("Linux only")
    # Fresh pages: what NumPy gets may be memory that was freed before and still is resident.
    with mmap.mmap(-1, 30_000_000) as pages:
        np.frombuffer(pages, np.uint8)[:] = 1
    assert 25 < peak_resident_mb() - before < 60


def test_the_synthetic_head_fills_half_of_the_box():
    mri, pet = heads.synthetic((20, 24, 28))
    assert mri.array.shape == pet.array.shape == (20, 24, 28) and mri.array.dtype == np.float32
    assert 0.4 < np.mean(mri.array > 0) < 0.55
    assert not mri.array[0].any() and not mri.array[:, 0].any() and not mri.array[:, :, 0].any()
    images = heads.axial_images(mri, pet)
    assert all(image.shape == (20, 24, 28) and 0 <= image.min() and image.max() == 1 for image in images)


def test_the_real_pair_lies_on_one_grid(shared_data):
    mri, pet = heads.real(shared_data)
    assert mri.same_grid(pet) and mri.array.any() and pet.array.any()


def test_a_program_that_fails_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        start_up._first_line("1 / 0")


def test_one_size_says_nothing_about_growth(monkeypatch):
    monkeypatch.setattr(volume, "usable_cores", lambda: 1)
    monkeypatch.setattr(volume, "_run", lambda network, pair: (pair[0].array.size * 1e-6, None))
    section = Section()
    volume._sizes(section, TINY, None)
    assert section.figures["time_exponent"] == pytest.approx(1.0)
    assert section.figures["peak_extra_mb"] is None and "Linux" in section.notes["peak_extra_mb"]
    volume._cores(section, TINY, None, None)
    assert section.figures["core_scaling"] is None and section.notes["core_scaling"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [(["--repeats", "0"], "at least 1"), (["--only", "volume", "--docs", "x"], "leave out --only")],
)
def test_options_that_make_no_sense(arguments, sentence, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert sentence in capsys.readouterr().err


def test_quick_leaves_the_large_volumes_out(tmp_path):
    options = benchmark.parser().parse_args(["--quick", "--data", str(tmp_path)])
    quick, full = benchmark.settings_of(options), Settings()
    assert len(quick.volumes) == 2 and quick.repeats < full.repeats and quick.data is None
    assert [full.repeats_of(shape) for shape in full.volumes] == [3, 3, 3, 1, 1]
    (tmp_path / "volumes" / "patient_fdg").mkdir(parents=True)
    assert benchmark.settings_of(options).data == tmp_path


def test_pictures_are_made_by_the_real_panel(slicer, qt_started, tmp_path):
    for image in synthetic_head():
        sitk.WriteImage(volume_to_sitk(image), str(tmp_path / f"{image.name}.nii.gz"))
    arguments = ["--mri", str(tmp_path / "T1.nii.gz"), "--pet", str(tmp_path / "FDG.nii.gz")]
    assert pictures.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    names = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert names == {"panel-before", "panel", "four-panes", "window", "overlay", "alignment"}
    for name in names:
        picture = np.asarray(Image.open(tmp_path / "out" / f"{name}.png").convert("RGB")).astype(int)
        assert picture.max() > 200, name
        if name in ("overlay", "four-panes", "window", "alignment"):
            assert np.ptp(picture, axis=2).max() > 80, f"{name} has no color"


def test_the_study_replaces_what_it_wrote_before(tmp_path, monkeypatch):
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(benchmark, "run", lambda _, options: _write_times(options.docs))
            assert study.main(["speed", "--docs", str(tmp_path)]) == 0
    assert (tmp_path / "data" / "speed_times.csv").read_text() == "what\n"


def _write_times(docs) -> int:
    (docs / "data").mkdir(exist_ok=True)
    (docs / "data" / "speed_times.csv").write_text("what\n", encoding="utf-8")
    return 0
