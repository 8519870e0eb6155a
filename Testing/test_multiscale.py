"""Nonsubsampled shearlets and contourlets: exact, blind to position, each direction in its own band."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FunFuseSlicer.Logic.methods import multiscale
from FunFuseSlicer.Logic.methods.multiscale import fans, maxflat, mirror, pyramid, shears


def shearlets(directions=(8, 8, 16, 16)):
    """With filters that tell directions apart alike in all scales."""
    return multiscale.shearlets(directions, [8 * 2**scale for scale in reversed(range(len(directions)))])


both = pytest.mark.parametrize("make", (shearlets, multiscale.contourlets))


def random_image(seed, shape):
    return np.random.default_rng(seed).random(shape)


def flat(bands):
    return np.stack([bands.low] + [band for scale in bands.details for band in scale])


def center_angle(direction, directions):
    return 4 * (direction + 0.5) / directions if directions > 2 else 2.0 * direction


def frequency_of(angle):
    """(rows, columns) of a pseudo-polar angle, the larger of them 1."""
    angle = (angle + 1) % 4 - 1
    return (angle, 1.0) if angle <= 1 else (1.0, 2 - angle)


@both
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    seed=st.integers(0, 999),
    directions=st.lists(st.sampled_from((2, 4, 8, 16)), min_size=1, max_size=4),
)
def test_any_size_comes_back(make, rows, columns, seed, directions):
    transform = make(directions)
    image = random_image(seed, (rows, columns))
    bands = transform.decompose(image)
    assert [len(scale) for scale in bands.details] == directions
    assert all(band.shape == image.shape and band.dtype == np.float64 for band in flat(bands))
    np.testing.assert_allclose(transform.reconstruct(bands), image, rtol=0, atol=1e-10)


@both
@pytest.mark.parametrize("content", (0.0, 1.0, "steps"))
def test_constants_and_steps_come_back(make, content):
    image = np.kron(np.eye(2), np.ones((61, 48))) if content == "steps" else np.full((61, 48), content)
    bands = make().decompose(image)
    np.testing.assert_allclose(make().reconstruct(bands), image, rtol=0, atol=1e-10)
    if content != "steps":
        np.testing.assert_allclose(flat(bands)[1:], 0, atol=1e-12)
        np.testing.assert_allclose(bands.low, image, atol=1e-12)


@both
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), factor=st.floats(-3, 3))
def test_linear(make, seed, factor):
    first, second = random_image(seed, (2, 23, 30))
    transform = make()
    one, other = transform.decompose(first), transform.decompose(second)
    both_at_once = transform.decompose(first + factor * second)
    np.testing.assert_allclose(flat(both_at_once), flat(one) + factor * flat(other), atol=1e-12)
    changed = multiscale.Bands(factor * one.low, [[factor * band for band in scale] for scale in one.details])
    np.testing.assert_allclose(transform.reconstruct(changed), factor * first, atol=1e-12)


@both
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 999), down=st.integers(-5, 5), right=st.integers(-5, 5))
def test_a_shift_shifts_every_band(make, seed, down, right):
    # Fine scales only: coarse filters reach too far for an image of this size.
    transform = make((8, 8))
    image = np.zeros((161, 141))
    image[75:85, 65:75] = random_image(seed, (10, 10))
    here = flat(transform.decompose(image))
    there = flat(transform.decompose(np.roll(image, (down, right), (0, 1))))
    # Away from the borders, where the filters' last tails are mirrored.
    inner = np.s_[:, 30:-30, 30:-30]
    np.testing.assert_allclose(np.roll(here, (down, right), (1, 2))[inner], there[inner], atol=1e-9)


@both
def test_flipping_the_image_flips_and_mirrors_the_bands(make):
    image = random_image(3, (37, 50))
    for axis in (0, 1):
        flipped = make().decompose(np.flip(image, axis)).details
        for scale, other in zip(make().decompose(image).details, flipped):
            for band, partner in zip(scale, reversed(other)):
                np.testing.assert_allclose(np.flip(partner, axis), band, atol=1e-12)


@both
def test_transposing_the_image_swaps_the_two_cones(make):
    image = random_image(4, (37, 50))
    for scale, other in zip(make().decompose(image).details, make().decompose(image.T).details):
        count = len(scale)
        for direction, band in enumerate(scale):
            # Exchanging the axes takes the angle a to 2 - a.
            np.testing.assert_allclose(other[(count // 2 - 1 - direction) % count].T, band, atol=1e-12)


@both
def test_borders_are_mirrored(make):
    """As if filtered, with the same responses, with its mirror images on a torus: shifts there are exact."""
    shape = (18, 21)
    image = random_image(5, shape)
    tiled = np.block([[image, image[:, ::-1]], [image[::-1], image[::-1, ::-1]]])
    wedges = {shearlets: shears.Wedges((8, 16)), multiscale.contourlets: fans.responses}[make]
    details = make((4, 8)).decompose(image).details[::-1]
    pyramid_details = pyramid.analysis(shape, 2).details
    for scale, bands in enumerate(details):
        response = wedges(shape, len(bands), scale) * pyramid_details[scale]
        mirrored = response[::-1]
        # All four quadrants of the torus; no response is left at the frequency pi, which the quadrant lacks.
        whole = np.zeros((len(bands), 36, 42))
        whole[:, :18, :21] = response
        whole[:, 19:, 22:] = response[:, :0:-1, :0:-1]
        whole[:, :18, 22:] = mirrored[:, :, :0:-1]
        whole[:, 19:, :21] = mirrored[:, :0:-1, :]
        expected = np.fft.ifft2(np.fft.fft2(tiled) * whole).real[:, :18, :21]
        np.testing.assert_allclose(bands, expected, atol=1e-12)


@both
@pytest.mark.parametrize("directions, share", ((2, 0.95), (4, 0.95), (8, 0.75), (16, 0.5)))
def test_waves_are_in_the_band_of_their_direction_and_scale(make, directions, share):
    transform = make((directions,) * 3)
    rows, columns = np.mgrid[-80:80, -80:80]
    envelope = np.exp(-(rows**2 + columns**2) / (2 * 20**2))
    for direction in range(directions):
        down, right = frequency_of(center_angle(direction, directions))
        for scale in range(3):
            omega = 0.65 * np.pi / 2 ** (2 - scale)
            wave = envelope * np.cos(omega * (down * rows + right * columns))
            energy = [np.sum(np.square(bands), axis=(1, 2)) for bands in transform.decompose(wave).details]
            assert np.argmax([e.sum() for e in energy]) == scale
            assert np.argmax(energy[scale]) == direction
            assert energy[scale][direction] >= share * energy[scale].sum()


@both
@pytest.mark.parametrize("direction", range(8))
def test_a_thin_line_is_in_the_band_across_it(make, direction):
    """A line varies across itself: its band is that of the direction of its normal."""
    down, right = frequency_of(center_angle(direction, 8))
    rows, columns = np.mgrid[-64:65, -64:65]
    length = np.hypot(down, right)
    across, along = (down * rows + right * columns) / length, (right * rows - down * columns) / length
    line = np.exp(-(across**2) / 2) * np.exp(-(along**2) / (2 * 20**2))
    for scale in make((8, 8, 8)).decompose(line).details:
        energy = np.sum(np.square(scale), axis=(1, 2))
        assert np.argmax(energy) == direction
        assert energy[direction] > 0.6 * energy.sum()


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    directions=st.sampled_from((2, 4, 8, 16, 32)),
    scale=st.integers(0, 3),
    reach=st.integers(1, 64),
)
def test_directions_are_complementary(rows, columns, directions, scale, reach):
    np.testing.assert_allclose(shears.responses((rows, columns), directions, reach).sum(0), 1, atol=1e-12)
    fan = fans.responses((rows, columns), directions, scale)
    assert fan.shape == (directions, rows, columns) and fan.min() >= 0
    np.testing.assert_allclose(np.square(fan).sum(0), 1, atol=1e-12)


@pytest.mark.parametrize("zeros", (1, 2, 4))
def test_maximally_flat_half_band(zeros):
    x = np.linspace(-1, 1, 201)
    p = maxflat.half_band(x, zeros)
    np.testing.assert_allclose(p + maxflat.half_band(-x, zeros), 1, atol=1e-13)
    assert (np.diff(p) >= -1e-15).all() and p[0] == 0 and p[-1] == 1
    # Near its zero it falls as the power of its flatness.
    near = maxflat.half_band(np.array([-1 + 1e-3, -1 + 2e-3]), zeros)
    assert np.log2(near[1] / near[0]) == pytest.approx(zeros, abs=0.01)


def test_filter_pairs_are_perfect():
    x = np.linspace(-1, 1, 201)
    pair = maxflat.low_pass(x) * maxflat.dual_low_pass(x)
    np.testing.assert_allclose(pair + pair[::-1], 1, atol=1e-14)
    np.testing.assert_allclose(maxflat.balanced(x) ** 2, pair, atol=1e-14)


def test_details_are_blind_to_cubic_polynomials_and_filters_end():
    shape = (96, 96)
    rows, columns = np.mgrid[:96, :96] / 96
    cubic = rows**3 - 2 * columns**3 + rows * columns
    impulse = np.zeros(shape)
    impulse[48, 48] = 1
    analysis = pyramid.analysis(shape, 2)
    for scale, reach in enumerate((9, 27)):
        detail = mirror.image(mirror.spectrum(cubic) * analysis.details[scale])
        assert np.abs(detail[40:56, 40:56]).max() < 1e-12
        filtered = mirror.image(mirror.spectrum(impulse) * analysis.details[scale])
        filtered[48 - reach : 49 + reach, 48 - reach : 49 + reach] = 0
        assert np.abs(filtered).max() < 1e-14


def test_shearing_filters_are_small_real_and_add_up_to_an_impulse():
    filters = shears.taps(8, 8)
    assert filters.shape == (8, 17, 17)
    np.testing.assert_allclose(filters, filters[:, ::-1, ::-1], atol=1e-15)
    impulse = np.zeros((17, 17))
    impulse[8, 8] = 1
    np.testing.assert_allclose(filters.sum(0), impulse, atol=1e-14)


def test_shearing_filters_of_any_reach_give_the_image_back_and_end_there():
    transform = multiscale.shearlets((8, 16), (4, 8))
    image = random_image(8, (40, 33))
    np.testing.assert_allclose(transform.reconstruct(transform.decompose(image)), image, rtol=0, atol=1e-10)
    impulse = np.zeros((129, 129))
    impulse[64, 64] = 1
    # The pyramid's own filters reach 9 pixels for the finest details, 27 for the next.
    for scale, reach in zip(transform.decompose(impulse).details, (27 + 4, 9 + 8)):
        for band in scale:
            assert np.abs(band[64 - reach : 65 + reach, 64 - reach : 65 + reach]).max() > 1e-3
            band[64 - reach : 65 + reach, 64 - reach : 65 + reach] = 0
            assert np.abs(band).max() < 1e-13


@pytest.mark.parametrize("reaches", ((8,), (8, 8, 8), (0, 8)))
def test_other_numbers_of_reaches_are_refused(reaches):
    with pytest.raises(ValueError, match="one number for each scale"):
        multiscale.shearlets((8, 8), reaches)


@both
@pytest.mark.parametrize("axis", (0, 1))
def test_nothing_wraps_around_and_smooth_shading_has_no_frame(make, axis):
    stripes = np.zeros((96, 96))
    stripes[-4:] = random_image(6, (4, 96))
    shading = np.cos(np.pi * (np.arange(96)[:, None] + 0.5) / 96) * np.ones(96)
    opposite = flat(make((8, 8)).decompose(np.moveaxis(stripes, 0, axis)))
    assert np.abs(np.moveaxis(opposite, axis + 1, 1)[:, :20]).max() < 1e-6
    assert np.abs(flat(make((8, 8)).decompose(np.moveaxis(shading, 0, axis)))[1:]).max() < 1e-5


@both
@pytest.mark.parametrize("directions", ((), (3,), (1, 8), (0,), (8, 12)))
def test_other_numbers_of_directions_are_refused(make, directions):
    with pytest.raises(ValueError, match="powers of two"):
        make(directions)


@both
def test_bands_of_another_transform_are_refused(make):
    with pytest.raises(ValueError, match="not those of this transform"):
        make((4, 4)).reconstruct(make((4,)).decompose(np.zeros((5, 5))))


@both
def test_fast(make):
    image = random_image(7, (256, 256))
    make().decompose(np.zeros((256, 256)))
    started = time.process_time()
    make().reconstruct(make().decompose(image))
    assert time.process_time() - started < 1.5
