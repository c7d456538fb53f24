"""Words and phones with their times as Praat TextGrid files, and the NIST CTM files they are read from.

Owns the TextGrid text. Times are seconds from the utterance's own begin, also where it is a part of a longer recording.
Source: the long text format of Praat's manual, "TextGrid file formats"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgs.base.errors import DataError
from cgs.base.files import read_lines
from cgs.data.corpus import Seconds

ROUNDING: Seconds = 0.0015
"""CTM times are milliseconds, so neighbours may seem this far apart or overlap by it."""


@dataclass(frozen=True)
class Interval:
    """A stretch of an utterance; the label is "" where nothing is said.

    Args:
        start, end: s.
        label: a word or a phone.
    """

    start: Seconds
    end: Seconds
    label: str


def read_ctm(path: Path) -> dict[str, list[Interval]]:
    """Intervals of each utterance of a CTM file, in the file's order. Raises: DataError: no such file, or a line of another form."""
    found: dict[str, list[Interval]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        try:
            utterance, _, start, seconds, label = line.split(" ")
            begin, length = float(start), float(seconds)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {line!r} is not: utterance channel start duration label", "run its stage again") from error
        found.setdefault(utterance, []).append(Interval(begin, begin + length, label))
    return found


def tiled(intervals: Sequence[Interval], seconds: Seconds) -> list[Interval]:
    """The same intervals with empty ones between them, from 0 to the utterance's end without gap or overlap.

    Args:
        intervals: in order.
        seconds: length of the utterance; what goes beyond (the last frame may) is cut.
    """
    tiles: list[Interval] = []
    place = 0.0
    for interval in intervals:
        start = place if interval.start - place < ROUNDING else interval.start
        end = seconds if interval.end > seconds - ROUNDING else interval.end
        if start >= end:
            continue
        if start > place:
            tiles.append(Interval(place, start, ""))
        tiles.append(Interval(start, end, interval.label))
        place = end
    return tiles + ([Interval(place, seconds, "")] if place < seconds else [])


def text_grid(seconds: Seconds, tiers: Mapping[str, Sequence[Interval]]) -> str:
    """A TextGrid of interval tiers.

    Args:
        seconds: length of the utterance.
        tiers: intervals in order, by the name of their tier.
    """
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_time(seconds)}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for place, (name, intervals) in enumerate(tiers.items(), start=1):
        tiles = tiled(intervals, seconds)
        lines += [f"    item [{place}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}", "        xmin = 0"]
        lines += [f"        xmax = {_time(seconds)}", f"        intervals: size = {len(tiles)}"]
        for number, tile in enumerate(tiles, start=1):
            lines += [f"        intervals [{number}]:", f"            xmin = {_time(tile.start)}", f"            xmax = {_time(tile.end)}"]
            lines += [f"            text = {_quoted(tile.label)}"]
    return "\n".join(lines) + "\n"


def _time(seconds: Seconds) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
