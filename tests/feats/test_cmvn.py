"""CMVN against a plain computation; speakers with little speech; dead channels."""

from __future__ import annotations

import numpy as np
import pytest

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
