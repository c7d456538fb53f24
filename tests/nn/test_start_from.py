"""Networks that begin with the weights of a trained dense one: what each kind of layer takes of a matrix, what recipes may say, what stages read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cgs.base.errors import ShapeError
from cgs.base.experiment import Experiment
from cgs.base.options import BLOCK_METHODS, NnOptions, Recipe, SystemOptions
from cgs.nn.network import Network, build_network, load_network, save_network
from cgs.nn.system import make_examples, network_spec, train_network, view_of
from cgs.stages import acoustic, keyword

OPTIONS = NnOptions(epochs=1, minibatch=40, learning_rate=1e-9, dropout=0.0, left_context=1, right_context=2, chunk_frames=20, warmup_frames=3, average=0)
BLOCKS: dict[str, Any] = {"density": 0.25, "block": 4}
METHODS: dict[str, dict[str, Any]] = {
    "dense": {},
    "cgs": BLOCKS,
    "hcgs": BLOCKS | {"coarse": 8, "coarse_density": 0.5},
    **{method: BLOCKS for method in BLOCK_METHODS if method != "dynamic"},
    "magnitude": {"density": 0.25},
    "nm": BLOCKS,
    "lowrank": {"density": 0.5},
}
MODELS: dict[str, dict[str, Any]] = {
    "feedforward": {"hidden": [30, 32]},  # blocks of 4 do not fill 30
    "tdnn": {"hidden": [32, 32], "offsets": [[-1, 0, 1, 2], [-2, 0]]},
    "lstm": {"hidden": [32], "offsets": [[-1, 0, 1, 2]], "label_delay": 1},
}
ALL = [(model, method) for model in MODELS for method in METHODS if model != "lstm" or method in ("dense", "cgs", "hcgs", *BLOCK_METHODS)]


def system(model: str, method: str) -> SystemOptions:
    return SystemOptions(task="asr", model=model, method=method, **MODELS[model], **METHODS[method])


def trained(model: str, n_out: int = 40) -> Network:
    """Random weights, other than a network begins with, and biases that are not zero."""
    network = build_network(network_spec(system(model, "dense"), OPTIONS, 8, n_out, 5))
    torch.manual_seed(7)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(("model", "method"), ALL)
def test_each_layer_takes_what_it_can_hold(model: str, method: str) -> None:
    whole, network = trained(model), build_network(network_spec(system(model, method), OPTIONS, 8, 40, 1))
    network.begin_with(whole)
    for number, (layer, given) in enumerate(zip(network.each_layer(), whole.each_layer(), strict=True)):
        mask = network.masks[number]
        if method == "lowrank":
            values = torch.linalg.svdvals(given.weight.double())
            left = (layer.to_dense() - given.weight).double().norm()
            torch.testing.assert_close(left, values[layer.rank :].square().sum().sqrt(), rtol=1e-5, atol=1e-5)  # Eckart and Young: none is nearer
        elif mask is not None:
            assert torch.equal(layer.to_dense(), torch.where(torch.from_numpy(mask.to_dense()), given.weight, 0.0))
        else:
            assert torch.equal(layer.weight, given.weight)
        assert (layer.bias is None) == (given.bias is None) and (given.bias is None or torch.equal(layer.bias, given.bias))


def test_what_is_pruned_is_the_trained_matrix(tmp_path: Path) -> None:
    """With next to no learning rate the blocks that are left are the trained network's largest."""
    data = torch.Generator().manual_seed(1)
    features = {name: torch.randn(60, 8, generator=data).numpy() for name in ("a", "b")}
    labels = {name: torch.randint(0, 40, (60,), generator=data).int().numpy() for name in features}
    of, whole = system("feedforward", "block_magnitude"), trained("feedforward")
    save_network(tmp_path, whole, {})
    examples = make_examples(features, labels, {"b"}, "fbank", OPTIONS, view=view_of(of, OPTIONS))
    for folder, start in (("random", None), ("again", tmp_path)):
        (tmp_path / folder).mkdir()
        spec = network_spec(of, OPTIONS, 8, 40, 1)
        train_network(spec, examples, OPTIONS, {"system": "a", "features": {}}, tmp_path / folder, start_from=start)
    near = [load_network(tmp_path / folder)[0] for folder in ("random", "again")]
    for mask, layer, given in zip(near[1].masks, near[1].each_layer(), whole.each_layer(), strict=True):
        found, wanted = layer.to_dense(), torch.where(torch.from_numpy(mask.to_dense()), given.weight, 0.0)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
        norms = torch.nn.functional.pad(given.weight.square(), (0, -given.in_features % 4, 0, -given.out_features % 4))
        norms = norms.unflatten(1, (-1, 4)).sum(2).unflatten(0, (-1, 4)).sum(1)
        assert torch.equal(norms.topk(mask.kept.shape[1], dim=1).indices.sort(1).values, torch.from_numpy(mask.kept.copy()).long())
    assert near[0].mask_checksums != near[1].mask_checksums


