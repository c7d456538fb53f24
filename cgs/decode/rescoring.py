"""Another language model's costs in a word lattice, in place of those of the graph that it was made with."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from cgs.decode.word_lattice import WordLattice
from cgs.lang.ngram import Gram, Ngram
from cgs.lang.tables import BEGIN, END

RESCORING_BEAM = 6.0
"""Lattice beam where there is a model to rescore with and the recipe names no beam."""


@dataclass(frozen=True)
class LanguageModels:
    """What the graph was made with, and what is to count.

    Args:
        old, new: n-grams over the same words.
        names: {word id: word}.
        free: words that neither model predicts, e.g. silence.
    """

    old: Ngram
    new: Ngram
    names: dict[int, str]
    free: Collection[int] = ()

    def rescored(self, lattice: WordLattice) -> WordLattice:
        """The lattice with the new model's costs, states told apart by as many words before them as either model sees.

        A word that the new model lacks, as one from outside may, keeps its old cost.
        Raises: DataError: a word of the lattice that the old model lacks.
        Source: Kaldi's lattice-lmrescore-const-arpa. Differs: the old costs are the model's probabilities too, not the cheapest way
            through its G, which may back off where it need not.
        """
        first, target, word = lattice.first.tolist(), lattice.target.tolist(), lattice.word.tolist()
        contexts: list[dict[Gram, int]] = [{} for _ in lattice.frame]
        contexts[0][(BEGIN,)] = 0
        origin, arcs, more, ends = [0], [], [], []
        for state in range(len(lattice.frame)):
            for context in contexts[state]:
                for arc in range(first[state], first[state + 1]):
                    following, cost = self._step(word[arc], context)
                    reached = contexts[target[arc]].setdefault(following, len(origin))
                    if reached == len(origin):
                        origin.append(target[arc])
                    arcs.append((contexts[state][context], reached, arc))
                    more.append(cost)
                if math.isfinite(lattice.final[state]):
                    ends.append((contexts[state][context], self._difference(END, context)))
        return _rebuilt(lattice, np.array(origin), np.array(arcs, dtype=np.int64).reshape(-1, 3), np.array(more), ends)

    def _step(self, word: int, context: Gram) -> tuple[Gram, float]:
        """The context after a word, and what the word costs more."""
        if word in self.free:
            return context, 0.0
        length = max(self.old.order, self.new.order) - 1
        following = (*context, self.names[word])
        return following[len(following) - length :] if len(following) > length else following, self._difference(self.names[word], context)

    def _difference(self, word: str, context: Gram) -> float:
        if (word,) not in self.new.log10:
            return 0.0
        return math.log(10) * (self.old.log10_of(word, context) - self.new.log10_of(word, context))


def _rebuilt(lattice: WordLattice, origin: np.ndarray, arcs: np.ndarray, more: np.ndarray, ends: list[tuple[int, float]]) -> WordLattice:
    """A lattice whose states stand for states of another, in an order that arcs raise."""
    order = np.argsort(origin, kind="stable")
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    sort = np.argsort(number[arcs[:, 0]], kind="stable")
    source, target, old = number[arcs[sort, 0]], number[arcs[sort, 1]], arcs[sort, 2]
    final_graph = np.full(len(order), np.inf)
    final_acoustic = final_graph.copy()
    for state, cost in ends:
        final_graph[number[state]] = lattice.final_graph[origin[state]] + cost
        final_acoustic[number[state]] = lattice.final_acoustic[origin[state]]
    graph, acoustic = lattice.graph[old] + more[sort], lattice.acoustic[old]
    columns = (source, target, lattice.word[old], graph, acoustic, final_graph, final_acoustic)
    return WordLattice(lattice.frame[origin[order]], *columns, lattice.n_frames, lattice.beam, lattice.complete)
