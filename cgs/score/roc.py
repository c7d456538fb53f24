"""Detection: ROC curve, the area under it, its intervals, and misses at a rate of false alarms.

Owns the trade between hits and false alarms. A detection is one (utterance, keyword) pair: `present` says whether
the keyword was spoken, `confidence` what the detector thought. Pooling puts all keywords under one threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import ShapeError
from cgs.score.resampling import Interval, Resampling, draw_resampling

BLOCK = 64
"""Speakers or utterances whose pairs with all others are counted at a time."""


@dataclass(frozen=True)
class Roc:
    """A ROC curve from (0, 0) to (1, 1), by falling threshold.

    Args:
        false_alarm_rate, detection_rate: (M,) float64, fractions of the negatives and of the positives.
        threshold: (M,) float64, detections are confidences at or above it; the first is infinite.
    """

    false_alarm_rate: np.ndarray
    detection_rate: np.ndarray
    threshold: np.ndarray


def auc(present: np.ndarray, confidence: np.ndarray) -> float | None:
    """Area under the ROC curve: chance that a positive outranks a negative, ties counting half.

    Args:
        present: (N,) or (N, K) bool or 0/1; several keywords are pooled.
        confidence: the same shape, finite.
    Returns: None where there is no positive or no negative.
    Raises: ShapeError: shapes differ. Source: Mann and Whitney 1947.
    """
    ranking = _Ranking(present, confidence)
    value = ranking.areas(np.ones((1, ranking.n_utterances)))[0]
    return None if np.isnan(value) else float(value)


def auc_interval(present: np.ndarray, confidence: np.ndarray, speakers: Sequence[str], level: float, n_resamplings: int, seed: int) -> Interval | None:
    """Bootstrap interval of the AUC; an utterance is drawn with all its keywords.

    Args:
        present, confidence: (N,) or (N, K), as for `auc`.
        speakers: N names.
        level: confidence level of the interval, e.g. 0.95.
        n_resamplings: resampled test sets.
        seed: of the draws.
    Returns: None where the AUC is undefined in every resampled set.
    Raises: ShapeError: shapes differ, or no utterance.
    """
    resampling = draw_resampling(speakers, n_resamplings, seed)
    return resampling.interval(_resampled(present, confidence, resampling), level)


def paired_auc_difference(
    present: np.ndarray, confidence_a: np.ndarray, confidence_b: np.ndarray, speakers: Sequence[str], level: float, n_resamplings: int, seed: int
) -> tuple[float, float, float] | None:
    """AUC of system A less that of system B over the same utterances, with its paired bootstrap interval.

    Args:
        present: (N,) or (N, K), shared by both systems.
        confidence_a, confidence_b: of the same shape, utterances in the same order.
        speakers, level, n_resamplings, seed: as for `auc_interval`.
    Returns: (difference, low, high); None where the AUC is undefined.
    Raises: ShapeError: shapes differ, or no utterance.
    """
    resampling = draw_resampling(speakers, n_resamplings, seed)
    interval = resampling.interval(_resampled(present, confidence_a, resampling) - _resampled(present, confidence_b, resampling), level)
    area_a, area_b = auc(present, confidence_a), auc(present, confidence_b)
    return None if interval is None or area_a is None or area_b is None else (area_a - area_b, interval.low, interval.high)


def roc_curve(present: np.ndarray, confidence: np.ndarray) -> Roc | None:
    """ROC curve with one point for each distinct confidence; its trapezoid area equals `auc`.

    Args:
        present, confidence: (N,) or (N, K), as for `auc`.
    Returns: None where there is no positive or no negative.
    """
    ranking = _Ranking(present, confidence)
    positives, negatives = (np.add.reduceat(kind.astype(np.int64), ranking.starts)[::-1] for kind in (ranking.positive, ~ranking.positive))
    if not positives.sum() or not negatives.sum():
        return None
    return Roc(
        false_alarm_rate=np.concatenate([[0.0], np.cumsum(negatives) / negatives.sum()]),
        detection_rate=np.concatenate([[0.0], np.cumsum(positives) / positives.sum()]),
        threshold=np.concatenate([[np.inf], ranking.levels[::-1]]),
    )


def thinned(roc: Roc, n_points: int = 200) -> Roc:
    """At most `n_points` of a curve, both ends kept, spread over its length in the plane so that corners stay."""
    if len(roc.threshold) <= n_points:
        return roc
    length = roc.false_alarm_rate + roc.detection_rate
    index = np.unique(np.searchsorted(length, np.linspace(0, length[-1], n_points)).clip(0, len(length) - 1))
    return Roc(roc.false_alarm_rate[index], roc.detection_rate[index], roc.threshold[index])


def miss_rate_at(present: np.ndarray, confidence: np.ndarray, alarms_per_hour: float, seconds: float) -> float | None:
    """Fraction of keywords missed at the lowest threshold that stays within a rate of false alarms.

    Args:
        present, confidence: (N,) or (N, K); an utterance gives at most one alarm for each keyword it does not hold.
        alarms_per_hour: false alarms an hour that are allowed.
        seconds: audio of the N utterances, s.
    Returns: None where there is no positive or no negative.
    """
    roc = roc_curve(present, confidence)
    if roc is None:
        return None
    n_negatives = np.size(present) - np.count_nonzero(present)
    allowed = np.flatnonzero(np.rint(roc.false_alarm_rate * n_negatives) <= alarms_per_hour * seconds / 3600)
    return float(1 - roc.detection_rate[allowed[-1]])


def _resampled(present: np.ndarray, confidence: np.ndarray, resampling: Resampling) -> np.ndarray:
    """Area in every resampled set: the area is a sum over pairs of units, so pairs are counted once and then weighted."""
    n_utterances = _Ranking(present, confidence).n_utterances
    if n_utterances != len(resampling.unit_of):
        raise ShapeError(f"{n_utterances} utterances but {len(resampling.unit_of)} speakers", "give one speaker for each utterance")
    unit = np.repeat(resampling.unit_of, np.size(present) // n_utterances)
    positive, values = np.asarray(present).astype(bool).ravel(), np.asarray(confidence, dtype=np.float64).ravel()
    counts, n_units = resampling.counts.astype(np.float64), resampling.counts.shape[1]
    positives, negatives = (np.bincount(unit[kind], minlength=n_units) for kind in (positive, ~positive))
    by_unit = np.argsort(unit[positive], kind="stable")
    winners, owners, starts = values[positive][by_unit], *np.unique(unit[positive][by_unit], return_index=True)
    losers = np.split(values[~positive][np.lexsort((values[~positive], unit[~positive]))], np.cumsum(negatives)[:-1])
    ordered = np.zeros(len(counts))
    for first in range(0, n_units if winners.size else 0, BLOCK):
        group = losers[first : first + BLOCK]
        twice = [np.searchsorted(sorted_, winners, "left") + np.searchsorted(sorted_, winners, "right") for sorted_ in group]
        won = np.add.reduceat(np.array(twice), starts, axis=1) / 2
        ordered += (counts[:, first : first + BLOCK] * (counts[:, owners] @ won.T)).sum(axis=1)
    pairs = (counts @ positives) * (counts @ negatives)
    return np.divide(ordered, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)


class _Ranking:
    """Detections sorted once, so that the area of every resampled set is two cumulative sums."""

    def __init__(self, present: np.ndarray, confidence: np.ndarray) -> None:
        present, confidence = np.asarray(present), np.asarray(confidence, dtype=np.float64)
        if present.shape != confidence.shape or present.ndim not in (1, 2) or not present.size:
            raise ShapeError(f"present {present.shape} and confidence {confidence.shape} do not fit", "give both as (utterances, keywords)")
        if not np.isfinite(confidence).all():
            raise ShapeError(f"{np.count_nonzero(~np.isfinite(confidence))} confidences are not finite", "look for NaN in the posteriors")
        self.n_utterances = len(present)
        order = np.argsort(confidence, axis=None, kind="stable")
        self.utterance = order // (confidence.size // len(confidence))
        self.positive = present.astype(bool).ravel()[order]
        ranked = confidence.ravel()[order]
        self.starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self.levels = ranked[self.starts]

    def areas(self, weights: np.ndarray) -> np.ndarray:
        """Area for each row of (M, N) utterance weights; NaN where a row has no positive or no negative."""
        drawn = weights[:, self.utterance]
        positives = np.add.reduceat(drawn * self.positive, self.starts, axis=1)
        negatives = np.add.reduceat(drawn, self.starts, axis=1) - positives
        below = np.cumsum(negatives, axis=1) - negatives
        ordered = (positives * (below + negatives / 2)).sum(axis=1)
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return np.divide(ordered, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
