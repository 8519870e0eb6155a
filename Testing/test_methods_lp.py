"""GF, LP-SR and LP-CNN: their parts against literal computations, and what they must keep."""

import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from FunFuseSlicer.Logic.errors import ModelError
from FunFuseSlicer.Logic.methods import METHODS
from FunFuseSlicer.Logic.methods.guided_filter import guided_filter
from FunFuseSlicer.Logic.methods.laplacian_pyramid import composed, decomposed
from FunFuseSlicer.Logic.methods.learned import read_learned, save_learned
from FunFuseSlicer.Logic.methods.lp_cnn import WEIGHTS_FILE, fused_band, load_network, weight_map
from FunFuseSlicer.Logic.methods.lp_sr import (
    ATOMS,
    DICTIONARY_FILE,
    SIDE,
    consistent_detail,
    load_dictionary,
    sparse_codes,
    sparse_fusion,
)
from FunFuseSlicer.Logic.metrics import pet_weight, q_ssim, q_viff

NEW = ("gf", "lp_sr", "lp_cnn")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def textures(size=(64, 60), seed=0):
    """Smoothed noise in [0, 1]: fine, and coarse."""
    images = [ndimage.gaussian_filter(noise(*size, seed=seed + i), sigma) for i, sigma in enumerate((1, 4))]
    return [(image - image.min()) / np.ptp(image) for image in images]


def test_they_follow_the_references_in_this_order():
    assert [name for name in METHODS if name in NEW] == list(NEW)
    assert list(METHODS)[3:6] == list(NEW)


@pytest.mark.parametrize("name", NEW)
def test_nothing_wraps_around(name):
    a, b = np.zeros((2, 200, 201))
    a[:, 0], b[0] = 1, 1
    # The coarse bands of the pyramids reach far, but faintly.
    assert np.abs(METHODS[name](a, b)[150:, 150:]).max() < {"gf": 1e-9, "lp_sr": 1e-4, "lp_cnn": 1e-2}[name]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 9), st.integers(0, 100))
def test_a_pyramid_of_any_depth_can_be_undone(rows, columns, levels, seed):
    image = noise(rows, columns, seed=seed)
    details, rest = decomposed(image, levels)
    assert len(details) == levels
    np.testing.assert_allclose(composed(details, rest), image, rtol=0, atol=1e-12)


# GF


def test_the_guided_filter_is_a_fit_in_each_window():
    """Least squares in every window, then the mean of the lines of the windows that hold a pixel."""
    image, guide, radius, epsilon = noise(9, 8), noise(9, 8, seed=1), 2, 0.01
    padded_image, padded_guide = (np.pad(x, 2 * radius, "symmetric") for x in (image, guide))
    side = 2 * radius + 1
    lines = np.zeros((9 + 2 * radius, 8 + 2 * radius, 2))
    for i, j in np.ndindex(lines.shape[:2]):
        p, g = (x[i : i + side, j : j + side].ravel() for x in (padded_image, padded_guide))
        # Ridge regression: the penalty is on the slope alone.
        normal = np.array([[np.sum(g * g) + epsilon * side**2, np.sum(g)], [np.sum(g), side**2]])
        lines[i, j] = np.linalg.solve(normal, [np.sum(g * p), np.sum(p)])
    expected = np.zeros(image.shape)
    for i, j in np.ndindex(image.shape):
        slope, offset = lines[i : i + side, j : j + side].reshape(-1, 2).mean(axis=0)
        expected[i, j] = slope * guide[i, j] + offset
    np.testing.assert_allclose(guided_filter(image, guide, radius, epsilon), expected, rtol=0, atol=1e-9)


def test_the_guided_filter_keeps_the_edges_of_its_guide():
    guide = np.zeros((40, 40))
    guide[:, 20:] = 1
    rough = guide + 0.2 * (noise(40, 40) - 0.5)
    smooth = guided_filter(rough, guide, 5, 1e-3)
    assert np.abs(smooth - guide).max() < 0.05
    # Where the guide is flat it is the mean, twice.
    mean = ndimage.uniform_filter(ndimage.uniform_filter(rough, 11), 11)
    np.testing.assert_allclose(guided_filter(rough, 0 * guide, 5, 1e-3), mean, atol=1e-12)


