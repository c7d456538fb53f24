"""Ways to keep few weights on one engine: small networks by hand, and what must hold between them."""

from __future__ import annotations

import numpy as np
import pytest

from cgs.base.errors import ConfigError
from cgs.hw.counts import Engine, count, even_shape
from cgs.hw.schemes import SCHEMES, scheme_counts, stored_bytes

LAYERS = ((64, 32), (32, 16))
ENGINE = Engine(n_macs=4)


def test_n_of_m_by_hand():
    counts = scheme_counts("n of m", LAYERS, 0.25, 5, ENGINE, block=8)
    assert counts.macs == (64 * 32 + 32 * 16) // 4
    assert counts.mac_cycles == 8 * 16 + 4 * 8, "passes of 4 outputs, each with a quarter of the inputs"
    assert counts.cycles == counts.mac_cycles + 2 + (8 + 4) + (32 + 16), "no cycle to fetch an index"
    weights = counts.memories["weights"]
    assert (weights.word_bits, weights.n_words) == (4 * (5 + 4), counts.mac_cycles), "5 bits and 4 of index, of four MACs, once in 64 bits"
    assert counts.memories["activations"].reads == 8 * 8 + 4 * 4, "every word of inputs in every pass"
    assert stored_bytes(counts) == counts.mac_cycles * 36 / 8


def test_single_weights_wait_for_the_fullest_output():
    counts = scheme_counts("single weights", LAYERS, 0.25, 5, ENGINE, block=8)
    even = scheme_counts("n of m", LAYERS, 0.25, 5, ENGINE, block=8)
    assert counts.macs == even.macs and counts.mac_cycles > even.mac_cycles
    assert counts.memories["activations"].word_bits == 8 and counts.memories["activations"].reads == counts.macs
    # the expected largest of four binomial counts, by drawing many
    drawn = np.random.default_rng(9).binomial(64, 0.25, size=(20000, 4)).max(axis=1).mean()
    many = scheme_counts("single weights", ((64, 4 * 2000),), 0.25, 5, ENGINE)
    assert many.mac_cycles / 2000 == pytest.approx(drawn, rel=0.02)


def test_dense_and_blocks_are_the_engines_own_counts():
    blocks = scheme_counts("blocks", LAYERS, 0.25, 5, ENGINE, block=8)
    assert blocks == count([even_shape(n_in, n_out, 0.25, 8, 5) for n_in, n_out in LAYERS], ENGINE)
    dense = scheme_counts("dense", LAYERS, 0.25, 5, ENGINE, block=8)
    assert dense.macs == 64 * 32 + 32 * 16
    assert dense.cycles == dense.mac_cycles + 2 + (8 + 4) + (32 + 16)
    assert dense.memories["index"].reads == 0 < blocks.memories["index"].reads


def test_two_levels_by_hand():
    counts = scheme_counts("two levels", LAYERS, 0.25, 5, ENGINE, block=32, coarse=4)
    blocks = scheme_counts("blocks", LAYERS, 0.25, 5, ENGINE, block=8)
    assert counts.cycles == blocks.cycles and counts.memories["weights"] == blocks.memories["weights"]
    index = counts.memories["index"]
    assert index.word_bits == 2, "which of four blocks of 8 in one of 32"
    assert blocks.memories["index"].n_words == 4 * 2 + 2 * 1, "two blocks of 8 in each of four block rows of 64 inputs, one in each of two of 32"
    assert index.n_words == 10 + 1 * 1 + 0, "one large block of two in the one row of the first matrix; the second has one column, which needs no name"
    assert index.reads == blocks.memories["index"].reads + 8


@pytest.mark.parametrize("density", [0.0625, 0.25, 0.5])
def test_blocks_store_least(density):
    stored = {scheme: stored_bytes(scheme_counts(scheme, LAYERS, density, 5, ENGINE, block=8)) for scheme in SCHEMES}
    assert min(stored["blocks"], stored["two levels"]) == min(stored.values())


def test_what_cannot_be_is_an_error():
    with pytest.raises(ConfigError, match="'rows'"):
        scheme_counts("rows", LAYERS, 0.25, 5, ENGINE)
    with pytest.raises(ConfigError, match="no whole number"):
        scheme_counts("n of m", LAYERS, 0.1, 5, ENGINE)
