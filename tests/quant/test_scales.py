"""The study of scales: its powers of two are those that packing chooses, and a freer scale never does worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.options import NnOptions
from cgs.nn.lstm import LstmSpec
from cgs.nn.network import NetworkSpec, build_network
from cgs.nn.system import View, make_examples
from cgs.quant.formats import choose_format
from cgs.quant.scales import FREE_STEPS, KINDS, rounded_groups, rounded_weights, scale_study


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.floats(1e-3, 50), st.integers(0, 2**32 - 1))
def test_powers_of_two_are_those_of_packing(bits, scale, seed):
    values = np.random.default_rng(seed).laplace(scale=scale, size=300)
    form = choose_format(values, bits)
    expected = np.square(form.values(form.integers(values)) - values).sum()
    assert np.square(rounded_groups(values[None], bits, 1)[0] - values).sum() == pytest.approx(expected, rel=1e-9)


def test_planted_scales_lose_nothing_where_they_are_free():
    integers = np.random.default_rng(0).integers(-8, 8, (5, 40))
    integers[:, 0] = -8
    groups = integers * 2.0 ** (np.arange(5)[:, None] / FREE_STEPS)
    np.testing.assert_allclose(rounded_groups(groups, 4, FREE_STEPS), groups, rtol=1e-12)
    errors = np.square(rounded_groups(groups, 4, 1) - groups).sum(axis=1)
    assert errors[0] == 0 and (errors[1:] > 0).all()
    assert not rounded_groups(np.zeros((2, 3)), 4, 1).any()


def test_each_freedom_takes_error_away():
    training = NnOptions(epochs=1, left_context=0, right_context=0)
    network = build_network(NetworkSpec(n_in=24, hidden=(32, 30), n_out=5, method="cgs", density=0.5, block=6, dense_output=True, seed=1)).eval()
    random = np.random.default_rng(0)
    features = {f"u{i}": random.normal(size=(40, 24)).astype(np.float32) for i in range(4)}
    labels = {name: random.integers(0, 5, 40).astype(np.int32) for name in features}
    examples = make_examples(features, labels, {"u0", "u1"}, "mfcc", training)
    before = [layer.weight.detach().clone() for layer in network.each_layer()]
    told = scale_study(network, examples, 3)
    noise = {kind: np.array(told[kind]["noise"]) for kind in KINDS}
    assert (noise["free, layer"] <= noise["power of two, layer"]).all() and (noise["free, block"] <= noise["power of two, block"]).all()
    assert (noise["free, block"] <= noise["free, layer"] * 1.001).all() and (noise["power of two, block"] <= noise["power of two, layer"]).all()
    assert all(0 < told[kind]["loss"] < 5 for kind in KINDS)
    for layer, weight in zip(network.each_layer(), before, strict=True):
        assert (layer.weight == weight).all(), "the network is left alone"
        assert not rounded_weights(layer, 3, "free, block")[weight == 0].any(), "padding stays zero"


def test_both_matrices_of_cells_are_rounded():
    training = NnOptions(epochs=1)
    network = build_network(LstmSpec(n_in=6, hidden=(8, 8), n_out=3, offsets=(0,), label_delay=1, warmup=2)).eval()
    random = np.random.default_rng(0)
    features = {f"u{i}": random.normal(size=(30, 6)).astype(np.float32) for i in range(3)}
    labels = {name: random.integers(0, 3, 30).astype(np.int32) for name in features}
    examples = make_examples(features, labels, {"u0"}, "mfcc", training, view=View(2, 1, 20))
    told = scale_study(network, examples, 2)
    for kind in KINDS:
        assert len(told[kind]["noise"]) == 5 and all(0 < noise < 0.5 for noise in told[kind]["noise"])
