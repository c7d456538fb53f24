"""Character errors against jiwer, confusion pairs against planted ones."""

from __future__ import annotations

import unicodedata

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.score.characters import characters, count_character_errors, score_characters
from cgs.score.confusions import confusions, show_confusions
from cgs.score.wer import align_words, count_errors, total

SENTENCE = st.lists(st.sampled_from(["up", "down", "é", "e\u0301", "左", "नमस्ते", "öl", "ab", "ba", "*"]), max_size=6)


@given(st.lists(st.tuples(SENTENCE.filter(bool), SENTENCE), min_size=1, max_size=5))
@settings(deadline=None, max_examples=150)
def test_words_and_characters_are_jiwers(sentences: list[tuple[list[str], list[str]]]) -> None:
    """jiwer takes text as it is, so it is given composed letters."""
    refs, hyps = ([unicodedata.normalize("NFC", " ".join(side)) for side in sides] for sides in zip(*sentences, strict=True))
    of_characters, of_words = jiwer.process_characters(refs, hyps), jiwer.process_words(refs, hyps)
    ours = total(count_character_errors(ref, hyp) for ref, hyp in sentences)
    assert ours.wer == pytest.approx(of_characters.cer, abs=1e-12)
    assert ours.n_words == of_characters.hits + of_characters.substitutions + of_characters.deletions
    words = total(count_errors(ref.split(), hyp.split()) for ref, hyp in zip(refs, hyps, strict=True))
    assert words.wer == pytest.approx(of_words.wer, abs=1e-12)


def test_what_a_character_is() -> None:
    assert characters(("go", "<sil>", "up")) == ["g", "o", " ", "u", "p"]
    assert characters(("e\u0301",)) == ["é"] and characters(()) == []
    assert count_character_errors(("an", "other"), ("another",)).deletions == 1
    assert count_character_errors(("abc",), ()).errors == 3


def test_interval_holds_the_rate_and_nothing_spoken_has_none() -> None:
    found = score_characters([(("abcd",), ("abce",)), (("ab",), ("ab",))], ["x", "y"], 0.95, 200, 0)
    assert found["cer"] == pytest.approx(1 / 6) and found["n_characters"] == 6
    assert found["cer_ci"] == [0.0, 0.25]
    assert score_characters([((), ("a",))], ["x"], 0.95, 10, 0) == {"cer": None, "cer_ci": None, "n_characters": 0}


def test_confusions_are_those_planted() -> None:
    pairs = [align_words(["the", "cat", "sat"], ["a", "cat"]), align_words(["the", "dog"], ["a", "dog"]), align_words(["on"], ["on", "an"])]
    found = confusions(pairs)
    assert found == [("the", "a", 2), (None, "an", 1), ("sat", None, 1)]
    assert show_confusions(found).splitlines() == [
        "substitutions: 2, 1 different", "     2  the => a", "insertions: 1, 1 different", "     1  an", "deletions: 1, 1 different", "     1  sat",
    ]  # fmt: skip
    assert confusions([]) == [] and show_confusions([]).startswith("substitutions: 0, 0 different\n")


@given(st.lists(st.tuples(SENTENCE, SENTENCE), max_size=4))
@settings(deadline=None, max_examples=50)
def test_confusions_are_all_the_errors(sentences: list[tuple[list[str], list[str]]]) -> None:
    pairs = [align_words(ref, hyp) for ref, hyp in sentences]
    assert sum(n for _, _, n in confusions(pairs)) == total(count_errors(ref, hyp) for ref, hyp in sentences).errors
