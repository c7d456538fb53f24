"""One engine in RTL: its parameters, from the packed models that it is to compute, and the images of its memories.

Owns the layout of weight words, of biases and block indices, and of the table of layers, as the RTL (`cgs/hw/rtl`) reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import ConfigError
from cgs.hw.counts import CELL_TABLE_BITS, GATE_COLUMNS, TABLE_BITS, TABLE_SIZES, Counts, Engine, count, network_shapes
from cgs.hw.logic import Core, address_bits, cell_bits
from cgs.quant.cells import SIGMOID_BITS, TANH_BITS
from cgs.quant.formats import FixedPoint
from cgs.quant.model import PackedLayer, PackedModel

MEMORIES = ("weights", "index", "bias", "table")
"""Loaded once, in the order of the load port's numbers and of the bits of `access_o`."""
H_FRACTION_BITS = SIGMOID_BITS + TANH_BITS
"""Of o tanh(c), before it is rounded."""


@dataclass(frozen=True)
class Design:
    """Parameters of `cgs_engine`, called there by the same names in other letters.

    Args:
        engine: MACs, widths and banks, as they are counted.
        acc_bits: width of an accumulator; no sum of the models leaves it.
        size_bits: width of the counters of inputs, outputs and blocks.
        index_bits: width of a block index.
        weight_words, index_words, bias_words, table_words: words of those memories.
        even_words, odd_words: words of the two activation memories.
        gate_words, state_words: cells of the widest LSTM layer, and words of h of all of them; 0 where no layer has cells.
        h: format of what cells give.
    """

    engine: Engine
    acc_bits: int
    size_bits: int
    index_bits: int
    weight_words: int
    index_words: int
    bias_words: int
    table_words: int
    even_words: int
    odd_words: int
    gate_words: int = 0
    state_words: int = 0
    h: FixedPoint = FixedPoint(8, 7)

    @property
    def groups_per_word(self) -> int:
        """Cycles that the weights of one word last."""
        return self.engine.groups_per_word(self.engine.weight_bits)

    @property
    def word_bits(self) -> dict[str, int]:
        """Width of a word of each memory."""
        return {
            "weights": self.groups_per_word * self.engine.n_macs * self.engine.weight_bits,
            "index": self.index_bits,
            "bias": self.engine.bias_bits,
            "table": TABLE_BITS + TABLE_SIZES * self.size_bits + (CELL_TABLE_BITS if self.gate_words else 0),
            "values": self.engine.values_per_word * self.engine.activation_bits,
        }

    @property
    def core(self) -> Core:
        """What the size of the core depends on."""
        engine, words = self.engine, (self.table_words, self.bias_words, self.index_words, self.index_words)
        return Core(
            engine.n_macs, engine.weight_bits, engine.activation_bits, self.acc_bits, self.size_bits, self.index_bits,
            engine.values_per_word, self.groups_per_word, sum(map(address_bits, words)), address_bits(self.weight_words), engine.clock_gating,
            cell_bits(self.size_bits, self.state_words) if self.gate_words else 0,
        )  # fmt: skip

    def parameters(self) -> dict[str, int]:
        """Parameters of the module `cgs_engine`."""
        return {
            "NumMacs": self.engine.n_macs,
            "WeightBits": self.engine.weight_bits,
            "ValueBits": self.engine.activation_bits,
            "BiasBits": self.engine.bias_bits,
            "AccBits": self.acc_bits,
            "SizeBits": self.size_bits,
            "IndexBits": self.index_bits,
            "ValuesPerWord": self.engine.values_per_word,
            "GroupsPerWord": self.groups_per_word,
            "TableWords": self.table_words,
            "WeightWords": self.weight_words,
            "IndexWords": self.index_words,
            "BiasWords": self.bias_words,
            "EvenWords": self.even_words,
            "OddWords": self.odd_words,
            "WeightBankWords": self.engine.bank_words(self.word_bits["weights"]),
            "WakeCycles": self.engine.wake_cycles,
            "GateWords": max(self.gate_words, 1),
            "StateWords": max(self.state_words, 1),
            "HBits": self.h.bits,
            "HShift": H_FRACTION_BITS - self.h.fraction_bits,
        }


