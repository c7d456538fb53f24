"""Cells of an LSTM in integers: against a slow engine in Python's own integers, against real functions, and what a file of them must not say."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import FormatError, ShapeError
from cgs.quant.cells import CELL, GATE, TANH, sigmoid, tanh, update
from cgs.quant.engine import IntegerEngine, nonzero_share
from cgs.quant.formats import FixedPoint
from cgs.quant.model import PackedLayer, PackedModel
from cgs.quant.packed import decode, encode
from cgs.quant.sizes import describe, sizes

HEADER = 20
"""Where the first layer's header begins; each takes 26 bytes."""


def whole(layer: PackedLayer) -> list[list[int]]:
    """The matrix as rows of integers, zero where blocks were dropped."""
    if layer.kept is None:
        return layer.weights.tolist()
    rows = [[0] * layer.n_in for _ in range(layer.n_out)]
    for r, columns in enumerate(layer.kept.tolist()):
        for k, column in enumerate(columns):
            for i in range(layer.block):
                for j in range(layer.block_in):
                    if r * layer.block + i < layer.n_out and column * layer.block_in + j < layer.n_in:
                        rows[r * layer.block + i][column * layer.block_in + j] = int(layer.weights[r, k, i, j])
    return rows


def clip(value: int, form: FixedPoint) -> int:
    return min(max(value, form.low), form.high)


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def function(table: np.ndarray, z: int, steps: int) -> Fraction:
    """(table's tanh of |z| / steps, the sign of z), the step of a half being the next one."""
    place = min(half_up(Fraction(abs(z) * 128, steps)), len(table) - 1)
    return Fraction(int(table[place]), 256) * ((z > 0) - (z < 0))


def slow_cells(layer: PackedLayer, inputs: list[list[int]]) -> list[list[int]]:
    """h of every frame, in fractions: what the integers stand for, rounded where the cells round."""
    rows, h, c, given = whole(layer), [0] * layer.n_cells, [Fraction(0)] * layer.n_cells, []
    for x in inputs:
        of_u, of_w = Fraction(2) ** -(layer.recurrent_fraction_bits + layer.output_fraction_bits), Fraction(2) ** -layer.accumulator_fraction_bits
        z = []
        for row, bias in zip(rows, layer.bias.tolist(), strict=True):
            parts = [*(w * v * of_u for w, v in zip(row, h, strict=False)), *(w * v * of_w for w, v in zip(row[layer.n_cells :], x, strict=True))]
            z.append(clip(half_up((sum(parts) + Fraction(bias) * Fraction(2) ** -layer.bias_fraction_bits) * 128), GATE))
        i, f, o, g = (z[n * layer.n_cells : (n + 1) * layer.n_cells] for n in range(4))
        for n in range(layer.n_cells):
            gate_i, gate_f, gate_o = ((1 + function(TANH, gates[n], 256)) / 2 for gates in (i, f, o))
            c[n] = Fraction(clip(half_up((gate_f * c[n] + gate_i * function(TANH, g[n], 128)) * 2048), CELL), 2048)
            h[n] = clip(half_up(gate_o * function(TANH, half_up(c[n] * 128), 128) * 2**layer.output_fraction_bits), layer.output_format)
        given.append(list(h))
    return given


def slow(model: PackedModel, frames: np.ndarray) -> list[list[list[int]]]:
    form = model.layers[0].input_format
    x = [[clip(round(Fraction(float(v)) * Fraction(2) ** form.fraction_bits), form) for v in frame] for frame in frames]
    told = [x]
    for layer in model.layers:
        first, last = layer.offsets[0], layer.offsets[-1]
        x = [[v for offset in layer.offsets for v in x[t + offset]] for t in range(-first, len(x) - last)]
        if layer.cells:
            x = slow_cells(layer, x)
        else:
            bias = layer.bias.astype(object) * 2 ** (layer.accumulator_fraction_bits - layer.bias_fraction_bits)
            x = [[sum(w * v for w, v in zip(row, frame, strict=True)) + b for row, b in zip(whole(layer), bias, strict=True)] for frame in x]
        told.append(x)
    return told


