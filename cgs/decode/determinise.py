"""From a raw lattice to a word lattice: each word sequence once, with the costs of its best path.

Owns the removal of arcs without words and the subset construction."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from cgs.decode.raw_lattice import RawLattice
from cgs.decode.word_lattice import WordLattice

MAX_STATES = 20_000
"""States of a word lattice, at most; the best ones are made first, so that a larger lattice ends up with a narrower beam."""
RESOLUTION = 1e-5
"""Costs closer than this are equal where states are told apart."""


@dataclass(frozen=True)
class WordArcs:
    """Ways from one word to the next: from the start or from behind a word (an origin), over arcs without words, through a word.

    Args:
        first: (O + 1,) where the ways of each of O origins begin; origin 0 is the start, and the last one stands for the end.
        word: (E,) word ids; 0 into the end.
        target: (E,) origin behind the word.
        graph, acoustic: (E,) costs.
        beta: (O,) cost of the best path from each origin to the end.
        frame: (O,) frames read there.
    """

    first: np.ndarray
    word: np.ndarray
    target: np.ndarray
    graph: np.ndarray
    acoustic: np.ndarray
    beta: np.ndarray
    frame: np.ndarray


def word_lattice(raw: RawLattice, beam: float, max_states: int = MAX_STATES) -> WordLattice:
    """Determinise.

    Args:
        raw: a raw lattice, pruned to at least `beam`.
        beam: word sequences that are worse than the best by more than this may be missing, and are as far as pruning can tell.
        max_states: states of the outcome, at most; `WordLattice.beam` says what beam that has left.
    Returns: a deterministic acceptor; every word sequence within the beam has the graph and the acoustic cost of its best path.
    Source: Povey and others 2012, section 4. Differs: words only, so that no alignment is kept; states are made in the order of
        the best path through them.
    """
    arcs = word_arcs(raw, beam)
    subsets = _Subsets(arcs, beam)
    reached = subsets.expand(max_states)
    return subsets.lattice(int(raw.frame[-1]), raw.complete, reached).pruned(reached)


def word_arcs(raw: RawLattice, beam: float) -> WordArcs:
    """The ways from word to word that lie on a path within `beam` of the best."""
    limit = raw.beta[0] + beam + 1e-9 * abs(raw.beta[0])
    states = np.unique(np.append(raw.target[raw.word > 0], 0))
    n_origins = len(states)
    origin_of = np.full(len(raw.frame), -1)
    origin_of[states] = np.arange(n_origins)
    pairs = _Pairs(raw, states, origin_of, limit)
    spoken = np.flatnonzero(raw.word > 0)
    which, pair = pairs.of(raw.source[spoken])
    arc = spoken[which]
    ends = np.flatnonzero(np.isfinite(raw.final))
    which_end, pair_end = pairs.of(ends)
    source = np.concatenate([pairs.origin[pair], pairs.origin[pair_end]])
    target = np.concatenate([origin_of[raw.target[arc]], np.full(len(pair_end), n_origins)])
    word = np.concatenate([raw.word[arc], np.zeros(len(pair_end), dtype=np.int32)])
    graph = np.concatenate([pairs.graph[pair] + raw.graph[arc], pairs.graph[pair_end] + raw.final[ends[which_end]]])
    acoustic = np.concatenate([pairs.acoustic[pair] + raw.acoustic[arc], pairs.acoustic[pair_end]])
    beta = np.append(raw.beta[states], 0.0)
    total = graph + acoustic
    near = raw.alpha[states][source] + total + beta[target] <= limit
    order = np.flatnonzero(near)[np.lexsort((total[near], target[near], word[near], source[near]))]
    best = order[_first_of((source[order], word[order], target[order]))]
    first = np.searchsorted(source[best], np.arange(n_origins + 2))
    return WordArcs(first, word[best], target[best], graph[best], acoustic[best], beta, np.append(raw.frame[states], raw.frame[-1]))


class _Pairs:
    """The cheapest way from each origin to each state that it reaches over arcs without words."""

    def __init__(self, raw: RawLattice, states: np.ndarray, origin_of: np.ndarray, limit: float) -> None:
        self._first = np.zeros(len(raw.frame), dtype=np.int64)
        self._count = np.zeros(len(raw.frame), dtype=np.int64)
        capacity = 4 * len(raw.frame) + 16
        self.origin, self.graph, self.acoustic = np.zeros(capacity, dtype=np.int64), np.zeros(capacity), np.zeros(capacity)
        self._raw, self._alpha, self._limit, self._n = raw, raw.alpha[states], limit, 0
        silent = np.flatnonzero(raw.word == 0)
        silent = silent[np.argsort(raw.level[raw.target[silent]], kind="stable")]
        n_levels = int(raw.level[-1]) + 1
        arcs_of = np.searchsorted(raw.level[raw.target[silent]], np.arange(n_levels + 1))
        origins_of = np.searchsorted(raw.level[states], np.arange(n_levels + 1))
        for level in range(n_levels):
            fresh = states[origins_of[level] : origins_of[level + 1]]
            self._add(fresh, origin_of[fresh], silent[arcs_of[level] : arcs_of[level + 1]])

    def of(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index into `states`, pair) of all pairs of some states."""
        counts = self._count[states]
        ends = np.cumsum(counts)
        which = np.repeat(np.arange(len(states)), counts)
        return which, np.arange(len(which)) + (self._first[states] - ends + counts)[which]

    def _add(self, fresh: np.ndarray, origins: np.ndarray, arcs: np.ndarray) -> None:
        """The pairs of one level: its origins themselves, and what comes over arcs from lower levels."""
        raw = self._raw
        which, pair = self.of(raw.source[arcs])
        arc = arcs[which]
        nothing = np.zeros(len(fresh))
        state, origin = np.concatenate([fresh, raw.target[arc]]), np.concatenate([origins, self.origin[pair]])
        graph = np.concatenate([nothing, self.graph[pair] + raw.graph[arc]])
        acoustic = np.concatenate([nothing, self.acoustic[pair] + raw.acoustic[arc]])
        total = graph + acoustic
        near = np.flatnonzero(self._alpha[origin] + total + raw.beta[state] <= self._limit)
        order = near[np.lexsort((total[near], origin[near], state[near]))]
        best = order[_first_of((state[order], origin[order]))]
        end = self._n + len(best)
        while end > len(self.origin):
            self.origin, self.graph, self.acoustic = (np.concatenate([column, np.zeros_like(column)]) for column in (self.origin, self.graph, self.acoustic))
        self.origin[self._n : end], self.graph[self._n : end], self.acoustic[self._n : end] = origin[best], graph[best], acoustic[best]
        begins = np.flatnonzero(_first_of((state[best],)))
        self._first[state[best][begins]] = self._n + begins
        self._count[state[best][begins]] = np.diff(np.append(begins, len(best)))
        self._n = end


