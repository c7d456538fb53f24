"""Entropy coding of small integers by range asymmetric numeral systems (rANS), exactly as docs/packed-format.md lays it out. NumPy only.

Value i belongs to lane i mod L, and each lane is a coder of its own: all lanes take a step at once, which is what makes NumPy fast enough.
Source: Duda 2013 (arXiv 1311.2540); lanes that share one stream of words as in Giesen 2014 (arXiv 1402.3392)."""

from __future__ import annotations

import numpy as np

from cgs.quant.bitpack import pack_bits, packed_bytes, unpack_bits

SCALE_BITS = 12
TOTAL = 1 << SCALE_BITS
"""Frequencies of a table add up to this."""
FREQUENCY_BITS = SCALE_BITS + 1
LOWEST = 1 << 16
"""A state lies from here to 2^32 - 1; one that falls below takes in a word of 16 bits."""
VALUES_A_LANE, MAX_LANES = 1024, 256
VALUES_A_BYTE = 64
"""Values for each byte of code, at most, so that a small file cannot ask for much memory or time."""


def n_lanes(n_values: int) -> int:
    """Lanes that so many values are coded in: few where the four bytes of each lane's state would tell."""
    return min(max(n_values // VALUES_A_LANE, 1), MAX_LANES)


def frequencies(values: np.ndarray, bits: int) -> np.ndarray:
    """How often each value occurs, in parts of `TOTAL`; at least one part where it occurs at all.

    Args:
        values: (n,) integer, n >= 1, each from -2^(bits-1) to 2^(bits-1) - 1.
        bits: of a value, 2 to 8.
    Returns: (2^bits,) int64 by the value's two's complement: 0, 1, ..., -2, -1. Parts are rounded by largest remainders; excess comes off the most frequent.
    """
    counts = np.bincount(np.asarray(values, dtype=np.int64) & ((1 << bits) - 1), minlength=1 << bits)
    parts, remainders = np.divmod(counts * TOTAL, counts.sum())
    parts[(counts > 0) & (parts == 0)] = 1
    for value in np.argsort(-remainders, kind="stable")[: max(TOTAL - int(parts.sum()), 0)]:
        parts[value] += 1
    while parts.sum() > TOTAL:
        parts[parts.argmax()] -= 1
    return parts


def encode_values(values: np.ndarray, bits: int) -> bytes:
    """Code integers: a table of frequencies, a state for each lane, 16-bit words.

    Args:
        values: (n,) integer, n >= 1, each from -2^(bits-1) to 2^(bits-1) - 1.
        bits: 2 to 8.
    """
    table = frequencies(values, bits)
    starts = np.cumsum(table) - table
    symbols = np.asarray(values, dtype=np.int64) & ((1 << bits) - 1)
    lanes = n_lanes(len(symbols))
    states, words = np.full(lanes, LOWEST, dtype=np.int64), []
    for first in range((len(symbols) - 1) // lanes * lanes, -1, -lanes):
        part = symbols[first : first + lanes]
        x, frequency = states[: len(part)], table[part]
        full = x >= frequency << (32 - SCALE_BITS)
        words.append(x[full][::-1] & 0xFFFF)
        x = np.where(full, x >> 16, x)
        states[: len(part)] = (x // frequency << SCALE_BITS) + x % frequency + starts[part]
    stream = np.concatenate(words)[::-1].astype("<u2")
    return pack_bits(table, FREQUENCY_BITS) + states.astype("<u4").tobytes() + stream.tobytes()


def decode_values(data: bytes | memoryview, n_values: int, bits: int) -> np.ndarray:
    """The inverse of `encode_values`.

    Args:
        data: exactly the bytes that it gave.
        n_values: how many integers.
        bits: 2 to 8.
    Returns: (n_values,) int64.
    Raises: ValueError: not the code of so many values; says why in a few words. Time and memory are bounded by the length of `data`.
    """
    lanes, n_table = n_lanes(n_values), packed_bytes(1 << bits, FREQUENCY_BITS)
    body = len(data) - n_table - 4 * lanes
    if body < 0 or body % 2 or n_values > VALUES_A_BYTE * len(data):
        raise ValueError(f"{len(data)} bytes are no code of {n_values} weights")
    table = unpack_bits(data[:n_table], 1 << bits, FREQUENCY_BITS, signed=False)
    if table.sum() != TOTAL:
        raise ValueError(f"its table of frequencies adds up to {table.sum()} of {TOTAL}")
    states = np.frombuffer(data, dtype="<u4", count=lanes, offset=n_table).astype(np.int64)
    words = np.frombuffer(data, dtype="<u2", offset=n_table + 4 * lanes).astype(np.int64)
    symbols, used = _decoded(table, states, words, n_values)
    if used != len(words) or (states != LOWEST).any():
        raise ValueError("its code does not end where its weights do")
    return symbols - (symbols >> (bits - 1) << bits)


def _decoded(table: np.ndarray, states: np.ndarray, words: np.ndarray, n_values: int) -> tuple[np.ndarray, int]:
    """Run every lane to its end, `states` in place; the symbols, and the words taken."""
    starts, symbol_of = np.cumsum(table) - table, np.repeat(np.arange(len(table)), table)
    symbols, used, lanes = np.empty(n_values, dtype=np.int64), 0, len(states)
    for first in range(0, n_values, lanes):
        x = states[: n_values - first]
        slots = x & (TOTAL - 1)
        found = symbol_of[slots]
        symbols[first : first + lanes] = found
        x[:] = table[found] * (x >> SCALE_BITS) + slots - starts[found]
        low = np.flatnonzero(x < LOWEST)
        if used + len(low) > len(words):
            raise ValueError("its code is too short")
        x[low] = x[low] << 16 | words[used : used + len(low)]
        used += len(low)
    return symbols, used
