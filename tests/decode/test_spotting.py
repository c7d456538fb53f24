"""Keywords in streams: planted confidences, the same events however the frames come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.decode.spotting import StreamSpotter


def posteriors(n_frames: int, *heard: tuple[int, int, int]) -> np.ndarray:
    """Silence, but for (keyword, first frame, frame after the last)."""
    told = np.zeros((n_frames, 4))
    told[:, 0] = 1
    for keyword, start, end in heard:
        told[start:end] = np.eye(4)[2 + keyword]
    return told


def events(told: np.ndarray, cuts: list[int], smooth: int, window: int, threshold: float = 0.5) -> list[tuple[str, float, float, float | None]]:
    spotter = StreamSpotter(["yes", "no"], smooth, window, threshold, 0.01)
    pieces = np.split(told, sorted(min(cut, len(told)) for cut in cuts))
    found = [utterance for piece in pieces for utterance in spotter.accept(piece)] + spotter.finish()
    return [(word.word, word.start, word.end, word.confidence) for utterance in found for word in utterance.words]


def test_planted_keywords_are_told_once_with_their_times() -> None:
    """Without smoothing a keyword begins and ends with its posteriors, whatever the detector remembers."""
    told = posteriors(300, (0, 50, 80), (1, 120, 160), (0, 250, 300))
    found = events(told, [60, 155], 1, 20)
    assert [word for word, *_ in found] == ["yes", "no", "yes"]
    assert [(start, end) for _, start, end, _ in found[:2]] == [(0.5, 0.8), (1.2, 1.6)]
    assert found[2][1] == 2.5 and [confidence for *_, confidence in found] == [1.0, 1.0, 1.0]


def test_smoothing_delays_and_short_bursts_are_not_heard() -> None:
    ((word, start, end, confidence),) = events(posteriors(300, (0, 50, 55), (1, 100, 140)), [], 20, 10)
    assert (word, confidence) == ("no", 1.0)
    assert start == pytest.approx(1.09) and end == pytest.approx(1.50)  # half of the 20 frames are "no" from frame 109 to 149
    assert events(posteriors(300, (0, 50, 55)), [], 20, 10, threshold=0.25) == [("yes", pytest.approx(0.54), pytest.approx(0.70), pytest.approx(0.25))]


@given(st.lists(st.integers(0, 120), max_size=6), st.integers(1, 8), st.integers(1, 12), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_events_do_not_depend_on_the_pieces(cuts: list[int], smooth: int, window: int, seed: int) -> None:
    told = np.random.default_rng(seed).dirichlet(np.full(4, 0.2), 120)
    assert events(told, cuts, smooth, window) == events(told, [], smooth, window)


def test_what_is_being_heard() -> None:
    spotter = StreamSpotter(["yes", "no"], 1, 1, 0.5, 0.01)
    assert spotter.accept(np.zeros((0, 0))) == [] and spotter.partial == ()
    assert spotter.accept(posteriors(20, (1, 5, 20))) == [] and spotter.partial == ("no",)
