"""Letters find their phones: planted spelling rules come back, likelihood rises, guesses are ranked, held-out words of a real lexicon are mostly right."""

from __future__ import annotations

import itertools
import math
import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import DataError
from cgs.cli.main import main
from cgs.data.graphemes import letters_of, read_pronunciations
from cgs.data.lexicon import Pronunciations, read_lexicon
from cgs.lang import g2p
from cgs.lang.g2p import SpellingModel, complete, guess_errors, learn_spelling
from cgs.lang.letter_phones import AlignedWord, align_lexicon, phones_of_unit

RULES = {"a": ("A",), "e": ("E",), "b": ("B",), "k": ("K",), "x": ("K", "S"), "h": (), "z": ("T", "S")}
"""A letter says one phone, two, or none, whatever its neighbours."""


def spelled(rules: dict[str, tuple[str, ...]], n_words: int, seed: int = 0) -> Pronunciations:
    """Random words and their phones by rule; every word says something."""
    rng, lexicon = random.Random(seed), {}
    while len(lexicon) < n_words:
        word = "".join(rng.choices(sorted(rules), k=rng.randint(2, 8)))
        phones = tuple(phone for letter in word for phone in rules[letter])
        if phones:
            lexicon[word] = [phones]
    return lexicon


def test_planted_rules_are_found_letter_by_letter() -> None:
    found = align_lexicon(spelled(RULES, 300))
    assert not found.left_out
    for word in found.words:
        assert word.runs == tuple(RULES[letter] for letter in word.word)


def test_new_words_by_planted_rules_are_guessed_exactly_and_with_certainty() -> None:
    lexicon = spelled(RULES, 500)
    model, _ = learn_spelling(dict(itertools.islice(lexicon.items(), 300)))
    unseen = dict(itertools.islice(lexicon.items(), 300, 500))
    assert guess_errors(model, unseen) == (0, 0)
    assert min(model.guess(word)[0].share for word in unseen) > 0.9


def test_context_decides_how_a_letter_is_said() -> None:
    """c is S before e and i, K elsewhere; "sh" is one phone."""

    def said(word: str) -> tuple[str, ...]:
        pairs = zip(word, word[1:] + "#", strict=True)
        one = {"c": lambda after: "S" if after in "ei" else "K", "s": lambda after: "SH" if after == "h" else "S"}
        return tuple(one[letter](after) if letter in one else letter.upper() for letter, after in pairs if letter != "h")

    rng = random.Random(1)
    words = {"".join(rng.choice(["ca", "ce", "ci", "co", "sha", "so", "shi", "ta"]) for _ in range(rng.randint(2, 4))) for _ in range(900)}
    lexicon = {word: [said(word)] for word in sorted(words)}
    model, _ = learn_spelling({word: ways for index, (word, ways) in enumerate(lexicon.items()) if index % 5})
    assert guess_errors(model, {word: ways for index, (word, ways) in enumerate(lexicon.items()) if not index % 5}) == (0, 0)


def brute_force_log_likelihood(lexicon: Pronunciations, counts: dict[str, float]) -> float:
    total = sum(counts.values())
    told = 0.0
    for word, (phones,) in lexicon.items():
        mass = 0.0
        for lengths in itertools.product(range(3), repeat=len(word)):
            if sum(lengths) == len(phones):
                ends = np.cumsum([0, *lengths])
                runs = tuple(phones[start:end] for start, end in itertools.pairwise(ends))
                mass += math.prod(counts.get(unit, 0.0) / total for unit in AlignedWord(word, runs).units())
        told += math.log(mass)
    return told / len(lexicon)


def test_likelihood_rises_and_is_the_sum_over_all_alignments() -> None:
    lexicon: Pronunciations = {"ab": [("A", "B")], "bax": [("B", "A", "K", "S")], "hab": [("A", "B")], "xb": [("K", "S", "B")], "aa": [("A",)]}
    history = align_lexicon(lexicon).log_likelihood
    assert len(history) > 2 and all(after >= before - 1e-12 for before, after in itertools.pairwise(history))
    likely = {0: 0.1, 1: 0.8, 2: 0.1}
    runs = {(letter, phones[i : i + r]) for word, (phones,) in lexicon.items() for letter in word for r in range(3) for i in range(len(phones) + 1 - r)}
    start = {f"{letter} {' '.join(run)}": likely[len(run)] for letter, run in runs}
    assert history[0] == pytest.approx(brute_force_log_likelihood(lexicon, start))


def test_several_ways_are_ranked_and_shares_add_up() -> None:
    lexicon: Pronunciations = {f"{a}{b}e": [(a, "1", b)] if i % 4 else [(a, "2", b)] for i, (a, b) in enumerate(itertools.product("bdgklmnprst", repeat=2))}
    for word, (phones,) in lexicon.items():
        lexicon[word] = [(phones[0], phones[2], phones[1])]
    guesses = learn_spelling(lexicon)[0].guess("zze".replace("z", "b"), n_best=10)
    assert {guess.phones[2] for guess in guesses} == {"1", "2"}
    assert [g.share for g in guesses] == sorted((g.share for g in guesses), reverse=True)
    assert sum(g.share for g in guesses) == pytest.approx(1, abs=0.01)


