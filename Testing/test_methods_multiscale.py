"""Fusion of directional bands: neurons that fire, measures of focus, phase congruency, three methods."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from FunFuseSlicer.Logic.methods import METHODS, focus_measures, nsct_rpcnn, pulse_coupled
from FunFuseSlicer.Logic.methods.multiscale import contourlets
from FunFuseSlicer.Logic.methods.phase_congruency import phase_congruency
from FunFuseSlicer.Logic.methods.pulse_coupled import Parameters, adapted, firings, otsu
from FunFuseSlicer.Logic.methods.selection import more_active
from FunFuseSlicer.Logic.metrics import evaluate_pair

NAMES = ("nsst_papcnn", "nsct_rpcnn", "nsct_pcdc")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def heads(size=96):
    """MRI-like: fine lines in a disk. PET-like: two soft spots in it. Black around both."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    inside = ndimage.gaussian_filter((np.hypot(row, column) < 0.3 * size) * 1.0, 1)
    lines = (0.4 + 0.2 * np.sin(1.5 * column)) * inside
    spots = np.exp(-((row - 8) ** 2 + (np.abs(column) - 14) ** 2) / 60)
    return lines, (0.2 + 0.7 * np.minimum(spots, 1)) * inside


# Neurons.


def test_a_neuron_alone_fires_as_computed_by_hand():
    # Activity 1, 1.5, 1.75, 1.875, 1.9375; threshold 1, .5, 2.25, 1.125, 2.5625, 1.28125.
    parameters = Parameters(retention=0.5, linking=1, decay=0.5, rise=2)
    stimulus = np.array([[1.0]])
    assert [firings(stimulus, parameters, n).item() for n in range(6)] == [0, 0, 1, 1, 2, 2]


def test_a_pulse_makes_the_neighbor_fire_earlier():
    # Once the strong neuron has fired, the activity of the other is 0.25 (1 + linking weight).
    parameters = Parameters(retention=0, linking=4, decay=0.5, rise=100, corner=0.5, threshold=1)
    alone = firings(np.array([[0.0, 0.25]]), parameters, 3)
    beside = firings(np.array([[2.0, 0.25]]), parameters, 3)
    across = firings(np.array([[2.0, 0.0], [0.0, 0.25]]), parameters, 3)
    far = firings(np.array([[2.0, 0.0, 0.25]]), parameters, 3)
    assert alone.tolist() == [[0, 0]]
    assert beside.tolist() == [[1, 1]] and across.tolist() == [[1, 0], [0, 1]]
    assert far.tolist() == [[1, 0, 0]]
    weak = parameters._replace(corner=0.125)
    assert firings(np.array([[2.0, 0.0], [0.0, 0.25]]), weak, 2).tolist() == [[1, 0], [0, 0]]


def literal_firings(stimulus, parameters, iterations):
    retention, linking, decay, rise, corner, start = parameters
    shape = stimulus.shape
    u, y, e, count = np.zeros(shape), np.zeros(shape), np.full(shape, start), np.zeros(shape)
    for _ in range(iterations):
        before = y.copy()
        for i, j in np.ndindex(*shape):
            k = 0.0
            for di, dj in np.ndindex(3, 3):
                a, b = i + di - 1, j + dj - 1
                if (di, dj) != (1, 1) and 0 <= a < shape[0] and 0 <= b < shape[1]:
                    k += before[a, b] * (1 if 1 in (di, dj) else corner)
            u[i, j] = retention * u[i, j] + stimulus[i, j] * (1 + linking * k)
            y[i, j] = u[i, j] > e[i, j]
            e[i, j] = decay * e[i, j] + rise * y[i, j]
        count += y
    return count


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 1000), st.sampled_from([0.0, 0.5]))
def test_the_network_is_its_equations(rows, columns, seed, retention):
    # Powers of two: exact in single precision.
    stimulus = np.random.default_rng(seed).integers(0, 9, (rows, columns)) / 8
    parameters = Parameters(retention, 0.25, 0.5, 2.0)
    np.testing.assert_array_equal(firings(stimulus, parameters, 9), literal_firings(stimulus, parameters, 9))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60))
