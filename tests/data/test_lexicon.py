"""Lexicon and text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cgs.base.errors import DataError, ProblemsError
from cgs.data.lexicon import read_lexicon, with_silence, write_lexicon
from cgs.data.text import count_oov, listed, oov_fraction, read_sentences, read_transcripts, write_sentences


def test_lexicon_comes_back(tmp_path: Path) -> None:
    lexicon = with_silence([("B", ("B", "IY")), ("A", ("AH",)), ("A", ("EY",)), ("A", ("AH",))])
    write_lexicon(tmp_path / "lexicon.txt", lexicon)
    assert (tmp_path / "lexicon.txt").read_text() == "<sil> SIL\nA AH\nA EY\nB B IY\n"
    assert read_lexicon(tmp_path / "lexicon.txt") == lexicon


def test_bad_lines_are_all_told(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("A AH\nB\n\nA AH\n")
    with pytest.raises(ProblemsError) as told:
        read_lexicon(tmp_path / "lexicon.txt")
    assert [problem.split("lexicon.txt:")[1][0] for problem in told.value.problems] == ["2", "3", "4"]
    (tmp_path / "lexicon.txt").write_bytes(b"A AH\nCAF\xc9 K\n")
    with pytest.raises(DataError, match=r"lexicon\.txt:2: not UTF-8"):
        read_lexicon(tmp_path / "lexicon.txt")
    (tmp_path / "lexicon.txt").write_text("")
    with pytest.raises(DataError, match="holds no pronunciation"):
        read_lexicon(tmp_path / "lexicon.txt")


@pytest.mark.parametrize("pair", [("<sil>", ("X",)), ("A", ())])
def test_silence_is_not_a_word_of_the_corpus(pair: tuple[str, tuple[str, ...]]) -> None:
    with pytest.raises(DataError, match="remove it from the data script's lexicon"):
        with_silence([pair])


def test_text(tmp_path: Path) -> None:
    write_sentences(tmp_path / "lm.txt", [("A", "B"), ("C",)])
    assert read_sentences(tmp_path / "lm.txt") == [("A", "B"), ("C",)]
    (tmp_path / "text").write_text("u1 A B\nu2 C\n")
    assert read_transcripts(tmp_path / "text") == {"u1": ("A", "B"), "u2": ("C",)}


def test_unknown_words() -> None:
    sentences = [("A", "X", "X"), ("Y", "A")]
    assert count_oov(sentences, {"A"}) == Counter(X=2, Y=1)
    assert oov_fraction(sentences, {"A"}) == 3 / 5
    assert oov_fraction([], {"A"}) == 0
    assert listed(Counter(X=2, Y=1, Z=1), most=2) == "X (2), Y (1) and 1 more"
