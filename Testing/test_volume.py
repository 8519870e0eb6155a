"""Geometry: axial order of any acquisition, resampling in any frame."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.studies.odd_inputs.pairs import reoriented
from FunFuseSlicer.Logic.errors import DeviceError, InputError
from FunFuseSlicer.Logic.volumes.geometry import (
    Volume,
    axial_order,
    enough_memory,
    from_axial,
    resample,
    to_axial,
    volume_from_sitk,
    volume_to_sitk,
)

ORIENTATIONS = [
    (permutation, flips)
    for permutation in itertools.permutations(range(3))
    for flips in itertools.product([False, True], repeat=3)
]


@pytest.mark.parametrize("permutation, flips", ORIENTATIONS)
def test_any_orientation_gives_the_same_axial_slices(pair, permutation, flips):
    mri, _ = pair
    turned = reoriented(mri, permutation, flips)
    order = axial_order(turned.ijk_to_ras)
    np.testing.assert_array_equal(
        to_axial(turned.array, order), to_axial(mri.array, axial_order(mri.ijk_to_ras))
    )
    np.testing.assert_array_equal(from_axial(to_axial(turned.array, order), order), turned.array)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [45, -45, 135])
def test_storage_does_not_decide_where_two_axes_fit_alike(pair, axis, degrees):
    """At 45° two ways to slice are equally good, but for rounding."""
    mri, _ = pair
    angle, turn = np.deg2rad(degrees), np.eye(4)
    others = [other for other in range(3) if other != axis]
    turn[np.ix_(others, others)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = Volume(mri.array, turn @ mri.ijk_to_ras)
    expected = to_axial(oblique.array, axial_order(oblique.ijk_to_ras))
    for permutation, flips in ORIENTATIONS:
        turned = reoriented(oblique, permutation, flips)
        np.testing.assert_array_equal(to_axial(turned.array, axial_order(turned.ijk_to_ras)), expected)


def test_axial_rows_run_to_the_back_and_columns_to_the_left(pair):
    """Radiological display: the phantom's hot spot is on the patient's left, at the back, above."""
    _, pet = pair
    slices = to_axial(pet.array, axial_order(pet.ijk_to_ras))
    level, row, column = (int(np.mean(x)) for x in np.nonzero(slices == 9000))
    assert level > slices.shape[0] / 2 and row > slices.shape[1] / 2 and column > slices.shape[2] / 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_oblique_axes_never_share_a_target(seed):
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    axes, flips = axial_order(matrix)
    assert sorted(axes) == [0, 1, 2]
    array = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(from_axial(to_axial(array, (axes, flips)), (axes, flips)), array)


def test_color_arrays_keep_their_last_axis(pair):
    mri, _ = pair
    turned = reoriented(mri, (2, 0, 1), (True, False, True))
    order = axial_order(turned.ijk_to_ras)
    rgb = np.stack([turned.array] * 3, axis=-1)
    assert to_axial(rgb, order).shape == to_axial(turned.array, order).shape + (3,)
    np.testing.assert_array_equal(from_axial(to_axial(rgb, order), order), rgb)


def test_resampling_on_the_own_grid_is_the_identity(pair):
    mri, _ = pair
    np.testing.assert_allclose(resample(mri, mri).array, mri.array, atol=1e-4)


@pytest.mark.parametrize("permutation, flips", ORIENTATIONS[::5])
def test_resampling_undoes_a_change_of_storage(pair, permutation, flips):
    mri, _ = pair
    np.testing.assert_allclose(resample(reoriented(mri, permutation, flips), mri).array, mri.array, atol=1e-3)


def test_resampling_follows_the_transform(pair):
    """The transform maps points of the moving volume into the fixed one, as Slicer's to-parent does."""
    _, pet = pair
    shift = np.eye(4)
    shift[:3, 3] = [6.0, -9.0, 8.0]
    moved = Volume(pet.array, np.linalg.inv(shift) @ pet.ijk_to_ras, pet.name)
    np.testing.assert_allclose(resample(moved, pet, shift).array, pet.array, atol=1e-2)


def test_sheared_axes_are_resampled_rightly(pair):
    mri, _ = pair
    sheared = mri.ijk_to_ras.copy()
    sheared[0, 2] = 0.5
    back = resample(resample(mri, Volume(mri.array, sheared)), mri)
    inside = mri.array > 100
    assert np.corrcoef(back.array[inside], mri.array[inside])[0, 1] > 0.8
    there_is_shear = resample(mri, Volume(mri.array, sheared)).array
    assert np.abs(there_is_shear - mri.array).max() > 50


@pytest.mark.parametrize(
    "column", [[0.0, 0.0, 0.0], [np.nan, 0.0, 1.0], [-3.0, 0.0, 0.0]], ids=["zero", "NaN", "parallel"]
)
def test_axes_that_do_not_span_space_are_refused(pair, column):
    mri, _ = pair
    matrix = mri.ijk_to_ras.copy()
    matrix[:3, 2] = column
    with pytest.raises(InputError, match='"flat" has no usable position in space.*Correct its header'):
        resample(Volume(mri.array, matrix, "flat"), mri)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Failed to allocate memory for image.")])
def test_no_memory_for_resampling_is_told(pair, monkeypatch, error):
    def refuse(*_):
        raise error

    mri, pet = pair
    monkeypatch.setattr(sitk, "Resample", refuse)
    with pytest.raises(DeviceError, match='"FDG" on the grid of "T1" does not fit.*close other programs'):
        resample(pet, mri)


def test_other_faults_are_not_taken_for_want_of_memory():
    with pytest.raises(RuntimeError, match="else"), enough_memory("T1"):
        raise RuntimeError("something else")


def test_outside_is_zero(pair):
    mri, _ = pair
    far = mri.ijk_to_ras.copy()
    far[0, 3] += 1000
    assert not resample(Volume(mri.array, far), mri).array.any()


def test_nearest_keeps_labels(pair):
    mri, _ = pair
    labels = mri.with_array((mri.array > 100).astype(np.uint8))
    result = resample(labels, mri, nearest=True).array
    assert result.dtype == np.uint8 and set(np.unique(result)) == {0, 1}


def test_sitk_round_trip(pair):
    mri, _ = pair
    turned = reoriented(mri, (1, 2, 0), (False, True, False))
    back = volume_from_sitk(volume_to_sitk(turned), "T1")
    np.testing.assert_allclose(back.ijk_to_ras, turned.ijk_to_ras, atol=1e-9)
    np.testing.assert_array_equal(back.array, turned.array)
    assert back.same_grid(turned) and not back.same_grid(mri)
