"""Words that the training text lacks: how many of those spoken are recognised, and how many of those recognised were spoken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

from cgs.score.wer import Pair


def score_unknown(utterances: Iterable[Sequence[Pair]], known: Set[str]) -> dict[str, Any]:
    """Recall and precision of unknown words.

    Args:
        utterances: alignments from `align_words`.
        known: words of the training text.
    Returns: n_unknown spoken, n_unknown_recognised of them, n_unknown_hypothesised, unknown_recall and unknown_precision (fractions; null where
        there is nothing to divide by). A closed vocabulary of the training text recognises none.
    """
    spoken = recognised = hypothesised = 0
    for pairs in utterances:
        for ref, hyp in pairs:
            spoken += ref is not None and ref not in known
            hypothesised += hyp is not None and hyp not in known
            recognised += ref is not None and ref == hyp and ref not in known
    return {
        "n_unknown": spoken,
        "n_unknown_recognised": recognised,
        "n_unknown_hypothesised": hypothesised,
        "unknown_recall": recognised / spoken if spoken else None,
        "unknown_precision": recognised / hypothesised if hypothesised else None,
    }
