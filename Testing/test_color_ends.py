"""Any Ω from two ends is what coloring anew gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.color import ends as color_ends
from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.color.ends import ColorEnds, ends_or_none
from FunFuseSlicer.Logic.color.sources import contribution_source


def head(seed=0):
    """Parts of a head in black, with a plane that is black altogether."""
    parts = np.random.default_rng(seed).random((2, 5, 12, 9), dtype=np.float32) * 0.6
    parts[:, :, :3], parts[:, :, 10:], parts[:, 4] = 0, 0, 0
    return contribution_source(*parts)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_within_two_levels_of_coloring_anew(omega, balance, seed):
    source, table = head(seed), jet_table()
    ends, colors = ColorEnds(source, table, balance), np.full((5, 12, 9, 3), 77, np.uint8)
    for plane in range(5):
        ends.paint_plane(colors, plane, omega)
    expected = source.colors(table, omega, balance)
    assert np.abs(colors.astype(int) - expected).max() <= 2
    np.testing.assert_array_equal(colors.any(axis=3), expected.any(axis=3))
    np.testing.assert_array_equal(ends.colors((slice(None), 5), omega), colors[:, 5])


@pytest.mark.parametrize("omega", [0.0, 1.0])
def test_the_ends_are_exact(omega):
    source, colors = head(), np.zeros((5, 12, 9, 3), np.uint8)
    ends = ColorEnds(source, jet_table(), 0.5)
    for plane in range(5):
        ends.paint_plane(colors, plane, omega)
    np.testing.assert_array_equal(colors, source.colors(jet_table(), omega, 0.5))


def test_complete_when_every_plane_was_computed():
    ends = ColorEnds(head(), jet_table(), 0.5)
    for plane in range(5):
        assert not ends.complete
        ends.add(plane)
    assert ends.complete


def test_large_volumes_do_without(monkeypatch):
    assert ends_or_none(head(), jet_table(), 0.5) is not None
    monkeypatch.setattr(color_ends, "MOST_VOXELS", 100)
    assert ends_or_none(head(), jet_table(), 0.5) is None
