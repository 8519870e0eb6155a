"""The study of displays: its observer, its lesions, and what it writes, on small arrays."""

import json
from math import sqrt

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from funfuse_cli.__main__ import main
from funfuse_cli.studies import display, display_cases, display_shown
from funfuse_cli.studies.display_cases import PATCH, Head, Place
from funfuse_cli.studies.display_observer import DISK_MM, NOTICEABLE, aucs, channels
from FunFuseSlicer.Logic.color.colorize import colorize, jet_table

# --- The observer -------------------------------------------------------------------------------------


def seen_in_noise(signal, noise, count, rng, places=6):
    """Features of places: none and one lesion, in Gaussian noise of its own."""
    root = np.linalg.cholesky(noise)
    drawn = rng.standard_normal((places, count, 1, len(signal))) @ root.T
    return drawn + np.array([0 * signal, signal])


def test_a_known_signal_in_white_noise_gives_the_analytic_auc():
    eyes = channels(64, (1.0, 1.0))
    distance = np.hypot(*np.mgrid[-32:32, -32:32])
    signal = np.zeros((1, 64, 64, 3))
    signal[0, ..., 0] = 3.0 * np.exp(-((distance / 5.0) ** 2))
    # White noise of 8 in L*, hardly any of the observer's own.
    unit = np.kron(np.eye(3), eyes.weights.T @ eyes.weights)
    white, own = 64.0 * unit, 1e-6 * unit
    response = eyes.see(signal)[0]
    wanted = ndtr(sqrt(response @ np.linalg.solve(white, response) / 2))
    assert 0.75 < wanted < 0.95
    seen = seen_in_noise(response, white, 150, np.random.default_rng(0))
    for known in (True, False):
        found = aucs(seen, own, ["any"] * len(seen), known)
        assert np.nanmean(found) == pytest.approx(wanted, abs=0.02)
    # The channels hold what noise of the image gives: a sample of it.
    images = 8.0 * np.random.default_rng(1).standard_normal((400, 64, 64, 3))
    np.testing.assert_allclose(np.diag(np.cov(eyes.see(images).T)), np.diag(white), rtol=0.35)


def test_the_observers_own_noise_makes_a_noticeable_disk_noticeable():
    eyes = channels(64, (0.9, 1.1))
    rows, columns = np.mgrid[-32:32, -32:32]
    disk = np.zeros((1, 64, 64, 3))
    disk[0, ..., 1] = NOTICEABLE * (np.hypot(0.9 * rows, 1.1 * columns) <= DISK_MM / 2)
    response = eyes.see(disk)[0]
    assert response @ np.linalg.solve(eyes.noise, response) == pytest.approx(1.0)
    # Nothing but its own noise: two of them.
    seen = np.tile(np.array([0 * response, response]), (4, 2, 1, 1))
    assert np.nanmean(aucs(seen, eyes.noise, ["any"] * 4, True)) == pytest.approx(ndtr(sqrt(0.5)))
    assert np.abs(eyes.see(np.full((1, 64, 64, 3), 50.0))).max() < 1e-8, "a constant is not seen"


def test_no_lesion_is_found_by_chance():
    noise = np.eye(6)
    seen = seen_in_noise(np.zeros(6), noise, 40, np.random.default_rng(0), places=12)
    kinds = ["one", "other"] * 6
    for known in (True, False):
        found = aucs(seen, 0.1 * noise, kinds, known)
        assert np.nanmean(found) == pytest.approx(0.5, abs=0.03)
        there = ~np.isnan(found[0])
        same = np.eye(12, dtype=bool)
        assert there[same].all() == known and not there[0, 1]


def test_what_differs_between_places_hides_a_lesion_only_where_the_place_is_not_known():
    rng, signal = np.random.default_rng(0), np.array([1.5, 0.0, 0.0])
    seen = seen_in_noise(signal, np.eye(3), 30, rng, places=15)
    seen += 6.0 * rng.standard_normal((15, 1, 1, 3))
    known, unknown = (np.nanmean(aucs(seen, 0.1 * np.eye(3), ["any"] * 15, k)) for k in (True, False))
    assert known == pytest.approx(0.85, abs=0.03) and unknown < 0.65


