"""The study of the model on small pictures: what each part measures, writes and draws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.studies import model as model_study
from funfuse_cli.studies import model_measure, model_train
from funfuse_cli.studies.model_changes import CHANGES, blob, contrast_kept
from funfuse_cli.studies.model_measure import AVERAGE, HELD_OUT, TEST, best_pixels, measured, range_of
from funfuse_cli.training import trainer
from funfuse_cli.training.loss import fusion_loss
from funfuse_cli.training.options import preset
from funfuse_cli.training.pairs import Pair
from FunFuseSlicer.Logic.fusion.models import load_model, model_names
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_of, save_model
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import FusionParts, TwoLaneNetwork, initialize
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom

LAMBDAS = [0.0, 0.3, 0.8]
SOME_VARIANTS = ("default", "trained for λ = 0.8 alone", "tanh at the output")


def phantom_pair(seed):
    """Two 8-bit pictures of a phantom's middle, 48 × 44."""
    pictures = []
    for volume in head_phantom((9, 48, 44), seed=seed):
        pictures.append(np.uint8(np.clip(volume.array[4] / volume.array.max() * 255, 0, 255)))
    return pictures


def unit_pair(seed=0):
    return tuple(image.astype(np.float32) / 255 for image in phantom_pair(seed))


def write_pair(folder, name, seed):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, image in zip(("mri", "pet"), phantom_pair(seed)):
        sitk.WriteImage(sitk.GetImageFromArray(image), str(folder / f"{name}_{kind}.png"))


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One thread, since more cost more than they gain on pictures this small; few λ, variants and steps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    small = replace(model_train.DEFAULT, batch=1, crop=32)
    some = {name: replace(model_train.VARIANTS[name], batch=1, crop=32) for name in SOME_VARIANTS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_measure, "LAMBDAS", LAMBDAS)
        patch.setattr(model_train, "LAMBDAS", LAMBDAS)
        patch.setattr(model_train, "DEFAULT", small)
        patch.setattr(model_train, "VARIANTS", some)
        patch.setattr(best_pixels, "__defaults__", (30,))
        patch.setattr(trainer, "ROWS", 1)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Training pictures of patients a, b and c, two test pairs, a model, a run, and a pair of volumes."""
    folder = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("a", "b", "c")):
        write_pair(folder / "slices", name, seed)
    for seed, name in ((3, "t1"), (4, "t2")):
        write_pair(folder / "test", name, seed)
    torch.manual_seed(0)
    network = TwoLaneNetwork(conditioned=True)
    initialize(network, [tuple(torch.from_numpy(image)[None, None] for image in unit_pair())])
    torch.nn.init.normal_(network.scales.scale.weight, std=0.1)  # so that λ matters
    save_model(network, "faithful", folder / "models", None)
    for volume, name in zip(head_phantom((9, 48, 44)), ("mri", "pet")):
        sitk.WriteImage(volume_to_sitk(volume), str(folder / f"{name}.nrrd"))
    arguments = ["--data", folder / "slices", "--hold-out", "c", "--out", folder / "run5"]
    arguments += ["--steps", 2, "--batch", 1, "--crop", 32, "--seed", 5]
    assert main(["train", *map(str, arguments)]) == 0
    return folder


ALL = ["--only", *model_study.PARTS]


def study(data, out, *more):
    arguments = ["--data", data / "slices", "--test", data / "test", "--hold-out", "c", "--out", out / "runs"]
    arguments += ["--models", data / "models", "--docs", out / "docs", "--steps", 2, "--seeds", 1, 2, *more]
    return main(["study", "model", *map(str, arguments)])


@pytest.fixture(scope="module")
def everything(data, tmp_path_factory):
    """The folder docs of a study with all parts."""
    out = tmp_path_factory.mktemp("runs")
    more = [*ALL, "--runs", data / "run5", "--picture", data / "mri.nrrd", data / "pet.nrrd"]
    assert study(data, out, *more) == 0
    return out / "docs"


def read(docs, name):
    return pd.read_csv(docs / "data" / f"model_{name}.csv")


def test_every_part_has_its_rows(everything, data):
    losses, ablation = read(everything, "losses"), read(everything, "ablation")
    methods = ["faithful", AVERAGE, "maximum", "Laplacian pyramid"]
    assert list(losses.method.unique()) == methods and len(losses) == len(methods) * 3
    assert len(read(everything, "pixels")) == 3
    assert list(ablation.method.unique()) == list(SOME_VARIANTS) and set(ablation.seeds) == {2}
    assert (ablation.spread > 0).all() and ablation.loss.notna().all()
    for name, rows in (
        ("lambda", 3 * 2 * 2),
        ("tuned", 3 * 2),
        ("inputs", 2 * len(CHANGES)),
        ("range", 3 * 4),
    ):
        assert len(read(everything, name)) == rows, name
    assert read(everything, "training").patient.tolist() == ["a", "b"]
    assert read(everything, "models").sha256.item() == load_model("faithful", data / "models").sha256
    run = read(everything, "runs").set_index("group").loc[TEST]
    assert (run.run, run.seed, run.steps, run.continued) == ("run5", 5, 2, False)
    for name in ("moved", "pictures"):
        moved = read(everything, name).set_index("λ").gray_levels
        assert moved[0.8] == 0 and (moved.drop(0.8) > 0).all()
    lesions = read(everything, "inputs").dropna(subset="lesion_fused")
    assert set(lesions.change) == {name for name in CHANGES if "lesion" in name}


def test_pictures_are_drawn(everything):
    for name in ("ablation", "generalization", "lambda", "pictures"):
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(everything / "images" / f"model_{name}.png")))
        assert min(image.shape[:2]) > 200 and image.std() > 5


def test_losses_are_those_of_the_training(everything, data):
    """The table's loss is the training's loss of the model, computed here by another way."""
    losses = read(everything, "losses").query("group == @TEST")
    network = network_of(load_model("faithful", data / "models"))
    for seed, loss in zip((3, 4), losses[losses.method == "faithful"].loss):
        mri, pet = (torch.from_numpy(image)[None, None] for image in unit_pair(seed))
        with torch.no_grad():
            expected = float(fusion_loss(network.fuse(mri, pet, 0.8), mri, pet, 0.8))
        assert loss == pytest.approx(expected, abs=1e-5)
    means = losses.groupby("method").loss.mean()
    assert read(everything, "pixels").query("group == @TEST").loss.mean() < means[AVERAGE]
    at_lambda = read(everything, "lambda").set_index(["λ", "group", "method"]).loss
    assert at_lambda[0.8, TEST, "faithful"] == pytest.approx(means["faithful"], rel=1e-5)
    for lam, group, loss, gap in read(everything, "tuned")[["λ", "group", "loss", "gap"]].values:
        assert gap == pytest.approx(at_lambda[lam, group, "faithful"] / loss - 1, abs=1e-4)


def test_a_finished_training_is_not_repeated(everything, data, monkeypatch):
    """One part alone; the files of the others stay."""
    before = read(everything, "ablation"), read(everything, "inputs")

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(trainer, "_train_step", refuse)
    assert study(data, everything.parent, "--only", "ablation") == 0
    for name, frame in zip(("ablation", "inputs"), before):
        pd.testing.assert_frame_equal(read(everything, name), frame)


def test_diverged_seeds_are_left_out(data, tmp_path, monkeypatch):
    def diverging(pairs, recipe, folder):
        if recipe.seed == 1 or recipe.lam is not None:
            raise trainer.Diverged("no longer finite")
        return trainer.train(pairs, recipe, folder)

    monkeypatch.setattr(model_train, "train", diverging)
    assert study(data, tmp_path, *ALL) == 0
    ablation = read(tmp_path / "docs", "ablation").set_index(["method", "group"])
    assert ablation.loc[("default", TEST), ["seeds", "spread"]].tolist() == [1, 0]
    alone = ablation.loc[("trained for λ = 0.8 alone", HELD_OUT)]
    assert alone.seeds == 0 and np.isnan(alone.loss)


@pytest.mark.parametrize(
    "more, said",
    [
        (["--runs", "{data}/slices"], "finished run"),
        (["--picture", "{data}/mri.nrrd", "{data}/no.nrrd", "--only", "pictures"], "no.nrrd"),
        (["--models", "{data}/slices"], "no models"),
    ],
)
def test_unusable_options_are_refused_in_one_line(data, tmp_path, capsys, more, said):
    assert study(data, tmp_path, *(text.format(data=data) for text in more)) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1 and said in error[0]


def test_variants_differ_from_the_preset_in_one_thing():
    default = preset("paper").identity()
    for name, changes in model_train.CHANGES.items():
        recipe = replace(preset("paper"), **changes).identity()
        differing = {key for key, value in recipe.items() if value != default[key]}
        assert len(differing) == (name != "default"), differing
    assert model_train.PAPER.crop == 0 and model_train.PAPER.architecture.rule == "guarded-ratio"


def loss_of(mri, pet, image, lam=0.8):
    return measured("", lambda *_: image, [Pair("", mri, pet)], lam).loss.item()


def test_bound_is_below_the_average_and_keeps_the_background_black():
    mri, pet = unit_pair()
    images = (mri + pet) / 2, best_pixels(mri, pet, 0.8, 10), best_pixels(mri, pet, 0.8, 60)
    loss = [loss_of(mri, pet, image) for image in images]
    assert loss[2] < loss[1] < loss[0] - 1e-3
    np.testing.assert_allclose(best_pixels(mri, pet, 0.0, 5), (mri + pet) / 2, atol=1e-6)
    mri, pet = (np.pad(image, 16) for image in (mri, pet))
    # No window that sees the head reaches so far.
    assert np.abs(best_pixels(mri, pet, 0.8, 10)[:5]).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 1000))
def test_changes_keep_range_and_background(name, seed):
    mri, pet = unit_pair(seed % 3)
    changed = CHANGES[name](mri, pet)
    for before, after, once_more in zip((mri, pet), changed, CHANGES[name](mri, pet)):
        assert after.dtype == np.float32 and after.shape == before.shape
        assert after.min() >= 0 and after.max() <= 1
        np.testing.assert_array_equal(after, once_more)
        if "shifted" not in name:
            assert not after[before == 0].any()
    assert name == "as it is" or any((a != b).any() for a, b in zip((mri, pet), changed))


def test_lesion_contrast_is_measured():
    """Of a network that takes a quarter of the MRI and half of the PET."""

    def network(mri, pet):
        return FusionParts(mri / 4 + pet / 2, mri / 4, pet / 2)

    mri, pet = unit_pair()
    _, hot = CHANGES["hot lesion in the PET, +0.6"](mri, pet)
    assert (hot - pet).max() > 0.2 and blob(pet).max() > 0.99
    kept = contrast_kept(network, Pair("", mri, pet), Pair("", mri, hot))
    assert kept == pytest.approx([0.5, 0, 0.5], abs=1e-6)


def test_range_counts_pixels_outside_and_negative_parts():
    class Fixed:
        """F = 1.2 in one row of four, whose parts are 1.5 and -0.3."""

        free = 0.0

        def train(self):
            """Without limits it is brighter in a quarter of the pixels."""
            self.free = 0.1
            return self

        def eval(self):
            self.free = 0.0
            return self

        def __call__(self, mri, pet):
            first, second = torch.zeros_like(mri), torch.zeros_like(mri)
            first[..., 0, :], second[..., 0, :] = 1.5, -0.3
            return FusionParts(first + second, first, second)

        def fuse(self, mri, pet):
            fused = self(mri, pet).fused + 0.001
            fused[..., 1, :3] += self.free
            return fused

    mri = np.zeros((4, 6), np.float32)
    mri[:2] = 1
    found = range_of(Fixed(), mri, np.zeros_like(mri))
    assert found["outside"] == pytest.approx(0.25) and found["limited"] == pytest.approx(0.25)
    assert found["MRI_negative"] == 0 and found["PET_negative"] == pytest.approx(0.5)
    assert found["highest"] == pytest.approx(1.201) and found["incomplete"] == pytest.approx(0.001, abs=1e-5)
    # Its picture is the same of images half as bright: of the head's two rows, 1.2 in one and 0 in the other.
    assert found["scaled"] == pytest.approx(255 * (1.201 + 0.001) / 2, rel=1e-5)


def test_shipped_models_on_real_pairs(shared_data):
    """Below average, maximum and pyramid on the test pairs is claimed of the default model."""
    from funfuse_cli.studies.model_measure import METHODS, fuse_with
    from funfuse_cli.training.pairs import read_pairs, to_unit

    pairs = read_pairs([shared_data / "test_pairs"])[:2]
    pairs = [Pair(pair.patient, to_unit(pair.mri), to_unit(pair.pet)) for pair in pairs]
    ours = measured("", fuse_with(load_model(model_names()[0])), pairs).loss
    for name, method in METHODS.items():
        assert (ours < measured(name, method, pairs).loss).all()
