"""Metrics against slow, literal computations, values known beforehand, and the authors' own numbers."""

import csv
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, signal, stats

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.metrics import (
    FIELD,
    METRICS,
    SETS,
    VARIANTS,
    completeness,
    evaluate_pair,
    excess,
    loss_terms,
    pet_weight,
    q_fmi,
    q_g,
    q_g_published,
    q_ie,
    q_piella,
    q_ssim,
    q_viff,
    rank_correlation,
    ssim_map,
)
from Testing.conftest import ROOT, SHARED

ALL = {**METRICS, **VARIANTS, **FIELD}
C1, C2 = 6.5025, 58.5225


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path)).astype(int)


def noise(*shape, levels=256, seed=0):
    return np.random.default_rng(seed).integers(0, levels, shape).astype(float)


def head(size=48, seed=0):
    """A disk of smoothed noise on black, and another: MRI and PET of different detail."""
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.hypot(row, column) < 0.4 * size
    images = []
    for sigma in (1.0, 3.0):
        image = ndimage.gaussian_filter(generator.normal(size=(size, size)), sigma)
        image = (image - image.min()) / np.ptp(image)
        images.append(np.where(inside, np.floor(20 + 235 * image), 0))
    return images


KINDS = ("black", "constant", "two levels", "few levels", "noise", "real", "head", "one pixel", "half white")


