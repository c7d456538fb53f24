"""Word and sentence error rates: alignment, counts, intervals and differences of two systems.

Owns what an error is. The alignment itself is kaldialign's; jiwer checks the totals in the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import kaldialign
import numpy as np

from cgs.base.errors import ShapeError
from cgs.data.corpus import SILENCE_WORD
from cgs.score.resampling import Interval, draw_resampling

Pair = tuple[str | None, str | None]
"""A reference word beside a recognised word; None opposite an insertion or a deletion."""


@dataclass(frozen=True)
class ErrorCounts:
    """Errors of one utterance, or of many added up.

    Args:
        n_words: reference words.
        substitutions, insertions, deletions: of the alignment with the fewest errors.
    """

    n_words: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def errors(self) -> int:
        """All errors."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def hits(self) -> int:
        """Words recognised."""
        return self.n_words - self.substitutions - self.deletions

    @property
    def wer(self) -> float | None:
        """Word error rate, a fraction; None where there is no reference word."""
        return self.errors / self.n_words if self.n_words else None

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.n_words + other.n_words,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )


def spoken(words: Iterable[str]) -> tuple[str, ...]:
    """The words that count: all but the silence word, which stands for no speech."""
    return tuple(word for word in words if word != SILENCE_WORD)


def align_words(ref: Sequence[str], hyp: Sequence[str]) -> list[Pair]:
    """Align two word sequences with the fewest errors, all three kinds costing one.

    Args:
        ref: reference words.
        hyp: recognised words.
    Returns: (reference word, recognised word) pairs in order; None marks an insertion or a deletion.
    """
    words = sorted(set(ref) | set(hyp))
    number = {word: index for index, word in enumerate(words)}
    pairs = kaldialign.align([number[w] for w in ref], [number[w] for w in hyp], -1)
    return [(words[r] if r >= 0 else None, words[h] if h >= 0 else None) for r, h in pairs]


def count_pairs(pairs: Sequence[Pair]) -> ErrorCounts:
    """Count the errors of an alignment."""
    return ErrorCounts(
        n_words=sum(r is not None for r, _ in pairs),
        substitutions=sum(r is not None and h is not None and r != h for r, h in pairs),
        insertions=sum(r is None for r, _ in pairs),
        deletions=sum(h is None for _, h in pairs),
    )


def count_errors(ref: Sequence[str], hyp: Sequence[str]) -> ErrorCounts:
    """Errors of one utterance: count_errors(("go", "left"), ("go", "up", "left")).insertions is 1."""
    return count_pairs(align_words(ref, hyp))


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """The counts of several utterances added up."""
    return sum(counts, ErrorCounts())


def by_speaker(counts: Sequence[ErrorCounts], speakers: Sequence[str]) -> dict[str, ErrorCounts]:
    """The counts of each speaker, speakers sorted."""
    return {name: total(c for c, s in zip(counts, speakers, strict=True) if s == name) for name in sorted(set(speakers))}


def sentence_error_rate(counts: Sequence[ErrorCounts]) -> float | None:
    """Fraction of utterances with any error; None where there is no utterance."""
    return sum(c.errors > 0 for c in counts) / len(counts) if counts else None


def error_columns(counts: Sequence[ErrorCounts]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(errors, reference words, 1 where the sentence is wrong), each (N,) float64, as the intervals take them."""
    errors = np.array([c.errors for c in counts], dtype=np.float64)
    return errors, np.array([c.n_words for c in counts], dtype=np.float64), (errors > 0).astype(np.float64)


def rate_interval(wrong: np.ndarray, of: np.ndarray, speakers: Sequence[str], level: float, n_resamplings: int, seed: int) -> Interval | None:
    """Bootstrap interval of sum(wrong) / sum(of): WER of (errors, words), SER of (sentence wrong, ones).

    Args:
        wrong, of: (N,) float, a value an utterance.
        speakers: N names.
        level: confidence level of the interval, e.g. 0.95.
        n_resamplings: resampled test sets.
        seed: of the draws.
    Returns: None where no resampled set has anything in `of`.
    Raises: ShapeError: lengths differ, or no utterance.
    Source: Bisani and Ney, ICASSP 2004.
    """
    _same_length(wrong, of, speakers)
    resampling = draw_resampling(speakers, n_resamplings, seed)
    sums = resampling.totals(np.stack([wrong, of], axis=1))
    return resampling.interval(_ratio(sums[:, 0], sums[:, 1]), level)


def paired_difference(
    wrong_a: np.ndarray, wrong_b: np.ndarray, of: np.ndarray, speakers: Sequence[str], level: float, n_resamplings: int, seed: int
) -> tuple[float, float, float] | None:
    """Rate of system A less that of system B over the same utterances, with its paired bootstrap interval.

    Args:
        wrong_a, wrong_b: (N,) float, errors (or 1 for a wrong sentence) of each system, utterances in the same order.
        of: (N,) float, reference words (or ones).
        speakers, level, n_resamplings, seed: as for `rate_interval`.
    Returns: (difference, low, high); None where `of` is all zero. The systems differ where 0 is outside [low, high].
    Raises: ShapeError: lengths differ, or no utterance.
    Source: Bisani and Ney, ICASSP 2004 (their probability of improvement rests on the same draws).
    """
    _same_length(wrong_a, wrong_b, of, speakers)
    resampling = draw_resampling(speakers, n_resamplings, seed)
    sums = resampling.totals(np.stack([wrong_a - wrong_b, of], axis=1))
    interval = resampling.interval(_ratio(sums[:, 0], sums[:, 1]), level)
    return (float((wrong_a - wrong_b).sum() / of.sum()), interval.low, interval.high) if interval and of.sum() else None


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _same_length(*columns: Sequence | np.ndarray) -> None:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        raise ShapeError(f"values of {lengths} utterances do not belong together", "score both systems on the same utterances")
