"""The study of the model on small pictures: every part, resuming, the page, and what is missing."""

import importlib.util
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funfuse_cli.__main__ import main
from funfuse_cli.studies import model_page, model_study
from funfuse_cli.studies.model_ablation import BOUND_LABEL, VARIANTS
from funfuse_cli.studies.model_changes import CHANGES, blob, contrast_kept
from funfuse_cli.studies.model_measure import best_pixels, loss_of, pair_terms, range_of
from funfuse_cli.studies.model_robust import RANGE_LAMBDAS
from funfuse_cli.studies.model_store import Store
from funfuse_cli.training import trainer
from funfuse_cli.training.loss import fusion_loss
from funfuse_cli.training.options import preset
from FunFuseSlicer.Logic.fusion.models import load_model, model_names, save_model
from FunFuseSlicer.Logic.fusion.network import FusionParts, TwoLaneNetwork, initialize
from FunFuseSlicer.Logic.volumes.geometry import volume_to_sitk
from Testing.conftest import head_phantom

STEPS, BOUND_STEPS, LAMBDAS = 2, 30, (0.0, 0.3, 0.8)


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
    """One thread, since more cost more than they gain on pictures this small; few λ and checkpoints."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("funfuse_cli.studies.model_lambda.LAMBDAS", LAMBDAS)
        patch.setattr(trainer, "ROWS", 1)
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """Plots are drawn for the fixture ``everything``, which comes before this one; once is enough."""
    for name in ("plot_ablation", "plot_lambda", "plot_generalization"):
        monkeypatch.setattr(f"funfuse_cli.studies.model_plots.{name}", lambda *_: None)


@pytest.fixture
def few_variants(monkeypatch):
    """Four variants instead of nine."""
    some = {name: VARIANTS[name] for name in ("default", "individual", "rule-sum", "tanh")}
    monkeypatch.setattr("funfuse_cli.studies.model_ablation.VARIANTS", some)
    return some


def forbid_computing(monkeypatch):
    """From here on nothing may be trained or measured."""

    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(model_study, "train", refuse)
    monkeypatch.setattr(model_study, "measure", refuse)
    monkeypatch.setattr("funfuse_cli.studies.model_ablation.best_pixels", refuse)
    monkeypatch.setattr("funfuse_cli.studies.model_robust.range_of", refuse)
    monkeypatch.setattr("funfuse_cli.studies.model_robust.fuse_with", refuse)
    monkeypatch.setattr("funfuse_cli.studies.model_lambda.fuse_with", refuse)
    monkeypatch.setattr("funfuse_cli.studies.model_sheet.fuse_with", refuse)


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
    save_model(network, "faithful", folder / "models", None)
    volumes = head_phantom((9, 48, 44))
    for volume, name in zip(volumes, ("mri", "pet")):
        sitk.WriteImage(volume_to_sitk(volume), str(folder / f"{name}.nrrd"))
    for seed in (5, 6):
        arguments = ["--data", folder / "slices", "--hold-out", "c", "--out", folder / f"run{seed}"]
        arguments += ["--steps", 2, "--batch", 1, "--crop", 32, "--seed", seed]
        assert main(["train", *map(str, arguments)]) == 0
    return folder


def study(data, out, *more, steps=STEPS):
    arguments = ["--data", data / "slices", "--test", data / "test", "--hold-out", "c", "--out", out]
    arguments += ["--models", data / "models", "--page", out / "docs" / "model.md", "--steps", steps]
    arguments += ["--tune-steps", 1, "--bound-steps", BOUND_STEPS, "--batch", 1, "--crop", 32, *more]
    return main(["study", "model", *map(str, arguments)])


def read(out):
    """(results, page)."""
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return results, (out / "docs" / "model.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything(data, tmp_path_factory):
    """The folder of a study with all parts, and the arguments that made it."""
    out = tmp_path_factory.mktemp("runs")
    more = ["--seed-runs", data / "run5", data / "run6", "--preset-runs", data / "run5"]
    more += ["--picture", data / "mri.nrrd", data / "pet.nrrd", "--credit", "A phantom."]
    more += ["--describe", "t1=T1, FDG"]
    assert study(data, out, *more) == 0
    return out, more


def test_every_part_has_its_rows(everything):
    results, page = read(everything[0])
    assert results["missing"] == {}
    labels = [row["label"] for row in results["ablation"]]
    assert labels[: len(VARIANTS)] == [variant.label for variant in VARIANTS.values()]
    assert labels[len(VARIANTS) :] == [
        "plain average",
        "maximum",
        "Laplacian pyramid",
        BOUND_LABEL,
        "shipped: faithful",
    ]
    for row in results["ablation"]:
        assert set(row["groups"]) == {"test", "held-out"} or row["diverged"]
        assert f"| {row['label']} |" in page
    assert [row["lambda"] for row in results["lambda"]] == list(LAMBDAS)
    assert all({"average", "faithful", "alone"} <= set(row["groups"]["test"]) for row in results["lambda"])
    assert len(results["generalization"]) == 2 * len(CHANGES)
    assert len(results["range"]) == 2 * len(RANGE_LAMBDAS)
    assert [row["seed"] for row in results["seeds"]] == [5, 6] and results["seeds"][0]["minutes"] >= 0
    assert results["preset"][0]["shipped"] == "faithful"
    assert "not complete" not in page
    for title in ("Ablation", "Every unseen patient", "Seeds", "Training again", "λ", "Changed inputs"):
        assert f"\n## {title}\n" in page
    assert "| test pairs | t1 | T1, FDG |" in page and "A phantom." in page


def test_page_shows_its_pictures_and_no_path(everything, data):
    out, _ = everything
    page = read(out)[1]
    names = {line.split("(images/")[1].rstrip(")") for line in page.splitlines() if "(images/" in line}
    assert len(names) == 4
    for name in names:
        image = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "docs" / "images" / name)))
        assert min(image.shape[:2]) > 200 and image.std() > 5
    text = page + (out / "results.json").read_text(encoding="utf-8")
    assert str(data) not in text and str(out) not in text


def test_numbers_are_those_of_the_files(everything, data):
    """The table's loss is the training's loss of the model, computed here by another way."""
    results = read(everything[0])[0]
    shipped = next(row for row in results["ablation"] if row["name"] == "faithful")
    network = load_model("faithful", data / "models").network
    losses = []
    for seed in (3, 4):
        mri, pet = (torch.from_numpy(image)[None, None] for image in unit_pair(seed))
        with torch.no_grad():
            losses.append(float(fusion_loss(network.fuse(mri, pet, 0.8), mri, pet, 0.8)))
    assert shipped["groups"]["test"]["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    average = next(row for row in results["ablation"] if row["name"] == "average")
    bound = next(row for row in results["ablation"] if row["name"] == "bound")
    for group in ("test", "held-out"):
        assert bound["groups"][group]["loss"] < average["groups"][group]["loss"]


def test_nothing_is_computed_twice(everything, data, monkeypatch):
    out, more = everything
    before = read(out)
    forbid_computing(monkeypatch)
    assert study(data, out, *more) == 0
    assert read(out) == before


def test_another_budget_is_another_result(everything, data):
    """Rows of another budget are not shown beside these; what does not depend on it stays."""
    out, more = everything
    before = read(out)
    assert study(data, out, *more, "--parts", "pictures", steps=STEPS + 1) == 0
    results, page = read(out)
    assert [row["kind"] for row in results["ablation"]].count("trained") == 0
    assert len(results["lambda"]) == len(LAMBDAS)
    assert "not complete" in page and VARIANTS["tanh"].label in results["missing"]["ablation"]
    assert study(data, out, *more, "--parts", "pictures") == 0
    assert read(out) == before


def test_interrupted_study_keeps_what_it_has(data, tmp_path, monkeypatch, few_variants):
    """Ctrl-C in the third variant: two rows on the page, and the next call goes on with the third."""
    begun = []
    train = trainer.train

    def interrupted(pairs, recipe, folder, **more):
        begun.append(folder.name)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return train(pairs, recipe, folder, **more)

    monkeypatch.setattr(model_study, "train", interrupted)
    assert study(data, tmp_path, "--parts", "ablation") == 130
    results, page = read(tmp_path)
    assert [row["name"] for row in results["ablation"]] == ["default", "individual"]
    assert "not complete" in page and VARIANTS["rule-sum"].label in results["missing"]["ablation"]
    assert set(results["missing"]) >= {"seeds", "preset", "lambda", "generalization", "range", "pictures"}
    assert study(data, tmp_path, "--parts", "ablation") == 0
    assert begun[3] == begun[2] and len(begun) == 3 + len(few_variants) - 2
    assert "ablation" not in read(tmp_path)[0]["missing"]


def test_diverged_variant_is_a_row(data, tmp_path, monkeypatch, few_variants):
    def diverging(pairs, recipe, folder, callbacks, **_):
        callbacks.on_start(0, recipe.steps)
        callbacks.on_step(1, 0.5)
        raise trainer.Diverged(f"in {folder}")

    monkeypatch.setattr(model_study, "train", diverging)
    assert study(data, tmp_path, "--parts", "ablation") == 0
    results, page = read(tmp_path)
    assert results["ablation"][0]["diverged"] == {"0": 2}
    assert "diverged at step 2" in page and "Diverged: tanh at the output, 1 run." in page


def test_several_seeds_are_averaged(data, tmp_path, monkeypatch):
    monkeypatch.setattr("funfuse_cli.studies.model_ablation.VARIANTS", {"bias": VARIANTS["bias"]})
    assert study(data, tmp_path, "--parts", "ablation", "--seeds", 1, 2) == 0
    row = read(tmp_path)[0]["ablation"][0]
    losses = []
    for seed in (1, 2):
        trained = json.loads((tmp_path / f"ablation/bias-{STEPS}-seed{seed}.json").read_text())["result"]
        kept = tmp_path / f"measured/{trained['sha256'][:12]}-0.8-test.json"
        losses.append(np.mean([loss_of(one, 0.8) for one in json.loads(kept.read_text())["result"]]))
    assert row["seeds"] == [1, 2] and losses[0] != losses[1]
    assert row["groups"]["test"]["loss"] == pytest.approx(np.mean(losses))
    assert row["groups"]["test"]["spread"] == pytest.approx(max(losses) - min(losses))


@pytest.mark.parametrize(
    "more, said",
    [
        (["--parts", "ablation,nonsense"], "--parts"),
        (["--seed-runs", "{data}/slices"], "finished run"),
        (["--picture", "{data}/mri.nrrd", "{data}/pet.nrrd"], "--credit"),
        (["--picture", "{data}/mri.nrrd", "{data}/no.nrrd", "--credit", "x"], "no.nrrd"),
        (["--describe", "T1"], "PATIENT=TEXT"),
        (["--tune-steps", "0"], "--tune-steps"),
        (["--models", "{data}/slices"], "no models"),
    ],
)
def test_unusable_options_are_refused_in_one_line(data, tmp_path, capsys, more, said):
    assert study(data, tmp_path / "out", *(text.format(data=data) for text in more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error


def test_variants_differ_from_the_preset_in_one_thing():
    budget = model_study.Budget(steps=7, paper_steps=5, tune_steps=1, tune_rate=1e-3, bound_steps=1)
    default = VARIANTS["default"].recipe(budget, 3).identity()
    assert default == {**preset("default").identity(), "steps": 7, "seed": 3}
    for name, variant in VARIANTS.items():
        recipe = variant.recipe(budget, 3)
        differing = {key for key, value in recipe.identity().items() if value != default[key]}
        assert len(differing) == (0 if name == "default" else 1) or name == "paper", differing
    paper = VARIANTS["paper"].recipe(budget, 3)
    assert paper.steps_for(100) == 5 and paper.crop == 0 and paper.architecture.rule == "guarded-ratio"


def test_lambda_goes_from_0_to_1_in_tenths():
    source = importlib.util.find_spec("funfuse_cli.studies.model_lambda")
    fresh = importlib.util.module_from_spec(source)
    source.loader.exec_module(fresh)
    assert fresh.LAMBDAS == pytest.approx(np.linspace(0, 1, 11))


def test_bound_is_below_the_average_and_keeps_the_background_black():
    mri, pet = unit_pair()
    loss = [
        loss_of(pair_terms(mri, pet, image), 0.8)
        for image in ((mri + pet) / 2, best_pixels(mri, pet, 0.8, 10), best_pixels(mri, pet, 0.8, 60))
    ]
    assert loss[2] < loss[1] < loss[0] - 1e-3
    np.testing.assert_allclose(best_pixels(mri, pet, 0.0, 5), (mri + pet) / 2, atol=1e-6)
    mri, pet = (np.pad(image, 16) for image in (mri, pet))
    # No window that sees the head reaches so far.
    assert np.abs(best_pixels(mri, pet, 0.8, 10)[:5]).max() < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 1000))
def test_changes_keep_range_and_background(name, seed):
    mri, pet = unit_pair(seed % 3)
    changed = CHANGES[name].apply(mri, pet)
    again = CHANGES[name].apply(mri, pet)
    for before, after, once_more in zip((mri, pet), changed, again):
        assert after.dtype == np.float32 and after.shape == before.shape
        assert after.min() >= 0 and after.max() <= 1
        np.testing.assert_array_equal(after, once_more)
        if not name.startswith("shift"):
            assert not after[before == 0].any()
    assert name == "none" or any((a != b).any() for a, b in zip((mri, pet), changed))


def test_lesion_contrast_is_measured():
    mri, pet = unit_pair()
    _, hot = CHANGES["lesion-hot"].apply(mri, pet)
    assert (hot - pet).max() > 0.2 and blob(pet).max() > 0.99
    assert contrast_kept((mri + pet) / 2, (mri + hot) / 2, pet, hot) == pytest.approx(0.5)
    assert contrast_kept(mri, mri, pet, hot) == 0
    assert contrast_kept(pet, pet, pet, pet) is None


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
    assert found["C1_negative"] == 0 and found["C2_negative"] == pytest.approx(0.5)
    assert found["highest"] == pytest.approx(1.201) and found["completeness"] == pytest.approx(
        0.001, abs=1e-5
    )


def test_store_computes_once_and_again_when_it_must(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"value": math.nan, "list": [1.0, math.inf]}

    store = Store(tmp_path)
    assert store.once("a/b", {"x": (1, 2)}, compute) == {"value": None, "list": [1.0, None]}
    assert store.once("a/b", {"x": [1, 2]}, compute)["list"] == [1.0, None] and len(calls) == 1
    reading = Store(tmp_path, computing=False)
    assert reading.once("a/b", {"x": 3}, compute) is None and reading.outdated == ["a/b"]
    assert reading.once("a/c", {"x": 3}, compute) is None and reading.missing == ["a/c"]
    (tmp_path / "a" / "b.json").write_text('{"identity": {"x": [1, 2]}, "res')
    store.once("a/b", {"x": [1, 2]}, compute)
    assert len(calls) == 2


def test_page_says_where_a_limit_is_broken(everything):
    results = read(everything[0])[0]
    for row in results["lambda"]:
        row.update(gap=0.0, kept=True)
    results["lambda"][1].update(gap=0.05, kept=False)
    results["generalization"][0].update(loss=2.0, average=1.0)
    for row in results["range"]:
        row["worst"]["outside"] = 0.0
    assert "no pair has more than 0.1 % of its pixels outside" in model_page.page(results)
    results["range"][0]["worst"]["outside"] = 0.2
    page = model_page.page(results)
    assert "not kept at λ = 0.3 (+5.0 %)" in page
    assert "does not beat the plain average here: as it is (test pairs, +100.0 %)" in page
    assert "are outside" in page and "20.00 %" in page


def test_shipped_models_on_real_pairs(shared_data):
    """Below average, maximum and pyramid on the test pairs is claimed of the default model."""
    from funfuse_cli.studies.model_measure import fuse_with, images_of
    from funfuse_cli.training.pairs import read_pairs
    from FunFuseSlicer.Logic.methods import REFERENCES

    fuse = fuse_with(load_model(model_names()[0]).at_lambda(0.8))
    for pair in read_pairs([shared_data / "test_pairs"])[:2]:
        mri, pet = images_of(pair)
        ours = loss_of(pair_terms(mri, pet, fuse(mri, pet)), 0.8)
        for method in REFERENCES.values():
            assert ours < loss_of(pair_terms(mri, pet, method(mri, pet)), 0.8)