@st.composite
def pictures(draw, size=(41, 44)):
    """Images as they come, and as they should not come."""
    kind, seed = draw(st.sampled_from(KINDS)), draw(st.integers(0, 1000))
    generator = np.random.default_rng(seed)
    if kind == "black":
        return np.zeros(size)
    if kind == "constant":
        return np.full(size, float(generator.integers(1, 256)))
    if kind in ("two levels", "few levels"):
        return generator.integers(0, 2 if kind == "two levels" else 4, size) * 60.0
    if kind == "noise":
        return generator.integers(0, 256, size).astype(float)
    if kind == "real":
        return generator.random(size) * 255
    if kind == "head":
        return head(max(size), seed)[seed % 2][: size[0], : size[1]]
    image = np.zeros(size)
    if kind == "one pixel":
        image[generator.integers(size[0]), generator.integers(size[1])] = 200
    else:
        image[:, : size[1] // 2] = 255
    return image


# Slow and literal: one window or pixel at a time, every rule written out.


def literal_q_ie(*images):
    levels = []
    for image in images:
        low, high = image.min(), image.max()
        levels.append(np.floor((image - low) / (high - low) * 255 + 0.5).ravel().tolist())

    def entropy(values):
        counts = [values.count(value) for value in set(values)]
        return -sum(n / len(values) * math.log2(n / len(values)) for n in counts)

    def shared(x, y):
        return (entropy(x) + entropy(y) - entropy(list(zip(x, y)))) / 8

    a, b, f = levels
    r = np.array(
        [[1, shared(a, b), shared(a, f)], [shared(a, b), 1, shared(b, f)], [shared(a, f), shared(b, f), 1]]
    )
    return 1 + sum(x / 3 * math.log2(x / 3) for x in np.linalg.eigvals(r).real) / 8


def sobel_of(image, row, column):
    padded = np.pad(image, 1)
    x = y = 0.0
    for i, weight in enumerate((1, 2, 1)):
        x += weight * (padded[row + i, column + 2] - padded[row + i, column])
        y += weight * (padded[row + 2, column + i] - padded[row, column + i])
    return math.hypot(x, y), math.atan(y / (x or 1e-5))


def literal_q_g(mri, pet, fused):
    ratios = []
    for row, column in np.ndindex(*mri.shape):
        f, angle_f = sobel_of(fused, row, column)
        top = bottom = 0.0
        for image in (mri, pet):
            g, angle = sobel_of(image, row, column)
            stronger, g = g > f, g or 1e-5
            weakened = f / g
            f = f or 1e-5  # and stays so for the PET
            strength = weakened if stronger else g / f
            line = abs(abs(angle - angle_f) - math.pi / 2) * 2 / math.pi
            kept = 1 / (1 + math.exp(-10 * (strength - 0.5))) / (1 + math.exp(-20 * (line - 0.75)))
            top, bottom = top + kept * g, bottom + g
        ratios.append(top / bottom)
    return sum(ratios) / len(ratios)


def literal_q_g_published(mri, pet, fused):
    top = bottom = 0.0
    for row, column in np.ndindex(*mri.shape):
        f, angle_f = sobel_of(fused, row, column)
        for image in (mri, pet):
            g, angle = sobel_of(image, row, column)
            strength = 1.0 if g == f else min(g, f) / max(g, f)
            line = 1 - abs(angle - angle_f) * 2 / math.pi
            kept_strength = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
            top += g * kept_strength * 0.9879 / (1 + math.exp(-22 * (line - 0.8)))
            bottom += g
    return top / bottom


def stretched(window):
    low, high = min(window), max(window)
    return [1.0] * 9 if low == high else [(value - low) / (high - low) for value in window]


def added(values):
    """One after the other: Python's own sum compensates rounding since version 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total


def window_score(x, f):
    """Steps c to j for two stretched windows, with the full tables of 81 cells."""
    p, q = ([value / added(window) for value in window] for window in (x, f))
    cumulated_p, cumulated_q = ([added(r[: i + 1]) for i in range(9)] for r in (p, q))
    mean_p, mean_q = added(p) / 9, added(q) / 9
    top = added((s - mean_p) * (t - mean_q) for s, t in zip(p, q))
    squares = added((s - mean_p) ** 2 for s in p) * added((t - mean_q) ** 2 for t in q)
    c = top / math.sqrt(squares) if top != 0 else 0.0

    def spread(r):
        mean = added((i + 1) * r[i] for i in range(9))
        return math.sqrt(max(added((i + 1) ** 2 * r[i] for i in range(9)) - mean**2, 0))

    def entropy(values):
        return -added(value * math.log2(abs(value)) for value in values if value != 0)

    h = np.zeros((10, 10))
    for i, j in np.ndindex(9, 9):
        both = cumulated_q[i] + cumulated_p[j] - 1
        h[i + 1, j + 1] = min(cumulated_q[i], cumulated_p[j]) if c >= 0 else max(both, 0)
    k = c * spread(p) * spread(q)
    if k != 0:
        k /= added(h[i + 1, j + 1] - cumulated_q[i] * cumulated_p[j] for i, j in np.ndindex(9, 9))
    joint = []
    for i, j in np.ndindex(9, 9):
        d = h[i + 1, j + 1] - h[i, j + 1] - h[i + 1, j] + h[i, j]
        joint.append(k * d + (1 - k) * q[i] * p[j])
    shared = entropy(p) + entropy(q) - entropy(joint)
    return 2 * shared / (entropy(p) + entropy(q)) if shared != 0 else 0.0


def literal_q_fmi(mri, pet, fused):
    total = []
    for row, column in np.ndindex(mri.shape[0] - 2, mri.shape[1] - 2):
        a, b, f = (
            image[row : row + 3, column : column + 3].T.ravel().tolist() for image in (mri, pet, fused)
        )
        score = 0.0
        for window in (a, b):
            if window == f:
                score += 1
            else:
                f = stretched(f)  # and stays so for the PET
                score += window_score(stretched(window), f)
        total.append(score / 2)
    return sum(total) / len(total)


def window_2d(length, sigma):
    row, column = np.mgrid[:length, :length] - (length - 1) / 2
    window = np.exp(-(row**2 + column**2) / (2 * sigma**2))
    return window / window.sum()


def literal_q_ssim(mri, pet, fused):
    w = window_2d(11, 1.5)
    total = []
    for row, column in np.ndindex(mri.shape[0] - 10, mri.shape[1] - 10):
        a, b, f = (image[row : row + 11, column : column + 11] for image in (mri, pet, fused))

        def covariance(x, y):
            return np.sum(w * x * y) - np.sum(w * x) * np.sum(w * y)

        def ssim(x, f=f):
            mx, mf = np.sum(w * x), np.sum(w * f)
            top = (2 * mx * mf + C1) * (2 * covariance(x, f) + C2)
            return top / ((mx**2 + mf**2 + C1) * (covariance(x, x) + covariance(f, f) + C2))

        va, vb = covariance(a, a), covariance(b, b)
        share = va / (va + vb) if va + vb != 0 else 0.5
        total.append(share * ssim(a) + (1 - share) * ssim(b))
    return sum(total) / len(total)


def literal_q_piella(mri, pet, fused):
    total = []
    for row, column in np.ndindex(mri.shape[0] - 7, mri.shape[1] - 7):
        a, b, f = (image[row : row + 8, column : column + 8] for image in (mri, pet, fused))

        def q0(x, f=f):
            mx, mf = x.mean(), f.mean()
            brightness = 2 * mx * mf / (mx**2 + mf**2) if mx or mf else 1.0
            flat = np.ptp(x) == 0 and np.ptp(f) == 0
            covariance = np.mean((x - mx) * (f - mf))
            return brightness * (1.0 if flat else 2 * covariance / (x.var() + f.var()))

        flat = np.ptp(a) == 0 and np.ptp(b) == 0
        share = 0.5 if flat else a.var() / (a.var() + b.var())
        total.append(share * q0(a) + (1 - share) * q0(b))
    return sum(total) / len(total)


def literal_q_viff(mri, pet, fused):
    images, result = [mri, pet, fused], 0.0
    for scale, weight in zip((1, 2, 3, 4), (1 / 2.15, 0, 0.15 / 2.15, 1 / 2.15)):
        n = 2 ** (5 - scale) + 1
        w = window_2d(n, n / 5)

        def mean(x, w=w):
            return signal.correlate2d(x, w, mode="valid")

        if scale > 1:
            images = [mean(x)[::2, ::2] for x in images]
        f = images[2]
        found = []
        for x in images[:2]:
            mx, mf = mean(x), mean(f)
            vx, vf = np.maximum(mean(x * x) - mx**2, 0), np.maximum(mean(f * f) - mf**2, 0)
            covariances = mean(x * f) - mx * mf
            table = np.zeros((3, *mx.shape))
            for at in np.ndindex(*mx.shape):
                v, vof, c = vx[at], vf[at], covariances[at]
                g = c / (v + 1e-10)
                s = vof - g * c
                if v < 1e-10:
                    g, s, v = 0, vof, 0
                if vof < 1e-10:
                    g, s = 0, 0
                if g < 0:
                    g, s = 0, vof
                s = max(s, 1e-10)
                table[(slice(None), *at)] = (
                    math.log10(1 + g * g * v / (s + 325.125)),
                    math.log10(1 + v / 325.125),
                    g,
                )
            found.append(table)
        top = bottom = 0.0
        for at in np.ndindex(*found[0].shape[1:]):
            a, b = (table[(slice(None), *at)] for table in found)
            kept, there, _ = a if a[2] < b[2] else b
            top, bottom = top + kept + 1e-7, bottom + there + 1e-7
        result += weight * top / bottom
    return result


def literal_en(mri, pet, fused):
    levels = np.rint(fused).ravel().tolist()
    shares = [levels.count(level) / len(levels) for level in set(levels)]
    return -sum(share * math.log2(share) for share in shares)


def literal_sd(mri, pet, fused):
    values = np.rint(fused).ravel().tolist()
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def literal_sf(mri, pet, fused):
    f = np.rint(fused)
    rows, columns = f.shape
    right = [(f[r, c + 1] - f[r, c]) ** 2 for r in range(rows) for c in range(columns - 1)]
    down = [(f[r + 1, c] - f[r, c]) ** 2 for r in range(rows - 1) for c in range(columns)]
    return math.sqrt(sum(right) / len(right) + sum(down) / len(down))


def literal_mi(mri, pet, fused):
    f, total = np.rint(fused).ravel().tolist(), 0.0
    for source in (mri, pet):
        x = np.rint(source).ravel().tolist()
        both = list(zip(x, f))
        for i, j in set(both):
            share = both.count((i, j)) / len(f)
            total += share * math.log(share / (x.count(i) / len(f)) / (f.count(j) / len(f)))
    return total


def literal_scd(mri, pet, fused):
    a, b, f = (np.rint(image).ravel() for image in (mri, pet, fused))
    if any(np.ptp(image) == 0 for image in (a, b, f - a, f - b)):
        return math.nan
    return np.corrcoef(a, f - b)[0, 1] + np.corrcoef(b, f - a)[0, 1]


def literal_vif(mri, pet, fused):
    total = 0.0
    for source in (mri, pet):
        x, f = np.rint(source), np.rint(fused)
        kept = there = 0.0
        for n in (17, 9, 5, 3):
            w = window_2d(n, n / 5)
            if n < 17:
                x, f = (signal.convolve2d(image, w, mode="valid")[::2, ::2] for image in (x, f))
            for row, column in np.ndindex(x.shape[0] - n + 1, x.shape[1] - n + 1):
                p, q = (image[row : row + n, column : column + n] for image in (x, f))
                mp, mq = np.sum(w * p), np.sum(w * q)
                v, vof = max(np.sum(w * p * p) - mp**2, 0), max(np.sum(w * q * q) - mq**2, 0)
                c = np.sum(w * p * q) - mp * mq
                g = c / (v + 1e-10)
                s = vof - g * c
                if v < 1e-10:
                    g, s, v = 0, vof, 0
                if vof < 1e-10:
                    g, s = 0, 0
                if g < 0:
                    g, s = 0, vof
                kept += math.log10(1 + g * g * v / (max(s, 1e-10) + 2))
                there += math.log10(1 + v / 2)
        total += kept / there if there else 1
    return total


def literal_qabf(mri, pet, fused):
    top = bottom = 0.0
    images = [np.pad(np.rint(image), 1) for image in (mri, pet, fused)]
    for row, column in np.ndindex(*mri.shape):
        found = []
        for image in images:
            w = image[row : row + 3, column : column + 3]
            x = np.sum(w * [[1, 0, -1], [2, 0, -2], [1, 0, -1]])
            y = np.sum(w * [[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
            found.append((math.hypot(x, y), math.pi / 2 if x == 0 else math.atan(y / x)))
        f, angle_f = found[2]
        for g, angle in found[:2]:
            strength = f / g if g > f else g / f if g < f else f
            line = 1 - abs(angle - angle_f) * 2 / math.pi
            kept = 0.9994 / (1 + math.exp(-15 * (strength - 0.5)))
            top += g * kept * 0.9879 / (1 + math.exp(-22 * (line - 0.8)))
            bottom += g
    return top / bottom if bottom else math.nan


def literal_ssim(mri, pet, fused):
    total = 0.0
    for source in (mri, pet):
        scores = []
        for row, column in np.ndindex(mri.shape[0] - 6, mri.shape[1] - 6):
            x, f = (np.rint(image)[row : row + 7, column : column + 7].ravel() for image in (source, fused))
            (vx, c), (_, vf) = np.cov(x, f)
            top = (2 * x.mean() * f.mean() + 0.0004) * (2 * c + 0.0036)
            scores.append(top / ((x.mean() ** 2 + f.mean() ** 2 + 0.0004) * (vx + vf + 0.0036)))
        total += sum(scores) / len(scores)
    return total


LITERAL = {
    "Q_IE": literal_q_ie,
    "Q_G": literal_q_g,
    "Q_FMI": literal_q_fmi,
    "Q_SSIM": literal_q_ssim,
    "Q_VIFF": literal_q_viff,
    "Q_G_published": literal_q_g_published,
    "Q_Piella": literal_q_piella,
    "EN": literal_en,
    "SD": literal_sd,
    "SF": literal_sf,
    "MI": literal_mi,
    "SCD": literal_scd,
    "VIF": literal_vif,
    "Qabf": literal_qabf,
    "SSIM": literal_ssim,
}


def trios(size):
    """MRI, PET and fused image of different characters."""
    a, b = head(max(size), seed=3)
    a, b = a[: size[0], : size[1]], b[: size[0], : size[1]]
    yield from (noise(3, *size, levels=levels, seed=levels) for levels in (3, 17, 256))
    yield noise(3, *size, seed=5) * 0.123 + 1
    yield a, b, (a + b + 1) // 2
    yield a, b, np.maximum(a, b)
    yield a, b, b
    yield a, b, a


@pytest.mark.parametrize("name", LITERAL)
def test_equals_the_literal_computation(name):
    # SSIM is computed with single precision.
    tolerance = 1e-5 if name == "SSIM" else 1e-10
    for a, b, f in trios((41, 44) if "VIF" in name else (17, 19)):
        expected = LITERAL[name](a, b, f)
        assert ALL[name](a, b, f) == pytest.approx(expected, abs=tolerance, nan_ok=name == "SCD")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.booleans(), st.integers(0, 4))
def test_q_fmi_equals_the_literal_computation_in_awkward_windows(seed, levels, unit, flat):
    """Few levels: equal, flat, and one-pixel windows, and raw windows that equal stretched ones."""
    a, b, f = noise(3, 6, 7, levels=levels, seed=seed) * (1.0 if unit else 51.0)
    for index, image in enumerate((a, b, f)):
        if flat > index:
            image[:, :4] = float(index)
    assert q_fmi(a, b, f) == pytest.approx(literal_q_fmi(a, b, f), abs=1e-10)


@settings(max_examples=30, deadline=None)
@given(pictures((12, 13)), pictures((12, 13)), pictures((12, 13)))
def test_q_g_equals_the_literal_computation(a, b, f):
    assert q_g(a, b, f) == pytest.approx(literal_q_g(a, b, f), abs=1e-10)


# Values known beforehand.


def test_q_ie_of_independent_images_is_its_lower_bound():
    a, b, f = (index.reshape(8, 8) for index in np.indices((4, 4, 4)))
    assert q_ie(a, b, f) == pytest.approx(1 - math.log(3, 256), abs=1e-12)
    assert METRICS["Q_IE"].low == pytest.approx(0.801880, abs=1e-6)


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_q_ie_of_equal_images_follows_from_their_entropy(levels):
    image = np.arange(1024).reshape(32, 32) % levels
    c = math.log(levels, 256)
    shares = [(1 + 2 * c) / 3, (1 - c) / 3, (1 - c) / 3]
    expected = 1 + sum(x * math.log(x, 256) for x in shares if x > 1e-12)
    assert q_ie(image, image, image) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("value", [0, 7])
def test_q_ie_takes_a_constant_image_as_independent(value):
    image = noise(20, 20)
    constant = np.full((20, 20), value)
    assert q_ie(constant, constant, constant) == pytest.approx(METRICS["Q_IE"].low, abs=1e-12)
    assert q_ie(constant, image, image) == pytest.approx(q_ie(0 * image, image, image), abs=1e-15)


def test_q_ie_does_not_see_inversion():
    a, b, f = noise(3, 30, 30)
    for image in (a, b, f):
        image[0, :2] = 0, 255
    assert q_ie(a, b, 255 - f) == pytest.approx(q_ie(a, b, f), abs=1e-12)


def test_q_g_is_highest_for_equal_images_and_for_black():
    image = noise(20, 21)
    assert METRICS["Q_G"].high == pytest.approx(0.98665909, abs=1e-8)
    for each in (image, 0 * image):
        assert q_g(each, each, each) == pytest.approx(1 / (1 + math.exp(-5)) ** 2, abs=1e-12)
        assert q_g_published(each, each, each) == pytest.approx(0.974794, abs=1e-6)


def test_q_g_takes_a_border_that_is_not_black_for_an_edge():
    a = np.full((20, 20), 100.0)
    assert q_g(a, a, 0 * a) < q_g(a, a, a)
    # Without the border nothing would be lost.
    lost = 1 - q_g(a, a, 0 * a) / METRICS["Q_G"].high
    assert lost == pytest.approx(1 - (18 / 20) ** 2, abs=0.01)


def test_background_lifts_q_g_but_not_the_published_one():
    a, b = (np.pad(image, 3) for image in noise(2, 20, 20))
    f = (a + b) / 2
    larger = [np.pad(image, 20) for image in (a, b, f)]
    assert q_g(*larger) > q_g(a, b, f) + 0.1
    assert q_g_published(*larger) == pytest.approx(q_g_published(a, b, f), abs=1e-12)


def test_q_fmi_of_equal_and_of_flat_images_is_1():
    image = noise(20, 21)
    assert q_fmi(image, image, image) == 1
    flat = np.ones((5, 6))
    assert q_fmi(10 * flat, 20 * flat, 30 * flat) == 1
    assert q_fmi(0 * flat, 20 * flat, 0 * flat) == 1
    for feature in ("gradient", "edge"):
        assert q_fmi(image, image, image, feature) == 1
        assert q_fmi(10 * flat, 20 * flat, 0 * flat, feature) == 1


def test_q_fmi_compares_the_pet_with_the_stretched_fused_window():
    dot = np.zeros((3, 3))
    dot[1, 1] = 1
    other = np.arange(9.0).reshape(3, 3)
    against = window_score(stretched(other.T.ravel().tolist()), dot.T.ravel().tolist())
    # Equal, but not seen as equal; one bright pixel has no entropy that could be shared.
    assert q_fmi(other, 200 * dot, 200 * dot) == pytest.approx((against + 0) / 2, abs=1e-12)
    # Seen as equal: gray levels that are stretched already, ...
    assert q_fmi(other, dot, dot) == pytest.approx((against + 1) / 2, abs=1e-12)
    assert q_fmi(other, dot, 200 * dot) == pytest.approx((against + 1) / 2, abs=1e-12)
    # ... and a fused window that was not stretched, since it equals the MRI's.
    assert q_fmi(200 * dot, 200 * dot, 200 * dot) == 1


def test_q_fmi_reads_windows_by_columns():
    a, b, f = noise(3, 12, 12)
    assert abs(q_fmi(a, b, f) - q_fmi(a.T, b.T, f.T)) > 1e-4


def test_q_fmi_of_a_feature_is_that_of_its_images():
    images = noise(3, 15, 16)
    gradients = [np.hypot(*np.gradient(image)) for image in images]
    assert q_fmi(*images, feature="gradient") == pytest.approx(q_fmi(*gradients), abs=1e-12)
    with pytest.raises(InputError, match='no feature "wavelet": choose one of none, gradient, edge'):
        q_fmi(*images, feature="wavelet")


def test_q_ssim_and_piella_of_equal_images_are_1():
    image = noise(20, 21)
    for each in (image, 0 * image, 0 * image + 9):
        assert q_ssim(each, each, each) == pytest.approx(1, abs=1e-12)
        assert q_piella(each, each, each) == pytest.approx(1, abs=1e-12)


def test_q_ssim_in_flat_windows():
    """White against black: only the source that is not black counts. Black, or none black: half and half."""

    def ssim_of_constants(x, y):
        return (2 * x * y + C1) / (x * x + y * y + C1)

    for a, b, share in ((255, 0, 1), (0, 255, 0), (0, 0, 0.5), (100, 50, 0.5)):
        expected = share * ssim_of_constants(a, 90) + (1 - share) * ssim_of_constants(b, 90)
        images = [np.full((14, 15), value) for value in (a, b, 90)]
        assert q_ssim(*images) == pytest.approx(expected, abs=1e-9)


def test_a_background_that_is_not_black_ruins_q_ssim():
    a, b = (np.pad(image, 30) for image in head())
    f = (a + b) / 2
    assert q_ssim(a, b, np.maximum(f, 3)) < q_ssim(a, b, f) - 0.3


def test_q_viff_rewards_contrast_without_limit():
    a = noise(50, 60, levels=100)
    assert q_viff(a, a, a) == pytest.approx(1, abs=1e-5)
    assert q_viff(a, a, 2.5 * a) > 1.3
    assert q_viff(a, a, a + 100) == pytest.approx(q_viff(a, a, a), abs=1e-9)
    assert q_viff(a, a, 255 - a) < 0.01
    assert q_viff(0 * a, 0 * a, a) == q_viff(0 * a + 5, 0 * a, 0 * a) == pytest.approx(1, abs=1e-6)


def test_the_smallest_images():
    for name, smallest in (
        ("Q_G", 1),
        ("Q_IE", 1),
        ("Q_FMI", 3),
        ("Q_SSIM", 11),
        ("Q_Piella", 8),
        ("Q_VIFF", 41),
    ):
        images = noise(3, smallest, smallest + 1, seed=smallest)
        assert math.isfinite(ALL[name](*images))
        with pytest.raises(InputError, match="0 × 5|at least"):
            ALL[name](*images[:, : smallest - 1])


@pytest.mark.parametrize("name", ALL)
def test_errors_say_what_is_wrong(name):
    good = noise(41, 44)
    broken = good.copy()
    broken[3, 4] = np.nan
    with pytest.raises(InputError, match="the fused image has pixels that are NaN or infinite"):
        ALL[name](good, good, broken)
    with pytest.raises(InputError, match="the pet image has 41 × 43 pixels, the mri image 41 × 44 pixels"):
        ALL[name](good, good[:, 1:], good)
    with pytest.raises(InputError, match="the mri image has 3 dimensions, expected 2"):
        ALL[name](good[None], good, good)


# The field's eight.


def test_what_the_field_rewards_without_limit():
    a, b = head(64)
    assert FIELD["SCD"](a / 2, b / 2, np.rint(a / 2) + np.rint(b / 2)) == pytest.approx(2, abs=1e-9)
    average = (a + b) / 2
    assert FIELD["SCD"](a, b, average) < 1.9
    brighter = np.where(average > 0, np.minimum(1.3 * average, 255), 0)
    noisy = average + np.random.default_rng(0).normal(0, 20, average.shape)
    assert FIELD["SD"](a, b, brighter) > FIELD["SD"](a, b, average)
    for name in ("EN", "SF"):
        assert FIELD[name](a, b, noisy) > FIELD[name](a, b, average)


def test_one_gray_level_in_the_background_costs_ssim_all_of_it():
    a, b = (np.pad(image, 30) for image in head())
    f = np.rint((a + b) / 2)
    flat = ((a == 0) & (b == 0))[33:-33, 33:-33].mean()
    assert FIELD["SSIM"](a, b, np.maximum(f, 1)) < FIELD["SSIM"](a, b, f) - 1.5 * flat


def test_copies_of_a_source_in_the_field():
    a, b = head(64)
    for each in (a, b):
        assert math.isnan(FIELD["SCD"](a, b, each)) and math.isnan(FIELD["SCD"](a, b, each + 3))
        assert FIELD["VIF"](a, b, each) > 1 and FIELD["SSIM"](a, b, each) > 1
        entropies = [FIELD["EN"](a, b, image) for image in (a, b)]
        assert FIELD["MI"](a, b, each) >= FIELD["EN"](a, b, each) * math.log(2) and max(entropies) < 8
    assert FIELD["VIF"](a, a, a) == pytest.approx(2) and FIELD["SSIM"](a, a, a) == 2


def test_what_the_field_does_not_define_is_nan_and_said():
    black, image = np.zeros((41, 41)), noise(41, 41)
    undefined = {name for name, metric in FIELD.items() if math.isnan(metric(black, black, image))}
    assert undefined == {"SCD", "Qabf"} == {name for name, metric in ALL.items() if metric.undefined}
    assert FIELD["VIF"](black, black, image) == 2


def test_the_field_measures_pictures_of_whole_gray_levels():
    a, b, f = noise(3, 41, 44) * 255 / 256
    for metric in FIELD.values():
        assert metric(a, b, f) == metric(np.rint(a), np.rint(b), np.rint(f))
        assert metric(a, b, 2 * f) == metric(a, b, np.minimum(np.rint(2 * f), 255))


# Properties of all metrics.


@settings(max_examples=50, deadline=None)
@given(pictures(), pictures(), pictures(), st.sampled_from(["as it is", "mri", "pet", "average"]))
def test_finite_and_within_bounds(a, b, f, rule):
    f = {"as it is": f, "mri": a, "pet": b, "average": (a + b) / 2}[rule]
    before = [image.copy() for image in (a, b, f)]
    for name, metric in ALL.items():
        value = metric(a, b, f)
        assert isinstance(value, float), name
        if math.isnan(value):
            assert metric.undefined, name
            continue
        slack = 1e-9 if metric.strict else 0.4
        assert metric.low - slack <= value <= metric.high + slack, name
    for image, old in zip((a, b, f), before):
        np.testing.assert_array_equal(image, old)


@settings(max_examples=30, deadline=None)
@given(pictures(), pictures(), pictures())
def test_mri_and_pet_can_be_swapped_where_the_definition_allows(a, b, f):
    for metric, tolerance in ((q_ie, 1e-12), (q_ssim, 1e-9), (q_piella, 1e-9), (q_g_published, 1e-12)):
        assert metric(a, b, f) == pytest.approx(metric(b, a, f), abs=tolerance)
    for metric in FIELD.values():
        assert metric(a, b, f) == pytest.approx(metric(b, a, f), abs=1e-9, nan_ok=True)
    assert q_g(a, b, f) == pytest.approx(q_g(b, a, f), abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(pictures())
def test_equal_images_score_best(image):
    for name in ("Q_G", "Q_FMI", "Q_SSIM", "Q_G_published", "Q_FMI_gradient", "Q_FMI_edge", "Q_Piella"):
        assert ALL[name](image, image, image) == pytest.approx(ALL[name].high, abs=1e-9)
    assert q_viff(image, image, image) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_types_and_memory_layout_do_not_matter(name):
    images = noise(3, 41, 44)
    expected = ALL[name](*images)
    columns_first = [np.asfortranarray(image) for image in images.astype(np.float32)]
    for same in (images.astype(np.uint8), columns_first):
        assert ALL[name](*same) == pytest.approx(expected, abs=1e-12)


# Loss, parts, weight of the PET.


def test_loss_is_that_of_the_training():
    import torch

    from funfuse_cli.training.loss import fusion_loss, ssim

    a, b = head()
    f = (a + b) / 2 + 3
    tensors = [torch.from_numpy(image / 255)[None, None] for image in (f, a, b)]
    for lam in (0.0, 0.8, 1.0):
        assert loss_terms(a, b, f, lam)["loss"] == pytest.approx(float(fusion_loss(*tensors, lam)), abs=1e-6)
    terms = loss_terms(a, b, f)
    assert terms["SSIM_PET"] == pytest.approx(float(ssim(tensors[0], tensors[2])), abs=1e-6)
    assert terms["MSE_MRI"] == pytest.approx(np.mean((a - f) ** 2) / 255**2, abs=1e-12)
    assert ssim_map(a, f).shape == (38, 38)


def test_completeness_is_the_largest_gap():
    first, second = noise(2, 5, 6)
    whole = first + second
    assert completeness(first, second, whole) == 0
    whole[2, 3] -= 0.25
    assert completeness(first, second, whole) == pytest.approx(0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 300))
def test_rank_correlation_is_spearmans_above_five_percent(seed, levels):
    pet, image = noise(2, 12, 13, levels=min(levels, 256), seed=seed) * 255 / (levels - 1)
    mask = noise(12, 13, levels=2, seed=seed + 1)
    counts = (mask > 0) & (pet > 12.75)
    value = rank_correlation(pet, image, mask)
    if counts.sum() < 2 or np.ptp(pet[counts]) == 0 or np.ptp(image[counts]) == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(stats.spearmanr(pet[counts], image[counts]).statistic, abs=1e-9)


def test_rank_correlation_sees_order_only():
    pet = head()[1]
    assert rank_correlation(pet, np.sqrt(pet) + 5) == pytest.approx(1)
    assert rank_correlation(pet, -pet) == pytest.approx(-1)
    assert math.isnan(rank_correlation(0 * pet, pet))
    with pytest.raises(InputError, match="mask image has 48 × 47 pixels"):
        rank_correlation(pet, pet, mask=np.ones((48, 47), bool))


def test_weights_are_those_the_image_was_mixed_with():
    a, b = head(64)
    mixed = 0.3 * a + 0.6 * b
    for intercept in (True, False):
        assert pet_weight(a, b, mixed, intercept) == pytest.approx((0.3, 0.6), abs=1e-9)
        assert pet_weight(a, b, a, intercept) == pytest.approx((1, 0), abs=1e-9)
        assert pet_weight(a, b, b, intercept) == pytest.approx((0, 1), abs=1e-9)
    assert pet_weight(a, b, mixed + 40) == pytest.approx((0.3, 0.6), abs=1e-9)
    assert pet_weight(a, b, mixed + 40, intercept=False) != pytest.approx((0.3, 0.6), abs=1e-2)


def test_weights_that_cannot_be_told_apart_are_the_smallest():
    a, b = head(64)
    assert pet_weight(a, a, a) == pytest.approx((0.5, 0.5), abs=1e-9)
    assert pet_weight(0 * a, 0 * a, b) == (0, 0)
    assert pet_weight(0 * a + 7, b, 3 * b + 1) == pytest.approx((0, 3), abs=1e-9)
    assert pet_weight(0 * a + 7, 0 * a + 0.1, 0 * a + 200 / 3) == (0, 0)


def test_excess_is_what_is_brighter_than_both():
    a, b = head(64)
    inside = (a > 0) | (b > 0)
    for fused in ((a + b) / 2, np.maximum(a, b), np.maximum(a, b) + 5):
        assert excess(a, b, fused) == 0
    fused, some = np.maximum(a, b), np.flatnonzero(inside)[:100]
    fused.flat[some] += 6
    fused[0, 0] = 255  # not of the head
    assert not inside[0, 0] and excess(a, b, fused) == pytest.approx(100 / inside.sum())
    assert excess(0 * a, 0 * b, fused) == 0


def test_evaluate_pair_gives_every_number():
    a, b = head()
    f = (a + b) / 2
    plain = evaluate_pair(a, b, f)
    assert list(plain)[:5] == ["Q_IE", "Q_G", "Q_FMI", "Q_SSIM", "Q_VIFF"]
    assert {
        "b_M",
        "b_P",
        "excess",
        "SSIM_MRI",
        "SSIM_PET",
        "MSE_MRI",
        "MSE_PET",
        "loss",
        "rank_fused",
    } <= set(plain)
    assert all(isinstance(value, float) and math.isfinite(value) for value in plain.values())
    full = evaluate_pair(a, b, f, (a / 2, b / 2), lam=0.2, metrics={**METRICS, **VARIANTS})
    assert set(full) == set(plain) | set(VARIANTS) | {"rank_PET_part", "completeness"}
    field = evaluate_pair(a, b, f, metrics=SETS["field"])
    assert list(field)[:8] == ["EN", "SD", "SF", "MI", "SCD", "VIF", "Qabf", "SSIM"]
    assert set(plain) - set(METRICS) == set(field) - set(FIELD)
    assert list(evaluate_pair(a, b, f, metrics=SETS["all"]))[:13] == [*METRICS, *FIELD]
    assert full["rank_PET_part"] == pytest.approx(1) and full["completeness"] == pytest.approx(0, abs=1e-12)
    assert full["loss"] == loss_terms(a, b, f, 0.2)["loss"] != plain["loss"]
    for metric in ALL.values():
        assert metric.rewards and metric.low < metric.high


def test_metrics_do_not_need_torch():
    imports = "import FunFuseSlicer.Logic.metrics, FunFuseSlicer.Logic.methods, sys"
    command = [sys.executable, "-c", f"{imports}; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def test_no_metric_takes_long():
    """A third of a second on one core; generous here, since tests may share theirs."""
    images = noise(3, 256, 256)
    for name, metric in ALL.items():
        start = time.process_time()
        metric(*images)
        assert time.process_time() - start < 2, name


# The authors' own numbers, and pairs of theirs.


def golden_rows(table, images):
    """[(MRI, PET, fused, row of the table)]: what another program gave."""
    table, images = SHARED / table, SHARED / images
    if not table.is_file():
        pytest.skip("values of another program, which are not part of the repository")
    rows = []
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            a, b = (read(images / f"{row['pair']}_{kind}.png") for kind in ("mri", "pet"))
            sum_b = ndimage.convolve(b, np.ones((5, 5), int), mode="nearest")
            fused = {
                "average": (a + b + 1) // 2,
                "maximum": np.maximum(a, b),
                "mri": a,
                "blur_average": (25 * a + sum_b + 25) // 50,
            }[row["rule"]]
            rows.append((a, b, fused, row))
    return rows


@pytest.fixture(scope="module")
def golden():
    """What the authors' program gave."""
    return golden_rows("golden/golden.csv", "golden/images")


@pytest.fixture(scope="module")
def golden_field():
    """What the field's evaluator gave."""
    return golden_rows("golden/golden_field.csv", "data/field_pairs")


@pytest.mark.parametrize("name", METRICS)
def test_equals_the_authors_program(golden, name):
    column = {"Q_SSIM": "Q_S"}.get(name, name)
    if name in ("Q_FMI", "Q_VIFF"):
        # The slow ones: every pair and every rule, but one of four rules a pair.
        golden = [row for index, row in enumerate(golden) if (index - index // 4) % 4 == 0]
    for a, b, fused, row in golden:
        assert METRICS[name](a, b, fused) == pytest.approx(float(row[column]), abs=1e-8), row


@pytest.mark.parametrize("name", FIELD)
def test_equals_the_fields_evaluator(golden_field, name):
    for a, b, fused, row in golden_field:
        expected = float(row["VIFF" if name == "VIF" else name])
        assert FIELD[name](a, b, fused) == pytest.approx(expected, rel=1e-6, nan_ok=True), row


def test_a_copy_of_the_mri_scores_above_fused_images(golden):
    """Why the weight of the PET is reported beside the metrics."""
    for name in ("Q_IE", "Q_G", "Q_FMI"):
        means = {}
        for *_, row in golden:
            means[row["rule"]] = means.get(row["rule"], 0) + float(row[name])
        assert max(means, key=means.get) == "mri"
