"""The table of colors in two dimensions: its order for every eye, and the colors of the mode."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from FunFuseSlicer.Logic.color.colorize import colorize, jet_table
from FunFuseSlicer.Logic.color.ends import ColorEnds
from FunFuseSlicer.Logic.color.lab import encoded, lab_to_light, light_to_lab, linear, to_lab
from FunFuseSlicer.Logic.color.ordered import LIGHTEST, ordered_table
from FunFuseSlicer.Logic.color.sources import uptake_source
from FunFuseSlicer.Logic.color.tables import named_table

unit = st.floats(0, 1, width=32)
images = arrays(np.float32, (3, 4, 5), elements=unit)
levels = st.integers(0, 255)

# Linear RGB as it looks without one kind of cone (Machado, Oliveira and Fernandes, IEEE TVCG 15, 1291, 2009,
# severity 1), and the axis of L*, a*, b* along which uptake grows then.
EYES = {
    "protan": (
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        2,
    ),
    "deutan": (
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        2,
    ),
    "tritan": (
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
        1,
    ),
    "all cones": (np.eye(3), 1),
}


# --- CIELAB -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rgb, lab",
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colors(rgb, lab):
    np.testing.assert_allclose(to_lab(np.array(rgb, np.uint8)), lab, atol=0.02)
    np.testing.assert_allclose(to_lab(np.array(rgb) / 255.0), lab, atol=0.02)


@settings(max_examples=50, deadline=None)
@given(arrays(float, (7, 3), elements=st.floats(0, 1)))
def test_lab_and_back(rgb):
    np.testing.assert_allclose(encoded(lab_to_light(to_lab(rgb))), rgb, atol=1e-5)


# --- The table ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(levels, levels, levels, st.floats(0, 1))
def test_lightness_tells_the_brightness_alone_and_grows_with_it(first, second, uptake, omega):
    low, high = sorted((first, second))
    value, functional = np.array([low, high]) / 255, np.array([uptake, uptake]) / 255
    below, above = to_lab(colorize(value, functional, ordered_table(), omega))[:, 0]
    # A step of 8 bits is up to 0.4.
    assert below <= above + 0.4
    if high > low + 2:
        assert below < above
    full = to_lab(ordered_table()[high])[:, 0]
    assert np.ptp(full) < 1 and abs(full.mean() - to_lab(np.full(3, high / 255))[0] * LIGHTEST / 100) < 0.5


def test_from_gray_to_the_edge_of_what_a_screen_can_show():
    lab = to_lab(ordered_table())
    assert np.ptp(ordered_table()[:, 0], axis=-1).max() == 0, "no uptake is gray"
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    # Two roundings to 8 bits.
    assert (np.maximum.accumulate(chroma, axis=1) - chroma).max() < 1.6
    # A sixth more chroma at the end, and a channel leaves the range.
    more = lab[20:, -1] * [1.0, 1.17, 1.17] + [0.0, 0.5, 0.5]
    light = lab_to_light(more)
    assert ((light < 0) | (light > 1)).any(axis=-1).all()
    # One level of brightness or uptake is no more than two of a channel: pages round both.
    for axis in (0, 1):
        assert np.abs(np.diff(ordered_table().astype(int), axis=axis)).max() <= 2
    assert not ordered_table().flags.writeable


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("steps, least", [(5, 6.0), (9, 2.0)])
def test_the_order_of_uptake_can_be_read_by_every_eye(eye, steps, least):
    matrix, axis = EYES[eye]
    # Not so dark or bright as few voxels are.
    rows = ordered_table()[90:230, np.rint(np.linspace(0, 255, steps)).astype(int)]
    seen = light_to_lab(np.clip(linear(rows / 255.0) @ np.transpose(matrix), 0, 1))
    assert np.diff(seen[..., axis], axis=1).min() > 0
    assert np.linalg.norm(np.diff(seen, axis=1), axis=-1).min() > least


def test_jet_has_no_such_order():
    """What the test before would find."""
    seen = light_to_lab(np.clip(linear(jet_table()[::32]) @ np.transpose(EYES["deutan"][0]), 0, 1))
    assert all((np.diff(seen, axis=0)[:, axis] < 0).any() for axis in (1, 2))


def test_maps_without_slicer():
    """Inferno and Cividis grow lighter all the way; Cividis also for those who confuse red and green."""
    for name in ("inferno", "Cividis"):
        table = named_table(name)
        assert (np.diff(to_lab(table)[:, 0]) > 0).all() and 0 <= table.min() < table.max() <= 1
    for eye in ("protan", "deutan"):
        seen = light_to_lab(np.clip(linear(table[::8]) @ np.transpose(EYES[eye][0]), 0, 1))
        assert (np.diff(seen[:, 0]) > 0).all()
    np.testing.assert_array_equal(named_table("JET"), jet_table())
    assert named_table("PET-Heat") is None


# --- The mode -----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(images, images, unit)
def test_color_is_linear_in_omega_and_black_stays_black(value, functional, omega):
    gray, full, mixed = (colorize(value, functional, ordered_table(), o) for o in (0.0, 1.0, omega))
    assert (gray == np.rint(value * 255)[..., None]).all()
    place = (np.rint(image * np.float32(255)).astype(int) for image in (value, functional))
    np.testing.assert_array_equal(full, ordered_table()[tuple(place)])
    assert np.abs(mixed - ((1 - omega) * gray.astype(float) + omega * full)).max() <= 1.01
    np.testing.assert_array_equal(mixed.any(axis=-1), gray[..., 0] > 0)


@settings(max_examples=20, deadline=None)
@given(images, images, unit, unit)
def test_the_color_map_does_not_count_and_ends_give_every_omega(mri_part, pet_part, omega, balance):
    parts, table = (mri_part / 2, pet_part / 2), jet_table()
    source = uptake_source(parts, pet_part, 0.9, ordered=True)
    expected = source.colors(table, omega, balance)
    np.testing.assert_array_equal(expected, source.colors(table[::-1], omega, balance))
    np.testing.assert_array_equal(source.function(), uptake_source(parts, pet_part, 0.9).function())
    ends, colors = ColorEnds(source, table, balance), np.empty((3, 4, 5, 3), np.uint8)
    for plane in range(3):
        ends.paint_plane(colors, plane, omega)
    assert np.abs(colors.astype(int) - expected).max() <= 2


def test_the_colors_of_a_scale_are_those_of_the_image():
    value, uptake = np.full((1, 1, 256), 0.64, np.float32), np.linspace(0, 1, 256)[None, None]
    source = uptake_source((value,), uptake, 1.0, ordered=True)
    for omega in (0.0, 0.6, 1.0):
        shown = np.rint(255 * source.scale_colors(jet_table(), omega))
        assert np.abs(shown - source.colors(jet_table(), omega, 0.5)[0, 0]).max() <= 1
