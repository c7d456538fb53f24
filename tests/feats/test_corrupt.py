"""Noise and rooms: exact ratios, scipy's convolution, no delay, the same draw for the same name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from cgs.base.errors import DataError
from cgs.data.audio import read_audio, write_wav
from cgs.feats.corrupt import Corruption, corrupted, reverberated, with_noise

RATE = 8000
RNG = np.random.default_rng(3)


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 17.5])
def test_the_ratio_of_powers_is_the_one_asked_for(snr_db: float) -> None:
    speech, noise = (RNG.standard_normal(4000).astype(np.float32) * level for level in (0.1, 0.02))
    both = with_noise(speech, noise, snr_db)
    assert both.dtype == np.float32 and both.shape == speech.shape
    added = both.astype(np.float64) - speech
    assert 10 * np.log10(power(speech) / power(added)) == pytest.approx(snr_db, abs=1e-3)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1, abs=1e-5)


def test_silence_stays_silent() -> None:
    assert not with_noise(np.zeros(10, np.float32), np.ones(10, np.float32), 0.0).any()
    assert not reverberated(np.zeros(10, np.float32), np.ones(3, np.float32)).any()


def test_a_room_is_scipys_convolution_less_the_delay_of_its_direct_sound() -> None:
    speech = RNG.standard_normal(1000).astype(np.float32)
    response = np.concatenate([RNG.standard_normal(37) * 0.01, [1.0], RNG.standard_normal(200) * 0.1]).astype(np.float32)
    wet = reverberated(speech, response)
    slow = signal.convolve(speech.astype(np.float64), response.astype(np.float64), method="direct")[37:1037]
    np.testing.assert_allclose(wet, slow * np.sqrt(power(speech) / power(slow)), atol=1e-5)
    assert wet.shape == speech.shape and power(wet) == pytest.approx(power(speech), rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_click_stays_where_it_was(sign: int) -> None:
    speech = np.zeros(500, np.float32)
    speech[[100, 499]] = 1
    response = np.zeros(300, np.float32)
    response[[120, 200]] = sign, 0.5
    wet = reverberated(speech, response)
    assert np.flatnonzero(np.abs(wet) > 0.2).tolist() == [100, 180, 499]
    np.testing.assert_allclose(reverberated(speech, np.eye(1, 300, 120)[0].astype(np.float32)), speech, atol=1e-12)


@pytest.fixture
def how(tmp_path: Path) -> Corruption:
    noises, rooms = [tmp_path / "short.wav", tmp_path / "long.wav", tmp_path / "fast.wav"], [tmp_path / "room.wav"]
    for path, n_samples, rate in zip(noises, (500, 40000, 44100), (RATE, RATE, 44100), strict=True):
        write_wav(path, RNG.standard_normal(n_samples) * 0.1, rate)
    write_wav(rooms[0], np.eye(1, 50, 20)[0] + 0.3 * np.eye(1, 50, 40)[0], RATE)
    return Corruption(tuple(noises), tuple(rooms), (5.0, 10.0), 0.5, 1)


def test_copies_are_as_long_as_the_recording_and_within_the_range(how: Corruption) -> None:
    speech = RNG.standard_normal(4001).astype(np.float32) * 0.2
    dry = Corruption(how.noises, (), how.snr_db, how.room_fraction, how.seed)
    ratios = []
    for number in range(30):
        copy = corrupted(speech, f"u{number}", dry, RATE)
        assert copy.shape == speech.shape and copy.dtype == np.float32
        ratios.append(10 * np.log10(power(speech) / power(copy.astype(np.float64) - speech)))
    assert 5 <= min(ratios) < 6 and 9 < max(ratios) <= 10


def test_a_name_and_a_seed_give_one_copy(how: Corruption) -> None:
    speech = RNG.standard_normal(3000).astype(np.float32)
    first = corrupted(speech, "u1", how, RATE)
    np.testing.assert_array_equal(first, corrupted(speech, "u1", how, RATE))
    assert not np.array_equal(first, corrupted(speech, "u2", how, RATE))
    assert not np.array_equal(first, corrupted(speech, "u1", Corruption(how.noises, how.rooms, how.snr_db, 0.5, 2), RATE))


def test_half_of_the_noisy_copies_are_in_a_room_and_all_without_noises(how: Corruption, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    monkeypatch.setattr("cgs.feats.corrupt.reverberated", lambda samples, response: heard.append(response) or samples)
    speech = RNG.standard_normal(800).astype(np.float32)
    for number in range(200):
        corrupted(speech, f"u{number}", how, RATE)
    assert 75 < len(heard) < 125
    np.testing.assert_array_equal(heard[0], read_audio(how.rooms[0], RATE))
    heard.clear()
    rooms_alone = Corruption((), how.rooms, how.snr_db, 0.0, 1)
    assert all(np.array_equal(corrupted(speech, f"u{number}", rooms_alone, RATE), speech) for number in range(5)) and len(heard) == 5


def test_a_silent_noise_is_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "dead.wav", np.zeros(9000), RATE)
    with pytest.raises(DataError, match=r"dead\.wav: silent wherever it was looked at \(leave it out of feats\.noise\.noises\)"):
        corrupted(np.ones(100, np.float32), "u", Corruption((tmp_path / "dead.wav",), (), (0.0, 0.0), 0.0, 1), RATE)
