"""What was heard in a recording, with times, and how it is written: JSON, CTM, SRT and plain text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cgs.data.corpus import Seconds

FORMATS = ("json", "ctm", "srt", "text")
SUBTITLE_CHARACTERS, SUBTITLE_SECONDS = 84, 6.0
"""A subtitle holds at most two lines of 42 characters, and at most so long a time of speech."""
SUBTITLE_PAUSE = 0.5
"""A pause of so many seconds begins a new one."""
SHORTEST_SUBTITLE = 1.0
"""One is shown at least so long, s, where the next one leaves room."""


@dataclass(frozen=True)
class Word:
    """A word or a keyword.

    Args:
        word: as the vocabulary spells it.
        start, end: s from the beginning of the recording.
        confidence: 0 to 1; None where the search gives none.
    """

    word: str
    start: Seconds
    end: Seconds
    confidence: float | None = None

    def as_dict(self) -> dict[str, str | float]:
        """For JSON, times to the millisecond."""
        told: dict[str, str | float] = {"word": self.word, "start": round(self.start, 3), "end": round(self.end, 3)}
        return told if self.confidence is None else told | {"confidence": round(self.confidence, 4)}


@dataclass(frozen=True)
class Utterance:
    """Words between two pauses, or one keyword.

    Args:
        words: in order, at least one.
    """

    words: tuple[Word, ...]

    @property
    def start(self) -> Seconds:
        """Where the first word begins, s."""
        return self.words[0].start

    @property
    def end(self) -> Seconds:
        """Where the last word ends, s."""
        return self.words[-1].end

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(word.word for word in self.words)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"start": round(self.start, 3), "end": round(self.end, 3), "text": self.text, "words": [word.as_dict() for word in self.words]}


def written(form: str, name: str, seconds: Seconds, utterances: Sequence[Utterance]) -> str:
    """A recording's transcript in one of `FORMATS`, whole lines.

    Args:
        form: "json": one object on one line; "ctm": NIST CTM, a word a line; "srt": subtitles; "text": name and words on one line, as Kaldi's `text`.
        name: of the recording; blanks become "_" in CTM and text, where they separate columns.
        seconds: its length.
        utterances: what was heard.
    """
    if form == "json":
        told = {"file": name, "seconds": round(seconds, 3), "utterances": [utterance.as_dict() for utterance in utterances]}
        return json.dumps(told, ensure_ascii=False) + "\n"
    if form == "srt":
        return srt(utterances)
    column = "_".join(name.split())
    if form == "ctm":
        return "".join(_ctm_line(column, word) for utterance in utterances for word in utterance.words)
    return " ".join([column, *(utterance.text for utterance in utterances)]) + "\n"


def _ctm_line(name: str, word: Word) -> str:
    confidence = "" if word.confidence is None else f" {word.confidence:.4f}"
    return f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.word}{confidence}\n"


def srt(utterances: Sequence[Utterance]) -> str:
    """Subtitles of a recording; see the constants above for where one ends."""
    groups = [group for utterance in utterances for group in _subtitles(utterance.words)]
    entries = []
    for number, group in enumerate(groups, start=1):
        following = groups[number][0].start if number < len(groups) else float("inf")
        end = max(group[-1].end, min(group[0].start + SHORTEST_SUBTITLE, following))
        entries.append(f"{number}\n{_clock(group[0].start)} --> {_clock(end)}\n{_lines([word.word for word in group])}\n")
    return "\n".join(entries)


def _subtitles(words: Sequence[Word]) -> list[list[Word]]:
    groups: list[list[Word]] = []
    for word in words:
        group = groups[-1] if groups else []
        characters = sum(len(held.word) + 1 for held in group) + len(word.word)
        full = not group or characters > SUBTITLE_CHARACTERS or word.end - group[0].start > SUBTITLE_SECONDS or word.start - group[-1].end >= SUBTITLE_PAUSE
        if full:
            groups.append([word])
        else:
            group.append(word)
    return groups


def _lines(words: Sequence[str]) -> str:
    """One line, or two of about equal length."""
    text = " ".join(words)
    if len(text) <= SUBTITLE_CHARACTERS // 2 or len(words) == 1:
        return text
    breaks = [" ".join(words[:count]) for count in range(1, len(words))]
    first = min(breaks, key=lambda head: abs(2 * len(head) + 1 - len(text)))
    return f"{first}\n{text[len(first) + 1 :]}"


def _clock(seconds: Seconds) -> str:
    """12.3456 s is 00:00:12,346."""
    thousandths = round(1000 * seconds)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d},{rest % 1000:03d}"
