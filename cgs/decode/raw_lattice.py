"""A raw lattice: every path that a search kept, one state for each graph state and frame.

Owns its best path. States are numbered so that every arc leads to a higher one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RawLattice:
    """S states, A arcs ordered by source state; every state lies on a path from state 0 to a final one.

    Args:
        frame: (S,) int32, frames read before the state.
        alpha: (S,) float64, cost of the best path to the state.
        beta: (S,) float64, cost of the best path from it to the end, final cost included.
        final: (S,) float64, graph cost of ending there; infinite where it is not final.
        level: (S,) int64, never falls from one state to the next; every arc leads to a state of a higher level.
        source, target: (A,) int64.
        transition_id: (A,) int32; 0 where the arc reads no frame.
        word: (A,) int32; 0 for none.
        graph, acoustic: (A,) float64, costs.
        complete: False where no path reached a final state of the graph; every state of the last frame then is final, at no cost.
    """

    frame: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    final: np.ndarray
    level: np.ndarray
    source: np.ndarray
    target: np.ndarray
    transition_id: np.ndarray
    word: np.ndarray
    graph: np.ndarray
    acoustic: np.ndarray
    complete: bool

    @property
    def first(self) -> np.ndarray:
        """(S + 1,) where the arcs of each state begin."""
        return np.searchsorted(self.source, np.arange(len(self.frame) + 1))

    def best_path(self) -> np.ndarray:
        """Arcs of the best path, in order."""
        cost, first = self.graph + self.acoustic + self.beta[self.target], self.first
        state, path = 0, []
        while first[state] < first[state + 1]:
            leaving = slice(first[state], first[state + 1])
            best = int(np.argmin(cost[leaving])) + leaving.start
            if self.final[state] < cost[best]:
                break
            path.append(best)
            state = int(self.target[best])
        return np.array(path, dtype=np.int64)

    def path_of(self, words: Sequence[int], free: Collection[int] = ()) -> np.ndarray | None:
        """Arcs of the best path that says these words, with any free words between them; None where there is none."""
        known = np.asarray(words, dtype=np.int64)
        n_words, cost = len(known), self.graph + self.acoustic
        best = np.full((len(self.frame), n_words + 1), np.inf)
        best[np.isfinite(self.final), n_words] = self.final[np.isfinite(self.final)]
        silent = (self.word == 0) | np.isin(self.word, list(free))
        order = np.argsort(self.level[self.source], kind="stable")
        for arcs in np.split(order, np.flatnonzero(np.diff(self.level[self.source[order]])) + 1)[::-1]:
            np.minimum.at(best, self.source[arcs], self._onwards(arcs, known, silent, cost, best))
        return self._trace(known, silent, cost, best) if np.isfinite(best[0, 0]) else None

    def _onwards(self, arcs: np.ndarray, words: np.ndarray, silent: np.ndarray, cost: np.ndarray, best: np.ndarray) -> np.ndarray:
        """(K, n_words + 1) cost of saying the rest of the words by way of some arcs, for each number of words said."""
        after = best[self.target[arcs]]
        reached = np.where(silent[arcs, None], after, np.inf)
        said = np.where(self.word[arcs, None] == words, after[:, 1:], np.inf)
        reached[:, :-1] = np.minimum(reached[:, :-1], said)
        return reached + cost[arcs, None]

    def _trace(self, words: np.ndarray, silent: np.ndarray, cost: np.ndarray, best: np.ndarray) -> np.ndarray:
        state, n_said, path, first = 0, 0, [], self.first
        while n_said < len(words) or not np.isfinite(self.final[state]) or best[state, n_said] < self.final[state]:
            arcs = np.arange(first[state], first[state + 1])
            path.append(int(arcs[np.argmin(self._onwards(arcs, words, silent, cost, best)[:, n_said])]))
            state, n_said = int(self.target[path[-1]]), n_said + int(not silent[path[-1]])
        return np.array(path, dtype=np.int64)
