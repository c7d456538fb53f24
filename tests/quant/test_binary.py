"""The study of binary weights: planted signs and scales, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cgs.base.errors import ConfigError
from cgs.base.options import NnOptions, PackOptions
from cgs.nn.lstm import LstmSpec
from cgs.nn.network import Network, NetworkSpec, build_network
from cgs.nn.system import make_examples
from cgs.quant.binary import SHARED_BY, Binary, binary_study
from cgs.quant.build import choose_formats, sample_activations
from cgs.quant.finetune import tuning_options

SPEC = NetworkSpec(n_in=24, hidden=(32, 30), n_out=5, method="cgs", density=0.5, block=7, dense_output=True, seed=1)


def binary(network: Network, shared_by: str) -> Binary:
    formats = choose_formats(network, sample_activations(network, torch.randn(50, 24)), 2, PackOptions())
    return Binary(network, formats, shared_by)


@pytest.mark.parametrize("shared_by", SHARED_BY)
def test_weights_are_signs_times_the_mean_of_those_that_exist(shared_by):
    network = build_network(SPEC).eval()
    found = binary(network, shared_by)
    for number, layer in enumerate(network.each_layer()):
        weight, rounded = layer.weight.detach().numpy(), found.weights_of(number).detach().numpy()
        real = layer.mask.real_weights if number < 2 else np.ones(weight.shape, dtype=bool)
        assert not rounded[~real].any(), "padding stays zero"
        groups = {"layer": [()], "block row": np.ndindex(weight.shape[:1]), "block": np.ndindex(weight.shape[: 2 if number < 2 else 1])}[shared_by]
        for group in groups:
            scale = np.abs(weight[group][real[group]]).mean()
            np.testing.assert_allclose(rounded[group][real[group]], np.where(weight[group][real[group]] < 0, -scale, scale), rtol=1e-5)


def test_each_freedom_takes_error_away_and_no_other_scale_is_better():
    network = build_network(SPEC).eval()
    weight = network.layers[0].weight.detach()
    errors = [float((binary(network, shared_by).weights_of(0).detach() - weight).square().sum()) for shared_by in SHARED_BY]
    assert errors == sorted(errors, reverse=True)
    rounded = binary(network, "layer").weights_of(0).detach()
    assert all(float((rounded * other - weight).square().sum()) > errors[0] for other in (0.98, 1.02))


def test_gradients_pass_straight_through():
    found = binary(build_network(SPEC).eval(), "block")
    factors = torch.randn_like(found.layers[0].weight)
    (found.weights_of(0) * factors).sum().backward()
    torch.testing.assert_close(found.layers[0].weight.grad, factors)


def test_the_study_tells_losses_before_and_after_fine_tuning(tmp_path):
    network, random = build_network(SPEC).eval(), np.random.default_rng(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    place = random.normal(size=(5, 24)).astype(np.float32)
    labels = {f"u{i}": random.integers(0, 5, 60).astype(np.int32) for i in range(8)}
    features = {name: place[v] + 0.3 * random.normal(size=(60, 24)).astype(np.float32) for name, v in labels.items()}
    training = NnOptions(epochs=1, minibatch=16, dropout=0.0, left_context=0, right_context=0)
    examples = make_examples(features, labels, {"u0", "u1"}, "mfcc", training)
    for epochs in (0, 3):
        options = PackOptions(epochs=epochs, learning_rate=1e-2)
        told = binary_study(network, examples, options, tuning_options(training, options, 0, 0), 1, tmp_path / str(epochs))
        assert list(told) == list(SHARED_BY) and all(len(losses) == 1 + (epochs > 0) for losses in told.values())
        assert not epochs or all(tuned < 0.5 * rounded for rounded, tuned in told.values())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items()), "the network is left alone"


def test_an_lstm_is_refused():
    network = build_network(LstmSpec(n_in=4, hidden=(8,), n_out=3, offsets=(0,), label_delay=0, warmup=0))
    formats = choose_formats(network, sample_activations(network, torch.randn(2, 20, 4)), 2, PackOptions())
    with pytest.raises(ConfigError, match="binary weights of a network that remembers"):
        Binary(network, formats, "layer")
