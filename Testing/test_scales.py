"""One bright thing, in the brain or outside of it, must not darken the rest."""

import numpy as np
import pytest

from funfuse_cli.studies.odd_inputs import heads
from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.fusion.fuser import load_fuser
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions, color_source, fuse_volumes
from FunFuseSlicer.Logic.volumes.brain import estimate_brain
from FunFuseSlicer.Logic.volumes.geometry import resample
from FunFuseSlicer.Logic.volumes.preprocessing import LIMITS, robust_scale


def ball(volume, center, milliliters):
    """Where a ball lies on the grid of a volume."""
    kji = np.indices(volume.array.shape)[::-1].reshape(3, -1)
    places = volume.ijk_to_ras[:3, :3] @ kji + volume.ijk_to_ras[:3, 3:]
    radius = 10 * (3 * milliliters / (4 * np.pi)) ** (1 / 3)
    return (np.linalg.norm(places - np.reshape(center, (3, 1)), axis=0) < radius).reshape(volume.array.shape)


@pytest.fixture(scope="module")
def pair():
    mri = heads.mri(mm=4.0)
    return mri, resample(heads.pet(), mri)


def hot(pet, center, milliliters, times):
    array = pet.array.copy()
    array[ball(pet, center, milliliters)] = times * 1000.0
    return pet.with_array(array)


BRIGHT = {
    "lesion of 4 ml": ((30, -30, 30), 4, 20),
    "lesion of 7 ml": ((30, -30, 30), 7, 20),
    "lesion of 20 ml": ((30, -30, 30), 20, 20),
    "mucosa": ((0, 58, -55), 25, 50),
    "skin": ((-75, 0, 10), 15, 50),
}


@pytest.mark.parametrize("what", BRIGHT)
def test_the_brain_keeps_its_brightness_and_its_colors(pair, what):
    """Median hue and brightness of gray matter, from 0 to 1, with and without what is bright."""
    mri, pet = pair
    options = FusionOptions(mode="uptake")
    gray = estimate_brain(mri) & (pet.array > 700)
    runner, shown = load_fuser(options).runner, []
    for each in (pet, hot(pet, *BRIGHT[what])):
        fusion = fuse_volumes(mri, each, runner, options)
        for mode in ("uptake", "contribution"):
            source = color_source(fusion, mode)
            shown.append((np.median(source.function()[gray]), np.median(source.brightness(0.5)[gray])))
    for before, after in zip(shown[:2], shown[2:]):
        # A lesion of 20 ml takes 1.3 % of the brain: beyond what is told from striatum, but not dark.
        assert after[0] > (0.35 if "20 ml" in what else 0.9) * before[0]
        assert after[1] > (0.6 if "20 ml" in what else 0.9) * before[1]


def test_without_the_brain_the_mucosa_would_win(pair):
    """The same scale from all of the head, to see that the test can fail."""
    mri, pet = pair
    assert robust_scale(hot(pet, *BRIGHT["mucosa"]).array) > 10 * robust_scale(pet.array, estimate_brain(mri))


def test_scales_are_proportional_and_know_what_to_do_without_a_brain(pair):
    mri, pet = pair
    brain = estimate_brain(mri)
    assert robust_scale(7 * pet.array, brain) == pytest.approx(7 * robust_scale(pet.array, brain), rel=1e-5)
    outside = np.where(brain, 0, pet.array)
    assert robust_scale(outside, brain) == robust_scale(outside)
    assert robust_scale(pet.array, np.zeros_like(brain)) == robust_scale(pet.array)


def test_a_tracer_of_the_striatum_alone_is_no_lesion(shared_data):
    """On average maps of 15 tracers the limits never bite: striatum keeps its scale."""
    from funfuse_cli.reading.reader import read_volume

    maps = sorted((shared_data / "tracers").glob("*.nii.gz"))
    assert len(maps) >= 15
    # Of a tracer that is in all of the brain.
    everywhere = read_volume(next(path for path in maps if path.name.startswith("NMDA")))
    brain = everywhere.array > 0.3 * everywhere.array.max()
    for path in maps:
        pet = resample(read_volume(path), everywhere).array
        plain = np.percentile(pet[brain & (pet > 0)], 99.5)
        assert robust_scale(np.maximum(pet, 0), brain) == pytest.approx(plain, rel=1e-5), path.name
        for percentile, times in LIMITS:
            assert plain < times * np.percentile(pet[brain & (pet > 0)], percentile)


# --- The range that somebody chose --------------------------------------------------------------------


def test_two_visits_with_one_range_have_equal_colors_for_equal_uptake(pair):
    """The second visit has half the uptake, and a lesion that would set a scale of its own."""
    mri, pet = pair
    later = hot(pet.with_array(0.5 * pet.array), (30, -30, 30), 30, 3)
    for low, high in ((0.0, 1500.0), (200.0, 900.0)):
        found = {}
        for name, each in (("first", pet), ("second", later)):
            fusion = fuse_volumes(mri, each, load_fuser(FusionOptions()).runner)
            hue = color_source(fusion, "uptake", (low, high)).function()
            expected = np.clip((each.array - low) / (high - low), 0, 1)
            np.testing.assert_allclose(hue, expected, atol=1e-5)
            found[name] = hue
        assert (found["first"] > found["second"]).mean() > 0.1
    with pytest.raises(InputError, match="low and high, not 3 and 2"):
        FusionOptions(uptake_range=(3, 2))


def test_the_part_shows_the_colors_of_uptake_to_some_percent(pair):
    """By the documented relation: part and uptake are proportional."""
    mri, pet = pair
    fusion = fuse_volumes(mri, pet, load_fuser(FusionOptions()).runner)
    gray = estimate_brain(mri) & (pet.array > 400)
    uptake, part = (
        color_source(fusion, mode, (100.0, 1300.0)).function()[gray] for mode in ("uptake", "contribution")
    )
    assert np.abs(part - uptake).mean() < 0.15
    # 0 and the robust maximum are what there is without a range.
    plain, chosen = (
        color_source(fusion, "contribution", ends).function() for ends in (None, (0.0, fusion.scales[1]))
    )
    np.testing.assert_allclose(plain, chosen, atol=1e-5)
