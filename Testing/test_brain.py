"""Where the brain lies in an MRI: made-up heads of several contrasts, and real ones."""

from dataclasses import replace

import numpy as np
import pytest

from funfuse_cli.reading.reader import read_volume
from funfuse_cli.studies.odd_inputs import heads
from FunFuseSlicer.Logic.registration.plausibility import rotation_matrix
from FunFuseSlicer.Logic.volumes.brain import estimate_brain
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import clean
from Testing.conftest import REAL_IMAGES, SHARED

POINTS = heads.brain_points()


def _indices(volume, points):
    inverse = np.linalg.inv(volume.ijk_to_ras)
    ijk = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    return ijk[((ijk >= 0) & (ijk < volume.dimensions)).all(axis=1)][:, ::-1]


def _share(brain, volume, points):
    return brain[tuple(_indices(volume, points).T)].mean()


def _milliliters(brain, volume):
    return brain.sum() * volume.spacing.prod() / 1000.0


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"values": heads.T2},
        {"values": heads.FLAIR},
        {"coil": ((20, -40, 10), 45.0)},
        {"coil": ((0, 60, 0), 45.0)},
        {"stripped": True},
        {"size": (216, 246, 110), "center": (0, 0, 10)},
        {"size": (420, 260, 720), "center": (0, -10, -270), "mm": 4.0, "body": True},
        {"noise": 0.05},
    ],
    ids=["T1", "T2", "FLAIR", "coil behind", "coil in front", "stripped", "cut off", "body", "noisy"],
)
def test_a_made_up_head(kind):
    volume = heads.mri(**kind)
    brain = estimate_brain(volume)
    assert brain.shape == volume.array.shape and brain.dtype == bool
    assert _share(brain, volume, POINTS) > 0.93
    # Skin and bone at the sides and on top are none of it.
    shell = POINTS[np.linalg.norm(POINTS / (67, 85, 64), axis=1) > 0.75]
    outside = shell[shell[:, 2] > 0] * 1.45
    assert _share(brain, volume, outside) < 0.02
    assert _milliliters(brain, volume) < 2100


def test_the_order_of_the_axes_and_a_turned_head_change_little():
    volume = heads.mri()
    expected = estimate_brain(volume)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix((20, -15, 25))
    turned = estimate_brain(replace(volume, ijk_to_ras=matrix @ volume.ijk_to_ras))
    assert _dice(turned, expected) > 0.95
    # As an acquisition in sagittal slices from left to right, feet first within them, stores it.
    stored = volume.array.transpose(2, 1, 0)[::-1, :, ::-1]
    n = volume.array.shape
    swap = np.array([[0, 0, -1, n[2] - 1], [0, 1, 0, 0], [-1, 0, 0, n[0] - 1], [0, 0, 0, 1.0]])
    sagittal = Volume(np.ascontiguousarray(stored), volume.ijk_to_ras @ swap, "T1")
    found = estimate_brain(sagittal)
    assert _dice(found[::-1, :, ::-1].transpose(2, 1, 0), expected) > 0.95


def _dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).random((70, 70, 70), np.float32),
        np.zeros((70, 70, 70), np.float32),
        np.ones((1, 70, 70), np.float32),
        np.eye(70, dtype=np.float32)[None] * np.ones((70, 1, 1), np.float32),
    ],
    ids=["noise", "nothing", "a slice", "a line"],
)
def test_where_it_cannot_say(array):
    assert estimate_brain(Volume(array, np.diag([-3.0, -3.0, 3.0, 1.0]), "odd")) is None


def test_a_head_too_small_is_none():
    volume = heads.mri(stripped=True)
    assert estimate_brain(replace(volume, ijk_to_ras=volume.ijk_to_ras @ np.diag([0.6, 0.6, 0.6, 1]))) is None


@pytest.mark.parametrize(
    "case, image", [("07-hot-glands", "T1"), ("12-coil-sensitivity", "T1"), ("10-mri-around-zero", "UNI")]
)
def test_cases_with_known_tissue(case, image):
    folder = SHARED / "cases" / case
    if not folder.is_dir():
        pytest.skip(REAL_IMAGES)
    volume = clean(read_volume(folder / f"{image}.nii.gz"), mri=True)[0]
    brain = estimate_brain(volume)
    truth = np.load(SHARED / "cases" / "07-hot-glands" / "truth.npz")  # one head in all of them
    assert _share(brain, volume, truth["points"].astype(float)) > 0.95
    assert 1500 < _milliliters(brain, volume) < 1950


@pytest.mark.parametrize("case", ["09", "10", "18", "25", "36"])
def test_patients_their_uptake_lies_in_it(shared_data, case):
    folder = shared_data / "volumes" / "patients_spect"
    _check_patient(folder / f"spect_case{case}_T2.nii.gz", folder / f"spect_case{case}_SPECT.nii.gz")


def test_the_patient_with_fdg(shared_data):
    folder = shared_data / "volumes" / "patient_fdg"
    _check_patient(folder / "T1.nii.gz", folder / "FDG.nii.gz")


def _check_patient(mri, pet):
    volume, uptake = read_volume(mri), read_volume(pet).array
    brain = estimate_brain(volume)
    hot = uptake > 0.5 * np.percentile(uptake, 99.9)
    assert 0.9 < brain[hot].mean()
    assert 800 < _milliliters(brain, volume) < 2000


def test_a_volume_is_looked_at_once_until_it_changes(monkeypatch):
    from FunFuseSlicer.Logic.volumes import brain as module

    asked = []
    monkeypatch.setattr(module, "_estimate", lambda mri: asked.append(mri) or np.zeros(mri.array.shape, bool))
    volume = heads.mri(mm=8.0)
    first = module.estimate_brain(volume)
    assert module.estimate_brain(replace(volume, name="again")) is first and len(asked) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0] = True
    module.estimate_brain(replace(volume, ijk_to_ras=2 * volume.ijk_to_ras))
    module.estimate_brain(volume.with_array(volume.array.copy()))
    module.estimate_brain(volume)
    assert len(asked) == 4
    volume.array[0, 0, 0] += 1
    module.estimate_brain(volume)
    assert len(asked) == 5, "somebody wrote into the voxels"