# --- Lesions and displays -----------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([4.0, 8.0, 12.0]), st.sampled_from([6.0, 10.0]))
def test_a_lesion_is_a_ball_that_a_scanner_blurred(diameter, fwhm):
    spacing, half = (1.0, 1.0, 1.0), 24
    grid = np.mgrid[-half : half + 1, -half : half + 1, -half : half + 1]
    # A ball whose edge voxels count as much as lies in them, about.
    ball = np.clip(diameter / 2 + 0.5 - np.sqrt((grid**2).sum(axis=0)), 0, 1)
    ball *= np.pi / 6 * diameter**3 / ball.sum()
    blurred = gaussian_filter(ball, fwhm / 2.3548)[half]
    found = display_cases.lesion(diameter, fwhm, spacing)
    middle = PATCH // 2
    window = found[middle - half : middle + half + 1, middle - half : middle + half + 1]
    np.testing.assert_allclose(window, blurred, atol=0.02)
    assert found[middle, middle] == found.max() < 1


def made_up_head(group="FDG"):
    mri, pet = (np.zeros((5, 180, 180), np.float32) for _ in range(2))
    brain = np.zeros(mri.shape, bool)
    brain[:, 40:140, 40:140] = True
    rng = np.random.default_rng(0)
    mri[brain] = gaussian_filter(rng.random(mri.shape), (0, 2, 2))[brain] * 4 - 1.5
    pet[brain] = 0.4 + 0.5 * gaussian_filter(rng.random(mri.shape), (0, 4, 4))[brain]
    return Head(group, "made up", np.clip(mri, 0, 1), pet, brain, (30.0, 1.0, 1.0))


def test_places_are_deep_or_cortical_and_apart():
    head = made_up_head()
    found = display_cases.places(head, 3, np.random.default_rng(0))
    assert {place.kind for place in found} == {"cortical", "deep"}
    at = np.array([place.index for place in found]) * head.spacing
    apart = np.linalg.norm(at[:, None] - at, axis=-1)[~np.eye(len(at), dtype=bool)]
    assert apart.min() >= display_cases.APART_MM