def test_order_one_needs_no_context() -> None:
    assert SpellingModel(align_lexicon(spelled(RULES, 100)), 1).guess("axb")[0].phones == ("A", "K", "S", "B")


@pytest.mark.parametrize("text", ["שלום עולם ספר מלך לחם", "नमस्ते भाषा किताब पानी", "déjà français élève garçon", "中 文 字"])
def test_any_script_and_either_normal_form(text: str) -> None:
    lexicon = {word: [letters_of(word)] for word in text.split()}
    model, _ = learn_spelling(lexicon)
    for word, (phones,) in lexicon.items():
        for form in ("NFC", "NFD"):
            assert model.guess(unicodedata.normalize(form, word))[0].phones == phones


def test_long_readings_of_a_letter_as_in_chinese() -> None:
    lexicon: Pronunciations = {"中": [("zh", "o", "ng")], "国": [("g", "u", "o")], "文": [("w", "e", "n")], "中国": [("zh", "o", "ng", "g", "u", "o")]}
    assert learn_spelling(lexicon)[0].guess("国文")[0].phones == ("g", "u", "o", "w", "e", "n")


def test_acronyms_are_left_out_and_strange_letters_are_not_guessed() -> None:
    lexicon = spelled(RULES, 200) | {"k": [("K", "E", "I", "EI", "J")]}
    model, alignments = learn_spelling(lexicon)
    assert alignments.left_out == ["k"]
    assert model.guess("aq") == [] and model.guess("") == []
    with pytest.raises(DataError, match="no pronunciation that its word's letters could stand for"):
        align_lexicon({"a": [("A",) * 9]})


def test_units_are_read_back() -> None:
    word = AlignedWord("x e", (("K", "S"), (), ("E",)))
    assert [phones_of_unit(unit) for unit in word.units()] == list(word.runs)


def test_large_lexicons_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(g2p, "MOST_WORDS", 50)
    learnt = {word.word for word in learn_spelling(spelled(RULES, 200))[1].words}
    assert len(learnt) == 50 and len({word[0] for word in learnt}) == len(RULES)


def test_missing_words_are_guessed_and_others_are_told() -> None:
    text = [("ab", "bak"), ("хлеб",)]
    with pytest.raises(DataError, match=r"33.33% of the training words have letters that it lacks.*10.00% allowed: хлеб \(1\).*max_oov_fraction"):
        complete({"ab": [("A", "B")], "ka": [("K", "A")]}, text, 0.1)
    guesses, facts = complete({"ab": [("A", "B")], "ka": [("K", "A")]}, text, 0.5)
    assert guesses.keys() == {"bak"} and guesses["bak"].phones == ("B", "A", "K")
    assert facts == {"n_guessed": 1, "n_running_guessed": 1, "n_left": 1, "n_learnt_from": 2, "n_not_aligned": 0}
    assert complete({"ab": [("A", "B")]}, [("ab",)], 0.0)[0] == {}


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lexicon = tmp_path / "dict"
    lexicon.write_text("".join(f"{word} {' '.join(ways[0])}\n" for word, ways in spelled(RULES, 200).items()))
    assert main(["g2p", "--lexicon", str(lexicon), "--held-out", "20", "BAXA", "hex"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "20 words kept apart: 0.0 % of their phones and 0.0 % of the words guessed wrongly"
    assert [line.split("\t")[:2] for line in told[1:]] == [["BAXA", "B A K S A"], ["hex", "E K S"]]
    assert main(["g2p", "--lexicon", str(lexicon), "ж"]) == DataError.exit_code
    assert "'ж' has a letter that no word of" in capsys.readouterr().err


def test_real_lexicon(corpora: Path) -> None:
    """English spelling from 2,300 words: a tenth of the phones of unseen words wrong."""
    lexicon, _ = read_pronunciations(corpora / "speechocean762" / "resource" / "lexicon.txt")
    words = sorted(lexicon)
    model, _ = learn_spelling({word: lexicon[word] for index, word in enumerate(words) if index % 10})
    phones, wrong = guess_errors(model, {word: lexicon[word] for word in words[::10]})
    assert phones < 0.14 and wrong < 0.45


def test_guesses_are_read_as_a_lexicon_is(tmp_path: Path) -> None:
    guesses, _ = complete({"ab": [("A", "B")], "ka": [("K", "A")]}, [("bak",)], 0.0)
    g2p.write_guesses(tmp_path / "guessed.txt", guesses)
    assert read_lexicon(tmp_path / "guessed.txt")["bak"][0][:3] == ("B", "A", "K")
