"""How fast somebody speaks, told from the signal alone, and frames spaced so that all speakers seem to speak as fast.

Cepstra of somebody who drawls stay alike for longer: the lag at which the autocorrelation of a speaker's speech has fallen to
`LEVEL`, his or her correlation time, follows the mean length of a phone (correlation of the logarithms 0.88 over 109 speakers of
speechocean762, 0.89 over 62 others). A speaker's frames are interpolated in time to `rate` frames for each one that
was computed, rate = (usual correlation time / the speaker's) ^ `TRUST`, whatever the words are.

On disk: rate_<split>, lines "speaker rate". Speed perturbed and noisy copies take the rate of the speaker they are made of.
Source: Chu and Povey 2010, Speaking rate adaptation using continuous frame rate normalization. Differs: no first decoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from cgs.base.errors import DataError
from cgs.base.files import read_lines, write_text
from cgs.feats.load import read_utt2spk

LEVEL = 0.6
"""Of .4, .5, .6 and .7 the one whose lag follows the length of phones best."""
MAX_LAG = 30
"""Frames: more than any speaker's correlation time; of the slowest of speechocean762 it is 10."""
TRUST = 0.85
"""Slope of log phone length over log correlation time: what is measured is part noise."""
MAX_RATE = 2.0
"""Nobody's frames become more than twice or less than half as many."""
MIN_PAIRS = 300
"""Pairs of neighbouring frames of speech, 3 s, without which nothing is known about a speaker."""


class Correlation:
    """Sums of one speaker's autocorrelation, an utterance at a time.

    Args:
        threshold: c0 of a frame of speech, at least; a speaker's mean c0 serves.
        n_ceps: coefficients of a frame, c0 included.
    """

    def __init__(self, threshold: float, n_ceps: int) -> None:
        self._threshold = threshold
        self._sums, self._pairs = np.zeros((MAX_LAG, 5, n_ceps - 1)), np.zeros(MAX_LAG)

    def add(self, cepstra: np.ndarray) -> None:
        """Take in MFCC (T, n_ceps), c0 first."""
        speech, wide = cepstra[:, 0] > self._threshold, cepstra[:, 1:].astype(np.float64)
        for index in range(min(MAX_LAG, len(cepstra) - 1)):
            lag = index + 1
            both = speech[:-lag] & speech[lag:]
            a, b = wide[:-lag][both], wide[lag:][both]
            self._sums[index] += [a.sum(0), b.sum(0), (a * a).sum(0), (b * b).sum(0), (a * b).sum(0)]
            self._pairs[index] += len(a)

    def time(self) -> float | None:
        """Correlation time in frames; None of too little speech."""
        if self._pairs[0] < MIN_PAIRS:
            return None
        values, known = np.ones(MAX_LAG + 1), self._pairs > 1
        mean = self._sums[known] / self._pairs[known, None, None]
        a, b, aa, bb, ab = np.moveaxis(mean, 1, 0)
        spread = np.sqrt(np.maximum(aa - a * a, 0) * np.maximum(bb - b * b, 0))
        values[1:] = 0.0
        values[1:][known] = np.mean((ab - a * b) / np.maximum(spread, 1e-10), axis=1)
        first = int(np.argmax(values < LEVEL))
        if values[first] >= LEVEL:
            return float(MAX_LAG)
        return first - 1 + float((values[first - 1] - LEVEL) / (values[first - 1] - values[first]))


def rates(times: Mapping[str, float | None], usual: float) -> dict[str, float]:
    """{speaker: rate} of correlation times, frames; 1 of a speaker whose time is unknown."""
    found = {speaker: 1.0 if time is None else (usual / time) ** TRUST for speaker, time in times.items()}
    return {speaker: float(np.clip(rate, 1 / MAX_RATE, MAX_RATE)) for speaker, rate in found.items()}


def usual_time(times: Iterable[float | None]) -> float:
    """The correlation time of a typical training speaker: the geometric mean. Raises: DataError: nobody's is known."""
    known = [time for time in times if time is not None]
    if not known:
        raise DataError(f"no training speaker has {MIN_PAIRS / 100:g} s of speech to tell a rate from", 'set feats.rate = "none"')
    return float(np.exp(np.mean(np.log(known))))


def respaced(features: np.ndarray, rate: float) -> np.ndarray:
    """Features (T, D) interpolated to round(T * rate) frames (at least one) of the same spans of time, float32."""
    if rate == 1:
        return features
    n_frames = max(1, int(len(features) * rate + 0.5))
    where = np.clip((np.arange(n_frames) + 0.5) / rate - 0.5, 0, len(features) - 1)
    before = where.astype(np.int64)
    after = np.minimum(before + 1, len(features) - 1)
    share = (where - before)[:, None]
    return (features[before] * (1 - share) + features[after] * share).astype(np.float32)


def write_rates(path: Path, found: Mapping[str, float]) -> None:
    """Write lines "speaker rate"."""
    write_text(path, "".join(f"{speaker} {rate!r}\n" for speaker, rate in sorted(found.items())))


def read_rates(feats_dir: Path, split: str) -> dict[str, float]:
    """{utterance: rate} of a split; empty where frames are as they were computed.

    Raises: DataError: a line of another form, or a speaker without a rate.
    """
    path = feats_dir / f"rate_{split}"
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(read_lines(path), start=1):
        try:
            speaker, rate = line.split()
            found[speaker] = float(rate)
        except ValueError:
            raise DataError(f"{path}:{number}: not 'speaker rate' but {line!r}", "run stage 3 again") from None
    speakers = read_utt2spk(feats_dir / f"utt2spk_{split}")
    missing = sorted(set(speakers.values()) - found.keys())
    if missing:
        raise DataError(f"{path}: no rate of speaker {missing[0]!r}", "run stage 3 again")
    return {utterance: found[speaker] for utterance, speaker in speakers.items()}
