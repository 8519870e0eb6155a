"""FunFuse as a library: the examples of docs/api.md run, and the entry takes or refuses whatever it gets."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from FunFuseSlicer.Logic.color.colorize import jet_table
from FunFuseSlicer.Logic.errors import FunFuseError, InputError
from FunFuseSlicer.Logic.library import FusionOptions, fuse
from FunFuseSlicer.Logic.registration import RegistrationOptions
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from Testing.conftest import ROOT, head_phantom
from Testing.test_terminal import environment

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = dict(
    zip(re.findall(r"^## (.+)$", PAGE, re.M), re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S))
)

# What a script on a computer without them must not need.
HIDDEN = ("slicer", "vtk", "qt", "ctk", "PySide6", "torch")
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({HIDDEN}))\n"

AVERAGE = FusionOptions(method="average")


@pytest.fixture
def folder(tmp_path):
    """What the examples read."""
    mri, pet = head_phantom((12, 48, 44), (4.0, 4.0, 12.0))
    np.save(tmp_path / "mri.npy", mri.array)
    np.save(tmp_path / "pet.npy", pet.array)
    for name, volume in (("mri", mri), ("pet", pet), ("fused", mri)):
        np.save(tmp_path / f"slice_{name}.npy", 255 * volume.array[6] / volume.array.max())
    for name, volume in (("T1", mri), ("FDG", pet)):
        sitk.WriteImage(volume_to_sitk(volume), str(tmp_path / f"{name}.nii.gz"))
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run_without_slicer_qt_and_pytorch(folder, name):
    code = EXAMPLES[name]
    assert len(code.splitlines()) <= 10
    command = [sys.executable, "-c", WITHOUT + code]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout
    for written in re.findall(r'"(\w+\.(?:npy|nii\.gz))"[,)]', code):
        assert (folder / written).exists()


def test_there_are_the_four_examples():
    assert len(EXAMPLES) == 4 and len(re.findall(r"^```python", PAGE, re.M)) == 4


def test_the_promised_names_are_there():
    """Each row of the table; names in the second column are those of the first one's module or class."""
    rows = re.findall(r"^\| `(FunFuseSlicer\.[\w.]+|funfuse_cli\.[\w.]+)` \| (.*) \|$", PAGE, re.M)
    assert len(rows) > 8
    for path, text in rows:
        try:
            owner = importlib.import_module(path)
        except ModuleNotFoundError:
            module, _, name = path.rpartition(".")
            owner = getattr(importlib.import_module(module), name)
        names = [name for name in re.findall(r"`(\w+)`", text)]
        known = {*dir(owner), *getattr(owner, "__annotations__", {})}
        assert set(names) <= known, path


# --- The safe entry -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    return head_phantom((4, 40, 36), (5.0, 5.0, 40.0))


def test_every_option_counts(pair):
    plain = fuse(*pair)
    np.testing.assert_allclose(plain.mri_part + plain.pet_part, plain.fused, atol=1e-5)
    assert plain.colored.shape == (*plain.fused.shape, 3) and plain.registration is None
    assert plain.facts["lam"] == 0.8 and len(plain.facts["model_sha256"]) == 64
    for name, value, changed in (
        ("lam", 0.0, "fused"),
        ("normalization", "minmax", "fused"),
        ("omega", 0.0, "colored"),
        ("balance", 1.0, "colored"),
        ("mode", "uptake", "colored"),
        ("method", "average", "fused"),
    ):
        other = fuse(*pair, FusionOptions(**{name: value}))
        assert not np.array_equal(getattr(other, changed), getattr(plain, changed)), name
        assert other.facts[name] == value
    other = fuse(*pair, table=jet_table()[::-1])
    assert not np.array_equal(other.colored, plain.colored)
    np.testing.assert_array_equal(other.fused, plain.fused)
    mask = np.zeros(pair[0].array.shape, np.uint8)
    mask[:, 10:30, 10:30] = 1
    for given_mask in (mask, pair[0].with_array(mask)):
        masked = fuse(*pair, mask=given_mask)
        assert not masked.fused[mask == 0].any() and masked.fused[mask > 0].any()


def test_arrays_volumes_and_single_slices_give_the_same(pair):
    mri, pet = pair
    whole = fuse(mri, pet, AVERAGE)
    np.testing.assert_array_equal(fuse(mri.array, pet.array, AVERAGE).fused, whole.fused)
    assert whole.mri_part is None and whole.pet_part is None
    flat = fuse(mri.array[2], pet.array[2])
    assert flat.fused.shape == flat.mri_part.shape == flat.pet.shape == mri.array[2].shape
    assert flat.colored.shape == (*mri.array[2].shape, 3)
    thick = fuse(mri.array[2:3], pet.array[2:3])
    np.testing.assert_array_equal(thick.fused[0], flat.fused)


