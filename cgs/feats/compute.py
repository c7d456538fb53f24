"""MFCC and log-mel filterbanks by kaldi-native-fbank, for whole recordings and for streams.

Frames are centred on their shift (Kaldi's --snip-edges=false, the edges mirrored), so n samples give
round(n / shift) frames and frame t lies around (t + 1/2) * shift. Samples are scaled to the 16-bit range, as Kaldi's are."""

from __future__ import annotations

from typing import Literal

import kaldi_native_fbank as knf
import numpy as np

from cgs.base.errors import ConfigError
from cgs.base.options import FeatsOptions

Kind = Literal["mfcc", "fbank"]
KINDS: tuple[Kind, ...] = ("mfcc", "fbank")
SAMPLE_SCALE = 32768.0
"""Samples in [-1, 1] times this are the 16-bit integers that Kaldi's constants (log floor, dither) are made for."""
CEPSTRAL_LIFTER = 22.0
PREEMPHASIS = 0.97


def dimension(kind: Kind, options: FeatsOptions) -> int:
    """D of a kind of features."""
    return options.n_ceps if kind == "mfcc" else options.n_mels


def n_frames(n_samples: int, options: FeatsOptions, sample_rate: int) -> int:
    """Frames of a recording: round(n / shift), halves upwards."""
    shift = int(sample_rate * options.frame_shift + 0.5)
    return (n_samples + shift // 2) // shift


class Extractor:
    """Turns one recording into features, in one piece or as its samples arrive.

    Args:
        kind: "mfcc" (with c0, no energy) or "fbank" (natural log of mel energies).
        options: frame and filter sizes.
        sample_rate: Hz.
    Raises: ConfigError: filters or coefficients that do not fit the sample rate.
    """

    def __init__(self, kind: Kind, options: FeatsOptions, sample_rate: int) -> None:
        _check_options(options, sample_rate)
        self.dimension = dimension(kind, options)
        self._sample_rate = sample_rate
        self._online = knf.OnlineMfcc(_mfcc_options(options, sample_rate)) if kind == "mfcc" else knf.OnlineFbank(_fbank_options(options, sample_rate))
        self._done = 0

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Take samples (n,) in [-1, 1] and return the frames (T, D) float32 that they complete."""
        self._online.accept_waveform(self._sample_rate, np.asarray(samples, dtype=np.float32) * np.float32(SAMPLE_SCALE))
        return self._new_frames()

    def finish(self) -> np.ndarray:
        """End the recording and return its last frames (T, D) float32."""
        self._online.input_finished()
        return self._new_frames()

    def _new_frames(self) -> np.ndarray:
        ready = self._online.num_frames_ready
        frames = [np.array(self._online.get_frame(index)) for index in range(self._done, ready)]
        self._online.pop(ready - self._done)
        self._done = ready
        return np.stack(frames).astype(np.float32, copy=False) if frames else np.zeros((0, self.dimension), dtype=np.float32)


def compute(kind: Kind, samples: np.ndarray, options: FeatsOptions, sample_rate: int) -> np.ndarray:
    """Features (T, D) float32 of a whole recording (n,) in [-1, 1]; see `Extractor`."""
    extractor = Extractor(kind, options, sample_rate)
    return np.concatenate([extractor.accept(samples), extractor.finish()])


def mfcc(samples: np.ndarray, options: FeatsOptions, sample_rate: int) -> np.ndarray:
    """MFCC (T, n_ceps) float32, c0 first, of a recording (n,) in [-1, 1]."""
    return compute("mfcc", samples, options, sample_rate)


def fbank(samples: np.ndarray, options: FeatsOptions, sample_rate: int) -> np.ndarray:
    """Log-mel energies (T, n_mels) float32 of a recording (n,) in [-1, 1]."""
    return compute("fbank", samples, options, sample_rate)


def _check_options(options: FeatsOptions, sample_rate: int) -> None:
    nyquist = sample_rate / 2
    high = options.high_hz if options.high_hz > 0 else nyquist + options.high_hz
    if not 0 <= options.low_hz < high <= nyquist:
        raise ConfigError(f"feats.low_hz {options.low_hz:g} to feats.high_hz {options.high_hz:g}: not inside 0 to {nyquist:g} Hz", "lower feats.high_hz")
    if options.n_ceps > options.n_mfcc_mels:
        raise ConfigError(f"feats.n_ceps {options.n_ceps} is more than feats.n_mfcc_mels {options.n_mfcc_mels}", "lower feats.n_ceps")
    if options.frame_shift * sample_rate < 1 or options.frame_length < options.frame_shift:
        raise ConfigError(f"feats.frame_length {options.frame_length:g} s with a shift of {options.frame_shift:g} s", "make frames as long as their shift")


def _set_common(native: knf.MfccOptions | knf.FbankOptions, options: FeatsOptions, sample_rate: int, n_mels: int) -> None:
    native.frame_opts.samp_freq = sample_rate
    native.frame_opts.frame_shift_ms = 1000 * options.frame_shift
    native.frame_opts.frame_length_ms = 1000 * options.frame_length
    native.frame_opts.dither = options.dither
    native.frame_opts.preemph_coeff = PREEMPHASIS
    native.frame_opts.snip_edges = False
    native.mel_opts.num_bins = n_mels
    native.mel_opts.low_freq = options.low_hz
    native.mel_opts.high_freq = options.high_hz
    native.use_energy = False


def _mfcc_options(options: FeatsOptions, sample_rate: int) -> knf.MfccOptions:
    native = knf.MfccOptions()
    _set_common(native, options, sample_rate, options.n_mfcc_mels)
    native.num_ceps = options.n_ceps
    native.cepstral_lifter = CEPSTRAL_LIFTER
    return native


def _fbank_options(options: FeatsOptions, sample_rate: int) -> knf.FbankOptions:
    native = knf.FbankOptions()
    _set_common(native, options, sample_rate, options.n_mels)
    return native
