"""Loss, objectives, data and training on small pictures made here."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch.nn import functional

from funfuse_cli.__main__ import main
from funfuse_cli.training import augment as augmentation
from funfuse_cli.training import checkpoint, trainer
from funfuse_cli.training.augment import augment, random_batch, whole_batch
from funfuse_cli.training.loss import fusion_loss, mean_square, ssim
from funfuse_cli.training.objective import (
    MARGIN,
    Wishes,
    above_average,
    detail,
    distance_from_brighter,
    faithful,
    gradient_loss,
    livelier_structure_loss,
    make_objective,
    negative_parts,
    range_loss,
    visual_information_loss,
)
from funfuse_cli.training.options import preset
from funfuse_cli.training.pairs import (
    Pair,
    choose_held_out,
    fingerprint,
    read_pairs,
    split_by_patient,
    to_unit,
)
from funfuse_cli.training.paper_network import Architecture, PaperNetwork, ResearchNetwork
from funfuse_cli.training.trainer import Callbacks, Diverged, TrainingOptions, losses, train
from funfuse_cli.training.variants import load_network
from FunFuseSlicer.Logic.errors import InputError, ModelError
from FunFuseSlicer.Logic.fusion.models import load_model
from FunFuseSlicer.Logic.fusion.pytorch.networks import save_model
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork
from FunFuseSlicer.Logic.metrics import q_g, q_ssim, q_viff
from FunFuseSlicer.Logic.volumes.geometry import Volume, volume_to_sitk
from Testing.conftest import head_phantom


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
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / 4.5)
    window = torch.outer(taps, taps)
    window = (window / window.sum())[None, None]

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
    image[..., 22:42, 22:42] = torch.rand(20, 20, generator=torch.Generator().manual_seed(0))
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


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """Rows, and with them checkpoints and pictures, cost more than the steps of a test."""
    monkeypatch.setattr(trainer, "ROWS", 4)


SHORT = TrainingOptions(steps=12, batch=1, crop=24, seed=3)

# The paper's recipe at the size of a test: whole slices, batch 1, constant rate, its network.
PAPER = replace(preset("as-printed"), epochs=2, seed=3)

RECIPES = {
    "default": SHORT,
    "paper": PAPER,
    "running": replace(SHORT, architecture=Architecture("sum", "running", bias=True)),
}


def small(pairs):
    """Corners with the rim of the head: whole slices cost time."""
    return [Pair(pair.patient, pair.mri[:32, 10:46], pair.pet[:32, 10:46]) for pair in pairs]


def read_rows(folder):
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same_weights(a, b) -> bool:
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


class Killed(BaseException):
    """As good as pulling the plug: nothing in the program catches it."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_killed_training_ends_as_an_uninterrupted_one(pairs, tmp_path, monkeypatch, name):
    pairs, options = small(pairs), RECIPES[name]
    unseen = {"held": pairs[:1]}
    whole = train(pairs, options, tmp_path / "whole", unseen)

    def attempt(kill):
        def on_step(step, loss):
            if kill == f"step {step}":
                raise Killed

        def on_row(rows):
            if kill == "after the log":
                raise Killed

        def write_log(folder, rows):
            if len(rows) == 2:  # the row of step 6, whose checkpoint is there
                raise Killed

        with monkeypatch.context() as patch:
            if kill == "before the log":
                patch.setattr(checkpoint, "write_log", write_log)
            if kill == "step 11":  # as when much time has passed since the last row
                patch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
            return train(
                pairs,
                options,
                tmp_path / "parts",
                unseen,
                callbacks=Callbacks(on_step=on_step, on_row=on_row),
            )

    for kill in ("step 5", "before the log", "after the log", "step 11", None):
        try:
            resumed = attempt(kill)
        except Killed:
            continue
    assert same_weights(whole, resumed)
    assert read_rows(tmp_path / "parts") == read_rows(tmp_path / "whole")
    steps = [int(row["step"]) for row in read_rows(tmp_path / "parts")]
    assert steps == sorted(set(steps)) and len(steps) == 4


def test_a_finished_training_is_not_trained_again(pairs, tmp_path):
    first = train(pairs, SHORT, tmp_path)
    steps = []
    again = train(pairs, SHORT, tmp_path, on_step=lambda step, loss: steps.append(step))
    assert same_weights(first, again) and not steps