def test_otsus_threshold_separates_best(seed, size):
    generator = np.random.default_rng(seed)
    stimulus = generator.integers(0, 256, size) * (generator.random(size) < 0.7)
    stimulus[0] = 255

    def between(level):
        low, high = stimulus[stimulus <= level], stimulus[stimulus > level]
        return low.size * high.size * (low.mean() - high.mean()) ** 2 if low.size and high.size else 0.0

    values = [between(level) for level in range(255)]
    if max(values) == 0:
        assert otsu(stimulus / 1020) == 0.25
    else:
        best = [level for level, value in enumerate(values) if value >= max(values) * (1 - 1e-9)]
        assert otsu(stimulus / 1020) == pytest.approx(max(np.mean(best), 0.5) / 255 * 0.25)


def test_parameters_follow_the_publications_formulas():
    band = 0.3 * noise(30, 31) ** 4
    highest, split = band.max(), otsu(band)
    alpha_f = math.log10(1 / band.std())
    linking = (highest / split - 1) / 6
    rise = math.exp(-alpha_f) + 1 + 6 * linking
    third = (1 - math.exp(-3 * alpha_f)) / (1 - math.exp(-alpha_f)) + 6 * linking * math.exp(-alpha_f)
    alpha_e = math.log(rise / (split * third))
    expected = (math.exp(-alpha_f), linking, math.exp(-alpha_e), rise, 0.5, 1)
    assert adapted(band) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e-17, 0.5, 3.0])
def test_parameters_of_even_bands_are_finite(value):
    for band in (np.full((4, 5), value), value * (np.arange(20.0).reshape(4, 5) == 7)):
        parameters = adapted(band)
        assert np.isfinite(parameters).all() and 0 <= parameters.decay <= 1
        counts = firings(band, parameters, 110)
        assert 0 <= counts.min() and counts.max() <= 110
        assert (counts[band == 0] == 0).all()


# Measures of focus.


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_focus_measures_are_their_formulas(rows, columns, seed):
    image = noise(rows, columns, seed=seed) - 0.3

    def mirrored(array, i, j):
        rows, columns = array.shape
        return array[min(max(i, 0), rows - 1), min(max(j, 0), columns - 1)]

    def gathered(array, weights):
        return [
            [sum(weights[a][b] * mirrored(array, i + a - 1, j + b - 1) for a, b in np.ndindex(3, 3))
             for j in range(columns)] for i in range(rows)
        ]  # fmt: skip

    eight, four, falling, rising, along, down = np.zeros((6, rows, columns))
    for i, j in np.ndindex(rows, columns):

        def at(di, dj, i=i, j=j):
            return mirrored(image, i + di, j + dj)

        c = 2 * at(0, 0)
        four[i, j] = abs(c - at(-1, 0) - at(1, 0)) + abs(c - at(0, -1) - at(0, 1))
        crossed = abs(c - at(-1, -1) - at(1, 1)) + abs(c - at(-1, 1) - at(1, -1))
        eight[i, j] = four[i, j] + crossed / math.sqrt(2)
        along[i, j], down[i, j] = (at(0, 0) - at(0, -1)) ** 2, (at(0, 0) - at(-1, 0)) ** 2
        falling[i, j], rising[i, j] = (at(0, 0) - at(-1, -1)) ** 2, (at(-1, 0) - at(0, -1)) ** 2
    weights, ones = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16, np.ones((3, 3))
    close = dict(atol=1e-12)
    np.testing.assert_allclose(focus_measures.weighted_energy(image), gathered(image**2, weights), **close)
    np.testing.assert_allclose(focus_measures.weighted_laplacian(image), gathered(eight, weights), **close)
    np.testing.assert_allclose(focus_measures.sum_modified_laplacian(image), gathered(four, ones), **close)
    means = [np.array(gathered(part, ones / 9)) for part in (along, down, falling, rising)]
    expected = np.sqrt(means[0] + means[1] + (np.sqrt(means[2]) + np.sqrt(means[3])) ** 2)
    np.testing.assert_allclose(focus_measures.modified_spatial_frequency(image), expected, **close)


def test_equally_active_ones_are_averaged():
    first, second = np.array([[1.0, 2.0, 3.0]]), np.array([[5.0, 6.0, 7.0]])
    chosen = more_active(first, second, np.array([[2, 1, 0]]), np.array([[1, 1, 1]]))
    assert chosen.tolist() == [[1, 4, 7]]


# Phase congruency.


