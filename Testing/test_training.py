"""Loss and training on small pictures made here."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch.nn import functional

from FunFuseSlicer.Logic.errors import InputError
from FunFuseSlicer.Logic.training.augment import augment
from FunFuseSlicer.Logic.training.loss import fusion_loss, mean_square, ssim
from FunFuseSlicer.Logic.training.pairs import Pair, read_pairs, split_by_patient
from FunFuseSlicer.Logic.training.trainer import TrainingOptions, average_losses, losses, train

from .conftest import head_phantom


@pytest.fixture(scope="module")
def pairs():
    """Slices of two phantoms, as two patients, 8 bits."""
    result = []
    for patient in (1, 2):
        mri, pet = head_phantom((10, 64, 56), seed=patient)
        images = [np.uint8(np.clip(v.array / v.array.max() * 255, 0, 255)) for v in (mri, pet)]
        result += [Pair(f"patient{patient}", images[0][k], images[1][k]) for k in (4, 5, 6)]
    return result


def conv_ssim(a, b):
    """SSIM by two-dimensional convolution with the full 11×11 window."""
    taps = torch.exp(-((torch.arange(11.0) - 5) ** 2) / 4.5)
    window = torch.outer(taps, taps)
    window = (window / window.sum())[None, None].double()

    def blur(x):
        return functional.conv2d(x, window)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return (top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()


def test_ssim_equals_convolution():
    a, b = torch.rand(2, 3, 1, 30, 41, generator=torch.Generator().manual_seed(0)).double()
    for index in range(3):
        expected = conv_ssim(a[index : index + 1], b[index : index + 1])
        assert float(ssim(a, b)[index]) == pytest.approx(float(expected), abs=1e-9)
    torch.testing.assert_close(ssim(a, a), torch.ones(3).double())


def test_loss_is_the_papers():
    a, b, f = torch.rand(3, 2, 1, 20, 20, generator=torch.Generator().manual_seed(1)).double()
    structure = (1 - ssim(a, f)) + (1 - ssim(b, f))
    intensity = mean_square(a, f) + mean_square(b, f)
    torch.testing.assert_close(fusion_loss(f, a, b, 0.8), 0.8 * structure + 0.2 * intensity)
    torch.testing.assert_close(
        fusion_loss(f, a, b, torch.tensor([0.0, 1.0])), torch.stack([intensity[0], structure[1]])
    )


def test_a_background_that_is_not_black_is_a_cliff():
    """Why the network has no bias: a gray level of 0.01 in the background costs more than fusing badly."""
    image = torch.zeros(1, 1, 64, 64)
    image[..., 16:48, 16:48] = torch.rand(32, 32)
    assert float(ssim(image, image)) - float(ssim(image, image + 0.01)) > 0.3


def test_training_learns_resumes_and_logs(pairs, tmp_path):
    options = TrainingOptions(steps=60, batch=2, crop=32, rate=3e-3, seed=1, lam=0.8)
    network = train(pairs, options, tmp_path / "whole", {"held": pairs[:2]})
    start = train(
        pairs, TrainingOptions(steps=1, batch=2, crop=32, rate=1e-9, seed=1, lam=0.8), tmp_path / "0"
    )
    assert np.mean(losses(network, pairs, 0.8)) < np.mean(losses(start, pairs, 0.8)) - 0.1
    with (tmp_path / "whole" / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == 60 and float(rows[-1]["held λ=0.8"]) < 1.0


def test_an_interrupted_training_ends_as_an_uninterrupted_one(pairs, tmp_path):
    options = TrainingOptions(steps=20, batch=1, crop=32, seed=3)
    whole = train(pairs, options, tmp_path / "whole")

    def stop(step, loss):
        if step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, options, tmp_path / "parts", on_step=stop)
    resumed = train(pairs, options, tmp_path / "parts")
    for a, b in zip(whole.parameters(), resumed.parameters()):
        assert torch.equal(a, b)
    assert whole.conditioned and len(average_losses(pairs, 0.5)) == len(pairs)


def test_augmentation_keeps_the_background_black(pairs):
    image = np.zeros((40, 40), np.float32)
    image[10:30, 10:30] = np.random.default_rng(0).random((20, 20))
    for seed in range(60):
        mri, pet = augment(image, image, np.random.default_rng(seed))
        for result in (mri, pet):
            assert result.dtype == np.float32 and result.min() >= 0 and result.max() <= 1
            assert not result[:7].any() and not result[:, :7].any()


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def test_pairs_are_found_and_split_by_patient(tmp_path, pairs):
    mri, pet = pairs[0].mri, pairs[0].pet
    for series in ("anna/axial", "anna/coronal", "ben"):
        write(tmp_path / "data" / series / "mri" / "1.png", mri)
        write(tmp_path / "data" / series / "pet" / "1.png", pet)
    write(tmp_path / "data" / "ben" / "mri" / "2.png", np.zeros_like(mri))
    write(tmp_path / "data" / "ben" / "pet" / "2.png", pet)
    write(tmp_path / "data" / "07_mri.png", mri)
    write(tmp_path / "data" / "07_pet.png", pet)
    found = read_pairs([tmp_path / "data"])
    assert sorted(pair.patient for pair in found) == ["07", "anna", "anna", "ben"], (
        "empty slices are left out"
    )
    training, held_out = split_by_patient(found, ["anna"])
    assert {p.patient for p in training} == {"07", "ben"} and {p.patient for p in held_out} == {"anna"}
    with pytest.raises(InputError, match="no patient carla"):
        split_by_patient(found, ["carla"])
    with pytest.raises(InputError, match="nobody is left"):
        split_by_patient(found, ["anna", "ben", "07"])
    with pytest.raises(InputError, match="no MRI-PET pairs"):
        read_pairs([tmp_path / "data" / "ben" / "mri"])
