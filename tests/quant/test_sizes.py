"""Sizes are counted from the file, and the published reduction is reached."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cgs.base.options import PackOptions
from cgs.nn.network import NetworkSpec, build_network
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.packed import encode
from cgs.quant.sizes import describe, entropy_bits_per_weight, sizes

KEYWORDS = ["<silence>", "<other>", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FEATURES = {"kind": "fbank", "cmvn": "speaker", "left": 5, "right": 5}


@pytest.mark.parametrize(
    ("spec", "bits", "classes"),
    [
        (NetworkSpec(n_in=440, hidden=(512,) * 4, n_out=1000, method="cgs", density=0.25, block=64), 6, None),
        (NetworkSpec(n_in=440, hidden=(512,) * 4, n_out=1000, method="cgs", density=0.25, block=32), 6, None),
        (NetworkSpec(n_in=403, hidden=(512, 512), n_out=12, method="cgs", density=0.25, block=32, dense_output=True), 5, KEYWORDS),
    ],
    ids=["speech64", "speech32", "keyword"],
)
def test_file_is_95_percent_smaller_than_float32(spec, bits, classes):
    network = build_network(spec)
    formats = choose_formats(network, sample_activations(network, torch.randn(50, spec.n_in, generator=torch.Generator().manual_seed(0))), bits, PackOptions())
    meta = {"task": "kws" if classes else "asr", "system": "cgs", "seed": 1, "features": FEATURES, "classes": classes}
    model = quantise(network, formats, meta)
    widths = [spec.n_in, *spec.hidden, spec.n_out]
    n_dense = sum(a * b + b for a, b in zip(widths, widths[1:], strict=False))
    found = sizes(model)
    assert found["file_bytes"] == len(encode(model))
    assert found["n_weights_dense"] == n_dense and found["n_weights_kept"] == network.n_weights_kept
    assert found["reduction_vs_float32"] == 1 - len(encode(model)) / (4 * n_dense) >= 0.95
    assert found["reduction_vs_float64"] == 1 - len(encode(model)) / (8 * n_dense) >= 0.975


@pytest.mark.parametrize("density", [0.25, (0.25, 1.0, 0.5)])
def test_factors_are_measured_against_the_dense_network_of_the_same_hidden_sizes(density):
    spec = NetworkSpec(n_in=40, hidden=(64, 48), n_out=12, method="lowrank", density=density)
    network = build_network(spec)
    formats = choose_formats(network, sample_activations(network, torch.randn(50, 40, generator=torch.Generator().manual_seed(0))), 6, PackOptions())
    told = sizes(quantise(network, formats, {}))
    n_dense = 40 * 64 + 64 * 48 + 48 * 12
    kept = 6 * (40 + 64) + 6 * (64 + 48) + 2 * (48 + 12) if density == 0.25 else 6 * (40 + 64) + 64 * 48 + 4 * (48 + 12)
    assert (network.n_weights, network.n_weights_kept) == (n_dense, kept) and told["n_weights_kept"] == kept
    assert told["n_weights_dense"] == network.n_parameters_dense == n_dense + 64 + 48 + 12
    assert told["reduction_vs_float32"] == 1 - told["file_bytes"] / (4 * (n_dense + 64 + 48 + 12))


def test_entropy_of_planted_weights(made):
    layer = made.random_layer(np.random.default_rng(0), 4, 4, bits=4, relu=False)
    layer.weights[:] = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 3, 3]])
    model = made.random_model(0)
    model = type(model)((layer,), {})
    assert math.isclose(entropy_bits_per_weight(model), 0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3)


def test_describe_tells_formats_and_shapes(made):
    told = describe(made.random_model(1))
    assert told["task"] == "kws" and told["bits"] == 6 and len(told["layers"]) == 3
    assert told["layers"][0]["kept_per_row"] == 2 and told["layers"][2]["block"] == 0
    assert [(layer["block"], layer["block_in"]) for layer in describe(made.random_model(1, block_in=3))["layers"]] == [(4, 3), (4, 3), (0, 0)]
    assert sum(layer["weights_bytes"] for layer in told["layers"]) == told["weights_bytes"]
