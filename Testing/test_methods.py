"""The interface of fusion methods, what holds for all of them, and the references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.methods import METHODS, REFERENCES, Method
from FunFuseSlicer.Logic.metrics import pet_weight, q_ssim, q_viff

A, B = np.full((2, 4, 5), 0.25)

# How far the result may be from two equal inputs. LP-SR codes patches to 0.1 gray levels of 255; the
# directional transforms add up some fifty bands.
EXACT = 1e-12
TOLERANCES = {"lp_sr": 0.1 / 255, "nsst_papcnn": 1e-10, "nsct_rpcnn": 1e-10, "nsct_pcdc": 1e-10}


def weighted(mri, pet, weight):
    return weight * mri + (1 - weight) * pet


# The interface.


def test_options_have_defaults_and_unknown_ones_are_named():
    method = Method("weighted", "weighted average", "", weighted, {"weight": 0.25})
    np.testing.assert_array_equal(method(A, 2 * B), 0.25 * A + 0.75 * 2 * B)
    np.testing.assert_array_equal(method(A, 2 * B, weight=1.0), A)
    with pytest.raises(InputError, match="weighted average has no option strength: there are weight"):
        method(A, B, strength=2)
    with pytest.raises(InputError, match="average has no option weight: there are none"):
        METHODS["average"](A, B, weight=1)


def test_a_missing_package_is_told_with_the_remedy():
    method = Method(
        "odd", "Odd", "", weighted, {"weight": 0.5}, needs=(("no_such_module", "no-such-package"),)
    )
    assert "no-such-package: install it" in method.problem()
    with pytest.raises(InputError, match="Odd needs the Python package no-such-package"):
        method(A, B)
    assert METHODS["average"].problem() is None


def test_methods_refuse_what_is_not_a_pair_in_range():
    image = np.full((4, 5), 0.5)
    with pytest.raises(InputError, match="two images of one size"):
        METHODS["average"](image, image[1:])
    for wrong in (300 * image, -image, image * np.nan):
        with pytest.raises(InputError, match="average: the PET image leaves the range from 0 to 1"):
            METHODS["average"](image, wrong)


# All methods.


@st.composite
def pairs(draw):
    """Two images of one size: noise, few levels, constant, black, or noise beside black."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    images = []
    for kind in draw(st.tuples(*[st.sampled_from(("noise", "levels", "constant", "black", "half"))] * 2)):
        image = generator.random(shape)
        if kind == "levels":
            image = np.floor(3 * image) / 2
        elif kind in ("constant", "black"):
            image = np.full(shape, image[0, 0] if kind == "constant" else 0.0)
        elif kind == "half":
            image[:, : shape[1] // 2] = 0
        images.append(np.minimum(image, 1))
    return images


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=12, deadline=None)
@given(pair=pairs())
def test_methods_take_any_pair_and_stay_in_range(name, pair):
    a, b = pair
    before = [image.copy() for image in pair]
    method, tolerance = METHODS[name], TOLERANCES.get(name, EXACT)
    fused = method(a, b)
    assert fused.shape == a.shape and fused.dtype == np.float64
    assert fused.min() >= 0 and fused.max() <= 1  # which NaN fails
    # Nothing to choose: the image comes back. Nothing there: black.
    np.testing.assert_allclose(method(a, a), a, rtol=0, atol=tolerance)
    assert method(0 * a, 0 * a).max() <= 1e-9
    if method.symmetric:
        np.testing.assert_allclose(method(b, a), fused, rtol=0, atol=tolerance)
    for image, old in zip(pair, before):
        np.testing.assert_array_equal(image, old)


@pytest.mark.parametrize("name", METHODS)
def test_methods_say_who_they_are(name):
    method = METHODS[name]
    assert method.name == name and method.label
    assert bool(method.citation) == (name not in ("average", "maximum"))
    assert method.problem() is None, "the tests need the packages of all methods"


# The references.


@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 40), seed=st.integers(0, 1000))
def test_references_are_exact(name, rows, columns, seed):
    a = np.random.default_rng(seed).random((rows, columns))
    np.testing.assert_allclose(METHODS[name](a, a), a, rtol=0, atol=1e-12)
    assert (METHODS[name](0 * a, 0 * a) == 0).all()


def test_what_the_references_do():
    a, b = np.array([[0.2, 0.6]]), np.array([[0.4, 0.0]])
    np.testing.assert_allclose(METHODS["average"](a, b), [[0.3, 0.3]])
    np.testing.assert_allclose(METHODS["maximum"](a, b), [[0.4, 0.6]])
    assert list(REFERENCES) == ["average", "maximum", "laplacian_pyramid"]
    assert list(METHODS)[: len(REFERENCES)] == list(REFERENCES)
    assert "Burt" in METHODS["laplacian_pyramid"].citation


def test_the_pyramid_takes_the_stronger_detail_and_the_mean_brightness():
    generator = np.random.default_rng(0)
    fine = generator.random((64, 64)) * 0.2 + 0.4
    flat = np.full((64, 64), 0.3)
    fused = METHODS["laplacian_pyramid"](fine, flat)
    assert fused.mean() == pytest.approx((fine.mean() + 0.3) / 2, abs=5e-3)
    assert np.corrcoef(fused.ravel(), fine.ravel())[0, 1] > 0.99
    assert fused.std() == pytest.approx(fine.std(), rel=0.05)
    np.testing.assert_allclose(METHODS["laplacian_pyramid"](flat, fine), fused, atol=1e-12)


def test_the_pyramid_does_not_wrap_around():
    a, b = np.zeros((2, 250, 251))
    a[:, 0], b[0] = 1, 1
    fused = METHODS["laplacian_pyramid"](a, b)
    assert np.abs(fused[150:, 150:]).max() == 0


def test_references_on_the_authors_pairs(shared_data):
    folder = shared_data / "test_pairs"
    names = sorted(path.name[:2] for path in folder.glob("*_mri.png"))
    pairs = [
        [np.array(Image.open(folder / f"{name}_{kind}.png")).astype(int) for kind in ("mri", "pet")]
        for name in names
    ]
    for method, similarity, fidelity in (("average", 0.834, 0.446), ("laplacian_pyramid", 0.861, 0.581)):
        fused = [np.floor(METHODS[method](a / 255, b / 255) * 255 + 0.5) for a, b in pairs]
        means = [np.mean([metric(a, b, f) for (a, b), f in zip(pairs, fused)]) for metric in (q_ssim, q_viff)]
        assert means == pytest.approx([similarity, fidelity], abs=6e-4)
        weights = np.mean([pet_weight(a, b, f) for (a, b), f in zip(pairs, fused)], axis=0)
        assert 0.49 < weights.min() and weights.max() < 0.6
