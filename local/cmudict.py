"""Pronunciations in the format of CMUdict, which several corpora share: "WORD(2)  P R AH0 N" with comments.

Owns what is dropped or merged on the way to ARPABET phones without stress."""

from __future__ import annotations

from pathlib import Path

from cgs.base.errors import DataError
from cgs.base.log import LOG
from cgs.data.pronunciations import ARPABET, dictionary_entries, without_stress

MOST_TOLD = 5

Pairs = list[tuple[str, tuple[str, ...]]]


def read_cmudict(path: Path) -> tuple[Pairs, str]:
    """Read a dictionary: words in upper case, phones without stress digits.

    Args:
        path: lines of a word and its phones; "WORD(2)" is another pronunciation of WORD; ";;;" begins a comment line, "#" a comment after the phones.
    Returns: (word, phones) pairs, each once, in the order of the file; and a line on what was dropped or merged.
    Raises: DataError: missing, not UTF-8, or nothing left.
    """
    lexicon: dict[tuple[str, tuple[str, ...]], None] = {}
    odd: list[str] = []
    merged = 0
    for entry in dictionary_entries(path):
        pair = entry.word.upper(), without_stress(entry.phones)
        if not entry.phones or not ARPABET.issuperset(pair[1]):
            odd.append(f"{entry.place}: {entry.line!r} is not a word with ARPABET phones")
        elif pair in lexicon:
            merged += 1
        else:
            lexicon[pair] = None
    if not lexicon:
        raise DataError(odd[0] if odd else f"{path}: holds no pronunciation", "give a dictionary in the format of CMUdict: WORD  P R AH0 N")
    for line in odd[:MOST_TOLD]:
        LOG.warning("  dropped: %s", line)
    return list(lexicon), f"{len(lexicon)} pronunciations; {len(odd)} odd lines dropped, {merged} merged that differ in stress only"
