"""Keywords in frames as they come: a keyword is heard from where its confidence reaches a threshold to where it falls below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgs.data.corpus import Seconds
from cgs.decode.keyword import KeywordDetector
from cgs.decode.transcript import Utterance, Word
from cgs.nn.labels import FIRST_KEYWORD_CLASS


class StreamSpotter:
    """Finds keywords in posteriors that come in pieces.

    Args:
        keywords: K words, in output order.
        smooth_frames, window_frames: see `KeywordDetector`.
        threshold: least confidence, above 0 and at most 1.
        frame_shift: s.
    """

    def __init__(self, keywords: Sequence[str], smooth_frames: int, window_frames: int, threshold: float, frame_shift: Seconds) -> None:
        self._keywords, self._threshold, self._shift = tuple(keywords), threshold, frame_shift
        self._detector = KeywordDetector(FIRST_KEYWORD_CLASS + len(self._keywords), smooth_frames, window_frames)
        self._memory = window_frames - 1
        self._n_frames = 0
        self._heard: dict[str, tuple[int, float]] = {}

    @property
    def partial(self) -> tuple[str, ...]:
        """Keywords that are being heard, in the order of their beginnings."""
        return tuple(sorted(self._heard, key=lambda keyword: self._heard[keyword][0]))

    def accept(self, posteriors: np.ndarray) -> list[Utterance]:
        """Take posteriors (T, 2 + K); returns the keywords that end in them, in the order of their ends."""
        if not len(posteriors):
            return []
        confidence = self._detector.accept(posteriors)[:, FIRST_KEYWORD_CLASS:]
        ended = []
        for index, row in enumerate(confidence, start=self._n_frames):
            for keyword, value in zip(self._keywords, row.tolist(), strict=True):
                if value >= self._threshold:
                    start, best = self._heard.get(keyword, (index, 0.0))
                    self._heard[keyword] = start, max(best, value)
                elif keyword in self._heard:
                    ended.append(self._end(keyword, index))
        self._n_frames += len(posteriors)
        return ended

    def finish(self) -> list[Utterance]:
        """End the recording; returns the keywords that were being heard."""
        return [self._end(keyword, self._n_frames) for keyword in self.partial]

    def _end(self, keyword: str, frame: int) -> Utterance:
        """The detector remembers w_max frames, so the keyword itself ended that much earlier."""
        start, confidence = self._heard.pop(keyword)
        end = max(start + 1, frame - self._memory)
        return Utterance((Word(keyword, start * self._shift, end * self._shift, confidence),))
