"""Counts of small models, worked out by hand and by a loop that walks every cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError, ShapeError
from cgs.hw.counts import Engine, count, even_shape, layer_shape
from cgs.hw.estimate import count_packed


@dataclass
class Layer:
    n_in: int
    n_out: int
    block: int
    kept: Any
    bits: int
    input_bits: int = 8
    bias_bits: int = 16
    offsets: tuple[int, ...] = (0,)
    block_in: int = 0
    cells: bool = False


@dataclass
class Model:
    layers: list[Layer]
    meta: dict[str, Any] = field(default_factory=dict)


def test_a_dense_layer_by_hand():
    counts = count_packed(Model([Layer(6, 4, 0, None, 5)]), n_macs=1)
    assert (counts.macs, counts.mac_cycles) == (24, 24)
    assert counts.cycles == 1 + 24 + 4 * 1 + 4 * 1  # one layer, four passes, four outputs
    assert counts.memories["weights"].word_bits == 60, "12 weights of 5 bits in at most 64"
    assert counts.memories["weights"].reads == counts.memories["weights"].n_words == 2
    assert counts.memories["weights"].used_bits == 120
    assert (counts.memories["index"].reads, counts.memories["index"].n_words) == (0, 0)
    assert (counts.memories["bias"].reads, counts.memories["bias"].used_bits) == (4, 64)
    assert counts.memories["activations"].reads == 4  # one word of 8 inputs for each of 4 passes
    assert counts.memories["activations"].writes == 1  # the input frame; the last layer's outputs leave the engine
    assert (counts.memories["activations"].n_words, counts.memories["activations"].used_bits) == (1, 6 * 8)
    assert (counts.memories["table"].reads, counts.memories["table"].word_bits) == (1, 19 + 5 * 3), "sizes up to 6 take 3 bits"


def test_a_sparse_layer_with_padding_by_hand():
    # 10 inputs and 6 outputs in blocks of 4: columns of 4, 4 and 2 inputs, rows of 4 and 2 outputs
    counts = count_packed(Model([Layer(10, 6, 4, np.array([[0, 2], [1, 2]]), 6)]), n_macs=2)
    assert counts.macs == 4 * 6 + 2 * 6
    assert counts.mac_cycles == 2 * 6 + 1 * 6  # passes of two outputs
    assert counts.cycles == 1 + 18 + 3 + (2 * 2 + 1 * 2) + 6
    assert counts.memories["weights"].word_bits == 60, "five cycles of two weights of 6 bits"
    assert counts.memories["weights"].reads == 4  # 18 cycles
    assert counts.memories["index"].reads == 6
    assert (counts.memories["index"].n_words, counts.memories["index"].used_bits) == (4, 4 * 2)
    assert counts.memories["activations"].reads == 3 * 2
    assert counts.memories["activations"].writes == 2, "ten inputs"


def test_a_layer_of_rectangles_by_hand():
    # 10 inputs and 6 outputs in blocks of 4 outputs x 3 inputs: columns of 3, 3, 3 and 1 inputs, rows of 4 and 2 outputs
    counts = count_packed(Model([Layer(10, 6, 4, np.array([[0, 3], [1, 2]]), 6, block_in=3)]), n_macs=2)
    assert counts.macs == 4 * 4 + 2 * 6
    assert counts.mac_cycles == 2 * 4 + 1 * 6  # passes of two outputs
    assert counts.cycles == 1 + 14 + 3 + (2 * 2 + 1 * 2) + 6
    assert counts.memories["weights"].reads == 3  # 14 cycles, 5 a word
    assert counts.memories["index"].reads == 6
    assert (counts.memories["index"].n_words, counts.memories["index"].used_bits) == (4, 4 * 2)
    # inputs 0-2 and 9 of the first row's two passes, 3-5 and 6-8 of the second's one: the last of them lies in two words
    assert counts.memories["activations"].reads == 2 * (1 + 1) + 1 * (1 + 2)


def test_wide_blocks_fetch_fewer_indices_and_blocks_lower_than_the_macs_leave_some_idle():
    """As many weights and blocks in each; inputs are read once for each pass of 8 outputs, whatever the block."""
    told = {}
    for block, block_in, keep in ((16, 16, 4), (8, 32, 2), (32, 8, 8), (4, 64, 1)):
        kept = np.array([range(keep)] * (256 // block))
        told[block] = count_packed(Model([Layer(256, 256, block, kept, 6, block_in=block_in)]), n_macs=8)
    assert {counts.macs for counts in told.values()} == {256 * 64}
    assert {block: counts.memories["index"].n_words for block, counts in told.items()} == {16: 64, 8: 64, 32: 64, 4: 64}
    assert {block: counts.memories["index"].reads for block, counts in told.items()} == {16: 128, 8: 64, 32: 256, 4: 64}
    assert {block: counts.mac_cycles for block, counts in told.items()} == {16: 2048, 8: 2048, 32: 2048, 4: 4096}, "4 outputs leave 4 of 8 units idle"
    assert {block: counts.memories["activations"].reads for block, counts in told.items()} == {16: 256, 8: 256, 32: 256, 4: 512}


def test_a_whole_window_is_written_for_each_frame():
    model = Model([Layer(403, 12, 0, None, 5)], meta={"features": {"left": 20, "right": 10}})
    assert count_packed(model, 1).memories["activations"].writes == 51  # 8 of 403 values a word


def test_empty_places_of_a_pass_are_stored_and_wider_weights_widen_all():
    """12 outputs on 8 MACs: two passes, four empty places in the second. A layer of 3 bits lies in words of 5 beside one of 5."""
    counts = count_packed(Model([Layer(10, 12, 0, None, 3), Layer(12, 8, 0, None, 5)]), n_macs=8)
    weights = counts.memories["weights"]
    assert (weights.word_bits, weights.n_words) == (40, 2 * 10 + 12), "8 weights of 5 bits, one word a cycle"
    assert weights.used_bits == 120 * 3 + 96 * 5


def test_memories_that_sleep_take_cycles_to_wake():
    shapes = [layer_shape(Layer(6, 4, 0, None, 5))]
    assert count(shapes, Engine(wake_cycles=3)).cycles == count(shapes, Engine()).cycles + 3


def walk(layer: Layer, n_macs: int) -> dict[str, int]:
    """Slow reference: every cycle of the loop, one after the other."""
    told = {"macs": 0, "mac_cycles": 0, "index": 0, "activations": 0, "cycles": 1}
    block, block_in = (layer.block, layer.block_in or layer.block) if layer.block else (layer.n_out, layer.n_in)
    kept = layer.kept if layer.block else [[0]]
    for row, columns in enumerate(kept):
        outputs = [o for o in range(row * block, row * block + block) if o < layer.n_out]
        for start in range(0, len(outputs), n_macs):
            lanes = outputs[start : start + n_macs]
            told["cycles"] += 1 + len(lanes)
            for column in columns:
                fetched = bool(layer.block and math.ceil(layer.n_in / block_in) > 1)
                told["index"] += fetched
                told["cycles"] += fetched
                word = None
                for i in range(column * block_in, min((column + 1) * block_in, layer.n_in)):
                    told["activations"] += i // 8 != word
                    word = i // 8
                    told["mac_cycles"] += 1
                    told["cycles"] += 1
                    told["macs"] += sum(1 for _ in lanes if i < layer.n_in)
    return told


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 12), st.integers(0, 12), st.integers(2, 8), st.integers(1, 9), st.randoms(use_true_random=False))
def test_counts_agree_with_a_walk_over_every_cycle(n_in, n_out, block, block_in, bits, n_macs, random):
    kept = None
    if block:
        columns = math.ceil(n_in / (block_in or block))
        keep = random.randint(1, columns)
        kept = np.array([sorted(random.sample(range(columns), keep)) for _ in range(math.ceil(n_out / block))])
    layer = Layer(n_in, n_out, block, kept, bits, block_in=block_in if block else 0)
    counts, told = count_packed(Model([layer]), n_macs), walk(layer, n_macs)
    assert {key: getattr(counts, key) for key in ("macs", "mac_cycles", "cycles")} == {key: told[key] for key in ("macs", "mac_cycles", "cycles")}
    assert counts.memories["index"].reads == told["index"]
    assert counts.memories["activations"].reads == told["activations"]


def test_even_shape_gives_the_published_number_of_macs():
    keyword = count([even_shape(a, b, 0.25, 64, 5) for a, b in ((403, 512), (512, 512), (512, 12))], Engine())
    assert keyword.macs == pytest.approx(118_656, rel=0.002)


def test_a_block_outside_the_layer_is_an_error():
    with pytest.raises(ShapeError, match=r"\(6, 10\).*2x3 blocks of 4x4"):
        layer_shape(Layer(10, 6, 4, np.array([[0, 3], [0, 1]]), 6))
    with pytest.raises(ShapeError, match=r"\(6, 10\).*2x2 blocks of 4x5"):
        layer_shape(Layer(10, 6, 4, np.array([[0, 2], [0, 1]]), 6, block_in=5))


def test_an_engine_without_macs_is_an_error():
    with pytest.raises(ConfigError, match="engine of 0 MACs"):
        count([layer_shape(Layer(4, 4, 0, None, 6))], Engine(n_macs=0))
    with pytest.raises(ConfigError, match="0 layers"):
        count([], Engine())


def test_packed_models_of_this_project_are_counted():
    packed = pytest.importorskip("cgs.quant.packed")
    layer = packed.PackedLayer(8, 6, 4, np.array([[0], [1]], dtype=np.int32), np.ones((2, 1, 4, 4), dtype=np.int8), np.zeros(6, dtype=np.int64),
                               6, 5, 16, 5, 8, True, 4, 32, 9, False)  # fmt: skip
    counts = count_packed(packed.PackedModel((layer,), {}), 1)
    assert counts.macs == layer.n_weights
    assert counts.memories["index"].used_bits == 2 * layer.index_bits
    assert SimpleNamespace(**counts.as_dict()).macs_by_bits == {"6": 24}


def test_two_factors_are_two_layers_by_hand():
    # a 12 x 16 matrix of rank 3, then an output layer
    counts = count_packed(Model([Layer(16, 3, 0, None, 6), Layer(3, 12, 0, None, 6), Layer(12, 4, 0, None, 6)]), n_macs=4)
    assert counts.macs == 3 * (16 + 12) + 12 * 4
    assert counts.mac_cycles == 16 + 3 * 3 + 12
    assert counts.cycles == counts.mac_cycles + (1 + 3 + 1) + (3 + 12 + 4) + 3
    assert counts.memories["activations"].used_bits == (16 + 3) * 8, "inputs of layers 0 and 2, and between the factors those of layer 1"


def test_a_time_delay_network_by_hand():
    # 5 features; the first layer reads 3 of 5 frames, the second 2 of 4, the output layer one
    layers = [Layer(15, 8, 0, None, 6), Layer(16, 6, 0, None, 6), Layer(6, 4, 0, None, 6)]
    for layer, offsets in zip(layers, ((-2, 0, 2), (-3, 0), (0,)), strict=True):
        layer.offsets = offsets
    counts = count_packed(Model(layers, {"features": {"left": 5, "right": 2}}), n_macs=1)
    assert counts.macs == 15 * 8 + 16 * 6 + 6 * 4, "every layer once a frame"
    activations = counts.memories["activations"]
    assert activations.used_bits == (5 * 5 + 8 * 4 + 6) * 8, "rings of 5 frames of features and of 4 of the first layer, then one buffer"
    assert activations.writes == 1 + 1 + 1, "one new frame, and each hidden layer's outputs"
    assert activations.reads == 8 * 2 + 6 * 2 + 4 * 1


def test_a_layer_of_cells_by_hand():
    # 8 cells on 5 inputs, dense: 32 sums of 8 + 5 products, then c and h of each cell; an output layer on h
    layers = [Layer(13, 32, 0, None, 6), Layer(8, 3, 0, None, 6)]
    layers[0].cells = True
    counts = count_packed(Model(layers), n_macs=4)
    assert counts.cells == 8
    assert counts.mac_cycles == 8 * 13 + 8
    assert counts.cycles == (1 + 8 + 8 * 13 + 32 + 2 * 8) + (1 + 1 + 8 + 3)
    memories = counts.memories
    assert (memories["activations"].reads, memories["activations"].writes) == (8 + 1, 1 + 1), "x in every pass, h of this frame for the output layer"
    assert memories["activations"].used_bits == (5 + 8) * 8
    assert (memories["state"].reads, memories["state"].writes, memories["state"].n_words) == (8, 1, 2), "h of the frame before and of this one, a word each"
    assert (memories["gates"].word_bits, memories["gates"].n_words, memories["gates"].reads, memories["gates"].writes) == (9, 24, 24, 24)
    assert (memories["cells"].word_bits, memories["cells"].n_words, memories["cells"].reads, memories["cells"].writes) == (16, 8, 8, 8)
    assert memories["table"].word_bits == 19 + 1 + 5 * 6


def test_blocks_of_cells_read_h_and_x_from_their_memories():
    # 8 cells on 10 inputs in blocks of 4: columns 0 and 1 are h, 2 to 4 are x, the last of two inputs
    kept = np.array([[0, 4], [1, 2], [0, 1], [2, 3]] * 2)
    layers = [Layer(18, 32, 4, kept, 6), Layer(8, 3, 0, None, 6)]
    layers[0].cells = True
    counts = count_packed(Model(layers), n_macs=4)
    assert counts.memories["state"].reads == 2 * (1 + 1 + 2)
    assert counts.memories["activations"].reads == 2 * (1 + 1 + 2) + 1
    assert counts.memories["index"].reads == 16


def test_even_shape_of_cells_keeps_as_large_a_share_of_h_and_of_x():
    shape = even_shape(512 + 40, 2048, 1 / 8, 64, 6, n_cells=512)
    row = shape.rows[0]
    assert (row.starts, row.widths) == ((0, 512), (64, 5))
    assert row.words(8, 512) == (8, 1)
    assert even_shape(40, 64, 1 / 8, 64, 6) == even_shape(40, 64, 1 / 8, 64, 6, n_cells=0)


def test_frames_that_the_first_layer_alone_reads_are_written_side_by_side():
    layers = [Layer(15, 8, 0, None, 6), Layer(8, 3, 0, None, 6)]
    layers[0].offsets = (-2, 0, 2)
    counts = count_packed(Model(layers), n_macs=1)
    assert (counts.memories["activations"].writes, counts.memories["activations"].n_words) == (2 + 1, 2 + 1)
