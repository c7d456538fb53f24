"""Keyword detection: frame posteriors in, a confidence for each keyword out.

Owns the smoothing and the confidence. The detector takes frames in pieces of any size, as a microphone gives them,
and holds no more than its two windows."""

from __future__ import annotations

import numpy as np

from cgs.base.errors import ConfigError, ShapeError
from cgs.nn.labels import OTHER_CLASS, SILENCE_CLASS

SPEECH_CONFIDENCE = 0.5
"""An isolated recording in which no class of speech is this likely is taken for silence."""


class KeywordDetector:
    """Confidence of every class at every frame, for posteriors that arrive in pieces.

    The smoothed posterior is p'(i, j) = mean of p(i, k) over the last w_smooth frames k = max(1, j - w_smooth + 1) .. j.
    The confidence at frame j is the largest p'(i, k) over the last w_max frames: the paper's n-th root of a product
    over the parts of a keyword, with one part, because each keyword is one output here.

    Args:
        n_classes: outputs of the network.
        smooth_frames: w_smooth, frames.
        window_frames: w_max, frames.
    Raises: ConfigError: a window without frames.
    Source: Chen, Parada and Heigold, ICASSP 2014, equations 2 and 3.
    """

    def __init__(self, n_classes: int, smooth_frames: int, window_frames: int) -> None:
        if smooth_frames < 1 or window_frames < 1:
            raise ConfigError(f"windows of {smooth_frames} and {window_frames} frames", "use kws.smooth_frames and kws.window_frames of 1 or more")
        self.n_classes, self.smooth_frames, self.window_frames = n_classes, smooth_frames, window_frames
        self.reset()

    def reset(self) -> None:
        """Forget the past, as before the first frame."""
        self._seen = 0
        self._past = np.zeros((self.smooth_frames - 1, self.n_classes))
        self._past_smoothed = np.zeros((self.window_frames - 1, self.n_classes))

    def accept(self, posteriors: np.ndarray) -> np.ndarray:
        """Take the next frames.

        Args:
            posteriors: (T, n_classes) float, probabilities.
        Returns: (T, n_classes) float64, the confidence of each class at each of these frames.
        Raises: ShapeError: another width.
        """
        if posteriors.ndim != 2 or posteriors.shape[1] != self.n_classes:
            raise ShapeError(f"posteriors {posteriors.shape} for {self.n_classes} classes", "use the network and the keywords of one experiment")
        if not len(posteriors):
            return np.zeros((0, self.n_classes))
        frames = np.concatenate([self._past, posteriors])
        n_averaged = np.minimum(self._seen + 1 + np.arange(len(posteriors)), self.smooth_frames)
        smoothed = np.lib.stride_tricks.sliding_window_view(frames, self.smooth_frames, axis=0).sum(axis=2) / n_averaged[:, None]
        history = np.concatenate([self._past_smoothed, smoothed])
        confidence = np.lib.stride_tricks.sliding_window_view(history, self.window_frames, axis=0).max(axis=2)
        self._seen += len(posteriors)
        self._past = frames[len(frames) - self.smooth_frames + 1 :]
        self._past_smoothed = history[len(history) - self.window_frames + 1 :]
        return confidence


def utterance_confidence(posteriors: np.ndarray, smooth_frames: int, window_frames: int) -> np.ndarray:
    """Confidence of each class in a whole utterance: the largest over its frames.

    Args:
        posteriors: (T, n_classes) float, T at least 1.
        smooth_frames, window_frames: as for `KeywordDetector`. The largest confidence over all frames does not depend on w_max.
    Returns: (n_classes,) float64.
    Raises: ShapeError: no frame.
    """
    if not len(posteriors):
        raise ShapeError("an utterance without frames has no confidence", "remove it in the data stage")
    return KeywordDetector(posteriors.shape[1], smooth_frames, window_frames).accept(posteriors).max(axis=0)


def isolated_class(confidence: np.ndarray) -> int:
    """The class of a recording that holds one word or none.

    Args:
        confidence: (n_classes,) from `utterance_confidence`.
    Returns: the likeliest class of speech, or silence where none reaches 0.5; silence is at the ends of every recording, so
        its own confidence tells nothing.
    """
    best = int(np.argmax(confidence[OTHER_CLASS:])) + OTHER_CLASS
    return best if confidence[best] >= SPEECH_CONFIDENCE else SILENCE_CLASS
