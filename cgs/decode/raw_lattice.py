"""A raw lattice: every path that a search kept, one state for each graph state and frame.

Owns its best path. States are numbered so that every arc leads to a higher one."""

from __future__ import annotations

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
