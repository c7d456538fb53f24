"""What the same network costs on the same engine where its dropped weights lie in blocks, where n of m are kept, and where they lie anywhere.

Dense and blocks are counted as `cgs.hw.counts` does. Blocks on two levels are small ones of which a row lies in few large ones: the engine does for
them what it does for blocks of that side, with other indices. The two rivals get an engine of their own, with what hurts them most left out: no area or
energy for the multiplexers and ports that let each MAC read an input of its own, no filler weights in runs of zeros, no conflicts between banks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cgs.base.errors import ConfigError
from cgs.hw.counts import Counts, Engine, Memory, count, even_shape

SCHEMES = ("dense", "blocks", "two levels", "n of m", "single weights")
GROUP = 16
"""m: inputs of which as many are kept as the density says."""
SEED = 1
"""Of the single weights that are kept."""


def scheme_counts(scheme: str, layers: Sequence[tuple[int, int]], density: float, bits: int, engine: Engine, block: int = 64, coarse: int = 4) -> Counts:
    """Counts of one frame.

    Args:
        scheme: one of SCHEMES.
        layers: inputs and outputs of each matrix.
        density: share of the weights that is kept; every layer's.
        bits: of a weight.
        engine: its parameters.
        block: side of a block, of a large one where there are two levels.
        coarse: side of a large block in small ones.
    Returns: the counts; indices of single weights are distances of log2(1 / density) + 2 bits, those of n of m log2(m) bits.
    Raises: ConfigError: no such scheme, or a density that keeps no whole number of m.
    """
    if scheme not in SCHEMES or not 0 < density <= 1:
        raise ConfigError(f"scheme {scheme!r} of density {density:g}", f"schemes: {', '.join(SCHEMES)}; density above 0, at most 1")
    if scheme == "two levels":
        return _two_levels(layers, density, bits, engine, block, coarse)
    share = 1.0 if scheme == "dense" else density
    counts = count([even_shape(n_in, n_out, share, block, bits) for n_in, n_out in layers], engine)
    if scheme in ("dense", "blocks"):
        return _without_index(counts) if scheme == "dense" else counts
    if scheme == "n of m" and not (GROUP * density).is_integer():
        raise ConfigError(f"density {density:g} of {GROUP}: no whole number", f"give a multiple of 1/{GROUP}")
    passes = [_cycles_of_passes(scheme, n_in, n_out, density, engine.n_macs) for n_in, n_out in layers]
    index_bits = int(math.log2(GROUP)) if scheme == "n of m" else math.ceil(math.log2(1 / density)) + 2
    return _own_indices(counts, layers, passes, index_bits, shared=scheme == "n of m")


def _two_levels(layers: Sequence[tuple[int, int]], density: float, bits: int, engine: Engine, block: int, coarse: int) -> Counts:
    """Of the large blocks as large a share is kept as of the small ones inside them. An index of a large block takes as many words as it needs
    of the small ones' width, and is read where its first small block is, in no cycle of its own."""
    counts = count([even_shape(n_in, n_out, density, block // coarse, bits) for n_in, n_out in layers], engine)
    fine_bits, n_words, reads = max(1, math.ceil(math.log2(coarse))), counts.memories["index"].n_words, counts.memories["index"].reads
    for n_in, n_out in layers:
        columns = math.ceil(n_in / block)
        kept, words = math.ceil(columns * math.sqrt(density)), math.ceil((columns - 1).bit_length() / fine_bits)
        n_words += words * kept * math.ceil(n_out / block)
        reads += words * kept * math.ceil(n_out / engine.n_macs)
    return replace(counts, memories=counts.memories | {"index": Memory(fine_bits, n_words, n_words * fine_bits, reads)})


def _cycles_of_passes(scheme: str, n_in: int, n_out: int, density: float, n_macs: int) -> np.ndarray:
    """Cycles of each pass of n_macs outputs, which ends with the output that has most weights; single weights are drawn independently."""
    n_passes = math.ceil(n_out / n_macs)
    if scheme == "n of m":
        return np.full(n_passes, math.ceil(n_in / GROUP) * round(GROUP * density))
    kept = np.random.default_rng(SEED).binomial(n_in, density, size=(n_passes, n_macs))
    return kept.max(axis=1)


def _own_indices(counts: Counts, layers: Sequence[tuple[int, int]], passes: list[np.ndarray], index_bits: int, shared: bool) -> Counts:
    """Each weight has its index beside it, in the same banks; inputs are read by the word (shared by the MACs) or each MAC reads its own."""
    engine, old = counts.engine, counts.memories["activations"]
    mac_cycles = int(sum(cycles.sum() for cycles in passes))
    overhead = sum(1 + len(cycles) + n_out for cycles, (_, n_out) in zip(passes, layers, strict=True))
    place_bits = max(counts.macs_by_bits) + index_bits
    groups = engine.groups_per_word(place_bits)
    words = math.ceil(mac_cycles / groups)
    values = engine.values_per_word
    if shared:
        reads = sum(len(cycles) * math.ceil(n_in / values) for cycles, (n_in, _) in zip(passes, layers, strict=True))
        activations = replace(old, reads=reads)
    else:
        n_values = old.n_words * values
        writes = old.writes * values
        activations = Memory(engine.activation_bits, n_values, old.used_bits, counts.macs, writes)
    memories = counts.memories | {
        "weights": Memory(groups * engine.n_macs * place_bits, words, counts.macs * place_bits, words),
        "index": Memory(index_bits),
        "activations": activations,
    }
    return replace(counts, mac_cycles=mac_cycles, cycles=mac_cycles + overhead, memories=memories)


def _without_index(counts: Counts) -> Counts:
    """A dense layer is one block row without indices: no fetches, and each word of inputs is read once a pass."""
    index = counts.memories["index"]
    return replace(counts, cycles=counts.cycles - index.reads, memories=counts.memories | {"index": Memory(index.word_bits)})


def stored_bytes(counts: Counts) -> float:
    """Weights and their indices, as the memories hold them, empty places included."""
    return counts.memories["weights"].n_bytes + counts.memories["index"].n_bytes
