"""What one frame asks of the time-multiplexed engine: operations, cycles, memory words, reads and writes.

Owns the counting, which is exact and knows nothing of joules or seconds: the RTL (`cgs/hw/rtl`) does in each cycle what is counted here,
and its bench counts the same. One loop over block rows:

    for each layer:                                            1 cycle, its row of the table
        for each block row, for each pass of n_macs outputs:   1 cycle, the last products
            for each kept block:                               1 cycle, its index (none in a dense layer)
                for each input of the block:                   1 cycle, n_macs products that share the input
            for each output of the pass:                       1 cycle, bias, rounding, write; of a cell's g 2 more, c and h

Inputs and outputs that only pad a block are neither stored nor computed, since the loop bounds are known. Weights are stored as they
are used, n_macs a cycle; where a pass has fewer outputs, the places of the others are empty. A layer of narrower weights than another
has their width too.

Cells of an LSTM keep sigmoids of three gates until the fourth is there, and c and h from frame to frame; h is held twice, since it is read
while the new one is written, and is written once more as the inputs of the next layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from cgs.base.errors import ConfigError, ShapeError


class LayerLike(Protocol):
    """What is read of a packed layer (cgs.quant.packed.PackedLayer)."""

    @property
    def n_in(self) -> int: ...
    @property
    def n_out(self) -> int: ...
    @property
    def block(self) -> int: ...
    @property
    def block_in(self) -> int: ...
    @property
    def kept(self) -> Any: ...
    @property
    def bits(self) -> int: ...


class PackedLike(Protocol):
    """What is read of a packed model (cgs.quant.packed.PackedModel)."""

    @property
    def layers(self) -> Sequence[LayerLike]: ...


TABLE_BITS = 19
"""Flags, shifts and widths in a layer's row of the table ..."""
TABLE_SIZES = 5
"""... and its sizes, each as wide as the engine's counters."""
CELL_TABLE_BITS = 1
"""More of an engine that has layers of cells: the flag of one."""
CELL_CYCLES = 2
"""After the sums of a cell's gates: one for c, one for h."""
GATE_COLUMNS, GATE_BITS, C_BITS = 3, 9, 16
"""Sigmoids of a cell that wait for its g, bits of one, and of c."""


