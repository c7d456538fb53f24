"""Noise sources, rooms and mixtures have the properties that the manifest states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, ShapeError
from local.mini_rm_noise import KINDS, PEAK, SAMPLE_RATE, draw_noise_sources, impulse_response, make_noise, mix, reverberate, shift_formants

RNG = np.random.default_rng(7)


def measured_snr_db(clean: np.ndarray, dirty: np.ndarray, span: slice) -> float:
    return 10 * np.log10(np.mean(clean[span].astype(float) ** 2) / np.mean(dirty[span].astype(float) ** 2))


@settings(max_examples=40, deadline=None)
@given(snr=st.floats(-5, 40), level=st.floats(-40, 0), lead=st.integers(0, 500), length=st.integers(50, 2000), loud=st.floats(1e-3, 10))
def test_mixture_has_the_stated_snr_and_never_clips(snr, level, lead, length, loud):
    speech = (loud * RNG.standard_normal(length)).astype(np.float32)
    noise = (RNG.standard_normal(lead + length + 300) + 0.1).astype(np.float32)
    clean, dirty = mix(speech, noise, snr, level, lead)
    span = slice(lead, lead + length)
    assert clean.shape == dirty.shape == noise.shape
    assert abs(measured_snr_db(clean, dirty, span) - snr) < 0.01
    assert np.abs(clean + dirty).max() <= PEAK + 1e-5
    assert 10 * np.log10(np.mean(clean[span].astype(float) ** 2)) <= level + 0.01
    assert not clean[:lead].any() and not clean[lead + length :].any()


def test_mixture_without_power_or_length_is_told():
    ones = np.ones(100, np.float32)
    with pytest.raises(DataError, match="speech is silent"):
        mix(np.zeros(50, np.float32), ones, 10, -20, 0)
    with pytest.raises(DataError, match="noise is silent"):
        mix(ones[:50], np.zeros(100, np.float32), 10, -20, 0)
    with pytest.raises(ShapeError, match="noise of 100 samples under speech of 100 samples after 1"):
        mix(ones, ones, 10, -20, 1)


@pytest.mark.parametrize("rt60_s", [0.15, 0.3, 0.8])
def test_room_decays_as_stated(rt60_s):
    response = impulse_response(rt60_s, 6.0, "test").astype(float)
    energy = np.cumsum(response[:0:-1] ** 2)[::-1]
    decay_db = 10 * np.log10(energy / energy[0])
    first, last = np.argmax(decay_db < -5), np.argmax(decay_db < -30)
    assert abs(60 * (last - first) / 25 / SAMPLE_RATE - rt60_s) < 0.1 * rt60_s, "Schroeder's backward integration, T30"
    assert abs(10 * np.log10(response[0] ** 2 / energy[0]) - 6.0) < 0.01
    assert not np.array_equal(response, impulse_response(rt60_s, 6.0, "other"))


def test_no_room_changes_nothing_and_a_room_convolves():
    speech = RNG.standard_normal(1000).astype(np.float32)
    assert reverberate(speech, impulse_response(0.0, 0.0, "x")) is speech
    response = impulse_response(0.05, 3.0, "x")
    np.testing.assert_allclose(reverberate(speech, response), np.convolve(speech.astype(float), response), atol=1e-4)


@pytest.mark.parametrize("shift", [405, 441, 485])
def test_resampling_moves_a_tone_by_the_stated_factor(shift):
    tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050).astype(np.float32)
    moved = shift_formants(tone, shift)
    assert len(moved) == -(-22050 * 320 // shift)
    spectrum = np.abs(np.fft.rfft(moved))
    assert abs(np.argmax(spectrum) * SAMPLE_RATE / len(moved) - 1000 * shift / 441) < 1.5


def test_noise_sources_of_the_splits_have_nothing_in_common():
    drawn = {split: draw_noise_sources(split, 12, 0) for split in KINDS}
    parameters = {(s.kind, s.colour, s.pitch_hz, s.modulation_hz, s.modulation_depth) for sources in drawn.values() for s in sources}
    assert len(parameters) == len({s.name for sources in drawn.values() for s in sources}) == 36
    assert {source.kind for source in drawn["test"]} - {source.kind for source in drawn["train"]} == {"sea"}


@pytest.mark.parametrize("kind", sorted({kind for kinds in KINDS.values() for kind in kinds}))
def test_noise_has_unit_power_and_is_the_same_again(kind):
    split = next(split for split, kinds in KINDS.items() if kind in kinds)
    source = next(s for s in draw_noise_sources(split, 4, 0) if s.kind == kind)
    talkers = [RNG.standard_normal(4000)] if kind == "babble" else None
    noise = make_noise(source, 32000, talkers)
    assert noise.dtype == np.float32
    assert abs(np.mean(noise.astype(float) ** 2) - 1) < 1e-3
    np.testing.assert_array_equal(noise, make_noise(source, 32000, talkers))


def test_colour_is_the_slope_of_the_spectrum():
    source = next(s for s in draw_noise_sources("train", 4, 0) if s.kind == "pink")
    power = np.abs(np.fft.rfft(make_noise(source, 1 << 18).astype(float))) ** 2
    frequency = np.fft.rfftfreq(1 << 18, 1 / SAMPLE_RATE)
    low, high = (power[(frequency > f) & (frequency < 1.2 * f)].mean() for f in (300, 4800))
    assert abs(np.log2(low / high) / 4 - source.colour) < 0.1


def test_babble_without_talkers_is_told():
    source = next(s for s in draw_noise_sources("train", 4, 0) if s.kind == "babble")
    with pytest.raises(DataError, match="train-babble-03: babble without talkers"):
        make_noise(source, 100)
