"""The command learn on tiny data made here, and the steps it is made of."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from funfuse_cli import __main__ as program
from funfuse_cli.commands import learn
from funfuse_cli.training.learning import lp_cnn, lp_sr
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods.learned import read_learned
from FunFuseSlicer.Logic.methods.lp_cnn import load_network
from FunFuseSlicer.Logic.methods.lp_sr import ATOMS, SIDE, load_dictionary, sparse_codes
from FunFuseSlicer.Logic.output_folder import LIST

QUICK = {
    "lp-sr": ["--patches", "600", "--iterations", "1", "--atoms-per-patch", "2"],
    "lp-cnn": ["--patches", "100", "--steps", "2", "--batch", "4"],
}
FILES = {"lp-sr": "lp_sr.npy", "lp-cnn": "lp_cnn.pt"}


def texture(seed, size=(64, 72)):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), 1)
    return (image - image.min()) / np.ptp(image)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two patients of two slices."""
    folder = tmp_path_factory.mktemp("data")
    for patient in range(2):
        for kind in ("mri", "pet"):
            place = folder / f"patient{patient}" / kind
            place.mkdir(parents=True)
            for index in range(2):
                image = texture(100 * patient + 10 * index + (kind == "pet"))
                Image.fromarray(np.uint8(255 * image)).save(place / f"{index}.png")
    return folder


def run(method, data, out, *more):
    arguments = [method, "--data", str(data), "--out", str(out), "--threads", "1", *QUICK[method], *more]
    return learn.main(arguments)


