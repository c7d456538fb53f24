"""Symbol tables, disambiguation and phone positions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, FormatError
from cgs.data.lexicon import Pronunciations
from cgs.lang.tables import add_disambiguation, complete_lexicon, mark_positions, phone_sets, phone_symbols, read_symbols, word_symbols, write_symbols

LEXICON: Pronunciations = {"RED": [("r", "e", "d")], "READ": [("r", "e", "d"), ("r", "i", "d")], "A": [("a",)], "AN": [("a", "n")]}
pronunciation = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(tuple)


def test_words_and_phones_in_kaldis_order(tmp_path: Path) -> None:
    whole = complete_lexicon(LEXICON)
    assert word_symbols(whole) == ["<eps>", "<sil>", "<unk>", "A", "AN", "READ", "RED", "#0", "<s>", "</s>"]
    assert phone_symbols(whole, 2) == ["<eps>", "SIL", "SPN", "a", "d", "e", "i", "n", "r", "#0", "#1", "#2"]
    write_symbols(tmp_path / "words.txt", word_symbols(whole))
    assert read_symbols(tmp_path / "words.txt")["READ"] == 5


def test_homophones_and_prefixes_get_symbols() -> None:
    marked, highest = add_disambiguation(LEXICON)
    assert marked == {"RED": [("r", "e", "d", "#1")], "READ": [("r", "e", "d", "#2"), ("r", "i", "d")], "A": [("a", "#1")], "AN": [("a", "n")]}
    assert highest == 2


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("VWXYZ"), st.lists(pronunciation, min_size=1, max_size=3, unique=True), min_size=1))
def test_disambiguated_pronunciations_are_prefix_free(lexicon: Pronunciations) -> None:
    marked, _ = add_disambiguation(lexicon)
    every = [phones for pronunciations in marked.values() for phones in pronunciations]
    assert len(set(every)) == len(every)
    assert not any(one != other and one == other[: len(one)] for one in every for other in every)
    assert {w: [tuple(p for p in ps if not p.startswith("#")) for ps in v] for w, v in marked.items()} == lexicon


def test_positions_and_the_sets_they_come_from() -> None:
    plain = complete_lexicon({"A": [("a",)], "AN": [("a", "n")], "ANNA": [("a", "n", "a")]})
    marked = mark_positions(plain)
    assert marked["ANNA"] == [("a_B", "n_I", "a_E")] and marked["A"] == [("a_S",)] and marked["<sil>"] == [("SIL",)]
    assert phone_sets(plain, marked) == [["SIL"], ["SPN"], ["a_B", "a_E", "a_S"], ["n_E", "n_I"]]
    assert phone_sets(plain, plain) == [["SIL"], ["SPN"], ["a"], ["n"]]


@pytest.mark.parametrize(
    "lexicon, message",
    [
        ({"<s>": [("a",)]}, "word '<s>' is reserved"),
        ({"#X": [("a",)]}, "word '#X'"),
        ({"X": [("#1",)]}, "X: phone '#1' is reserved"),
        ({"<sil>": [("SIL",)]}, "no word besides silence"),
    ],
)
def test_reserved_names(lexicon: Pronunciations, message: str) -> None:
    with pytest.raises(DataError, match=message):
        complete_lexicon(lexicon)


@pytest.mark.parametrize(
    "text, message",
    [("a 0\nb x\n", r"t:2: not 'symbol number' but 'b x'"), ("a 0\na 1\n", "t:2: symbol 'a' twice"), ("a 0\nb 0\n", "share a number")],
)
def test_bad_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_symbols(tmp_path / "t")
