"""What lattices tell about a split: error rates of each pass and of each weight, and how good a choice from them could be."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cgs.base.log import progress
from cgs.decode.lattice_recogniser import Found, LatticeRecogniser
from cgs.decode.oracle import oracle_errors
from cgs.decode.scores import Scores
from cgs.decode.word_lattice import WordLattice
from cgs.score.evaluation import Split, rates_of
from cgs.score.recognition import Recognised
from cgs.score.wer import ErrorCounts, count_errors, spoken, total

UNKNOWN = -1
"""Stands for reference words that the recogniser does not know."""


@dataclass
class LatticeResults:
    """A recognised split.

    Args:
        recognised: by the last pass.
        ctm: lines with confidences.
        n_best: lines "utterance-rank, cost of the graph, cost of the acoustics, words", with tabs between.
        spent: {"network", "search"} processor seconds, all passes included.
        passes: errors of each pass, a count an utterance.
        oracle: fewest errors of any path, likewise.
        densities, beams: of the lattices.
    """

    recognised: list[Recognised] = field(default_factory=list)
    ctm: list[str] = field(default_factory=list)
    n_best: list[str] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=lambda: {"network": 0.0, "search": 0.0})
    passes: dict[str, list[ErrorCounts]] = field(default_factory=dict)
    oracle: list[int] = field(default_factory=list)
    densities: list[float] = field(default_factory=list)
    beams: list[float] = field(default_factory=list)

    def facts(self, beam: float, scale: float) -> dict[str, Any]:
        """As a result holds them: the lattice beam and the scale of the search, how many lattices have a narrower beam, density
        (mean words over a frame), oracle_wer, and best_path_wer, rescored_wer, mbr_wer of the passes there were."""
        n_words = sum(errors.n_words for errors in next(iter(self.passes.values()), []))
        return {
            "beam": beam,
            "search_scale": scale,
            "n_narrowed": sum(narrower < beam for narrower in self.beams),
            "density": float(np.mean(self.densities)) if self.densities else None,
            "oracle_wer": sum(self.oracle) / n_words if n_words else None,
        } | {f"{name}_wer": total(errors).wer for name, errors in self.passes.items()}


def recognise_lattices(
    split: Split, scores: Scores, recogniser: LatticeRecogniser, scale: float, penalty: float, n_best: int = 0
) -> LatticeResults:
    """Recognise every utterance.

    Args:
        split: the utterances.
        scores: to unscaled log-likelihoods (T, P).
        recogniser: the search and its passes.
        scale: weight of the log-likelihoods.
        penalty: cost a word.
        n_best: word sequences of each utterance to tell beside the outcome.
    """
    results = LatticeResults(passes={name: [] for name in recogniser.pass_names})
    for utterance, features in progress(split.items(), f"decoding {split.name}", total=len(split.utterances)):
        start = time.process_time()
        likelihoods = split.likelihoods(scores, utterance, features)
        middle = time.process_time()
        found = recogniser.decode(likelihoods, scale, penalty)
        results.spent["network"] += middle - start
        results.spent["search"] += time.process_time() - middle
        reference = spoken(utterance.words)
        results.recognised.append(Recognised(utterance.id, utterance.speaker, reference, found.words, found.complete))
        results.ctm += recogniser.ctm(utterance.id, found, split.rates.get(utterance.id, 1.0))
        for rank, path in enumerate(recogniser.n_best(found, scale, penalty, n_best) if n_best else (), start=1):
            words = " ".join(recogniser.word_names[word] for word in path.words)
            results.n_best.append(f"{utterance.id}-{rank}\t{path.graph:.3f}\t{path.acoustic:.3f}\t{words}\n")
        _measure(results, found, reference, recogniser)
    return results


def _measure(results: LatticeResults, found: Found, reference: tuple[str, ...], recogniser: LatticeRecogniser) -> None:
    for name, words in found.passes.items():
        results.passes[name].append(count_errors(reference, words))
    if found.lattice is None:
        results.oracle.append(len(reference))
        return
    results.oracle.append(oracle_errors(found.lattice, [recogniser.word_ids.get(word, UNKNOWN) for word in reference], recogniser.silence_words))
    results.densities.append(found.lattice.density())
    results.beams.append(found.lattice.beam)


def lattice_error_rates(
    split: Split, scores: Scores, recogniser: LatticeRecogniser
) -> Callable[[Sequence[float], Sequence[float]], dict[tuple[float, float], float]]:
    """A function that tells error rates at any weights, from lattices made once.

    Args:
        split, scores, recogniser: as for `recognise_lattices`.
    Returns: (scales, penalties) -> {(scale, penalty): word error rate} for every pair.
    """

    @functools.cache
    def made() -> list[tuple[tuple[str, ...], WordLattice | None]]:
        pairs: list[tuple[tuple[str, ...], WordLattice | None]] = []
        for utterance, features in progress(split.items(), f"lattices of {split.name}", total=len(split.utterances)):
            found = recogniser.lattices(split.likelihoods(scores, utterance, features))
            pairs.append((spoken(utterance.words), recogniser.rescored(found[1]) if found else None))
        return pairs

    def rates(scales: Sequence[float], penalties: Sequence[float]) -> dict[tuple[float, float], float]:
        counts: dict[tuple[float, float], list[ErrorCounts]] = {(s, p): [] for s in scales for p in penalties}
        for (s, p), errors in counts.items():
            errors += [count_errors(words, recogniser.outcome(lattice, s, p) if lattice else ()) for words, lattice in made()]
        return rates_of(split, counts)

    return rates
