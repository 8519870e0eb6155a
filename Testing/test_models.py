"""Weights: what is shipped is intact, and what is not is refused."""

import hashlib
import json
import pickle

import numpy as np
import pytest
import torch

from FunFuseSlicer.Logic.errors import InputError, ModelError
from FunFuseSlicer.Logic.fusion.models import (
    DEFAULT_MODEL,
    MODELS_FOLDER,
    STEERED,
    load_model,
    model_names,
    write_weights,
)
from FunFuseSlicer.Logic.fusion.pipeline import FusionOptions
from FunFuseSlicer.Logic.fusion.pytorch.networks import network_at, save_model
from FunFuseSlicer.Logic.fusion.pytorch.two_lane import TwoLaneNetwork, initialize


@pytest.fixture
def saved(tmp_path):
    network = TwoLaneNetwork()
    initialize(network)
    save_model(network, "some", tmp_path, 0.8)
    return tmp_path


def test_round_trip(saved):
    model = load_model("some", saved)
    assert model.trained_lambda == 0.8 and len(model.sha256) == 64
    assert not network_at(model, 0.8).conditioned


def test_a_model_for_one_lambda_refuses_others(saved):
    with pytest.raises(ModelError, match="λ = 0.8 only"):
        network_at(load_model("some", saved), 0.3)


def test_changed_weights_are_refused(saved):
    path = saved / "some.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_model("some", saved)


def test_truncated_and_missing_weights_are_refused(saved):
    path = saved / "some.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        load_model("some", saved)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_model("some", saved)


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('pickled code ran')",))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(pickle.dumps(Malicious())),
        lambda path: np.savez(path, a=np.array([Malicious()], dtype=object)),
        lambda path: torch.save({"a": torch.zeros(2)}, path),
        lambda path: np.savez(path, a=np.zeros(2)),
    ],
)
@pytest.mark.parametrize("kind", [{}, {"network": STEERED}, {"network": "another"}])
def test_pickled_code_and_other_networks_are_refused(saved, write, kind):
    path = saved / "some.npz"
    write(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (saved / "some.json").write_text(json.dumps({"sha256": sha256, "trained_lambda": 0.8, **kind}))
    with pytest.raises(ModelError, match="does not hold weights"):
        load_model("some", saved)


def test_weights_of_the_wrong_size_are_refused(tmp_path):
    state = dict(load_model().state)
    state["convolutions.half_1.weight"] = state["convolutions.half_1.weight"][:, :3]
    write_weights(state, "some", tmp_path, {"trained_lambda": None, "network": STEERED})
    with pytest.raises(ModelError, match="does not hold weights"):
        load_model("some", tmp_path)


def test_unknown_models_are_named_with_those_that_there_are(saved):
    with pytest.raises(InputError, match='no model "other": choose one of some'):
        load_model("other", saved)


def test_weights_of_the_users_own_are_taken_from_their_file(saved):
    model = load_model(str(saved / "some.npz"))
    assert model.name == "some" and model.sha256 == load_model("some", saved).sha256
    assert FusionOptions(model=str(saved / "some.npz")).facts()["model"] == "some.npz"
    with pytest.raises(ModelError, match="cannot be read from .*train it anew, or choose another model"):
        load_model(str(saved / "none.npz"))


@pytest.mark.parametrize("name", model_names())
def test_shipped_models_are_intact_small_and_fuse(name):
    model = load_model(name)
    assert (MODELS_FOLDER / f"{name}.npz").stat().st_size <= 2_000_000
    assert model.trained_lambda is None, "serves every λ"
    network = network_at(model, 0.8)
    mri, pet = torch.rand(2, 1, 1, 64, 64)
    with torch.no_grad():
        parts = network(mri, pet)
        assert float((parts.mri_part + parts.pet_part - network.fuse(mri, pet)).abs().max()) <= 1e-5
        assert not network.fuse(0 * mri, 0 * pet).any()
        if isinstance(network, TwoLaneNetwork):
            assert torch.equal(network.fuse(2 * mri, 2 * pet), 2 * network.fuse(mri, pet))


def test_the_default_model_is_shipped():
    assert model_names()[0] == DEFAULT_MODEL
