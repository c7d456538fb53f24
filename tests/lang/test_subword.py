"""Words in pieces: text comes back whatever its script, L holds exactly the spellings of a word, phones carry marks of place, G adds spelled words."""

from __future__ import annotations

import itertools
import math
import unicodedata
from pathlib import Path

import kaldifst
import pytest

from cgs.base.errors import ConfigError, DataError, FormatError
from cgs.data.graphemes import letters_of, words_of
from cgs.data.lexicon import Pronunciations
from cgs.lang.grammar import make_grammar
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.lang import Lang, load_lang, make_lang, read_fst
from cgs.lang.letter_phones import AlignedWord, align_lexicon
from cgs.lang.open_vocabulary import make_open_vocabulary
from cgs.lang.pieces import MODEL_FILE, PieceModel, check_words, goes_on, has_pieces, is_piece, join, language_dir, train_pieces, unit_name
from cgs.lang.subword import learn_spellings, open_grammar, placed, spell, train_spelling

LEXICON: Pronunciations = {
    "ab": [("a", "b")],
    "abba": [("a", "b", "a")],
    "back": [("b", "a", "k")],
    "cab": [("k", "a", "b")],
    "cake": [("k", "e", "k")],
    "kab": [("k", "a", "b")],
}
TEXT = [("ab", "abba"), ("back", "cab"), ("cake", "cake", "ab"), ("kab",), ("back", "ab", "abba", "cab")]
SCRIPTS = {
    "English": "Don't stop: the o'clock news, re-read!",
    "Hebrew": "שלום עולם, צה״ל וג׳ירפה",
    "Devanagari": "नमस्ते दुनिया, क्षत्रिय हिन्दी",
    "Chinese": "我说中文，你好",
    "Latin": "Ça va très bien, señor Müller; ﬁn",
    "Vietnamese": "Tiếng Việt không khó",
}


