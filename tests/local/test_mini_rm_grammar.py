"""The naval grammar: its size, its keywords, and sets of sentences that share none."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter

import pytest

from cgs.base.errors import ConfigError
from local import mini_rm_grammar as grammar
from local.mini_rm_grammar import KEYWORDS, RULES, alternatives, count_derivations, draw_disjoint, draw_sentence, vocabulary

DEFAULT = {"test": 300, "dev": 120, "train": 1400, "lm": 4000}


def language(rule: str) -> set[tuple[str, ...]]:
    """Every sentence of a rule, written out."""
    found = set()
    for _, symbols in alternatives(rule):
        parts = [language(symbol[1:-1]) if symbol.startswith("<") else {(symbol,)} for symbol in symbols]
        found |= {tuple(word for part in choice for word in part) for choice in itertools.product(*parts)}
    return found


def test_every_rule_is_reached_and_every_name_is_a_rule():
    named = {symbol[1:-1] for rule in RULES for _, symbols in alternatives(rule) for symbol in symbols if symbol.startswith("<")}
    assert named | {grammar.START} == set(RULES)


def test_sizes_are_those_of_a_small_resource_management():
    assert 250 <= len(vocabulary()) <= 360
    assert count_derivations() > 1_000_000
    assert all(word.isascii() and word.isalpha() and word.islower() for word in vocabulary())


@pytest.mark.parametrize("rule", ["bearing", "quantity", "clock", "where", "the ship", "time"])
def test_counted_derivations_bound_the_enumerated_language(rule):
    sentences = language(rule)
    assert len(sentences) <= count_derivations(rule) <= 1.2 * len(sentences)
    generator = random.Random(1)
    assert {draw_sentence(generator, rule) for _ in range(200)} <= sentences


def test_weights_are_probabilities():
    generator = random.Random(2)
    draws = Counter(draw_sentence(generator, "the ship")[0] == "the" for _ in range(4000))
    assert abs(draws[True] / 4000 - 6 / 9) < 0.03


def test_keywords_are_ten_distinct_words_with_one_form():
    assert len(set(KEYWORDS)) == 10
    for keyword in KEYWORDS:
        assert keyword in vocabulary()
        assert [word for word in vocabulary() if word.startswith(keyword) or (word in keyword and len(word) > 3)] == [keyword]


def test_default_sets_share_no_sentence_and_hold_every_word_and_keyword():
    start = time.perf_counter()
    drawn = draw_disjoint(DEFAULT, seed=0)
    assert time.perf_counter() - start < 3
    assert {name: len(set(sentences)) for name, sentences in drawn.items()} == DEFAULT
    assert len(set().union(*drawn.values())) == sum(DEFAULT.values())
    assert {word for name in ("train", "lm") for sentence in drawn[name] for word in sentence} == set(vocabulary())
    for keyword in KEYWORDS:
        spoken = [sentence for sentence in drawn["test"] if keyword in sentence]
        assert len(spoken) >= 8
        assert any(0 < sentence.index(keyword) < len(sentence) - 1 for sentence in spoken)
    assert sum(not set(sentence) & set(KEYWORDS) for sentence in drawn["test"]) > 60


def test_the_seed_decides():
    assert draw_disjoint({"a": 20}, 5) == draw_disjoint({"a": 20}, 5) != draw_disjoint({"a": 20}, 6)


def test_too_few_sentences_are_told(monkeypatch):
    monkeypatch.setattr(grammar, "draw_sentence", lambda generator: ("hold",))
    with pytest.raises(ConfigError, match=r"too few sentences for 2 distinct ones \(lower local.lm_sentences"):
        draw_disjoint({"train": 2}, 0)