def test_the_default_recipe_is_the_one_the_shipped_weights_were_made_with():
    """Its checkpoint goes on after updates of this code: its parts and its schedule must not change."""
    options = preset("paper")
    assert options == TrainingOptions(5000, 4, 96, 2e-3, 0, None)
    assert (options.schedule, options.objective, options.initialization) == ("one-cycle", "faithful", "he")
    assert options.architecture == Architecture()


def test_other_options_are_told_apart(pairs, tmp_path):
    short = replace(SHORT, steps=2)
    train(pairs, short, tmp_path)
    for other, sentence in (
        (replace(short, batch=2), "batch 1 there and 2 here"),
        (replace(short, lam=0.8), "lambda not given there and 0.8 here"),
        (replace(short, architecture=Architecture("sum")), "rule max-average there and sum here"),
        (replace(short, steps=3, seed=4), "seed 3 there and 4 here; steps 2 there and 3 here"),
    ):
        with pytest.raises(InputError, match=sentence):
            train(pairs, other, tmp_path)
    with pytest.raises(InputError, match="data [0-9a-f]+ there"):
        train(pairs[1:], short, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be read: delete it"):
        train(pairs, short, tmp_path)


def test_a_run_with_a_constant_rate_can_be_made_longer(pairs, tmp_path):
    pairs = small(pairs)
    whole = train(pairs, PAPER, tmp_path / "whole")
    train(pairs, replace(PAPER, epochs=1), tmp_path / "longer")
    assert same_weights(whole, train(pairs, PAPER, tmp_path / "longer"))


def test_minutes_become_steps_once_and_for_all(pairs, tmp_path, monkeypatch):
    options = replace(SHORT, minutes=0.02)
    monkeypatch.setattr(trainer, "_affordable", lambda *_: (7, 2))
    whole = train(pairs, options, tmp_path / "whole", {"held": pairs[:1]})
    assert same_weights(whole, train(pairs, replace(SHORT, steps=7), tmp_path / "steps"))
    measured = [row["step"] for row in read_rows(tmp_path / "whole") if row["held λ=0.8"]]
    assert measured == ["4", "7"]

    def stop(step, loss):
        raise Killed

    with pytest.raises(Killed):
        train(pairs, options, tmp_path / "parts", on_step=stop)
    # A faster computer changes nothing any more.
    monkeypatch.setattr(trainer, "_affordable", lambda *_: (999, 2))
    assert same_weights(whole, train(pairs, options, tmp_path / "parts"))


def test_minutes_are_measured_without_touching_the_network(pairs):
    options = replace(SHORT, minutes=0.05)
    network = TwoLaneNetwork(conditioned=True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps, measurements = trainer._affordable(network, trainer._Data(pairs, options), {"held": pairs[:1]})
    assert 1 <= steps < 3000 and 1 <= measurements <= trainer.MEASUREMENTS
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_divergence_stops_the_training_and_keeps_the_last_good_checkpoint(pairs, tmp_path):
    with pytest.raises(Diverged, match=r"no longer finite at step \d+.*learning rate 1e\+18 is too high"):
        train(pairs, replace(SHORT, rate=1e18, schedule="constant"), tmp_path)
    spoiled = replace(PAPER, rate=float("inf"))
    with pytest.raises(Diverged, match="ratio divides by features near zero"):
        train(small(pairs), spoiled, tmp_path / "paper")
    for folder in (tmp_path, tmp_path / "paper"):
        path = folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            assert all(bool(value.isfinite().all()) for value in state["network"].values())


def test_images_that_are_not_finite_stop_the_training(pairs, tmp_path):
    broken = [Pair("a", np.full((40, 40), np.nan, np.float32), np.ones((40, 40), np.float32))]
    with pytest.raises(Diverged, match="step 1"):
        train(broken, replace(SHORT, crop=0), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_options_that_cannot_be_trained_with_are_refused(pairs, tmp_path):
    for options, sentence in (
        (replace(SHORT, steps=0), "--steps must be positive"),
        (replace(SHORT, rate=-1.0), "--rate must be positive"),
        (replace(SHORT, lam=1.5), "λ must lie in"),
        (replace(SHORT, crop=8), "at least 11"),
        (replace(SHORT, crop=500), "smaller than the crop"),
        (replace(SHORT, objective="prettier"), 'no objective "prettier"'),
        (replace(SHORT, objective="detail", crop=48, structure_weight=-1.0), "must not be negative"),
        (replace(SHORT, objective="detail", crop=32), "needs a --crop of at least 41"),
        (replace(SHORT, start_from=str(tmp_path / "none.npz")), "holds no weights to start from"),
        (replace(SHORT, luminance=-0.1), "--luminance must lie in"),
        (replace(SHORT, near_default=1.5), "--near-default must lie in"),
        (replace(SHORT, steady_weight=1.0, crop=32), "--steady-weight needs a --crop of at least 33"),
        (replace(SHORT, steady_weight=-1.0, crop=48), "--steady-weight must not be negative"),
        (replace(SHORT, eighth=0), "--eighth must be positive"),
        (replace(SHORT, sixteenth=-1), "--sixteenth must not"),
        (replace(SHORT, schedule="weekly"), 'no "weekly"'),
        (replace(SHORT, optimizer="downhill"), 'no "downhill"'),
    ):
        with pytest.raises(InputError, match=sentence):
            train(pairs, options, tmp_path)
    with pytest.raises(InputError, match="different sizes"):
        train(pairs + small(pairs), replace(SHORT, crop=0, batch=2), tmp_path)
    with pytest.raises(InputError, match="a quarter filled"):
        empty = Pair("a", np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8))
        random_batch([[empty]], np.ones(1), 1, 12, np.random.default_rng(0))


def test_a_share_of_samples_is_fused_near_the_default():
    rng = np.random.default_rng(0)
    for share, wanted in ((0.0, 0.2), (0.5, 0.6), (1.0, 1.0)):
        lam = trainer._draw_lambda(replace(SHORT, batch=4000, near_default=share), rng).numpy()
        assert lam.dtype == np.float32 and lam.min() >= 0 and lam.max() <= 1
        assert np.mean((lam >= 0.7) & (lam <= 0.9)) == pytest.approx(wanted, abs=0.03)


def test_whole_slices_come_once_an_epoch_in_a_new_order_each_time(pairs):
    epochs = []
    for epoch in range(2):
        images = [whole_batch(pairs, 1, step, 7)[0][0, 0] for step in range(6 * epoch, 6 * epoch + 6)]
        order = [
            next(k for k, p in enumerate(pairs) if np.array_equal(np.rint(image * 255), p.mri))
            for image in images
        ]
        assert sorted(order) == list(range(6))
        epochs.append(order)
    assert epochs[0] != epochs[1]


def test_detail_objective_is_the_papers_at_lambda_zero_and_without_weights():
    fused, mri, pet = torch.rand(3, 2, 1, 44, 44, generator=torch.Generator().manual_seed(2))
    lam = torch.tensor([0.0, 1.0])
    plain, more = faithful(fused, mri, pet, lam), detail(Wishes())(fused, mri, pet, lam)
    torch.testing.assert_close(plain.loss, fusion_loss(fused, mri, pet, lam))
    assert float(more.loss[0]) == float(plain.loss[0]) and float(more.loss[1]) > float(plain.loss[1])
    torch.testing.assert_close(detail(Wishes(0, 0))(fused, mri, pet, lam).loss, plain.loss)
    torch.testing.assert_close(more.structure, plain.structure)
    assert make_objective() is faithful


def test_leaving_the_range_has_a_price():
    image = torch.full((1, 1, 20, 20), 0.5)
    assert float(range_loss(image)) == 0
    image[..., :5, :], image[..., 5:10, :] = -0.1, 1.2
    assert float(range_loss(image)) == pytest.approx(0.25 * 0.1 + 0.25 * 0.2)
    mri = pet = torch.rand(1, 1, 20, 20)
    assert float(faithful(image, mri, pet, 0.5).loss) > float(fusion_loss(image, mri, pet, 0.5)) + 0.5


def test_negative_parts_have_a_price_beyond_what_nobody_sees():
    part, other = torch.zeros(2, 1, 10, 10), torch.full((2, 1, 10, 10), 0.4)
    part[0, :, :5], part[1] = -0.11, -0.005
    torch.testing.assert_close(negative_parts(part, other), torch.tensor([0.05, 0.0]))
    torch.testing.assert_close(negative_parts(other, part), torch.tensor([0.05, 0.0]))


def test_the_price_of_negative_parts_makes_them_less_negative(pairs, tmp_path):
    def below(parts_weight: float) -> float:
        options = replace(SHORT, steps=30, parts_weight=parts_weight)
        network = train(pairs, options, tmp_path / f"{parts_weight:g}").train()
        with torch.no_grad():
            return sum(
                float(negative_parts(*network(*trainer._tensors(pair), 0.8)[1:]).sum()) for pair in pairs
            )

    free, priced = below(0.0), below(50.0)
    assert free > 0 and priced < 0.5 * free


def test_networks_without_parts_pay_nothing(pairs, tmp_path):
    """They could not: their parts do not add up."""
    recipe = replace(SHORT, architecture=Architecture(rule="sum"))
    first = train(pairs, replace(recipe, parts_weight=0.0), tmp_path / "free")
    assert same_weights(first, train(pairs, replace(recipe, parts_weight=50.0), tmp_path / "priced"))


def test_detail_terms_are_those_of_the_metrics(pairs):
    for pair in pairs[::3]:
        mri, pet = (torch.from_numpy(to_unit(image))[None, None] for image in (pair.mri, pair.pet))
        for fused in ((mri + pet) / 2, torch.maximum(mri, pet), mri, 1.2 * pet):
            gray = [255.0 * image[0, 0].double().numpy() for image in (mri, pet, fused)]
            structure = float(livelier_structure_loss(fused, mri, pet))
            assert structure == pytest.approx(1 - q_ssim(*gray), abs=1e-3)
            information = float(visual_information_loss(fused, mri, pet))
            assert information == pytest.approx(1 - q_viff(*gray), abs=0.03), "smoothed in the flat parts"


def test_edges_that_are_not_faint_count_as_in_the_metric():
    """Sources with edges all over; the metric makes more of them at the borders, hence the tolerance."""
    rows, columns = np.mgrid[:120, :120].astype(np.float32)
    mri, pet = 0.5 + 0.4 * np.sin(0.9 * rows + 0.2 * columns), 0.5 + 0.4 * np.sin(0.5 * columns - 0.3 * rows)
    for fused in ((mri + pet) / 2, 0.7 * mri + 0.2 * pet, np.maximum(mri, pet), mri):
        images = (torch.from_numpy(image)[None, None] for image in (fused, mri, pet))
        expected = 1 - q_g(*(255.0 * image for image in (mri, pet, fused)))
        assert float(gradient_loss(*images)) == pytest.approx(expected, abs=0.015)


def test_a_loss_above_that_of_the_average_has_a_price(pairs):
    mri, pet = (torch.from_numpy(to_unit(image))[None, None] for image in (pairs[0].mri, pairs[0].pet))
    average, lam = (mri + pet) / 2, torch.tensor([0.8])

    def price(fused) -> float:
        return float(above_average(faithful(fused, mri, pet, lam), mri, pet, lam))

    loss = float(fusion_loss(average, mri, pet, 0.8))
    assert price(average) == pytest.approx(0.8 * MARGIN * loss, rel=1e-3)
    black = 0 * mri
    above = float(fusion_loss(black, mri, pet, 0.8)) - (1 - 0.8 * MARGIN) * loss
    assert price(black) == pytest.approx(above, rel=1e-3)
    wished, plain = (detail(Wishes(0, 0, average=weight))(black, mri, pet, lam).loss for weight in (2.0, 0.0))
    assert float(wished - plain) == pytest.approx(0.8 * 2 * above, rel=1e-3)
    assert float(fusion_loss(pet, mri, pet, 0.8)) < 0.98 * loss and price(pet) == 0


def test_pixels_as_bright_as_in_the_brighter_image_are_wished_for():
    mri, pet = torch.rand(2, 2, 1, 44, 44, generator=torch.Generator().manual_seed(4))
    brighter, lam = torch.maximum(mri, pet), torch.tensor([0.5, 1.0])
    assert not distance_from_brighter(brighter, mri, pet).any()
    torch.testing.assert_close(distance_from_brighter(brighter - 0.1, mri, pet), torch.tensor([0.1, 0.1]))
    wished, plain = (
        detail(Wishes(0, 0, brightness=weight))(brighter - 0.1, mri, pet, lam).loss for weight in (3.0, 0.0)
    )
    torch.testing.assert_close(wished - plain, 0.3 * lam)


def test_detail_terms_prefer_what_they_ask_for(pairs):
    """Both sources at once: more contrast is better, an inverted or blurred image worse."""
    mri, pet = (torch.from_numpy(to_unit(image))[None, None] for image in (pairs[0].mri, pairs[0].pet))
    average = (mri + pet) / 2
    blurred = functional.avg_pool2d(average, 5, stride=1, padding=2)
    for term in (livelier_structure_loss, visual_information_loss, gradient_loss):
        value = float(term(average, mri, pet))
        assert float(term(blurred, mri, pet)) > value
        if term is not gradient_loss:  # an edge has no sign
            assert float(term(-average, mri, pet)) > value
    assert float(visual_information_loss(1.3 * average, mri, pet)) < float(
        visual_information_loss(average, mri, pet)
    )


def test_a_training_can_start_from_another(pairs, tmp_path):
    first = train(pairs, SHORT, tmp_path / "first")
    save_model(first, "first", tmp_path, None)
    options = replace(SHORT, steps=1, rate=1e-9, start_from=str(tmp_path / "first.npz"))
    for a, b in zip(train(pairs, options, tmp_path / "second").parameters(), first.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="same network"):
        train(pairs, replace(options, lam=0.8), tmp_path / "third")
    with pytest.raises(InputError, match="start-from"):
        train(pairs, replace(options, start_from=None), tmp_path / "second")


def test_a_share_of_pets_is_the_luminance_of_its_colors(monkeypatch):
    image, found, rng = np.full((12, 12), 0.5), [], np.random.default_rng(0)
    gray = augmentation._pseudo_color_turned_gray
    monkeypatch.setattr(augmentation, "_pseudo_color_turned_gray", lambda pet: found.append(1) or gray(pet))
    for share in (0.0, 0.4, 1.0):
        found.clear()
        for _ in range(400):
            augment(image, image, rng, share)
        assert len(found) / 400 == pytest.approx(share, abs=0.08)


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


def write_volume(path, array, matrix=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = Volume(array) if matrix is None else Volume(array, matrix)
    sitk.WriteImage(volume_to_sitk(volume), str(path))


def test_volumes_become_axial_slices_of_their_patient(tmp_path):
    mri, pet = head_phantom((20, 40, 32))
    pet_array = pet.array * 7.5
    write_volume(tmp_path / "anna" / "T1.nii.gz", mri.array, mri.ijk_to_ras)
    write_volume(tmp_path / "anna" / "FDG.nrrd", pet_array, pet.ijk_to_ras)
    write_volume(tmp_path / "anna" / "FDG_displaced.nrrd", pet_array, pet.ijk_to_ras)
    # The same head stored sagittally, from head to feet.
    matrix = mri.ijk_to_ras[:, [1, 2, 0, 3]] @ np.diag([1.0, -1.0, 1.0, 1.0])
    matrix[:3, 3] += 19 * mri.ijk_to_ras[:3, 2]
    for name, volume in (("T2", mri.array), ("SPECT", pet_array)):
        turned = np.ascontiguousarray(volume.transpose(2, 0, 1)[:, ::-1])
        write_volume(tmp_path / f"ben_{name}.nii.gz", turned, matrix)
    pairs = read_pairs([tmp_path])
    anna = [pair for pair in pairs if pair.patient == "anna"]
    ben = [pair for pair in pairs if pair.patient == "ben"]
    assert len(anna) + len(ben) == len(pairs) and 8 < len(anna) < 20, "empty slices are left out"
    assert len(anna) == len(ben)
    for a, b in zip(anna, ben):
        assert np.array_equal(a.mri, b.mri) and np.array_equal(a.pet, b.pet)
    assert anna[0].mri.dtype == np.uint16 and max(pair.mri.max() for pair in anna) == 65535
    assert anna[0].mri.shape == (40, 32)
    assert fingerprint(anna) != fingerprint(ben)


def test_volumes_that_are_no_pair_are_refused(tmp_path):
    mri, pet = head_phantom((8, 20, 16))
    write_volume(tmp_path / "a" / "T1.nrrd", mri.array, mri.ijk_to_ras)
    with pytest.raises(InputError, match="no MRI-PET pairs"):
        read_pairs([tmp_path])
    write_volume(tmp_path / "a" / "PET.nrrd", pet.array[:-1], pet.ijk_to_ras)
    with pytest.raises(InputError, match="different grids: register them first"):
        read_pairs([tmp_path])
    write_volume(tmp_path / "a" / "PET.nrrd", np.zeros_like(pet.array), pet.ijk_to_ras)
    with pytest.raises(InputError, match="zero everywhere"):
        read_pairs([tmp_path])
    (tmp_path / "a" / "PET.nrrd").write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_pairs([tmp_path])


def test_a_share_of_the_patients_is_held_out_by_seed(pairs):
    crowd = [replace(pairs[k % 6], patient=f"p{k % 10}") for k in range(40)]
    chosen = choose_held_out(crowd, 0.2, seed=1)
    assert len(chosen) == 2 and chosen == choose_held_out(crowd[::-1], 0.2, seed=1)
    assert len({tuple(choose_held_out(crowd, 0.2, seed)) for seed in range(20)}) > 5
    training, held_out = split_by_patient(crowd, chosen)
    assert not {p.patient for p in training} & {p.patient for p in held_out}
    with pytest.raises(InputError, match="between 0 and 1"):
        choose_held_out(crowd, 1.2, 0)
    with pytest.raises(InputError, match="leaves nobody"):
        choose_held_out(pairs[:3], 0.5, 0)


def test_real_volumes_are_found(shared_data):
    folder = shared_data / "volumes"
    pairs = read_pairs([folder / "patients_spect"])
    assert len({pair.patient for pair in pairs}) == 5
    assert all(pair.mri.shape == (256, 256) for pair in pairs)


# --- The command --------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path, pairs):
    """A folder of three patients with three pairs of pictures each."""
    for number, pair in enumerate(pairs + pairs[:3]):
        for name, image in (("mri", pair.mri), ("pet", pair.pet)):
            write(tmp_path / "data" / f"p{number // 3}" / name / f"{number}.png", image)
    return tmp_path / "data"


def command(*arguments) -> int:
    return main(["train", *map(str, arguments)])


def check_picture(path):
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert array.shape[0] > 400 and array.shape[1] > 900 and array.std() > 5, "a picture with curves"


def test_command_trains_draws_and_continues(data, tmp_path, capsys):
    arguments = ("--data", data, "--hold-out-share", 0.3, "--steps", 4, "--crop", 32, "--batch", 1)
    run = tmp_path / "run"
    assert command(*arguments, "--out", run) == 0
    output = capsys.readouterr().out
    assert "training on 6 pairs of 2 patients" in output and "held-out 3 pairs of 1 patients" in output
    check_picture(run / "loss.png")
    assert list(read_rows(run)[0])[:4] == ["step", "loss", "L_SSIM", "L_l2"]
    assert load_model("start", run).trained_lambda is None
    assert not list(run.glob("*.part"))
    assert command(*arguments, "--out", run) == 0
    assert "going on after step 4 of 4" in capsys.readouterr().out
    assert command(*arguments, "--out", run, "--rule", "sum") == 2
    assert "rule max-average there and sum here" in capsys.readouterr().err


def test_command_trains_the_papers_recipe(data, tmp_path):
    run = tmp_path / "run"
    assert (
        command("--data", data, "--hold-out", "p1", "--out", run, "--preset", "as-printed", "--epochs", 1)
        == 0
    )
    assert len(read_rows(run)) == 3 and "held-out λ=0.8 L_SSIM" in read_rows(run)[0]
    check_picture(run / "loss.png")
    network = load_network("as-printed", run)
    assert isinstance(network, ResearchNetwork) and not network.conditioned
    assert network.architecture == Architecture("guarded-ratio", "batch", bias=True, tanh=True)
    PaperNetwork("batch").load_state_dict(network.state_dict())
    assert json.loads((run / "as-printed.json").read_text(encoding="utf-8"))["trained_lambda"] == 0.8
    (run / "as-printed.npz").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="wrong checksum"):
        load_network("as-printed", run)


def test_command_trains_variants_for_every_lambda(data, tmp_path):
    run = tmp_path / "run"
    options = "--preset paper --steps 2 --crop 44 --batch 2 --rule sum --bias --batch-norm running"
    options += " --objective detail"
    assert command("--data", data, "--out", run, *options.split()) == 0
    network = load_network("paper", run)
    assert network.conditioned and network.architecture == Architecture("sum", "running", bias=True)


def test_command_stops_with_a_sentence_when_the_training_diverges(data, tmp_path, capsys):
    options = "--preset as-printed --rule max-average --steps 30 --rate 1e30"
    assert command("--data", data, "--out", tmp_path / "run", *options.split()) == 1
    error = capsys.readouterr().err
    assert "no longer finite at step" in error and "too high: try a lower --rate" in error
    assert "Traceback" not in error and not (tmp_path / "run" / "as-printed.npz").exists()


def test_command_refuses_what_it_cannot_use(data, tmp_path, capsys):
    for arguments, sentence in (
        (("--hold-out", "nobody"), "no patient nobody"),
        (("--lambda", "2"), "λ must lie in"),
        (("--lambda", "much"), "a number from 0 to 1"),
        (("--minutes", "0"), "--minutes must be positive"),
    ):
        assert command("--data", data, "--out", tmp_path / "run", *arguments) == 2
        assert sentence in capsys.readouterr().err
