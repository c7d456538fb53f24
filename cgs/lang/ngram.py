"""N-gram language models by interpolated modified Kneser-Ney smoothing over a closed vocabulary.

Words of the vocabulary that the text lacks share, with all others, the mass that smoothing takes from the unigrams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import ConfigError, DataError
from cgs.lang.tables import BEGIN, END

Gram = tuple[str, ...]
DEFAULT_DISCOUNT = 0.5
"""Absolute discount where even the counts of counts 1 and 2 say nothing (tiny texts)."""
MIN_DISCOUNT, MAX_DISCOUNT = 0.1, 0.9
"""A single discount is kept inside these, so that something is always left for unseen words and for seen ones."""


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


def count_ngrams(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """Counts of n-grams of each order from 1, sentences between <s> and </s>; <s> is a context only, never counted alone."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        words = (BEGIN, *sentence, END)
        for end in range(1, len(words)):
            for length in range(1, min(order, end + 1) + 1):
                counts[length - 1][words[end + 1 - length : end + 1]] += 1
    return counts


def kneser_ney_counts(counts: list[Counter[Gram]]) -> list[Counter[Gram]]:
    """Counts that smoothing works on: true ones of the highest order and of n-grams that begin a sentence; otherwise how many words come before."""
    adjusted: list[Counter[Gram]] = []
    for length in range(1, len(counts)):
        lower: Counter[Gram] = Counter({gram: count for gram, count in counts[length - 1].items() if gram[0] == BEGIN})
        for gram in counts[length]:
            lower[gram[1:]] += 1
        adjusted.append(lower)
    return [*adjusted, counts[-1]]


def discounts(counts: Counter[Gram]) -> tuple[float, float, float]:
    """What is taken from n-grams counted once, twice, and three times or more.

    Where a count of counts up to 4 is zero, or the estimate is out of range, as in small or artificial texts, all three are
    the one absolute discount n1 / (n1 + 2 n2), kept between 0.1 and 0.9, or 0.5 where n1 or n2 is zero.
    Source: Chen and Goodman 1998, equation 26; Ney, Essen and Kneser 1994 for the one discount.
    """
    n1, n2, n3, n4 = (sum(1 for count in counts.values() if count == k) for k in (1, 2, 3, 4))
    if n1 and n2:
        ratio = n1 / (n1 + 2 * n2)
        if n3 and n4:
            three = (1 - 2 * ratio * n2 / n1, 2 - 3 * ratio * n3 / n2, 3 - 4 * ratio * n4 / n3)
            if all(0 < discount < k for k, discount in enumerate(three, start=1)):
                return three
        one = float(np.clip(ratio, MIN_DISCOUNT, MAX_DISCOUNT))
    else:
        one = DEFAULT_DISCOUNT
    return one, one, one


def train_ngram(sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], order: int) -> Ngram:
    """Estimate a model.

    Args:
        sentences: training text; every word must be in the vocabulary.
        vocabulary: words that get a probability, seen or not; </s> is added.
        order: 1 to 5; less where no sentence is that long.
    Returns: a model whose probabilities after any context sum to one.
    Raises: ConfigError: order below 1. DataError: no text, or a word outside the vocabulary.
    Source: Chen and Goodman 1998, section 3 (interpolated modified Kneser-Ney).
    """
    if order < 1:
        raise ConfigError(f"lang.ngram_order is {order}", "use 1 or more")
    known = set(vocabulary) | {END}
    words = sorted(known)
    counts = count_ngrams(sentences, order)
    unknown = sorted(gram[0] for gram in counts[0] if gram[0] not in known)
    if unknown or not counts[0]:
        raise DataError(f"language-model text: {f'{unknown[0]!r} is not in the vocabulary' if unknown else 'empty'}", "check lm.txt and the lexicon")
    counts = [level for level in counts if level]
    adjusted = kneser_ney_counts(counts)
    probability: dict[Gram, float] = {(): 1 / len(words)}
    leftover: dict[Gram, float] = {}
    for level in adjusted:
        _estimate(level, words if level is adjusted[0] else None, probability, leftover)
    log10 = {gram: float(np.log10(value)) for gram, value in probability.items() if gram} | {(BEGIN,): -99.0}
    backoff = {gram: float(np.log10(value)) for gram, value in leftover.items() if gram}
    return Ngram(len(adjusted), log10, backoff)


def _estimate(level: Counter[Gram], unigrams: Sequence[str] | None, probability: dict[Gram, float], leftover: dict[Gram, float]) -> None:
    """Add the probabilities of one order's n-grams and the weights of their contexts; `unigrams` lists all words at order 1."""
    take = discounts(level)
    total: defaultdict[Gram, int] = defaultdict(int)
    taken: defaultdict[Gram, float] = defaultdict(float)
    for gram, count in level.items():
        total[gram[:-1]] += count
        taken[gram[:-1]] += take[min(count, 3) - 1]
    for context in total:
        leftover[context] = taken[context] / total[context]
    base = probability[()]
    if unigrams is not None:
        probability |= {(word,): leftover[()] * base for word in unigrams}
    for gram, count in level.items():
        context = gram[:-1]
        lower = base if unigrams is not None else probability[gram[1:]]
        probability[gram] = (count - take[min(count, 3) - 1]) / total[context] + leftover[context] * lower
