"""Text in any script as words, and words as letters: the lexicon of a corpus that brings none.

Letters are told by their Unicode properties, never by a list of alphabets. Also reads pronunciation files that others
made (CMUdict, or "WORD PH PH"), so that their words meet the transcripts in one form."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from cgs.base.errors import DataError
from cgs.data.corpus import SILENCE_WORD
from cgs.data.lexicon import Pronunciations
from cgs.data.pronunciations import CONSONANTS, VOWELS, dictionary_entries, without_stress

APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u02bc\uff07\u05f3", "'"))
INSIDE_A_WORD = "'_"
"""Kept between two letters, and silent; anywhere else they part words."""
SKIPPED_INSIDE = '"\u05f4'
"""Between two letters they mark a Hebrew acronym; anywhere else they are quotation marks."""
JOINERS = "\u200c\u200d"
LETTER_CHANGING = {7, 9, 21, 23, 24, 25}
"""Combining classes of marks that change their letter (nukta, virama, dagesh, rafe, shin and sin dot); from 200 on: accents.
Vowel signs and points are sounds of their own."""
UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
"""Kana and Chinese characters, which are written without spaces."""


def words_of(text: str, split_unspaced: bool = True) -> tuple[str, ...]:
    """The words of a transcript: NFC, case folded, without punctuation.

    Args:
        text: as written.
        split_unspaced: make each Chinese character and kana a word, because no space parts their words.
    Returns: words of letters, marks and digits, and of ' and _ between them; (SILENCE_WORD,) for the silence word alone.
    """
    if text.strip() == SILENCE_WORD:
        return (SILENCE_WORD,)
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.translate(APOSTROPHES)).casefold())
    parts: list[str] = []
    for before, char, after in zip(" " + folded, folded, folded[1:] + " ", strict=False):
        between = _in_words(before) and _in_words(after)
        if split_unspaced and _is_unspaced(char):
            parts.append(f" {char} ")
        elif _in_words(char) or (char in INSIDE_A_WORD and between):
            parts.append(char)
        elif not (unicodedata.category(char) == "Cf" or (char in SKIPPED_INSIDE and between)):
            parts.append(" ")
    words = (word.strip(JOINERS) for word in "".join(parts).split())
    return tuple(word for word in words if any(unicodedata.category(char)[0] in "LN" for char in word))


def letters_of(word: str) -> tuple[str, ...]:
    """The phones of a word in a grapheme lexicon: a letter, digit or vowel sign each.

    A mark that changes its letter, e.g. a virama or an accent that has no letter of its own, stays with it.
    """
    letters: list[str] = []
    base = -1  # a point may stand between a letter and the mark that changes it: NFC orders marks by their classes
    for char in word:
        kind = unicodedata.category(char)[0]
        place = unicodedata.combining(char)
        if kind == "M" and base >= 0 and (place in LETTER_CHANGING or place >= 200):
            letters[base] += char
        elif kind in "LMN":
            base = base if kind == "M" else len(letters)
            letters.append(char)
    return tuple(letters)


def read_pronunciations(path: Path) -> tuple[Pronunciations, str]:
    """Read a lexicon in CMUdict or "WORD PH PH" form.

    Returns: pronunciations of each case-folded word, and a line on what was merged or left out.
    Raises: DataError: missing, not UTF-8, a word without phones, or nothing left.
    """
    entries: list[tuple[str, tuple[str, ...]]] = []
    n_odd = 0
    for entry in dictionary_entries(path):
        if not entry.phones:
            raise DataError(f"{entry.place}: {entry.line!r}: no phones", "write: word phone phone")
        word = _plain(entry.word)
        if words_of(entry.word, split_unspaced=False) == (word,) and entry.word != SILENCE_WORD:
            entries.append((word, entry.phones))
        else:
            n_odd += 1
    stressed = _is_arpabet({phone for _, phones in entries for phone in phones})
    lexicon: Pronunciations = {}
    for word, phones in entries:
        plain = without_stress(phones) if stressed else phones
        if plain not in lexicon.setdefault(word, []):
            lexicon[word].append(plain)
    if not lexicon:
        raise DataError(f"{path}: holds no pronunciation", "write: word phone phone, a line each")
    note = f"{sum(map(len, lexicon.values()))} pronunciations of {len(lexicon)} words"
    return lexicon, note + (", stress digits taken off" if stressed else "") + (f", {n_odd} entries that are not one word left out" if n_odd else "")


def _plain(word: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", word.translate(APOSTROPHES)).casefold())


def _is_arpabet(phones: set[str]) -> bool:
    """True where the phones are CMUdict's with stress digits."""
    bare = {phone.rstrip("012") for phone in phones if phone.rstrip("012") in VOWELS}
    return bare != phones & VOWELS and all(phone in CONSONANTS or phone.rstrip("012") in VOWELS for phone in phones)


def _in_words(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN" or char in JOINERS


def _is_unspaced(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in UNSPACED) and unicodedata.category(char)[0] == "L"
