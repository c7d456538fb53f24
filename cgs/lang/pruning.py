"""Smaller models: n-grams whose loss hardly changes what a model says are left to the back-off (entropy pruning)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cgs.lang.ngram import NOTHING_LEFT, Gram, Ngram, by_length, context_log10, listed_mass, with_backoff


def prune(model: Ngram, threshold: float, history: Ngram | None = None) -> Ngram:
    """Leave out every n-gram of two words or more without which the model's perplexity grows by less than a share of itself.

    Args:
        model: its contexts sum to one.
        threshold: of the relative growth of the perplexity for each n-gram, e.g. 1e-7, as SRILM's -prune; 0 keeps all.
        history: tells how frequent contexts are, in place of the model itself. The shorter n-grams of a Kneser-Ney model count what comes before
            them, so its own contexts seem rarer or more frequent than they are, and it loses the wrong n-grams.
    Returns: a model of the same words; n-grams that longer ones need as their context stay; its contexts sum to one.
    Source: Stolcke 1998, longest n-grams first as in SRILM; Chelba, Brants, Neveitt and Xu 2010 on Kneser-Ney models.
    """
    if threshold <= 0:
        return model
    kept: dict[Gram, float] = {gram: value for gram, value in model.log10.items() if len(gram) == 1}
    needed: set[Gram] = set()
    for grams in reversed(by_length(model.log10, model.order)[1:]):
        staying = {gram for gram, growth in growths(model, grams, history or model) if gram in needed or growth >= threshold}
        kept |= {gram: model.log10[gram] for gram in grams if gram in staying}
        needed = {gram[:-1] for gram in staying}
    return with_backoff(kept, max(map(len, kept)))


def growths(model: Ngram, grams: list[Gram], history: Ngram) -> Iterable[tuple[Gram, float]]:
    """Yield each n-gram with the relative growth of the perplexity were it alone left out, and its context's weight mended.

    Args:
        model: its contexts sum to one.
        grams: all of the model's n-grams of one length, 2 or more.
        history: a model of the same words that tells how frequent contexts are.
    Source: Stolcke 1998, equations 5 to 9; the context's own probability is the product of its words' ones, that of <s> is that of </s>.
    """
    mass = listed_mass(model, grams)
    frequency = {context: 10 ** context_log10(history, context) for context in mass}
    for gram in grams:
        context = gram[:-1]
        listed, lower = mass[context]
        log10, log10_lower = model.log10[gram], model.log10_of(gram[-1], context[1:])
        left = max(1 - listed, 0.0)
        left_after, lower_left_after = left + 10**log10, 1 - lower + 10**log10_lower
        if lower_left_after < NOTHING_LEFT:
            yield gram, math.inf
            continue
        weight, weight_after = model.backoff.get(context, 0.0), math.log10(left_after / lower_left_after)
        lost = 10**log10 * (log10_lower + weight_after - log10) + left * (weight_after - weight)
        yield gram, math.expm1(-frequency[context] * lost * math.log(10))