def design_engine(
    models: Sequence[PackedModel],
    n_macs: int = 8,
    word_bits: int = Engine.word_bits,
    bank_bytes: int = Engine.bank_bytes,
    wake_cycles: int = 0,
    clock_gating: bool = False,
) -> Design:
    """The smallest engine that computes each of the models.

    Args:
        models: packed models, loaded one at a time.
        n_macs, word_bits, bank_bytes, wake_cycles, clock_gating: of the engine, see `cgs.hw.counts.Engine`.
    Raises: ConfigError: an engine that cannot be, or a model with a layer beside the first that reads several frames, which the engine has no ring buffers for.
    """
    layers = [layer for model in models for layer in model.layers]
    for model in models:
        model.check()
        if any(layer.offsets != (0,) for layer in model.layers[1:]):
            told = f"model {model.meta.get('system', '')!r}: layers that read several frames"
            raise ConfigError(told, "the RTL engine computes networks whose first layer alone does so; pack one")
    if not (1 <= n_macs <= 256 and 8 <= word_bits <= 1024 and bank_bytes >= 64 and 0 <= wake_cycles <= 1 << 16):
        raise ConfigError(
            f"engine of {n_macs} MACs, {word_bits}-bit words, banks of {bank_bytes} bytes, {wake_cycles} cycles to wake",
            "MACs: 1 to 256, word: 8 to 1024 bits, bank: at least 64 bytes, wake: 0 to 65536 cycles",
        )
    weight_bits, value_bits, bias_bits = (max(getattr(layer, name) for layer in layers) for name in ("bits", "input_bits", "bias_bits"))
    engine = Engine(n_macs, word_bits, bank_bytes, value_bits, bias_bits, weight_bits, wake_cycles, clock_gating)
    counts = [count_model(model, engine) for model in models]
    bound = max(layer.accumulator_bound() for layer in layers)
    inputs = [[layer.n_in - layer.n_cells for model in models for layer in model.layers[parity::2]] for parity in (0, 1)]
    memories = [one.memories for one in counts if one.cells]
    formats = list(dict.fromkeys(layer.output_format for layer in layers if layer.cells))
    if len(formats) > 1:
        told = " and of ".join(f"{form.bits} bits, {form.fraction_bits} of them fraction" for form in formats)
        raise ConfigError(f"h of {told}", "the cells of an engine are of one kind; give each model its own engine, or pack them with as many activation bits")
    groups = engine.groups_per_word(weight_bits)
    return Design(
        engine=engine,
        acc_bits=max(bound.bit_length() + 1, weight_bits + value_bits + 1, bias_bits),
        size_bits=max(one.size_bits for one in counts),
        index_bits=max([1, *(layer.index_bits for layer in layers)]),
        weight_words=max(-(-one.mac_cycles // groups) for one in counts),
        index_words=max([1, *(one.memories["index"].n_words for one in counts)]),
        bias_words=max(one.memories["bias"].n_words for one in counts),
        table_words=max(len(model.layers) for model in models),
        even_words=-(-max(inputs[0]) // engine.values_per_word),
        odd_words=-(-max([*inputs[1], 1]) // engine.values_per_word),
        gate_words=max((one["gates"].n_words // GATE_COLUMNS for one in memories), default=0),
        state_words=max((one["state"].n_words // 2 for one in memories), default=0),
        h=formats[0] if formats else Design.h,
    )


def count_model(model: PackedModel, engine: Engine) -> Counts:
    """What the engine does in one frame of this model."""
    return count(network_shapes(model.layers), engine)


def images(model: PackedModel, design: Design) -> dict[str, list[int]]:
    """Words of the four loaded memories, as unsigned integers.

    Args:
        model: one of those that the engine was designed for.
        design: the engine.
    """
    groups = np.concatenate([weight_groups(layer, design.engine.n_macs) for layer in model.layers])
    indices = [layer.kept.ravel() for layer in model.layers if layer.kept is not None and layer.index_bits]
    biases = np.concatenate([layer.bias for layer in model.layers]).astype(np.int64)
    return {
        "weights": _words(groups.reshape(-1), design.engine.weight_bits, design.groups_per_word * design.engine.n_macs),
        "index": [int(column) for column in np.concatenate([np.zeros(0, np.int64), *indices])],
        "bias": _words(biases, design.engine.bias_bits, 1),
        "table": [_table_word(layer, layer is model.layers[-1], design) for layer in model.layers],
    }


def weight_groups(layer: PackedLayer, n_macs: int) -> np.ndarray:
    """Weights in the order in which the engine uses them.

    Args:
        layer: a packed layer.
        n_macs: weights used at once, by as many outputs.
    Returns: (cycles, n_macs) int8, zero where a pass has fewer outputs than MACs.
    """
    groups = []
    for row in range(max(layer.n_block_rows, 1)):
        if layer.kept is None:
            panel = layer.weights
        else:  # (outputs, inputs) of the row's kept blocks, without what lies beyond the matrix
            outputs = min(layer.block, layer.n_out - row * layer.block)
            widths = [min(layer.block_in, layer.n_in - int(column) * layer.block_in) for column in layer.kept[row]]
            panel = np.concatenate([block[:outputs, :width] for block, width in zip(layer.weights[row], widths, strict=True)], axis=1)
        for start in range(0, len(panel), n_macs):
            lanes = panel[start : start + n_macs]
            groups.append(np.pad(lanes, ((0, n_macs - len(lanes)), (0, 0))).T)
    return np.concatenate(groups)


def _words(values: np.ndarray, bits: int, per_word: int) -> list[int]:
    """Signed values to words, the first value lowest, the last word filled with zeros."""
    padded = np.pad(values, (0, -len(values) % per_word)).reshape(-1, per_word)
    unsigned = (padded.astype(np.int64) & ((1 << bits) - 1)).tolist()
    return [sum(value << (bits * place) for place, value in enumerate(word)) for word in unsigned]


def _table_word(layer: PackedLayer, last: bool, design: Design) -> int:
    """A layer's row of the table; `layer_t` in cgs_control.sv, its last field lowest; the flag of cells above it."""
    sparse = layer.kept is not None and layer.index_bits > 0
    fields = (
        (layer.n_in, design.size_bits),
        (layer.n_out, design.size_bits),
        (layer.n_out if layer.kept is None else min(layer.block, layer.n_out), design.size_bits),
        (min(layer.block_in, layer.n_in) if sparse else layer.n_in, design.size_bits),
        (layer.kept_per_row if sparse else 1, design.size_bits),
        (layer.shift, 5),
        (layer.accumulator_fraction_bits - layer.bias_fraction_bits, 5),
        (0 if last else layer.output_bits, 5),
        (sparse, 1),
        (layer.input_signed, 1),
        (layer.output_signed, 1),
        (last, 1),
        (layer.cells, 1),
    )
    word = place = 0
    for value, bits in fields:
        word |= int(value) << place
        place += bits
    return word


def input_words(model: PackedModel, inputs: np.ndarray, design: Design) -> list[list[int]]:
    """Frames of quantised inputs, (T, n_in) integers, as activation words of each frame that has all that the first layer reads, side by side."""
    offsets = model.layers[0].offsets
    n_frames = max(0, len(inputs) - (offsets[-1] - offsets[0]))
    inputs = np.concatenate([inputs[offset - offsets[0] :][:n_frames] for offset in offsets], axis=1)
    return [_words(frame.astype(np.int64), design.engine.activation_bits, design.engine.values_per_word) for frame in inputs]


def result_bits(results: np.ndarray, design: Design) -> np.ndarray:
    """Accumulators of the last layer, (T, P) integers, as unsigned numbers of the accumulator's width."""
    return results.astype(np.int64) & ((1 << design.acc_bits) - 1)
