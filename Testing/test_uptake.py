"""Uptake comes back from pseudo-colors, and images of other tables are refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from funfuse_cli.__main__ import main
from funfuse_cli.training.uptake import (
    atlas_table,
    check_follows,
    check_table,
    recover_uptake,
    table_from_bar,
    table_from_colors,
    table_from_file,
)
from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.errors import InputError
from Testing.conftest import head_phantom


def hot_table():
    """Black, red, yellow, white."""
    t = np.linspace(0, 3, 256)[:, None]
    return np.clip(t - np.arange(3), 0, 1)


TABLES = {
    "jet": jet_table(),
    "atlas": atlas_table(),
    "hot": hot_table(),
    "gray": np.linspace(0, 1, 256)[:, None].repeat(3, 1),
    "inverse gray": np.linspace(1, 0, 256)[:, None].repeat(3, 1),
    "few": np.array([[0, 0, 0.3], [0, 0.8, 0.9], [1, 0.9, 0], [1, 0, 0.1]]),
}


def colored(uptake, table):
    """8-bit colors, interpolated between entries."""
    index = np.asarray(uptake) * (len(table) - 1)
    channels = [np.interp(index, np.arange(len(table)), column) for column in table.T]
    return np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8)


def head():
    """One slice of a PET, (rows, columns) in [0, 1]; 0 around the head."""
    pet = head_phantom((10, 64, 56))[1].array[6]
    return pet / pet.max()


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_table_to_8_bits_and_back(name, values):
    recovered = recover_uptake(colored(values, TABLES[name]), TABLES[name])
    assert np.abs(recovered.uptake - values).max() <= 1 / 128
    assert recovered.residual.max() < 0.005 and not recovered.off().any()


@pytest.mark.parametrize("name", ["jet", "atlas", "hot"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_noise_moves_uptake_by_little(name, seed):
    rng = np.random.default_rng(seed)
    values, table = rng.random(300), TABLES[name]
    noisy = np.clip(colored(values, table) + rng.normal(0, 3, (300, 3)), 0, 255).astype(np.uint8)
    recovered = recover_uptake(noisy, table)
    assert np.abs(recovered.uptake - values).max() < 0.06
    assert 0 < recovered.residual.mean() < 0.05


def test_background_is_no_uptake():
    table = jet_table()
    rgb = colored(np.full((8, 8), 0.7), table)
    rgb[:4] = 0
    rgb[4] = (4, 3, 5)  # almost black
    rgb[5] = (0, 0, 60)  # a shade between background and the lowest color, as at the rim of a head
    recovered = recover_uptake(rgb, table)
    assert not recovered.uptake[:6].any() and not recovered.residual[:6].any()
    assert np.allclose(recovered.uptake[6:], 0.7, atol=0.01)
    assert check_follows(rgb, recovered, "it") == 0
    # Where black is the table's other end it is uptake.
    assert recover_uptake(np.zeros((1, 3), np.uint8), TABLES["inverse gray"]).uptake[0] == pytest.approx(1)


def test_luminance_would_not_do():
    uptake = np.linspace(0, 1, 500)
    for table in (jet_table(), atlas_table()):
        rgb = colored(uptake, table)
        assert abs(spearmanr(rgb @ [0.299, 0.587, 0.114], uptake)[0]) < 0.7
        assert spearmanr(recover_uptake(rgb, table).uptake, uptake)[0] > 0.999


def test_types_and_shapes():
    values = np.random.default_rng(0).random((3, 4, 5))
    rgb = colored(values, jet_table())
    recovered = recover_uptake(rgb, jet_table())
    assert recovered.uptake.shape == (3, 4, 5) and recovered.uptake.dtype == np.float32
    for other in (rgb / 255.0, np.uint16(rgb) * 257):
        assert np.allclose(recover_uptake(other, jet_table()).uptake, recovered.uptake, atol=1e-4)


def test_an_image_of_another_table_is_refused():
    rgb = colored(head(), atlas_table())
    with pytest.raises(InputError, match="slice.png have colors that the color table does not have"):
        check_follows(rgb, recover_uptake(rgb, jet_table()), "slice.png")
    with pytest.raises(InputError, match="is black"):
        check_follows(0 * rgb, recover_uptake(0 * rgb, jet_table()), "slice.png")


def test_text_in_the_image_is_marked():
    rgb = colored(head(), jet_table())
    rgb[2:5, 2:20] = 255
    recovered = recover_uptake(rgb, jet_table())
    assert recovered.off()[2:5, 2:20].all() and not recovered.uptake[2:5, 2:20].any()
    assert recovered.off().sum() == 3 * 18
    assert 0 < check_follows(rgb, recovered, "it") < 0.05


def test_tables_that_cannot_be_inverted_are_refused():
    t = np.linspace(0, 1, 64)
    loop = np.stack([np.abs(2 * t - 1), 1 - np.abs(2 * t - 1), 0 * t], axis=1)
    with pytest.raises(InputError, match="has one color at"):
        check_table(loop)
    for bad, sentence in (
        (np.zeros((1, 3)), "at least two rows"),
        (np.zeros((4, 2)), "of three numbers"),
        (np.full((4, 3), 2.0), "between 0 and 1"),
        (np.full((4, 3), np.nan), "between 0 and 1"),
    ):
        with pytest.raises(InputError, match=sentence):
            check_table(bad)


def test_tables_from_files(tmp_path):
    table = atlas_table()
    np.savetxt(tmp_path / "a.txt", table)
    assert np.allclose(table_from_file(tmp_path / "a.txt"), table)
    np.savetxt(tmp_path / "a.csv", np.rint(table * 255), delimiter=",", header="r,g,b", comments="", fmt="%d")
    assert np.allclose(table_from_file(tmp_path / "a.csv"), table, atol=0.5 / 255 + 1e-9)
    bar = np.rint(255 * table).astype(np.uint8)[None].repeat(9, 0)
    for name, picture in (("lying.png", bar), ("standing.png", bar.transpose(1, 0, 2)[::-1])):
        sitk.WriteImage(
            sitk.GetImageFromArray(np.ascontiguousarray(picture), isVector=True), str(tmp_path / name)
        )
        assert np.allclose(table_from_file(tmp_path / name), table, atol=0.5 / 255 + 1e-9)
    (tmp_path / "bad.txt").write_text("1 2\n3 4 5\n")
    with pytest.raises(InputError, match="rows of three numbers"):
        table_from_file(tmp_path / "bad.txt")
    with pytest.raises(InputError, match="no such color table"):
        table_from_file(tmp_path / "none.txt")
    with pytest.raises(InputError, match="only 10 pixels long"):
        table_from_bar(bar[:, :10])


@pytest.mark.parametrize("name", ["atlas", "hot", "few"])
@pytest.mark.parametrize("missing", [0, 6])
def test_table_from_the_images_own_colors(name, missing):
    levels = np.arange(100)
    table = np.stack(
        [np.interp(np.linspace(0, 1, 100), np.linspace(0, 1, len(TABLES[name])), c) for c in TABLES[name].T],
        1,
    )
    rng = np.random.default_rng(missing)
    used = np.delete(levels, rng.choice(np.arange(2, 98), missing, replace=False))
    image = np.rint(255 * table[rng.permutation(np.concatenate([used, rng.choice(used, 500)]))]).astype(
        np.uint8
    )
    found = table_from_colors(image)
    assert abs(len(found) - 100) <= 1
    assert np.abs(recover_uptake(image, found).uptake - recover_uptake(image, table).uptake).max() < 0.03


def test_a_table_is_not_guessed_from_colors_that_are_no_path():
    rng = np.random.default_rng(0)
    for image, sentence in (
        (colored(rng.random((40, 40)), jet_table()) // 64 * 64, "has 1?[0-9] colors"),
        (rng.integers(0, 255, (20, 20, 3)).astype(np.uint8), "do not lie on one path"),
        (rng.integers(0, 255, (99, 99, 3)).astype(np.uint8), "has 98[0-9][0-9] colors"),
        (colored(np.linspace(0, 1, 200), jet_table()), "equally dark"),
    ):
        with pytest.raises(InputError, match=sentence):
            table_from_colors(image, "it")


def test_command_on_a_picture_with_a_color_bar(tmp_path, capsys):
    uptake = head()
    rgb = colored(uptake, jet_table())
    rgb[uptake == 0] = 0
    rgb[:, 50:54] = colored(np.linspace(1, 0, 64), jet_table())[:, None]
    picture, out = tmp_path / "pet.png", tmp_path / "gray.png"
    sitk.WriteImage(sitk.GetImageFromArray(rgb, isVector=True), str(picture))
    uptake[:, 50:54] = 0
    for arguments in (["--color-bar", "50", "0", "4", "64"], ["--colormap", "jet", "--overwrite"]):
        assert main(["uptake", "--image", str(picture), "--out", str(out), *arguments]) == 0
        gray = sitk.GetArrayFromImage(sitk.ReadImage(str(out)))
        assert gray.dtype == np.uint8 and np.abs(gray[:, :50] / 255 - uptake[:, :50]).max() < 0.02
    for arguments, sentence in (
        (["--colormap", "atlas"], "does not have"),
        (["--colormap", "none.csv"], "no such color table"),
        (["--color-bar", "50", "0", "40", "64"], "must lie inside"),
    ):
        assert main(["uptake", "--image", str(picture), "--out", str(tmp_path / "new.png"), *arguments]) == 2
        assert sentence in capsys.readouterr().err
    arguments = ["uptake", "--image", str(out), "--out", str(tmp_path / "new.png"), "--colormap", "jet"]
    assert main(arguments) == 2
    assert "not a color image" in capsys.readouterr().err


def test_command_keeps_a_volumes_place(tmp_path):
    pet = head_phantom((6, 30, 24))[1].array
    image = sitk.GetImageFromArray(colored(pet / pet.max(), atlas_table()), isVector=True)
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((7, 8, 9))
    sitk.WriteImage(image, str(tmp_path / "pet.nrrd"))
    arguments = ["--image", tmp_path / "pet.nrrd", "--out", tmp_path / "uptake.nrrd", "--colormap", "atlas"]
    arguments += ["--residual", tmp_path / "residual.nrrd"]
    assert main(["uptake", *map(str, arguments)]) == 0
    found = sitk.ReadImage(str(tmp_path / "uptake.nrrd"))
    assert found.GetSpacing() == (1, 2, 3) and found.GetOrigin() == (7, 8, 9)
    assert np.abs(sitk.GetArrayFromImage(found) - pet / pet.max()).max() <= 1 / 128
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "residual.nrrd"))).max() < 0.01


def test_real_pseudo_colored_volume(shared_data):
    volumes = shared_data / "volumes"
    rgb = sitk.GetArrayFromImage(sitk.ReadImage(str(volumes / "awkward" / "fdg_pseudocolour_rgb.nrrd")))
    fdg = sitk.GetArrayFromImage(sitk.ReadImage(str(volumes / "patient_fdg" / "FDG.nii.gz"))) / 127.0
    rgb, fdg = rgb[20:80:6], fdg[20:80:6]
    for table in (atlas_table(), table_from_colors(rgb)):
        recovered = recover_uptake(rgb, table)
        assert check_follows(rgb, recovered, "it") == 0
        assert np.abs(recovered.uptake - fdg).max() < 0.02
    with pytest.raises(InputError, match="another table"):
        check_follows(rgb, recover_uptake(rgb, jet_table()), "it")
