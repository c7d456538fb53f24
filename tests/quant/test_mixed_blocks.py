"""Bits of each block: the estimate against slow and brute-force counts, the choice against all choices, and what is packed against the engine."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cgs.base.options import NnOptions, PackOptions
from cgs.nn.data import Minibatch
from cgs.nn.network import FeedForward, Network, NetworkSpec, build_network
from cgs.nn.system import make_examples
from cgs.nn.tdnn import TdnnSpec
from cgs.nn.train import Examples
from cgs.quant.build import LowBlocks, choose_formats, quantise, sample_activations
from cgs.quant.engine import IntegerEngine
from cgs.quant.finetune import calibration_frames, engine_difference, pack_network, tuning_options
from cgs.quant.mixed_blocks import BlockBits, choose_blocks, lower_blocks, squared_gradients
from cgs.quant.model import block_weights
from cgs.quant.packed import decode, encode
from cgs.quant.precisions import two_precisions
from cgs.quant.qat import FakeQuantised
from cgs.quant.sizes import sizes

TRAINING = NnOptions(epochs=1, minibatch=64, dropout=0.0, left_context=1, right_context=1)
SPARSE = NetworkSpec(n_in=24, hidden=(40, 36), n_out=6, method="cgs", density=0.5, block=6, dense_output=True, seed=2)


def examples_of(network: FeedForward, noise: float, n_utterances: int = 10) -> Examples:
    """Frames with the labels that the network itself gives them, some of them others."""
    random = np.random.default_rng(0)
    features = {f"u{i}": random.normal(size=(60, 8)).astype(np.float32) for i in range(n_utterances)}
    labels = {}
    for name, x in features.items():
        spliced = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (0, 0)), "edge"), (3, 8)).reshape(60, 24)
        with torch.no_grad():
            best = network(torch.from_numpy(spliced.copy())).argmax(dim=1).numpy()
        labels[name] = np.where(random.random(60) < noise, random.integers(0, 6, 60), best).astype(np.int32)
    return make_examples(features, labels, {"u0", "u1", "u2"}, "mfcc", TRAINING)


@pytest.fixture
def sparse() -> FeedForward:
    network = build_network(SPARSE).eval()
    assert isinstance(network, FeedForward)
    return network


@pytest.fixture(scope="module")
def bottom() -> tuple[FeedForward, Examples]:
    sparse = build_network(SPARSE).eval()
    examples = examples_of(sparse, 0.4, n_utterances=60)  # more frames than it can learn by heart
    batch = examples.training.batch(examples.training.spread(10_000))
    optimiser = torch.optim.Adam(sparse.parameters(), lr=3e-3, weight_decay=0.003)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / 400)
        optimiser.zero_grad()
        examples.objective(sparse(batch.inputs), batch).backward()
        optimiser.step()
    return sparse, examples


@pytest.fixture
def trained(bottom: tuple[FeedForward, Examples]) -> tuple[FeedForward, Examples]:
    """A network at the bottom of its loss, where second derivatives are all there is."""
    return copy.deepcopy(bottom[0]), bottom[1]


def search(network: Network, examples: Examples, bits: list[int], target: float, **options: object) -> BlockBits | None:
    wanted = PackOptions(mixed_bits=target, mixed_by="block", **options)
    return lower_blocks(network, sample_activations(network, calibration_frames(examples.training)), examples, bits, wanted)


# --- the estimate


@pytest.mark.parametrize("spec", [SPARSE, NetworkSpec(n_in=24, hidden=(40,), n_out=6, seed=1)], ids=["cgs", "dense"])
def test_squared_gradients_are_those_of_one_frame_after_the_other(spec):
    network = build_network(spec).eval()
    examples = examples_of(network, 0.3)
    batch = examples.training.batch(examples.training.spread(50))
    expected = [torch.zeros_like(layer.weight) for layer in network.each_layer()]
    for number in range(50):
        one = examples.training.batch(examples.training.spread(50)[number : number + 1])
        loss = examples.objective(network(one.inputs), one)
        for total, gradient in zip(expected, torch.autograd.grad(loss, [layer.weight for layer in network.each_layer()]), strict=True):
            total += gradient.square() / 50
    for found, slow in zip(squared_gradients(network, batch, examples.objective), expected, strict=True):
        torch.testing.assert_close(found, slow, rtol=1e-4, atol=1e-9)


def test_layers_that_read_several_frames_count_each_by_itself():
    """A first layer that nothing below shares: its frame's gradients, summed over the frames of the loss that see it, squared."""
    spec = TdnnSpec(n_in=5, hidden=(12,), n_out=4, offsets=((-1, 0, 1),), seed=3)
    network, random = build_network(spec).eval(), torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(2, 9, 5, generator=random), torch.randint(4, (2, 7), generator=random)

    def objective(outputs, batch, reduction="mean"):
        return torch.nn.functional.cross_entropy(outputs.flatten(0, 1), batch.labels.flatten(), reduction=reduction)

    found = squared_gradients(network, Minibatch(inputs, labels), objective)
    assert [f.shape for f in found] == [layer.weight.shape for layer in network.each_layer()]
    expected = torch.zeros_like(found[-1])
    for n, t in itertools.product(range(2), range(7)):
        loss = torch.nn.functional.cross_entropy(network(inputs)[n, t][None], labels[n, t][None])
        expected += torch.autograd.grad(loss, network.layers[-1].weight)[0].square() / 14
    torch.testing.assert_close(found[-1], expected, rtol=1e-4, atol=1e-9)


