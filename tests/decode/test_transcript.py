"""Transcripts as JSON, CTM, SRT and text."""

from __future__ import annotations

import json
import re

from cgs.decode.transcript import Utterance, Word, srt, written

HELLO = [Utterance((Word("hello", 0.5, 0.9), Word("wörld", 0.95, 1.5004))), Utterance((Word("again", 61.2, 61.4),))]


def test_every_format() -> None:
    assert json.loads(written("json", "a b.wav", 62.0004, HELLO)) == {
        "file": "a b.wav", "seconds": 62.0, "utterances": [
            {"start": 0.5, "end": 1.5, "text": "hello wörld", "words": [
                {"word": "hello", "start": 0.5, "end": 0.9}, {"word": "wörld", "start": 0.95, "end": 1.5}]},
            {"start": 61.2, "end": 61.4, "text": "again", "words": [{"word": "again", "start": 61.2, "end": 61.4}]},
        ],
    }  # fmt: skip
    assert written("ctm", "a b", 62, HELLO) == "a_b 1 0.500 0.400 hello\na_b 1 0.950 0.550 wörld\na_b 1 61.200 0.200 again\n"
    assert written("text", "a b", 62, HELLO) == "a_b hello wörld again\n"
    assert written("srt", "a", 62, HELLO) == "1\n00:00:00,500 --> 00:00:01,500\nhello wörld\n\n2\n00:01:01,200 --> 00:01:02,200\nagain\n"
    assert written("ctm", "k", 1, [Utterance((Word("yes", 0.1, 0.2, 0.87654),))]) == "k 1 0.100 0.100 yes 0.8765\n"
    assert [written(form, "a", 1, []) for form in ("ctm", "srt", "text")] == ["", "", "a\n"]


def test_subtitles_are_short_and_in_order() -> None:
    """Two hundred words without a pause: two lines at most, six seconds at most, no overlap, no word lost."""
    words = tuple(Word(f"word{number}", number * 0.4, number * 0.4 + 0.4) for number in range(200))
    entries = srt([Utterance(words)]).split("\n\n")
    texts = [entry.splitlines()[2:] for entry in entries]
    assert " ".join(" ".join(lines) for lines in texts).split() == [word.word for word in words]
    assert all(len(lines) <= 2 and max(map(len, lines)) <= 50 for lines in texts)
    times = [[_seconds(clock) for clock in re.findall(r"[\d:]+,\d+", entry)] for entry in entries]
    assert all(0 < end - start <= 6.001 for start, end in times)
    assert all(end <= following for (_, end), (following, _) in zip(times, times[1:], strict=False))


def test_a_pause_begins_a_subtitle_and_a_short_word_stays_for_a_second_where_there_is_room() -> None:
    told = srt([Utterance((Word("a", 0.0, 0.2), Word("b", 0.3, 0.4), Word("c", 0.9, 1.0), Word("d", 9.0, 9.1)))])
    assert re.findall(r"\n(.*) --> (.*)\n(.*)", told) == [
        ("00:00:00,000", "00:00:00,900", "a b"), ("00:00:00,900", "00:00:01,900", "c"), ("00:00:09,000", "00:00:10,000", "d"),
    ]  # fmt: skip


def _seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest.replace(",", "."))