def test_gf_takes_the_detail_of_the_salient_source():
    fine, coarse = textures()
    fused = METHODS["gf"](fine, 0.2 * coarse + 0.4)
    detail = [image - ndimage.uniform_filter(image, 31, mode="reflect") for image in (fused, fine)]
    assert np.corrcoef(detail[0].ravel(), detail[1].ravel())[0, 1] > 0.95


# LP-SR


def test_the_shipped_dictionary_is_one():
    dictionary = load_dictionary()
    assert dictionary.shape == (SIDE**2, ATOMS)
    np.testing.assert_allclose(np.linalg.norm(dictionary, axis=0), 1, atol=1e-12)
    np.testing.assert_allclose(dictionary.mean(axis=0), 0, atol=1e-6)
    # No atom twice, and enough of them for any patch of mean 0.
    assert np.triu(np.abs(dictionary.T @ dictionary), 1).max() < 0.999
    assert np.linalg.matrix_rank(dictionary, tol=1e-3) == SIDE**2 - 1


def literal_pursuit(patch, dictionary, tolerance):
    chosen, residual = [], patch
    code = np.zeros(dictionary.shape[1])
    while np.linalg.norm(residual) > tolerance:
        chosen.append(int(np.argmax(np.abs(dictionary.T @ residual))))
        solution = np.linalg.lstsq(dictionary[:, chosen], patch, rcond=None)[0]
        residual = patch - dictionary[:, chosen] @ solution
        code[:] = 0
        code[chosen] = solution
    return code


def test_codes_are_those_of_the_literal_pursuit():
    dictionary = load_dictionary()
    patches = (
        np.stack([ndimage.gaussian_filter(noise(SIDE, SIDE, seed=i), 1).ravel() for i in range(6)]) * 500
    )
    patches -= patches.mean(axis=1, keepdims=True)
    patches[3] = 0
    codes = sparse_codes(patches, dictionary, tolerance=40.0)
    for patch, code in zip(patches, codes):
        np.testing.assert_allclose(code, literal_pursuit(patch, dictionary, 40.0), atol=1e-6)
    assert not codes[3].any() and np.count_nonzero(codes[0]) < SIDE**2 / 2
    fine = sparse_codes(patches, dictionary, tolerance=0.1)
    assert np.linalg.norm(patches - fine @ dictionary.T, axis=1).max() <= 0.1 + 1e-6
    few = sparse_codes(patches, dictionary, atoms=3)
    assert np.count_nonzero(few, axis=1).tolist() == [3, 3, 3, 0, 3, 3]


def test_the_livelier_patch_gives_its_mean_too():
    lively, dull = 100 + 60 * noise(20, 13), 30 + 5 * noise(20, 13, seed=1)
    dictionary = load_dictionary()
    for fused in (
        sparse_fusion(lively, dull, dictionary, 0.1),
        sparse_fusion(dull, lively, dictionary, 0.1),
    ):
        np.testing.assert_allclose(fused, lively, atol=0.1)


def test_lone_choices_of_details_are_corrected():
    a, b = np.full((9, 9), 2.0), np.full((9, 9), -1.0)
    b[4, 4] = -3  # alone stronger: outvoted
    np.testing.assert_array_equal(consistent_detail(a, b), a)
    b[:, 5:] = -3
    np.testing.assert_array_equal(consistent_detail(a, b)[:, 5:], b[:, 5:])
    np.testing.assert_array_equal(consistent_detail(a, b)[:, :4], a[:, :4])