def brute_force(network: Network, examples: Examples, layer: int, low_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """For each block of a layer: the loss of training frames that lowering it alone adds, and what the estimate says."""
    activations = sample_activations(network, calibration_frames(examples.training))
    formats = choose_formats(network, activations, 6, PackOptions(activation_bits=12))
    batch = examples.training.batch(examples.training.spread(10_000))
    weight, form = network.layers[layer].weight.detach().double(), formats[layer].weight
    squares = squared_gradients(network, batch, examples.objective)[layer].double()
    rounded = [torch.from_numpy(f.values(f.integers(weight.numpy()))) for f in (form, form.coarser(low_bits))]
    errors = [(each - weight).square() * squares for each in rounded]
    estimate = 0.5 * (errors[1] - errors[0]).sum(dim=(2, 3)).numpy()

    def loss(low: LowBlocks | None) -> float:
        tried = [replace(form, low=low) if number == layer else form for number, form in enumerate(formats)]
        with torch.inference_mode():
            return float(examples.objective(FakeQuantised(network, tried).eval()(batch.inputs).contiguous(), batch))

    raised, none = np.zeros(estimate.shape), np.zeros(estimate.shape, dtype=bool)
    for place in np.ndindex(estimate.shape):
        one = none.copy()
        one[place] = True
        raised[place] = loss(LowBlocks(low_bits, one)) - loss(None)
    return raised, estimate


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values.ravel()))


def test_the_estimate_ranks_blocks_as_trying_each_does(trained):
    network, examples = trained
    first, second = list(network.each_layer())[:2]
    larger = torch.linspace(0.5, 2.0, len(first.weight))
    with torch.no_grad():  # the same function at the same minimum, with rows of blocks that are worth more or less
        first.weight.mul_(larger[:, None, None, None])
        first.bias.mul_(larger.repeat_interleave(6)[:40])
        second.weight.div_(larger[second.kept.long()][:, :, None, None])
    raised, estimate = brute_force(network, examples, 0, 3)
    assert np.corrcoef(ranks(raised), ranks(estimate))[0, 1] > 0.8
    assert 0.3 < estimate.sum() / raised.sum() < 3


