"""Which words are taken for which: substitutions, insertions and deletions by how often they happen.

Owns the counts and the text file; they follow the alignments of `cgs.score.wer`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cgs.score.wer import Pair

Confusion = tuple[str | None, str | None, int]
"""A reference word (None: inserted), a recognised word (None: deleted), and how often."""
MOST = 10
"""Confusions that a result entry and the page hold."""


def confusions(utterances: Iterable[Sequence[Pair]]) -> list[Confusion]:
    """Every error of some alignments, the most frequent first, then by reference word and recognised word.

    Args:
        utterances: alignments from `align_words`.
    """
    found = Counter(pair for pairs in utterances for pair in pairs if pair[0] != pair[1])
    return sorted(((ref, hyp, n) for (ref, hyp), n in found.items()), key=lambda c: (-c[2], c[0] or "", c[1] or "", c[0] is None))


def show_confusions(found: Sequence[Confusion]) -> str:
    """Three lists as text: substitutions "   12  the => a", insertions "    3  a", deletions "    5  the"."""
    kinds: dict[str, list[tuple[str, int]]] = {
        "substitutions": [(f"{ref} => {hyp}", n) for ref, hyp, n in found if ref is not None and hyp is not None],
        "insertions": [(hyp or "", n) for ref, hyp, n in found if ref is None],
        "deletions": [(ref or "", n) for ref, hyp, n in found if hyp is None],
    }
    told = []
    for kind, rows in kinds.items():
        told.append(f"{kind}: {sum(n for _, n in rows)}, {len(rows)} different")
        told += [f"{n:>6}  {text}" for text, n in rows]
    return "\n".join(told) + "\n"