@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("activation_bits", [4, 8, 13, 16])
@pytest.mark.parametrize("blocks", [(0, 0, 0), (4, 0, 3), (8, 2, 6), (3, 4, 3), (16, 1, 9)], ids=str)
def test_every_integer_equals_the_slow_engine(made, bits, activation_bits, blocks):
    block, block_in, n_kept = blocks
    model = made.random_lstm(bits, block, n_kept, bits, block_in, activation_bits)
    frames = np.random.default_rng(1).normal(scale=1.5, size=(14, 5)).astype(np.float32)
    frames[1], frames[2] = 1e30, -1e30
    expected = slow(model, frames)
    for number, array in enumerate(IntegerEngine(model).integers(frames)):
        assert array.tolist() == expected[number]


@pytest.mark.parametrize("activation_bits", [8, 16])
def test_saturated_gates_and_cells_equal_the_slow_engine(made, activation_bits):
    """Every gate open for good, so that c of some cells runs up and down to its limits."""
    model = made.random_lstm(3, 0, 0, 8, 0, activation_bits, gain=4)
    layer = model.layers[0]
    bias = np.concatenate([np.full(24, 9 << layer.bias_fraction_bits), np.repeat([9, -9], 4) << layer.bias_fraction_bits]).astype(np.int32)
    layer = replace(layer, bias=bias, weights=np.zeros_like(layer.weights))
    model = replace(model, layers=(layer, *model.layers[1:]))
    frames = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    found, expected = IntegerEngine(model).integers(frames), slow(model, frames)
    assert all(array.tolist() == integers for array, integers in zip(found, expected, strict=True))
    c, gates = np.zeros(8, dtype=np.int64), np.where(bias > 0, GATE.high, GATE.low).astype(np.int64)
    for _ in range(40):
        c, _ = update(gates, c, layer.output_format)
    assert set(c.tolist()) == {CELL.low, CELL.high}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(GATE.low, GATE.high), min_size=4, max_size=4), st.integers(CELL.low, CELL.high), st.integers(4, 16), st.data())
def test_one_step_stays_in_range_and_near_the_real_functions(gates, c, bits, data):
    output = FixedPoint(bits, data.draw(st.integers(0, 17)))
    z = np.array(gates, dtype=np.int64)
    after, h = update(z[:, None].reshape(4), np.array([c]), output)
    assert CELL.low <= after[0] <= CELL.high and output.low <= h[0] <= output.high
    i, f, o = 1 / (1 + np.exp(-z[:3] / 128))
    wanted = np.clip(f * c / 2048 + i * np.tanh(z[3] / 128), -16, 16 - 2**-11)
    assert abs(after[0] / 2048 - wanted) < 0.006 + abs(c) / 2048 * 0.004
    squashed = np.clip(o * np.tanh(after[0] / 2048), output.low * output.step, output.high * output.step)
    assert abs(h[0] * output.step - squashed) < 0.012 + output.step / 2


def test_functions_are_odd_rising_and_a_table_apart_from_the_real_ones():
    z = np.arange(GATE.low, GATE.high + 1)
    assert np.abs(tanh(z) / 256 - np.tanh(z / 128)).max() < 1 / 256 and np.abs(sigmoid(z) / 512 - 1 / (1 + np.exp(-z / 128))).max() < 1 / 256
    assert (np.diff(tanh(z)) >= 0).all() and (np.diff(sigmoid(z)) >= 0).all()
    assert (tanh(-z) == -tanh(z)).all() and (sigmoid(-z) == 512 - sigmoid(z)).all() and (sigmoid(z).min(), sigmoid(z).max()) == (1, 511)


def test_what_was_before_is_remembered_and_what_comes_later_is_not_known(made):
    model = made.random_lstm(1)
    frames = np.random.default_rng(2).normal(size=(300, 5)).astype(np.float32)
    engine, changed = IntegerEngine(model), frames.copy()
    whole_utterance = engine.logits(frames)
    assert whole_utterance.shape == (300 - 4 - 3, 4) and model.remembers and model.context == (4, 3)
    changed[150] += 2
    later = (engine.logits(changed) != whole_utterance).any(axis=1)
    assert not later[:143].any() and later[143:147].any(), "output 143 is frame 147, which is named once 3 more are heard"
    assert engine.logits(frames[:7]).shape == (0, 4) and engine.logits(frames[:0]).shape == (0, 4)