# --- the choice


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.05, 1.0))
def test_the_choice_is_close_to_the_best_of_all_and_never_misses_the_target(seed, n_layers, share):
    """Layers of two or three blocks, every low precision and every set of blocks tried."""
    random = np.random.default_rng(seed)
    bits = random.integers(3, 6, n_layers).tolist()
    n_weights = [random.integers(3, 9, random.integers(2, 4)) for _ in bits]
    costs = [{low: random.random(len(n)) * 4.0 ** (width - low) for low in range(2, width)} for width, n in zip(bits, n_weights, strict=True)]
    most = sum((width - 2) * int(n.sum()) for width, n in zip(bits, n_weights, strict=True))
    to_save = max(1, int(share * most))
    widths, lowered = choose_blocks(costs, n_weights, bits, to_save)
    each = [
        [((width - low) * int(n[list(on)].sum()), float(cost[list(on)].sum())) for low, cost in by.items() for k in range(len(n) + 1)
         for on in itertools.combinations(range(len(n)), k)]
        for by, width, n in zip(costs, bits, n_weights, strict=True)
    ]  # fmt: skip
    least = min(sum(cost for _, cost in way) for way in itertools.product(*each) if sum(saved for saved, _ in way) >= to_save)
    saved = [((width - low) * n * on) for width, low, n, on in zip(bits, widths, n_weights, lowered, strict=True)]
    cost = sum(float(by[low][on].sum()) for by, low, on in zip(costs, widths, lowered, strict=True))
    total = sum(int(one.sum()) for one in saved)
    assert total >= to_save and cost >= least - 1e-9
    dearest = max(float(by[low].max()) for by, low in zip(costs, widths, strict=True))
    assert cost <= least + 2 * dearest, "the last block, and the step from one low precision to the next, are all that is lost"
    assert all(total - one < to_save for parts in saved for one in parts[parts > 0]), "no block is lowered in vain"


def test_what_costs_nothing_goes_first_to_the_fewest_bits():
    costs = [{2: np.array([0.0, 5.0, 0.0]), 3: np.array([0.0, 1.0, 0.0])}, {2: np.array([9.0]), 3: np.array([2.0])}]
    widths, lowered = choose_blocks(costs, [np.array([10, 10, 10]), np.array([40])], [4, 4], 40)
    assert widths[0] == 2 and [one.tolist() for one in lowered] == [[True, False, True], [False]]
    widths, lowered = choose_blocks(costs, [np.array([10, 10, 10]), np.array([40])], [4, 4], 1000)
    assert widths == [2, 2] and all(one.all() for one in lowered), "out of reach: all that there is"
    widths, lowered = choose_blocks([{}, {2: np.array([1.0, 3.0])}], [np.array([7]), np.array([8, 8])], [2, 3], 8)
    assert widths == [2, 2] and [one.tolist() for one in lowered] == [[False], [True, False]]


# --- the search


def test_planted_blocks_are_the_ones_that_are_lowered(sparse):
    """Blocks of nothing but -1/2, 0 and 1/2 lose nothing in 2 bits; every other block holds weights that need all 6."""
    random, planted = np.random.default_rng(1), []
    with torch.no_grad():
        for layer in list(sparse.each_layer())[:2]:
            weight, real = np.zeros(layer.weight.shape), layer.mask.real_weights
            easy = random.random(weight.shape[:2]) < 0.4
            weight[:] = np.where(easy[:, :, None, None], random.choice([-0.5, 0.0, 0.5], weight.shape), random.integers(-31, 32, weight.shape) / 32)
            layer.weight.copy_(torch.from_numpy(weight * real))
            planted.append(easy)
    examples = examples_of(sparse, 0.2)
    masks = [layer.mask for layer in list(sparse.each_layer())[:2]]
    saved = sum(4 * int(block_weights(m.n_in, m.n_out, m.block, m.block_in, m.kept)[easy].sum()) for m, easy in zip(masks, planted, strict=True))
    target = 6 - saved / sparse.n_weights_kept
    found = search(sparse, examples, [6, 6, 6], target)
    assert found is not None and found.bits == [6, 6, 6] and found.low[2] is None
    for low, easy in zip(found.low[:2], planted, strict=True):
        assert low is not None and low.bits == 2
        np.testing.assert_array_equal(low.blocks, easy)
    assert found.mean_bits == pytest.approx(target) and abs(found.predicted) < 1e-9 and abs(found.found) < 1e-6
    assert found.told()["layers"] == [
        {"bits": 6, "low_bits": 2, "low_share": planted[0].mean()}, {"bits": 6, "low_bits": 2, "low_share": planted[1].mean()},
        {"bits": 6, "low_bits": None, "low_share": 0.0},
    ]  # fmt: skip