@dataclass(frozen=True)
class Engine:
    """Parameters of the engine; the published engine's are not known.

    Args:
        n_macs: multiply-accumulate units, which work on as many outputs of one block row.
        word_bits: width of a weight or activation word at most, unless the weights of one cycle need more. A weight word holds the
            weights of whole cycles, an activation word a power of two of values: 8 MACs and 5 bits make 40 of 64 bits.
        bank_bytes: size of a weight memory's bank at most; a bank is a power of two of words, one bank is active at a time.
        activation_bits: bits of an input or hidden output.
        bias_bits: bits of a bias.
        weight_bits: bits of a stored weight; 0 for the widest of the network.
        wake_cycles: cycles before a frame in which sleeping memories wake; 0 where they never sleep.
        clock_gating: gate the clocks of sums, of output words and of what the control holds, where multiplexers would hold them.
    """

    n_macs: int = 1
    word_bits: int = 64
    bank_bytes: int = 16384
    activation_bits: int = 8
    bias_bits: int = 16
    weight_bits: int = 0
    wake_cycles: int = 0
    clock_gating: bool = False

    @property
    def values_per_word(self) -> int:
        """Values in an activation word."""
        return 1 << (self.word_bits // self.activation_bits).bit_length() - 1

    def groups_per_word(self, weight_bits: int) -> int:
        """Cycles that the weights of one word last."""
        return max(1, self.word_bits // (self.n_macs * weight_bits))

    def bank_words(self, word_bits: int) -> int:
        """Words of a bank of a weight memory."""
        return 1 << max(1, self.bank_bytes * 8 // word_bits).bit_length() - 1


@dataclass(frozen=True)
class BlockRow:
    """One block row as the engine sees it: its outputs, and the first input and the number of inputs of each of its kept blocks."""

    n_outputs: int
    starts: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def n_inputs(self) -> int:
        """Inputs of each output."""
        return sum(self.widths)

    def words(self, values_per_word: int, n_cells: int = 0) -> tuple[int, int]:
        """Words read for each pass, of the first n_cells inputs, which are whole words, and of the others: each block begins with a read."""
        words = [0, 0]
        for start, width in zip(self.starts, self.widths, strict=True):
            for part, (low, high) in enumerate(((start, min(start + width, n_cells)), (max(start, n_cells), start + width))):
                words[part] += (high - 1) // values_per_word - low // values_per_word + 1 if low < high else 0
        return words[0], words[1]


@dataclass(frozen=True)
class LayerShape:
    """A layer without its values: its block rows, the bits of a weight and of a block index (0: dense, no index), the frames it reads, and its cells.

    A layer that reads several frames of the one below finds them in a ring buffer, so every layer is computed once a frame. One of n_cells cells has four
    times as many outputs, the sums of their gates, and h of the frame before as its first inputs."""

    n_in: int
    n_out: int
    rows: tuple[BlockRow, ...]
    bits: int
    index_bits: int
    offsets: tuple[int, ...] = (0,)
    n_cells: int = 0

    @property
    def n_given(self) -> int:
        """Values that it gives the next layer."""
        return self.n_cells or self.n_out

    @property
    def n_held(self) -> int:
        """Values of the layer below that are held for it: all frames from its first offset to its last."""
        return (self.n_in - self.n_cells) // len(self.offsets) * (self.offsets[-1] - self.offsets[0] + 1)

    @property
    def size(self) -> int:
        """Largest number of inputs, outputs or blocks of a row: what the engine's counters must hold."""
        return max(self.n_in, self.n_out, *(len(row.widths) for row in self.rows))


@dataclass
class Memory:
    """One memory: its size, and what a frame reads from it and writes to it, in words.

    Args:
        word_bits: bits of a word.
        n_words: words it must hold.
        used_bits: bits of payload in them.
        reads, writes: words a frame.
    """

    word_bits: int
    n_words: int = 0
    used_bits: int = 0
    reads: int = 0
    writes: int = 0

    @property
    def n_bytes(self) -> float:
        """Bytes it must hold."""
        return self.n_words * self.word_bits / 8


@dataclass
class Counts:
    """What one frame costs in operations.

    Args:
        macs: multiply-accumulates a frame.
        macs_by_bits: the same by bits of the weight.
        mac_cycles: cycles in which products are formed.
        passes: groups of at most as many outputs as there are MACs.
        visits: kept blocks in all passes; a dense layer is one block.
        cycles: all cycles.
        nonzero: share of the products that are not zero, where that is known.
        size_bits, acc_bits: of the engine's counters, and of an accumulator that no sum of so many products leaves.
        memories: weights, index, bias, table (of layers), activations; where there are cells also gates, cells (their c) and state (their h).
        layers: macs and cycles of each layer.
    """

    engine: Engine
    macs: int = 0
    macs_by_bits: dict[int, int] = field(default_factory=dict)
    mac_cycles: int = 0
    passes: int = 0
    visits: int = 0
    cycles: int = 0
    nonzero: float | None = None
    size_bits: int = 0
    acc_bits: int = 0
    memories: dict[str, Memory] = field(default_factory=dict)
    layers: list[dict[str, int]] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """Cells of all layers, each of which has a new c and h in every frame."""
        return self.memories["cells"].reads if "cells" in self.memories else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"macs_by_bits": {str(bits): n for bits, n in sorted(self.macs_by_bits.items())}}


def layer_shape(layer: LayerLike) -> LayerShape:
    """Shape of a packed layer; block 0 or no kept blocks means dense, block_in 0 a square block.

    Raises: ShapeError: a kept block lies outside the layer, or the block rows do not cover the outputs.
    """
    offsets, n_cells = tuple(getattr(layer, "offsets", (0,))), layer.n_out // 4 if getattr(layer, "cells", False) else 0
    if not layer.block or layer.kept is None:
        return LayerShape(layer.n_in, layer.n_out, (BlockRow(layer.n_out, (0,), (layer.n_in,)),), layer.bits, 0, offsets, n_cells)
    block, block_in = layer.block, layer.block_in or layer.block
    n_columns, n_rows = math.ceil(layer.n_in / block_in), math.ceil(layer.n_out / block)
    kept = [[int(column) for column in row] for row in layer.kept]
    if len(kept) != n_rows or any(not 0 <= column < n_columns for row in kept for column in row):
        shape = f"({layer.n_out}, {layer.n_in}) layer of {n_rows}x{n_columns} blocks of {block}x{block_in}"
        raise ShapeError(f"kept blocks do not fit a {shape}", "pack the model again")
    rows = []
    for index, columns in enumerate(kept):
        starts = tuple(column * block_in for column in columns)
        widths = tuple(min(block_in, layer.n_in - start) for start in starts)
        rows.append(BlockRow(min(block, layer.n_out - index * block), starts, widths))
    return LayerShape(layer.n_in, layer.n_out, tuple(rows), layer.bits, (n_columns - 1).bit_length(), offsets, n_cells)


def network_shapes(layers: Sequence[LayerLike]) -> list[LayerShape]:
    """Shapes of a network's layers. Frames that its first layer alone reads are written side by side by the front end, as those of a spliced network.

    Raises: ShapeError: as `layer_shape`.
    """
    shapes = [layer_shape(layer) for layer in layers]
    if shapes and all(shape.offsets == (0,) for shape in shapes[1:]):
        shapes[0] = replace(shapes[0], offsets=(0,))
    return shapes


def even_shape(n_in: int, n_out: int, density: float, block: int, bits: int, n_cells: int = 0) -> LayerShape:
    """A layer of exactly this density, as published networks are described: every block row keeps density x n_in inputs, of cells as large a share of h."""
    n_inputs, n_columns = round(density * n_in), math.ceil(n_in / block)
    of_h = round(density * n_cells)
    kept = [(start, min(start + block, end)) for first, end in ((0, of_h), (n_cells, n_cells + n_inputs - of_h)) for start in range(first, end, block)]
    starts, widths = tuple(start for start, _ in kept), tuple(end - start for start, end in kept)
    rows = tuple(BlockRow(min(block, n_out - start), starts, widths) for start in range(0, n_out, block))
    return LayerShape(n_in, n_out, rows, bits, (n_columns - 1).bit_length(), n_cells=n_cells)


def count(shapes: Sequence[LayerShape], engine: Engine, new_inputs: int | None = None) -> Counts:
    """Count one frame of a network.

    Args:
        shapes: the layers in order.
        engine: the engine's parameters.
        new_inputs: input values that are new with each frame, of a network whose layers hold earlier frames. None: all of them.
    Returns: the counts; reads and writes are words of the memory in question.
    Raises: ConfigError: the engine or the network cannot be counted.
    """
    if not shapes or engine.n_macs < 1 or engine.word_bits < max(8, *(shape.bits for shape in shapes), engine.activation_bits):
        raise ConfigError(f"engine of {engine.n_macs} MACs and {engine.word_bits}-bit words for {len(shapes)} layers", "give at least one of each")
    counts = Counts(engine, cycles=engine.wake_cycles)
    weight_bits = max(engine.weight_bits, *(shape.bits for shape in shapes))
    groups = engine.groups_per_word(weight_bits)
    weights = counts.memories["weights"] = Memory(groups * engine.n_macs * weight_bits)
    counts.memories["index"] = Memory(max([1, *(shape.index_bits for shape in shapes)]))
    counts.memories["bias"] = Memory(engine.bias_bits)
    counts.size_bits = max(shape.size for shape in shapes).bit_length()
    fan_in = max(row.n_inputs for shape in shapes for row in shape.rows)
    counts.acc_bits = max(weight_bits + engine.activation_bits + max(fan_in - 1, 1).bit_length(), engine.bias_bits)
    n_cells = [shape.n_cells for shape in shapes]
    table_bits = TABLE_BITS + TABLE_SIZES * counts.size_bits + (CELL_TABLE_BITS if any(n_cells) else 0)
    counts.memories["table"] = Memory(table_bits, len(shapes), len(shapes) * table_bits, len(shapes))
    counts.memories["activations"] = Memory(engine.values_per_word * engine.activation_bits)
    for shape in shapes:
        _count_layer(shape, counts, hidden=shape is not shapes[-1])
    weights.n_words = weights.reads = math.ceil(counts.mac_cycles / groups)  # every stored weight is used once a frame
    _count_activations(shapes, counts, new_inputs)
    if any(n_cells):
        _count_cells(shapes, counts)
    return counts


def _count_layer(shape: LayerShape, counts: Counts, hidden: bool) -> None:
    engine, memories = counts.engine, counts.memories
    passes = [math.ceil(row.n_outputs / engine.n_macs) for row in shape.rows]
    macs = sum(row.n_outputs * row.n_inputs for row in shape.rows)
    mac_cycles = sum(n * row.n_inputs for n, row in zip(passes, shape.rows, strict=True))
    visits = sum(n * len(row.widths) for n, row in zip(passes, shape.rows, strict=True))
    block_fetches = visits if shape.index_bits else 0
    n_indices = sum(len(row.widths) for row in shape.rows) if shape.index_bits else 0
    cycles = 1 + sum(passes) + block_fetches + mac_cycles + shape.n_out + CELL_CYCLES * shape.n_cells
    counts.macs += macs
    counts.macs_by_bits[shape.bits] = counts.macs_by_bits.get(shape.bits, 0) + macs
    counts.mac_cycles += mac_cycles
    counts.passes += sum(passes)
    counts.visits += visits
    counts.cycles += cycles
    counts.layers.append({"n_in": shape.n_in, "n_out": shape.n_out, "macs": macs, "mac_cycles": mac_cycles, "cycles": cycles})
    memories["weights"].used_bits += macs * shape.bits
    index, bias, activations = memories["index"], memories["bias"], memories["activations"]
    index.n_words, index.reads, index.used_bits = index.n_words + n_indices, index.reads + block_fetches, index.used_bits + n_indices * shape.index_bits
    bias.n_words, bias.reads, bias.used_bits = bias.n_words + shape.n_out, bias.reads + shape.n_out, bias.used_bits + shape.n_out * engine.bias_bits
    activations.reads += sum(n * row.words(engine.values_per_word, shape.n_cells)[1] for n, row in zip(passes, shape.rows, strict=True))
    activations.writes += math.ceil(shape.n_given / engine.values_per_word) if hidden else 0


def _count_activations(shapes: Sequence[LayerShape], counts: Counts, new_inputs: int | None) -> None:
    """Two memories work in turn, inputs of even and of odd layers; a layer that reads several frames has a ring buffer beside them."""
    values_per_word, activations = counts.engine.values_per_word, counts.memories["activations"]
    in_turn = [[shape.n_held for shape in shapes[parity::2] if len(shape.offsets) == 1] for parity in (0, 1)]
    held = [max(sizes) for sizes in in_turn if sizes] + [shape.n_held for shape in shapes if len(shape.offsets) > 1]
    activations.n_words = sum(math.ceil(n / values_per_word) for n in held)
    activations.used_bits = sum(held) * counts.engine.activation_bits
    activations.writes += math.ceil((shapes[0].n_in - shapes[0].n_cells if new_inputs is None else new_inputs) / values_per_word)


def _count_cells(shapes: Sequence[LayerShape], counts: Counts) -> None:
    """What cells remember: three columns of gates of the widest layer, c, and h of two frames. The columns are taken as one memory of their common size."""
    values_per_word, n_cells = counts.engine.values_per_word, [shape.n_cells for shape in shapes]
    uneven = next((n for n in n_cells if n % values_per_word), 0)
    if uneven:
        what = f"{uneven} cells, and {values_per_word} values in a word of activations"
        raise ConfigError(what, "make the cells a multiple of the values in a word: other cells, or a narrower word")
    reads = 0
    for shape in shapes:
        passes = (math.ceil(row.n_outputs / counts.engine.n_macs) for row in shape.rows)
        reads += sum(n * row.words(values_per_word, shape.n_cells)[0] for n, row in zip(passes, shape.rows, strict=True))
    total, words, most = sum(n_cells), sum(n_cells) // values_per_word, GATE_COLUMNS * max(n_cells)
    h_bits = values_per_word * counts.engine.activation_bits
    counts.memories["gates"] = Memory(GATE_BITS, most, most * GATE_BITS, GATE_COLUMNS * total, GATE_COLUMNS * total)
    counts.memories["cells"] = Memory(C_BITS, total, total * C_BITS, total, total)
    counts.memories["state"] = Memory(h_bits, 2 * words, 2 * words * h_bits, reads, words)
