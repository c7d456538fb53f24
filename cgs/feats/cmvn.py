"""Cepstral mean and variance normalisation by speaker, for a whole corpus, or by what has been heard so far, with Kaldi's statistics.

Statistics are (2, D + 1) float64: sums and the number of frames, then sums of squares and a zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cgs.base.errors import ShapeError, TrainError

MIN_FRAMES = 300
"""A speaker with fewer frames (3 s) is made up to this many with the corpus's average frames; one with more is left as Kaldi has it."""
RELATIVE_VARIANCE_FLOOR = 1e-3
"""A dimension's variance is at least this share of the mean variance of all dimensions: a dead channel stays near zero instead of being blown up."""
WINDOW_FRAMES = 600
"""A running normalisation looks back so far: 6 s."""
PRIOR_FRAMES = 600
"""So many average frames of the corpus always count too: what is heard first needs them, and a long silence must not become the new average."""


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
    return _mean_and_scale(stats[0, :-1] / count, stats[1, :-1] / count)


def _mean_and_scale(mean: np.ndarray, mean_square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (..., D) and reciprocal standard deviation (..., D) of mean values and mean squares (..., D)."""
    variance = mean_square - np.square(mean)
    floor = np.maximum(RELATIVE_VARIANCE_FLOOR * np.mean(np.maximum(variance, 0), axis=-1, keepdims=True), 1e-10)
    return mean, 1 / np.sqrt(np.maximum(variance, floor))


def apply(features: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """Features (T, D) with mean 0 and variance 1 over the frames of the statistics, float32.

    Raises: ShapeError: statistics of another dimension.
    """
    if stats.shape != (2, features.shape[1] + 1):
        raise ShapeError(f"CMVN statistics of shape {stats.shape} do not fit features of {features.shape[1]} dimensions", "compute them from the same features")
    mean, scale = mean_and_scale(stats)
    return ((features - mean) * scale).astype(np.float32)


class FixedCmvn:
    """Normalises frames as they come by statistics that are known beforehand; see `apply`."""

    def __init__(self, stats: np.ndarray) -> None:
        self._stats = stats

    def accept(self, features: np.ndarray) -> np.ndarray:
        """The next frames (T, D), normalised, float32."""
        return apply(features, self._stats)


class RunningCmvn:
    """Normalises every frame by the last frames up to it, so that it need not wait for the rest; frames come in pieces of any size.

    Args:
        global_stats: (2, D + 1), of the training split: what is believed before anything is heard.
        window: frames looked back, the current one included.
        prior: average frames of the corpus that always count too.
    Source: Kaldi's apply-cmvn-online. Differs: the variance is normalised too, and the corpus never stops counting: after a few
        seconds of silence its noise would otherwise be stretched to the mean and variance of speech, and be heard as words.
    """

    def __init__(self, global_stats: np.ndarray, window: int = WINDOW_FRAMES, prior: int = PRIOR_FRAMES) -> None:
        self.window, self.prior = window, prior
        self._average = global_stats[:, :-1].reshape(-1) / global_stats[0, -1]
        self._seen = 0
        self._sums = np.zeros((1, len(self._average)))  # a row for each number of frames, from up to `window` frames ago to now

    def accept(self, features: np.ndarray) -> np.ndarray:
        """Normalise the next frames (T, D); returns (T, D) float32, the same values however the frames are cut into pieces.

        Raises: ShapeError: another dimension than that of the statistics.
        """
        if 2 * features.shape[1] != len(self._average):
            wanted = len(self._average) // 2
            raise ShapeError(f"CMVN statistics of {wanted} dimensions do not fit features of {features.shape[1]}", "compute them from the same features")
        wide = features.astype(np.float64)
        history = np.concatenate([self._sums, self._continued(np.concatenate([wide, np.square(wide)], axis=1))])
        counts = self._seen + 1 + np.arange(len(wide))
        heard = np.minimum(counts, self.window)
        before_first_row = self._seen + 1 - len(self._sums)
        stats = history[counts - before_first_row] - history[counts - heard - before_first_row] + self.prior * self._average
        stats /= heard[:, None] + self.prior
        self._seen += len(wide)
        self._sums = history[-self.window :]
        mean, scale = _mean_and_scale(*np.split(stats, 2, axis=1))
        return ((wide - mean) * scale).astype(np.float32)

    def _continued(self, values: np.ndarray) -> np.ndarray:
        """Sums of all frames up to each of these; one addition after the other, so that pieces of any size give the same bits."""
        return np.cumsum(np.concatenate([self._sums[-1:], values]), axis=0)[1:]


def running(features: np.ndarray, global_stats: np.ndarray) -> np.ndarray:
    """Features (T, D) of a whole recording, float32, normalised as `RunningCmvn` does."""
    return RunningCmvn(global_stats).accept(features)
