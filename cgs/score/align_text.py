"""Word alignments as people read them, in the manner of NIST sclite's report."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from cgs.base.units import percent
from cgs.score.wer import ErrorCounts, Pair, by_speaker, count_pairs, sentence_error_rate, total

GAP = "*"


def show_alignment(utterance: str, speaker: str, pairs: Sequence[Pair], note: str = "") -> str:
    """One utterance: its counts, and reference above hypothesis, words in columns, wrong ones in capitals.

    Args:
        utterance, speaker: names.
        pairs: from `align_words`.
        note: a remark for the first line, e.g. that the search did not reach the end.
    Returns: five lines.
    """
    counts = count_pairs(pairs)
    columns: list[tuple[str, str, str]] = []
    for ref, hyp in pairs:
        kind = "I" if ref is None else "D" if hyp is None else "" if ref == hyp else "S"
        above, below = (word or "" for word in (ref, hyp))
        if kind:
            above, below = above.upper(), below.upper()
        width = max(_width(above), _width(below))
        columns.append((above or GAP * width, below or GAP * width, kind))
    widths = [max(_width(above), _width(below), 1) for above, below, _ in columns]
    rows = [" ".join(cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in zip(*columns, strict=True)]
    ref_row, hyp_row, kinds = rows or ["", "", ""]
    return "\n".join(
        [
            f"id: {utterance} (speaker {speaker}){f' {note}' if note else ''}",
            f"Scores: (#C #S #D #I) {counts.hits} {counts.substitutions} {counts.deletions} {counts.insertions}",
            f"REF:  {ref_row}".rstrip(),
            f"HYP:  {hyp_row}".rstrip(),
            f"Eval: {kinds}".rstrip(),
        ]
    )


def show_speakers(counts: Sequence[ErrorCounts], speakers: Sequence[str]) -> str:
    """A table of the error rates of every speaker and of all together, in per cent."""
    rows: list[tuple[str, ...]] = [("speaker", "utts", "words", "corr", "sub", "del", "ins", "WER", "SER")]
    groups = [(name, [c for c, s in zip(counts, speakers, strict=True) if s == name]) for name in by_speaker(counts, speakers)]
    for name, group in [*groups, ("all", list(counts))]:
        errors = total(group)
        parts = (errors.hits, errors.substitutions, errors.deletions, errors.insertions)
        shares = (percent(part / errors.n_words if errors.n_words else None, 1) for part in parts)
        rows.append((name, str(len(group)), str(errors.n_words), *shares, percent(errors.wer), percent(sentence_error_rate(group))))
    first = max(_width(row[0]) for row in rows)
    return "\n".join(row[0] + " " * (first - _width(row[0])) + "".join(f"{cell:>9}" for cell in row[1:]) for row in rows)


def _width(text: str) -> int:
    """Columns of a terminal that a word takes: combining marks none, East Asian wide letters two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
