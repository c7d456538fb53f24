"""TextGrids, read back by a reader of this file's own that knows only Praat's rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError
from cgs.data.textgrid import Interval, read_ctm, text_grid


def read_text_grid(text: str) -> tuple[float, dict[str, list[tuple[float, float, str]]]]:
    """Praat ignores everything but numbers, flags in <> and strings in quotes that stand free: read just those, in order."""
    tokens = iter(re.findall(r'"(?:[^"]|"")*"|<exists>|(?<![\w\[.])-?\d+(?:\.\d+)?(?![\w\].])', text))

    def number() -> float:
        return float(next(tokens))

    def string() -> str:
        token = next(tokens)
        assert token[0] == token[-1] == '"'
        return token[1:-1].replace('""', '"')

    assert (string(), string()) == ("ooTextFile", "TextGrid")
    assert number() == 0
    seconds, exists, n_tiers = number(), next(tokens), number()
    assert exists == "<exists>"
    tiers = {}
    for _ in range(int(n_tiers)):
        assert string() == "IntervalTier"
        name = string()
        assert (number(), number()) == (0, seconds)
        tiers[name] = [(number(), number(), string()) for _ in range(int(number()))]
    assert next(tokens, None) is None
    return seconds, tiers


def test_words_and_phones_are_read_back() -> None:
    words = [Interval(0.1, 0.3, 'say "hi"'), Interval(0.3, 0.5, "नमस्ते")]
    phones = [Interval(0.0, 0.1, "SIL"), Interval(0.1, 0.5, "a"), Interval(0.5, 0.62, "SIL")]
    seconds, tiers = read_text_grid(text_grid(0.615, {"words": words, "phones": phones}))
    assert seconds == 0.615 and list(tiers) == ["words", "phones"]
    assert tiers["words"] == [(0, 0.1, ""), (0.1, 0.3, 'say "hi"'), (0.3, 0.5, "नमस्ते"), (0.5, 0.615, "")]
    assert tiers["phones"] == [(0, 0.1, "SIL"), (0.1, 0.5, "a"), (0.5, 0.615, "SIL")]


FRAMES = st.lists(st.tuples(st.integers(0, 9), st.integers(2, 40), st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)), max_size=8)


@given(FRAMES, st.sampled_from([0.01, 0.0125, 1 / 90]), st.floats(-0.02, 0.3))
@settings(deadline=None)
def test_intervals_tile_the_utterance(told: list[tuple[int, int, str]], shift: float, rest: float) -> None:
    """Gaps of whole frames, times rounded to milliseconds as in a CTM, an end that is a little early or late: no gap, no overlap, no label lost."""
    place, intervals = 0, []
    for gap, length, label in told:
        start, place = place + gap, place + gap + length
        intervals.append(Interval(round(start * shift, 3), round(start * shift, 3) + round(length * shift, 3), label))
    seconds = max(place * shift + rest, 0.05)
    read, tiers = read_text_grid(text_grid(seconds, {"words": intervals}))
    tiles = tiers["words"]
    assert tiles[0][0] == 0 and tiles[-1][1] == read == pytest.approx(seconds, abs=1e-6)
    assert all(start < end for start, end, _ in tiles)
    assert all(end == start for (_, end, _), (start, _, _) in zip(tiles, tiles[1:], strict=False))
    assert [label for *_, label in tiles if label] == [label for _, _, label in told if label]


def test_ctm_is_read_and_bad_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ctm"
    path.write_text("u1 1 0.100 0.250 two\nu1 1 0.350 0.100 öl\n", encoding="utf-8")
    assert read_ctm(path) == {"u1": [Interval(0.1, 0.35, "two"), Interval(0.35, pytest.approx(0.45), "öl")]}
    path.write_text("u1 1 0.100 two\n")
    with pytest.raises(DataError, match=r"a.ctm:1: 'u1 1 0.100 two' is not: utterance channel start duration label"):
        read_ctm(path)
