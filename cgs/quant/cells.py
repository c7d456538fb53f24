"""Cells of an LSTM in integers: what becomes of the sums of their gates, bit for bit. NumPy only.

One table serves both functions, because sigmoid(z) = (1 + tanh(z / 2)) / 2: `TANH[q]` is tanh(q / 128) in 256ths, for q / 128 below 4. A sigmoid has 9
fraction bits and a tanh 8, so neither is rounded again. The cell's c has 16 bits, of which 11 are fraction bits, and saturates at 16."""

from __future__ import annotations

import numpy as np

from cgs.quant.formats import FixedPoint

GATE = FixedPoint(11, 7)
"""What a gate's sum is rounded to: -8 to 8 in 128ths."""
CELL = FixedPoint(16, 11)
"""c."""
SIGMOID_BITS, TANH_BITS = 9, 8
"""Fraction bits of the two functions."""
TANH = np.minimum(np.rint(np.tanh(np.arange(512) / 128) * 256), 255).astype(np.int64)
"""(512,), tanh of 0, 1/128, ... in 256ths."""


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Integers of `GATE` to integers of 9 fraction bits, 1 to 511."""
    steps = TANH[np.minimum((np.abs(z) + 1) >> 1, len(TANH) - 1)]
    return 256 + np.sign(z) * steps


def tanh(z: np.ndarray) -> np.ndarray:
    """Integers of 7 fraction bits to integers of 8, -255 to 255."""
    return np.sign(z) * TANH[np.minimum(np.abs(z), len(TANH) - 1)]


def update(gates: np.ndarray, c: np.ndarray, output: FixedPoint) -> tuple[np.ndarray, np.ndarray]:
    """One step of the cells: i, f, o = sigmoid(.), g = tanh(.), c = f c + i g, h = o tanh(c).

    Args:
        gates: (4H, ...) int64 of `GATE`, the sums of i, f, o and g.
        c: (H, ...) int64 of `CELL`, of the frame before.
        output: format of h, with at most 17 fraction bits.
    Returns: c and h, (H, ...) int64. Halves are rounded up; both saturate.
    """
    i, f, o, g = gates.reshape(4, len(c), *gates.shape[1:])
    shift = SIGMOID_BITS + TANH_BITS - CELL.fraction_bits
    wide = sigmoid(f) * c + (sigmoid(i) * tanh(g) << SIGMOID_BITS - shift)
    c = np.clip(wide + (1 << SIGMOID_BITS - 1) >> SIGMOID_BITS, CELL.low, CELL.high)
    narrow = CELL.fraction_bits - GATE.fraction_bits
    shift = SIGMOID_BITS + TANH_BITS - output.fraction_bits
    h = sigmoid(o) * tanh(c + (1 << narrow - 1) >> narrow)
    return c, np.clip(h + ((1 << shift) >> 1) >> shift, output.low, output.high)
