"""Registration of a PET to an MRI: recovery of known displacements, choices, refusals, cancel.

Most tests use a synthetic head. Those on real images read ``../shared/data`` next to the repository
and skip without it.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.studies.odd_inputs import heads
from FunFuseSlicer.Logic.errors import Cancelled, InputError
from FunFuseSlicer.Logic.monitor import Monitor
from FunFuseSlicer.Logic.registration import (
    Candidate,
    ImplausibleRegistration,
    OutOfTime,
    RegistrationOptions,
    add_engine,
    available_engines,
    check_volume,
    compose,
    conclude,
    decompose,
    default_engine,
    describe,
    dispatch,
    engine_names,
    objections,
    pair,
    register,
    register_and_resample,
    reuse,
    simpleitk_engine,
)
from FunFuseSlicer.Logic.registration.evidence import PARTS, Evidence
from FunFuseSlicer.Logic.registration.judgement import judge, verdict
from FunFuseSlicer.Logic.registration.plausibility import Decomposition, fits_one_patient, rotation_matrix
from FunFuseSlicer.Logic.registration.preparation import (
    check_within_reach,
    coarsen,
    indices_to_ras,
    prepare,
    prepare_mri,
)
from FunFuseSlicer.Logic.registration.similarity import mutual_information
from FunFuseSlicer.Logic.volumes.geometry import RAS_TO_LPS, Volume, resample, volume_from_sitk
from Testing.conftest import REAL_IMAGES

ROOT = Path(__file__).resolve().parents[1]

DATA = ROOT.parent / "shared" / "data" / "volumes"
# Few samples, for speed, where the last half millimeter does not matter; headers have tests of their own.
RIGID_ONLY = RegistrationOptions(stages=("rigid",), sampling_fraction=0.03, check_header=False)
FAST = RegistrationOptions(sampling_fraction=0.03, check_header=False)


# --- a synthetic head ------------------------------------------------------------------------------


def _inside(points, center, radii):
    return (((points - np.asarray(center)) / np.asarray(radii)) ** 2).sum(axis=-1) <= 1.0


def _tissues(points):
    """0 air, 1 scalp, 2 skull, 3 gray, 4 white, 5 ventricle, 6 deep gray, at RAS points (…, 3)."""
    tissue = np.zeros(points.shape[:-1], dtype=int)
    for label, center, radii in (
        (1, (0, 0, 0), (78, 98, 86)),
        (2, (0, 0, 2), (72, 92, 80)),
        (3, (0, 0, 5), (66, 85, 72)),
        (4, (-30, 8, 8), (27, 66, 50)),
        (4, (30, 4, 8), (27, 70, 52)),
        (3, (38, 30, 20), (10, 14, 10)),
        (3, (-40, -28, 25), (9, 16, 9)),
        (5, (-9, -6, 14), (6, 28, 10)),
        (5, (9, -2, 14), (6, 26, 10)),
        (6, (-20, 10, 2), (9, 16, 8)),
        (6, (20, 10, 2), (9, 16, 8)),
        (6, (0, -48, -38), (38, 24, 18)),
    ):
        tissue[_inside(points, center, radii)] = label
    return tissue


MRI_VALUES = np.array([0.0, 650.0, 60.0, 420.0, 700.0, 150.0, 500.0])
PET_VALUES = np.array([0.0, 900.0, 300.0, 9000.0, 3200.0, 500.0, 8000.0])


def _head(values, shape, spacing, pose, blur, noise, name, axes=None):
    """The head at ``pose`` (4×4 RAS, from where it was made to where it is) on a grid."""
    axes = np.eye(3) if axes is None else axes
    geometry = np.eye(4)
    geometry[:3, :3] = axes * np.asarray(spacing, dtype=float)
    geometry[:3, 3] = -geometry[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    kji = np.moveaxis(np.indices(shape[::-1]), 0, -1)
    points = kji[..., ::-1] @ geometry[:3, :3].T + geometry[:3, 3]
    back = np.linalg.inv(pose)
    array = values[_tissues(points @ back[:3, :3].T + back[:3, 3])]
    if blur:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([float(s) for s in spacing])
        array = sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, float(blur) ** 2))
    rng = np.random.default_rng(3)
    array = array + noise * rng.standard_normal(array.shape)
    return Volume(array.astype(np.float32), geometry, name)


CHECKING = "Checking the registration"


def _rigid(degrees, shift):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(degrees)
    matrix[:3, 3] = shift
    return matrix


def _moved(volume, matrix):
    """The volume put where ``matrix`` (RAS) takes it, by its header alone."""
    return replace(volume, ijk_to_ras=matrix @ volume.ijk_to_ras)


@pytest.fixture(autouse=True)
def coarse(request, monkeypatch):
    """For speed, made-up heads are registered on voxels of 3 mm."""
    if "real" not in request.node.name:
        for module in (pair, simpleitk_engine):
            monkeypatch.setattr(module, "FINEST_MM", 3.0)


@pytest.fixture(scope="module")
def mri():
    return _head(MRI_VALUES, (68, 84, 72), (2.6, 2.6, 2.6), np.eye(4), 0, 8.0, "head MRI")


@pytest.fixture(scope="module")
def pet():
    return _head(PET_VALUES, (64, 72, 56), (3.0, 3.0, 3.6), np.eye(4), 3.0, 250.0, "head PET")


_kji = np.argwhere(np.ones((20, 20, 20)))[:, ::-1] * 10.0 - 95.0
BRAIN = _kji[_tissues(_kji) >= 3]  # RAS millimeters


def _distance(found, true, points):
    """Mean distance in millimeters of where two matrices take the same points."""
    difference = found - true
    return float(np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1).mean())


def _transformed(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


# --- recovery --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "degrees, shift, options",
    [
        ((8, -6, 12), (25, -18, 30), RegistrationOptions()),
        ((-15, 4, -14), (-50, 12, 8), RIGID_ONLY),
        ((3, 18, -9), (10, 40, -30), RIGID_ONLY),
    ],
)
def test_recovers_centimeters_and_turns(mri, pet, degrees, shift, options):
    displacement = _rigid(degrees, shift)
    result = register(mri, _moved(pet, displacement), options)
    true = np.linalg.inv(displacement)
    assert _distance(result.matrix, true, _transformed(displacement, BRAIN)) < 1.5
    assert result.method == "SimpleITK rigid" and result.stage == "rigid"
    assert result.similarity_after > result.similarity_before + 0.05
    assert np.allclose(result.matrix[:3, :3] @ result.matrix[:3, :3].T, np.eye(3), atol=1e-6)
    assert result.seconds > 0 and result.description.endswith("size unchanged.")


def test_aligned_pair_stays_and_direction_is_moving_to_fixed(mri, pet):
    assert _distance(register(mri, pet, RIGID_ONLY).matrix, np.eye(4), BRAIN) < 1.0
    # The PET lies 30 mm too far right, so its transform to parent must carry it left.
    result, resampled = register_and_resample(mri, _moved(pet, _rigid((0, 0, 0), (30, 0, 0))), RIGID_ONLY)
    assert result.matrix[0, 3] == pytest.approx(-30.0, abs=1.5)
    assert resampled.same_grid(mri) and resampled.name == pet.name
    reference = resample(pet, mri).array
    assert np.corrcoef(resampled.array.ravel(), reference.ravel())[0, 1] > 0.97


def test_head_of_other_size_gets_affine(mri, pet):
    pose = np.diag([0.9, 0.88, 0.93, 1.0])
    result = register(mri, _moved(pet, pose), FAST)
    assert result.stage in ("scale", "affine") and result.rigid_matrix is not None
    assert _distance(result.matrix, np.linalg.inv(pose), _transformed(pose, BRAIN)) < 2.0
    assert "size" in " ".join(result.notes)


def test_oblique_left_handed_and_sheared_axes(mri, pet):
    axes = rotation_matrix((20, -10, 35)) @ np.diag([1.0, 1.0, -1.0])
    displacement = _rigid((5, 5, -8), (15, -20, 12))
    turned = _head(PET_VALUES, (72, 72, 60), (3, 3, 3.4), displacement, 3.0, 250.0, "oblique PET", axes)
    result = register(mri, turned, RIGID_ONLY)
    true, where = np.linalg.inv(displacement), _transformed(displacement, BRAIN)
    assert _distance(result.matrix, true, where) < 1.5

    # A gantry tilt: slices do not stack at right angles. The head itself is not sheared.
    tilted = np.eye(3)
    tilted[1, 2] = 0.2
    sheared = _head(PET_VALUES, (64, 80, 56), (3, 3, 3.6), displacement, 0, 250.0, "tilted PET", tilted)
    result = register(mri, sheared, RIGID_ONLY)
    assert _distance(result.matrix, true, where) < 1.5


def test_working_images_lie_where_the_volume_does():
    rng = np.random.default_rng(0)
    geometry = np.eye(4)
    geometry[:3, :3] = rotation_matrix((10, 20, 30)) @ np.diag([2.0, -3.0, 2.5])
    geometry[1, 2] += 0.3
    geometry[:3, 3] = rng.uniform(-50, 50, 3)
    array = np.zeros((40, 36, 44), np.float32)
    array[12:28, 10:26, 14:30] = 1.0
    volume = Volume(array, geometry, "block")
    middle = (geometry @ [21.5, 17.5, 19.5, 1.0])[:3]
    fine = prepare(volume, 2.0)
    for working in (fine, coarsen(fine, 4.0), coarsen(fine, 8.0)):
        values = sitk.GetArrayFromImage(working.image)
        kji = np.argwhere(values > 0)
        points = indices_to_ras(working.image, kji[:, ::-1].astype(float))
        weights = values[values > 0]
        assert np.allclose((points * weights[:, None]).sum(0) / weights.sum(), middle, atol=0.15)
        assert np.linalg.det(np.reshape(working.image.GetDirection(), (3, 3))) == pytest.approx(1.0)
    assert np.allclose(fine.center, middle, atol=2.0)


# --- reproducibility, progress, cancel -------------------------------------------------------------


def test_same_seed_gives_same_bits(mri, pet):
    moving = _moved(pet, _rigid((4, 2, -6), (12, -9, 14)))
    first, second = register(mri, moving, RIGID_ONLY), register(mri, moving, RIGID_ONLY)
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.similarity_after == second.similarity_after


def test_a_brain_has_the_same_voxels_in_every_run_with_any_number_of_threads():
    volume = heads.mri(mm=5.0)
    default = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    found = []
    try:
        for threads in (1, 3, 3, 2):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            working = prepare_mri(volume, 4.0)
            assert working.brain and sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
            found.append(sitk.GetArrayFromImage(working.image).tobytes())
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(default)
    assert len(set(found)) == 1


def test_threads_of_the_rough_search_change_no_bit(mri, pet):
    engine = simpleitk_engine
    images = [
        coarsen(prepare(volume, 4.0), 8.0) for volume in (mri, _moved(pet, _rigid((9, 0, 0), (0, 20, 0))))
    ]
    level = engine._level(images, RIGID_ONLY, 8.0, *engine._COARSE_WALK)
    starts = [np.eye(4), _rigid((0, 0, 0), (0, -15, 0)), _rigid((0, 10, 0), (5, -10, 0))]
    seen = []
    one, two = (
        engine._optimize_all(starts, [level] * 3, replace(RIGID_ONLY, threads=threads), seen.append)
        for threads in (1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two))
    assert not np.array_equal(one[0], one[2]) and all(0.0 <= part <= 1.0 for part in seen)


def test_progress_never_goes_back(mri, pet):
    seen = []
    options = replace(RIGID_ONLY, check_header=True)
    register(mri, pet, options, Monitor(lambda stage, fraction: seen.append((stage, fraction))))
    stages = [stage for stage, _ in seen]
    assert stages == sorted(stages, reverse=True) and set(stages) == {"Registering", CHECKING}
    for stage, at_least in (("Registering", 20), (CHECKING, 10)):
        fractions = [fraction for name, fraction in seen if name == stage]
        assert fractions[0] == 0.0 and fractions[-1] == 1.0 and len(fractions) > at_least
        assert all(later >= earlier for earlier, later in zip(fractions, fractions[1:]))


@pytest.mark.parametrize(
    "where, when", [("Registering", 0.0), ("Registering", 0.15), ("Registering", 0.6), (CHECKING, 0.5)]
)
def test_cancel_stops_soon(mri, pet, where, when):
    asked, after = [], []

    def on_progress(stage, fraction):
        after.extend(asked)
        if stage == where and fraction >= when and not asked:
            asked.append(fraction)
            monitor.cancel()

    monitor = Monitor(on_progress)
    with pytest.raises(Cancelled):
        register(mri, pet, monitor=monitor)
    # Not one report more.
    assert after == []


def test_error_in_progress_callback_comes_out_unchanged(mri, pet):
    def on_progress(stage, fraction):
        if fraction > 0.2:
            raise KeyError("from the callback")

    with pytest.raises(KeyError, match="from the callback"):
        register(mri, pet, RIGID_ONLY, Monitor(on_progress))


# --- choice among the stages -----------------------------------------------------------------------


def _conclude(mri, pet, candidates, **options):
    options = RegistrationOptions(check_header=False, **options)
    return conclude(pair.ImagePair(mri, pet), candidates, options, time.monotonic())


def test_careless_affine_is_set_aside(mri, pet):
    careless = np.diag([1.4, 1.2, 1.2, 1.0])
    result = _conclude(mri, pet, [Candidate("rigid", np.eye(4)), Candidate("affine", careless)])
    assert result.stage == "rigid"
    assert any("affine" in note and "set aside" in note for note in result.notes)


def test_small_gain_keeps_rigid_and_option_decides(mri, pet):
    displacement = _rigid((0, 0, 9), (9, 0, 0))
    back = np.linalg.inv(displacement)
    slightly_off = _rigid((0, 0, 0), (2.0, 0, 0)) @ back
    candidates = [Candidate("rigid", slightly_off), Candidate("affine", np.diag([1.001, 1, 1, 1]) @ back)]
    moving = _moved(pet, displacement)
    assert _conclude(mri, moving, candidates, minimum_gain=5.0).stage == "rigid"
    result = _conclude(mri, moving, candidates, minimum_gain=0.0)
    assert result.stage == "affine" and result.method == "SimpleITK affine"


def test_given_position_is_kept_when_nothing_is_better(mri, pet):
    result = _conclude(mri, pet, [Candidate("rigid", _rigid((0, 0, 10), (8, 0, 0)))])
    assert result.stage == "none" and np.array_equal(result.matrix, np.eye(4))
    assert result.similarity_after == result.similarity_before
    assert "given" in result.notes[0]


def test_nothing_plausible_is_an_error_with_both_names_and_a_remedy(mri, pet):
    moving = _moved(pet, _rigid((0, 0, 0), (0, 300, 0)))
    with pytest.raises(ImplausibleRegistration) as caught:
        _conclude(mri, moving, [Candidate("rigid", _rigid((0, 0, 0), (150, 0, 0)))])
    text = str(caught.value)
    assert "head MRI" in text and "head PET" in text and "already registered" in text
    assert "field of view" in text and caught.value.result.judgement == "wrong"


def test_another_engine_joins_behind_the_same_interface(mri, pet, monkeypatch):
    monkeypatch.setattr(dispatch, "_engines", dict(dispatch._engines))
    displacement = _rigid((0, 0, 5), (20, 0, 0))

    def oracle(images, options, monitor):
        return [Candidate("rigid", np.linalg.inv(displacement))]

    add_engine("Oracle", oracle)
    result = register(mri, _moved(pet, displacement), RegistrationOptions(engine="Oracle"))
    assert result.method == "Oracle rigid"
    with pytest.raises(InputError, match="'Nobody'.*'SimpleITK'.*'Oracle'"):
        register(mri, pet, RegistrationOptions(engine="Nobody"))


# --- plausibility ----------------------------------------------------------------------------------

angles = st.tuples(st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180))
threes = st.tuples(*[st.floats(-80, 80)] * 3)
scales = st.tuples(*[st.floats(0.5, 2.0)] * 3)
shears = st.tuples(*[st.floats(-0.4, 0.4)] * 3)


@given(angles, threes, scales, shears, threes)
@settings(max_examples=200, deadline=None)
def test_decomposition_round_trip(rotation, translation, scale, shear, center):
    matrix = compose(Decomposition(rotation, translation, scale, shear, center))
    parts = decompose(matrix, center)
    assert np.allclose(compose(parts), matrix, atol=1e-8)
    assert np.allclose(parts.scale, scale) and np.allclose(parts.shear, shear, atol=1e-9)
    assert np.allclose(parts.translation, translation, atol=1e-7)
    assert np.allclose(rotation_matrix(parts.rotation), rotation_matrix(rotation), atol=1e-8)


@given(st.tuples(st.floats(-180, 180), st.sampled_from([-90.0, 90.0]), st.floats(-180, 180)), scales)
@settings(max_examples=50, deadline=None)
def test_decomposition_survives_gimbal_lock_and_mirrors(rotation, scale):
    for sign in (1.0, -1.0):
        mirrored = (scale[0], scale[1], sign * scale[2])
        matrix = compose(Decomposition(rotation, (0, 0, 0), mirrored, (0, 0, 0)))
        assert np.allclose(compose(decompose(matrix)), matrix, atol=1e-6)


@given(angles, threes)
@settings(max_examples=50, deadline=None)
def test_no_rigid_motion_is_objected_to(rotation, translation):
    assert objections(_rigid(rotation, translation)) == ()


@pytest.mark.parametrize(
    "matrix, words",
    [
        (np.diag([-1.0, 1, 1, 1]), "mirrors"),
        (np.diag([1.0, 0, 1, 1]), "mirrors or flattens"),
        (np.diag([1.3, 1, 1, 1]), "enlarges the head to 130 %"),
        (np.diag([1.0, 0.7, 1, 1]), "shrinks the head to 70 %"),
        (np.eye(4) + 0.2 * np.eye(4, k=1) * [1, 1, 0, 0], "skews"),
        (np.full((4, 4), np.nan), "not a finite"),
    ],
)
def test_objections(matrix, words):
    assert words in " and ".join(objections(matrix))


def test_decompose_refuses_singular_matrices():
    with pytest.raises(ValueError):
        decompose(np.diag([1.0, 1.0, 0.0, 1.0]))


def test_description_in_words():
    text = describe(compose(Decomposition((0, 0, 10), (3, 0, 4), (1, 1, 1), (0, 0, 0))), (0, 0, 0))
    assert "10.0°" in text and "5.0 mm" in text and text.endswith("size unchanged.") and "-0.0" not in text
    text = describe(np.diag([1.1, 1.0, 1.0, 1.0]), (0, 0, 0))
    assert "scaled by 1.100, 1.000, 1.000" in text


SOUND = Evidence(1.0, 0.6, 0.5, dict.fromkeys(PARTS, 1.2), 1.0, 0.96)


def _judged(matrix=None, doubts=(), **changed):
    matrix, evidence = np.eye(4) if matrix is None else matrix, replace(SOUND, **changed)
    word, reasons = judge(matrix, evidence, doubts)
    return word, verdict(word, reasons, matrix, evidence)


def test_verdict_in_words():
    assert _judged() == (
        "good",
        "Good: the uptake ends with the brain in 96 % of directions, its halves agree to 1 mm, the size "
        "stays, and nothing is mirrored.",
    )
    assert "the size becomes 90 to 105 %" in _judged(np.diag([0.9, 1.05, 1.0, 1.0]))[1]
    assert _judged(np.diag([0.5, 1, 1, 1]), ["b"]) == (
        "wrong",
        "Wrong: the transform shrinks the head to 50 %.",
    )
    word, text = _judged(doubts=["a is so"])
    assert word == "doubtful" and text.startswith("Doubtful: a is so. Otherwise the uptake ends")


@pytest.mark.parametrize(
    "facts, words",
    [
        ({"covered": 0.1}, "only 10 % of the brain lie in the PET's field of view"),
        ({"information": 0.01}, "hardly depend on each other"),
        ({"outline": 0.2}, "in only 20 % of directions"),
        ({"offset_mm": 12.0}, "the whole would fit better a centimeter or more away"),
        ({"parts_mm": dict.fromkeys(PARTS, 9.0)}, "the left half of the brain would fit better 9 mm away"),
    ],
)
def test_each_piece_of_evidence_can_make_a_place_wrong(facts, words):
    word, text = _judged(**facts)
    assert word == "wrong" and words in text


def test_one_part_that_does_not_fit_makes_it_doubtful():
    word, text = _judged(parts_mm={**SOUND.parts_mm, "top": 7.0})
    assert word == "doubtful" and "the top half of the brain would fit better 7 mm away" in text


def test_size_beyond_one_patient():
    assert fits_one_patient(_rigid((20, 10, 5), (30, 0, 0)))
    assert fits_one_patient(np.diag([1.03, 0.97, 1.0, 1.0]))
    assert not fits_one_patient(np.diag([0.92, 1.0, 1.0, 1.0]))
    assert not fits_one_patient(np.eye(4) + 0.05 * np.eye(4, k=1) * [1, 1, 0, 0])


# --- similarity ------------------------------------------------------------------------------------


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_mutual_information_properties(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(size=(2, 20000))
    same, none = mutual_information(a, a), mutual_information(a, b)
    assert same > 2.0 and 0.0 <= none < 0.05
    assert mutual_information(a, b) == pytest.approx(mutual_information(b, a))
    assert mutual_information(a, 1.0 - a) == pytest.approx(same, rel=1e-6)
    assert mutual_information(a, np.zeros_like(a)) == pytest.approx(0.0, abs=1e-9)
    assert mutual_information(a[:1], b[:1]) == 0.0


# --- refusals --------------------------------------------------------------------------------------


def test_refuses_what_cannot_be_registered(mri, pet):
    def refused(volume, *words):
        with pytest.raises(InputError) as caught:
            register(mri, volume)
        for word in ("my PET",) + words:
            assert word in str(caught.value)

    pet = replace(pet, name="my PET")
    refused(pet.with_array(pet.array[:1]), "64×72×1 voxels", "already registered")
    refused(pet.with_array(pet.array[:8, :8, :8]), "24×24×29 mm", "already registered")
    refused(replace(pet, ijk_to_ras=pet.ijk_to_ras @ np.diag([100.0, 100, 100, 1])), "no head")
    refused(pet.with_array(np.zeros_like(pet.array)), "all its voxels are 0")
    refused(pet.with_array(np.full_like(pet.array, 7)), "all its voxels are 7")
    holes = pet.array.copy()
    holes[3, 4, 5] = np.nan
    refused(pet.with_array(holes), "not numbers or infinite")
    refused(pet.with_array(np.stack([pet.array] * 2)), "4 dimensions")
    refused(replace(pet, ijk_to_ras=np.diag([1.0, 1.0, 0.0, 1.0])), "voxel axes")
    with pytest.raises(InputError, match="other MRI"):
        register(replace(mri.with_array(np.zeros_like(mri.array)), name="other MRI"), pet)
    check_volume(pet)


def test_one_hot_voxel_and_negative_values_do_no_harm(mri, pet):
    array = pet.array - 500.0
    array[10, 10, 10] = 1e7
    displacement = _rigid((5, 0, -8), (20, 15, -10))
    result = register(mri, _moved(pet.with_array(array), displacement), RIGID_ONLY)
    true = np.linalg.inv(displacement)
    assert _distance(result.matrix, true, _transformed(displacement, BRAIN)) < 1.5


def test_far_away_head_is_found(mri, pet):
    far = _rigid((0, 0, 0), (400, 400, 400))
    with pytest.raises(InputError, match="'head PET' and 'head MRI' do not overlap in space.* 69[0-9] mm"):
        register(mri, _moved(pet, far), RIGID_ONLY)
    result = register(mri, _moved(pet, far), replace(RIGID_ONLY, far_apart=True))
    assert _distance(result.matrix, np.linalg.inv(far), _transformed(far, BRAIN)) < 1.5
    assert result.similarity_before == pytest.approx(0.0, abs=1e-6)


boxes = st.tuples(angles, st.tuples(*[st.floats(-400, 400)] * 3))


@given(boxes)
@settings(max_examples=60, deadline=None)
def test_volumes_within_reach_share_a_point(box):
    degrees, shift = box
    fixed = Volume(np.zeros((9, 10, 11)), np.diag([20.0, 20.0, 20.0, 1.0]), "fixed")
    moving = _moved(fixed, _rigid(degrees, shift))
    # The truth by brute force: points on a fine grid within the moving box, its surface included.
    steps = [np.linspace(-0.5, n - 0.5, 4 * n + 1) for n in fixed.dimensions]
    ijk = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = _transformed(np.linalg.inv(fixed.ijk_to_ras) @ moving.ijk_to_ras, ijk)
    margin = np.max(np.maximum(-0.5 - inside, inside - (np.array(fixed.dimensions) - 0.5)), axis=1).min()
    if margin < 0:
        check_within_reach(fixed, moving)
        check_within_reach(moving, fixed)
    elif margin > 0.25:  # farther than the grid of points is wide
        with pytest.raises(InputError, match="do not overlap in space"):
            check_within_reach(fixed, moving)


# --- headers that lie ------------------------------------------------------------------------------


def _turned_over(volume, flip):
    """The volume mirrored or turned about its middle by its header."""
    middle = _transformed(volume.ijk_to_ras, (np.array(volume.dimensions) - 1.0) / 2.0)
    matrix = np.diag([*flip, 1.0])
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle
    return _moved(volume, matrix)


CHECKED = replace(RIGID_ONLY, check_header=True)


def test_correct_header_raises_no_doubt(mri, pet):
    result = register(mri, _moved(pet, _rigid((-4, 9, 6), (15, -8, 20))), CHECKED)
    assert result.judgement == "good" and result.verdict.startswith("Good: ")
    assert "header" not in " ".join(result.notes)


def test_mirrored_header_is_reported_and_not_mended(mri, pet):
    result = register(mri, _turned_over(pet, (-1, 1, 1)), CHECKED)
    assert (
        "header of 'head PET' or 'head MRI' seems wrong: with its head mirrored left to right"
        in result.notes[0]
    )
    assert "nothing was mirrored" in result.notes[0] and result.verdict.startswith("Doubtful")
    assert np.linalg.det(result.matrix) > 0


@pytest.mark.parametrize(
    "flip, words",
    [
        ((1, 1, -1), "head to foot|front-back"),
        ((1, -1, -1), "left-right|all three"),
    ],
)
def test_head_that_lies_upside_down_or_backwards_is_an_error(mri, pet, flip, words):
    with pytest.raises(ImplausibleRegistration, match=f"header of 'head PET'.*({words})") as caught:
        register(mri, _turned_over(pet, flip), CHECKED)
    result = caught.value.result
    assert result.judgement == "wrong" and np.linalg.det(result.matrix) > 0


# --- part of the head, frames, time ----------------------------------------------------------------


def test_part_of_the_head_is_enough_and_said(mri, pet):
    displacement = _rigid((3, -4, 8), (12, 9, -14))
    part = pet.with_array(pet.array[20:46])
    geometry = pet.ijk_to_ras.copy()
    geometry[:3, 3] += 20 * geometry[:3, 2]
    result = register(mri, _moved(replace(part, ijk_to_ras=geometry), displacement), RIGID_ONLY)
    assert _distance(result.matrix, np.linalg.inv(displacement), _transformed(displacement, BRAIN)) < 2.0
    assert any("field of view of 'head PET' covers" in note for note in result.notes)


def test_time_limit(mri, pet):
    with pytest.raises(OutOfTime, match="'head PET' to 'head MRI' took longer"):
        register(mri, pet, replace(FAST, time_limit=1e-6))

    class Clock(Monitor):
        """Runs out after the rigid stage."""

        def report(self, stage, fraction):
            if fraction > 0.62:
                raise OutOfTime("The time is over.")

    moving = _moved(pet, _rigid((0, 0, 7), (14, 0, 0)))
    candidates = simpleitk_engine.run(pair.ImagePair(mri, moving), replace(FAST, minimum_gain=None), Clock())
    assert candidates[0].stage == "rigid" and "The time is over" in candidates[-1].note
    assert any("The time is over" in note for note in _conclude(mri, moving, candidates).notes)


# --- a transform from elsewhere --------------------------------------------------------------------


def test_reuse_checks_a_matrix_and_changes_nothing(mri, pet):
    displacement = _rigid((5, -3, 8), (14, -20, 9))
    moving, matrix = _moved(pet, displacement), np.linalg.inv(displacement)
    result = reuse(mri, moving, matrix)
    assert result.method == "reused" and np.array_equal(result.matrix, matrix) and result.trusted
    assert result.similarity_after > result.similarity_before + 0.05
    assert result.verdict.startswith("Good: the uptake ends") and "Turned by" in result.description
    # Nudged by hand: a little worse, and still the user's own.
    nudged = _rigid((0, 0, 0), (4, 0, 0)) @ matrix
    nudged = reuse(mri, moving, nudged)
    assert nudged.similarity_after < result.similarity_after and nudged.judgement == "doubtful"
    for wild in (np.diag([1.5, 1.0, 1.0, 1.0]), _rigid((0, 0, 0), (0, 25, 0))):
        with pytest.raises(ImplausibleRegistration, match="enlarges the head|fit better") as caught:
            reuse(mri, moving, wild @ matrix)
        assert caught.value.result.judgement == "wrong" and caught.value.result.verdict.startswith("Wrong: ")
    for bad in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(InputError, match="'head PET' to 'head MRI' cannot be used"):
            reuse(mri, moving, bad)


def test_engines_outside_of_slicer():
    from FunFuseSlicer.Logic.scene import brains_engine  # noqa: F401 (joins the engines)

    assert set(engine_names()) >= {"SimpleITK", "BRAINS"}
    assert "SimpleITK" in available_engines() and default_engine() in available_engines()


@pytest.mark.parametrize(
    "options",
    [
        {"stages": ()},
        {"stages": ("affine",)},
        {"stages": ("rigid", "affine", "scale")},
        {"stages": ("rigid", "bspline")},
        {"sampling_fraction": 0.0},
        {"sampling_fraction": 1.5},
        {"sampling_fraction": float("nan")},
        {"seed": 0},
        {"threads": 0},
        {"masks": "everywhere"},
        {"iterations": 0},
        {"time_limit": 0.0},
        {"time_limit": float("nan")},
        {"minimum_gain": -0.1},
        {"minimum_gain": float("nan")},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(InputError):
        RegistrationOptions(**options)


# --- real images -----------------------------------------------------------------------------------


def _read(path):
    if not path.exists():
        pytest.skip(REAL_IMAGES)
    return volume_from_sitk(sitk.ReadImage(str(path)), path.name)


def _uptake(volume):
    """RAS points of voxels above 40 % of a robust maximum."""
    array = np.asarray(volume.array, dtype=float)
    indices = np.argwhere(array > 0.4 * np.percentile(array, 99.9))[::11, ::-1]
    return _transformed(volume.ijk_to_ras, indices)


def test_real_fdg_displaced_from_its_t1():
    folder = DATA / "patient_fdg"
    t1, displaced = _read(folder / "T1.nii.gz"), _read(folder / "FDG_displaced.nii.gz")
    transform = sitk.ReadTransform(str(folder / "FDG_displaced_to_T1.tfm"))
    nominal = np.eye(4)
    nominal[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        nominal[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - nominal[:3, 3]
    nominal = RAS_TO_LPS @ nominal @ RAS_TO_LPS
    points = _uptake(displaced)
    assert _distance(np.eye(4), nominal, points) > 15.0
    # The nominal alignment of this pair is itself good to about 2 mm.
    result = register(t1, displaced)
    assert result.stage == "rigid"
    assert _distance(result.matrix, nominal, points) < 3.0


def test_real_spect_displaced_by_header():
    folder = DATA / "patients_spect"
    t2, spect = _read(folder / "spect_case09_T2.nii.gz"), _read(folder / "spect_case09_SPECT.nii.gz")
    displacement = _rigid((-9, 7, 11), (20, -25, 18))
    moving = _moved(spect, displacement)
    result = register(t2, moving)
    assert result.stage == "rigid" and result.judgement == "good"
    assert _distance(result.matrix, np.linalg.inv(displacement), _uptake(moving)) < 2.5


def test_real_volumes_that_lie_apart_are_refused():
    t1 = _read(DATA / "patient_fdg" / "T1.nii.gz")
    for name, words in (("fdg_no_overlap", "do not overlap in space"), ("all_zero", "all its voxels are 0")):
        with pytest.raises(InputError, match=f"{name}.*{words}"):
            register(t1, _read(DATA / "awkward" / f"{name}.nii.gz"))


# --- the study that measures it --------------------------------------------------------------------


@given(st.integers(1, 10_000), threes)
@settings(max_examples=50, deadline=None)
def test_displacements_of_the_study_are_rigid_and_within_their_range(seed, center):
    from funfuse_cli.studies.registration_cases import SHIFT_MM, displacement, mean_distance

    center = np.array(center)
    matrix = displacement(seed, center)
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.abs(matrix[:3, :3] @ center + matrix[:3, 3] - center).max() <= SHIFT_MM
    assert np.array_equal(displacement(seed, center), matrix)
    assert np.array_equal(displacement(0, center), np.eye(4))
    points = center + np.array([[1.0, 2.0, 3.0], [-40.0, 0.0, 9.0]])
    assert mean_distance(matrix, matrix, points) == pytest.approx(0.0, abs=1e-9)
    shifted = _rigid((0, 0, 0), (3.0, 0.0, 4.0)) @ matrix
    assert mean_distance(shifted, matrix, points) == pytest.approx(5.0)


def test_plan_of_the_study():
    from funfuse_cli.studies.registration_cases import FAMILIES, plan

    tasks = list(plan(5, ("SimpleITK",)))
    assert len(set(tasks)) == len(tasks) and {family for family, *_ in tasks} == set(FAMILIES)
    displaced = [case for family, case, seed, _ in tasks if family == "SPECT" and seed]
    assert displaced == ["09", "10", "18", "25", "36"], "the displacements are shared among the patients"
    assert sum(engine == "BRAINS" for *_, engine in plan(5, ("SimpleITK", "BRAINS"))) == 1 + 2 * 6


def test_study_measures_compares_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    """With stand-ins for pairs and engine; the engine is off by 1.5 mm, wherever the PET is."""
    import json
    from concurrent.futures import ThreadPoolExecutor
    from types import SimpleNamespace

    from funfuse_cli.studies import registration as study
    from funfuse_cli.studies import registration_cases
    from funfuse_cli.studies.registration_cases import Pair, displacement

    def make(data, case, seed):
        made.append((case, seed))
        nominal = np.linalg.inv(displacement(seed, np.zeros(3)))
        return Pair(case, nominal, nominal, 50.0 * np.eye(3))

    def register(mri, pet, options):
        if mri == "refused":
            raise InputError("It is empty.")
        judgement = "doubtful" if mri == "doubted" else "good"
        return SimpleNamespace(
            notes=("A note.",),
            judgement=judgement,
            stage="rigid",
            matrix=_rigid((0, 0, 0), (1.5, 0, 0)) @ pet,
            similarity_before=0.1,
            similarity_after=0.3,
        )

    made = []
    monkeypatch.setattr(study, "register", register)
    monkeypatch.setattr(study, "fetch", lambda image: None)
    monkeypatch.setattr(study, "find_brainsfit", lambda: None)
    monkeypatch.setattr(study, "ProcessPoolExecutor", lambda jobs, *_: ThreadPoolExecutor(jobs))
    family = (make, ("good", "doubted", "refused"), None, False)
    for module in (study, registration_cases):
        monkeypatch.setattr(module, "FAMILIES", {"some": family})
    (tmp_path / "out").mkdir()
    records = study.measure_all(tmp_path, tmp_path / "out", count=6, jobs=1)
    assert len(records) == len(made) == 9 and made[3][1] > 0, "what is not displaced comes first"
    by_task = {(record["case"], record["seed"]): record for record in records}
    for case in ("good", "doubted"):
        assert by_task[case, 2]["outcome"] == case and by_task[case, 2]["message"] == "A note."
        assert by_task[case, 2]["error_mm"] == pytest.approx(1.5)
        assert by_task[case, 2]["agreement_mm"] == pytest.approx(0.0, abs=1e-9), "all are alike off"
        assert "agreement_mm" not in by_task[case, 0]
    assert (
        by_task["refused", 1]["outcome"] == "refused" and by_task["refused", 1]["message"] == "It is empty."
    )
    assert "error_mm" not in by_task["refused", 1]

    json_file = next((tmp_path / "out").glob("some_good_2_*.json"))
    assert json.loads(json_file.read_text(encoding="utf-8")) == by_task["good", 2]
    json_file.rename(json_file.with_suffix(".part"))  # the power failed here
    assert study.measure_all(tmp_path, tmp_path / "out", count=6, jobs=1) != [] and len(made) == 10
    with pytest.raises(InputError, match="no folder 'volumes'"):
        study.main(["--data", str(tmp_path)])


def test_pictures_of_the_study(tmp_path, mri):
    import pandas as pd

    from funfuse_cli.studies.registration_tables import dice, plot_errors

    runs = pd.DataFrame(
        {"family": ["known truth"] * 3 + ["header"], "engine": "SimpleITK", "seed": [0, 1, 2, 1]}
    )
    plot_errors(runs.assign(error_mm=[0.2, 0.3, None, 90.0], agreement_mm=0.1), tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 5000
    fixed = prepare(mri, 6.0)
    assert dice(fixed, fixed, np.eye(4)) == 1.0
    assert 0.2 < dice(fixed, fixed, _rigid((0, 0, 0), (60, 0, 0))) < 0.8
    assert dice(fixed, fixed, np.diag([2.0, 2.0, 2.0, 1.0])) < 0.5


def test_a_true_brainsfit_is_found_by_its_variable_or_in_a_slicer(tmp_path, monkeypatch):
    from funfuse_cli.workflow.brainsfit import find_brainsfit

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FUNFUSE_BRAINSFIT", raising=False)
    monkeypatch.delenv("SLICER_HOME", raising=False)
    assert find_brainsfit() is None
    program = tmp_path / "Slicer-5" / "lib" / "Slicer-5.8" / "cli-modules" / "BRAINSFit"
    program.parent.mkdir(parents=True)
    program.touch()
    launcher = tmp_path / "Slicer-5" / "Slicer"
    launcher.touch()
    monkeypatch.setenv("SLICER_HOME", str(launcher.parent))
    assert find_brainsfit() == [str(launcher), "--launch", str(program)]
    alone = tmp_path / "elsewhere"
    alone.touch()
    monkeypatch.setenv("FUNFUSE_BRAINSFIT", str(alone))
    assert find_brainsfit() == [str(alone)]
