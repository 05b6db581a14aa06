"""Weights in files: what is saved is loaded, and everything else is refused with its reason."""

import hashlib
import json
import math

import pytest
import torch
from tiny_recipe import network, tiny
from torch import nn

from course_lib import expect
from course_lib.networks import weights
from course_lib.networks.weights import load_weights, parameters_hash, read_manifest
from course_lib.training import all_recipes, find_recipe, save_weights, train


@pytest.fixture
def saved(tmp_path):
    result = train(tiny(steps=5))
    path = save_weights(result.network, tmp_path, tiny(), steps=5, seconds=1.234, metrics=result.metrics)
    return result.network, path


def test_what_is_saved_is_loaded(saved):
    trained, path = saved
    fresh = network()
    x = torch.randn(6, 4)
    assert not torch.equal(fresh.eval()(x), trained(x))
    loaded = load_weights(fresh.train(), path)
    assert loaded is fresh
    assert not loaded.training
    assert torch.equal(loaded(x), trained(x))
    assert torch.equal(load_weights(network(), str(path))(x), trained(x))
    double = load_weights(network().double(), path)
    assert double[1].weight.dtype == torch.float64
    assert torch.allclose(double(x.double()), trained(x).double(), atol=1e-6)


def test_any_memory_layout_can_be_saved(tmp_path):
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    path = save_weights(net, tmp_path, tiny(), steps=1, seconds=0.0, metrics={})
    assert torch.equal(load_weights(nn.Conv2d(3, 4, 3), path).weight, net.weight)


def test_the_manifest_says_what_the_weights_are(saved):
    trained, path = saved
    manifest = read_manifest(path)
    assert manifest == json.loads(path.with_suffix(".json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["parameters"] == parameters_hash(trained)
    wanted = {"recipe": "tiny", "network": "Sequential", "data": "built in", "seed": 0, "steps": 5, "batch_size": 8,
              "learning_rate": 0.05, "precision": "32-true",
              "seconds": 1.2, "parameter_count": 21, "torch": torch.__version__}  # fmt: skip
    assert {name: manifest[name] for name in wanted} == wanted
    assert set(manifest["metrics"]) == {"mse"}
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_saving_again_replaces_both_files(saved):
    _, path = saved
    other = network()
    save_weights(other, path.parent, tiny(), steps=0, seconds=0.0, metrics={})
    assert torch.equal(load_weights(network(), path)[1].weight, other[1].weight)


def damage(path, how):
    data = path.read_bytes()
    manifest = path.with_suffix(".json")
    record = json.loads(manifest.read_text())
    if how == "one bit":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "truncated":
        path.write_bytes(data[:-10])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "wrong hash":
        manifest.write_text(json.dumps(record | {"sha256": "0" * 64}))
    elif how == "no safetensors":
        path.write_bytes(b"hello")
        manifest.write_text(json.dumps(record | {"sha256": hashlib.sha256(b"hello").hexdigest()}))
    elif how == "no weights":
        path.unlink()
    elif how == "no manifest":
        manifest.unlink()
    elif how == "manifest cut":
        manifest.write_text(manifest.read_text()[:50])
    elif how == "manifest of something else":
        manifest.write_text("[1, 2]")
    elif how == "manifest without hash":
        manifest.write_text(json.dumps({k: v for k, v in record.items() if k != "sha256"}))
    elif how == "manifest in another code":
        manifest.write_bytes(b"\xff\xfe{}")
    elif how == "manifest of another network":
        manifest.write_text(json.dumps(record | {"parameters": "0" * 64}))


DAMAGES = {
    "one bit": "as its manifest describes it",
    "truncated": "got a damaged or another file",
    "empty": "(0 bytes",
    "wrong hash": "(SHA-256 000000000000…)",
    "no safetensors": "expected a safetensors file",
    "no weights": "or a .safetensors file, got",
    "no manifest": "expected the weights' manifest tiny.json beside",
    "manifest cut": "expected a manifest of weights",
    "manifest of something else": "expected a manifest of weights",
    "manifest without hash": "expected a manifest of weights",
    "manifest in another code": "expected a manifest of weights",
    "manifest of another network": "its manifest describes another network",
}


@pytest.mark.parametrize(("how", "said"), DAMAGES.items(), ids=DAMAGES)
def test_damaged_weights_are_refused(how, said, saved):
    _, path = saved
    damage(path, how)
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(expect.InputError) as error:
        load_weights(net, path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training


class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)


FOREIGN = {
    "other shape": (lambda: nn.Sequential(nn.Dropout(), nn.Linear(5, 3), nn.BatchNorm1d(3)),
                    "its 1.weight has shape (3, 4), not (3, 5)"),
    "more layers": (lambda: nn.Sequential(*network(), nn.Linear(3, 3)), "it has no 3.bias"),
    "fewer layers": (lambda: network()[:2], "it has 2.bias, which this one has not"),
    "other names": (Renamed, "expected weights of this Renamed, got"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), FOREIGN.values(), ids=FOREIGN)
def test_weights_of_another_network_are_refused(make, said, saved):
    with pytest.raises(expect.InputError) as error:
        load_weights(make(), saved[1])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no_such_network", "no_such.safetensors", "weights.pt", "../tiny", ""])
def test_weights_that_do_not_exist(name):
    with pytest.raises(
        expect.InputError, match=r"expected the name of shipped weights \(.*\) or a .safetensors file, got"
    ):
        load_weights(network(), name)


def test_shipped_weights_are_found_by_name(saved, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    assert weights.shipped_weights() == ["tiny"]
    x = torch.randn(6, 4)
    assert torch.equal(load_weights(network(), "tiny")(x), saved[0](x))
    assert read_manifest("tiny")["recipe"] == "tiny"


def test_weights_that_cannot_be_written(tmp_path):
    with pytest.raises(expect.InputError, match="expected a file that can be written, got .*tiny.safetensors: No such"):
        save_weights(network(), tmp_path / "nowhere", tiny(), steps=1, seconds=0.0, metrics={})


def test_shipped_weights_are_small_whole_and_made_by_their_recipe():
    for name in weights.shipped_weights():
        manifest = read_manifest(name)
        recipe = find_recipe(name)
        load_weights(recipe.network(), name)
        assert (weights.SHIPPED / f"{name}.safetensors").stat().st_size <= 5e6, name
        for key in ("seed", "steps", "batch_size", "learning_rate"):
            assert manifest[key] == getattr(recipe, key), (name, key)
        assert manifest["recipe"] == name
        assert manifest["data"] == "built in"
        assert all(math.isfinite(value) for value in manifest["metrics"].values())


def test_every_recipe_is_found_by_its_name():
    for name, recipe in all_recipes().items():
        assert find_recipe(name) is recipe
        assert recipe.name == name
    with pytest.raises(expect.InputError, match=r"expected a recipe among .*, got 'magic'"):
        find_recipe("magic")