class _Subsets:
    """States of the word lattice: sets of origins, each with what its path costs more than the cheapest of the set."""

    def __init__(self, arcs: WordArcs, beam: float) -> None:
        self._arcs, self._beam, self._end = arcs, beam, len(arcs.first) - 2
        self._number: dict[bytes, int] = {}
        self._members: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._lowest: list[int] = []
        self._frame: list[int] = []
        self._queue: list[tuple[float, int, float]] = []
        self._made: list[tuple[int, int, int, float, float]] = []
        self._final: dict[int, tuple[float, float]] = {}
        self._state(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1))
        heapq.heappush(self._queue, (float(arcs.beta[0]), 0, 0.0))

    def expand(self, max_states: int) -> float:
        """Make states, best first; returns the beam that all of them have."""
        best = float(self._arcs.beta[0])
        done: set[int] = set()
        while self._queue:
            total, state, spent = heapq.heappop(self._queue)
            if state in done:
                continue
            if len(done) == max_states:
                return total - best
            done.add(state)
            self._leave(state, spent, best + self._beam + 1e-9 * abs(best))
        return self._beam

    def _leave(self, state: int, spent: float, limit: float) -> None:
        """The arcs of a state to which the best path costs `spent`."""
        arcs, (members, more_graph, more_acoustic) = self._arcs, self._members[state]
        counts = arcs.first[members + 1] - arcs.first[members]
        which = np.repeat(np.arange(len(members)), counts)
        way = np.arange(len(which)) + (arcs.first[members] - np.cumsum(counts) + counts)[which]
        word, target = arcs.word[way], arcs.target[way]
        graph, acoustic = more_graph[which] + arcs.graph[way], more_acoustic[which] + arcs.acoustic[way]
        total = graph + acoustic
        order = np.lexsort((total, target, word))
        order = order[_first_of((word[order], target[order]))]
        begins = np.flatnonzero(_first_of((word[order],)))
        to_end = (total + arcs.beta[target])[order]
        nearest = np.minimum.reduceat(to_end, begins) if len(begins) else np.zeros(0)
        for begin, end, near in zip(begins.tolist(), [*begins[1:].tolist(), len(order)], nearest.tolist(), strict=True):
            if spent + near > limit:
                continue
            group = order[begin:end]
            if not word[group[0]]:
                self._final[state] = (float(graph[group[0]]), float(acoustic[group[0]]))
                continue
            group = group[to_end[begin:end] <= near + self._beam]
            cheapest = group[np.argmin(total[group])]
            arc_graph, arc_acoustic = float(graph[cheapest]), float(acoustic[cheapest])
            reached = self._state(target[group], graph[group] - arc_graph, acoustic[group] - arc_acoustic)
            self._made.append((state, reached, int(word[cheapest]), arc_graph, arc_acoustic))
            heapq.heappush(self._queue, (spent + near, reached, spent + arc_graph + arc_acoustic))

    def _state(self, members: np.ndarray, graph: np.ndarray, acoustic: np.ndarray) -> int:
        key = members.tobytes() + np.rint(np.stack([graph, acoustic]) / RESOLUTION).astype(np.int64).tobytes()
        number = self._number.setdefault(key, len(self._members))
        if number == len(self._members):
            self._members.append((members, graph, acoustic))
            self._lowest.append(int(members.min()))
            self._frame.append(int(self._arcs.frame[members[np.argmin(graph + acoustic + self._arcs.beta[members])]]))
        return number

    def lattice(self, n_frames: int, complete: bool, beam: float) -> WordLattice:
        """What was made, states in the order of their first origins, which every arc raises."""
        order = np.argsort(self._lowest, kind="stable")
        number = np.empty(len(order), dtype=np.int64)
        number[order] = np.arange(len(order))
        finals = np.full((2, len(order)), np.inf)
        for state, costs in self._final.items():
            finals[:, number[state]] = costs
        source, target, word, graph, acoustic = (np.array(column) for column in zip(*self._made, strict=True)) if self._made else (np.zeros(0),) * 5
        source, target = number[source.astype(np.int64)], number[target.astype(np.int64)]
        sort = np.argsort(source, kind="stable")
        columns = (source[sort], target[sort], word[sort].astype(np.int32), graph[sort].astype(np.float64), acoustic[sort].astype(np.float64))
        return WordLattice(np.array(self._frame, dtype=np.int32)[order], *columns, finals[0], finals[1], n_frames, beam, complete)


def _first_of(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """True where a row of sorted columns differs from the row before."""
    differs = np.zeros(len(columns[0]), dtype=bool)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs
