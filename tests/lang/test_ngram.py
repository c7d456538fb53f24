"""The language model: sums to one, agrees with a slow reference, survives tiny texts."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, FormatError
from cgs.lang.arpa import predict, read_arpa, write_arpa
from cgs.lang.kneser_ney import DEFAULT_DISCOUNT, discounts, train_ngram
from cgs.lang.ngram import Ngram

TEXT = [tuple(line.split()) for line in ("a b a c", "a b", "b a b a d", "c", "a b a c a b", "d d d", "a a b c", "c b a", "a b e", "e a f", "g a b")]
VOCABULARY = set("abcdefg") | {"never", "seen"}
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(tuple), min_size=1, max_size=12)


def sum_after(model: Ngram, vocabulary: set[str], context: tuple[str, ...]) -> float:
    return sum(10 ** model.log10_of(word, context) for word in vocabulary | {"</s>"})


def slow_probability(word: str, context: tuple[str, ...], text: list[tuple[str, ...]], vocabulary: set[str], order: int) -> float:
    """Interpolated Kneser-Ney straight from its definition, scanning the text for every count."""
    padded = [("<s>", *sentence, "</s>") for sentence in text]
    length = len(context) + 1
    runs = Counter(words[i : i + length] for words in padded for i in range(len(words) - length + 1) if words[i : i + length][-1] != "<s>")
    longer = {words[i : i + length + 1] for words in padded for i in range(len(words) - length)}
    if length == order:
        counts = dict(runs)
    else:
        counts = {gram: count if gram[0] == "<s>" else sum(1 for long in longer if long[1:] == gram) for gram, count in runs.items()}
    lower = 1 / (len(vocabulary) + 1) if length == 1 else slow_probability(word, context[1:], text, vocabulary, order)
    after = {gram: count for gram, count in counts.items() if gram[:-1] == context}
    if not after:
        return lower
    take = discounts(np.array(list(counts.values())))
    total, taken = sum(after.values()), sum(take[min(count, 3) - 1] for count in after.values())
    count = after.get((*context, word), 0)
    return (count - take[min(count, 3) - 1] if count else 0) / total + taken / total * lower


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(1, 5))
def test_probabilities_after_any_context_sum_to_one(text: list[tuple[str, ...]], order: int) -> None:
    vocabulary = set("abcd") | {"unseen"}
    model = train_ngram(text, vocabulary, order)
    contexts = [(), ("<s>",), ("a",), ("<s>", "a"), ("unseen", "b"), ("a", "b", "c"), ("<s>", "a", "b", "a")]
    for context in contexts:
        assert sum_after(model, vocabulary, context) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_agrees_with_the_definition(order: int) -> None:
    model = train_ngram(TEXT, VOCABULARY, order)
    contexts = [context for length in range(order) for context in itertools.product(["<s>", "a", "b", "d", "never"], repeat=length) if "<s>" not in context[1:]]
    for context in contexts:
        for word in ("a", "b", "g", "never", "</s>"):
            assert 10 ** model.log10_of(word, context) == pytest.approx(slow_probability(word, context, TEXT, VOCABULARY, order), rel=1e-9)


def test_discounts_by_hand() -> None:
    y = 10 / 18
    assert discounts(np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] * 1 + [9, 0])) == pytest.approx((1 - 2 * y * 4 / 10, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2))
    assert discounts(np.array([1, 2, 2])) == pytest.approx((0.2, 0.2, 0.2))
    assert discounts(np.array([7, 8])) == (DEFAULT_DISCOUNT,) * 3


def test_tiny_and_artificial_texts() -> None:
    yes_no = [("yes", "no") * 4, ("no", "yes") * 4]
    digits = [(word,) for word in "0123456789"]
    for text, order in ((yes_no, 5), (digits, 3), ([("a",)], 5), ([()], 2)):
        vocabulary = {word for sentence in text for word in sentence} | {"other"}
        model = train_ngram(text, vocabulary, order)
        assert model.order <= order
        assert sum_after(model, vocabulary, ("<s>",)) == pytest.approx(1)
        assert math.isfinite(predict(model, [("other",)]).perplexity or math.nan)


def test_an_unseen_word_gets_the_base_share() -> None:
    model = train_ngram(TEXT, VOCABULARY, 3)
    unseen = [10 ** model.log10_of(word, ()) for word in ("never", "seen")]
    assert unseen[0] == unseen[1] < min(10 ** model.log10_of(word, ()) for word in "abcdefg")


def test_arpa_round_trip(tmp_path: Path) -> None:
    model = train_ngram(TEXT, VOCABULARY, 3)
    write_arpa(tmp_path / "g.arpa", model)
    again = read_arpa(tmp_path / "g.arpa")
    assert again.log10.keys() == model.log10.keys() and again.backoff.keys() == model.backoff.keys()
    assert all(again.log10[gram] == pytest.approx(model.log10[gram], abs=1e-6) for gram in model.log10)


def test_damaged_arpa_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "g.arpa"
    write_arpa(path, train_ngram(TEXT, VOCABULARY, 2))
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2].rpartition("\n")[0] + "\n")
    with pytest.raises(FormatError, match=r"g\.arpa: truncated"):
        read_arpa(path)
    path.write_text(whole.replace("ngram 2=", "ngram 2=1"))
    with pytest.raises(FormatError, match="wrong n-gram counts"):
        read_arpa(path)
    path.write_text(whole.replace("\\1-grams:\n", "\\1-grams:\nnonsense\n"))
    with pytest.raises(FormatError, match=r"g\.arpa:6: not an n-gram of length 1: 'nonsense'"):
        read_arpa(path)


def test_perplexity_by_hand() -> None:
    model = Ngram(2, {("<s>",): -99.0, ("a",): -1.0, ("</s>",): -0.5, ("<s>", "a"): -0.25}, {("<s>",): -0.125, ("a",): -0.0625})
    prediction = predict(model, [("a", "what", "a"), ()])
    log10 = [-0.25, -1.0, -0.0625 - 0.5, -0.125 - 0.5]
    assert prediction.perplexity == pytest.approx(10 ** (-sum(log10) / 4))
    assert (prediction.n_words, prediction.n_oov, prediction.n_sentences) == (3, 1, 2)
    assert prediction.oov_rate == pytest.approx(1 / 3)


def test_words_outside_the_vocabulary_and_no_text() -> None:
    with pytest.raises(DataError, match="'g' is not in the vocabulary"):
        train_ngram(TEXT, set("abcdef"), 2)
    with pytest.raises(DataError, match="empty"):
        train_ngram([], {"a"}, 2)
    with pytest.raises(DataError, match="'zzz' is not in the language model"):
        train_ngram(TEXT, VOCABULARY, 2).log10_of("zzz", ())
