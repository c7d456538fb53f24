"""Networks: made alike from a spec, written and read, refused when altered."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from cgs.base.errors import ConfigError, FormatError, ShapeError
from cgs.base.options import NnOptions, SystemOptions, TrainOptions
from cgs.feats.splice import splice
from cgs.nn.dropout import relu_dropout
from cgs.nn.forward import log_posteriors, logits
from cgs.nn.network import NetworkSpec, build_network, load_network, save_network
from cgs.nn.system import network_spec

torch.set_num_threads(1)
DENSE = NetworkSpec(n_in=33, hidden=(32, 32), n_out=10, seed=5)
CGS = NetworkSpec(n_in=33, hidden=(32, 32), n_out=10, method="cgs", density=0.25, block=4, dense_output=True, seed=5)
LOWRANK = NetworkSpec(n_in=33, hidden=(32, 32), n_out=10, method="lowrank", density=0.27, seed=5)
RECTANGLES = CGS.model_copy(update={"block": (2, 8, 1), "block_in": (8, 4, 0)})


@pytest.mark.parametrize("spec", [DENSE, CGS, LOWRANK, RECTANGLES])
def test_a_network_comes_back_as_it_was(tmp_path, spec):
    network = build_network(spec).eval()
    save_network(tmp_path, network, {"system": "x"})
    again, meta = load_network(tmp_path)
    x = torch.randn(7, 33)
    assert torch.equal(again(x), network(x))
    assert meta["system"] == "x" and meta["n_weights"] == 33 * 32 + 32 * 32 + 32 * 10
    assert [mask and mask.checksum for mask in again.masks] == meta["mask_checksums"]
    assert again.spec == spec


def test_a_matrix_has_blocks_of_its_own_sides():
    network = build_network(RECTANGLES)
    assert RECTANGLES.blocks() == [(2, 8), (8, 4), (1, 1)] and [tuple(layer.weight.shape[2:]) for layer in network.layers] == [(2, 8), (8, 4), ()]
    assert network.layers[0].weight.shape == (16, 1, 2, 8), "one of five block columns, the last of which is one input wide"
    assert build_network(CGS.model_copy(update={"block_in": 4})).mask_checksums == build_network(CGS).mask_checksums


def test_square_blocks_say_nothing_of_a_width():
    assert "block_in" not in CGS.model_dump() and RECTANGLES.model_dump()["block_in"] == (8, 4, 0)
    assert "balanced" not in CGS.model_dump() and CGS.model_copy(update={"balanced": False}).model_dump()["balanced"] is False
    system = {"task": "asr", "hidden": [32, 32], "method": "cgs", "density": 0.25, "block": 4}
    assert "block_in" not in SystemOptions(**system).of_network() and SystemOptions(**system, block_in=8).of_network()["block_in"] == 8
    spec = network_spec(SystemOptions(**system, block_in=[8, 2, 0]), TrainOptions(left_context=1, right_context=1), 11, 10, 5)
    assert spec.blocks() == [(4, 8), (4, 2), (4, 4)]


def test_the_same_spec_gives_the_same_bytes(tmp_path):
    for place in ("a", "b"):
        save_network(tmp_path / place, build_network(CGS), {})
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    other = build_network(CGS.model_copy(update={"seed": 6}))
    assert other.masks[0] != build_network(CGS).masks[0]


def test_kept_weights_are_all_there_are():
    network = build_network(CGS)
    masks = [mask for mask in network.masks if mask]
    assert len(masks) == 2 and network.masks[2] is None
    real = sum(int((p != 0).sum()) for name, p in network.named_parameters() if name.endswith("weight"))
    assert real == network.n_weights_kept == sum(int(mask.to_dense().sum()) for mask in masks) + 320


def test_both_methods_compute_layer_by_layer():
    x = torch.randn(5, 33)
    for spec in (DENSE, CGS, RECTANGLES):
        network = build_network(spec).eval()
        first, second, last = network.layers
        assert torch.allclose(network(x), last(torch.relu(second(torch.relu(first(x))))), atol=1e-6)


def test_an_altered_file_is_refused(tmp_path):
    save_network(tmp_path, build_network(CGS), {})
    path = tmp_path / "model.safetensors"
    blob = bytearray(path.read_bytes())
    path.write_bytes(blob[:-10])
    with pytest.raises(FormatError, match="cannot be read"):
        load_network(tmp_path)
    blob[-3] ^= 1
    path.write_bytes(blob)
    with pytest.raises(FormatError, match="altered"):
        load_network(tmp_path)


def test_masks_of_another_network_are_refused(tmp_path):
    save_network(tmp_path, build_network(CGS), {})
    meta = json.loads((tmp_path / "model.json").read_text())
    meta["mask_checksums"][0] = "0" * 64
    (tmp_path / "model.json").write_text(json.dumps(meta))
    with pytest.raises(FormatError, match="masks are not those"):
        load_network(tmp_path)


def test_an_output_layer_too_small_for_its_block_says_what_would_work():
    with pytest.raises(ConfigError, match="dense_output"):
        build_network(NetworkSpec(n_in=64, hidden=(64,), n_out=12, method="cgs", density=0.25, block=16))


def test_features_of_another_width_are_refused():
    with pytest.raises(ShapeError, match="33 inputs"):
        build_network(DENSE)(torch.zeros(2, 32))


def test_scores_of_an_utterance_are_those_of_its_spliced_frames():
    network = build_network(CGS).eval()
    features = np.random.default_rng(0).standard_normal((1300, 3)).astype(np.float32)
    scores = logits(network, features, 6, 4)
    assert scores.shape == (1300, 10) and scores.dtype == np.float32
    with torch.no_grad():
        assert np.allclose(scores, network(torch.from_numpy(splice(features, 6, 4))).numpy(), atol=1e-5)
    assert np.allclose(np.exp(log_posteriors(network, features, 6, 4)).sum(axis=1), 1, atol=1e-5)
    assert logits(network, features[:0], 6, 4).shape == (0, 10)


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.rand(400, 501).requires_grad_()
    y = relu_dropout(x, 0.25)
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    assert y.mean().item() == pytest.approx(x.mean().item(), rel=0.01)
    y.sum().backward()
    assert torch.equal(x.grad, torch.where(y > 0, 1 / 0.75, 0.0))
    assert torch.equal(relu_dropout(x - 0.5, 0.0), torch.relu(x - 0.5))


@pytest.mark.parametrize("model", [{}, {"model": "tdnn", "offsets": [[-1, 0, 1], [0, 2]]}], ids=["feedforward", "tdnn"])
@pytest.mark.parametrize("density", [0.05, 0.25, 0.7])
def test_a_small_network_is_the_widest_of_no_more_weights(model, density):
    whole = SystemOptions(task="asr", method="dense", hidden=[96, 48], **model)
    small = SystemOptions(task="asr", method="small", hidden=[96, 48], density=density, **model)
    options = NnOptions(left_context=2, right_context=2)
    specs = [network_spec(system, options, 8, 10, 1) for system in (whole, small)]
    n_weights, n_kept = (build_network(spec).n_weights for spec in specs)
    assert specs[1].method == "dense" and 0.75 * density * n_weights <= n_kept <= density * n_weights
    wide, narrow = specs[1].hidden
    wider = specs[1].model_copy(update={"hidden": (wide + 1, int(48 * (wide + 1) / 96))})
    assert narrow == int(48 * wide / 96) and build_network(wider).n_weights > density * n_weights


def test_a_small_network_that_comes_near_no_width_is_told():
    options = NnOptions(left_context=0, right_context=0)
    with pytest.raises(ConfigError, match=r"density 0.3 of a narrow network, hidden layers of 2, 2: 0.203"):
        network_spec(SystemOptions(task="asr", method="small", hidden=[8, 8], density=0.3), options, 16, 8, 1)
