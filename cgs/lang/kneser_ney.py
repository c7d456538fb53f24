"""Training: interpolated modified Kneser-Ney smoothing over a closed vocabulary.

Words of the vocabulary that the text lacks share, with all others, the mass that smoothing takes from the unigrams. N-grams
are numbered, so that counting is sorting: ten million words of text take seconds, not minutes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import ConfigError, DataError
from cgs.lang.ngram import ZERO, Gram, Ngram
from cgs.lang.tables import BEGIN, END

DEFAULT_DISCOUNT = 0.5
"""Absolute discount where even the counts of counts 1 and 2 say nothing (tiny texts)."""
MIN_DISCOUNT, MAX_DISCOUNT = 0.1, 0.9
"""A single discount is kept inside these, so that something is always left for unseen words and for seen ones."""


@dataclass(frozen=True)
class Level:
    """The n-grams of one length that a text holds, N of them, numbered from 0.

    Args:
        word: (N,) number of the last word.
        context: (N,) number, one level below, of all but the last word; 0 for single words.
        ending: (N,) number, one level below, of all but the first word; 0 for single words.
        begins: (N,) True where the first word is <s>.
        count: (N,) occurrences; <s> alone is never counted.
    """

    word: np.ndarray
    context: np.ndarray
    ending: np.ndarray
    begins: np.ndarray
    count: np.ndarray


def train_ngram(sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], order: int, true_counts: bool = False) -> Ngram:
    """Estimate a model.

    Args:
        sentences: training text; every word must be in the vocabulary.
        vocabulary: words that get a probability, seen or not; </s> is added.
        order: 1 to 5; less where no sentence is that long.
        true_counts: estimate shorter n-grams from their own counts too, instead of from the words that come before them. Such a model predicts
            worse as a whole, but in it a context is as frequent as in the text, which pruning asks for.
    Returns: a model whose probabilities after any context sum to one.
    Raises: ConfigError: order below 1. DataError: no text, or a word outside the vocabulary.
    Source: Chen and Goodman 1998, section 3 (interpolated modified Kneser-Ney).
    """
    if order < 1:
        raise ConfigError(f"lang.ngram_order is {order}", "use 1 or more")
    words = sorted(set(vocabulary) | {END})
    levels = count_ngrams(numbered(sentences, words), len(words), order)
    lower, base = np.empty(0), 1 / len(words)
    names: list[Gram] = [()]
    log10: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    words.append(BEGIN)
    for level, count in zip(levels, [level.count for level in levels] if true_counts else kneser_ney_counts(levels), strict=True):
        lower, leftover = _estimate(level, count, lower, base)
        if level is not levels[0]:
            backoff |= {names[context]: float(np.log10(leftover[context])) for context in np.flatnonzero(leftover)}
        names = [(*names[context], words[word]) for context, word in zip(level.context.tolist(), level.word.tolist(), strict=True)]
        log10 |= dict(zip(names, np.log10(lower).tolist(), strict=True))
    return Ngram(len(levels), log10 | {(BEGIN,): ZERO}, backoff)


def numbered(sentences: Iterable[Sequence[str]], words: Sequence[str]) -> np.ndarray:
    """The text as numbers of words, each sentence between len(words), for <s>, and the number of </s>. Raises: DataError: no text, or an unknown word."""
    number = {word: index for index, word in enumerate(words)} | {BEGIN: len(words)}
    try:
        text = np.fromiter((number[word] for sentence in sentences for word in itertools.chain((BEGIN,), sentence, (END,))), np.int64)
    except KeyError as error:
        raise DataError(f"language-model text: {error.args[0]!r} is not in the vocabulary", "check lm.txt and the lexicon") from error
    if not len(text):
        raise DataError("language-model text: empty", "check lm.txt and the lexicon")
    return text


def count_ngrams(text: np.ndarray, begin: int, order: int) -> list[Level]:
    """Count n-grams of each length from 1, within sentences.

    Args:
        text: (N,) numbers of words, 0 to `begin`.
        begin: number of <s>, the largest.
        order: greatest length; fewer levels come back where no sentence is that long.
    Returns: one level for each length; the first has every word, seen or not, in the order of numbers.
    """
    n_words, place = begin + 1, np.arange(len(text))
    at_begin = text == begin
    in_sentence = place - np.maximum.accumulate(np.where(at_begin, place, 0))
    seen = np.bincount(text, minlength=n_words)
    seen[begin] = 0
    none = np.zeros(n_words, np.int64)
    levels = [Level(np.arange(n_words), none, none, np.arange(n_words) == begin, seen)]
    gram_at = text
    for length in range(2, order + 1):
        where = place[in_sentence >= length - 1]
        if not len(where):
            break
        keys, first, gram, count = np.unique(gram_at[where - 1] * n_words + text[where], return_index=True, return_inverse=True, return_counts=True)
        context = keys // n_words
        levels.append(Level(keys % n_words, context, gram_at[where[first]], levels[-1].begins[context], count))
        gram_at = np.zeros(len(text), np.int64)
        gram_at[where] = gram
    return levels


def kneser_ney_counts(levels: Sequence[Level]) -> list[np.ndarray]:
    """Counts that smoothing works on: true ones of the highest order and of n-grams that begin a sentence; otherwise how many words come before."""
    before = [np.bincount(above.ending, minlength=len(level.word)) for level, above in itertools.pairwise(levels)]
    return [*(np.where(level.begins, level.count, n) for level, n in zip(levels, before, strict=False)), levels[-1].count]


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """What is taken from n-grams counted once, twice, and three times or more.

    Where a count of counts up to 4 is zero, or the estimate is out of range, as in small or artificial texts, all three are
    the one absolute discount n1 / (n1 + 2 n2), kept between 0.1 and 0.9, or 0.5 where n1 or n2 is zero.
    Source: Chen and Goodman 1998, equation 26; Ney, Essen and Kneser 1994 for the one discount.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == k)) for k in (1, 2, 3, 4))
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


def _estimate(level: Level, count: np.ndarray, lower: np.ndarray, base: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N,) of one level's n-grams, and of each context what is left for words not listed after it; `lower` are those of one level below."""
    take = np.array((0.0, *discounts(count)))[np.minimum(count, 3)]
    total = np.bincount(level.context, weights=count, minlength=len(lower))
    leftover = np.divide(np.bincount(level.context, weights=take, minlength=len(lower)), total, out=np.zeros_like(total), where=total > 0)
    shorter = lower[level.ending] if len(lower) else base
    return (count - take) / total[level.context] + leftover[level.context] * shorter, leftover
