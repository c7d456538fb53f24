"""Keyword confidences against the paper's equations read out frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError, ShapeError
from cgs.decode.keyword import KeywordDetector, isolated_class, utterance_confidence


def slow_confidence(posteriors: np.ndarray, smooth: int, window: int) -> np.ndarray:
    """Equations 2 and 3 of the paper with one label a keyword, frames numbered from 1."""
    n_frames, n_classes = posteriors.shape
    smoothed, confidence = np.zeros_like(posteriors), np.zeros_like(posteriors)
    for i in range(n_classes):
        for j in range(1, n_frames + 1):
            h_smooth = max(1, j - smooth + 1)
            smoothed[j - 1, i] = sum(posteriors[k - 1, i] for k in range(h_smooth, j + 1)) / (j - h_smooth + 1)
        for j in range(1, n_frames + 1):
            h_max = max(1, j - window + 1)
            confidence[j - 1, i] = max(smoothed[k - 1, i] for k in range(h_max, j + 1))
    return confidence


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 10), st.integers(0, 1000), st.lists(st.integers(0, 30), max_size=4))
@settings(deadline=None, max_examples=60)
def test_confidence_is_the_papers_however_frames_arrive(n_frames: int, smooth: int, window: int, seed: int, cuts: list[int]) -> None:
    posteriors = np.random.default_rng(seed).dirichlet(np.ones(4), n_frames)
    expected = slow_confidence(posteriors, smooth, window)
    detector = KeywordDetector(4, smooth, window)
    pieces = np.split(posteriors, sorted(min(cut, n_frames) for cut in cuts))
    np.testing.assert_allclose(np.concatenate([detector.accept(piece) for piece in pieces]), expected, atol=1e-12)
    np.testing.assert_allclose(utterance_confidence(posteriors, smooth, window), expected.max(axis=0), atol=1e-12)
    detector.reset()
    np.testing.assert_allclose(detector.accept(posteriors), expected, atol=1e-12)


def test_a_short_burst_is_smoothed_away_and_a_word_is_not() -> None:
    posteriors = np.full((200, 4), 0.0)
    posteriors[:, 0] = 1
    posteriors[50:52] = [0, 0, 1, 0]
    posteriors[100:140] = [0, 0, 0, 1]
    confidence = utterance_confidence(posteriors, 30, 100)
    assert confidence[2] == pytest.approx(2 / 30) and confidence[3] == pytest.approx(1.0)


def test_isolated_recordings_are_silence_unless_speech_is_likely() -> None:
    assert isolated_class(np.array([1.0, 0.3, 0.4, 0.2])) == 0
    assert isolated_class(np.array([1.0, 0.6, 0.4, 0.2])) == 1
    assert isolated_class(np.array([1.0, 0.6, 0.4, 0.8])) == 3


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="kws.smooth_frames"):
        KeywordDetector(3, 0, 10)
    with pytest.raises(ShapeError, match=r"posteriors \(5, 4\) for 3 classes"):
        KeywordDetector(3, 2, 2).accept(np.zeros((5, 4)))
    with pytest.raises(ShapeError, match="without frames"):
        utterance_confidence(np.zeros((0, 3)), 2, 2)