def test_noise_is_that_of_the_scanner_and_lesions_change_what_they_should():
    head = made_up_head()
    mri, pets = display_cases.images(head, Place("deep", (4, 90, 90)), 20, np.random.default_rng(0))
    assert mri.shape == (PATCH, PATCH) and pets.shape == (20, 13, PATCH, PATCH)
    plain = display_cases.patch(head.pet, Place("deep", (4, 90, 90)))
    relative = (pets[:, 0] - plain) / np.sqrt(np.maximum(plain, 1e-6))
    inside = plain > 0
    assert relative[:, inside].std() == pytest.approx(display_cases.NOISE, rel=0.1)
    change = (pets.mean(axis=0)[:, PATCH // 2, PATCH // 2] / pets.mean(axis=0)[0, PATCH // 2, PATCH // 2]) - 1
    for (contrast, size), found in zip(display_cases.LESIONS, change[1:]):
        ball = display_cases.lesion(size, head.fwhm, head.spacing).max()
        assert found == pytest.approx(contrast * ball, abs=0.02)


def test_uptake_is_read_from_the_colors_that_tell_it():
    value, uptake = (image.ravel() for image in np.meshgrid(np.linspace(0.3, 1, 9), np.linspace(0, 1, 21)))
    errors = {}
    for name, colors in (
        ("jet", lambda v, u: colorize(v, u, jet_table(), 1.0)),
        ("nothing", lambda v, u: colorize(v, u, jet_table(), 0.0)),
    ):
        tree, said = display._palette(display_shown.Display("", "", "", "", 1.0, colors))
        lab = display.to_lab(colors(value, uptake))
        errors[name] = np.abs(said[tree.query(lab)[1]] - uptake)[uptake > 0.1].mean()
    assert errors["jet"] < 0.02 < 0.2 < errors["nothing"]


def test_edges_are_those_of_the_mri_or_not():
    mri = np.clip(gaussian_filter(np.random.default_rng(0).random((64, 64)), 2) * 6 - 2.5, 0, 1)
    lab = display.to_lab(np.repeat(np.rint(255 * mri).astype(np.uint8)[..., None], 3, axis=-1))
    assert display._edges(lab, mri) == pytest.approx((1.0, 1.0))
    follows, strength = display._edges(0.4 * lab, mri)
    assert follows == pytest.approx(1.0) and strength == pytest.approx(0.4)
    assert abs(display._edges(lab.transpose(1, 0, 2), mri)[0]) < 0.5
    assert display._edges(np.zeros_like(lab), mri) == (0.0, 0.0)


# --- The command --------------------------------------------------------------------------------------


def test_the_command_measures_every_display(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "data" / "volumes"
    for name in ("patient_fdg/T1", "patient_fdg/FDG", "patients_spect/a_T2", "patients_spect/a_SPECT"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.Image(2, 2, 2, sitk.sitkUInt8), str(folder / f"{name}.nii.gz"))
    monkeypatch.setattr(display_cases, "_patient", lambda group, mri, pet: made_up_head(group))
    monkeypatch.setattr(display_cases, "simulated", lambda *_: (None, None))
    monkeypatch.setattr(display_cases, "_head", lambda *_: made_up_head("simulated"))
    monkeypatch.setattr(display, "PLACES", dict.fromkeys(display.PLACES, 3))
    monkeypatch.setattr(display, "FEWER", dict.fromkeys(display.FEWER, 3))
    lesions = [(-0.3, 4.0), (-0.3, 12.0)]
    monkeypatch.setattr(display_cases, "LESIONS", lesions)
    for name, value in (("LESIONS", lesions), ("FEWER_IMAGES", [0, 2]), ("REALIZATIONS", 2), ("DRAWS", 20)):
        monkeypatch.setattr(display, name, value)
    monkeypatch.setattr(display_shown, "MODELS", ("faithful",))
    # Neither PyTorch nor Slicer's color maps, which take seconds to load.
    modes = tuple(mode for mode in display_shown.MODES if mode != "gradient")
    for name, value in (("MODES", modes), ("TABLES", ("Jet",)), ("OMEGAS", (0.6,)), ("OPACITIES", (0.5,))):
        monkeypatch.setattr(display_shown, name, value)
    arguments = ["study", "display", "--data", str(tmp_path / "data"), "--methods", "average"]
    assert main([*arguments, "--docs", str(tmp_path / "docs")]) == 0
    written = tmp_path / "docs" / "data"
    table = pd.read_csv(written / "display_summary.csv")
    assert set(table.kind) == {"PET alone", "overlay", "FunFuse", "method"}
    assert set(table["mode"].dropna()) == set(modes)
    assert table.auc.between(0.4, 1).all() and (table.auc_low <= table.auc_high).all()
    assert (table.gap[(table.kind == "PET alone") & (table.table == "gray")] == 0).all()
    edges = table.groupby("kind").edges.max()
    assert edges["PET alone"] + 0.1 < edges["FunFuse"]
    found = pd.read_csv(written / "display_lesions.csv")
    assert len(found) == 2 * len(lesions) * (~table.fewer).sum()
    gray = found[(found.kind == "PET alone") & (found.table == "gray")]
    sizes = gray.groupby("size").auc.mean()
    assert sizes[4.0] < sizes[12.0]
    facts = json.loads((written / "display_facts.json").read_text(encoding="utf-8"))
    assert facts["heads"] == ["made up"] * 3 and facts["displays"] == len(table)
    assert main(["study", "display", "--data", str(tmp_path / "docs")]) == 2
    assert "no folder 'volumes'" in capsys.readouterr().err
