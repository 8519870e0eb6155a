"""Odd voxels are replaced and counted; one robust scale for a whole volume."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.errors import DeviceError, InputError
from FunFuseSlicer.Logic.volumes.geometry import Volume
from FunFuseSlicer.Logic.volumes.preprocessing import (
    check_overlap,
    clean,
    full_range,
    normalize,
    robust_scale,
)


def volume(values, name="PET 7"):
    return Volume(np.asarray(values, dtype=np.float32).reshape(1, 1, -1), name=name)


def test_odd_voxels_become_zero_and_are_counted():
    cleaned, replaced = clean(volume([np.nan, np.inf, -np.inf, -5, 0, 3]))
    assert cleaned.array.ravel().tolist() == [0, 0, 0, 0, 0, 3]
    assert (replaced.nan, replaced.infinite, replaced.negative) == (1, 2, 1)
    sentence = replaced.sentence("PET 7")
    assert '"PET 7"' in sentence and "1 NaN, 2 infinite, 1 negative" in sentence


def test_nothing_replaced_says_nothing():
    assert clean(volume([0, 1]))[1].sentence("x") is None


@pytest.mark.parametrize("values", [[0, 0, 0], [7, 7, 7], [np.nan] * 3, [-1, -2, -3], [np.nan, -1, 0]])
def test_no_contrast_is_refused_by_name(values):
    with pytest.raises(InputError, match='"PET 7".*no contrast'):
        clean(volume(values))


@pytest.mark.parametrize(
    "values, words",
    [
        ([np.nan, np.nan, -1], "zero everywhere once its 2 NaN, 1 negative voxels are set to 0"),
        ([np.inf] * 3, "once its 3 infinite voxels"),
        ([7, 7, 7], '"PET 7" has the same value everywhere: it'),
    ],
)
def test_what_left_no_contrast_is_told(values, words):
    with pytest.raises(InputError, match=words):
        clean(volume(values))


@pytest.mark.filterwarnings("error")
def test_beyond_single_precision_counts_as_infinite():
    array = np.array([1e300, 1, 2]).reshape(1, 1, 3)
    cleaned, replaced = clean(Volume(array, name="PET 7"))
    assert cleaned.array.ravel().tolist() == [0, 1, 2] and replaced.infinite == 1


def test_no_memory_is_told_with_the_name(monkeypatch):
    def refuse(_):
        raise MemoryError

    monkeypatch.setattr(np, "isnan", refuse)
    with pytest.raises(DeviceError, match='"PET 7" does not fit into the computer.s memory: close other'):
        clean(volume([1, 2, 3]))


def test_empty_is_refused():
    with pytest.raises(InputError, match="no voxels"):
        clean(Volume(np.zeros((0, 3, 3)), name="PET 7"))


def test_input_is_not_changed():
    original = volume([np.nan, -1, 2])
    clean(original)
    assert np.isnan(original.array[0, 0, 0]) and original.array[0, 0, 1] == -1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-7, 1e9))
def test_robust_normalization_ignores_the_unit(seed, factor):
    array = np.random.default_rng(seed).gamma(2.0, 1.0, 500).astype(np.float32)
    once, scaled = normalize(array), normalize(array * np.float32(factor))
    np.testing.assert_allclose(once, scaled, atol=1e-5)


@pytest.mark.parametrize(
    "shape, kind",
    [((60, 70, 50), "gamma"), ((1, 300, 400), "full"), ((90, 60, 40), "few"), ((30, 20, 8), "gamma")],
)
def test_the_robust_scale_of_a_large_volume_is_that_of_all_its_voxels(shape, kind):
    """Sorted are the largest only: also where many are equal, or hardly any is above 0."""
    rng = np.random.default_rng(1)
    array = rng.gamma(2.0, 40.0, shape).astype(np.float32)
    array[rng.random(shape) < (0.999 if kind == "few" else 0.5)] = 0
    if kind == "full":
        array = array.clip(0, 60)
    for voxels in (array, array.transpose(2, 0, 1)[::-1]):
        positive = voxels[voxels > 0]
        head = positive[positive > 0.1 * np.percentile(positive, 99.9)]
        assert robust_scale(voxels) == pytest.approx(float(np.percentile(head, 99.5)), rel=1e-6)


def test_one_hot_voxel_does_not_set_the_scale():
    array = np.random.default_rng(0).uniform(0.5, 1.0, 20_000).astype(np.float32)
    scale = robust_scale(array)
    array[7] = 1e6
    assert robust_scale(array) == pytest.approx(scale, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["robust", "minmax", "none"]))
def test_range_is_0_to_1_and_zero_stays_zero(seed, method):
    array = np.random.default_rng(seed).uniform(0, 300, 200).astype(np.float32)
    array[:20] = 0
    result = normalize(array, method, 255.0)
    assert result.dtype == np.float32 and result.min() >= 0 and result.max() <= 1
    assert not result[:20].any()


def test_an_even_image_has_a_range():
    """The PET of an even phantom that covers more than the MRI does."""
    assert normalize(np.full(4, 5, np.float32), "minmax").tolist() == [1, 1, 1, 1]


def test_none_divides_8_bits_by_255():
    array = np.array([0, 51, 255], dtype=np.uint8)
    np.testing.assert_allclose(
        normalize(array.astype(np.float32), "none", full_range(array.dtype)), [0, 0.2, 1]
    )
    assert full_range(np.dtype("float32")) == 1.0 and full_range(np.dtype("uint16")) == 65535


def test_unknown_method_is_refused():
    with pytest.raises(InputError, match="robust, minmax, none"):
        normalize(np.ones(3), "best")


def test_overlap():
    with pytest.raises(InputError, match='"PET" and "PET 7" do not overlap.*register'):
        check_overlap(np.zeros((1, 1, 3)), volume([1, 2, 3]), "PET", "register them.")
    check_overlap(np.ones((1, 1, 3)), volume([1, 2, 3]), "PET", "")
