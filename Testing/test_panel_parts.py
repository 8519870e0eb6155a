"""The parts of the panel that need no scene: states, times, names, planes, colors."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.color.colorize import MODES, colorize, jet_table
from FunFuseSlicer.Logic.color.sources import (
    contribution_source,
    gradient_source,
    scale_of,
    uptake_source,
)
from FunFuseSlicer.Logic.panel.run_state import RunState, RunStateMachine
from FunFuseSlicer.Logic.panel.time_left import TimeLeft, in_words
from FunFuseSlicer.Logic.volumes.doubts import MR, PT, name_modality
from FunFuseSlicer.Logic.volumes.slabs import shown_voxels

# States


def test_a_run_goes_from_idle_over_running_to_idle():
    seen = []
    machine = RunStateMachine(lambda: seen.append(machine.state))
    machine.start()
    machine.cancel()
    machine.cancel()
    machine.finish()
    assert seen == [RunState.RUNNING, RunState.CANCELLING, RunState.IDLE]
    machine.cancel()
    assert machine.state is RunState.IDLE


def test_only_one_panel_runs_at_a_time():
    one, other = RunStateMachine(), RunStateMachine()
    one.start()
    assert other.busy_elsewhere and not one.busy_elsewhere
    with pytest.raises(RuntimeError):
        other.start()
    with pytest.raises(RuntimeError):
        one.start()
    one.finish()
    other.start()
    other.finish()
    with pytest.raises(RuntimeError):
        other.finish()


# Times


def test_time_left_follows_the_stage():
    now = [0.0]
    left = TimeLeft(lambda: now[0])
    assert left.update("Fusing", 0.0) is None
    now[0] = 10.0
    assert left.update("Fusing", 0.25) == pytest.approx(30.0)
    assert left.update("Fusing", None) is None
    assert left.update("Coloring", 0.5) is None
    now[0] = 12.0
    assert left.update("Coloring", 0.5) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "seconds, words",
    [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (84, "1 min 20 s"), (125, "2 min"), (700, "11 min")],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


# Names


@pytest.mark.parametrize(
    "name, expected",
    [
        ("T1", MR),
        ("t1_mprage_sag", MR),
        ("12: AX FLAIR", MR),
        ("MR000123", None),
        ("Brain MRI", MR),
        ("FDG", PT),
        ("PET AC 3D brain", PT),
        ("spect_hmpao", PT),
        ("PET-MR T1", None),
        ("Volume", None),
        ("petra", None),
        ("", None),
    ],
)
def test_modality_by_name(name, expected):
    assert name_modality(name) == expected


# Planes


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    normal=st.tuples(*[st.floats(-1, 1)] * 3),
    point=st.tuples(*[st.floats(-2, 10)] * 3),
    seed=st.integers(0, 999),
)
def test_every_voxel_that_interpolation_on_a_plane_needs_is_shown(shape, normal, point, seed):
    normal = np.array(normal)
    assume(np.linalg.norm(normal) > 0.1)
    plane = np.array([*normal, -normal @ point])
    shown = np.zeros(shape, bool)
    shown[shown_voxels(shape, plane)] = True
    # Random points of the plane, in (i, j, k).
    basis = np.linalg.svd(normal[None])[2][1:]
    points = np.array(point) + np.random.default_rng(seed).uniform(-12, 12, (200, 2)) @ basis
    low = np.floor(points - 1e-9).astype(int)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(1 - np.abs(points - (low + corner)), axis=1)
        # Less than one level in 255: not seen.
        needed = (low + corner)[weight > 2e-3]
        inside = needed[np.all((needed >= 0) & (needed < np.array(shape)[::-1]), axis=1)]
        i, j, k = inside.T
        assert shown[k, j, i].all()


def test_a_view_along_the_slices_shows_one_or_two():
    shape = (8, 9, 10)
    assert shown_voxels(shape, [0, 0, 1, -3.0])[0] == slice(3, 4)
    assert shown_voxels(shape, [0, 0, 2, -6.5])[0] == slice(3, 5)
    assert np.zeros(shape)[shown_voxels(shape, [0, 0, 1, 20.0])].size == 0
    assert np.zeros(shape)[shown_voxels(shape, [0, 0, 1, -20.0])].size == 0
    assert np.zeros(shape)[shown_voxels(shape, [1, 0, 0, -9.0])].shape == (8, 9, 1)


def test_an_oblique_plane_shows_few():
    shape = (40, 40, 40)
    shown = np.zeros(shape, bool)
    shown[shown_voxels(shape, [0.3, 0.2, 1.0, -25.0])] = True
    assert 40 * 40 < shown.sum() < 5 * 40 * 40


# Colors


@pytest.fixture
def parts():
    rng = np.random.default_rng(3)
    return [rng.random((5, 6, 7), dtype=np.float32) for _ in range(3)]


@pytest.mark.parametrize("mode", MODES)
def test_a_part_of_the_volume_is_colored_as_the_whole(parts, mode):
    mri_part, pet_part, pet = parts
    source = {
        "contribution": lambda: contribution_source(mri_part, pet_part),
        "uptake": lambda: uptake_source((mri_part, pet_part), 3000 * pet),
        "ordered": lambda: uptake_source((mri_part, pet_part), 3000 * pet, ordered=True),
        "gradient": lambda: gradient_source(mri_part, pet_part),
    }[mode]()
    whole = source.colors(jet_table(), 0.6, 0.3)
    for where in (np.s_[2:3], np.s_[:, 1:2], shown_voxels((5, 6, 7), [0.3, 0.2, 1.0, -3.0])):
        np.testing.assert_array_equal(source.colors(jet_table(), 0.6, 0.3, where), whole[where])


def test_without_parts_the_fused_image_is_the_brightness_whatever_the_balance(parts):
    mri_part, pet_part, pet = parts
    fused = (mri_part + pet_part) / 2
    source = uptake_source((fused,), pet)
    for balance in (0.0, 0.5, 1.0):
        np.testing.assert_array_equal(source.brightness(balance), fused)


def test_the_scale_belongs_to_the_volume(parts):
    mri_part, pet_part, pet = parts
    source = uptake_source((mri_part, pet_part), 3000 * pet, 3000.0)
    np.testing.assert_array_equal(
        source.colors(jet_table(), 1.0, 0.5), colorize(mri_part + pet_part, pet, jet_table(), 1.0)
    )
    assert scale_of(np.zeros((2, 2, 2))) == 1.0
