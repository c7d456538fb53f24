"""Low-rank factors: ranks by brute force, the product by hand, networks made of them against a slow reference, texts of errors."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cgs.base.errors import ConfigError
from cgs.base.options import NnOptions, SystemOptions
from cgs.nn.network import NetworkSpec, build_network, load_network, save_network
from cgs.nn.system import network_spec
from cgs.nn.tdnn import TdnnSpec
from cgs.sparse.lowrank import LowRankLinear, rank_of

SPEC = NetworkSpec(n_in=33, hidden=(32, 40), n_out=10, method="lowrank", density=0.3, seed=5)
RANKS = [4, 5, 2]  # of 33 x 32 at most 0.3 * 1056 = 316.8 weights, 4 * 65 = 260; of 32 x 40 384, 5 * 72; of 40 x 10 120, 2 * 50


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 999))
def test_the_rank_is_the_largest_of_all_that_are_tried(n_out: int, n_in: int, thousandths: int) -> None:
    density, allowed = thousandths / 1000, Decimal(thousandths) / 1000 * n_out * n_in
    fitting = [rank for rank in range(1, 61) if rank * (n_in + n_out) <= allowed]
    if fitting and fitting[-1] * (n_in + n_out) * 4 >= allowed * 3:
        assert rank_of(n_out, n_in, density) == fitting[-1] < min(n_out, n_in)
    else:  # none at all, or none that comes within a quarter of the density
        told = rf"^density {density:g} of lowrank: a {n_out} x {n_in} matrix" if fitting else rf"^lowrank: density {density:g} of a {n_out} x {n_in} matrix"
        with pytest.raises(ConfigError, match=told):
            rank_of(n_out, n_in, density)


def test_a_density_that_a_float_misses_counts_as_it_is_written() -> None:
    assert 0.29 * 200 * 200 / 400 < 29 and rank_of(200, 200, 0.29) == 29


def test_an_impossible_density_says_what_the_least_would_be() -> None:
    with pytest.raises(ConfigError) as caught:
        rank_of(12, 512, 0.05)
    assert str(caught.value) == (
        "lowrank: density 0.05 of a 12 x 512 matrix, whose factors of rank 1 are 0.0853 of it "
        "(choose a higher density, or keep the matrix whole (dense_input, dense_output, or a density of 1 in a list))"
    )
    with pytest.raises(ConfigError, match="density 0.05 of a 12 x 512 matrix"):
        build_network(NetworkSpec(n_in=440, hidden=(512,), n_out=12, method="lowrank", density=0.05))
    assert build_network(NetworkSpec(n_in=440, hidden=(512,), n_out=12, method="lowrank", density=0.05, dense_output=True)).spec.ranks() == [11, None]


def test_outputs_are_at_first_as_large_as_those_of_a_dense_layer() -> None:
    x, generator = torch.randn(400, 2000, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    for rank in (40, 150):
        layer = LowRankLinear(400, 300, rank, generator, gain=2.0**0.5)
        with torch.no_grad():
            assert float(layer.feature_major(x).std()) == pytest.approx(2**0.5, rel=0.1)
            assert float((layer.first.weight @ x).std()) == pytest.approx(1.0, rel=0.05)


def slow(network, x: np.ndarray) -> np.ndarray:
    """One frame, one number after the other, through the matrices A B multiplied out by loops."""
    for number, layer in enumerate(network.each_layer()):
        a, b, c, d = (t.detach().double().numpy() for t in (layer.second.weight, layer.first.weight, layer.first.bias, layer.second.bias))
        y = []
        for row, bias in zip(a, d, strict=True):
            of_inputs = [sum(row[k] * b[k, i] for k in range(len(b))) for i in range(len(x))]
            y.append(sum(w * v for w, v in zip(of_inputs, x, strict=True)) + sum(row[k] * c[k] for k in range(len(b))) + bias)
        x = np.maximum(y, 0) if number < len(network.layers) - 1 else np.array(y)
    return x


def test_a_network_computes_the_product_of_its_factors_and_comes_back_as_it_was(tmp_path: Path) -> None:
    network, x = build_network(SPEC).eval(), torch.randn(3, 33, generator=torch.Generator().manual_seed(0))
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(generator=torch.Generator().manual_seed(1))
    assert [layer.rank for layer in network.each_layer()] == SPEC.ranks() == RANKS
    expected = np.array([slow(network, frame) for frame in x.double().numpy()])
    with torch.no_grad():
        np.testing.assert_allclose(network(x).numpy(), expected, atol=1e-4)
    for place in ("a", "b"):
        save_network(tmp_path / place, network, {})
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    again, meta = load_network(tmp_path / "a")
    assert torch.equal(again(x), network(x)) and again.spec == SPEC and again.mask_checksums == [None] * 3
    assert meta["n_weights"] == 33 * 32 + 32 * 40 + 40 * 10 and meta["n_weights_kept"] == 4 * 65 + 5 * 72 + 2 * 50
    assert network.n_parameters_dense == meta["n_weights"] + 32 + 40 + 10
    for layer, shape in zip(network.each_layer(), SPEC.shapes(), strict=True):
        assert layer.to_dense().shape == shape and torch.linalg.matrix_rank(layer.to_dense()) == layer.rank


def test_the_same_spec_gives_the_same_first_weights() -> None:
    states = [build_network(SPEC.model_copy(update={"seed": seed})).state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["layers.0.first.weight"], states[2]["layers.0.first.weight"])


def test_dense_matrices_and_densities_of_one_stay_whole() -> None:
    shape = {"n_in": 33, "hidden": (32, 40), "n_out": 10, "method": "lowrank"}
    assert NetworkSpec(**shape, density=0.3, dense_input=True, dense_output=True).ranks() == [None, 5, None]
    assert NetworkSpec(**shape, density=(0.3, 1.0, 0.5)).ranks() == [4, None, 4]
    network = build_network(NetworkSpec(**shape, density=(0.3, 1.0, 0.5)))
    assert network.n_weights_kept == 4 * 65 + 32 * 40 + 4 * 50
    assert [(product.layer, product.relu, product.matrix.weight.shape[0]) for product in network.products()] == [
        (0, False, 4), (0, True, 32), (1, True, 40), (2, False, 4), (2, False, 10),
    ]  # fmt: skip
    assert SPEC.model_copy(update={"method": "magnitude"}).ranks() == [None] * 3


def test_the_first_factor_reads_the_frames_of_a_time_delay_layer() -> None:
    spec = TdnnSpec(n_in=5, hidden=(12, 10), n_out=7, offsets=((-2, -1, 0), (-3, 0)), method="lowrank", density=0.5)
    products = build_network(spec).products()
    assert [product.offsets for product in products] == [(-2, -1, 0), (0,), (-3, 0), (0,), (0,), (0,)]
    assert [tuple(product.matrix.weight.shape) for product in products] == [(3, 15), (12, 3), (3, 24), (10, 3), (2, 10), (7, 2)]


def system(**changes: object) -> SystemOptions:
    return SystemOptions(**{"task": "asr", "method": "lowrank", "hidden": [32, 40], "density": 0.3} | changes)


def test_options_of_a_system() -> None:
    spec = network_spec(system(), NnOptions(left_context=1, right_context=1), 11, 10, 5)
    assert isinstance(spec, NetworkSpec) and spec.ranks() == RANKS
    assert system(density=[0.3, 1, 0.5], bits=[6, 4, 5]).bits_by_layer == [6, 4, 5]
    for changes in ({"density": 1.0}, {"block": 4}, {"density": [1, 1, 1]}):
        with pytest.raises(ValidationError, match="a lowrank system needs density below 1 and no block"):
            system(**changes)
    with pytest.raises(ValidationError, match="method lowrank is for feedforward and tdnn networks; choose cgs, or another model"):
        system(model="lstm")