@pytest.mark.parametrize("method", QUICK)
def test_the_same_seed_gives_the_same_file(data, tmp_path, capsys, method):
    for name, seed in (("one", "3"), ("same", "3"), ("other", "4")):
        assert run(method, data, tmp_path / name, "--seed", seed, "--hold-out", "patient1") == 0
    one, same, other = (read_learned(FILES[method], tmp_path / name) for name in ("one", "same", "other"))
    assert one == same != other
    load = {"lp-sr": load_dictionary, "lp-cnn": load_network}[method]
    assert load(tmp_path / "one") is not None
    load.cache_clear()
    facts = json.loads((tmp_path / "one" / FILES[method]).with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["seed"] == 3 and facts["patients"] == ["patient0"] and facts["held_out"] == ["patient1"]
    assert facts["pairs"] == 2
    said = capsys.readouterr()
    assert "learning from 2 pairs of 1 patients: patient0" in said.out and "held out:" in said.out
    assert said.err == "", "what goes to a file or a log has no moving bar"
    names = {FILES[method], FILES[method].split(".")[0] + ".json", LIST}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names


def test_the_patients_held_out_are_not_learned_from(data, tmp_path):
    """Other pictures of theirs, the same file."""
    changed = tmp_path / "changed"
    for path in data.rglob("*.png"):
        new = changed / path.relative_to(data)
        new.parent.mkdir(parents=True, exist_ok=True)
        image = np.array(Image.open(path))
        Image.fromarray(image.T.copy() if "patient1" in str(path) else image).save(new)
    for method in QUICK:
        contents = []
        for folder in (data, changed):
            assert run(method, folder, tmp_path / "out", "--hold-out", "patient1") == 0
            contents.append(read_learned(FILES[method], tmp_path / "out"))
        assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "method, more, words",
    [
        ("lp-sr", ["--hold-out", "nobody"], "There is no patient nobody to hold out"),
        ("lp-cnn", ["--hold-out", "patient0", "patient1"], "All patients are held out"),
        ("lp-sr", ["--iterations", "0"], "--iterations must be 1 at least"),
        ("lp-sr", ["--atoms-per-patch", "65"], "--atoms-per-patch must be 63 at most"),
        ("lp-cnn", ["--steps", "1"], "--steps must be 2 at least"),
        ("lp-cnn", ["--seed", "-1"], "--seed must be 0 at least"),
        ("lp-cnn", ["--threads", "0"], "--threads must be 1 at least"),
        ("lp-cnn", ["--rate", "nan"], "--rate must be larger than 0"),
        ("lp-sr", ["--patches", "50"], "256 are needed: give more or larger images, or a larger --patches"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_left(data, tmp_path, capsys, method, more, words):
    arguments = ["learn", method, "--data", str(data), "--out", str(tmp_path / "out"), *QUICK[method], *more]
    assert program.main(arguments) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_pairs_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no MRI-PET pairs"):
        run("lp-sr", tmp_path, tmp_path / "out")


def test_flat_images_teach_nothing():
    generator = np.random.default_rng(0)
    flat = [np.full((64, 64), 0.5)]
    with pytest.raises(InputError, match="0 patches of 8 × 8 pixels that are not flat"):
        lp_sr.choose_patches(flat, 1000, generator)
    with pytest.raises(InputError, match="no patch of 16 × 16 pixels that is not flat"):
        lp_cnn.choose_patches(flat, 10, generator)
    for small in ([], [np.ones((5, 5))]):
        with pytest.raises(InputError):
            lp_sr.choose_patches(small, 1000, generator)
        with pytest.raises(InputError):
            lp_cnn.choose_patches(small, 10, generator)


def test_the_dictionary_finds_the_atoms_that_patches_are_made_of():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(SIDE**2, ATOMS))
    truth -= truth.mean(axis=0)
    truth /= np.linalg.norm(truth, axis=0)
    codes = np.zeros((1500, ATOMS))
    for code in codes:
        code[generator.choice(ATOMS, 2, replace=False)] = generator.uniform(20, 40, 2)
    patches = codes @ truth.T
    fractions, errors = [], []
    for iterations in (1, 8):
        generator = np.random.default_rng(1)
        found = lp_sr.learn_dictionary(patches, iterations, 2, generator, fractions.append)
        np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1, atol=1e-9)
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
        errors.append(lp_sr.representation_error(patches, found, 2))
    assert errors[1] < 0.7 * errors[0]
    assert np.mean(np.abs(truth.T @ found).max(axis=1) > 0.99) > 0.5
    assert fractions[:2] == [0, 1] and fractions[2:] == sorted(fractions[2:])
    # The update alone never makes the representation worse.
    codes = sparse_codes(patches, found, atoms=2)
    residual = patches - codes @ found.T
    before = np.sum(residual**2)
    for atom in range(ATOMS):
        lp_sr._update_atom(found, codes, residual, atom)
    np.testing.assert_allclose(residual, patches - codes @ found.T, atol=1e-9)
    assert np.sum(residual**2) <= before + 1e-9


def test_patches_are_blurred_copies_of_the_sharp_ones():
    images = [texture(0), texture(1)]
    sharp, blurred = lp_cnn.choose_patches(images, 80, np.random.default_rng(0))
    assert sharp.shape == blurred.shape == (80, 16, 16) and sharp.dtype == np.float32
    assert (sharp.std(axis=(1, 2)) > blurred.std(axis=(1, 2))).mean() > 0.95
    windows = np.lib.stride_tricks.sliding_window_view(images[0].astype(np.float32), (16, 16))
    others = np.lib.stride_tricks.sliding_window_view(images[1].astype(np.float32), (16, 16))
    for patch in sharp[:5]:
        assert any((some == patch).all(axis=(2, 3)).any() for some in (windows, others))


def test_the_network_learns_to_tell_sharp_from_blurred():
    sharp, blurred = lp_cnn.choose_patches([texture(i) for i in range(4)], 300, np.random.default_rng(0))
    unseen = lp_cnn.choose_patches([texture(i) for i in range(9, 12)], 100, np.random.default_rng(0))
    network = lp_cnn.learn_network(sharp, blurred, 12, 16, 1e-3, 0, lambda fraction: None)
    assert lp_cnn.share_right(network, *unseen) > 0.9
    assert lp_cnn.share_right(network, *unseen[::-1]) < 0.1
