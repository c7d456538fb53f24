"""Word lattices against a list of every path."""

from __future__ import annotations

import itertools

import kaldi_decoder
import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.decode.determinise import word_lattice
from cgs.decode.lattice_search import LatticeSearch
from cgs.decode.oracle import oracle_errors
from cgs.decode.raw_lattice import RawLattice
from cgs.score.wer import count_errors
from tests.decode.lattices import best_of_each, raw_lattices, raw_paths
from tests.decode.test_search import N_PDFS, PDF, WORDS, planted, searcher, word_loop


@settings(max_examples=300, deadline=None)
@given(raw_lattices(), st.sampled_from([0.0, 1.0, 2.5, 100.0]))
def test_each_word_sequence_has_the_costs_of_its_best_path(raw: RawLattice, beam: float) -> None:
    lattice = word_lattice(raw, beam)
    paths = list(raw_paths(raw))
    true = best_of_each(iter(paths))
    best = min(true.values())
    found = list(lattice.paths())
    assert len({path.words for path in found}) == len(found)
    assert [path.cost for path in found] == sorted(path.cost for path in found)
    assert {words for words, cost in true.items() if cost <= best + beam} <= {path.words for path in found}
    splits = {(path.words, round(path.graph, 6), round(path.acoustic, 6)) for path in paths}
    for path in found:
        assert path.cost == pytest.approx(true[path.words])
        assert (path.words, round(path.graph, 6), round(path.acoustic, 6)) in splits
    assert all(len(set(lattice.word[lattice.source == state])) == (lattice.source == state).sum() for state in range(len(lattice.frame)))


@settings(max_examples=100, deadline=None)
@given(raw_lattices(), st.integers(1, 4))
def test_a_lattice_cut_at_some_states_says_its_beam(raw: RawLattice, max_states: int) -> None:
    lattice = word_lattice(raw, 100.0, max_states)
    true = best_of_each(raw_paths(raw))
    inside = {words for words, cost in true.items() if cost < min(true.values()) + lattice.beam - 1e-6}
    assert inside <= {path.words for path in lattice.paths()}


@settings(max_examples=100, deadline=None)
@given(raw_lattices(), st.floats(0.2, 3), st.floats(-1, 1), st.floats(0, 5))
def test_weights_and_pruning_are_those_of_the_paths(raw: RawLattice, scale: float, penalty: float, beam: float) -> None:
    whole = word_lattice(raw, 100.0)
    weighted = whole.weighted(scale, penalty, free=(2,))
    costs = {path.words: path.graph + scale * path.acoustic + penalty * sum(word != 2 for word in path.words) for path in whole.paths()}
    assert {path.words: path.cost for path in weighted.paths()} == pytest.approx(costs)
    assert weighted.best().cost == pytest.approx(weighted.backward()[0]) == pytest.approx((weighted.forward() + weighted.final).min())
    inside = {words for words, cost in costs.items() if cost <= min(costs.values()) + beam - 1e-6}
    pruned = weighted.pruned(beam)
    assert inside <= {path.words for path in pruned.paths()} <= costs.keys()
    assert (pruned.forward()[pruned.source] + pruned.cost + pruned.backward()[pruned.target]).max(initial=0) <= weighted.best().cost + beam + 1e-6


@settings(max_examples=100, deadline=None)
@given(raw_lattices(), st.lists(st.integers(1, 4), max_size=5))
def test_oracle_is_the_nearest_path(raw: RawLattice, reference: list[int]) -> None:
    lattice = word_lattice(raw, 100.0)
    errors = [count_errors([str(w) for w in reference], [str(w) for w in path.words if w != 3]).errors for path in lattice.paths()]
    unspoken = [word for word in reference if word != 3]
    assert oracle_errors(lattice, reference, free=(3,)) == min(errors)
    assert oracle_errors(lattice, [-1] * len(unspoken), free=()) >= len(unspoken)


@settings(max_examples=100, deadline=None)
@given(raw_lattices(), st.data())
def test_paths_of_words_are_the_best_that_say_them(raw: RawLattice, data: st.DataObject) -> None:
    paths = best_of_each(raw_paths(raw))
    words = data.draw(st.sampled_from(sorted(paths)))
    path = raw.path_of(words)
    assert path is not None
    assert tuple(int(w) for w in raw.word[path] if w) == words
    end = raw.target[path[-1]] if len(path) else 0
    assert (raw.graph + raw.acoustic)[path].sum() + raw.final[end] == pytest.approx(paths[words])
    assert list(raw.target[path[:-1]]) == list(raw.source[path[1:]])
    assert raw.path_of((*words, 9)) is None
    spoken = tuple(word for word in words if word != 1)
    assert raw.path_of(spoken, free=(1,)) is not None


