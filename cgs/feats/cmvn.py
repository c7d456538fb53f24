"""Cepstral mean and variance normalisation by speaker or for a whole corpus, with Kaldi's statistics.

Statistics are (2, D + 1) float64: sums and the number of frames, then sums of squares and a zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cgs.base.errors import ShapeError, TrainError

MIN_FRAMES = 300
"""A speaker with fewer frames (3 s) is made up to this many with the corpus's average frames; one with more is left as Kaldi has it."""
RELATIVE_VARIANCE_FLOOR = 1e-3
"""A dimension's variance is at least this share of the mean variance of all dimensions: a dead channel stays near zero instead of being blown up."""


def statistics(features: np.ndarray) -> np.ndarray:
    """Statistics (2, D + 1) float64 of one utterance's features (T, D)."""
    wide = features.astype(np.float64)
    stats = np.zeros((2, features.shape[1] + 1))
    stats[0, :-1], stats[0, -1] = wide.sum(axis=0), len(features)
    stats[1, :-1] = np.square(wide).sum(axis=0)
    return stats


def total(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Sum of statistics. Raises: TrainError: there are none."""
    parts = list(parts)
    if not parts:
        raise TrainError("no statistics to add up for CMVN", "check that the split has utterances")
    return np.sum(parts, axis=0)


def smoothed(stats: np.ndarray, global_stats: np.ndarray, min_frames: int = MIN_FRAMES) -> np.ndarray:
    """Make a speaker's statistics up to `min_frames` with average frames of the corpus; enough of them stay as they are.

    Source: what Kaldi's online CMVN does for a new speaker. Differs: applied to whole speakers.
    """
    missing = max(0.0, min_frames - stats[0, -1])
    return stats + global_stats * (missing / global_stats[0, -1])


def mean_and_scale(stats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and reciprocal standard deviation (D,) that statistics imply, float64, the variance floored."""
    count = stats[0, -1]
    if count <= 0:
        raise TrainError("CMVN statistics of no frames", "check that the speaker has audio")
    mean = stats[0, :-1] / count
    variance = stats[1, :-1] / count - np.square(mean)
    floor = max(RELATIVE_VARIANCE_FLOOR * float(np.mean(np.maximum(variance, 0))), 1e-10)
    return mean, 1 / np.sqrt(np.maximum(variance, floor))


def apply(features: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """Features (T, D) with mean 0 and variance 1 over the frames of the statistics, float32.

    Raises: ShapeError: statistics of another dimension.
    """
    if stats.shape != (2, features.shape[1] + 1):
        raise ShapeError(f"CMVN statistics of shape {stats.shape} do not fit features of {features.shape[1]} dimensions", "compute them from the same features")
    mean, scale = mean_and_scale(stats)
    return ((features - mean) * scale).astype(np.float32)
