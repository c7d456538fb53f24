"""Small random lattices, and what is true of them found by listing every path."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from cgs.decode.raw_lattice import RawLattice
from cgs.decode.word_lattice import Path, WordLattice


def raw_lattice(n_states: int, arcs: list[tuple[int, int, int, float, float]], final: dict[int, float]) -> RawLattice:
    """From (source, target, word, graph cost, acoustic cost); states that lead nowhere are taken out."""
    alpha, beta = np.full(n_states, np.inf), np.full(n_states, np.inf)
    alpha[0] = 0
    for state, cost in final.items():
        beta[state] = cost
    for source, target, _, graph, acoustic in sorted(arcs):
        alpha[target] = min(alpha[target], alpha[source] + graph + acoustic)
    for source, target, _, graph, acoustic in sorted(arcs, reverse=True):
        beta[source] = min(beta[source], graph + acoustic + beta[target])
    alive = np.isfinite(alpha) & np.isfinite(beta)
    number = np.cumsum(alive) - 1
    kept = sorted(arc for arc in arcs if alive[arc[0]] and alive[arc[1]])
    source, target, word, graph, acoustic = (np.array(column) for column in zip(*kept, strict=True)) if kept else (np.zeros(0),) * 5
    ends = np.full(n_states, np.inf)
    ends[list(final)] = list(final.values())
    n_alive = int(alive.sum())
    labels = (np.zeros(len(kept), dtype=np.int32), word.astype(np.int32))
    places = (number[source.astype(int)], number[target.astype(int)])
    frames = np.arange(n_alive, dtype=np.int32)
    return RawLattice(frames, alpha[alive], beta[alive], ends[alive], np.arange(n_alive), *places, *labels, graph * 1.0, acoustic * 1.0, True)


@st.composite
def raw_lattices(draw: st.DrawFn, n_states: int = 7, n_words: int = 3) -> RawLattice:
    """Up to 14 arcs over some states, half of them without a word; several ways to say the same, equal costs included."""
    costs = st.integers(0, 12).map(lambda k: k / 4)
    pair = st.tuples(st.integers(0, n_states - 2), st.integers(1, n_states - 1)).filter(lambda p: p[0] < p[1])
    arcs = draw(st.lists(st.tuples(pair, st.integers(0, n_words), costs, costs), min_size=1, max_size=14))
    chain = [((s, s + 1), draw(st.integers(0, n_words)), draw(costs), draw(costs)) for s in range(n_states - 1)]
    final = {n_states - 1: draw(costs)} | draw(st.dictionaries(st.integers(1, n_states - 2), costs, max_size=2))
    return raw_lattice(n_states, [(*where, word, graph, acoustic) for where, word, graph, acoustic in [*arcs, *chain]], final)


def raw_paths(raw: RawLattice, state: int = 0) -> Iterator[Path]:
    """Every path of a raw lattice, words without epsilons."""
    if np.isfinite(raw.final[state]):
        yield Path((), float(raw.final[state]), 0.0)
    for arc in np.flatnonzero(raw.source == state):
        for rest in raw_paths(raw, int(raw.target[arc])):
            word = (int(raw.word[arc]),) if raw.word[arc] else ()
            yield Path(word + rest.words, raw.graph[arc] + rest.graph, raw.acoustic[arc] + rest.acoustic)


def best_of_each(paths: Iterator[Path]) -> dict[tuple[int, ...], float]:
    """{words: cost of the best path that says them}."""
    best: dict[tuple[int, ...], float] = {}
    for path in paths:
        best[path.words] = min(best.get(path.words, np.inf), path.cost)
    return best


def tree(sentences: dict[tuple[int, ...], float]) -> WordLattice:
    """A prefix tree of sentences with the given costs: no two paths share a state but the one where they part."""
    states: dict[tuple[int, ...], int] = {(): 0}
    for words in sorted(sentences):
        for end in range(1, len(words) + 1):
            states.setdefault(words[:end], len(states))
    order = sorted(states, key=lambda prefix: (len(prefix), prefix))
    number = {prefix: index for index, prefix in enumerate(order)}
    arcs = sorted((number[prefix[:-1]], number[prefix], prefix[-1]) for prefix in order if prefix)
    source, target, word = (np.array(column, dtype=np.int64) for column in zip(*arcs, strict=True)) if arcs else (np.zeros(0, dtype=np.int64),) * 3
    final = np.array([sentences.get(prefix, np.inf) for prefix in order])
    nothing = np.zeros(len(arcs))
    frame = np.array([len(prefix) for prefix in order], dtype=np.int32)
    return WordLattice(frame, source, target, word, nothing, nothing, final, np.where(np.isfinite(final), 0.0, np.inf), int(frame[-1]) + 1, 99.0)
