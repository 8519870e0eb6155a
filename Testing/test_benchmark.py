"""The commands benchmark and pictures do their work on a small scale."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from FunFuseSlicer.Logic.self_test import synthetic_head
from FunFuseSlicer.Logic.volume import volume_to_sitk
from Headless.benchmarks import sliders
from Headless.commands import benchmark, pictures


def test_the_benchmark_measures_and_writes_json(slicer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sliders, "SIZE", (20, 22, 24))
    file = tmp_path / "figures.json"
    assert benchmark.main(["--only", "sliders", "--repeats", "2", "--json", str(file)]) == 0
    figures = json.loads(file.read_text(encoding="utf-8"))
    rows = figures["results"]["sliders"]
    assert figures["machine"]["cores"] >= 1 and len(rows) == 5
    assert all(0 < row["fastest_s"] <= row["median_s"] <= row["slowest_s"] for row in rows)
    printed = capsys.readouterr().out
    assert all(row["what"] in printed for row in rows)
    # Three views were on screen, else nothing was painted.
    assert "3 views" in rows[0]["what"]


def test_repeats_must_be_positive(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--repeats", "0"])
    assert "at least 1" in capsys.readouterr().err


def test_pictures_are_made_by_the_real_panel(slicer, qt_started, tmp_path):
    for volume in synthetic_head():
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{volume.name}.nii.gz"))
    arguments = ["--mri", str(tmp_path / "T1.nii.gz"), "--pet", str(tmp_path / "FDG.nii.gz")]
    assert pictures.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {"panel-before", "panel", "four-panes", "window", "overlay", "alignment"}
    for name in names:
        picture = np.asarray(Image.open(tmp_path / "out" / f"{name}.png").convert("RGB")).astype(int)
        assert picture.max() > 200, name
        if name in ("overlay", "four-panes", "window", "alignment"):
            assert np.ptp(picture, axis=2).max() > 80, f"{name} has no color"
