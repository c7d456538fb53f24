"""Rescoring against sums of n-gram probabilities over every path."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError
from cgs.decode.determinise import word_lattice
from cgs.decode.raw_lattice import RawLattice
from cgs.decode.rescoring import LanguageModels
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.ngram import Ngram
from tests.decode.lattices import raw_lattice, raw_lattices

NAMES = {1: "go", 2: "up", 3: "<sil>"}
TEXT = [("go", "up"), ("up", "up", "go"), ("go",), ("up", "go", "up", "go"), ("go", "go")]
BIGRAM, TRIGRAM = (train_ngram(TEXT, ["go", "up"], order) for order in (2, 3))


def cost(model: Ngram, words: tuple[int, ...]) -> float:
    spoken = [NAMES[word] for word in words if word != 3]
    history = ("<s>", *spoken)
    return -math.log(10) * sum(model.log10_of(word, history[: i + 1]) for i, word in enumerate([*spoken, "</s>"]))


@settings(max_examples=100, deadline=None)
@given(raw_lattices(), st.sampled_from([(BIGRAM, TRIGRAM), (TRIGRAM, BIGRAM), (BIGRAM, BIGRAM)]))
def test_costs_are_those_of_the_other_model(raw: RawLattice, models: tuple[Ngram, Ngram]) -> None:
    lattice = word_lattice(raw, 100.0)
    found = LanguageModels(*models, NAMES, free=(3,)).rescored(lattice)
    before = {path.words: path for path in lattice.paths()}
    after = {path.words: path for path in found.paths()}
    assert before.keys() == after.keys()
    for words, path in before.items():
        assert after[words].graph == pytest.approx(path.graph - cost(models[0], words) + cost(models[1], words))
        assert after[words].acoustic == pytest.approx(path.acoustic)
    assert (found.source < found.target).all()


def test_a_planted_model_turns_the_words() -> None:
    """"up" costs one more, but the other model has only seen it."""
    lattice = word_lattice(raw_lattice(2, [(0, 1, 1, 1.0, 2.0), (0, 1, 2, 1.0, 3.0)], {1: 0.0}), 10.0)
    planted = train_ngram([("up",)] * 20 + [("go",)], ["go", "up"], 2)
    plain = train_ngram([("up",), ("go",)], ["go", "up"], 1)
    assert lattice.best().words == (1,)
    assert LanguageModels(plain, plain, NAMES).rescored(lattice).best() == lattice.best()
    assert LanguageModels(plain, planted, NAMES).rescored(lattice).best().words == (2,)


def test_a_word_that_the_new_model_lacks_keeps_its_cost() -> None:
    lattice = word_lattice(raw_lattice(2, [(0, 1, 1, 1.0, 2.0), (0, 1, 2, 1.0, 2.5)], {1: 0.0}), 10.0)
    narrow = train_ngram([("up",)], ["up"], 1)
    found = {path.words: path.graph for path in LanguageModels(BIGRAM, narrow, NAMES).rescored(lattice).paths()}
    end = math.log(10) * (BIGRAM.log10_of("</s>", ("<s>", "go")) - narrow.log10_of("</s>", ()))
    assert found[(1,)] == pytest.approx(1.0 + end)
    with pytest.raises(DataError, match="'go' is not in the language model's vocabulary"):
        LanguageModels(narrow, BIGRAM, NAMES).rescored(lattice)