def test_phase_is_congruent_at_an_edge_and_nowhere_else():
    image = np.full((80, 121), 0.3)
    image[:, 60], image[:, 61:] = 0.5, 0.7
    congruency = phase_congruency(image)
    assert congruency[:, 60].min() > 0.95
    assert congruency[:, :44].max() < 0.1 and congruency[:, 77:].max() < 0.1
    assert congruency.min() >= 0 and congruency.max() <= 1
    # No direction is preferred, and no edge where the picture ends.
    np.testing.assert_allclose(phase_congruency(image.T), congruency.T, atol=1e-9)


def test_phase_congruency_does_not_see_contrast_and_brightness():
    image = ndimage.gaussian_filter(noise(60, 50), 2)
    expected = phase_congruency(image)
    np.testing.assert_allclose(phase_congruency(0.1 * image + 0.5), expected, atol=1e-3)
    np.testing.assert_allclose(phase_congruency(1 - image), expected, atol=1e-9)
    assert expected.max() > 0.3


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1))
@example(1, 5, 5.721637721815164e-300)
def test_nothing_is_congruent_in_an_even_image(rows, columns, value):
    congruency = phase_congruency(np.full((rows, columns), value))
    assert congruency.shape == (rows, columns) and congruency.max() < 1e-7


# The methods.


@pytest.mark.parametrize("name", NAMES)
def test_methods_show_both(name):
    lines, spots = heads()
    fused = METHODS[name](lines, spots)
    # Fine lines: of the MRI. What is broader than they: where the PET is bright, too.
    middle = (slice(34, 62), slice(34, 62))
    fine = [(image - ndimage.gaussian_filter(image, 2))[middle].ravel() for image in (fused, lines)]
    assert np.corrcoef(*fine)[0, 1] > 0.9
    broad = [ndimage.gaussian_filter(image, 2)[middle].ravel() for image in (fused, spots)]
    assert np.corrcoef(*broad)[0, 1] > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_black_far_away_stays_black(name):
    lines, spots = (np.pad(image, ((0, 100), (0, 110))) for image in heads(96))
    fused = METHODS[name](lines, spots)
    assert fused[160:, 160:].max() < 0.5 / 255


@pytest.mark.parametrize("name", NAMES)
def test_even_images_give_an_even_one(name):
    fused = METHODS[name](np.full((33, 30), 0.2), np.full((33, 30), 0.6))
    assert np.ptp(fused) < 1e-9
    assert fused[0, 0] == pytest.approx({"nsst_papcnn": 0.2, "nsct_rpcnn": 0.6, "nsct_pcdc": 0.4}[name])


def test_who_fires_as_often_gives_way_to_the_stronger_stimulus():
    first, second = nsct_rpcnn._activities(np.zeros((6, 6)), np.zeros((6, 6)))
    assert (first == second).all()
    band = np.outer(np.arange(6.0), np.ones(6)) ** 2
    first, second = nsct_rpcnn._activities(band, 0.999 * band)
    assert (first > second).all()
    counts = pulse_coupled.firings(np.ones((6, 6)), nsct_rpcnn.REDUCED, nsct_rpcnn.ITERATIONS)
    assert counts.min() > 5


def test_details_on_a_dark_background_count_more():
    """Directive contrast: of equal details those of the darker image."""
    row, column = np.mgrid[:64, :64]
    texture = 0.04 * np.sin(0.9 * column)
    dark, bright = 0.15 + texture, 0.8 - texture
    bands = contourlets().decompose(METHODS["nsct_pcdc"](dark, bright))
    expected = contourlets().decompose(dark)
    inner = (slice(16, 48), slice(16, 48))
    for fused, wanted in zip(bands.details[-1], expected.details[-1]):
        np.testing.assert_allclose(fused[inner], wanted[inner], atol=4e-3)


# The first of the pairs; what a change of the methods would move.
MEASURED = {"nsst_papcnn": (0.8762, 0.6055), "nsct_rpcnn": (0.8124, 0.538), "nsct_pcdc": (0.756, 0.5242)}


@pytest.mark.parametrize("name", NAMES)
def test_methods_on_the_authors_pair(shared_data, name):
    a, b = (
        np.array(Image.open(shared_data / "test_pairs" / f"01_{kind}.png")).astype(float)
        for kind in ("mri", "pet")
    )
    row = evaluate_pair(a, b, np.rint(METHODS[name](a / 255, b / 255) * 255))
    assert (row["Q_SSIM"], row["Q_VIFF"]) == pytest.approx(MEASURED[name], abs=0.002)
    # Both are in the picture.
    assert min(row["b_M"], row["b_P"]) > 0.3
