"""Times of the words that a search found, also where its last word is cut short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgs.base.errors import DataError
from cgs.data.corpus import SILENCE_WORD, Seconds
from cgs.decode.transcript import Word
from cgs.gmm.segments import Segment, phone_segments, word_segments
from cgs.gmm.transitions import TransitionTable
from cgs.lang.lang import Lang

MOST_PHONES_LEFT = 30
"""A word that is cut short has at most so many phones of its own."""


class WordTimes:
    """Finds where the words of a path begin and end.

    Args:
        lang: words, phones and pronunciations.
        transitions: what the path's transition-ids mean.
        frame_shift: s.
    """

    def __init__(self, lang: Lang, transitions: TransitionTable, frame_shift: Seconds) -> None:
        self._ids, self._names, self._silence = lang.words, lang.word_names, lang.silence_phone
        self._ways = {word: [tuple(lang.phones[phone] for phone in way) for way in ways] for word, ways in lang.lexicon.items()}
        self._transitions, self._frame_shift = transitions, frame_shift

    def silent(self, transition_ids: Sequence[int]) -> np.ndarray:
        """(T,) bool, True in frames of silence."""
        return self._transitions.phone[np.array(transition_ids, dtype=np.int64)] == self._silence

    def segments(self, words: Sequence[str], transition_ids: Sequence[int]) -> list[Segment]:
        """Words of a path in frames.

        Args:
            words: of the path; silence among them is left out.
            transition_ids: one for each frame.
        Returns: a segment for each word; one whose last phones are missing, because the path ends in it, lasts to the end.
        """
        said = [word for word in words if word != SILENCE_WORD]
        phones = phone_segments(np.array(transition_ids, dtype=np.int64), self._transitions)
        whole = self._fit(said, phones)
        return self._fit_cut_short(said, phones) if whole is None else whole

    def words(self, segments: Sequence[Segment], first_frame: int = 0) -> tuple[Word, ...]:
        """Words with their times in s, where the segments' frame 0 is `first_frame` of the recording."""
        return tuple(Word(self._names[s.label], (s.start + first_frame) * self._frame_shift, (s.end + first_frame) * self._frame_shift) for s in segments)

    def _fit(self, words: Sequence[str], phones: Sequence[Segment]) -> list[Segment] | None:
        try:
            return word_segments(phones, [self._ids[word] for word in words], [self._ways[word] for word in words], self._silence)
        except DataError:
            return None

    def _fit_cut_short(self, words: Sequence[str], phones: Sequence[Segment]) -> list[Segment]:
        """The path ends inside the last word, or after phones whose word is not told yet."""
        for cut_short in (0, 1):
            whole = words[: len(words) - cut_short]
            for last in range(len(phones), max(-1, len(phones) - MOST_PHONES_LEFT), -1):
                found = self._fit(whole, phones[:last])
                rest = [phone for phone in phones[last:] if phone.label != self._silence]
                if found is not None and len(rest) >= cut_short:
                    return found + [Segment(self._ids[word], rest[0].start, rest[-1].end) for word in words[len(whole) :]]
        end = phones[-1].end if phones else 0
        return [Segment(self._ids[word], end, end) for word in words]
