"""Minimum Bayes risk decoding: the words whose expected number of errors is smallest, each with a confidence.

Owns the edit distance between a lattice and a word sequence, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from cgs.decode.word_lattice import WordLattice

TIE_BREAK = 1e-5
"""An inserted word costs this much more than another error, so that of equal alignments the same one is always taken."""
MAX_PASSES = 20


@dataclass(frozen=True)
class Bin:
    """One place of the confusion network.

    Args:
        posterior: {word id: probability}, 0 for no word; sums to one.
        times: {word id: (begin, end)}, frames, averaged over the lattice; none for no word.
    """

    posterior: dict[int, float]
    times: dict[int, tuple[float, float]]

    def likeliest(self) -> int:
        """The word of the largest posterior, or 0."""
        return max(self.posterior, key=lambda word: (self.posterior[word], -word))


@dataclass(frozen=True)
class BayesRisk:
    """What minimum Bayes risk decoding found.

    Args:
        words: word ids.
        confidence: posterior of each word in its place.
        times: (begin, end) of each word, frames.
        risk: expected number of errors of the words.
        bins: the confusion network: places of words and, between them, of words left out.
    """

    words: tuple[int, ...]
    confidence: tuple[float, ...]
    times: tuple[tuple[float, float], ...]
    risk: float
    bins: tuple[Bin, ...]


def minimum_bayes_risk(lattice: WordLattice, free: Collection[int] = ()) -> BayesRisk:
    """Decode.

    Args:
        lattice: whose costs are negative logarithms of the paths' probabilities, up to a constant.
        free: words that do not count, e.g. silence.
    Returns: words from the best path on, improved until no place of the confusion network has a likelier word.
    Source: Xu, Povey, Mangu and Zhu, Computer Speech and Language 2011, section 4. Differs: arcs are taken in groups, not one by one.
    """
    distance = LatticeDistance(lattice, free)
    words = tuple(word for word in lattice.best().words if word not in free)
    found = distance.decode(words)
    for _ in range(MAX_PASSES):
        if found.words == words:
            break
        words = found.words
        found = distance.decode(words)
    return found


class LatticeDistance:
    """The expected edit distance between the paths of a lattice and a word sequence.

    Args:
        lattice, free: as for `minimum_bayes_risk`.
    """

    def __init__(self, lattice: WordLattice, free: Collection[int] = ()) -> None:
        n_states, ends = len(lattice.frame), np.flatnonzero(np.isfinite(lattice.final))
        alpha = lattice.log_forward()
        into_end = alpha[ends] - lattice.final[ends]
        self._source = np.concatenate([lattice.source, ends])
        self._target = np.concatenate([lattice.target, np.full(len(ends), n_states)])
        self._word = np.concatenate([np.where(np.isin(lattice.word, list(free)), 0, lattice.word), np.zeros(len(ends), dtype=np.int64)])
        inside = np.exp(alpha[lattice.source] - lattice.cost - alpha[lattice.target])
        self._share = np.concatenate([inside, np.exp(into_end - np.logaddexp.reduce(into_end))])
        self._groups = [*lattice.levels, len(lattice.source) + np.arange(len(ends))]
        begin = lattice.frame[lattice.source]
        self._times = np.stack([begin, np.maximum(begin, lattice.frame[lattice.target])], axis=1)
        self._n_states = n_states

    def expected(self, words: tuple[int, ...]) -> float:
        """The expected number of errors: exact where a lattice is a tree, otherwise never too small."""
        return float(self._forward(_spread(words))[-1, -1])

    def decode(self, words: tuple[int, ...]) -> BayesRisk:
        """The confusion network around a word sequence, with the likeliest word of each place; the risk is that of the given sequence."""
        places = _spread(words)
        forward = self._forward(places)
        bins = self._bins(places, forward)
        chosen = [(word, place) for place in bins if (word := place.likeliest())]
        confidence = tuple(min(place.posterior[word], 1.0) for word, place in chosen)
        return BayesRisk(tuple(w for w, _ in chosen), confidence, tuple(p.times[w] for w, p in chosen), float(forward[-1, -1]), tuple(bins))

    def _forward(self, places: np.ndarray) -> np.ndarray:
        """(N + 1, Q + 1) expected distance of the paths to each state to the first q places."""
        missing = np.concatenate([[0], np.cumsum(places != 0)]).astype(np.float64)
        forward = np.zeros((self._n_states + 1, len(places) + 1))
        forward[0] = missing
        for arcs in self._groups:
            through, *_ = self._through(arcs, places, missing, forward)
            np.add.at(forward, self._target[arcs], self._share[arcs, None] * through)
        return forward

    def _through(self, arcs: np.ndarray, places: np.ndarray, missing: np.ndarray, forward: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(K, Q + 1) distance behind each arc; whether its word is set against place q; and the place where its word was."""
        before, word = forward[self._source[arcs]], self._word[arcs, None]
        inserted = before + (word != 0) * (1.0 + TIE_BREAK)
        against = np.full_like(inserted, np.inf)
        against[:, 1:] = before[:, :-1] + (word != places)
        ahead = np.minimum(inserted, against) - missing
        best = np.minimum.accumulate(ahead, axis=1)
        position = np.maximum.accumulate(np.where(ahead <= best, np.arange(len(places) + 1), 0), axis=1)
        return best + missing, against <= inserted, position

    def _bins(self, places: np.ndarray, forward: np.ndarray) -> list[Bin]:
        missing = np.concatenate([[0], np.cumsum(places != 0)]).astype(np.float64)
        flow = np.zeros_like(forward)
        flow[-1, -1] = 1.0
        found: list[tuple[np.ndarray, ...]] = []
        for arcs in self._groups[::-1]:
            _, against, position = self._through(arcs, places, missing, forward)
            into = np.zeros(position.shape)
            np.add.at(into, (np.arange(len(arcs))[:, None], position), self._share[arcs, None] * flow[self._target[arcs]])
            set_against = into * against
            np.add.at(flow, self._source[arcs], into - set_against)
            np.add.at(flow[:, :-1], self._source[arcs], set_against[:, 1:])
            row, place = np.nonzero((set_against > 0) & (self._word[arcs, None] != 0))
            found.append((place - 1, arcs[row], set_against[row, place]))
        place, arc, weight = (np.concatenate(column) for column in zip(*found, strict=True))
        return [self._bin(arc[place == q], weight[place == q]) for q in range(len(places))]

    def _bin(self, arc: np.ndarray, weight: np.ndarray) -> Bin:
        words, inverse = np.unique(self._word[arc], return_inverse=True)
        total = np.bincount(inverse, weight, len(words))
        begin, end = (np.bincount(inverse, weight * self._times[arc, side], len(words)) / total for side in (0, 1))
        posterior = dict(zip(words.tolist(), total.tolist(), strict=True)) | {0: max(0.0, 1.0 - float(total.sum()))}
        return Bin(posterior, {word: (float(b), float(e)) for word, b, e in zip(words.tolist(), begin, end, strict=True)})


def _spread(words: tuple[int, ...]) -> np.ndarray:
    """The words with places for more between and around them: (2 n + 1,)."""
    places = np.zeros(2 * len(words) + 1, dtype=np.int64)
    places[1::2] = words
    return places
