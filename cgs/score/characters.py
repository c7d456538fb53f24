"""Character error rates: what the characters of an utterance are, and how many of them were recognised wrongly.

Owns the characters. A character is a code point after Unicode NFC, so that "é" is one however it was typed; the space
between two words counts as one, as jiwer counts, because words run together or torn apart are errors too."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from cgs.score.wer import ErrorCounts, count_errors, error_columns, rate_interval, spoken, total


def characters(words: Sequence[str]) -> list[str]:
    """The characters of an utterance: characters(("go", "up")) is ["g", "o", " ", "u", "p"]; the silence word has none."""
    return list(unicodedata.normalize("NFC", " ".join(spoken(words))))


def count_character_errors(ref: Sequence[str], hyp: Sequence[str]) -> ErrorCounts:
    """Character errors of one utterance.

    Args:
        ref, hyp: words, as spoken and as recognised.
    Returns: counts in which n_words is the number of reference characters.
    """
    return count_errors(characters(ref), characters(hyp))


def score_characters(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]], speakers: Sequence[str], level: float, n_resamplings: int, seed: int
) -> dict[str, Any]:
    """Character error rate of a split with its interval.

    Args:
        pairs: (words spoken, words recognised) of each of N utterances.
        speakers, level, n_resamplings, seed: as for `cgs.score.wer.rate_interval`.
    Returns: cer, cer_ci (fractions; null where nothing was spoken) and n_characters of the references.
    """
    counts = [count_character_errors(ref, hyp) for ref, hyp in pairs]
    errors, n_characters, _ = error_columns(counts)
    interval = rate_interval(errors, n_characters, speakers, level, n_resamplings, seed)
    summed = total(counts)
    return {"cer": summed.wer, "cer_ci": interval.ends() if interval else None, "n_characters": summed.n_words}