# LP-CNN


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 100))
def test_swapped_images_swap_the_weights(rows, columns, seed):
    a, b = noise(2, rows, columns, seed=seed)
    weight = weight_map(a, b)
    assert weight.shape == a.shape and weight.min() >= 0 and weight.max() <= 1
    np.testing.assert_allclose(weight_map(b, a), 1 - weight, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(weight_map(a, a), 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_shipped_network_tells_sharp_from_blurred(seed):
    sharp = textures(seed=seed)[0]
    blurred = ndimage.gaussian_filter(sharp, 2)
    assert weight_map(sharp, blurred).mean() > 0.8
    # Each where it is the sharp one.
    left = np.arange(60) < 30
    weight = weight_map(np.where(left, sharp, blurred), np.where(left, blurred, sharp))
    assert weight[:, :18].mean() > 0.7 and weight[:, 42:].mean() < 0.3


def test_weights_belong_to_the_patches_that_cover_a_pixel():
    """Scoring the whole image is scoring its patches, away from the borders of either."""
    import torch

    network = load_network()
    image = torch.from_numpy(noise(40, 44).astype(np.float32))[None, None]
    with torch.no_grad():
        scores = network(image)
        assert scores.shape == (1, 1, 13, 15)
        # What the reflection at the patch's own border changes must be little beside the whole.
        patches = torch.cat(
            [image[:, :, 2 * i : 2 * i + 16, 2 * j : 2 * j + 16] for i, j in np.ndindex(13, 15)]
        )
        own = network(patches).reshape(13, 15)
    assert np.corrcoef(scores.flatten().numpy(), own.flatten().numpy())[0, 1] > 0.5


def literal_band(a, b, weight, threshold):
    padded = [np.pad(x, 1, "symmetric") for x in (a, b)]
    fused = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        x, y = (p[i : i + 3, j : j + 3] for p in padded)
        energy_x, energy_y = np.sum(x * x), np.sum(y * y)
        if 2 * np.sum(x * y) / (energy_x + energy_y) >= threshold:
            fused[i, j] = weight[i, j] * a[i, j] + (1 - weight[i, j]) * b[i, j]
        else:
            fused[i, j] = a[i, j] if energy_x >= energy_y else b[i, j]
    return fused


@pytest.mark.parametrize("threshold", [-1.0, 0.6, 1.0])
def test_bands_are_fused_as_the_publication_says(threshold):
    a = noise(12, 11) - 0.5
    b = np.where(noise(12, 11, seed=1) < 0.5, a, noise(12, 11, seed=2) - 0.5)
    weight = noise(12, 11, seed=3)
    expected = literal_band(a, b, weight, threshold)
    np.testing.assert_allclose(fused_band(a, b, weight, threshold), expected, atol=1e-12)


# What was learned


def test_what_is_shipped_is_small():
    assert len(read_learned(DICTIONARY_FILE)) <= 150_000
    assert len(read_learned(WEIGHTS_FILE)) < 2_000_000


def test_damaged_or_missing_files_are_told(tmp_path):
    with pytest.raises(ModelError, match="lp_sr.npy or the .json beside it cannot be read: reinstall"):
        load_dictionary(tmp_path)
    for name, load in ((DICTIONARY_FILE, load_dictionary), (WEIGHTS_FILE, load_network)):
        save_learned(name, tmp_path, b"something else", {})
        with pytest.raises(ModelError, match=f"{name} does not hold the"):
            load(tmp_path)
        content = read_learned(name)
        save_learned(name, tmp_path, content, {})
        assert load(tmp_path) is not None
        load.cache_clear()
        (tmp_path / name).write_bytes(content[:-1] + b"?")
        with pytest.raises(ModelError, match=f"{name} is damaged .wrong checksum"):
            load(tmp_path)


def test_files_that_hold_code_are_refused(tmp_path):
    """A pickle with the right checksum does not run."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    array = io.BytesIO()
    np.save(array, np.array([Trap()], dtype=object), allow_pickle=True)
    save_learned(DICTIONARY_FILE, tmp_path, array.getvalue(), {})
    save_learned(WEIGHTS_FILE, tmp_path, pickle.dumps(Trap(), protocol=2), {})
    for load in (load_dictionary, load_network):
        with pytest.raises(ModelError):
            load(tmp_path)
    assert not (tmp_path / "ran").exists()


# Real pairs

# Q_SSIM, Q_VIFF and weight of the PET: means over the five pairs.
EXPECTED = {
    "gf": (0.874, 0.439, 0.351),
    "lp_sr": (0.856, 0.566, 0.674),
    "lp_cnn": (0.831, 0.555, 0.622),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_on_the_authors_pairs(shared_data, name):
    folder = shared_data / "test_pairs"
    values = []
    for path in sorted(folder.glob("*_mri.png")):
        a, b = (
            np.array(Image.open(p)) / 255 for p in (path, path.with_name(path.name.replace("mri", "pet")))
        )
        f = np.floor(METHODS[name](a, b) * 255 + 0.5)
        a, b = 255 * a, 255 * b
        values.append((q_ssim(a, b, f), q_viff(a, b, f), pet_weight(a, b, f)[1]))
    assert np.mean(values, axis=0) == pytest.approx(EXPECTED[name], abs=3e-3)
