"""Marks on pictures of slices, and the preview that has them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from funfuse_cli.workflow.marks import color_bar, marked, number, position
from funfuse_cli.workflow.preview import TILE, write_preview
from FunFuseSlicer.Logic.color.sources import uptake_source
from FunFuseSlicer.Logic.report.contents import straightened
from Testing.conftest import head_phantom
from Testing.test_report import contents_of

BLACK = np.zeros((200, 200, 3), np.uint8)


@pytest.mark.parametrize(
    "plane, point, words",
    [
        ("Axial", (1, 2, 34.26), "S 34.3 mm"),
        ("Axial", (1, 2, -34.26), "I 34.3 mm"),
        ("Sagittal", (-5, 2, 3), "L 5.0 mm"),
        ("Sagittal", (5, 2, 3), "R 5.0 mm"),
        ("Coronal", (5, -0.01, 3), "A 0.0 mm"),
        ("Coronal", (5, -12, 3), "P 12.0 mm"),
    ],
)
def test_positions_name_the_side(plane, point, words):
    assert position(plane, point) == words


@pytest.mark.parametrize("pixels_per_mm, millimeters", [(1.0, 50), (1.3, 20), (3.1, 10), (0.2, 200)])
def test_the_scale_bar_is_as_long_as_it_says(pixels_per_mm, millimeters):
    """The longest of round lengths that takes less than a third of the picture, at its lower right."""
    bright = marked(BLACK, "Axial", (0, 0, 0), pixels_per_mm)[190:, 120:].min(axis=2) > 200
    longest = max(int(row.sum()) for row in bright)
    assert longest == pytest.approx(millimeters * pixels_per_mm, abs=2)


def test_letters_are_at_all_four_edges_and_differ_between_planes():
    pictures = {plane: marked(BLACK, plane, (0, 0, 0), 1.0) for plane in ("Axial", "Sagittal", "Coronal")}
    for picture in pictures.values():
        for edge in (np.s_[85:115, :20], np.s_[85:115, -20:], np.s_[:20, 90:110], np.s_[-20:, 90:110]):
            assert picture[edge].max() > 200
    left = {plane: picture[85:115, :20] for plane, picture in pictures.items()}
    assert (left["Axial"] == left["Coronal"]).all() and (left["Axial"] != left["Sagittal"]).any()
    assert not BLACK.any(), "the picture of before stays"


def test_a_color_bar_goes_from_low_to_high():
    ramp = np.linspace(0, 1, 256)[:, None] * [1.0, 0.5, 0.0]
    bar = color_bar(300, ramp, "FDG", (0.0, 1234.5), "Bq/ml")[26]
    np.testing.assert_allclose(bar[[2, 150, 297]], [[2, 1, 0], [128, 64, 0], [253, 127, 0]], atol=4)


@pytest.mark.parametrize(
    "value, text", [(0, "0"), (0.01234, "0.0123"), (2.345, "2.35"), (1234.5, "1234"), (2e7, "2e+07")]
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_the_preview_shows_the_chosen_colors_where_uptake_is_highest(tmp_path):
    contents = straightened(contents_of(omega=1.0))
    write_preview(contents, tmp_path / "preview.png")
    sheet = np.asarray(Image.open(tmp_path / "preview.png")).astype(int)
    i, j, k = contents.start
    scale = TILE / (1.16 * max(contents.mri.array.shape))
    # Of the axial picture in the fourth column: the pixel of the hottest voxel.
    x = (TILE - scale * contents.pet.shape[2]) / 2 + scale * (i + 0.5)
    y = (TILE - scale * contents.pet.shape[1]) / 2 + scale * (j + 0.5)
    left, top = sheet.shape[1] - 6 * TILE - 6 * 4 + 3 * (TILE + 4), 30
    found = sheet[int(top + y), int(left + x)]
    wanted = contents.sources["contribution"].colors(contents.table, 1.0, 0.5)[k, j, i]
    assert np.abs(found - wanted).max() < 40 and np.ptp(wanted.astype(int)) > 100


def test_the_preview_of_a_single_slice_is_one_row(tmp_path):
    images = [volume.with_array(volume.array[1:2]) for volume in head_phantom((3, 48, 40), (4.0, 4.0, 5.0))]
    contents = replace(contents_of(), mri=images[0], pet=images[1].array)
    part = 0.5 * images[0].array / images[0].array.max()
    sources = {"uptake": uptake_source((part, part), contents.pet, contents.pet_range[1])}
    write_preview(straightened(replace(contents, fused=(part, part), sources=sources)), tmp_path / "p.png")
    width, height = Image.open(tmp_path / "p.png").size
    assert width > 6 * TILE and TILE < height < 2 * TILE
