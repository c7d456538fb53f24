"""Phones and words with their times, read off an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import DataError
from cgs.gmm.transitions import TransitionTable
from cgs.gmm.tree_stats import BOUNDARY


@dataclass(frozen=True)
class Segment:
    """A phone or a word.

    Args:
        label: its number.
        start, end: first frame, and the frame after the last.
    """

    label: int
    start: int
    end: int


def phone_segments(alignment: np.ndarray, table: TransitionTable) -> list[Segment]:
    """Phones of an alignment.

    Args:
        alignment: (T,) transition-ids; in each visit of a state the arc that leaves it comes first, then its loops (Kaldi's reordering).
        table: what they mean.
    """
    if not len(alignment):
        return []
    entered = np.flatnonzero(~table.self_loop[alignment])
    left = table.final[alignment[entered]]
    starts = np.concatenate([[0], entered[1:][left[:-1]]])
    ends = np.append(starts[1:], len(alignment))
    return [Segment(int(table.phone[alignment[start]]), int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def contexts(phones: Sequence[Segment], alignment: np.ndarray, table: TransitionTable) -> np.ndarray:
    """(T, 4) int32 for every frame: left phone, phone, right phone, HMM position."""
    labels = np.array([BOUNDARY, *(segment.label for segment in phones), BOUNDARY])
    lengths = [segment.end - segment.start for segment in phones]
    columns = [np.repeat(labels[:-2], lengths), np.repeat(labels[1:-1], lengths), np.repeat(labels[2:], lengths), table.pdf_class[alignment]]
    return np.stack(columns, axis=1).astype(np.int32)


def word_segments(phones: Sequence[Segment], words: Sequence[int], pronunciations: Sequence[Sequence[tuple[int, ...]]], silence: int) -> list[Segment]:
    """Words of an alignment, each without the silence around it.

    Args:
        phones: as `phone_segments` gives them.
        words: numbers of the transcript's words.
        pronunciations: for each of those words, its pronunciations as phone numbers.
        silence: number of the phone of optional silence; a word said as silence alone gives no segment.
    Returns: segments in order; no word goes across silence. Where two readings fit, the one whose words begin earliest.
    Raises: DataError: the phones are not the words'.
    """
    spoken = [segment for segment in phones if segment.label != silence]
    labels = tuple(segment.label for segment in spoken)
    wanted = [(word, [p for p in ways if p != (silence,)]) for word, ways in zip(words, pronunciations, strict=True)]
    wanted = [(word, ways) for word, ways in wanted if ways]
    pauses = {i for i in range(1, len(spoken)) if spoken[i].start > spoken[i - 1].end}
    ends = _fit(labels, [ways for _, ways in wanted], pauses)
    if ends is None:
        raise DataError(f"phones {labels} do not spell the words {list(words)}", "report a bug with the utterance's name")
    starts = [0, *ends][: len(ends)]
    return [Segment(word, spoken[start].start, spoken[end - 1].end) for (word, _), start, end in zip(wanted, starts, ends, strict=True)]


def _fit(labels: tuple[int, ...], ways: Sequence[Sequence[tuple[int, ...]]], pauses: set[int]) -> list[int] | None:
    """Where each word ends, as the number of phones up to there; forwards over reachable ends, then back. No word goes over a pause."""
    reached: list[dict[int, int]] = [{0: -1}]
    for pronunciations in ways:
        following: dict[int, int] = {}
        for start in sorted(reached[-1]):
            for pronunciation in pronunciations:
                end = start + len(pronunciation)
                if labels[start:end] == pronunciation and pauses.isdisjoint(range(start + 1, end)):
                    following.setdefault(end, start)
        reached.append(following)
    if len(labels) not in reached[-1]:
        return None
    ends = [len(labels)]
    for step in range(len(ways), 1, -1):
        ends.append(reached[step][ends[-1]])
    return ends[::-1] if ways else []


def frame_labels(segments: Sequence[Segment], n_frames: int, rest: int = 0) -> np.ndarray:
    """(T,) int32: the label of the segment each frame lies in, `rest` between segments."""
    labels = np.full(n_frames, rest, dtype=np.int32)
    for segment in segments:
        labels[segment.start : segment.end] = segment.label
    return labels


def ctm_lines(
    utterance: str, segments: Sequence[Segment], names: dict[int, str], frame_shift: float, confidences: Sequence[float] | None = None
) -> list[str]:
    """NIST CTM lines "utterance channel start duration label [confidence]", times in seconds."""
    ends = ["" if confidences is None else f" {confidence:.3f}" for confidence in confidences or [0.0] * len(segments)]
    return [
        f"{utterance} 1 {s.start * frame_shift:.3f} {(s.end - s.start) * frame_shift:.3f} {names[s.label]}{end}\n"
        for s, end in zip(segments, ends, strict=True)
    ]
