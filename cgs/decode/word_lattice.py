"""A word lattice: the word sequences of an utterance that a search found likely, each with its best graph and acoustic cost.

Owns the lattice and what is summed or minimised over its paths. Lattices are deterministic: each word sequence is one path."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Path:
    """A path.

    Args:
        words: word ids.
        graph, acoustic: its costs.
    """

    words: tuple[int, ...]
    graph: float
    acoustic: float

    @property
    def cost(self) -> float:
        """Total cost."""
        return self.graph + self.acoustic


@dataclass(frozen=True)
class WordLattice:
    """N states, of which 0 starts; A arcs, each to a higher state, ordered by source.

    Args:
        frame: (N,) int32, frames read when the word into the state was told, on the best path through it.
        source, target: (A,) int64.
        word: (A,) int32, word ids.
        graph, acoustic: (A,) float64, costs as natural logarithms.
        final_graph, final_acoustic: (N,) float64, costs of ending; infinite where the state is not final.
        n_frames: of the utterance.
        beam: every word sequence that is worse than the best by no more than this is there.
        complete: False where no path reached the end of the graph.
    """

    frame: np.ndarray
    source: np.ndarray
    target: np.ndarray
    word: np.ndarray
    graph: np.ndarray
    acoustic: np.ndarray
    final_graph: np.ndarray
    final_acoustic: np.ndarray
    n_frames: int
    beam: float
    complete: bool = True

    @property
    def cost(self) -> np.ndarray:
        """(A,) total cost of each arc."""
        return self.graph + self.acoustic

    @property
    def final(self) -> np.ndarray:
        """(N,) total cost of ending in each state."""
        return self.final_graph + self.final_acoustic

    @cached_property
    def first(self) -> np.ndarray:
        """(N + 1,) where the arcs of each state begin."""
        return np.searchsorted(self.source, np.arange(len(self.frame) + 1))

    @cached_property
    def levels(self) -> list[np.ndarray]:
        """Arcs in groups: those of a group end in states that no earlier group leaves from, and start in states that all arcs have reached."""
        level = np.zeros(len(self.frame), dtype=np.int64)
        for source, target in zip(self.source.tolist(), self.target.tolist(), strict=True):
            level[target] = max(level[target], level[source] + 1)
        reached = level[self.target]
        order = np.argsort(reached, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(reached[order])) + 1) if len(order) else []

    def forward(self) -> np.ndarray:
        """(N,) cost of the best path to each state."""
        alpha, cost = np.full(len(self.frame), np.inf), self.cost
        alpha[0] = 0.0
        for arcs in self.levels:
            np.minimum.at(alpha, self.target[arcs], alpha[self.source[arcs]] + cost[arcs])
        return alpha

    def backward(self) -> np.ndarray:
        """(N,) cost of the best path from each state to the end."""
        beta, cost = self.final.copy(), self.cost
        for arcs in self.levels[::-1]:
            np.minimum.at(beta, self.source[arcs], cost[arcs] + beta[self.target[arcs]])
        return beta

    def log_forward(self) -> np.ndarray:
        """(N,) logarithm of the summed probability of all paths to each state."""
        alpha, cost = np.full(len(self.frame), -np.inf), self.cost
        alpha[0] = 0.0
        for arcs in self.levels:
            np.logaddexp.at(alpha, self.target[arcs], alpha[self.source[arcs]] - cost[arcs])
        return alpha

    def weighted(self, acoustic: float = 1.0, penalty: float = 0.0, free: Collection[int] = ()) -> WordLattice:
        """The lattice with its acoustic costs times a factor, and a cost added to every word that is not free."""
        charged = penalty * ~np.isin(self.word, list(free))
        return replace(self, graph=self.graph + charged, acoustic=acoustic * self.acoustic, final_acoustic=acoustic * self.final_acoustic)

    def pruned(self, beam: float) -> WordLattice:
        """The lattice without arcs and ends on no path within `beam` of the best, nor states left without any."""
        alpha, beta = self.forward(), self.backward()
        limit = beta[0] + beam + 1e-9 * abs(beta[0])
        kept = alpha[self.source] + self.cost + beta[self.target] <= limit
        ends = alpha + self.final <= limit
        alive = alpha + beta <= limit
        number = np.cumsum(alive) - 1
        columns = {name: getattr(self, name)[kept] for name in ("word", "graph", "acoustic")}
        finals = {name: np.where(ends, getattr(self, name), np.inf)[alive] for name in ("final_graph", "final_acoustic")}
        arcs = {"source": number[self.source[kept]], "target": number[self.target[kept]]}
        return replace(self, frame=self.frame[alive], beam=min(beam, self.beam), **arcs, **columns, **finals)

    def paths(self) -> Iterator[Path]:
        """Every path, best first."""
        beta, cost, final = self.backward(), self.cost.tolist(), self.final
        first, target = self.first.tolist(), self.target.tolist()
        serial = 0
        queue: list[tuple[float, int, float, int, tuple]] = [(float(beta[0]), serial, 0.0, 0, ())]
        while queue:
            total, _, spent, state, arcs = heapq.heappop(queue)
            if not np.isfinite(total):
                return
            if state < 0:
                yield self._path(arcs, ~state)
                continue
            followers = [(spent + cost[arc], target[arc], (arcs, arc)) for arc in range(first[state], first[state + 1])]
            followers += [(spent + float(final[state]), ~state, arcs)]
            for reached, place, through in followers:
                serial += 1
                heapq.heappush(queue, (reached + (float(beta[place]) if place >= 0 else 0.0), serial, reached, place, through))

    def best(self) -> Path:
        """The best path."""
        return next(self.paths())

    def density(self) -> float:
        """Words of the lattice that a frame lies in, on average. Source: Kaldi's lattice-depth."""
        ends = np.isfinite(self.final)
        spans = np.maximum(self.frame[self.target] - self.frame[self.source], 0).sum() + (self.n_frames - self.frame[ends]).sum()
        return float(spans) / self.n_frames

    def _path(self, arcs: tuple, state: int) -> Path:
        path: list[int] = []
        while arcs:
            arcs, arc = arcs
            path.append(arc)
        chosen = path[::-1]
        graph, acoustic = float(self.graph[chosen].sum()), float(self.acoustic[chosen].sum())
        return Path(tuple(int(w) for w in self.word[chosen]), graph + float(self.final_graph[state]), acoustic + float(self.final_acoustic[state]))