def test_networks_of_other_shapes_are_told() -> None:
    with pytest.raises(ShapeError, match="train both on the same features and labels"):
        build_network(network_spec(system("feedforward", "cgs"), OPTIONS, 8, 40, 1)).begin_with(trained("feedforward", n_out=9))


def recipe(**systems: Any) -> Recipe:
    made = {name: {"task": "kws", "method": "dense", "hidden": [32]} | options for name, options in systems.items()}
    return Recipe.model_validate({"recipe": {"name": "a", "title": "a"}, "corpus": {"licence": "a", "attribution": "a"}, "systems": made})


CGS = {"method": "cgs", "density": 0.25, "block": 4}


@pytest.mark.parametrize(
    ("systems", "told"),
    [
        ({"b": {"start_from": "c"}}, 'b.start_from is "c"; it may name, of the untaught dense systems of its shape further up, a'),
        ({"b": {"start_from": "a", "hidden": [16]}}, "further up, none"),
        ({"b": {"start_from": "a", "task": "asr"}}, "further up, none"),
        ({"b": {"start_from": "a", "model": "tdnn", "offsets": [[0]]}}, "further up, none"),
        ({"b": CGS, "c": {"start_from": "b"}}, "further up, a"),
        ({"b": {"teacher": "a"}, "c": {"start_from": "b"}}, "further up, a"),
        ({"b": {"start_from": "a"}, "c": {"start_from": "b"}}, "further up, a"),
        ({"b": {"start_from": "a"}, "c": {"teacher": "b"}}, "c.teacher is b, which starts from another itself; name a"),
        ({"b": {"start_from": "a", "method": "mpd", "density": 0.25}}, "start_from for a mpd system, whose first weights are its own"),
        ({"b": CGS | {"start_from": "a", "method": "dynamic"}}, "start_from for a dynamic system"),
        ({"b": CGS | {"start_from": "a", "balanced": False}}, "start_from for a cgs with balanced = false system"),
    ],
)
def test_starts_that_cannot_be_are_told(systems: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        recipe(a={}, **systems)


@pytest.mark.parametrize(("task", "stage", "folder"), [("asr", acoustic, "5-acoustic"), ("kws", keyword, "6-keyword")])
def test_stages_read_the_network_of_the_same_seed_or_of_the_first(task: str, stage: Any, folder: str, tmp_path: Path) -> None:
    shared = {"task": task, "seeds": [1, 2]}
    exp = Experiment(tmp_path, recipe(a=shared, b=shared | CGS | {"start_from": "a", "teacher": "a", "seeds": [2, 3]}, c=shared | CGS))
    inputs = {unit.name: [name for name in unit.inputs if name.startswith(folder)] for unit in stage.units(exp)}
    assert inputs[f"{folder}/b/seed2"] == [f"{folder}/a/seed2"] and inputs[f"{folder}/b/seed3"] == [f"{folder}/a/seed1"], "once, though it is teacher and start"
    assert inputs[f"{folder}/c/seed1"] == [] and exp.start_dir("c", 1) is None and exp.start_dir("b", 3) == tmp_path / folder / "a" / "seed1"
    assert "start_from" not in exp.recipe.systems["c"].of_network(), "networks of before are up to date"
