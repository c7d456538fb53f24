"""The engine against a slow one in Python's own integers."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from cgs.base.errors import DataError, ShapeError
from cgs.quant.engine import IntegerEngine, nonzero_share
from cgs.quant.model import PackedLayer, PackedModel


def weight_of(layer: PackedLayer, o: int, i: int) -> int:
    """One weight, 0 where its block was dropped."""
    if layer.kept is None:
        return int(layer.weights[o, i])
    row, column = o // layer.block, i // layer.block_in
    places = [k for k, c in enumerate(layer.kept[row].tolist()) if c == column]
    return int(layer.weights[row, places[0], o % layer.block, i % layer.block_in]) if places else 0


def nearest_even(value: Fraction) -> int:
    return round(value)


def slow(model: PackedModel, frame: np.ndarray) -> list[list[int]]:
    """Every integer of one frame, in unlimited integers, checking that 32 bits suffice."""
    first = model.layers[0]
    low, high = -(2 ** (first.input_bits - 1)), 2 ** (first.input_bits - 1) - 1
    x = [min(max(nearest_even(Fraction(float(v)) * Fraction(2) ** first.input_fraction_bits), low), high) for v in frame]
    results = [x]
    for layer in model.layers:
        f = layer.weight_fraction_bits + layer.input_fraction_bits
        outputs = []
        for o in range(layer.n_out):
            acc = int(layer.bias[o]) * 2 ** (f - layer.bias_fraction_bits)
            for i, v in enumerate(x):
                acc += weight_of(layer, o, i) * v
                assert -(2**31) <= acc < 2**31
            if layer is not model.layers[-1]:
                shift = f - layer.output_fraction_bits
                low, high = (0, 2**layer.output_bits - 1) if layer.relu else (-(2 ** (layer.output_bits - 1)), 2 ** (layer.output_bits - 1) - 1)
                acc = min(max((acc + (2 ** (shift - 1) if shift else 0)) >> shift, low), high)
            outputs.append(acc)
        x = outputs
        results.append(x)
    return results


@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("sides", [(3, 0), (4, 0), (8, 0), (3, 4), (8, 2), (2, 8), (1, 5), (20, 1)], ids=str)
def test_every_integer_equals_the_slow_engine(made, bits, sides):
    model = made.random_model(bits, (13, 17, 9, 5), block=sides[0], n_kept=2, bits=bits, block_in=sides[1])
    frames = np.random.default_rng(1).normal(scale=1.5, size=(12, 13)).astype(np.float32)
    frames[0] = 1e30
    frames[1] = -1e30
    frames[2, :4] = np.array([0.5, 1.5, -0.5, 2.5]) / 64
    engine = IntegerEngine(model)
    integers = engine.integers(frames)
    expected = [slow(model, frame) for frame in frames]
    for layer, array in enumerate(integers):
        assert array.dtype == np.int32
        assert array.tolist() == [frame[layer] for frame in expected]
    scale = 2.0 ** -model.layers[-1].accumulator_fraction_bits
    np.testing.assert_array_equal(engine.logits(frames), np.array([frame[-1] for frame in expected], dtype=np.float64) * scale)


@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("ranks", [(4, 0, 3), (0, 6, 0), (3, 2, 4)])
def test_linear_layers_equal_the_slow_engine(made, bits, ranks):
    model = made.random_lowrank(bits, ranks, bits=bits)
    frames = np.random.default_rng(1).normal(scale=1.5, size=(40, 13)).astype(np.float32)
    frames[:2] = np.array([[1e30], [-1e30]])
    engine = IntegerEngine(model)
    integers, expected = engine.integers(frames), [slow(model, frame) for frame in frames]
    for layer, array in enumerate(integers):
        assert array.tolist() == [frame[layer] for frame in expected]
    signed = np.concatenate([array.ravel() for layer, array in zip(model.layers, integers[1:], strict=True) if layer.output_signed])
    assert (signed.min(), signed.max()) == (-128, 127) if bits > 2 else signed.min() < 0, "saturated on both sides"
    scale = 2.0 ** -model.layers[-1].accumulator_fraction_bits
    np.testing.assert_array_equal(engine.logits(frames), np.array([frame[-1] for frame in expected], dtype=np.float64) * scale)


def test_negative_halves_round_up():
    """Accumulators of -3 to 3 halves of an output, by hand."""
    layer = PackedLayer(1, 1, 0, None, np.ones((1, 1), np.int8), np.zeros(1, np.int32), 6, 1, 16, 0, 8, True, 0, 8, 0, False, output_signed=True)
    last = PackedLayer(1, 1, 0, None, np.ones((1, 1), np.int8), np.zeros(1, np.int32), 6, 0, 16, 0, 8, True, 0, 32, 0, False)
    frames = np.array([[-3], [-2], [-1], [0], [1], [2], [3]], dtype=np.float32)
    assert IntegerEngine(PackedModel((layer, last))).integers(frames)[1].ravel().tolist() == [-1, -1, 0, 0, 1, 1, 2]


def test_layers_beyond_24_bits_are_exact_too(made):
    model = made.random_model(9, (13, 40, 40, 5), bits=8)
    layers = [replace(layer, input_bits=16, input_fraction_bits=14, bias_fraction_bits=6) for layer in model.layers]
    layers = [replace(layer, output_bits=16, output_fraction_bits=14) if layer.relu else replace(layer, output_fraction_bits=21) for layer in layers]
    model = PackedModel(tuple(layers), {})
    assert max(layer.accumulator_bound() for layer in layers) > 2**24
    frames = np.random.default_rng(1).normal(scale=1.5, size=(4, 13)).astype(np.float32)
    expected = [slow(model, frame) for frame in frames]
    for layer, array in enumerate(IntegerEngine(model).integers(frames)):
        assert array.tolist() == [frame[layer] for frame in expected]


def test_chunks_of_frames_do_not_matter(made):
    engine = IntegerEngine(made.random_model(3, block_in=3))
    frames = np.random.default_rng(2).normal(size=(700, 13)).astype(np.float32)
    whole = engine.logits(frames)
    assert whole.shape == (700, 5) and whole.dtype == np.float32
    np.testing.assert_array_equal(whole[300:310], engine.logits(frames[300:310]))
    np.testing.assert_array_equal(whole, engine.logits(np.asfortranarray(frames)))
    assert engine.logits(frames[:0]).shape == (0, 5)
    assert [len(a) for a in engine.integers(frames[:0])] == [0, 0, 0, 0]


def test_dropped_inputs_have_no_influence(made):
    model = made.random_model(4, (16, 8, 3), block=4, n_kept=1)
    dropped = sorted(set(range(4)) - set(model.layers[0].kept.ravel().tolist()))
    assert dropped
    frames = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    changed = frames.copy()
    changed[:, dropped[0] * 4 : dropped[0] * 4 + 4] = 3.0
    np.testing.assert_array_equal(IntegerEngine(model).logits(frames), IntegerEngine(model).logits(changed))


def test_bad_input_says_what_is_wrong(made):
    engine = IntegerEngine(made.random_model(5))
    with pytest.raises(ShapeError, match=r"features \(2, 12\) for a model of 13 inputs"):
        engine.logits(np.zeros((2, 12), dtype=np.float32))
    for value in (math.nan, math.inf):
        frames = np.zeros((300, 13), dtype=np.float32)
        frames[290, 3] = value
        with pytest.raises(DataError, match="frame 290: a value is not finite"):
            engine.logits(frames)


def test_chunks_of_frames_do_not_matter_with_offsets_either(made):
    model = made.random_tdnn(3, block_in=5)
    assert model.context == (5, 3) and model.n_in == 5
    engine = IntegerEngine(model)
    frames = np.random.default_rng(2).normal(size=(700, 5)).astype(np.float32)
    whole = engine.logits(frames)
    assert whole.shape == (692, 4)
    np.testing.assert_array_equal(whole[300:310], engine.logits(frames[300:318]))
    np.testing.assert_array_equal(whole[100:110], engine.integers(frames[100:118])[-1] * np.float32(2.0 ** -model.layers[-1].accumulator_fraction_bits))
    assert [len(a) for a in engine.integers(frames[:20])] == [20, 17, 14, 12, 12]
    assert engine.logits(frames[:8]).shape == (0, 4)


@pytest.mark.parametrize("block_in", [0, 3])
def test_products_that_are_not_zero_are_counted_one_by_one(made, block_in):
    model = made.random_model(3, (13, 10, 9, 5), block_in=block_in, bits=2)
    frames = np.random.default_rng(2).normal(size=(4, 13)).astype(np.float32)
    moving = 0
    for frame in frames:
        for layer, values in zip(model.layers, slow(model, frame), strict=False):
            moving += sum(weight_of(layer, o, i) * v != 0 for o in range(layer.n_out) for i, v in enumerate(values))
    assert nonzero_share(model, frames) == moving / (len(frames) * sum(layer.n_weights for layer in model.layers))


def test_the_products_of_a_time_delay_network_are_counted(made):
    model = made.random_tdnn(1)
    assert 0 < nonzero_share(model, np.random.default_rng(2).normal(size=(20, model.n_in)).astype(np.float32)) < 1
    assert nonzero_share(model, np.zeros((20, model.n_in), np.float32)) < 1  # biases alone
