"""Integers of any width packed into bytes without gaps: the lowest bit first, in every value and in every byte."""

from __future__ import annotations

import numpy as np


def packed_bytes(n_values: int, bits: int) -> int:
    """Bytes that `n_values` integers of `bits` bits take."""
    return (n_values * bits + 7) // 8


def pack_bits(values: np.ndarray, bits: int) -> bytes:
    """Pack integers; negative ones become two's complement.

    Args:
        values: integer, any shape, taken in C order; each must fit.
        bits: 0 to 32.
    Returns: the bytes; unused bits of the last one are zero.
    """
    flat = np.asarray(values, dtype=np.int64).ravel()
    planes = (flat[:, None] >> np.arange(bits)) & 1
    return np.packbits(planes.astype(np.uint8).ravel(), bitorder="little").tobytes()


def pack_widths(values: np.ndarray, widths: np.ndarray) -> bytes:
    """Pack integers that differ in width; see `pack_bits`.

    Args:
        values: (n,) integers; each must fit.
        widths: (n,) bits of each, at least 1.
    """
    planes = np.arange(widths.max(initial=0))
    bits = (np.asarray(values, dtype=np.int64)[:, None] >> planes) & 1
    return np.packbits(bits[planes < widths[:, None]].astype(np.uint8), bitorder="little").tobytes()


def unpack_widths(data: bytes | memoryview, widths: np.ndarray) -> np.ndarray:
    """The inverse of `pack_widths` for two's complement: (n,) int64. `data` has at least as many bits as `widths` add up to."""
    planes = np.arange(widths.max(initial=0))
    bits = np.zeros((len(widths), len(planes)), dtype=np.int64)
    bits[planes < widths[:, None]] = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=int(widths.sum()), bitorder="little")
    values = bits @ (np.int64(1) << planes)
    return values - ((values >> (widths - 1) & 1) << widths)


def unpack_bits(data: bytes | memoryview, n_values: int, bits: int, signed: bool) -> np.ndarray:
    """The inverse of `pack_bits`.

    Args:
        data: at least `packed_bytes(n_values, bits)` bytes.
        n_values: how many integers.
        bits: 0 to 32.
        signed: read two's complement.
    Returns: (n_values,) int64.
    """
    planes = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=n_values * bits, bitorder="little").reshape(n_values, bits)
    places = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed and bits:
        places[-1] = -places[-1]
    return planes.astype(np.int64) @ places
