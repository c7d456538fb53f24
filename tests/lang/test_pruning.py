"""Entropy pruning: the change of each n-gram is what a slow sum over everything says; what stays sums to one."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.lang.arpa import predict
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.ngram import Gram, Ngram, by_length, with_backoff
from cgs.lang.pruning import growths, prune

TEXT = [tuple(line.split()) for line in ("a b a c", "a b", "b a b a d", "c", "a b a c a b", "d d d", "a a b c", "c b a", "a b e", "e a f", "g a b")]
WORDS = [*"abcdefg", "never", "</s>"]
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(tuple), min_size=1, max_size=12)


def distribution(model: Ngram, context: Gram) -> dict[str, float]:
    return {word: 10 ** model.log10_of(word, context) for word in WORDS}


def slow_growth(model: Ngram, gram: Gram, history: Ngram | None = None) -> float:
    """Leave out one n-gram, mend the weight of its context so that everything after it sums to one, and compare the two distributions word by word."""
    context, word = gram[:-1], gram[-1]
    before = distribution(model, context)
    listed = [other for other in WORDS if (*context, other) in model.log10 and other != word]
    shorter = distribution(model, context[1:])
    weight = (1 - sum(before[other] for other in listed)) / (1 - sum(shorter[other] for other in listed))
    after = {other: before[other] if other in listed else weight * shorter[other] for other in WORDS}
    assert sum(after.values()) == pytest.approx(1)
    frequency = math.prod(10 ** (history or model).log10_of("</s>" if seen == "<s>" else seen, context[:place]) for place, seen in enumerate(context))
    return math.exp(frequency * sum(before[other] * math.log(before[other] / after[other]) for other in WORDS)) - 1


@pytest.mark.parametrize("order", [2, 3])
def test_growth_is_the_exact_one(order: int) -> None:
    model = train_ngram(TEXT, set(WORDS[:-1]), order)
    history = train_ngram(TEXT, set(WORDS[:-1]), order, true_counts=True)
    for grams, told in itertools.product(by_length(model.log10, order)[1:], (model, history)):
        found = dict(growths(model, grams, told))
        assert found.keys() == set(grams)
        for gram, growth in found.items():
            assert growth == pytest.approx(slow_growth(model, gram, told), rel=1e-6, abs=1e-12)


def test_prunes_exactly_what_lies_below_the_threshold() -> None:
    model = train_ngram(TEXT, set(WORDS[:-1]), 3)
    pairs, triples = by_length(model.log10, 3)[1:]
    sizes = sorted(slow_growth(model, gram) for gram in triples)
    threshold = (sizes[len(sizes) // 2] + sizes[len(sizes) // 2 - 1]) / 2
    kept = prune(model, threshold)
    stay = {gram for gram in triples if slow_growth(model, gram) >= threshold}
    assert 0 < len(stay) < len(triples) and {gram for gram in kept.log10 if len(gram) == 3} == stay
    needed = {gram[:-1] for gram in stay}
    assert {gram for gram in kept.log10 if len(gram) == 2} == {gram for gram in pairs if gram in needed or slow_growth(model, gram) >= threshold}
    assert all(kept.log10[gram] == model.log10[gram] for gram in kept.log10)


@settings(max_examples=40, deadline=None)
@given(texts, st.integers(2, 4), st.sampled_from([1e-4, 1e-2, 0.1]))
def test_every_context_sums_to_one_after_pruning(text: list[tuple[str, ...]], order: int, threshold: float) -> None:
    model = prune(train_ngram(text, {*"abcd", "unseen"}, order), threshold)
    vocabulary = ["a", "b", "c", "d", "unseen", "</s>"]
    for context in itertools.chain(*(itertools.product(["<s>", "a", "b", "unseen"], repeat=length) for length in range(order))):
        assert sum(10 ** model.log10_of(word, context) for word in vocabulary) == pytest.approx(1, abs=1e-9)
    assert all(gram[:-1] in model.log10 for gram in model.log10 if len(gram) > 1)


def test_larger_thresholds_give_smaller_models_further_from_the_whole() -> None:
    model = train_ngram(TEXT, set(WORDS[:-1]), 3)
    assert prune(model, 0) is model
    models = [prune(model, threshold) for threshold in (1e-9, 1e-3, 5e-3, 1e-2, 3e-2, 0.99)]
    kept = [model.log10.keys() for model in models]
    assert all(fewer < more for more, fewer in itertools.pairwise(kept[1:]))
    assert models[-1].order == 1 and models[-1].backoff == {}
    perplexities = [predict(model, TEXT).perplexity or 0 for model in [model, *models]]
    assert perplexities == sorted(perplexities) and perplexities[0] < perplexities[-1]


def test_weights_by_hand_and_a_context_that_lists_every_word() -> None:
    words = {("<s>",): -99.0, ("a",): math.log10(0.5), ("b",): math.log10(0.3), ("</s>",): math.log10(0.2)}
    model = with_backoff(words | {("a", "b"): math.log10(0.6), **{("b", word): math.log10(p) for word, p in (("a", 0.1), ("b", 0.2), ("</s>", 0.7))}}, 2)
    assert 10 ** model.backoff[("a",)] == pytest.approx(0.4 / 0.7) and model.backoff[("b",)] == 0
    assert dict(growths(model, [("b", "a"), ("b", "b"), ("b", "</s>")], model)).keys() == {("b", "a"), ("b", "b"), ("b", "</s>")}


def test_contexts_are_as_frequent_as_in_the_text() -> None:
    text = [("x", "a", "b")] * 40 + [("y", "a", "c")] * 40 + [("z", word) for word in "abcxyzd" for _ in range(6)]
    model, history = (train_ngram(text, set("abcdxyz"), 3, true_counts=true_counts) for true_counts in (False, True))
    n_words = sum(len(sentence) + 1 for sentence in text)
    share = sum(sentence.count("a") for sentence in text) / n_words
    assert 10 ** history.log10_of("a", ()) == pytest.approx(share, rel=0.02)
    assert 10 ** model.log10_of("a", ()) < 0.8 * share
    for context in ((), ("a",), ("x", "a"), ("<s>",)):
        assert sum(10 ** history.log10_of(word, context) for word in [*"abcdxyz", "</s>"]) == pytest.approx(1)
