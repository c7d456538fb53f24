"""CMVN against a plain computation; speakers with little speech; dead channels; streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ShapeError, TrainError
from cgs.feats import cmvn

RNG = np.random.default_rng(5)
CORPUS = (RNG.standard_normal((5000, 4)) * [1, 2, 3, 4] + [5, 6, 7, 8]).astype(np.float32)


def test_normalised_frames_have_mean_0_and_variance_1() -> None:
    normal = cmvn.apply(CORPUS, cmvn.statistics(CORPUS))
    np.testing.assert_allclose(normal, (CORPUS - CORPUS.mean(0)) / CORPUS.std(0), atol=1e-4)


def test_statistics_have_kaldis_layout_and_add_up() -> None:
    parts = [cmvn.statistics(CORPUS[:1000]), cmvn.statistics(CORPUS[1000:])]
    stats = cmvn.total(parts)
    assert stats.shape == (2, 5) and stats[0, -1] == 5000 and stats[1, -1] == 0
    np.testing.assert_allclose(stats[0, :-1], CORPUS.sum(0, dtype=np.float64))
    np.testing.assert_allclose(stats[1, :-1], np.square(CORPUS.astype(np.float64)).sum(0))


def test_a_long_speaker_is_left_alone_and_a_short_one_made_up() -> None:
    everyone = cmvn.statistics(CORPUS)
    long, short = cmvn.statistics(CORPUS[:400] + 100), cmvn.statistics(CORPUS[:3] + 100)
    np.testing.assert_array_equal(cmvn.smoothed(long, everyone), long)
    made_up = cmvn.smoothed(short, everyone)
    assert made_up[0, -1] == pytest.approx(cmvn.MIN_FRAMES)
    expected = (3 * (CORPUS[:3] + 100).mean(0) + 297 * CORPUS.mean(0)) / 300
    np.testing.assert_allclose(cmvn.mean_and_scale(made_up)[0], expected, rtol=1e-5)


def test_a_dead_channel_and_a_single_frame_stay_finite() -> None:
    dead = CORPUS.copy()
    dead[:, 2] = 3.25
    normal = cmvn.apply(dead, cmvn.statistics(dead))
    assert np.abs(normal[:, 2]).max() < 1e-3
    assert np.isfinite(cmvn.apply(CORPUS[:1], cmvn.statistics(CORPUS[:1]))).all()


def test_other_dimension_and_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 5\) do not fit features of 3"):
        cmvn.apply(CORPUS[:, :3], cmvn.statistics(CORPUS))
    with pytest.raises(TrainError, match="no statistics"):
        cmvn.total([])
    with pytest.raises(TrainError, match="no frames"):
        cmvn.mean_and_scale(np.zeros((2, 5)))


def slow_running(features: np.ndarray, everyone: np.ndarray, window: int, prior: int) -> np.ndarray:
    """Every frame by the statistics of its own window and of average frames."""
    rows = []
    for t in range(len(features)):
        heard = features[max(0, t + 1 - window) : t + 1]
        rows.append(cmvn.apply(features[t : t + 1], cmvn.statistics(heard) + everyone * (prior / everyone[0, -1])))
    return np.concatenate(rows)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 20), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_running_cmvn_is_the_slow_one_and_the_same_bits_in_any_pieces(n_frames: int, window: int, prior: int, cuts: list[int], seed: int) -> None:
    features = (np.random.default_rng(seed).standard_normal((n_frames, 4)) * 3 + 7).astype(np.float32)
    everyone = cmvn.statistics(CORPUS)
    whole = cmvn.RunningCmvn(everyone, window, prior).accept(features)
    np.testing.assert_allclose(whole, slow_running(features, everyone, window, prior), rtol=2e-3, atol=2e-3)
    stream = cmvn.RunningCmvn(everyone, window, prior)
    pieces = np.split(features, sorted(min(cut, n_frames) for cut in cuts))
    np.testing.assert_array_equal(np.concatenate([stream.accept(piece) for piece in pieces]), whole)


def test_running_cmvn_forgets_what_is_long_past_but_never_the_corpus() -> None:
    everyone, other = cmvn.statistics(CORPUS), CORPUS[:1500] * 2 + 50
    prior = everyone * (cmvn.PRIOR_FRAMES / everyone[0, -1])
    told = cmvn.running(np.concatenate([CORPUS[:900], other]), everyone)
    np.testing.assert_allclose(told[-1], cmvn.apply(other[-1:], cmvn.statistics(other[-cmvn.WINDOW_FRAMES :]) + prior)[0], atol=1e-4)
    np.testing.assert_allclose(told[0], cmvn.apply(CORPUS[:1], cmvn.statistics(CORPUS[:1]) + prior)[0], atol=1e-5)


def test_a_long_silence_stays_below_average() -> None:
    """A minute of faint noise: neither its level nor its spread becomes that of speech."""
    everyone = cmvn.statistics(CORPUS)
    silence = (CORPUS.mean(0) - 3 * CORPUS.std(0) + RNG.standard_normal((6000, 4)) * 0.05).astype(np.float32)
    told = cmvn.running(silence, everyone)[-100:]
    assert told.max() < -0.5 and told.std(0).max() < 0.1


def test_running_cmvn_of_another_dimension_is_refused() -> None:
    with pytest.raises(ShapeError, match="statistics of 4 dimensions do not fit features of 3"):
        cmvn.running(CORPUS[:, :3], cmvn.statistics(CORPUS))
