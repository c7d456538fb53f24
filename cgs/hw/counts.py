"""What one frame asks of the time-multiplexed engine: operations, cycles, memory words, reads and writes.

Owns the counting, which is exact and knows nothing of joules or seconds. The engine is one loop over block rows:

    for each block row, for each pass of n_macs outputs:   load the biases
        for each kept block:                               fetch its index
            for each input of the block:                   one cycle, n_macs products that share the input
        for each output of the pass:                       requantise, write

Inputs and outputs that only pad a block are neither stored nor computed, since the loop bounds are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
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


@dataclass(frozen=True)
class Engine:
    """Parameters of the engine; every one is an assumption of this project, not of the paper.

    Args:
        n_macs: multiply-accumulate units, which work on as many outputs of one block row.
        word_bits: bits of a weight or activation word; whole values only, so 10 weights of 6 bits share 64 bits.
        bank_bytes: a larger memory is divided into banks of this size, one of which is active at a time.
        activation_bits: bits of an input or hidden output.
        bias_bits: bits of a bias.
        cycles_per_pass: load the biases, drain the pipeline.
        cycles_per_block: fetch a block's index and form the address.
        cycles_per_output: requantise and write one output.
        cycles_per_layer: fill the pipeline and read the layer's shape.
    """

    n_macs: int = 1
    word_bits: int = 64
    bank_bytes: int = 16384
    activation_bits: int = 8
    bias_bits: int = 16
    cycles_per_pass: int = 2
    cycles_per_block: int = 1
    cycles_per_output: int = 1
    cycles_per_layer: int = 8


@dataclass(frozen=True)
class BlockRow:
    """One block row as the engine sees it: its outputs, and the inputs in each of its kept blocks."""

    n_outputs: int
    widths: tuple[int, ...]

    @property
    def n_inputs(self) -> int:
        """Inputs of each output."""
        return sum(self.widths)


@dataclass(frozen=True)
class LayerShape:
    """A layer without its values: its block rows, the bits of a weight and of a block index (0: dense, no index), and the frames it reads.

    A layer that reads several frames of the one below finds them in a ring buffer, so every layer is computed once a frame."""

    n_in: int
    n_out: int
    rows: tuple[BlockRow, ...]
    bits: int
    index_bits: int
    offsets: tuple[int, ...] = (0,)

    @property
    def n_held(self) -> int:
        """Values of the layer below that are held for it: all frames from its first offset to its last."""
        return self.n_in // len(self.offsets) * (self.offsets[-1] - self.offsets[0] + 1)


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
        cycles: all cycles, with the overheads of `Engine`.
        memories: weights, index, bias, activations.
        layers: macs and cycles of each layer.
    """

    engine: Engine
    macs: int = 0
    macs_by_bits: dict[int, int] = field(default_factory=dict)
    mac_cycles: int = 0
    cycles: int = 0
    memories: dict[str, Memory] = field(default_factory=dict)
    layers: list[dict[str, int]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"macs_by_bits": {str(bits): n for bits, n in sorted(self.macs_by_bits.items())}}


def layer_shape(layer: LayerLike) -> LayerShape:
    """Shape of a packed layer; block 0 or no kept blocks means dense, block_in 0 a square block.

    Raises: ShapeError: a kept block lies outside the layer, or the block rows do not cover the outputs.
    """
    offsets = tuple(getattr(layer, "offsets", (0,)))
    if not layer.block or layer.kept is None:
        return LayerShape(layer.n_in, layer.n_out, (BlockRow(layer.n_out, (layer.n_in,)),), layer.bits, 0, offsets)
    block, block_in = layer.block, layer.block_in or layer.block
    n_columns, n_rows = math.ceil(layer.n_in / block_in), math.ceil(layer.n_out / block)
    kept = [[int(column) for column in row] for row in layer.kept]
    if len(kept) != n_rows or any(not 0 <= column < n_columns for row in kept for column in row):
        shape = f"({layer.n_out}, {layer.n_in}) layer of {n_rows}x{n_columns} blocks of {block}x{block_in}"
        raise ShapeError(f"kept blocks do not fit a {shape}", "pack the model again")
    rows = []
    for index, columns in enumerate(kept):
        widths = tuple(min(block_in, layer.n_in - column * block_in) for column in columns)
        rows.append(BlockRow(min(block, layer.n_out - index * block), widths))
    return LayerShape(layer.n_in, layer.n_out, tuple(rows), layer.bits, (n_columns - 1).bit_length(), offsets)


