"""Sums of the frames of every HMM state in every phone context: what the decision tree is grown from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BOUNDARY = 0
"""The phone to the left of an utterance's first and to the right of its last."""


@dataclass(frozen=True)
class TreeStats:
    """Frame sums by context.

    Args:
        contexts: (K, 4) int32, columns left phone, central phone, right phone, pdf class (HMM position); sorted, no row twice.
        counts: (K,) float64 frames.
        first, second: (K, D) float64, sums of values and of squares.
    """

    contexts: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def where(self, rows: np.ndarray) -> TreeStats:
        """The rows chosen by a mask or by indices."""
        return TreeStats(self.contexts[rows], self.counts[rows], self.first[rows], self.second[rows])


def accumulate(features: np.ndarray, contexts: np.ndarray) -> TreeStats:
    """Sum frames by context.

    Args:
        features: (T, D) float32.
        contexts: (T, 4) integers as in `TreeStats`; frames whose central phone is negative are left out.
    """
    used = contexts[:, 1] >= 0
    distinct, index = np.unique(contexts[used], axis=0, return_inverse=True)
    index = index.reshape(-1)
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(len(distinct)))
    frames = features[used][order].astype(np.float64)
    counts = np.bincount(index, minlength=len(distinct)).astype(np.float64)
    if not len(distinct):
        empty = np.zeros((0, features.shape[1]))
        return TreeStats(np.zeros((0, 4), dtype=np.int32), counts, empty, empty)
    return TreeStats(distinct.astype(np.int32), counts, np.add.reduceat(frames, starts), np.add.reduceat(np.square(frames), starts))


def add(parts: Sequence[TreeStats]) -> TreeStats:
    """Join sums; equal contexts are added in the given order."""
    contexts = np.concatenate([part.contexts for part in parts])
    distinct, index = np.unique(contexts, axis=0, return_inverse=True)
    index = index.reshape(-1)
    dim = parts[0].first.shape[1]
    total = TreeStats(distinct, np.zeros(len(distinct)), np.zeros((len(distinct), dim)), np.zeros((len(distinct), dim)))
    first = 0
    for part in parts:
        rows = index[first : first + len(part.counts)]
        first += len(part.counts)
        np.add.at(total.counts, rows, part.counts)
        np.add.at(total.first, rows, part.first)
        np.add.at(total.second, rows, part.second)
    return total


def without_context(stats: TreeStats, phones: Sequence[int]) -> TreeStats:
    """Sums in which the given phones, e.g. silence, have no neighbours."""
    contexts = stats.contexts.copy()
    alone = np.isin(contexts[:, 1], list(phones))
    contexts[alone, 0] = contexts[alone, 2] = BOUNDARY
    return add([TreeStats(contexts, stats.counts, stats.first, stats.second)])


def log_likelihood(counts: np.ndarray, first: np.ndarray, second: np.ndarray, min_variance: float = 1e-2) -> np.ndarray:
    """Log-likelihood of frames under the one Gaussian that fits them best, less a constant for each frame.

    Args:
        counts: (...,) frames.
        first, second: (..., D) sums of values and of squares.
        min_variance: floor, so that a handful of equal frames is not worth splitting off.
    Returns: (...,); 0 where there is no frame.
    """
    safe = np.maximum(counts, 1e-10)[..., None]
    means = first / safe
    variances = np.maximum(second / safe - np.square(means), min_variance)
    floor_cost = (second / safe - np.square(means)) / variances
    return np.where(counts > 0, -0.5 * counts * (np.log(variances) + floor_cost).sum(axis=-1), 0.0)
