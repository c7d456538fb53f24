"""Mixtures: listed n-grams have exactly the weighted sums, contexts sum to one, planted weights are found again."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import kaldilm
import pytest

from cgs.base.errors import DataError
from cgs.lang.arpa import read_arpa, write_arpa
from cgs.lang.grammar import grammar_fst
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.mixing import choose_weights, interpolate
from cgs.lang.ngram import Ngram

ONE = [tuple(line.split()) for line in ("a b a c", "a b", "b a b a d", "c", "a b a c a b", "d d d", "a a b c", "c b a")]
OTHER = [tuple(line.split()) for line in ("d c b a", "d d", "c d c d", "e e e", "e d c", "e", "d c e")]


def sum_after(model: Ngram, context: tuple[str, ...]) -> float:
    return sum(10 ** model.log10_of(gram[0], context) for gram in model.log10 if len(gram) == 1 and gram != ("<s>",))


@pytest.mark.parametrize("orders", [(3, 3), (3, 2), (1, 4)])
def test_listed_ngrams_have_the_weighted_sum(orders: tuple[int, int]) -> None:
    models = [train_ngram(ONE, set("abcdx"), orders[0]), train_ngram(OTHER, set("abcde"), orders[1])]
    mixture = interpolate(models, [0.7, 0.3])
    assert mixture.log10.keys() == models[0].log10.keys() | models[1].log10.keys()
    for *context, word in mixture.log10.keys() - {("<s>",)}:
        told = [10 ** model.log10_of(word, tuple(context)) if (word,) in model.log10 else 0 for model in models]
        assert 10 ** mixture.log10_of(word, tuple(context)) == pytest.approx(0.7 * told[0] + 0.3 * told[1], rel=1e-12)
    for length in range(4):
        for context in itertools.product(["<s>", "a", "d", "e", "x"], repeat=length):
            assert sum_after(mixture, context) == pytest.approx(1, abs=1e-9)


def test_a_mixture_is_one_arpa_that_others_read(tmp_path: Path) -> None:
    mixture = interpolate([train_ngram(ONE, set("abcd"), 3), train_ngram(OTHER, set("abcde"), 3)], [0.5, 0.5])
    write_arpa(tmp_path / "g.arpa", mixture)
    again = read_arpa(tmp_path / "g.arpa")
    assert sum_after(again, ("<s>", "d")) == pytest.approx(1, abs=1e-5)
    symbols = {"<eps>": 0, **{word: number for number, word in enumerate("abcde", start=1)}, "#0": 6, "<s>": 7, "</s>": 8}
    (tmp_path / "words.txt").write_text("".join(f"{word} {number}\n" for word, number in symbols.items()))
    kaldilm.arpa2fst(
        input_arpa=str(tmp_path / "g.arpa"), output_fst=str(tmp_path / "g.fst"), disambig_symbol="#0", read_symbol_table=str(tmp_path / "words.txt")
    )
    assert (tmp_path / "g.fst").stat().st_size > 0 and grammar_fst(mixture, symbols).num_states > 5


def test_planted_weights_are_found_again() -> None:
    draw = random.Random(1)
    models = [Ngram(1, {("<s>",): -99.0, ("</s>",): -1.0, ("a",): math.log10(p), ("b",): math.log10(0.9 - p)}, {}) for p in (0.8, 0.1)]
    share = 0.7
    p_a = (share * 0.8 + (1 - share) * 0.1) / 0.9
    text = [tuple("a" if draw.random() < p_a else "b" for _ in range(9)) for _ in range(3000)]
    assert choose_weights(models, text)[0] == pytest.approx(share, abs=0.02)
    assert choose_weights(models, [*text, ("zebra",)])[0] == pytest.approx(share, abs=0.02)


def test_weights_make_the_text_most_probable() -> None:
    models = [train_ngram(ONE, set("abcde"), 2), train_ngram(OTHER, set("abcde"), 2)]
    dev = [("a", "b", "a"), ("d", "c"), ("e", "a", "c")]
    best = choose_weights(models, dev)

    def log_probability(weight: float) -> float:
        pairs = [(word, ("<s>", *sentence)[: place + 1]) for sentence in dev for place, word in enumerate((*sentence, "</s>"))]
        return sum(math.log(weight * 10 ** models[0].log10_of(*pair) + (1 - weight) * 10 ** models[1].log10_of(*pair)) for pair in pairs)

    assert sum(best) == pytest.approx(1) and best[0] == pytest.approx(max((k / 1000 for k in range(1, 1000)), key=log_probability), abs=0.01)


def test_nothing_to_choose_weights_from() -> None:
    with pytest.raises(DataError, match=r"no word of the dev text.*lang\.case"):
        choose_weights([train_ngram(ONE, set("abcd"), 1)] * 2, [])
