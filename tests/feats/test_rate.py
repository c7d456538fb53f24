"""Rates told from the signal: planted correlation times, speakers slowed down, frames respaced, and what stage 3 writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgs.base.errors import DataError
from cgs.feats import rate
from cgs.feats.archive import read_archive
from cgs.feats.cmvn import statistics
from cgs.feats.load import read_utt2spk
from cgs.stages import feats
from tests.feats.test_stage import made


def speech(n_frames: int, decay: float, seed: int = 1) -> np.ndarray:
    """MFCC-like noise whose frames are correlated decay ^ lag, with silence (low c0) at both ends."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((n_frames, 13))
    for t in range(1, n_frames):
        frames[t] = decay * frames[t - 1] + np.sqrt(1 - decay**2) * rng.standard_normal(13)
    frames[:, 0] = 10.0
    frames[: n_frames // 10, 0] = frames[-n_frames // 10 :, 0] = -10.0
    return frames.astype(np.float32)


def time_of(*utterances: np.ndarray) -> float | None:
    correlation = rate.Correlation(0.0, 13)
    for utterance in utterances:
        correlation.add(utterance)
    return correlation.time()


@pytest.mark.parametrize("decay", [0.8, 0.9, 0.95])
def test_planted_correlation_time_is_found(decay: float) -> None:
    found = time_of(speech(40_000, decay))
    assert found == pytest.approx(np.log(rate.LEVEL) / np.log(decay), rel=0.06)


def test_mean_and_scale_of_a_voice_and_its_silence_do_not_matter() -> None:
    frames = speech(20_000, 0.9)
    other = frames * np.linspace(0.5, 3, 13, dtype=np.float32) + np.r_[0.0, np.arange(12)].astype(np.float32)
    other[frames[:, 0] < 0, 1:] = 77.0
    assert time_of(other) == pytest.approx(time_of(frames), rel=1e-4)


def test_slowed_speech_is_brought_back() -> None:
    frames = speech(30_000, 0.9)
    slow = rate.respaced(frames, 1.6)
    assert len(slow) == 48_000
    found = rate.rates({"usual": time_of(frames), "slow": time_of(slow)}, time_of(frames))
    assert found["usual"] == 1 and found["slow"] == pytest.approx(1 / 1.6**rate.TRUST, rel=0.08), "interpolation smooths a little"


def test_too_little_speech_tells_nothing_and_extremes_are_bounded() -> None:
    assert time_of(speech(200, 0.9)) is None and time_of(np.zeros((1, 13), np.float32)) is None
    assert rate.rates({"short": None, "odd": 0.01, "still": 1e6}, 5.0) == {"short": 1.0, "odd": rate.MAX_RATE, "still": 1 / rate.MAX_RATE}
    assert time_of(np.tile(speech(1, 0.9) + np.float32(20), (5000, 1))) is not None, "a dead microphone has some finite time"
    with pytest.raises(DataError, match="no training speaker"):
        rate.usual_time([None, None])


@given(st.integers(1, 60), st.floats(0.5, 2.0))
def test_respaced_frames_lie_between_their_neighbours(n_frames: int, factor: float) -> None:
    ramp = np.arange(n_frames, dtype=np.float32)[:, None]
    found = rate.respaced(ramp, factor)
    assert len(found) == max(1, int(n_frames * factor + 0.5)) and found.dtype == np.float32
    inside = (np.arange(len(found)) + 0.5) / factor - 0.5
    np.testing.assert_allclose(found[:, 0], np.clip(inside, 0, n_frames - 1), atol=1e-4)


def test_stage_writes_rates_and_copies_follow_their_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MIN_PAIRS", 20)
    plain, exp = made(tmp_path / "plain", speeds=(0.9,)), made(tmp_path / "spaced", speeds=(0.9,), rate="speaker")
    for each in (plain, exp):
        feats.run(each)
    root, before = exp.root / "3-feats", plain.root / "3-feats"
    assert rate.read_rates(before, "train") == {}
    rates = rate.read_rates(root, "train")
    speakers = read_utt2spk(root / "utt2spk_train")
    assert len(set(rates.values())) == len(set(speakers.values())) == 2
    assert rate.read_rates(root, "train_sp") == {f"sp0.9-{name}": value for name, value in rates.items()}
    for kind in ("mfcc", "fbank"):
        old, new = read_archive(before / kind / "train.scp"), read_archive(root / kind / "train.scp")
        for name, matrix in old.items():
            np.testing.assert_array_equal(new[name], rate.respaced(matrix, rates[name]))
        counted = sum(statistics(new[name]) for name in new)
        np.testing.assert_allclose(read_archive(root / kind / "cmvn_global.scp")["global"], counted, rtol=1e-6)


def test_odd_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "utt2spk_dev").write_text("a-1 a\n", encoding="utf-8")
    (tmp_path / "rate_dev").write_text("a fast\n", encoding="utf-8")
    with pytest.raises(DataError, match="rate_dev:1: not 'speaker rate' but 'a fast'"):
        rate.read_rates(tmp_path, "dev")
    (tmp_path / "rate_dev").write_text("b 1.0\n", encoding="utf-8")
    with pytest.raises(DataError, match="no rate of speaker 'a'"):
        rate.read_rates(tmp_path, "dev")
