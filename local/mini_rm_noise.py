"""Noise, rooms and the mixing of an utterance.

Owns the synthetic noise sources, the impulse responses and what "SNR" and "RT60" mean in this corpus. NumPy and SciPy only."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from scipy import signal

from cgs.base.errors import DataError, ShapeError

SAMPLE_RATE = 16000
SOURCE_SECONDS = 20.0
PEAK = 0.95
"""Largest sample of a mixture; a louder one is turned down as a whole, which keeps its SNR."""

KINDS: dict[str, tuple[str, ...]] = {
    "train": ("white", "pink", "engine", "babble"),
    "dev": ("pink", "engine", "babble", "wind"),
    "test": ("pink", "engine", "babble", "sea"),
}
"""Noise kinds of each split: wind and sea are never heard in training, and every source has parameters of its own."""


@dataclass(frozen=True)
class NoiseSource:
    """One noise recording to be made.

    Args:
        name: unique, e.g. "train-engine-03".
        kind: one of `KINDS`.
        colour: power falls with frequency to this power (0 white, 1 pink).
        pitch_hz: firing rate of an engine; 0 for other kinds.
        modulation_hz, modulation_depth: slow change of level.
        talkers: voices of a babble; 0 for other kinds.
    """

    name: str
    kind: str
    colour: float
    pitch_hz: float
    modulation_hz: float
    modulation_depth: float
    talkers: int


def draw_noise_sources(split: str, count: int, seed: int) -> list[NoiseSource]:
    """Noise sources of a split, its kinds in turn; the parameters are random reals, so no two sources are equal."""
    generator = random.Random(f"mini_rm noise {split} {seed}")
    sources = []
    for index in range(count):
        kind = KINDS[split][index % len(KINDS[split])]
        colour = {"white": 0.0, "wind": generator.uniform(1.6, 2.0), "sea": generator.uniform(0.6, 1.2)}.get(kind, generator.uniform(0.7, 1.3))
        slow = kind in ("wind", "sea")
        sources.append(
            NoiseSource(
                name=f"{split}-{kind}-{index:02d}",
                kind=kind,
                colour=colour,
                pitch_hz=generator.uniform(18, 75) if kind == "engine" else 0.0,
                modulation_hz=generator.uniform(0.1, 0.4) if slow else generator.uniform(1, 8),
                modulation_depth=generator.uniform(0.5, 0.8) if slow else generator.uniform(0.1, 0.4),
                talkers=generator.randint(3, 6) if kind == "babble" else 0,
            )
        )
    return sources


def make_noise(source: NoiseSource, n_samples: int, speech: list[np.ndarray] | None = None) -> np.ndarray:
    """The recording of a noise source.

    Args:
        source: what to make; its name is the random seed.
        n_samples: length, at SAMPLE_RATE.
        speech: a babble's talkers, each (n,) at SAMPLE_RATE; repeated where too short.
    Returns: (n_samples,) float32 of unit mean power.
    Raises: DataError: a babble without talkers.
    """
    generator = _generator(source.name)
    if source.kind == "babble":
        if not speech:
            raise DataError(f"noise {source.name}: babble without talkers", "give the talkers' speech")
        noise = sum(np.resize(_unit_power(talker), n_samples) for talker in speech) + 0.05 * _coloured(generator, n_samples, source.colour)
    elif source.kind == "engine":
        noise = _engine(generator, n_samples, source.pitch_hz) + 0.5 * _coloured(generator, n_samples, source.colour)
    else:
        noise = _coloured(generator, n_samples, source.colour)
    time = np.arange(n_samples) / SAMPLE_RATE
    level = 1 + source.modulation_depth * np.sin(2 * np.pi * (source.modulation_hz * time + generator.uniform()))
    return _unit_power(noise * level).astype(np.float32)


def impulse_response(rt60_s: float, direct_db: float, name: str) -> np.ndarray:
    """A room: the direct sound, then Gaussian noise that decays by 60 dB in `rt60_s`.

    Args:
        rt60_s: reverberation time, s; 0 for no room.
        direct_db: energy of the direct sound over that of the rest, dB.
        name: the random seed, e.g. the utterance's id.
    Returns: (n_samples,) float32 at SAMPLE_RATE, first sample 1.
    """
    if rt60_s <= 0:
        return np.ones(1, np.float32)
    time = np.arange(1, int(rt60_s * SAMPLE_RATE) + 1) / SAMPLE_RATE
    tail = _generator(f"room {name}").standard_normal(len(time)) * 10 ** (-3 * time / rt60_s)
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2))
    return np.concatenate([[1.0], tail]).astype(np.float32)


def reverberate(speech: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Speech in a room, with its decay: (n,) and (m,) give (n + m - 1,) float32."""
    return speech if len(response) == 1 else signal.fftconvolve(speech, response).astype(np.float32)


