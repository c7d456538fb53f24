"""Graph search on small graphs whose best paths are known."""

from __future__ import annotations

import kaldi_hmm_gmm as khg
import kaldifst
import numpy as np
import pytest

from cgs.base.errors import ShapeError
from cgs.decode.search import GraphSearch, with_insertion_penalty

WORDS = {"<eps>": 0, "<sil>": 1, "go": 2, "up": 3, "gown": 4}
STATES = {"<sil>": [0], "go": [1, 2], "up": [3, 4], "gown": [1, 2, 5]}
N_PDFS = 6
PDF = np.array([-1, *np.repeat(np.arange(N_PDFS), 2)])
"""Transition-id 2 p + 1 enters pdf p, 2 p + 2 stays in it."""


def word_loop(weight: float = 0.0, words: tuple[str, ...] = tuple(STATES)) -> kaldifst.StdVectorFst:
    """Any words in any order, each a chain of states with loops."""
    graph = kaldifst.StdVectorFst()
    graph.start = graph.add_state()
    graph.set_final(0, 0.0)
    for word in words:
        state = 0
        for index, pdf in enumerate(STATES[word]):
            following = graph.add_state()
            graph.add_arc(state, kaldifst.StdArc(2 * pdf + 1, 0 if index else WORDS[word], 0.0 if index else weight, following))
            graph.add_arc(following, kaldifst.StdArc(2 * pdf + 2, 0, 0.0, following))
            state = following
        graph.add_arc(state, kaldifst.StdArc(0, 0, 0.0, 0))
    return graph


def planted(pdfs: list[int], strength: float = 5.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(0, noise, (len(pdfs), N_PDFS)).astype(np.float32)
    scores[np.arange(len(pdfs)), pdfs] += strength
    return scores


def searcher(graph: kaldifst.StdVectorFst | None = None, beam: float = 50.0, max_active: int = 1000) -> GraphSearch:
    return GraphSearch(graph or word_loop(), PDF, WORDS, beam, max_active)


def slow_best_cost(graph: kaldifst.StdVectorFst, scores: np.ndarray) -> float:
    """Viterbi over every state of the graph, epsilons relaxed until nothing changes."""
    arcs = [(s, a.ilabel, float(str(a.weight)), a.nextstate) for s in kaldifst.StateIterator(graph) for a in kaldifst.ArcIterator(graph, s)]
    cost = np.full(graph.num_states, np.inf)
    cost[graph.start] = 0
    for frame in [*scores, None]:
        for _ in range(graph.num_states):
            for source, label, weight, target in arcs:
                if not label:
                    cost[target] = min(cost[target], cost[source] + weight)
        if frame is not None:
            following = np.full(graph.num_states, np.inf)
            for source, label, weight, target in arcs:
                if label:
                    following[target] = min(following[target], cost[source] + weight - frame[PDF[label]])
            cost = following
    return float(cost[0])


def test_planted_words_frames_and_costs_come_back() -> None:
    pdfs = [0, 0, 1, 1, 2, 0, 3, 4, 4, 4, 1, 2, 5]
    found = searcher(word_loop(0.5)).decode(planted(pdfs))
    assert found.words == ("<sil>", "go", "<sil>", "up", "gown")
    assert [int(PDF[t]) for t in found.transition_ids] == pdfs
    assert found.complete
    assert found.graph_cost == pytest.approx(5 * 0.5) and found.acoustic_cost == pytest.approx(-5.0 * len(pdfs))
    assert found.cost == pytest.approx(2.5 - 65)


@pytest.mark.parametrize("seed", range(5))
def test_cost_is_that_of_an_exhaustive_search(seed: int) -> None:
    graph, scores = word_loop(0.7), planted([0, 1, 1, 2, 3, 4, 4, 0], 1.0, 1.5, seed)
    assert searcher(graph).decode(scores).cost == pytest.approx(slow_best_cost(graph, scores), abs=1e-3)


def test_best_path_is_that_of_the_lattice_decoder() -> None:
    graph = word_loop(0.7)
    model = one_state_phones(N_PDFS)
    options = khg.LatticeFasterDecoderConfig(beam=12.0, max_active=1000, determinize_lattice=False)
    for seed in range(10):
        scores = planted([0, 1, 1, 2, 3, 4, 4, 0, 1, 2, 5], 1.0, 1.5, seed)
        decodable = khg.DecodableCtc(np.ascontiguousarray(scores[:, PDF[1:]]))
        decoder = khg.LatticeFasterDecoder(graph, options)
        _, alignment, words, likelihood = khg.decode_utterance_lattice_faster(decoder, decodable, model, "u", True)
        found = searcher(graph, beam=12.0).decode(scores)
        assert [WORDS[w] for w in found.words] == list(words) and list(found.transition_ids) == list(alignment)
        assert found.cost == pytest.approx(-likelihood, abs=1e-3)


def one_state_phones(n_phones: int) -> khg.TransitionModel:
    phones = list(range(1, n_phones + 1))
    topology = khg.HmmTopology()
    states = "<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.5 </State>\n<State> 1 </State>"
    topology.read(f"<Topology>\n<TopologyEntry>\n<ForPhones>\n{' '.join(map(str, phones))}\n</ForPhones>\n{states}\n</TopologyEntry>\n</Topology>\n")
    return khg.TransitionModel(ctx_dep=khg.monophone_context_dependency(phones, [1] * (n_phones + 1)), hmm_topo=topology)


def test_a_word_cut_short_gives_a_partial_hypothesis() -> None:
    found = searcher(word_loop(words=("gown",))).decode(planted([1, 2]))
    assert not found.complete
    assert found.words == ("gown",)
    assert [int(PDF[t]) for t in found.transition_ids] == [1, 2]


def test_penalty_reduces_insertions_and_spares_silence() -> None:
    graph, scores = word_loop(), planted([0, 1, 2, 3, 4, 1, 2, 3, 4, 0], 0.8, 1.0, seed=2)
    n_words = [len(searcher(with_insertion_penalty(graph, WORDS, p, free=("<sil>",))).decode(scores).words) for p in (-4.0, 0.0, 2.0, 8.0)]
    assert n_words == sorted(n_words, reverse=True) and n_words[0] > n_words[-1]
    charged = searcher(with_insertion_penalty(graph, WORDS, 1.5, free=("<sil>",))).decode(planted([0, 1, 2, 0, 3, 4], 20.0))
    assert charged.words == ("<sil>", "go", "<sil>", "up") and charged.graph_cost == pytest.approx(3.0)
    assert searcher(graph).decode(planted([1, 2], 20.0)).graph_cost == 0.0


def test_graph_may_be_freed_after_construction() -> None:
    search = searcher(word_loop())
    assert [search.decode(planted([1, 2, 0])).words for _ in range(3)] == [("go", "<sil>")] * 3


def test_misfits_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"scores \(4, 5\) for a graph of 6 pdfs"):
        searcher().decode(np.zeros((4, 5), np.float32))
    with pytest.raises(ShapeError, match=r"scores \(0, 6\)"):
        searcher().decode(np.zeros((0, 6), np.float32))
    with pytest.raises(ShapeError, match="2 scores are not finite .*NaN"):
        searcher().decode(np.array([[0, 0, 0, 0, np.nan, np.inf]], np.float32))
    with pytest.raises(ShapeError, match="transition-id 12 of 10 and 1 unknown words"):
        GraphSearch(word_loop(), PDF[:-2], {"<eps>": 0, "<sil>": 1, "go": 2, "up": 3}, 10.0, 100)
