"""Several models as one: linear interpolation with weights that make a text most probable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from cgs.base.errors import DataError
from cgs.lang.ngram import Gram, Ngram, with_backoff
from cgs.lang.tables import BEGIN, END

MAX_PASSES, ENOUGH = 200, 1e-4
"""Passes of EM at most, and the change of a weight below which it ends."""


def interpolate(models: Sequence[Ngram], weights: Sequence[float]) -> Ngram:
    """The weighted sum of models as one back-off model.

    Args:
        models: over any vocabularies; a model gives no probability to words that it lacks.
        weights: one for each, at least 0; their sum is one.
    Returns: a model with every n-gram of any of them, each with exactly the weighted sum of its probabilities. Words not listed after a
        context get back-off probabilities, whose sum is right but which need not be the weighted sums themselves.
    Source: Stolcke 2002 (SRILM), section 3.5, for the form; Jelinek and Mercer 1980.
    """
    log10: dict[Gram, float] = {}
    for gram in (gram for model in models for gram in model.log10):
        if gram not in log10:
            value = sum(weight * probability(model, gram[-1], gram[:-1]) for model, weight in zip(models, weights, strict=True))
            log10[gram] = math.log10(value) if gram != (BEGIN,) and value > 0 else -99.0
    return with_backoff(log10, max(model.order for model in models))


def choose_weights(models: Sequence[Ngram], sentences: Iterable[Sequence[str]]) -> list[float]:
    """Weights under which the sum of the models gives a text its largest probability.

    Args:
        models: two or more.
        sentences: a text that none of them was trained on; words that no model knows are left out.
    Returns: a weight for each model; their sum is one.
    Raises: DataError: no known word, so that nothing can be chosen.
    Source: Jelinek and Mercer 1980 (EM).
    """
    rows = [row for sentence in sentences for row in _predictions(models, sentence)]
    if not rows:
        raise DataError("language-model weights: no word of the dev text is known to any model", "give other texts, or check their case with lang.case")
    told = np.array(rows)
    weights = np.full(len(models), 1 / len(models))
    for _ in range(MAX_PASSES):
        share = told * weights
        after = (share / share.sum(1, keepdims=True)).mean(0)
        weights, change = after, float(np.abs(after - weights).max())
        if change < ENOUGH:
            break
    return [float(weight) for weight in weights]


def probability(model: Ngram, word: str, context: Gram) -> float:
    """p(word | context), 0 for a word that the model lacks."""
    return 10 ** model.log10_of(word, context) if (word,) in model.log10 else 0.0


def _predictions(models: Sequence[Ngram], sentence: Sequence[str]) -> Iterable[list[float]]:
    """What each model gives to each known word of a sentence and to its end."""
    context: Gram = (BEGIN,)
    for word in (*sentence, END):
        row = [probability(model, word, context) for model in models]
        if any(row):
            yield row
        context = (*context, word)