def test_registration_finds_where_the_pet_lies():
    mri, pet = head_phantom((24, 40, 36), (5.0, 5.0, 6.0))
    shift = np.eye(4)
    shift[:3, 3] = 8.0, -6.0, 5.0
    moved = Volume(pet.array, shift @ pet.ijk_to_ras, "FDG")
    with pytest.raises(InputError, match='"T1" and "FDG" lie on different grids.*registration.*resample'):
        fuse(mri, moved, AVERAGE)
    result = fuse(mri, moved, AVERAGE, RegistrationOptions(stages=("rigid",)))
    np.testing.assert_allclose(result.registration.matrix[:3, 3], -shift[:3, 3], atol=2.5)
    assert result.pet.shape == mri.array.shape


def test_what_is_not_finite_is_said_and_never_given_back(pair):
    mri, pet = pair
    spoiled = pet.array.copy()
    spoiled[1, 5:9, 5:9], spoiled[2, 0, 0], spoiled[2, 0, 1] = np.nan, np.inf, -3
    result = fuse(mri, pet.with_array(spoiled))
    assert all(np.isfinite(array).all() for array in (result.fused, result.pet_part, result.pet))
    assert result.notes[0] == '"FDG": 16 NaN, 1 infinite, 1 negative voxels set to 0.'


@pytest.mark.parametrize(
    "arguments, words",
    [
        (lambda m, p: (m.array, p.array[:2]), "4 × 40 × 36 voxels and .*2 × 40 × 36"),
        (lambda m, p: (m.array[0], p.array), "1 × 40 × 36 voxels and .*4 × 40 × 36"),
        (lambda m, p: (m.array[0, 0], p.array), "has 1 dimensions"),
        (lambda m, p: (np.stack([m.array] * 2), p.array), "has 4 dimensions.*dynamic"),
        (lambda m, p: (m.array + 1j, p.array), "no real numbers"),
        (lambda m, p: (np.array("text"), p.array), "no real numbers"),
        (lambda m, p: (m.array, None), "no real numbers"),
        (lambda m, p: (m.array, np.zeros_like(p.array)), '"PET" is zero everywhere'),
        (lambda m, p: (m.array, np.full_like(p.array, np.nan)), '"PET" is zero everywhere'),
        (lambda m, p: (m.array[:0], p.array[:0]), "has no voxels"),
        (lambda m, p: (m, p, {"lam": 0.5}), "The options are a dict"),
        (lambda m, p: (m, p, FusionOptions(model="none")), 'no model "none"'),
        (lambda m, p: (m, p, FusionOptions(colormap="Iron")), '"Iron" is Slicer.*Jet, Inferno'),
        (lambda m, p: (m.array, p.array, None, RegistrationOptions()), "no place in space"),
        (lambda m, p: (m, p, None, None, np.ones((2, 2, 2))), "The mask has 2 × 2 × 2 voxels"),
        (lambda m, p: (m, p, None, None, np.zeros(m.array.shape)), "zero all over the mask"),
        (lambda m, p: (m, p, None, None, None, np.ones((3, 4))), "color table"),
        (lambda m, p: (m, p, None, None, None, np.full((9, 3), 255)), "numbers from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(pair, arguments, words):
    with pytest.raises(InputError, match=words):
        fuse(*arguments(*pair))


@pytest.mark.parametrize("options", [{"lam": 2}, {"lam": float("nan")}, {"mode": "x"}, {"method": "x"}])
def test_options_check_themselves(options):
    with pytest.raises(InputError):
        FusionOptions(**options)


SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12)
IMAGES = st.one_of(
    arrays.arrays(st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64, bool]), SHAPES),
    arrays.arrays(np.float32, (12, 11), elements=st.floats(width=32)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(images=st.tuples(IMAGES, IMAGES), twice=st.booleans())
def test_any_arrays_give_finite_images_or_a_sentence(images, twice):
    mri, pet = (images[0], images[0]) if twice else images
    try:
        result = fuse(mri, pet)
    except FunFuseError:
        return
    assert np.isfinite(result.fused).all() and result.fused.shape == mri.shape
    assert result.colored.shape == (*mri.shape, 3)
