"""The one-pass coloring equals HSV by the book."""

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from FunFuseSlicer.Logic.color.colorize import RAMP_END, balanced, chroma_table, colorize, jet_table

unit = st.floats(0, 1, width=32)
images = arrays(np.float32, (4, 5), elements=unit)


@settings(max_examples=30, deadline=None)
@given(unit, unit, st.integers(0, 255))
def test_equals_hsv(value, omega, index):
    table = jet_table()
    hue, saturation, _ = colorsys.rgb_to_hsv(*table[index])
    expected = np.array(colorsys.hsv_to_rgb(hue, omega * saturation, value)) * 255
    mixed = (1 - omega) + omega * chroma_table(table, ramp=False)[index]
    np.testing.assert_allclose(mixed * value * 255, expected, atol=1e-3)
    functional = np.array([index / 255])
    if functional >= RAMP_END:
        rgb = colorize(np.array([value]), functional, table, omega)
        np.testing.assert_allclose(rgb[0], expected, atol=0.51)


@settings(max_examples=20, deadline=None)
@given(images, images)
def test_omega_zero_is_gray(value, functional):
    rgb = colorize(value, functional, jet_table(), omega=0.0)
    assert (rgb == np.rint(value * 255)[..., None]).all()


@settings(max_examples=20, deadline=None)
@given(images, images, unit)
def test_color_is_linear_in_omega(value, functional, omega):
    gray, full, mixed = (colorize(value, functional, jet_table(), o) for o in (0.0, 1.0, omega))
    expected = (1 - omega) * gray.astype(float) + omega * full
    assert np.abs(mixed - expected).max() <= 1.01  # three roundings to 8 bits


@settings(max_examples=20, deadline=None)
@given(images, images, unit)
def test_brightest_channel_is_the_value(value, functional, omega):
    rgb = colorize(value, functional, jet_table(), omega)
    assert np.abs(rgb.max(axis=-1) - np.rint(value * 255)).max() <= 1


def test_no_uptake_is_gray_and_black_is_black():
    rgb = colorize(np.array([0.5, 0.0]), np.array([0.0, 1.0]), jet_table(), omega=1.0)
    assert rgb[0].tolist() == [128, 128, 128]
    assert rgb[1].tolist() == [0, 0, 0]


def test_jet_runs_from_blue_through_green_to_red():
    table = jet_table()
    np.testing.assert_allclose(table[[0, 128, 255]], [[0, 0, 0.5], [0.5, 1, 0.5], [0.5, 0, 0]], atol=0.01)


def test_black_entries_of_a_table_have_no_hue():
    heat = np.linspace(0, 1, 256)[:, None] * np.array([1.0, 0.5, 0.0])
    chroma = chroma_table(heat, ramp=False)
    assert chroma[0].tolist() == [1, 1, 1]
    np.testing.assert_allclose(chroma[1:], np.tile([1, 0.5, 0], (255, 1)), atol=1e-6)


@pytest.mark.parametrize("levels", [2, 16, 256, 1000])
def test_tables_of_any_length_serve(levels):
    np.testing.assert_allclose(chroma_table(jet_table(levels)).max(axis=1), 1.0, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(images, images)
def test_balance(mri_part, pet_part):
    np.testing.assert_allclose(balanced(mri_part, pet_part, 0.5), mri_part + pet_part, rtol=1e-6)
    np.testing.assert_allclose(balanced(mri_part, pet_part, 0.0), 2 * mri_part)
    np.testing.assert_allclose(balanced(mri_part, pet_part, 1.0), 2 * pet_part)