def shift_formants(speech: np.ndarray, shift_441: int) -> np.ndarray:
    """Resample 22.05 kHz speech to 16 kHz, all its frequencies multiplied by shift_441 / 441.

    Returns: (ceil(n * 320 / shift_441),) float32.
    """
    return signal.resample_poly(speech, 320, shift_441).astype(np.float32)


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float, level_db: float, lead: int) -> tuple[np.ndarray, np.ndarray]:
    """Speech in noise at a stated signal-to-noise ratio.

    Args:
        speech: (n,) reverberant speech.
        noise: (t,) noise, t at least lead + n; the utterance is as long as the noise.
        snr_db: mean power of the speech over mean power of the noise, both while the speech lasts, dB.
        level_db: mean power of the speech, dB below a full-scale square wave; lower where the mixture would clip.
        lead: samples of noise before the speech.
    Returns: the speech and the noise as they are in the mixture, each (t,) float32; their sum is the utterance.
    Raises: ShapeError: the noise is too short. DataError: speech or noise is silent.
    """
    if lead + len(speech) > len(noise):
        raise ShapeError(f"noise of {len(noise)} samples under speech of {len(speech)} samples after {lead}", "make the noise longer")
    span = slice(lead, lead + len(speech))
    speech_power, noise_power = (float(np.mean(np.square(part, dtype=np.float64))) for part in (speech, noise[span]))
    if not speech_power or not noise_power:
        raise DataError(f"{'noise' if speech_power else 'speech'} is silent: no signal-to-noise ratio", "leave that voice or noise out")
    clean = np.zeros(len(noise), np.float32)
    clean[span] = speech * (10 ** (level_db / 20) / np.sqrt(speech_power))
    dirty = noise * np.float32(10 ** ((level_db - snr_db) / 20) / np.sqrt(noise_power))
    scale = np.float32(min(1.0, PEAK / float(np.max(np.abs(clean + dirty)))))
    return clean * scale, dirty * scale


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(random.Random(f"mini_rm {name}").getrandbits(128)))


def _unit_power(samples: np.ndarray) -> np.ndarray:
    return samples / np.sqrt(np.mean(np.square(samples, dtype=np.float64)))


def _coloured(generator: np.random.Generator, n_samples: int, colour: float) -> np.ndarray:
    """Gaussian noise whose power falls as frequency ** -colour, flat below 20 Hz; unit power."""
    spectrum = np.fft.rfft(generator.standard_normal(n_samples))
    frequency = np.maximum(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), 20.0)
    return _unit_power(np.fft.irfft(spectrum * frequency ** (-colour / 2), n_samples))


def _engine(generator: np.random.Generator, n_samples: int, pitch_hz: float) -> np.ndarray:
    """Harmonics of a slowly wandering firing rate, up to 3 kHz, falling by about 3 dB an octave; unit power."""
    time = np.arange(n_samples) / SAMPLE_RATE
    wander = 0.02 * np.sin(2 * np.pi * generator.uniform(0.05, 0.3) * time + generator.uniform(0, 2 * np.pi))
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + wander)) / SAMPLE_RATE
    hum = np.zeros(n_samples)
    for harmonic in range(1, int(3000 / pitch_hz)):
        hum += generator.uniform(0.3, 1.0) / harmonic**0.5 * np.sin(harmonic * phase + generator.uniform(0, 2 * np.pi))
    return _unit_power(hum)
