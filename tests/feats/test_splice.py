"""Splicing and deltas against frame-by-frame references."""

from __future__ import annotations

import kaldi_native_fbank as knf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError
from cgs.feats.splice import add_deltas, splice


def slow_splice(features: np.ndarray, left: int, right: int) -> np.ndarray:
    last = len(features) - 1
    rows = [[features[min(max(frame + shift, 0), last)] for shift in range(-left, right + 1)] for frame in range(last + 1)]
    return np.array([np.concatenate(row) for row in rows])


def slow_deltas(features: np.ndarray, window: int) -> np.ndarray:
    """First and second derivative, the second as the regression of unclamped first ones."""
    last = len(features) - 1

    def frame(index: int) -> np.ndarray:
        return features[min(max(index, 0), last)].astype(np.float64)

    norm = 2 * sum(shift * shift for shift in range(1, window + 1))

    def first(index: int) -> np.ndarray:
        return sum(shift * frame(index + shift) for shift in range(-window, window + 1)) / norm

    def second(index: int) -> np.ndarray:
        return sum(shift * first(index + shift) for shift in range(-window, window + 1)) / norm

    return np.array([np.concatenate([frame(t), first(t), second(t)]) for t in range(last + 1)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 6), st.integers(0, 6))
def test_splice(n_frames: int, dimension: int, left: int, right: int) -> None:
    features = np.random.default_rng(n_frames).standard_normal((n_frames, dimension)).astype(np.float32)
    spliced = splice(features, left, right)
    assert spliced.dtype == np.float32
    np.testing.assert_array_equal(spliced, slow_splice(features, left, right))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 15), st.integers(1, 3))
def test_deltas(n_frames: int, window: int) -> None:
    features = np.random.default_rng(n_frames).standard_normal((n_frames, 3)).astype(np.float32)
    np.testing.assert_allclose(add_deltas(features, window=window), slow_deltas(features, window), atol=1e-5)


def test_deltas_agree_with_kaldi_native_fbank() -> None:
    features = np.random.default_rng(0).standard_normal((30, 13)).astype(np.float32)
    theirs = np.array(knf.compute_deltas(knf.DeltaOptions(), features)).reshape(30, 39)
    np.testing.assert_allclose(add_deltas(features), theirs, atol=1e-5)


def test_no_frames_and_negative_context() -> None:
    assert splice(np.zeros((0, 4), dtype=np.float32), 2, 3).shape == (0, 24)
    assert add_deltas(np.zeros((0, 4), dtype=np.float32)).shape == (0, 12)
    with pytest.raises(ConfigError, match="-1 frames left"):
        splice(np.zeros((3, 4)), -1, 0)
