"""Recognition of frames as they come, in pieces of any size: scores that wait for their context, a search that ends at pauses.

What comes out does not depend on the pieces, so a recording read from a file and the same one from a microphone give the
same words. A pause ends an utterance: the best path has been in silence for some time. Where nobody pauses, the
utterance is cut at the longest silence of its second half, or before its last word, and what follows is searched again."""

from __future__ import annotations

import kaldi_decoder
import kaldifst
import numpy as np

from cgs.base.errors import ShapeError
from cgs.data.corpus import SILENCE_WORD
from cgs.decode.scores import Scores
from cgs.decode.search import GraphSearch
from cgs.decode.timing import WordTimes
from cgs.decode.transcript import Utterance
from cgs.gmm.segments import Segment

STEP_FRAMES = 10
"""The search advances by so many frames and then looks for a pause."""


class ContextScores:
    """Frame scores of features that come in pieces; a frame waits for those to its right that the network sees.

    Args:
        scores: (T, D) features to (T, P) scores, of any number of frames, the edges repeated.
        left, right: frames before and after the current one that its scores depend on.
    """

    def __init__(self, scores: Scores, left: int, right: int) -> None:
        self._scores, self._left, self._right = scores, left, right
        self._kept: np.ndarray | None = None
        self._done = 0

    def accept(self, features: np.ndarray) -> np.ndarray:
        """Take features (T, D); returns scores (n, P) of the frames that are ready, (0, 0) where none is."""
        self._kept = features if self._kept is None else np.concatenate([self._kept, features])
        return self._score(len(self._kept) - self._right)

    def finish(self) -> np.ndarray:
        """Scores of the last frames, whose context is the last frame repeated."""
        return np.zeros((0, 0), dtype=np.float32) if self._kept is None else self._score(len(self._kept))

    def _score(self, ready: int) -> np.ndarray:
        if self._kept is None or ready <= self._done:
            return np.zeros((0, 0), dtype=np.float32)
        scores = self._scores(self._kept)[self._done : ready]
        first = max(0, ready - self._left)
        self._kept, self._done = self._kept[first:], ready - first
        return scores


class StreamSearch:
    """A search of the decoding graph that gives out an utterance at each pause.

    Args:
        search: the graph and the search's options.
        times: to tell silence and the times of words.
        pause_frames: of silence, that end an utterance.
        longest_frames: of an utterance; it is cut there, pause or no pause. Memory grows up to this and no further.
    """

    def __init__(self, search: GraphSearch, times: WordTimes, pause_frames: int, longest_frames: int) -> None:
        self._search, self._times, self._pause, self._longest = search, times, pause_frames, longest_frames
        self._waiting: list[np.ndarray] = []
        self._first = 0
        self._begin()

    def _begin(self) -> None:
        self.partial: tuple[str, ...] = ()
        self._blocks: list[np.ndarray] = []
        self._n_frames = 0
        self._decoder = kaldi_decoder.FasterDecoder(self._search.graph, self._search.options)
        self._decoder.init_decoding()

    def accept(self, scores: np.ndarray) -> list[Utterance]:
        """Take scores (T, P) float32, scaled log-likelihoods; returns the utterances that end in them.

        `partial` holds the words of the utterance that is going on.
        Raises: ShapeError: fewer pdfs than the graph uses, or a score that is not a number.
        """
        if len(scores):
            self._check(scores)
            self._waiting.append(scores)
        ended: list[Utterance] = []
        while (block := self._next_step()) is not None:
            self._advance(block)
            ended += self._pause_or_limit()
        return ended

    def _next_step(self) -> np.ndarray | None:
        """The next frames to search, None where too few are waiting."""
        while len(self._waiting) > 1 and len(self._waiting[0]) < STEP_FRAMES:
            self._waiting[:2] = [np.concatenate(self._waiting[:2])]
        if not self._waiting or len(self._waiting[0]) < STEP_FRAMES:
            return None
        block, self._waiting[0] = np.split(self._waiting[0], [STEP_FRAMES])
        return block

    def finish(self) -> list[Utterance]:
        """End the recording; returns the last utterance, if it holds a word."""
        rest, self._waiting = self._waiting, []
        if rest and len(rest[0]):  # fewer frames than a step, in one piece
            self._advance(rest[0])
        return self._close() if self._n_frames else []

    def _check(self, scores: np.ndarray) -> None:
        if scores.ndim != 2 or scores.shape[1] <= self._search.pdf.max():
            raise ShapeError(f"scores {scores.shape} for a graph of {self._search.pdf.max() + 1} pdfs", "use the network and the graph of one model")
        if not np.isfinite(scores).all():
            raise ShapeError(f"{np.count_nonzero(~np.isfinite(scores))} scores are not finite", "look for NaN in the features or the network")

    def _advance(self, block: np.ndarray) -> None:
        columns = np.ascontiguousarray(block[:, self._search.pdf], dtype=np.float32)
        decodable = kaldi_decoder.DecodableCtc(columns, offset=self._n_frames)
        self._decoder.advance_decoding(decodable)
        self._blocks.append(block)
        self._n_frames += len(block)

    def _best(self, final: bool) -> tuple[list[str], list[int]]:
        """Words and transition-ids of the best path, to a final state if asked for and if one is reached."""
        found, path = self._decoder.get_best_path(use_final_probs=final)
        if not found:
            return [], []
        _, transition_ids, word_ids, _ = kaldifst.get_linear_symbol_sequence(path)
        return [self._search.word_of[index] for index in word_ids], list(transition_ids)

    def _pause_or_limit(self) -> list[Utterance]:
        words, transition_ids = self._best(final=False)
        self.partial = tuple(word for word in words if word != SILENCE_WORD)
        sounding = np.flatnonzero(~self._times.silent(transition_ids))
        if len(sounding) and self._n_frames - 1 - sounding[-1] >= self._pause:
            return self._close()
        return self._cut(words, transition_ids) if self._n_frames >= self._longest else []

    def _close(self) -> list[Utterance]:
        words = self._times.words(self._times.segments(*self._best(final=True)), self._first)
        self._first += self._n_frames
        self._begin()
        return [Utterance(words)] if words else []

    def _cut(self, words: list[str], transition_ids: list[int]) -> list[Utterance]:
        """Give out the words before a good place, and search again from there."""
        segments = self._times.segments(words, transition_ids)
        place = _place_to_cut(segments, self._times.silent(transition_ids)) or self._n_frames
        before = self._times.words([segment for segment in segments if segment.end <= place], self._first)
        self._waiting.insert(0, np.concatenate(self._blocks)[place:])
        self._first += place
        self._begin()
        return [Utterance(before)] if before else []


def _place_to_cut(segments: list[Segment], silent: np.ndarray) -> int:
    """A frame of the second half: the middle of its longest silence, else the beginning of its last word; 0 where there is neither."""
    half = len(silent) // 2
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    pauses = [(end - start, (start + end) // 2) for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    pauses = [(length, middle) for length, middle in pauses if middle >= half]
    if pauses:
        return max(pauses)[1]
    return max((segment.start for segment in segments if segment.start >= half), default=0)