def even_shape(n_in: int, n_out: int, density: float, block: int, bits: int) -> LayerShape:
    """A layer of exactly this density, as published networks are described: every block row keeps density x n_in inputs."""
    n_inputs, n_columns = round(density * n_in), math.ceil(n_in / block)
    widths = tuple(min(block, n_inputs - start) for start in range(0, n_inputs, block))
    rows = tuple(BlockRow(min(block, n_out - start), widths) for start in range(0, n_out, block))
    return LayerShape(n_in, n_out, rows, bits, (n_columns - 1).bit_length())


def count(shapes: Sequence[LayerShape], engine: Engine, new_inputs: int | None = None) -> Counts:
    """Count one frame of a network.

    Args:
        shapes: the layers in order.
        engine: the engine's parameters.
        new_inputs: input values that are new with each frame; the others stay in the ring buffer. None: all of them.
    Returns: the counts; reads and writes are words of the memory in question.
    Raises: ConfigError: the engine or the network cannot be counted.
    """
    if not shapes or engine.n_macs < 1 or engine.word_bits < max(8, *(shape.bits for shape in shapes), engine.activation_bits):
        raise ConfigError(f"engine of {engine.n_macs} MACs and {engine.word_bits}-bit words for {len(shapes)} layers", "give at least one of each")
    counts = Counts(engine)
    per_word = engine.word_bits // engine.activation_bits
    activations = counts.memories["activations"] = Memory(engine.word_bits)
    counts.memories |= {"weights": Memory(engine.word_bits), "index": Memory(16), "bias": Memory(engine.bias_bits)}
    for shape in shapes:
        _count_layer(shape, counts)
    held = [shape.n_held for shape in shapes if shape is not shapes[0] and len(shape.offsets) > 1]
    widest = max(above.n_out for above, below in zip(shapes, [*shapes[1:], None], strict=True) if below is None or len(below.offsets) == 1)
    n_values = (shapes[0].n_held, *held, widest, widest)
    activations.n_words = sum(math.ceil(n / per_word) for n in n_values)
    activations.used_bits = sum(n_values) * engine.activation_bits
    activations.writes += math.ceil((shapes[0].n_in if new_inputs is None else new_inputs) / per_word)
    return counts


def _count_layer(shape: LayerShape, counts: Counts) -> None:
    engine, memories = counts.engine, counts.memories
    weights_per_word, per_word = engine.word_bits // shape.bits, engine.word_bits // engine.activation_bits
    passes = [math.ceil(row.n_outputs / engine.n_macs) for row in shape.rows]
    macs = sum(row.n_outputs * row.n_inputs for row in shape.rows)
    mac_cycles = sum(n * row.n_inputs for n, row in zip(passes, shape.rows, strict=True))
    block_fetches = sum(n * len(row.widths) for n, row in zip(passes, shape.rows, strict=True)) if shape.index_bits else 0
    overhead = engine.cycles_per_pass * sum(passes) + engine.cycles_per_block * block_fetches + engine.cycles_per_output * shape.n_out + engine.cycles_per_layer
    counts.macs += macs
    counts.macs_by_bits[shape.bits] = counts.macs_by_bits.get(shape.bits, 0) + macs
    counts.mac_cycles += mac_cycles
    counts.cycles += mac_cycles + overhead
    counts.layers.append({"n_in": shape.n_in, "n_out": shape.n_out, "macs": macs, "mac_cycles": mac_cycles, "cycles": mac_cycles + overhead})
    weights = memories["weights"]
    words = math.ceil(macs / weights_per_word)  # every stored weight is used once a frame
    weights.n_words, weights.reads, weights.used_bits = weights.n_words + words, weights.reads + words, weights.used_bits + macs * shape.bits
    n_indices = sum(len(row.widths) for row in shape.rows) if shape.index_bits else 0
    index = memories["index"]
    index.n_words, index.reads, index.used_bits = index.n_words + n_indices, index.reads + block_fetches, index.used_bits + n_indices * shape.index_bits
    bias = memories["bias"]
    bias.n_words, bias.reads, bias.used_bits = bias.n_words + shape.n_out, bias.reads + shape.n_out, bias.used_bits + shape.n_out * engine.bias_bits
    words_per_pass = [sum(math.ceil(width / per_word) for width in row.widths) for row in shape.rows]  # each block starts a new word
    memories["activations"].reads += sum(n * words for n, words in zip(passes, words_per_pass, strict=True))
    memories["activations"].writes += math.ceil(shape.n_out / per_word)
