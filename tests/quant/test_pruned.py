"""Packing networks of other methods: what is pruned stays zero through fine-tuning and in the file, what lies in two levels is indexed so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.options import NnOptions, PackOptions
from cgs.hw.estimate import count_packed
from cgs.nn.network import NetworkSpec, build_network
from cgs.nn.system import make_examples
from cgs.nn.train import Examples, train
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.finetune import engine_difference, pack_network, tuning_options
from cgs.quant.model import PackedModel
from cgs.quant.packed import decode, encode
from cgs.quant.sizes import describe, sizes
from cgs.sparse.masked import MaskedLinear

TRAINING = NnOptions(epochs=4, minibatch=32, learning_rate=3e-3, dropout=0.0, left_context=1, right_context=1)


@pytest.fixture(scope="module")
def examples() -> Examples:
    random = np.random.default_rng(0)
    mix = random.normal(size=(8, 5))
    features = {f"u{i:02d}": random.normal(size=(60, 8)).astype(np.float32) for i in range(12)}
    labels = {name: (x @ mix).argmax(axis=1).astype(np.int32) for name, x in features.items()}
    return make_examples(features, labels, {"u00", "u01"}, "mfcc", TRAINING)


@pytest.mark.parametrize(("method", "block"), [("magnitude", 1), ("nm", 4)])
def test_what_is_pruned_stays_zero(examples, tmp_path: Path, method, block):
    network = build_network(NetworkSpec(n_in=24, hidden=(64, 64), n_out=5, method=method, density=0.25, block=block, dense_output=True, seed=1))
    train(network, examples, TRAINING, 1, tmp_path / "train")
    layers = [layer for layer in network.each_layer() if isinstance(layer, MaskedLinear)]
    assert len(layers) == 2 and all(layer.settled for layer in layers)
    options = PackOptions(epochs=2, learning_rate=1e-3)
    packing = pack_network(network, examples, 4, options, tuning_options(TRAINING, options, 1, 1), 1, tmp_path / "pack")
    assert packing.chosen.startswith("fine_tuned"), "weights have moved"
    model = PackedModel(packing.model.layers, {}, "smallest")
    for layer, tuned, packed in zip(layers, packing.network.layers, model.layers, strict=False):
        assert torch.equal(layer.kept, tuned.kept) and not tuned.weight[~layer.kept].any() and not packed.weights[~layer.kept.numpy()].any()
        assert packed.weights.any()
    told, data = sizes(model), encode(model)
    assert told["n_weights_not_zero"] <= network.n_weights_kept < told["n_weights_kept"]
    assert told["forms"][1]["weights"] != "plain" and len(data) < 0.75 * len(encode(packing.model))
    assert engine_difference(decode(data, "x"), packing.network, examples) == 0.0


@pytest.mark.parametrize(("method", "block", "block_in"), [("cgs", 4, 12), ("cgs", 16, 3), ("guided", 4, 12), ("dynamic", 16, 3)])
def test_rectangles_are_trained_packed_and_read(examples, tmp_path: Path, method, block, block_in):
    spec = NetworkSpec(n_in=24, hidden=(62, 64), n_out=5, method=method, density=0.5, block=block, block_in=block_in, dense_output=True, seed=1)
    network = build_network(spec)
    train(network, examples, TRAINING, 1, tmp_path / "train")
    network.settle()
    options = PackOptions(epochs=1, learning_rate=1e-3)
    packing = pack_network(network, examples, 5, options, tuning_options(TRAINING, options, 1, 1), 1, tmp_path / "pack")
    assert packing.held_out["float"]["accuracy"] > 0.5 and packing.held_out[packing.chosen]["accuracy"] > 0.45
    read, told = decode(encode(packing.model), "x"), sizes(packing.model)
    assert [(layer.block, layer.block_in) for layer in read.layers] == [(block, block_in)] * 2 + [(0, 0)]
    assert [layer.n_weights for layer in read.layers] == [mask.n_weights_kept for mask in network.masks[:2]] + [64 * 5]
    assert [layer["mask_checksum"] for layer in describe(read)["layers"]] == network.mask_checksums
    assert told["n_weights_kept"] == network.n_weights_kept and 0.4 * told["n_weights_dense"] < told["n_weights_kept"] < 0.65 * told["n_weights_dense"]
    assert engine_difference(read, packing.network, examples) == 0.0
    counts = count_packed(read, 8)
    assert counts.macs == told["n_weights_kept"] and counts.memories["index"].n_words == sum(mask.kept.size for mask in network.masks[:2])


def test_hierarchical_blocks_are_indexed_in_two_levels():
    network = build_network(NetworkSpec(n_in=256, hidden=(256,), n_out=10, method="hcgs", density=0.25, coarse=64, block=8, dense_output=True, seed=1)).eval()
    formats = choose_formats(network, sample_activations(network, torch.randn(50, 256, generator=torch.Generator().manual_seed(0))), 5, PackOptions())
    model = quantise(network, formats, {})
    told, read = sizes(model), decode(encode(model), "x")
    assert told["forms"][0] == {"index": "two_levels", "weights": "plain"}
    assert told["bytes_by_form"]["index"] == {"plain": 32 * 8 * 5 // 8, "two_levels": 4 + 4 * 2 * 2 // 8 + 32 * 8 * 3 // 8}
    assert told["index_bytes_by_level"] == [4 * 2 * 2 // 8, 32 * 8 * 3 // 8], "2 of 4 large blocks in 4 rows, 8 of 8 small ones a row"
    np.testing.assert_array_equal(read.layers[0].kept, model.layers[0].kept)
    np.testing.assert_array_equal(read.layers[0].weights, model.layers[0].weights)
