"""Context for a frame: neighbouring frames side by side, and time derivatives."""

from __future__ import annotations

import numpy as np

from cgs.base.errors import ConfigError


def splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Put each frame beside its neighbours, oldest first; frames beyond the ends repeat the end frames.

    Args:
        features: (T, D).
        left, right: frames before and after the current one.
    Returns: (T, (left + 1 + right) * D), of the same type.
    """
    if left < 0 or right < 0:
        raise ConfigError(f"context of {left} frames left and {right} right", "use 0 or more")
    n_frames, dimension = features.shape
    if n_frames == 0:
        return np.zeros((0, (left + 1 + right) * dimension), dtype=features.dtype)
    padded = with_edges(features, left, right)
    windows = np.lib.stride_tricks.sliding_window_view(padded, left + 1 + right, axis=0)
    return np.ascontiguousarray(windows.transpose(0, 2, 1)).reshape(n_frames, -1)


def with_edges(features: np.ndarray, left: int, right: int) -> np.ndarray:
    """Features (T, D) with the first frame repeated `left` times before them and the last one `right` times after; none stay none."""
    return np.concatenate([np.repeat(features[:1], left, axis=0), features, np.repeat(features[-1:], right, axis=0)])


def delta_filters(order: int, window: int) -> list[np.ndarray]:
    """Filters that turn features into their derivatives, one for each order from 0; filter k spans 2 * k * window + 1 frames."""
    slope = np.arange(-window, window + 1, dtype=np.float64)
    slope /= np.square(slope).sum()
    filters = [np.ones(1)]
    for _ in range(order):
        filters.append(np.convolve(filters[-1], slope))
    return filters


def add_deltas(features: np.ndarray, order: int = 2, window: int = 2) -> np.ndarray:
    """Append time derivatives (regression over +-window frames, iterated), as Kaldi's add-deltas does.

    Args:
        features: (T, D).
        order: highest derivative.
        window: frames on either side of the regression.
    Returns: (T, (order + 1) * D) float32; frames beyond the ends repeat the end frames.
    """
    if order < 0 or window < 1:
        raise ConfigError(f"deltas of order {order} over {window} frames", "use order 0 or more and a window of 1 or more")
    n_frames, dimension = features.shape
    if n_frames == 0:
        return np.zeros((0, (order + 1) * dimension), dtype=np.float32)
    blocks = []
    for weights in delta_filters(order, window):
        reach = len(weights) // 2
        padded = with_edges(features, reach, reach)
        blocks.append(sum(weight * padded[shift : shift + n_frames] for shift, weight in enumerate(weights)))
    return np.concatenate(blocks, axis=1).astype(np.float32)