@pytest.fixture(params=[False, True], ids=["plain", "positions"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Lang:
    """The language of LEXICON and TEXT with any other word spelled."""
    make_lang(tmp_path, LEXICON, 0.5, request.param)
    lang = load_lang(tmp_path)
    make_grammar(tmp_path, lang, TEXT, "train", 2)
    make_open_vocabulary(lang, LEXICON, TEXT, 6, 3, 0.5, request.param)
    return load_lang(language_dir(tmp_path, "subword"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_text_to_pieces_and_back(script: str, form: str) -> None:
    words = [unicodedata.normalize(form, word) for word in words_of(SCRIPTS[script])]
    model = train_pieces(words, 200)
    assert ["".join(model.split(word)) for word in words] == words
    lexicon = {word: [letters_of(word)] for word in words}
    for aligned in align_lexicon(lexicon).words:
        pieces = spell(aligned, model)
        assert join(unit_name(text, not place, phones) for place, (text, phones) in enumerate(pieces)) == (aligned.word,)
        assert tuple(phone for _, phones in pieces for phone in phones) == lexicon[aligned.word][0] and all(phones for _, phones in pieces)


def test_unseen_letters_and_compatibility_characters_are_left_as_they_are() -> None:
    model = train_pieces(["straße", "ﬁn", "x²"], 50)
    assert [model.split(word) for word in ("ﬁ", "²x", "ж")] == [["ﬁ"], ["²", "x"], ["ж"]]


def test_joining() -> None:
    units = ["THE", unit_name("HAM", True, ("HH", "AE", "M")), unit_name("ER", False, ("ER",)), unit_name("A/B", True, ("EY", "B")), "<unk>"]
    assert join(units) == ("THE", "HAMER", "A/B", "<unk>") and join([]) == ()
    assert units[1] == "\u2581HAM/HH.AE.M" and [is_piece(unit) for unit in units] == [False, True, True, True, False]
    assert goes_on(units[2]) and not goes_on(units[1])


def test_silent_pieces_join_their_neighbours() -> None:
    class Letters(PieceModel):
        def split(self, word: str) -> list[str]:
            return list(word)

    letters = Letters(b"")
    assert spell(AlignedWord("knight", (("N",), (), ("AY",), (), (), ("T",))), letters) == [("kn", ("N",)), ("igh", ("AY",)), ("t", ("T",))]
    assert spell(AlignedWord("gnat", ((), ("N",), ("AE",), ("T",))), letters) == [("gn", ("N",)), ("a", ("AE",)), ("t", ("T",))]


def test_spellings_repeat_what_words_repeat() -> None:
    class Letters(PieceModel):
        def split(self, word: str) -> list[str]:
            return list(word)

    told = learn_spellings([AlignedWord("annan", (("A",), ("N",), ("N",), ("A",), ()))], Letters(b""))
    assert told.words == [("\u2581a/A", "+n/N", "+n/N", "+an/A")]
    assert told.phones.keys() == {"\u2581a/A", "\u2581n/N", "+a/A", "+n/N", "+an/A"}


def test_phones_are_marked_by_their_place_in_the_word_across_pieces() -> None:
    known = dict.fromkeys(["A_B", "A_I", "A_E", "A_S", "B_I", "C"], 1)
    assert placed(("A", "A", "A"), True, True, known) == ("A_B", "A_I", "A_E")
    assert placed(("A", "A"), True, False, known) == ("A_B", "A_I")
    assert placed(("A", "A"), False, True, known) == ("A_I", "A_E")
    assert placed(("A",), True, True, known) == ("A_S",) and placed(("A",), False, False, known) == ("A_I",)
    assert placed(("B", "C"), True, True, known) == ("B_I", "C")


def outputs(lang: Lang, phones: list[str]) -> set[tuple[str, ...]]:
    """What L reads from phones, any disambiguation symbols between them, by brute force over its paths."""
    fst, names = lang.lexicon_disambig_fst(), lang.word_names
    skipped = set(lang.disambiguation_phones) | {0}
    found: set[tuple[str, ...]] = set()
    waiting: list[tuple[int, int, tuple[str, ...]]] = [(fst.start, 0, ())]
    seen = set(waiting)
    while waiting:
        state, place, said = waiting.pop()
        if place == len(phones) and math.isfinite(fst.final(state).value):
            found.add(said)
        for arc in kaldifst.ArcIterator(fst, state):
            if arc.nextstate == state and arc.ilabel in skipped:
                continue
            read = arc.ilabel not in skipped
            if read and (place == len(phones) or lang.phones[phones[place]] != arc.ilabel):
                continue
            step = (arc.nextstate, place + read, said + ((names[arc.olabel],) if arc.olabel else ()))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


def spellings_of(lang: Lang, phones: tuple[str, ...], marked: bool) -> set[tuple[str, ...]]:
    """Every way to say phones as one word of the lexicon or as one spelled word, by brute force over its units."""
    units = {unit: tuple(unit[unit.rindex("/") + 1 :].split(".")) for unit in lang.words if is_piece(unit)}
    found = {(word,) for word, ways in LEXICON.items() if phones in ways}
    for cuts in itertools.product([False, True], repeat=len(phones) - 1):
        edges = [0, *(index + 1 for index, cut in enumerate(cuts) if cut), len(phones)]
        parts = [phones[start:end] for start, end in itertools.pairwise(edges)]
        choices = [[unit for unit, said in units.items() if said == part and goes_on(unit) == bool(place)] for place, part in enumerate(parts)]
        found |= set(itertools.product(*choices))
    return found


@pytest.mark.parametrize("phones", [("a", "b"), ("k", "a", "b"), ("k", "e", "k"), ("b", "a", "k", "e"), ("e",)], ids="".join)
def test_l_reads_a_word_as_itself_and_as_all_of_its_spellings(opened: Lang, phones: tuple[str, ...]) -> None:
    marked = any("_" in phone for phone in opened.phones)
    told = list(placed(phones, True, True, opened.phones)) if marked else list(phones)
    single = {units for units in outputs(opened, told) if len(join(units)) == 1}
    assert single == spellings_of(opened, phones, marked) and single
    assert len(single) > 1 or len(phones) == 1


def test_l_keeps_silence_out_of_words(opened: Lang) -> None:
    marked = any("_" in phone for phone in opened.phones)
    one = list(placed(("a", "b"), True, True, opened.phones)) if marked else ["a", "b"]
    assert ("ab", "ab") in {join(unit for unit in units if unit != "<sil>") for units in outputs(opened, ["SIL", *one, "SIL", *one, "SIL"])}
    parted = outputs(opened, [one[0], "SIL", one[1]])
    assert all(not goes_on(unit) for units in parted for unit in units)
    assert bool(parted) != marked, "marked phones tell that the word has not ended"


def test_l_begins_and_ends_with_whole_words(opened: Lang) -> None:
    marked = any("_" in phone for phone in opened.phones)
    for units in outputs(opened, ["a_B", "b_I", "a_E"] if marked else ["a", "b", "a"]):
        assert not goes_on(units[0])
    if marked:
        assert outputs(opened, ["a_B", "b_I"]) == set(), "a word that has not ended"


def test_g_adds_spelled_words_with_their_cost(opened: Lang) -> None:
    """Best path of units in G: known words as before; a spelled one costs the back-off, the entry and its spelling."""
    directory = opened.directory.parent
    known = train_ngram(TEXT, {word for words in TEXT for word in words}, 2)
    aligned = align_lexicon({word: LEXICON[word] for word in sorted(LEXICON)}).words
    spelling = train_spelling(learn_spellings(aligned, PieceModel.read(opened.directory / MODEL_FILE)), 3)
    g = open_grammar(known, spelling, opened.words, 2.5)
    written = read_fst(opened.directory / "G.subword.fst")
    assert written.num_states == g.num_states
    before = read_fst(directory / "G.train.fst")

    def cost(fst: kaldifst.StdVectorFst, units: list[str]) -> float:
        acceptor = kaldifst.make_linear_acceptor([opened.words[unit] for unit in units])
        kaldifst.add_self_loops(acceptor, [opened.words["#0"]], [opened.words["#0"]])
        kaldifst.arcsort(acceptor, sort_type="olabel")
        return kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(kaldifst.compose(acceptor, fst)))[3].value

    assert cost(g, ["back", "ab"]) == pytest.approx(cost(before, ["back", "ab"]), abs=1e-4)
    units = next(list(units) for units in sorted(spellings_of(opened, ("k", "a", "b"), False)) if len(units) == 3)
    natural = math.log(10)
    spelled = -natural * sum(spelling.log10_of(unit, ("<s>", *units[:index])) for index, unit in enumerate([*units, "</s>"]))
    around = -natural * (known.backoff[("back",)] + known.log10_of("</s>", ()) + known.log10_of("back", ("<s>",)))
    assert cost(g, ["back", *units]) == pytest.approx(around + 2.5 + spelled, abs=1e-3)


def test_any_word_of_known_letters_can_be_spelled(opened: Lang) -> None:
    units = set(opened.words)
    for letter, phone in {"a": "a", "b": "b", "k": "k", "c": "k"}.items():
        assert {unit_name(letter, True, (phone,)), unit_name(letter, False, (phone,))} <= units


def test_words_that_look_like_pieces_and_bad_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"word '\+1' looks like a piece"):
        check_words(["a", "+1"], ["A"])
    with pytest.raises(DataError, match="phone 'A/B' holds '/'"):
        check_words(["a"], ["A/B"])
    with pytest.raises(ConfigError, match="lang.subword_pieces is 3, but the words have 3 letters"):
        train_pieces(["abc"], 3)
    with pytest.raises(DataError, match="no words to choose pieces from"):
        train_pieces([], 3)
    (tmp_path / MODEL_FILE).write_bytes(b"nothing")
    with pytest.raises(FormatError, match="not a sentencepiece model"):
        PieceModel.read(tmp_path / MODEL_FILE)


def test_same_words_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make_lang(tmp_path / name, LEXICON, 0.5)
        make_grammar(tmp_path / name, load_lang(tmp_path / name), TEXT, "train", 2)
        make_open_vocabulary(load_lang(tmp_path / name), LEXICON, TEXT, 6, 3, 0.5)
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name / "subword").iterdir()} for name in ("one", "other"))
    assert one == other and has_pieces(tmp_path / "one" / "subword") and not has_pieces(tmp_path / "one")
