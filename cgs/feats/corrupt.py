"""Training recordings as they would sound in other rooms and in noise.

Owns what is drawn for a noisy copy and what "SNR" means for one. Every frame stays where it was: the direct sound of a room arrives
without delay and the copy is as long as the recording, so that an alignment of the recording holds for the copy."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import signal

from cgs.base.errors import DataError
from cgs.data.audio import audio_info, read_audio

MOST_TRIES = 10
"""Places of a noise recording that are tried before it is called silent."""


@dataclass(frozen=True)
class Corruption:
    """What noisy copies are drawn from.

    Args:
        noises: recordings, of any sample rate; none for rooms alone.
        rooms: impulse responses, of any sample rate; none for noise alone.
        snr_db: lowest and highest signal-to-noise ratio, dB.
        room_fraction: share of the copies that are spoken in a room, where there are noises too.
        seed: of everything drawn.
    """

    noises: tuple[Path, ...]
    rooms: tuple[Path, ...]
    snr_db: tuple[float, float]
    room_fraction: float
    seed: int


def corrupted(samples: np.ndarray, name: str, how: Corruption, sample_rate: int) -> np.ndarray:
    """A copy of a recording (n,) in a room, in noise or in both; (n,) float32, the same for the same name and seed.

    Raises: DataError: a room or a noise that cannot be read or is silent.
    Source: Ko, Peddinti, Povey, Seltzer, Khudanpur 2017, A study on data augmentation of reverberant speech for robust speech
        recognition. Differs: one noise at a time, from a random place and over the whole recording.
    """
    draw = random.Random(f"noisy copy {name}, seed {how.seed}")
    if how.rooms and (not how.noises or draw.random() < how.room_fraction):
        samples = reverberated(samples, read_audio(draw.choice(how.rooms), sample_rate, resample=True))
    if how.noises:
        noise = _piece_of_noise(draw.choice(how.noises), len(samples), sample_rate, draw)
        samples = with_noise(samples, noise, draw.uniform(*how.snr_db))
    return samples


def reverberated(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Speech in a room, on the clock of the dry speech and of its mean power.

    Args:
        samples: (n,) dry speech.
        response: (m,) impulse response; its largest sample is the direct sound, what comes before it is kept but comes early.
    Returns: (n,) float32; what rings on after the end is cut off.
    """
    delay = int(np.argmax(np.abs(response)))
    wet = signal.fftconvolve(samples.astype(np.float64), response.astype(np.float64))[delay : delay + len(samples)]
    dry_power, wet_power = _power(samples), _power(wet)
    return (wet * np.sqrt(dry_power / wet_power) if wet_power else wet).astype(np.float32)


def with_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech in noise.

    Args:
        samples: (n,) speech; digital silence stays silent.
        noise: (n,) not silent.
        snr_db: mean power of the speech, pauses included, over mean power of the noise, dB.
    Returns: (n,) float32.
    """
    factor = np.sqrt(_power(samples) / _power(noise) * 10 ** (-snr_db / 10))
    return (samples + factor * noise).astype(np.float32)


def _piece_of_noise(path: Path, n_samples: int, sample_rate: int, draw: random.Random) -> np.ndarray:
    """(n_samples,) of a recording from a random place; a recording that is shorter is repeated."""
    seconds, wanted = audio_info(path)[1], n_samples / sample_rate
    for _ in range(MOST_TRIES):
        if seconds > wanted:
            start = draw.uniform(0, seconds - wanted)
            piece = read_audio(path, sample_rate, start, start + wanted, resample=True)
        else:
            piece = read_audio(path, sample_rate, resample=True)
            piece = np.roll(piece, -draw.randrange(max(1, len(piece))))
        if piece.any():
            return np.resize(piece, n_samples)
    raise DataError(f"{path}: silent wherever it was looked at", "leave it out of feats.noise.noises")


def _power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