def test_targets_are_met_by_less_than_a_block_where_blocks_are_small(trained):
    network, examples = trained
    before = 0.0
    for target in (5.5, 4.5, 3.5):
        found = search(network, examples, [6, 6, 6], target)
        assert found is not None
        spare = 36 * 4 + (240 * 4 if found.bits[2] < 6 else 0)  # the largest block, or the whole output layer
        assert target - spare / network.n_weights_kept < found.mean_bits <= target
        assert found.predicted > before
        before = found.predicted
    assert search(network, examples, [5, 4, 5], 5) is None and search(network, examples, [2, 2, 2], 2) is None
    lowest = search(network, examples, [4, 2, 3], 2)
    assert lowest is not None and lowest.mean_bits == 2 and lowest.low[1] is None and lowest.bits == [4, 2, 2]


def test_dense_networks_are_lowered_by_whole_layers():
    network = build_network(NetworkSpec(n_in=24, hidden=(40, 40), n_out=6, seed=2)).eval()
    with torch.no_grad():
        network.layers[1].weight.copy_(torch.from_numpy(np.random.default_rng(0).choice([-0.25, 0.0, 0.25], size=(40, 40))))
    found = search(network, examples_of(network, 0.2), [5, 5, 5], 3.5)
    assert found is not None and found.low == [None, None, None] and found.bits == [5, 2, 5]


@pytest.mark.parametrize("levels", ["full", "symmetric"])
def test_what_is_packed_is_what_was_tuned_and_keeps_its_blocks(trained, tmp_path, levels):
    network, examples = trained
    options = PackOptions(mixed_bits=4, mixed_by="block", epochs=2, learning_rate=3e-3, levels=levels)
    packing = pack_network(network, examples, 6, options, tuning_options(TRAINING, options, 1, 1), 1, tmp_path)
    assert packing.block_bits is not None and packing.lowered == [] and packing.chosen != "post_training"
    assert [form.low for form in packing.network.formats] == packing.block_bits.low
    read = decode(encode(packing.model), "x")
    assert engine_difference(read, packing.network, examples) == 0.0
    for layer, low, bits in zip(packing.model.layers, packing.block_bits.low, packing.block_bits.bits, strict=True):
        assert layer.bits == bits
        if low is not None:
            assert not (layer.weights[low.blocks] % (1 << (bits - low.bits))).any()
            assert (layer.weights[~low.blocks] % (1 << (bits - low.bits))).any() or low.blocks.all()
    for storage in ("mixed", "smallest"):
        told = sizes(type(read)(read.layers, {}, storage))
        assert told["bits"] <= round(packing.block_bits.mean_bits, 2) + 0.005 and told["bits"] < 6
    weights = sum(p.n_bits if (p := two_precisions(layer)) else layer.bits * layer.n_weights for layer in read.layers)
    assert weights <= 4 * network.n_weights_kept


def test_a_time_delay_network_by_block():
    shape = {"n_in": 9, "hidden": (40, 36), "n_out": 7, "offsets": ((-2, 0, 2), (-3, 0)), "dense_output": True}
    network = build_network(TdnnSpec(**shape, method="cgs", density=0.5, block=8, seed=3)).eval()
    chunks = torch.randn(6, 50, 9, generator=torch.Generator().manual_seed(1))
    flags = [LowBlocks(3, np.random.default_rng(0).random(layer.mask.kept.shape) < 0.5) for layer in list(network.each_layer())[:2]]
    formats = choose_formats(network, sample_activations(network, chunks), 6, PackOptions(), [*flags, None])
    model = decode(encode(quantise(network, formats, {})), "x")
    with torch.no_grad():
        expected = FakeQuantised(network, formats)(chunks)
    for rows, logits in zip(chunks.numpy(), expected.numpy(), strict=True):
        np.testing.assert_array_equal(IntegerEngine(model).logits(rows), logits)


def test_options_that_cannot_be():
    assert PackOptions(mixed_bits=4, mixed_by="block").file_storage == "mixed"
    assert PackOptions(mixed_bits=4, mixed_by="block", storage="smallest").file_storage == "smallest"
    assert PackOptions(mixed_bits=4).file_storage == PackOptions().file_storage == "plain"
    with pytest.raises(ValidationError, match='mixed_by = "block" without mixed_bits: say how few bits'):
        PackOptions(mixed_by="block")
    with pytest.raises(ValidationError, match="mixed_by"):
        PackOptions(mixed_bits=4, mixed_by="row")
