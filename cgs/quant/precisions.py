"""Weights of two precisions in one layer: which blocks fewer bits hold, and the section of the packed file that makes use of it. NumPy only.

A block of the low precision has weights that are multiples of a power of two, so nothing that reads integers knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cgs.quant.bitpack import pack_bits, pack_widths, packed_bytes, unpack_bits, unpack_widths
from cgs.quant.formats import FEWEST_BITS
from cgs.quant.model import PackedLayer, block_weights


@dataclass(frozen=True)
class TwoPrecisions:
    """Blocks of a layer by the bits that their weights need.

    Args:
        low_bits: l, 2 to `bits` - 1.
        full: (R * K,) bool, False where every weight of the block is a multiple of 2^(bits - l), so that l bits hold it.
        sizes: (R * K,) weights of each block.
        bits: of the layer.
    """

    low_bits: int
    full: np.ndarray
    sizes: np.ndarray
    bits: int

    @property
    def widths(self) -> np.ndarray:
        """(R * K,) bits of a weight of each block."""
        return np.where(self.full, self.bits, self.low_bits)

    @property
    def n_bits(self) -> int:
        """Bits of all weights."""
        return int(self.widths @ self.sizes)

    def encode(self, values: np.ndarray) -> bytes:
        """The bytes of the section that holds weights (n_weights,)."""
        widths = self.widths.repeat(self.sizes)
        return bytes([self.low_bits]) + pack_bits(self.full, 1) + pack_widths(values >> (self.bits - widths), widths)


def two_precisions(layer: PackedLayer) -> TwoPrecisions | None:
    """The blocks that fewer bits hold, with the `low_bits` that take the fewest; None where that is no less than all in full, and of a dense layer."""
    if layer.kept is None:
        return None
    sizes = block_weights(layer.n_in, layer.n_out, layer.block, layer.block_in, layer.kept).ravel()
    together = np.bitwise_or.reduce(layer.weights.reshape(len(sizes), -1), axis=1)  # its trailing zeros are those of the block's every weight
    found = [TwoPrecisions(low, together % (1 << (layer.bits - low)) != 0, sizes, layer.bits) for low in range(FEWEST_BITS, layer.bits)]
    best = min(found, key=lambda precisions: precisions.n_bits, default=None)
    return best if best and packed_bytes(best.n_bits, 1) + packed_bytes(len(sizes), 1) + 1 < packed_bytes(layer.n_weights, layer.bits) else None


def mean_bits(layer: PackedLayer, storage: str) -> float:
    """Bits of a weight on average, as the file holds them where it holds each as an integer: with two precisions unless `storage` is "plain"."""
    precisions = two_precisions(layer) if storage != "plain" else None
    return precisions.n_bits / layer.n_weights if precisions else layer.bits


def read_precisions(take: Callable[[int], memoryview], bits: int, sizes: np.ndarray | None) -> np.ndarray:
    """The inverse of `TwoPrecisions.encode`.

    Args:
        take: gives the next so many bytes.
        bits: of the layer.
        sizes: (R * K,) weights of each block; None for a dense layer, which has no such section.
    Returns: (n_weights,) int64.
    Raises: ValueError: too few bytes, or none that a writer gives.
    """
    low_bits = take(1)[0]
    if sizes is None or not FEWEST_BITS <= low_bits < bits:
        raise ValueError(f"weights of {low_bits} and {bits} bits" + (" in a dense layer" if sizes is None else ""))
    n_flags = packed_bytes(len(sizes), 1)
    flags = unpack_bits(take(n_flags), 8 * n_flags, 1, signed=False) != 0
    if flags[len(sizes) :].any():
        raise ValueError("precisions of blocks that do not exist")
    precisions = TwoPrecisions(low_bits, flags[: len(sizes)], sizes, bits)
    data = take(packed_bytes(precisions.n_bits, 1))  # before there is room for the width of each weight: a short file has few
    widths = precisions.widths.repeat(sizes)
    return unpack_widths(data, widths) << (bits - widths)