@pytest.mark.parametrize("blocks", [(0, 0, 0), (3, 4, 3)])
def test_products_of_the_frame_before_are_counted_one_by_one(made, blocks):
    model = made.random_lstm(3, blocks[0], blocks[2], 2, blocks[1], 4)
    model = replace(model, layers=(replace(model.layers[0], offsets=(0,)), *model.layers[1:]))  # 15 features of one frame
    frames = np.random.default_rng(2).normal(size=(6, 15)).astype(np.float32)
    integers, moving = slow(model, frames), 0
    for number, layer in enumerate(model.layers):
        rows, n_cells = whole(layer), layer.n_cells
        for t, x in enumerate(integers[number]):
            before = integers[number + 1][t - 1] if t and n_cells else [0] * n_cells
            moving += sum(w != 0 and v != 0 for row in rows for w, v in zip(row, before + x, strict=True))
    assert nonzero_share(model, frames) == moving / (6 * sum(layer.n_weights for layer in model.layers))


def test_sizes_count_both_matrices(made):
    model = made.random_lstm(5)
    found, told = sizes(model), describe(model)
    assert found["n_weights_dense"] == 32 * (8 + 15 + 1) + 48 * (12 + 8 + 1) + 4 * 13 == model.n_parameters_dense
    assert found["n_weights_kept"] == sum(layer.n_weights for layer in model.layers) and found["file_bytes"] == len(encode(model))
    assert [layer["cells"] for layer in told["layers"]] == [8, 12, 0]
    assert [layer["recurrent_fraction_bits"] for layer in told["layers"]] == [3, 5, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relu": True}, "a ReLU and signed outputs"),
        ({"relu": True, "output_signed": False}, "cells whose inputs or outputs have no sign"),
        ({"input_signed": False}, "cells whose inputs or outputs have no sign"),
        ({"output_bits": 7}, "not the same number of bits"),
        ({"output_fraction_bits": 18}, "18 of an output"),
        ({"input_fraction_bits": 1, "bias_fraction_bits": 5}, "8-bit outputs after a shift by"),
        ({"n_out": 33}, "33 sums of four gates"),
        ({"n_in": 8}, "32 sums of four gates, of 8 inputs"),
        ({"block": 5, "block_in": 5}, "8 cells in blocks of 5 inputs"),
    ],
)
def test_a_layer_of_cells_that_does_not_fit_is_told(made, changes, message):
    model = made.random_lstm(1)
    with pytest.raises(ShapeError, match=f"layer 1: .*{message}"):
        encode(replace(model, layers=(replace(model.layers[0], **changes), *model.layers[1:])))


@pytest.mark.parametrize("features", [None, [4, 3], {}, {"left": 4}, {"left": 0, "right": 3}, {"left": 4, "right": 1}, {"left": 4.0, "right": 3}])
def test_a_description_must_say_what_is_heard(made, features):
    with pytest.raises(ShapeError, match="does not say how many frames are heard before and after"):
        encode(replace(made.random_lstm(1), meta={"features": features}))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (8, 4, "layer 1: reserved"),
        (HEADER + 16, 9, "layer 1: .*in the last layer"),
        (HEADER + 16, 11, "layer 1: cells whose inputs or outputs have no sign"),
        (HEADER + 16, 15, "layer 1: a ReLU and signed outputs"),
        (HEADER + 26 + 16, 5, "layer 2: its inputs are not what layer 1 gives"),
        (HEADER + 16, 29, "layer 1: reserved"),
        (HEADER + 52 + 16, 13, "layer 3: .*"),
    ],
)
def test_a_wrong_writer_of_cells_is_refused(made, place, value, message):
    data = bytearray(encode(made.random_lstm(2)))
    data[place] = value
    with pytest.raises(FormatError, match=message) as caught:
        decode(made.signed(data), "model.cgs")
    assert "\n" not in str(caught.value)


def test_nonsense_with_the_right_checksum_is_refused_or_harmless(made):
    base, random = encode(made.random_lstm(1)), np.random.default_rng(0)
    for _ in range(1500):
        data = bytearray(base)
        for place in random.integers(8, 200, 3):
            data[place] = random.integers(256)
        with contextlib.suppress(FormatError):
            assert decode(made.signed(data), "x").problem() == ""