def test_density_counts_the_words_over_a_frame() -> None:
    """Two words over frames 0 to 4 side by side, then one way on to frame 10: (2 * 4 + 6) / 10."""
    from tests.decode.lattices import raw_lattice

    raw = raw_lattice(3, [(0, 1, 1, 1.0, 0.0), (0, 1, 2, 1.5, 0.0), (1, 2, 3, 0.0, 0.0)], {2: 0.0})
    lattice = word_lattice(raw, 10.0)
    frames = np.array([0, 4, 10], dtype=np.int32)
    lattice = type(lattice)(**{**lattice.__dict__, "frame": frames, "n_frames": 10})
    assert lattice.density() == pytest.approx(1.4)


def lattice_searcher(graph: kaldifst.StdVectorFst, beam: float = 50.0, lattice_beam: float = 6.0, max_active: int = 1000) -> LatticeSearch:
    return LatticeSearch(kaldifst.StdConstFst(graph), PDF[1:], beam, max_active, 200, lattice_beam)


@pytest.mark.parametrize("seed", range(6))
def test_search_keeps_what_the_librarys_lattice_decoder_keeps(seed: int) -> None:
    graph, scores = word_loop(0.7), planted([0, 1, 1, 2, 3, 4, 4, 0, 1, 2, 5], 1.0, 1.5, seed)
    raw = lattice_searcher(graph).search(scores)
    held, columns = kaldifst.StdConstFst(graph), np.ascontiguousarray(scores[:, PDF[1:]])
    decodable, options = kaldi_decoder.DecodableCtc(columns), kaldi_decoder.LatticeSimpleDecoderConfig(beam=50.0, lattice_beam=6.0)
    decoder = kaldi_decoder.LatticeSimpleDecoder(held, options)
    decoder.decode(decodable)
    _, theirs = decoder.get_raw_lattice(True)
    assert raw is not None and raw.complete
    assert (len(raw.frame), len(raw.source)) == (theirs.num_states, sum(theirs.num_arcs(s) for s in range(theirs.num_states)))
    rows = [line.split() for line in str(theirs).splitlines()]
    arcs = sorted((int(row[2]), int(row[3]), *map(float, [*row, "0,0"][4].split(","))) for row in rows if len(row) > 3)
    ours = sorted(zip(raw.transition_id, raw.word, raw.graph, raw.acoustic, strict=True))
    assert np.array(ours) == pytest.approx(np.array(arcs), abs=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_best_path_is_that_of_the_search_for_one(seed: int) -> None:
    graph, scores = word_loop(0.7), planted([0, 1, 1, 2, 3, 4, 4, 0, 1, 2, 5], 1.0, 1.5, seed)
    raw, found = lattice_searcher(graph, 8.0).search(scores), searcher(graph, 8.0).decode(scores)
    assert raw is not None
    path = raw.best_path()
    assert tuple(int(t) for t in raw.transition_id[path] if t) == found.transition_ids
    assert raw.beta[0] == pytest.approx(found.cost, abs=1e-3)
    lattice = word_lattice(raw, 6.0)
    assert lattice.best().words == tuple(WORDS[w] for w in found.words)
    assert (lattice.best().graph, lattice.best().acoustic) == pytest.approx((found.graph_cost, found.acoustic_cost), abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_every_sentence_of_a_search_has_its_true_cost(seed: int) -> None:
    """All sentences of up to three words, each forced through a graph of its own."""
    scores = planted([0, 1, 2, 3, 4, 0], 1.0, 1.5, seed)
    raw = lattice_searcher(word_loop(0.7), 1e4, 1e4).search(scores)
    assert raw is not None
    found = {path.words: path for path in itertools.islice(word_lattice(raw, 1e4).paths(), 400)}
    for n_words in (1, 2, 3):
        for words in itertools.product(("<sil>", "go", "up", "gown"), repeat=n_words):
            alone = searcher(chain(words), 1e4).decode(scores)
            numbers = tuple(WORDS[w] for w in words)
            assert alone.complete == (numbers in found), words
            if alone.complete:
                path = found[numbers]
                assert (path.graph, path.acoustic) == pytest.approx((alone.graph_cost, alone.acoustic_cost), abs=1e-3)


def chain(words: tuple[str, ...]) -> kaldifst.StdVectorFst:
    from tests.decode.test_search import STATES

    graph = kaldifst.StdVectorFst()
    graph.start = state = graph.add_state()
    for word in words:
        for index, pdf in enumerate(STATES[word]):
            following = graph.add_state()
            graph.add_arc(state, kaldifst.StdArc(2 * pdf + 1, 0 if index else WORDS[word], 0.0 if index else 0.7, following))
            graph.add_arc(following, kaldifst.StdArc(2 * pdf + 2, 0, 0.0, following))
            state = following
    graph.set_final(state, 0.0)
    return graph


def test_a_word_cut_short_gives_a_partial_lattice_and_no_path_none() -> None:
    raw = lattice_searcher(word_loop(words=("gown",))).search(planted([1, 2]))
    assert raw is not None and not raw.complete
    assert word_lattice(raw, 6.0).best().words == (WORDS["gown"],)
    dead = kaldifst.StdVectorFst()
    dead.start = dead.add_state()
    assert lattice_searcher(dead).search(np.zeros((3, N_PDFS), np.float32)) is None
