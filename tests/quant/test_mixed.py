"""Bits of each layer: what a list may hold, and that the search takes the bits that matter least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from cgs.base.options import NnOptions, PackOptions, SystemOptions
from cgs.nn.network import FeedForward, NetworkSpec, build_network
from cgs.nn.system import make_examples
from cgs.nn.train import Examples, evaluate
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.finetune import calibration_frames, engine_difference, pack_network, tuning_options
from cgs.quant.mixed import lower_bits
from cgs.quant.packed import decode, encode
from cgs.quant.qat import FakeQuantised
from cgs.quant.sizes import sizes

TRAINING = NnOptions(epochs=1, minibatch=64, dropout=0.0, left_context=1, right_context=1)


@pytest.fixture(scope="module")
def planted() -> tuple[FeedForward, Examples]:
    """A network that is sure of every frame, whose second matrix holds nothing but -1/4, 0 and 1/4: two bits lose nothing there."""
    network = build_network(NetworkSpec(n_in=24, hidden=(40, 40), n_out=6, seed=2)).eval()
    assert isinstance(network, FeedForward)
    random = np.random.default_rng(0)
    with torch.no_grad():
        network.layers[1].weight.copy_(torch.from_numpy(random.choice([-0.25, 0.0, 0.25], size=(40, 40))))
        network.layers[2].weight.mul_(8.0)
        features = {f"u{i}": random.normal(size=(60, 8)).astype(np.float32) for i in range(8)}
        labels = {}
        for name, x in features.items():
            spliced = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (0, 0)), "edge"), (3, 8)).reshape(60, 24)
            labels[name] = network(torch.from_numpy(spliced.copy())).argmax(dim=1).numpy().astype(np.int32)
    return network, make_examples(features, labels, {"u0", "u1", "u2"}, "mfcc", TRAINING)


def search(planted: tuple[FeedForward, Examples], bits: list[int], target: float):
    network, examples = planted
    options = PackOptions(mixed_bits=target, activation_bits=8)
    return lower_bits(network, sample_activations(network, calibration_frames(examples.training)), examples, bits, options)


def test_bits_that_cost_nothing_go_first(planted):
    steps = search(planted, [5, 5, 5], 3.5)
    assert [step.layer for step in steps[:3]] == [2, 2, 2] and steps[2].bits == [5, 2, 5]
    assert len(steps) == 3, "1600 of 2800 weights have lost three bits: 3.29 on average"
    assert steps[1].mean_bits == pytest.approx((5 * 1200 + 3 * 1600) / 2800) and steps[1].mean_bits > 3.5 >= steps[2].mean_bits
    assert steps == search(planted, [5, 5, 5], 3.5)


def test_every_step_is_the_cheapest_by_another_count(planted):
    network, examples = planted
    activations = sample_activations(network, calibration_frames(examples.training))

    def loss(bits: list[int]) -> float:
        return evaluate(FakeQuantised(network, choose_formats(network, activations, bits, PackOptions())), examples.held_out)[0]

    before = [4, 3, 4]
    for step in search(planted, before, 2.5):
        after = {n: [bits - (n == other) for other, bits in enumerate(before)] for n in range(3) if before[n] > 2}
        sizes = [24 * 40, 40 * 40, 40 * 6]
        cost = {n: (loss(bits) - loss(before)) / sizes[n] for n, bits in after.items()}
        assert step.layer - 1 == min(cost, key=lambda n: cost[n]) and step.bits == after[step.layer - 1]
        assert step.loss == pytest.approx(loss(step.bits), rel=1e-5)
        before = step.bits
    assert np.average(before, weights=sizes) <= 2.5


def test_two_bits_are_the_fewest_and_a_low_mean_needs_no_step(planted):
    steps = search(planted, [2, 3, 2], 2.0)
    assert [step.bits for step in steps] == [[2, 2, 2]]
    assert search(planted, [4, 3, 4], 4.0) == []


def test_mixed_bits_are_packed_as_the_last_step_says(planted, tmp_path):
    network, examples = planted
    options = PackOptions(mixed_bits=3.5, epochs=1)
    packing = pack_network(network, examples, [5, 5, 5], options, tuning_options(TRAINING, options, 1, 1), 1, tmp_path)
    assert packing.lowered[-1].bits == [layer.bits for layer in packing.model.layers] == [5, 2, 5]
    read = decode(encode(packing.model), "x")
    assert engine_difference(read, packing.network, examples) == 0.0
    told = sizes(read)
    assert told["bits"] == 3.29 and told["bits_by_layer"] == [5, 2, 5] and told["weights_bytes"] == (960 * 5 + 1600 * 2 + 240 * 5) // 8


def test_factors_of_a_matrix_lose_their_bits_together(planted):
    _, examples = planted
    network = build_network(NetworkSpec(n_in=24, hidden=(40, 40), n_out=6, method="lowrank", density=(0.5, 0.5, 1.0), seed=2)).eval()
    steps = search((network, examples), [6, 5, 4], 4.0)
    assert steps and all(len(step.bits) == 3 for step in steps)
    weights = [7 * (24 + 40), 10 * (40 + 40), 40 * 6]
    assert steps[-1].mean_bits == pytest.approx(np.average(steps[-1].bits, weights=weights)) and steps[-1].mean_bits <= 4.0
    formats = choose_formats(network, sample_activations(network, calibration_frames(examples.training)), steps[-1].bits, PackOptions())
    first, second, last = steps[-1].bits
    assert [layer.bits for layer in quantise(network, formats, {}).layers] == [first, first, second, second, last]


def test_a_list_gives_each_layer_its_bits(planted):
    network, examples = planted
    formats = choose_formats(network, sample_activations(network, calibration_frames(examples.training)), [8, 2, 3], PackOptions())
    model = quantise(network, formats, {})
    assert [layer.bits for layer in model.layers] == [8, 2, 3]
    assert sizes(replace(model, storage="smallest"))["bits"] == round((8 * 960 + 2 * 1600 + 3 * 240) / 2800, 2)


def system(**changes: object) -> SystemOptions:
    return SystemOptions(**{"task": "asr", "method": "dense", "hidden": [32, 16]} | changes)


def test_bits_of_a_system():
    assert system().bits_by_layer == [6, 6, 6] and system(bits=3).bits_by_layer == [3, 3, 3] and system(bits=[8, 2, 4]).bits_by_layer == [8, 2, 4]
    tdnn = {"model": "tdnn", "offsets": [[-1, 0, 1], [0]]}
    assert system(bits=[8, 2, 4], **tdnn).bits_by_layer == [8, 2, 4]
    assert system(model="lstm", bits=[8, 2, 4]).bits_by_layer == [8, 2, 4], "both matrices of a layer of cells have the same"
    for changes in ({}, {"model": "lstm"}):
        for bits in ([6, 6], [6], [6] * 5, []):
            with pytest.raises(ValidationError, match=f"bits of {len(bits)} layers for a network of 3 .2 hidden layers and an output layer"):
                system(bits=bits, **changes)
    for bits in (1, 9, [6, 6, 1]):
        with pytest.raises(ValidationError, match="a packed weight has 2 to 8"):
            system(bits=bits)


def test_mixed_bits_below_two_are_refused():
    assert PackOptions(mixed_bits=0).mixed_bits == 0 and PackOptions(mixed_bits=2.5).mixed_bits == 2.5
    with pytest.raises(ValidationError, match="mixed_bits = 1.5: a weight has at least 2 bits"):
        PackOptions(mixed_bits=1.5)
