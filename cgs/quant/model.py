"""A packed model in memory: integer layers and the formats that say what their integers mean. NumPy only.

The file (`cgs.quant.packed`), the integer engine, the hardware model and the RTL all read this one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from cgs.base.errors import ShapeError
from cgs.quant.cells import GATE, SIGMOID_BITS, TANH_BITS
from cgs.quant.formats import ACCUMULATOR_BITS, FRACTION_BITS, MAX_SHIFT, FixedPoint
from cgs.sparse.mask import BlockMask

MAX_BLOCK = 1024
"""Largest side of a block; keeps a reader from making room for a block of which a small matrix uses a corner."""


OFFSETS = (-128, 127)
"""Frame offsets that a layer may have; a packed file stores each in one signed byte."""


def block_weights(n_in: int, n_out: int, block: int, block_in: int, kept: np.ndarray) -> np.ndarray:
    """(R, K) int64, weights inside each kept block (R, K) of a matrix, padding not counted."""
    heights = np.minimum(block, n_out - block * np.arange(len(kept), dtype=np.int64))
    return heights[:, None] * np.clip(n_in - block_in * kept.astype(np.int64), 0, block_in)


@dataclass(frozen=True, eq=False)
class PackedLayer:
    """One fully connected or block-sparse layer in integers.

    Args:
        n_in, n_out: inputs and outputs, without padding.
        block: outputs of a block, the side B of a square one; 0 for a dense layer.
        kept: (R, K) int32 block columns kept in each block row, rising; None for a dense layer.
        weights: int8, (R, K, block, block_in) as [block row, kept block, output, input], zero where a block reaches beyond
            n_out or n_in; (n_out, n_in) for a dense layer.
        bias: (n_out,) int32.
        bits: of a weight, 2 to 8.
        weight_fraction_bits: of a weight.
        bias_bits, bias_fraction_bits: of a bias; it is shifted left to the accumulator's fraction bits.
        input_bits, input_signed, input_fraction_bits: of an input.
        output_bits, output_fraction_bits: of an output of a hidden layer, h where it has cells; 32 and the accumulator's fraction bits in the last layer,
            which gives its accumulators.
        relu: hidden layer with a ReLU, whose outputs are unsigned.
        output_signed: hidden layer without one, whose outputs are signed: the first of two factors of a matrix.
        offsets: frames of the layer below whose values are the inputs, side by side, relative to the current frame and rising.
        block_in: inputs of a block; 0 where it is square, which afterwards reads `block`.
        cells: LSTM layer of H = n_out / 4 cells: the outputs of the matrix are the sums of the gates i, f, o and g, one gate after the other, and its first H
            inputs are h of the frame before, the others those from below. Weights of the first H have as many fraction bits as make their products
            fit the others'. `cgs.quant.cells` says what the sums become.
    """

    n_in: int
    n_out: int
    block: int
    kept: np.ndarray | None
    weights: np.ndarray
    bias: np.ndarray
    bits: int
    weight_fraction_bits: int
    bias_bits: int
    bias_fraction_bits: int
    input_bits: int
    input_signed: bool
    input_fraction_bits: int
    output_bits: int
    output_fraction_bits: int
    relu: bool
    offsets: tuple[int, ...] = (0,)
    output_signed: bool = False
    block_in: int = 0
    cells: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_in", self.block_in or self.block)

    @property
    def mask_checksum(self) -> str | None:
        """Identity of the blocks, that of the trained layer's mask; of W and U of an LSTM side by side; None for a dense layer."""
        return None if self.kept is None else BlockMask(self.n_out, self.n_in, self.block, self.kept, block_in=self.block_in).checksum

    @property
    def n_cells(self) -> int:
        """H, cells of an LSTM layer; 0 for any other."""
        return self.n_out // 4 if self.cells else 0

    @property
    def n_given(self) -> int:
        """Values that the layer gives the next one each frame."""
        return self.n_cells or self.n_out

    @property
    def n_below(self) -> int:
        """Values of one frame of the layer below."""
        return (self.n_in - self.n_cells) // len(self.offsets)

    @property
    def n_block_rows(self) -> int:
        """R, the last block row perhaps reaching beyond n_out; 0 for a dense layer."""
        return -(-self.n_out // self.block) if self.block else 0

    @property
    def n_block_columns(self) -> int:
        """C, the last block column perhaps reaching beyond n_in; 0 for a dense layer."""
        return -(-self.n_in // self.block_in) if self.block else 0

    @property
    def kept_per_row(self) -> int:
        """K, blocks kept in each block row; 0 for a dense layer."""
        return 0 if self.kept is None else self.kept.shape[1]

    @property
    def n_weights(self) -> int:
        """Weights that exist: kept, and inside the matrix."""
        if self.kept is None:
            return self.n_in * self.n_out
        return int(block_weights(self.n_in, self.n_out, self.block, self.block_in, self.kept).sum())

    @property
    def index_bits(self) -> int:
        """Bits of a stored block column."""
        return max(self.n_block_columns - 1, 0).bit_length()

    @property
    def accumulator_fraction_bits(self) -> int:
        """Fraction bits of products and sums."""
        return self.weight_fraction_bits + self.input_fraction_bits

    @property
    def shift(self) -> int:
        """Right shift from accumulator to output, or to what gates are rounded to; 0 in the last layer."""
        return self.accumulator_fraction_bits - (GATE.fraction_bits if self.cells else self.output_fraction_bits)

    @property
    def recurrent_fraction_bits(self) -> int:
        """Fraction bits of the weights of h, in a layer of cells."""
        return self.accumulator_fraction_bits - self.output_fraction_bits

    @property
    def hidden(self) -> bool:
        """True where outputs are narrowed for a next layer."""
        return self.relu or self.output_signed

    @property
    def output_format(self) -> FixedPoint:
        """Format of an output."""
        return FixedPoint(self.output_bits, self.output_fraction_bits, not self.relu)

    @property
    def input_format(self) -> FixedPoint:
        """Format of an input."""
        return FixedPoint(self.input_bits, self.input_fraction_bits, self.input_signed)

    def real_weights(self) -> np.ndarray:
        """(R, K, block, block_in) bool, false where a block reaches beyond the matrix; (n_out, n_in) all true for a dense layer."""
        if self.kept is None:
            return np.ones((self.n_out, self.n_in), dtype=bool)
        rows = np.arange(self.n_block_rows)[:, None] * self.block + np.arange(self.block) < self.n_out
        columns = self.kept[:, :, None].astype(np.int64) * self.block_in + np.arange(self.block_in) < self.n_in
        return rows[:, None, :, None] & columns[:, :, None, :]

    def aligned_bias(self) -> np.ndarray:
        """(n_out,) int64: the bias in units of the accumulator, with the half that rounding adds."""
        half = (1 << self.shift) >> 1
        return (self.bias.astype(np.int64) << (self.accumulator_fraction_bits - self.bias_fraction_bits)) + half

    def accumulator_bound(self) -> int:
        """Largest magnitude that any partial sum, in any order, of any input can reach, bias and rounding included."""
        weights = self.weights.astype(np.int64)
        across = (1, 3) if self.block else (1,)
        positive = np.maximum(weights, 0).sum(axis=across).ravel()[: self.n_out]
        negative = np.maximum(-weights, 0).sum(axis=across).ravel()[: self.n_out]
        form, bias = self.input_format, self.aligned_bias()
        up = positive * form.high - negative * form.low + np.maximum(bias, 0)
        down = negative * form.high - positive * form.low - np.minimum(bias, 0)
        return int(max(up.max(), down.max()))

    def problem(self) -> str:
        """What is wrong with the layer, in a few words, or ""."""
        low, high = FRACTION_BITS
        fractions = (self.weight_fraction_bits, self.input_fraction_bits, self.bias_fraction_bits)
        if min(self.n_in, self.n_out) < 1:
            return f"shape {self.n_out} x {self.n_in}"
        low_offset, high_offset = OFFSETS
        rising = all(a < b for a, b in zip(self.offsets, self.offsets[1:], strict=False))
        if not self.offsets or not rising or self.offsets[0] < low_offset or self.offsets[-1] > high_offset or (self.n_in - self.n_cells) % len(self.offsets):
            return f"frame offsets {self.offsets} of {self.n_in} inputs"
        if not (2 <= self.bits <= 8 and 8 <= self.bias_bits <= 32 and 4 <= self.input_bits <= 16):
            return f"{self.bits}-bit weights, {self.bias_bits}-bit biases, {self.input_bits}-bit inputs"
        if min(fractions) < low or max(fractions) > high or not 0 <= self.accumulator_fraction_bits - self.bias_fraction_bits <= MAX_SHIFT:
            return f"fraction bits {fractions} of weight, input and bias"
        if self.relu and self.output_signed:
            return "a ReLU and signed outputs"
        if self.hidden and not (4 <= self.output_bits <= 16 and 0 <= self.shift <= MAX_SHIFT):
            return f"{self.output_bits}-bit outputs after a shift by {self.shift}"
        if not self.hidden and (self.output_bits, self.shift) != (ACCUMULATOR_BITS, 0):
            return f"{self.output_bits}-bit outputs after a shift by {self.shift} in the last layer"
        if self.cells and (why := self._cells_problem()):
            return why
        if bool(self.block) != bool(self.block_in):
            return f"blocks of {self.block} outputs x {self.block_in} inputs"
        if self.kept is not None:
            kept = self.kept
            if max(self.block, self.block_in) > MAX_BLOCK:
                return f"blocks of side {max(self.block, self.block_in)}, of {MAX_BLOCK} at most"
            if kept.shape != (self.n_block_rows, self.kept_per_row) or not 1 <= self.kept_per_row <= self.n_block_columns:
                return f"{self.kept_per_row} blocks of {self.n_block_columns} kept in each block row"
            if kept.min() < 0 or kept.max() >= self.n_block_columns or (np.diff(kept, axis=1) <= 0).any():
                return "block columns that do not rise or lie outside the matrix"
        return self._numbers_problem()

    def _cells_problem(self) -> str:
        low, high = FRACTION_BITS
        if self.n_out % 4 or self.n_below < 1:
            return f"{self.n_out} sums of four gates, of {self.n_in} inputs"
        if self.relu or not self.output_signed or not self.input_signed or self.input_bits != self.output_bits:
            return "cells whose inputs or outputs have no sign, or not the same number of bits"
        if not low <= self.recurrent_fraction_bits <= high or not 0 <= self.output_fraction_bits <= SIGMOID_BITS + TANH_BITS:
            return f"{self.recurrent_fraction_bits} fraction bits of a recurrent weight, {self.output_fraction_bits} of an output"
        return f"{self.n_cells} cells in blocks of {self.block_in} inputs" if self.block_in and self.n_cells % self.block_in else ""

    def _numbers_problem(self) -> str:
        shape = (self.n_block_rows, self.kept_per_row, self.block, self.block_in) if self.block else (self.n_out, self.n_in)
        if self.weights.shape != shape or self.bias.shape != (self.n_out,):
            return f"weights {self.weights.shape} and biases {self.bias.shape} where {shape} and {(self.n_out,)} belong"
        for what, numbers, bits in (("weight", self.weights, self.bits), ("bias", self.bias, self.bias_bits)):
            form = FixedPoint(bits, 0)
            if numbers.min() < form.low or numbers.max() > form.high:
                return f"a {what} outside {bits} bits"
        needed = self.accumulator_bound().bit_length() + 1
        return f"its accumulator may need {needed} bits of {ACCUMULATOR_BITS}" if needed > ACCUMULATOR_BITS else ""


@dataclass(frozen=True, eq=False)
class PackedModel:
    """The layers of a network from input to output, and a few words on what it is.

    Args:
        layers: each takes what the one before gives.
        meta: small JSON-like dict: task, system, seed, features (kind, cmvn, left, right), classes, nonzero (share of the products of held-out
            frames that are not zero).
        storage: how the file holds weights: "plain", with two precisions where that takes fewer bytes ("mixed"), or each layer's in the form of
            fewest bytes ("smallest"). It changes nothing that is computed.
    """

    layers: tuple[PackedLayer, ...]
    meta: dict[str, Any] = field(default_factory=dict)
    storage: Literal["plain", "mixed", "smallest"] = "plain"

    @property
    def n_in(self) -> int:
        """Values of a frame that the first layer reads: of the spliced input of a feed-forward network."""
        return self.layers[0].n_below

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.layers[-1].n_out

    @property
    def n_parameters_dense(self) -> int:
        """Weights and biases of the dense network of this shape, in which a linear layer and the one after it, two factors, are one."""
        n_parameters, n_in = 0, 0
        for layer in self.layers:
            n_in = n_in or layer.n_in - layer.n_cells
            if layer.cells or not layer.output_signed:
                n_parameters, n_in = n_parameters + (n_in + layer.n_cells + 1) * layer.n_out, 0
        return n_parameters

    @property
    def remembers(self) -> bool:
        """True where some layer has cells: an output depends on all frames before it."""
        return any(layer.cells for layer in self.layers)

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after the current one that the layers read by their offsets; (0, 0) of a feed-forward network. What the description says where
        there are cells: how many are heard before the first one that is named, and how many after the last."""
        return (self.meta["features"]["left"], self.meta["features"]["right"]) if self.remembers else self._reach

    @property
    def _reach(self) -> tuple[int, int]:
        return -sum(layer.offsets[0] for layer in self.layers), sum(layer.offsets[-1] for layer in self.layers)

    def problem(self) -> str:
        """The first thing that is wrong with the model, naming its layer, or ""."""
        if not self.layers:
            return "no layers"
        for number, layer in enumerate(self.layers, start=1):
            if why := layer.problem():
                return f"layer {number}: {why}"
            if layer.hidden != (number < len(self.layers)):
                return f"layer {number}: a ReLU, signed outputs or cells belong to every layer but the last"
        for number, (above, below) in enumerate(zip(self.layers, self.layers[1:], strict=False), start=2):
            gives = (above.n_given, above.output_bits, above.output_fraction_bits, above.output_signed)
            if gives != (below.n_below, below.input_bits, below.input_fraction_bits, below.input_signed):
                return f"layer {number}: its inputs are not what layer {number - 1} gives"
        if self.remembers and not self._says_what_is_heard():
            return "its description does not say how many frames are heard before and after those that are named"
        return ""

    def _says_what_is_heard(self) -> bool:
        features = self.meta.get("features")
        sides = [features.get(side) for side in ("left", "right")] if isinstance(features, dict) else []
        return bool(sides) and all(type(frames) is int and frames >= max(least, 0) for frames, least in zip(sides, self._reach, strict=True))

    def check(self) -> None:
        """Raises: ShapeError: a layer that does not fit, or whose accumulator may overflow."""
        if why := self.problem():
            raise ShapeError(f"cannot pack the model: {why}", "lower pack.activation_bits or the system's bits" if "accumulator" in why else "")
