"""Minimum Bayes risk decoding against sums over every path."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.decode.determinise import word_lattice
from cgs.decode.mbr import LatticeDistance, minimum_bayes_risk
from cgs.decode.raw_lattice import RawLattice
from cgs.decode.word_lattice import WordLattice
from cgs.score.wer import count_errors
from tests.decode.lattices import raw_lattices, tree

SENTENCES = st.lists(st.integers(1, 3), max_size=3).map(tuple)
TREES = st.dictionaries(SENTENCES, st.integers(0, 16).map(lambda k: k / 4), min_size=1, max_size=8).map(tree)


def probabilities(lattice: WordLattice) -> dict[tuple[int, ...], float]:
    weights = {path.words: np.exp(-path.cost) for path in lattice.paths()}
    return {words: float(weight / sum(weights.values())) for words, weight in weights.items()}


def distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return count_errors([str(w) for w in a], [str(w) for w in b]).errors


def risk(lattice: WordLattice, words: tuple[int, ...], free: int = 99) -> float:
    return sum(p * distance(words, tuple(w for w in path if w != free)) for path, p in probabilities(lattice).items())


@settings(max_examples=200, deadline=None)
@given(TREES, SENTENCES)
def test_expected_errors_are_exact_on_a_tree(lattice: WordLattice, words: tuple[int, ...]) -> None:
    assert LatticeDistance(lattice).expected(words) == pytest.approx(risk(lattice, words), abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(raw_lattices(), SENTENCES)
def test_expected_errors_are_never_too_few(raw: RawLattice, words: tuple[int, ...]) -> None:
    lattice = word_lattice(raw, 100.0)
    assert LatticeDistance(lattice, free=(3,)).expected(words) >= risk(lattice, words, free=3) - 1e-6


@settings(max_examples=200, deadline=None)
@given(raw_lattices())
def test_places_of_the_network_sum_to_one_and_hold_no_word_more_often_than_paths_do(raw: RawLattice) -> None:
    lattice = word_lattice(raw, 100.0)
    start = tuple(word for word in lattice.best().words if word != 3)
    network = LatticeDistance(lattice, free=(3,)).decode(start)
    for place in network.bins:
        assert sum(place.posterior.values()) == pytest.approx(1) and min(place.posterior.values()) >= 0
        assert all(0 <= begin <= end + 1e-9 <= lattice.n_frames + 1e-6 for begin, end in place.times.values())
    true = probabilities(lattice)
    for word in (1, 2):
        inserted = sum(place.posterior.get(word, 0.0) for place in network.bins)
        assert inserted <= sum(p * path.count(word) for path, p in true.items()) + 1e-6
    for place, word in zip(network.bins[1::2], start, strict=True):
        assert place.posterior[word] >= true[lattice.best().words] - 1e-6


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_no_worse_than_the_best_path_and_close_to_the_best_of_all(lattice: WordLattice) -> None:
    found = minimum_bayes_risk(lattice)
    assert found.risk == pytest.approx(risk(lattice, found.words), abs=1e-3)
    assert found.risk <= risk(lattice, lattice.best().words) + 1e-3
    assert len(found.words) == len(found.confidence) == len(found.times)
    least = min(risk(lattice, words) for n in range(5) for words in itertools.product((1, 2, 3), repeat=n))
    assert found.risk <= least + 0.5


def test_planted_words_that_no_path_favours() -> None:
    """"1 2" is the likeliest, but 1 is wrong more often than not, and so is 2: MBR takes the words of the majority."""
    lattice = tree({(1, 2): -np.log(0.4), (3, 2): -np.log(0.3), (3, 4): -np.log(0.3)})
    assert lattice.best().words == (1, 2)
    found = minimum_bayes_risk(lattice)
    assert found.words == (3, 2)
    assert found.confidence == pytest.approx((0.6, 0.7), abs=1e-6)
    assert found.risk == pytest.approx(0.7, abs=1e-3)
    assert found.bins[1].posterior == pytest.approx({3: 0.6, 1: 0.4, 0: 0.0}, abs=1e-6)


def test_a_certain_lattice_is_certain() -> None:
    found = minimum_bayes_risk(tree({(1, 2, 1): 0.0}))
    assert (found.words, found.risk) == ((1, 2, 1), pytest.approx(0.0))
    assert found.confidence == pytest.approx((1.0, 1.0, 1.0))
    assert found.times == ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0))
    assert minimum_bayes_risk(tree({(): 0.0})).words == ()
