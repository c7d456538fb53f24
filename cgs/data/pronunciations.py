"""Pronunciation files that others made, line by line: CMUdict, or "WORD PH PH" in any alphabet.

Owns what a line says and the ARPABET phones; who reads such a file decides what to do with odd lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cgs.base.files import read_lines

VARIANT = re.compile(r"(?<=.)\([0-9]+\)$")
VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())  # noqa: SIM905
CONSONANTS = frozenset("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())  # noqa: SIM905
ARPABET = VOWELS | CONSONANTS
"""Without stress digits."""


@dataclass(frozen=True)
class Entry:
    """A line of a dictionary.

    Args:
        place: file and line, for messages.
        line: as written.
        word: as written, without the number of a further pronunciation: "READ(2)" is READ.
        phones: as written; none where the line holds a word alone.
    """

    place: str
    line: str
    word: str
    phones: tuple[str, ...]


def dictionary_entries(path: Path) -> Iterator[Entry]:
    """Yield the lines of a dictionary but empty ones and comments: ";;;" begins a comment line, "#" after a space the rest of a line.

    Raises: DataError: missing, or not UTF-8.
    """
    for number, line in enumerate(read_lines(path), start=1):
        fields = [] if line.startswith(";;;") else line.partition(" #")[0].split()
        if fields:
            yield Entry(f"{path}:{number}", line, VARIANT.sub("", fields[0]), tuple(fields[1:]))


def without_stress(phones: tuple[str, ...]) -> tuple[str, ...]:
    """ARPABET phones without their stress digits."""
    return tuple(phone.rstrip("012") for phone in phones)
