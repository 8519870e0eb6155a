"""The study of λ and Ω: what is measured, where Ω enters, and what is written."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.studies import weights
from funfuse_cli.studies.evaluation_measure import colored_luminances
from funfuse_cli.training.pairs import Pair, to_unit
from FunFuseSlicer.Logic.color.colorize import MODES, chroma_table, colorize, jet_table
from FunFuseSlicer.Logic.fusion.fuser import runner_of
from FunFuseSlicer.Logic.fusion.models import DEFAULT_MODEL, load_model
from FunFuseSlicer.Logic.metrics import METRICS, pet_weight
from FunFuseSlicer.Logic.metrics.images import LUMA
from FunFuseSlicer.Logic.output_folder import LIST
from Testing.conftest import head_phantom


def gray_pair(seed=0):
    """One 48 × 44 slice of the phantom, 8 bits."""
    mri, pet = (volume.array[5] for volume in head_phantom((12, 48, 44), seed=seed))
    return Pair("phantom", np.uint8(mri / mri.max() * 255), np.uint8(pet / pet.max() * 255))


def measure(omegas, mode="contribution", lam=0.8):
    return weights.measure(gray_pair(), DEFAULT_MODEL, lam, omegas, mode)


@given(st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_luminance_is_linear_in_omega_and_color_only_darkens(omega, pixels):
    value, functional = np.array(pixels).T
    found, gray = (
        np.floor(colorize(value, functional, jet_table(), strength) @ LUMA + 0.5) for strength in (omega, 0.0)
    )
    chroma = chroma_table(jet_table())[np.rint(functional * 255).astype(int)]
    darkening = (1 - omega) + omega * (chroma @ LUMA)
    assert np.abs(found - 255 * value * darkening).max() <= 1.001, "three channels and the sum are rounded"
    np.testing.assert_array_equal(gray, np.rint(value.astype(np.float32) * np.float32(255)))
    assert (found <= gray + 0.5).all()


def test_without_color_the_fused_image_is_measured():
    pair = gray_pair()
    runner = runner_of(load_model(DEFAULT_MODEL), 0.8)
    units = [to_unit(image) for image in (pair.mri, pair.pet)]
    fused = runner.fuse_pair(*units)
    fused = np.rint(255 * np.clip(fused, 0, 1)).astype(np.uint8)
    (image,) = colored_luminances(*units, runner, [0.0], jet_table())
    assert image.dtype == np.uint8 and np.abs(image.astype(int) - fused).max() <= 1
    (row,) = measure([0.0])
    assert list(row) == ["lam", "omega", *METRICS, "b_P"]
    for name, metric in METRICS.items():
        # A pixel that lies between two gray levels can fall to either side.
        assert row[name] == pytest.approx(metric(pair.mri, pair.pet, fused), abs=2e-3)
    assert row["b_P"] == pytest.approx(pet_weight(pair.mri, pair.pet, fused)[1], abs=1e-3)


def test_omega_lambda_and_mode_matter():
    gray, color = measure([0.0, 1.0])
    assert color["omega"] == 1 and color["Q_SSIM"] != gray["Q_SSIM"]
    (other,) = measure([0.0], lam=0.1)
    assert other["lam"] == 0.1 and other["Q_SSIM"] != gray["Q_SSIM"]
    assert len({measure([1.0], mode)[0]["Q_VIFF"] for mode in MODES}) == len(MODES)


def test_command_writes_a_table_and_maps(tmp_path, capsys):
    from PIL import Image

    for number in range(2):
        pair = gray_pair(number)
        for name, image in (("mri", pair.mri), ("pet", pair.pet)):
            sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / f"{number}_{name}.png"))
    out = tmp_path / "Ausgabe ü"
    arguments = ["study", "weights", "--pairs", str(tmp_path), "--jobs", "1", "--out", str(out)]
    assert main([*arguments, "--steps", "2"]) == 0
    assert {path.name for path in out.iterdir()} == {
        *("cache", "weights.csv", "weights.json", "weights.png", LIST)
    }
    rows, settings = weights.read(out)
    assert settings["sha256"] == load_model(DEFAULT_MODEL).sha256
    assert sorted(set(rows.lam)) == [0.5, 1.0] and sorted(set(rows.omega)) == [0, 0.5, 1.0]
    assert len(rows) == 2 * 2 * 3 and set(rows.image) == {0, 1}
    assert min(Image.open(out / "weights.png").size) > 900
    # The paper's own choice is among ten steps.
    weights.draw(pd.concat([rows, rows.assign(lam=0.8, omega=0.6)]), settings, out / "weights.png")
    capsys.readouterr()
    for option, value, word in (("--steps", "0", "--steps"), ("--model", "nobody", "nobody")):
        assert main([*arguments, option, value]) == 2 and word in capsys.readouterr().err
    (out / "weights.json").unlink()
    with pytest.raises(weights.InputError, match="run the study weights"):
        weights.read(out)
