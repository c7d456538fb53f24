"""N-gram language models in back-off form: what a model says of a word after a context, and the weights that make each context sum to one."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from cgs.base.errors import DataError
from cgs.lang.tables import BEGIN, END

Gram = tuple[str, ...]
ZERO = -99.0
"""log10 of a probability of nothing, as ARPA files write it."""
NOTHING_LEFT = 1e-10
"""Probability below which no word is left to back off to: what remains of one after a sum of many is rounding."""


@dataclass(frozen=True)
class Ngram:
    """A back-off model in the form of an ARPA file.

    Args:
        order: length of the longest n-grams.
        log10: natural probabilities are not stored: log10 p(last word | the words before it) of every n-gram; <s> alone has -99.
        backoff: log10 weight of a context, for words not listed after it; 0 where absent.
    """

    order: int
    log10: dict[Gram, float]
    backoff: dict[Gram, float]

    def log10_of(self, word: str, context: Gram) -> float:
        """log10 p(word | context), backing off where needed; the context may be longer than the model's."""
        context = context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        weight = 0.0
        while (*context, word) not in self.log10:
            if not context:
                raise DataError(f"{word!r} is not in the language model's vocabulary", "map it to a known word, or leave it out")
            weight += self.backoff.get(context, 0.0)
            context = context[1:]
        return weight + self.log10[(*context, word)]

    def sizes(self) -> dict[str, int]:
        """N-grams of each order: {"1-grams": ..., "2-grams": ...}."""
        found = [0] * self.order
        for gram in self.log10:
            found[len(gram) - 1] += 1
        return {f"{length}-grams": number for length, number in enumerate(found, start=1)}


def by_length(grams: dict[Gram, float], order: int) -> list[list[Gram]]:
    """N-grams of each length, from 1."""
    sorted_out: list[list[Gram]] = [[] for _ in range(order)]
    for gram in grams:
        sorted_out[len(gram) - 1].append(gram)
    return sorted_out


def with_backoff(log10: dict[Gram, float], order: int) -> Ngram:
    """The model of given n-gram probabilities: words not listed after a context share what is left, as the shorter context has them.

    Args:
        log10: of every n-gram; those of single words sum to one, and all words but the last of an n-gram are an n-gram too.
        order: length of the longest.
    Returns: a model whose probabilities after any context sum to one.
    Source: Katz 1987, for the weights.
    """
    model = Ngram(order, log10, {})
    for grams in by_length(log10, order)[1:]:
        weights = {}
        for context, (listed, lower) in listed_mass(model, grams).items():
            left, left_lower = 1 - listed, 1 - lower
            weights[context] = 0.0 if left_lower < NOTHING_LEFT else math.log10(left / left_lower) if left > NOTHING_LEFT * left_lower else ZERO
        model.backoff.update(weights)
    return model


def listed_mass(model: Ngram, grams: list[Gram]) -> dict[Gram, tuple[float, float]]:
    """For each context of n-grams of one length: the sum of their probabilities, and of the probabilities of their last words after the shorter context."""
    listed: defaultdict[Gram, float] = defaultdict(float)
    lower: defaultdict[Gram, float] = defaultdict(float)
    for gram in grams:
        context = gram[:-1]
        listed[context] += 10 ** model.log10[gram]
        lower[context] += 10 ** model.log10_of(gram[-1], context[1:])
    return {context: (listed[context], lower[context]) for context in listed}


def context_log10(model: Ngram, context: Gram) -> float:
    """log10 of how often a context occurs, by the model itself; a sentence begins as often as one ends."""
    total = 0.0
    for place, word in enumerate(context):
        total += model.log10_of(END if word == BEGIN else word, context[:place])
    return total
