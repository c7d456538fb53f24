"""A recogniser that looks at lattices: several passes over each utterance, with confidences.

Owns the order of the passes: the best path, another language model, minimum Bayes risk."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cgs.decode.determinise import word_lattice
from cgs.decode.lattice_search import LatticeSearch
from cgs.decode.mbr import BayesRisk, LatticeDistance, minimum_bayes_risk
from cgs.decode.raw_lattice import RawLattice
from cgs.decode.recogniser import Recogniser
from cgs.decode.rescoring import LanguageModels
from cgs.decode.search import Hypothesis
from cgs.decode.word_lattice import Path, WordLattice
from cgs.gmm.segments import Segment, ctm_lines
from cgs.lang.ngram import Ngram

BEST_PATH, RESCORED, BAYES = "best_path", "rescored", "mbr"


@dataclass(frozen=True)
class Found:
    """What the passes found in one utterance.

    Args:
        passes: {pass: words}, silence left out; the last pass is the outcome.
        lattice: as the last language model sees it, its costs as in the search; None where no path survived.
        raw: what it was made from.
        network: places and confidences around the outcome.
    """

    passes: dict[str, tuple[str, ...]]
    lattice: WordLattice | None
    raw: RawLattice | None
    network: BayesRisk | None

    @property
    def words(self) -> tuple[str, ...]:
        """The outcome."""
        return self.passes[list(self.passes)[-1]]

    @property
    def complete(self) -> bool:
        """True where some path reached the end of the graph."""
        return self.lattice is not None and self.lattice.complete


class LatticeRecogniser:
    """Search for lattices, with the passes that follow.

    Args:
        recogniser: gives the graph, without insertion penalty, and the limits of the search.
        search_scale: weight of the log-likelihoods in the search, whatever they weigh in the passes.
        lattice_beam: word sequences that are worse than the best by no more than this are kept.
        mbr: end with minimum Bayes risk.
        models: (the graph's n-grams, those that replace them), or None.
    """

    def __init__(
        self, recogniser: Recogniser, search_scale: float, lattice_beam: float, mbr: bool = False, models: tuple[Ngram, Ngram] | None = None
    ) -> None:
        self._recogniser, self.search_scale, self.beam, self._mbr = recogniser, search_scale, lattice_beam, mbr
        self._free, self._names = recogniser.silence_words, recogniser.word_names
        self.word_ids = {word: index for index, word in self._names.items()}
        search = recogniser.search
        limits = (search.options.beam, search.options.max_active, search.options.min_active)
        self._search = LatticeSearch(search.graph, search.pdf, *limits, lattice_beam)
        self._models = LanguageModels(*models, self._names, self._free) if models else None

    def lattices(self, likelihoods: np.ndarray) -> tuple[RawLattice, WordLattice] | None:
        """The raw lattice and the word lattice of (T, P) log-likelihoods, before any other pass; None where no path survives."""
        scores = likelihoods * np.float32(self.search_scale)
        self._recogniser.search.check(scores)
        raw = self._search.search(scores)
        return (raw, word_lattice(raw, self.beam)) if raw is not None else None

    def decode(self, likelihoods: np.ndarray, scale: float, penalty: float) -> Found:
        """All passes over one utterance, its log-likelihoods weighted by `scale` and each word costing `penalty` more."""
        found = self.lattices(likelihoods)
        if found is None:
            return Found({name: () for name in self.pass_names}, None, None, None)
        raw, first = found
        lattice = self.rescored(first)
        passes = {BEST_PATH: self._best(self._weighted(first, scale, penalty))}
        weighted = self._weighted(lattice, scale, penalty)
        if self._models:
            passes[RESCORED] = self._best(weighted)
        if self._mbr:
            network = minimum_bayes_risk(weighted, self._free)
            passes[BAYES] = network.words
        else:
            network = LatticeDistance(weighted, self._free).decode(list(passes.values())[-1])
        return Found({name: self._spell(words) for name, words in passes.items()}, lattice, raw, network)

    @property
    def silence_words(self) -> frozenset[int]:
        """Word ids that stand for no speech."""
        return self._free

    @property
    def word_names(self) -> dict[int, str]:
        """{word id: word}."""
        return self._names

    @property
    def pass_names(self) -> list[str]:
        """Passes, in order."""
        return [BEST_PATH, *([RESCORED] if self._models else []), *([BAYES] if self._mbr else [])]

    def rescored(self, lattice: WordLattice) -> WordLattice:
        """The lattice as the last language model sees it."""
        return self._models.rescored(lattice) if self._models else lattice

    def n_best(self, found: Found, scale: float, penalty: float, n: int) -> list[Path]:
        """The n best word sequences of an utterance, or as many as there are, best first, without silence, their costs weighted as in `decode`."""
        if found.lattice is None:
            return []
        best: dict[tuple[int, ...], Path] = {}
        for path in self._weighted(found.lattice, scale, penalty).paths():
            if len(best) == n:
                break
            said = tuple(word for word in path.words if word not in self._free)
            best.setdefault(said, replace(path, words=said))
        return list(best.values())

    def outcome(self, lattice: WordLattice, scale: float, penalty: float) -> tuple[str, ...]:
        """What `decode` ends with, from a lattice that is rescored already."""
        weighted = self._weighted(lattice, scale, penalty)
        return self._spell(minimum_bayes_risk(weighted, self._free).words if self._mbr else self._best(weighted))

    def _weighted(self, lattice: WordLattice, scale: float, penalty: float) -> WordLattice:
        return lattice.weighted(scale / self.search_scale, penalty, self._free).pruned(self.beam)

    def ctm(self, utterance: str, found: Found, rate: float = 1.0) -> list[str]:
        """CTM lines with confidences: times of the best path that says the words or, where none does, averages over the lattice."""
        if found.lattice is None or found.raw is None or found.network is None or not found.complete:
            return []
        words = tuple(self.word_ids[word] for word in found.words)
        confidences, times = self._told(found.network, words)
        path = found.raw.path_of(words, self._free)
        if path is None:
            segments = [Segment(word, round(begin), max(round(begin) + 1, round(end))) for word, (begin, end) in zip(words, times, strict=True)]
            return ctm_lines(utterance, segments, self._names, self._recogniser.frame_shift / rate, confidences)
        said = tuple(self._names[int(word)] for word in found.raw.word[path] if word)
        ids = tuple(int(tid) for tid in found.raw.transition_id[path] if tid)
        return self._recogniser.ctm(utterance, Hypothesis(said, ids, 0.0, 0.0, True), confidences, rate)

    def _told(self, network: BayesRisk, words: tuple[int, ...]) -> tuple[list[float], list[tuple[float, float]]]:
        """Confidence and times of the outcome's words: in their own places, or in those of the words the network ends with."""
        if network.words == words:
            return list(network.confidence), list(network.times)
        places = network.bins[1::2]
        return [place.posterior[word] for place, word in zip(places, words, strict=True)], [p.times[w] for p, w in zip(places, words, strict=True)]

    def _best(self, lattice: WordLattice) -> tuple[int, ...]:
        return tuple(word for word in lattice.best().words if word not in self._free)

    def _spell(self, words: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self._names[word] for word in words)
